"""Reliable transport: exactly once and in order; every sequence reaches an end, so a lane never stops."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.header import TransportHeader
from piebridge.protocol_stack.identifiers import SHARED_CHANNEL, Sequence
from piebridge.protocol_stack.transport.base import Reception

RELIABLE: Final = 2
"""Number of the protocol in the transport header."""


class ReliableTransport:
    """The protocol of ordered lanes."""

    identifier: Final = RELIABLE
    name: Final = "reliable"
    ordered: Final = True

    def check(self, header: TransportHeader, below: None) -> None:
        """Demand the flag ORDERED and a channel of an application's own.

        Raises:
            FormatError: ``TRANSPORT_ORDERED`` or ``TRANSPORT_CHANNEL``.
        """
        if not header.ordered:
            raise FormatError(ErrorCode.TRANSPORT_ORDERED, "a reliable packet lacks the flag ORDERED")
        if header.channel == SHARED_CHANNEL:
            raise FormatError(ErrorCode.TRANSPORT_CHANNEL, "a reliable packet is in the shared channel")


@dataclass(frozen=True, slots=True)
class OrderedWindow:
    """The receiving end of an ordered lane."""

    last: Sequence = 0
    """Last sequence that reached its end: executed, failed, expired, or tombstone after an abort."""

    @property
    def next(self) -> Sequence:
        """The only sequence that may be handled now."""
        return self.last + 1

    def receive(self, sequence: Sequence) -> Reception:
        """Compare a sequence with the one that is due."""
        if sequence == self.next:
            return Reception.NEXT
        return Reception.DUPLICATE if sequence <= self.last else Reception.GAP

    def end(self, sequence: Sequence, is_final: Callable[[Sequence], bool]) -> "OrderedWindow":
        """Return the window after ``sequence``, the one that was due, reached its end.

        Args:
            sequence: must be :attr:`next`.
            is_final: whether the status bits of a later sequence of the bound lane are final already (a tombstone that
                came before its turn); those are passed over. In a free lane there are none.
        """
        assert sequence == self.next, f"sequence {sequence} ended out of turn, due is {self.next}"
        return OrderedWindow(sequence).pass_over(is_final)

    def pass_over(self, is_final: Callable[[Sequence], bool]) -> "OrderedWindow":
        """Return the window moved over the sequences that are final without having been received."""
        last = self.last
        while is_final(last + 1):
            last += 1
        return OrderedWindow(last)


@dataclass(frozen=True, slots=True)
class SendWindow:
    """The sending end of any lane: sequences are dense and fixed by the source hub."""

    last: Sequence = 0
    """Last sequence sent."""

    def take(self) -> tuple[Sequence, "SendWindow"]:
        """Return the next sequence, and the window after it was given out."""
        return self.last + 1, SendWindow(self.last + 1)
