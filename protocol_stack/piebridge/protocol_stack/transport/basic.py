"""Basic transport: at most once, in any order. One bit per packet says whether it reached its end."""

from dataclasses import dataclass
from typing import Final

from piebridge.protocol_stack.commitment import BITS_PER_SLOT
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.header import TransportHeader
from piebridge.protocol_stack.transport.base import Reception

BASIC: Final = 1
"""Number of the protocol in the transport header."""


class BasicTransport:
    """The protocol of unordered lanes, and the only one of the shared channel 0."""

    identifier: Final = BASIC
    name: Final = "basic"
    ordered: Final = False

    def check(self, header: TransportHeader, below: None) -> None:
        """Refuse the flag ORDERED.

        Raises:
            FormatError: ``TRANSPORT_ORDERED``.
        """
        if header.ordered:
            raise FormatError(ErrorCode.TRANSPORT_ORDERED, "a basic packet has the flag ORDERED")


@dataclass(frozen=True, slots=True)
class UnorderedWindow:
    """One word of a bitmap: 256 neighbouring sequences of a lane, as a ``seen`` or ``receipts`` slot holds them."""

    page: int
    """Sequence divided by 256."""
    word: int = 0
    """Bit ``sequence % 256`` is set once that sequence reached its end."""

    def receive(self, sequence: int) -> Reception:
        """Say whether ``sequence``, which must be of this page, reached its end before."""
        return Reception.DUPLICATE if self.word >> self._bit(sequence) & 1 else Reception.NEXT

    def end(self, sequence: int) -> "UnorderedWindow":
        """Return the word after ``sequence`` reached its end."""
        return UnorderedWindow(self.page, self.word | 1 << self._bit(sequence))

    def _bit(self, sequence: int) -> int:
        page, bit = divmod(sequence, BITS_PER_SLOT)
        assert page == self.page, f"sequence {sequence} is of page {page}, this is page {self.page}"
        return bit
