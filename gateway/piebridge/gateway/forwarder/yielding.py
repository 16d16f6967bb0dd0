"""How many batches of a backlog may be under way, by how long batches take.

A backlog can use up all that relay chain, notaries and gateway have, and then live traffic waits at each of them, even
though it is carried in batches of its own. So a backlog gives way as background transfers do on the Internet (LEDBAT,
RFC 6817): what a batch takes beyond the shortest time seen is the delay that the work under way makes; while there is
much of it there is less work under way, and when one batch alone makes it there are pauses between them.
"""

_STRETCHED = 1.5
"""A batch that takes this much longer than the shortest one shows that there is too much under way."""
_PAUSE_SECONDS_MAX = 5.0
_DRIFT = 0.005
"""The shortest time is forgotten slowly, by this share of what a batch takes beyond it."""


class Yielding:
    """Of one path. ``now`` and durations are seconds."""

    def __init__(self, places_max: int) -> None:
        """Begin with one batch: how much there is room for shows itself."""
        self._places_max = places_max
        self._shortest_seconds: float | None = None
        self.places = 1
        """Batches of a backlog that may be under way."""
        self.pause_until = 0.0
        """When the next of them may begin."""

    def took(self, seconds: float, now: float, *, is_backlog: bool) -> None:
        """Take note of a batch that is in a block.

        Args:
            seconds: from its beginning until it was known to be in a block.
            now: the moment.
            is_backlog: whether it may have been one of a backlog, and not one of live traffic beside it.
        """
        shortest = seconds if self._shortest_seconds is None else min(seconds, self._shortest_seconds)
        beyond = seconds - shortest
        self._shortest_seconds = shortest + _DRIFT * min(beyond, shortest)
        if not is_backlog:
            return
        if seconds <= _STRETCHED * shortest:
            self.places = min(self._places_max, self.places + 1)
            self.pause_until = now
        elif self.places > 1:
            self.places -= 1
        else:
            self.pause_until = now + min(beyond, _PAUSE_SECONDS_MAX)
