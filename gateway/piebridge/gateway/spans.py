"""Few ranges for many numbers."""

from collections.abc import Iterable


def spans(numbers: Iterable[int], length_max: int) -> list[tuple[int, int]]:
    """Cover numbers by few spans ``(first, last)`` of at most ``length_max`` each, for queries of ranges."""
    covered: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if covered and number - covered[-1][0] < length_max:
            covered[-1] = (covered[-1][0], number)
        else:
            covered.append((number, number))
    return covered
