"""What a transport protocol must do: rules of its header, and when a hub takes a packet."""

from enum import Enum
from typing import Protocol

from piebridge.protocol_stack.header import TransportHeader


class Reception(Enum):
    """What the receiving end of a lane says of a sequence."""

    NEXT = "next"
    """It may be handled now."""
    DUPLICATE = "duplicate"
    """It reached its end before; it is skipped and gets no receipt."""
    GAP = "gap"
    """Others come before it in an ordered lane; it is skipped and may come again."""


class TransportProtocol(Protocol):
    """A way to carry the packets of a lane."""

    @property
    def identifier(self) -> int:
        """Number in the transport header."""

    @property
    def name(self) -> str:
        """Name for people."""

    @property
    def ordered(self) -> bool:
        """Whether its lanes are ordered."""

    def check(self, header: TransportHeader, below: None) -> None:
        """Refuse a header that this protocol does not make.

        Raises:
            FormatError: with a code of the hundred 1xx.
        """
