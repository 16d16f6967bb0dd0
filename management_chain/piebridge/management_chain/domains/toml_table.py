"""Typed reading of TOML tables that tells the user which key is wrong, and what it may have been meant to be."""

import difflib
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TypeVar

from piebridge.management_chain.domains.errors import DomainFileError

_E = TypeVar("_E", bound=Enum)
_REQUIRED = object()


class TomlTable:
    """One table of a file. Every key is asked for once; :meth:`finish` refuses what nobody has asked for."""

    def __init__(self, values: object, place: str) -> None:
        """Read a table.

        Args:
            values: what the TOML parser gave.
            place: how the user finds it, for example ``[chain 2]``.

        Raises:
            DomainFileError: it is no table.
        """
        if not isinstance(values, Mapping):
            raise DomainFileError(place, "must be a table")
        self._values, self.place = values, place
        self._known: list[str] = []

    def integer(self, key: str, least: int, most: int, default: object = _REQUIRED) -> int:
        """Return an integer of a range."""
        value = self._take(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.wrong(key, f"must be an integer from {least} to {most}, not {value!r}")
        return value

    def optional_integer(self, key: str, least: int, most: int) -> int | None:
        """Return an integer of a range, None where the key is missing."""
        if key not in self._values:
            self._known.append(key)
            return None
        return self.integer(key, least, most)

    def text(self, key: str, default: object = _REQUIRED) -> str:
        """Return a string."""
        value = self._take(key, default)
        if not isinstance(value, str):
            raise self.wrong(key, f"must be a string, not {value!r}")
        return value

    def texts(self, key: str, default: object = _REQUIRED) -> tuple[str, ...]:
        """Return a list of strings."""
        value = self._take(key, default)
        if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(i, str) for i in value):
            raise self.wrong(key, f"must be a list of strings, not {value!r}")
        return tuple(value)

    def choice(self, key: str, names: Mapping[str, _E], default: object = _REQUIRED) -> _E:
        """Return what one of some words stands for."""
        word = self.text(key, default)
        if word not in names:
            raise self.wrong(key, f"must be one of {', '.join(names)}, not {word!r}{_nearest(word, list(names))}")
        return names[word]

    def address(self, key: str) -> bytes:
        """Return an address, 20 bytes."""
        text = self.text(key)
        try:
            value = bytes.fromhex(text.removeprefix("0x"))
        except ValueError:
            value = b""
        if len(value) != 20:
            raise self.wrong(key, f"must be an address, 0x and 40 hexadecimal digits, not {text!r}")
        return value

    def table(self, key: str) -> "TomlTable":
        """Return a table that must be there."""
        return TomlTable(self._take(key, _REQUIRED), f"[{key}]")

    def optional_table(self, key: str, place: str) -> "TomlTable | None":
        """Return a table, None where there is none."""
        value = self._take(key, None)
        return None if value is None else TomlTable(value, place)

    def tables(self, key: str, place: str | None = None) -> list["TomlTable"]:
        """Return an array of tables, empty where the key is missing."""
        value = self._take(key, ())
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise self.wrong(key, f"must be written as [[{key}]]")
        return [TomlTable(item, f"[{place or key} {number}]") for number, item in enumerate(value, 1)]

    def finish(self) -> None:
        """Check that the table holds nothing else.

        Raises:
            DomainFileError: it does; the message says what may have been meant.
        """
        for key in self._values:
            if key not in self._known:
                raise self.wrong(key, f"is no key of this table{_nearest(key, self._known)}")

    def wrong(self, key: str, problem: str) -> DomainFileError:
        """Return the error that says what is wrong with a key."""
        return DomainFileError(f"{self.place} {key}".strip(), problem)

    def _take(self, key: str, default: object) -> object:
        self._known.append(key)
        if key in self._values:
            return self._values[key]
        if default is _REQUIRED:
            near = difflib.get_close_matches(key, [str(name) for name in self._values], 1)
            raise self.wrong(key, f"is missing{f'; there is {near[0]!r}' if near else ''}")
        return default


def _nearest(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {near[0]!r}?" if near else ""
