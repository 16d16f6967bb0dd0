"""What a planted bug is, and how it gets into the product for the length of a ``with`` block."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from inspect import isfunction, signature
from typing import Any
from unittest import mock

Plant = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class PlantedBug:
    """One bug."""

    name: str
    """Layer and what is wrong, in a few words; never reused for another bug."""
    breaks: str
    """What it does, in one line."""
    noticed_by: frozenset[str]
    """Invariants of which at least one must notice it; I13 is liveness, ``crash`` a failure of the program."""
    plant: Plant
    """Puts it in."""
    seed: int
    """A seed that has found it, where the search in ``make test`` begins. Every change of the product changes what
    happens under a seed, so the search goes on from there."""


def replaced(owner: object, name: str, value: object) -> Plant:
    """Put another function, method or value in the place of one."""
    assert hasattr(owner, name), f"{owner} has no {name}: the bug no longer fits the product"
    original = getattr(owner, name)
    if isfunction(original) and isfunction(value):
        wanted, given = len(signature(original).parameters), len(signature(value).parameters)
        assert wanted == given, f"{name} takes {wanted} arguments now, the bug {given}: it no longer fits the product"
    return lambda: mock.patch.object(owner, name, value)


def changed(owner: Any, name: str, wrap: Callable[..., Any]) -> Plant:  # noqa: ANN401 - any function of the product
    """Put a function around one: it gets the original first, then its arguments."""
    original = getattr(owner, name)

    def around(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401
        return wrap(original, *arguments, **named)

    return lambda: mock.patch.object(owner, name, around)


def both(*plants: Plant) -> Plant:
    """Put several in at once, where one alone is caught by a second line of defence."""

    @contextmanager
    def plant() -> Iterator[None]:
        first, *rest = plants
        with first():
            if rest:
                with both(*rest)():
                    yield
            else:
                yield

    return plant
