"""What commands print: tables and sentences for people, JSON for machines, errors with a hint for both."""

import json
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDTH_WITHOUT_TERMINAL = 140

_CONSOLE = Console(highlight=False)
if not _CONSOLE.is_terminal:
    _CONSOLE.width = _WIDTH_WITHOUT_TERMINAL
_ERRORS = Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:  # noqa: ANN401 - whatever a command tells machines
    """Print one JSON document."""
    json.dump(value, sys.stdout, indent=2)
    sys.stdout.write("\n")


def say(text: str) -> None:
    """Print a line for people; rich markup is allowed."""
    _CONSOLE.print(printable(text), soft_wrap=True)


def complain(text: str, *, style: str = "red") -> None:
    """Print an error, or with another style a remark, for people on standard error; without markup."""
    _ERRORS.print(printable(text), style=style, markup=False, soft_wrap=True)


def print_table(title: str | None, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, without markup; numbers are recognised and set flush right."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(_is_number(row[index]) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    _CONSOLE.print(table)


def printable(text: str) -> str:
    """Return a text with every character that a terminal would obey, or not show, written out.

    Reasons of handlers and errors of nodes are written by strangers.
    """
    return "".join(
        character if character in "\n\t" or unicodedata.category(character)[0] != "C" else f"\\u{ord(character):04x}"
        for character in text
    )


def error_document(error: Exception) -> Mapping[str, str]:
    """Return an error as machines get it."""
    return {"error": str(error), "kind": type(error).__name__}


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "").replace(" ", "").isdigit() or text in ("", "-")
