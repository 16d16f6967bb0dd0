"""ATP, policy LAST_AGENT: the destination executes and commits in one step, and its write-once receipt decides.

The relay chain keeps one record per transaction. :data:`TRANSITIONS` is that record's whole life: a request opens it,
the destination's evidence closes it, and nothing else does. In particular the relay chain has no time-out of its own
after OPEN: it would let the source take back what the destination has executed.
"""

from enum import Enum, Flag, IntEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from piebridge.crypto.errors import ProtocolError
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.header import KIND_REQUEST, TransactionHeader, TransportHeader
from piebridge.protocol_stack.identifiers import FREE_RELAY
from piebridge.protocol_stack.transaction.base import check_common

ATP: Final = 2
"""Number of the protocol in the transaction header."""


class RollbackTransaction:
    """The protocol of transactions that one destination decides and the source can take back."""

    identifier: Final = ATP
    name: Final = "atp"
    bound: Final = True

    def check(self, header: TransactionHeader, below: TransportHeader) -> None:
        """Demand a bound lane and a complete REQUEST of one participant.

        Raises:
            FormatError: with ``TRANSPORT_RELAY`` or a code of the hundred 3xx.
        """
        if below.relay == FREE_RELAY:
            raise FormatError(ErrorCode.TRANSPORT_RELAY, "a transaction is in a free lane")
        if header.kind != KIND_REQUEST:
            raise FormatError(ErrorCode.TRANSACTION_KIND, "ATP has one kind", expected=KIND_REQUEST, actual=header.kind)
        if header.participant_index != 0 or header.participant_count != 1:
            raise FormatError(
                ErrorCode.TRANSACTION_PARTICIPANT,
                "ATP has one participant",
                expected=(0, 1),
                actual=(header.participant_index, header.participant_count),
            )
        if header.origin != below.source:
            raise FormatError(
                ErrorCode.TRANSACTION_ORIGIN,
                "a request comes from its origin",
                expected=below.source,
                actual=header.origin,
            )
        if header.nonce == 0:
            raise FormatError(ErrorCode.TRANSACTION_NONCE, "a request has no nonce")
        if header.execution_expiry == 0:
            raise FormatError(ErrorCode.TRANSACTION_EXPIRY, "a request has no expiry")
        if header.deadline < header.execution_expiry:
            raise FormatError(
                ErrorCode.TRANSACTION_DEADLINE,
                "the deadline is before the expiry",
                expected=header.execution_expiry,
                actual=header.deadline,
            )
        check_common(header, below)


class RecordState(IntEnum):
    """State of a transaction's record on its relay chain."""

    NONE = 0
    """No request was recorded."""
    OPEN = 1
    """The request is on its way to the destination, which decides."""
    COMMIT = 2
    """Final: the destination executed it."""
    ABORT = 3
    """Final: the destination did not and will not execute it."""

    @property
    def final(self) -> bool:
        """Whether the verdict is written; it is written once."""
        return self in (RecordState.COMMIT, RecordState.ABORT)


class AbortReason(IntEnum):
    """Why a transaction was aborted, as a query of the relay chain tells it."""

    NONE = 0
    """It was not."""
    LATE = 1
    """The request came at or after its deadline."""
    REFUSED = 2
    """The relay chain could not serve the request."""
    FAILED = 3
    """The destination refused it."""
    EXPIRED = 4
    """It reached the destination too late."""
    STATUS = 5
    """The destination's status bits say so; the code is lost."""
    ABSENT = 6
    """Expiry passed at the destination, or its hub was closed, and the packet had not come."""


class Input(Enum):
    """What can reach a record."""

    REQUEST = "request in time"
    """Proven, final, served in full, before the deadline."""
    REQUEST_LATE = "request at or after its deadline"
    REQUEST_REFUSED = "request that cannot be served, to a member"
    REQUEST_REFUSED_NO_MEMBER = "request that cannot be served, to a chain that is no open member"
    RECEIPT_EXECUTED = "receipt EXECUTED"
    RECEIPT_FAILED = "receipt FAILED"
    """Any of the three codes for a refusal."""
    RECEIPT_EXPIRED = "receipt EXPIRED"
    STATUS_COMMITTED = "destination's status bits 10"
    STATUS_ABORTED = "destination's status bits 11"
    ABSENT_AFTER_EXPIRY = "destination's status bits 00 at a header with time at or after the expiry"
    ABSENT_AT_CLOSED = "destination's status bits 00 at a header that proves its closed slot"


class Effect(Flag):
    """Entries that the relay chain makes."""

    NOTHING = 0
    REQUEST_TO_DESTINATION = 1
    """The packet becomes an entry toward its destination."""
    VERDICT_TO_ORIGIN = 2
    VERDICT_TO_DESTINATION = 4
    """Leaves a tombstone, so that the packet can never execute and an ordered lane goes on."""


class Transition(NamedTuple):
    """What an input does to a record."""

    state: RecordState
    effects: Effect
    reason: AbortReason = AbortReason.NONE


_EVIDENCE: Final = MappingProxyType(
    {
        Input.RECEIPT_EXECUTED: Transition(RecordState.COMMIT, Effect.VERDICT_TO_ORIGIN),
        Input.STATUS_COMMITTED: Transition(RecordState.COMMIT, Effect.VERDICT_TO_ORIGIN),
        Input.RECEIPT_FAILED: Transition(RecordState.ABORT, Effect.VERDICT_TO_ORIGIN, AbortReason.FAILED),
        Input.RECEIPT_EXPIRED: Transition(RecordState.ABORT, Effect.VERDICT_TO_ORIGIN, AbortReason.EXPIRED),
        Input.STATUS_ABORTED: Transition(RecordState.ABORT, Effect.VERDICT_TO_ORIGIN, AbortReason.STATUS),
        Input.ABSENT_AFTER_EXPIRY: Transition(
            RecordState.ABORT, Effect.VERDICT_TO_ORIGIN | Effect.VERDICT_TO_DESTINATION, AbortReason.ABSENT
        ),
        Input.ABSENT_AT_CLOSED: Transition(RecordState.ABORT, Effect.VERDICT_TO_ORIGIN, AbortReason.ABSENT),
    }
)

TRANSITIONS: Final = MappingProxyType(
    {
        (RecordState.NONE, Input.REQUEST): Transition(RecordState.OPEN, Effect.REQUEST_TO_DESTINATION),
        (RecordState.NONE, Input.REQUEST_LATE): Transition(
            RecordState.ABORT, Effect.VERDICT_TO_ORIGIN | Effect.VERDICT_TO_DESTINATION, AbortReason.LATE
        ),
        (RecordState.NONE, Input.REQUEST_REFUSED): Transition(
            RecordState.ABORT, Effect.VERDICT_TO_ORIGIN | Effect.VERDICT_TO_DESTINATION, AbortReason.REFUSED
        ),
        (RecordState.NONE, Input.REQUEST_REFUSED_NO_MEMBER): Transition(
            RecordState.ABORT, Effect.VERDICT_TO_ORIGIN, AbortReason.REFUSED
        ),
        **{(RecordState.OPEN, event): transition for event, transition in _EVIDENCE.items()},
        # A verdict is written once: evidence behind it changes nothing, even where a dishonest destination contradicts
        # itself.
        **{
            (state, event): Transition(state, Effect.NOTHING)
            for state in (RecordState.COMMIT, RecordState.ABORT)
            for event in _EVIDENCE
        },
    }
)
"""(state, input) to what happens.

What is not in the table cannot happen: a request is recorded once, and evidence counts only for a recorded request.
"""


def advance(state: RecordState, event: Input) -> Transition:
    """Return what ``event`` does to a record in ``state``.

    Raises:
        ProtocolError: the table does not have it.
    """
    transition = TRANSITIONS.get((state, event))
    if transition is None:
        raise ProtocolError(f"{event.value} does not fit a transaction in state {state.name}")
    return transition
