"""Tells live traffic from a backlog, by how items arrive.

Live is what the reader's last look at a chain found in its newest blocks, and what is younger than all that was told of
its lane before: a backlog that is carried to the start of a path piece by piece arrives there like live traffic does,
but behind younger packets of its lanes.
"""

from dataclasses import dataclass, field

from piebridge.gateway.forwarder.model import Item

_LIVE_BLOCKS = 3
"""What one look brings is live where it is of so few blocks. Otherwise the reader was away, and whatever is older than
the newest block is a backlog."""

_LANES_KEPT_MAX = 10_000
"""Lanes whose newest sequence is remembered, at most."""


@dataclass(slots=True)
class _Look:
    """What was told at one moment."""

    at: float
    first_height: int = 0
    last_height: int = 0
    newest: dict[bytes, int] = field(default_factory=dict)
    """Highest sequence of each lane, with what was told before."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """How an item came."""

    look: _Look
    height: int
    is_youngest: bool
    """Whether it was younger than all that were told of its lane before this look."""

    @property
    def is_live(self) -> bool:
        """Whether it is live traffic."""
        look = self.look
        is_recent = self.height == look.last_height or look.last_height - look.first_height < _LIVE_BLOCKS
        return is_recent and self.is_youngest


class Arrivals:
    """Those at the start of one path."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._look = _Look(-1.0)
        self._newest_before: dict[bytes, int] = {}
        """Highest sequence of each lane before the last look; without it a backlog may go past live traffic once."""

    def note(self, item: Item, now: float) -> Arrival:
        """Take note of an item. Whatever comes at the same moment belongs to one look."""
        if self._look.at != now:
            self._newest_before |= self._look.newest
            if len(self._newest_before) > _LANES_KEPT_MAX:
                self._newest_before.clear()
            self._look = _Look(now, item.height, item.height)
        look, newest = self._look, self._newest_before.get(item.lane, -1)
        look.newest[item.lane] = max(item.sequence, look.newest.get(item.lane, newest))
        look.first_height = min(item.height, look.first_height)
        look.last_height = max(item.height, look.last_height)
        return Arrival(look, item.height, item.sequence > newest)
