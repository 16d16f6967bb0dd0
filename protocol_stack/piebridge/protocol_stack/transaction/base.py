"""What a transaction protocol must do, and the header rules that several of them share."""

from typing import Protocol

from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.header import KIND_PLAIN, TransactionHeader, TransportHeader
from piebridge.protocol_stack.identifiers import FREE_RELAY


class TransactionProtocol(Protocol):
    """A way to make effects on several chains belong together, or not."""

    @property
    def identifier(self) -> int:
        """Number in the transaction header."""

    @property
    def name(self) -> str:
        """Name for people."""

    @property
    def bound(self) -> bool:
        """Whether its packets travel in bound lanes, because a relay chain gives a verdict."""

    def check(self, header: TransactionHeader, below: TransportHeader) -> None:
        """Refuse a header that this protocol does not make.

        Raises:
            FormatError: with ``TRANSPORT_RELAY`` or a code of the hundred 3xx.
        """


def check_common(header: TransactionHeader, below: TransportHeader) -> None:
    """Check what holds for every transaction protocol.

    Raises:
        FormatError: RETURN without RECEIPT_WANTED, or a packet of an ordered lane without expiry, which could stop it.
    """
    if header.returns_data and not below.receipt_wanted:
        raise FormatError(ErrorCode.TRANSACTION_RETURN, "RETURN is set without RECEIPT_WANTED")
    if below.ordered and header.execution_expiry == 0:
        raise FormatError(ErrorCode.TRANSACTION_EXPIRY, "a packet of an ordered lane has no expiry")


def check_plain(header: TransactionHeader, below: TransportHeader) -> None:
    """Check a packet that belongs to no transaction: free lane, and nothing in the fields of a transaction.

    Raises:
        FormatError: with ``TRANSPORT_RELAY`` or a code of the hundred 3xx.
    """
    if below.relay != FREE_RELAY:
        raise FormatError(ErrorCode.TRANSPORT_RELAY, "a packet without verdict is in a bound lane", actual=below.relay)
    if header.kind != KIND_PLAIN:
        raise FormatError(ErrorCode.TRANSACTION_KIND, "a plain packet has another kind", actual=header.kind)
    if header.participant_index or header.participant_count:
        raise FormatError(ErrorCode.TRANSACTION_PARTICIPANT, "a plain packet names participants")
    if header.origin:
        raise FormatError(ErrorCode.TRANSACTION_ORIGIN, "a plain packet names an origin", actual=header.origin)
    if header.nonce:
        raise FormatError(ErrorCode.TRANSACTION_NONCE, "a plain packet has a nonce", actual=header.nonce)
    if header.deadline:
        raise FormatError(ErrorCode.TRANSACTION_DEADLINE, "a plain packet has a deadline", actual=header.deadline)
    check_common(header, below)
