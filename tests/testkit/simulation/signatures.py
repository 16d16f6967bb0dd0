"""Signatures are real; what was computed once, in whatever seed, is not computed again."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from unittest import mock

from piebridge.crypto import signature

_KEPT_MAX = 50_000
_PURE = ("_private_key", "_sign", "_recover")
"""Functions of their arguments alone; an error is raised anew each time."""
_REMEMBERING: dict[str, Any] = {name: lru_cache(_KEPT_MAX)(getattr(signature, name)) for name in _PURE}


@contextmanager
def remembered() -> Iterator[None]:
    """Remember signatures, and the keys that they were found to be of."""
    with mock.patch.multiple(signature, **_REMEMBERING):
        yield
