"""The two tables of transactions, cell by cell."""

import itertools

import pytest

from piebridge.crypto.errors import ProtocolError
from piebridge.protocol_stack.transaction.atp import (
    TRANSITIONS,
    AbortReason,
    Effect,
    Input,
    RecordState,
    advance,
)
from piebridge.protocol_stack.transaction.status import OriginInput, ParticipantInput, Status, next_status

REQUESTS = (Input.REQUEST, Input.REQUEST_LATE, Input.REQUEST_REFUSED, Input.REQUEST_REFUSED_NO_MEMBER)
EVIDENCE = tuple(event for event in Input if event not in REQUESTS)
COMMITTING = (Input.RECEIPT_EXECUTED, Input.STATUS_COMMITTED)


@pytest.mark.parametrize(("state", "event"), [*itertools.product(RecordState, Input)])
def test_every_cell_of_the_relay_record(state: RecordState, event: Input) -> None:
    if (state is RecordState.NONE) != (event in REQUESTS):
        with pytest.raises(ProtocolError):
            advance(state, event)
        return
    after = advance(state, event)
    if state.final:
        assert after == (state, Effect.NOTHING, AbortReason.NONE), "a verdict is written once"
    elif event is Input.REQUEST:
        assert after == (RecordState.OPEN, Effect.REQUEST_TO_DESTINATION, AbortReason.NONE)
    else:
        committed = event in COMMITTING
        assert after.state is (RecordState.COMMIT if committed else RecordState.ABORT)
        assert Effect.VERDICT_TO_ORIGIN in after.effects, "nobody at the source stays locked"
        assert Effect.REQUEST_TO_DESTINATION not in after.effects
        assert (after.reason is AbortReason.NONE) == committed


def test_an_abort_that_the_destination_does_not_know_of_leaves_a_tombstone_there() -> None:
    unknown_there = {Input.REQUEST_LATE, Input.REQUEST_REFUSED, Input.ABSENT_AFTER_EXPIRY}
    told = {event for (_, event), after in TRANSITIONS.items() if Effect.VERDICT_TO_DESTINATION in after.effects}
    assert told == unknown_there


def test_the_relay_chain_has_no_time_out_of_its_own_after_open() -> None:
    out_of_open = {event for (state, event) in TRANSITIONS if state is RecordState.OPEN}
    assert out_of_open == set(EVIDENCE)


@pytest.mark.parametrize(("status", "event"), [*itertools.product(Status, OriginInput)])
def test_every_cell_at_the_origin(status: Status, event: OriginInput) -> None:
    wanted = Status.COMMITTED if event is OriginInput.VERDICT_COMMIT else Status.ABORTED
    if status in (Status.NONE, wanted):
        assert next_status(status, event) is wanted
    else:
        with pytest.raises(ProtocolError):
            next_status(status, event)


PARTICIPANT = {
    (Status.NONE, ParticipantInput.EXECUTED): Status.COMMITTED,
    (Status.NONE, ParticipantInput.FAILED): Status.ABORTED,
    (Status.NONE, ParticipantInput.EXPIRED): Status.ABORTED,
    (Status.NONE, ParticipantInput.VERDICT_ABORT): Status.ABORTED,
    (Status.COMMITTED, ParticipantInput.VERDICT_COMMIT): Status.COMMITTED,
    (Status.ABORTED, ParticipantInput.VERDICT_ABORT): Status.ABORTED,
}
"""All that may happen at a participant; COMMIT for a packet that never came is a contradiction."""


@pytest.mark.parametrize(("status", "event"), [*itertools.product(Status, ParticipantInput)])
def test_every_cell_at_a_participant(status: Status, event: ParticipantInput) -> None:
    if (status, event) in PARTICIPANT:
        assert next_status(status, event) is PARTICIPANT[status, event]
    else:
        with pytest.raises(ProtocolError):
            next_status(status, event)
    assert Status.COMMITTED.final
    assert not Status.NONE.final
