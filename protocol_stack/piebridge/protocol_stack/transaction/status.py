"""The two status bits of a transaction: written once, kept for ever (``docs/protocol/formats.md``, section 7).

Two tables, one for the chain where a transaction began and one for a chain that takes part. What is not in a table
contradicts what was decided before and must revert.
"""

from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Final

from piebridge.crypto.errors import ProtocolError


class Status(IntEnum):
    """The two bits. 01 is taken for "prepared"."""

    NONE = 0
    """Unknown at a participant; at the origin, with a nonce that was given out, pending."""
    COMMITTED = 2
    """Final: the effects stay."""
    ABORTED = 3
    """Final: no effect here, or undone."""

    @property
    def final(self) -> bool:
        """Whether it can never change again."""
        return self is not Status.NONE


class OriginInput(Enum):
    """What can reach a transaction at its origin."""

    VERDICT_COMMIT = "verdict commit"
    VERDICT_ABORT = "verdict abort"


class ParticipantInput(Enum):
    """What can reach a transaction at its destination."""

    EXECUTED = "packet executed"
    """The packet arrived in time and its handler succeeded."""
    FAILED = "packet failed"
    """The packet arrived in time and was refused."""
    EXPIRED = "packet expired"
    """The packet arrived too late."""
    VERDICT_COMMIT = "verdict commit"
    VERDICT_ABORT = "verdict abort"
    """Leaves a tombstone where the packet never came."""


ORIGIN_TRANSITIONS: Final = MappingProxyType(
    {
        (Status.NONE, OriginInput.VERDICT_COMMIT): Status.COMMITTED,
        (Status.NONE, OriginInput.VERDICT_ABORT): Status.ABORTED,
        (Status.COMMITTED, OriginInput.VERDICT_COMMIT): Status.COMMITTED,
        (Status.ABORTED, OriginInput.VERDICT_ABORT): Status.ABORTED,
    }
)
"""(status, input) to the next status at the origin; an equal one means that the input is skipped."""

PARTICIPANT_TRANSITIONS: Final = MappingProxyType(
    {
        (Status.NONE, ParticipantInput.EXECUTED): Status.COMMITTED,
        (Status.NONE, ParticipantInput.FAILED): Status.ABORTED,
        (Status.NONE, ParticipantInput.EXPIRED): Status.ABORTED,
        (Status.NONE, ParticipantInput.VERDICT_ABORT): Status.ABORTED,
        (Status.COMMITTED, ParticipantInput.VERDICT_COMMIT): Status.COMMITTED,
        (Status.ABORTED, ParticipantInput.VERDICT_ABORT): Status.ABORTED,
    }
)
"""(status, input) to the next status at a participant; an equal one means that the input is skipped.

A packet whose status is final is a duplicate and is skipped before it becomes an input.
"""


def next_status(status: Status, event: OriginInput | ParticipantInput) -> Status:
    """Return the status after ``event``.

    Raises:
        ProtocolError: the event contradicts what was decided before.
    """
    if isinstance(event, OriginInput):
        following = ORIGIN_TRANSITIONS.get((status, event))
    else:
        following = PARTICIPANT_TRANSITIONS.get((status, event))
    if following is None:
        raise ProtocolError(f"{event.value} contradicts status {status.name}")
    return following
