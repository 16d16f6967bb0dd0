"""How long to wait before trying again: a pure iterator, so that its delays can be written down in a test."""

from collections.abc import Iterator
from itertools import repeat


def retry_delays(first_seconds: float, last_seconds: float) -> Iterator[float]:
    """Yield the pauses between tries: doubling from ``first_seconds``, never above ``last_seconds``, without end."""
    delay = first_seconds
    while delay < last_seconds:
        yield delay
        delay *= 2
    yield from repeat(last_seconds)
