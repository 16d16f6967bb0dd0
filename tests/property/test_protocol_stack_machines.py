"""State machines of the stack under any sequence of events (Hypothesis)."""

from hypothesis import given
from hypothesis import strategies as st

from piebridge.crypto.errors import ProtocolError
from piebridge.protocol_stack.transaction.atp import Effect, Input, RecordState, advance
from piebridge.protocol_stack.transaction.status import OriginInput, ParticipantInput, Status, next_status
from piebridge.protocol_stack.transport.base import Reception
from piebridge.protocol_stack.transport.basic import UnorderedWindow
from piebridge.protocol_stack.transport.reliable import OrderedWindow


@given(st.lists(st.sampled_from(Input), max_size=30))
def test_a_relay_record_gives_at_most_one_verdict(events: list[Input]) -> None:
    state, verdicts, requests = RecordState.NONE, 0, 0
    for event in events:
        try:
            after = advance(state, event)
        except ProtocolError:
            continue
        assert not (state.final and after.state is not state)
        verdicts += Effect.VERDICT_TO_ORIGIN in after.effects
        requests += Effect.REQUEST_TO_DESTINATION in after.effects
        state = after.state
    assert verdicts == (1 if state.final else 0)
    assert requests <= 1
    assert not (state is RecordState.COMMIT and requests == 0), "nothing commits that the destination never saw"


@given(st.lists(st.sampled_from([*OriginInput, *ParticipantInput]), max_size=30), st.booleans())
def test_status_bits_are_written_once(events: list[OriginInput | ParticipantInput], origin: bool) -> None:
    status, written = Status.NONE, 0
    for event in events:
        if isinstance(event, OriginInput) is not origin:
            continue
        try:
            after = next_status(status, event)
        except ProtocolError:
            continue
        written += after is not status
        status = after
    assert written == (1 if status.final else 0)


@given(st.lists(st.integers(1, 60), max_size=200), st.sets(st.integers(1, 60)))
def test_an_ordered_lane_ends_every_sequence_once_and_in_order(arrivals: list[int], tombstones: set[int]) -> None:
    window, ended = OrderedWindow().pass_over(tombstones.__contains__), []
    for sequence in arrivals:
        if window.receive(sequence) is Reception.NEXT:
            ended.append(sequence)
            window = window.end(sequence, tombstones.__contains__)
    assert ended == sorted(set(ended))
    assert not set(ended) & tombstones
    assert set(range(1, window.last + 1)) == set(ended) | {t for t in tombstones if t <= window.last}
    assert window.next not in tombstones


@given(st.lists(st.integers(1, 1_500), max_size=200))
def test_an_unordered_lane_takes_each_sequence_once(arrivals: list[int]) -> None:
    pages: dict[int, UnorderedWindow] = {}
    taken = []
    for sequence in arrivals:
        window = pages.get(sequence // 256, UnorderedWindow(sequence // 256))
        if window.receive(sequence) is Reception.NEXT:
            taken.append(sequence)
            pages[sequence // 256] = window.end(sequence)
    assert sorted(taken) == sorted(set(arrivals))
    assert sum(window.word.bit_count() for window in pages.values()) == len(taken)
    assert all(window.word < 1 << 256 for window in pages.values())
