"""The port to the board: an adapter reads the contract's events and sends transactions."""

from dataclasses import dataclass
from typing import Protocol

from piebridge.management_chain.governor.effects import BoardEffect
from piebridge.management_chain.governor.events import BoardEvent


@dataclass(frozen=True, slots=True)
class BoardReading:
    """What a board shows of some blocks."""

    events: tuple[BoardEvent, ...]
    """In the order of the chain."""
    height: int
    """All events up to this height, inclusive, are given; final."""


class Board(Protocol):
    """A governor's access to the board."""

    async def read(self, after: int) -> BoardReading:
        """Return what final blocks above a height show.

        Args:
            after: height up to which, inclusive, everything is known; 0 for all.

        Raises:
            TransientChainError: try again later.
            PermanentChainError: this is not the board that it was.
        """

    async def submit(self, effect: BoardEffect) -> None:
        """Send a transaction from this governor's account; it need not be in a block when this returns.

        Raises:
            TransientChainError: it may not have been sent; the governor wants it again by itself.
            PermanentChainError: the contract refuses it, for example because it is there already.
        """
