"""The draw: what is drawn follows from the seed and the list alone, and no operator gets two seats needlessly."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.management.draw import (
    Candidate,
    DrawRules,
    decode_candidates,
    draw,
    draw_round,
    draw_seed,
    encode_candidates,
    first_draw_block,
    seed_block,
)
from piebridge.protocol_stack.management.tags import TAG_DRAW, Place
from testkit.management_samples import candidates as some_candidates
from testkit.samples import Samples

SEED = keccak256(b"seed")

candidates_of_operators = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 2**40)), min_size=1, max_size=30).map(
    lambda items: tuple(Candidate(node, operator, weight) for node, (operator, weight) in enumerate(items, start=1))
)


def nodes(candidates: tuple[Candidate, ...]) -> set[int]:
    return {candidate.node for candidate in candidates}


def test_a_list_is_cut_at_whole_candidates_only() -> None:
    given = some_candidates(Samples(8))
    data = encode_candidates(given)
    assert len(data) == 20 * len(given) > 20
    for length in range(len(data)):
        if length % 20:
            with pytest.raises(FormatError):
                decode_candidates(data[:length])
        else:
            assert decode_candidates(data[:length]) == given[: length // 20]


def test_a_list_has_1024_candidates_at_most_and_no_node_twice() -> None:
    full = tuple(Candidate(node, 1, 1) for node in range(1, 1_025))
    assert decode_candidates(encode_candidates(full)) == full
    for bad in ((*full, Candidate(2_000, 1, 1)), (full[0], full[0])):
        data = b"".join(candidate.encode() for candidate in bad)
        with pytest.raises(FormatError):
            encode_candidates(bad)
        with pytest.raises(FormatError):
            decode_candidates(data)


def test_rounds_are_256_blocks_long_and_their_seed_block_can_still_be_asked_for() -> None:
    closed = 1_000
    assert first_draw_block(closed) == 1_003
    for block in range(1_003, 1_003 + 3 * 256):
        number = draw_round(closed, block)
        assert number == (block - 1_003) // 256
        assert 1 <= block - seed_block(closed, number) <= 256
    with pytest.raises(FormatError) as refused:
        draw_round(closed, 1_002)
    assert refused.value.code is ErrorCode.DRAW


def test_the_seed_is_bound_to_place_request_round_and_block() -> None:
    place = Place(5, bytes(range(20)))
    given = draw_seed(place, b"\1" * 32, 7, b"\2" * 32)
    assert given == keccak256(
        TAG_DRAW + (5).to_bytes(8, "big") + bytes(range(20)) + b"\1" * 32 + (7).to_bytes(4, "big") + b"\2" * 32
    )
    others = {
        draw_seed(Place(6, place.contract), b"\1" * 32, 7, b"\2" * 32),
        draw_seed(Place(5, bytes(20)), b"\1" * 32, 7, b"\2" * 32),
        draw_seed(place, b"\3" * 32, 7, b"\2" * 32),
        draw_seed(place, b"\1" * 32, 8, b"\2" * 32),
        draw_seed(place, b"\1" * 32, 7, b"\4" * 32),
    }
    assert len(others | {given}) == 6


def test_a_draw_by_hand() -> None:
    listed = (Candidate(11, 1, 5), Candidate(12, 2, 3), Candidate(13, 1, 100))
    first = int.from_bytes(keccak256(SEED + bytes(4) + bytes(4)), "big") % 108
    expected = 11 if first < 5 else 12 if first < 8 else 13
    pool = [candidate for candidate in listed if candidate.operator != (2 if expected == 12 else 1)]
    second = int.from_bytes(keccak256(SEED + bytes(4) + bytes(3) + b"\1"), "big") % sum(c.weight for c in pool)
    then = pool[0].node if second < pool[0].weight else pool[1].node
    ((one, two),) = draw(SEED, listed, {11, 12, 13}, DrawRules(1, 2))
    assert (one.node, two.node) == (expected, then)


@settings(max_examples=150, deadline=None)
@given(seed=st.binary(min_size=32, max_size=32), listed=candidates_of_operators, seats=st.integers(1, 6))
def test_seats_are_spread_over_operators_as_evenly_as_can_be(
    seed: bytes, listed: tuple[Candidate, ...], seats: int
) -> None:
    if len(listed) < 2 * seats:
        with pytest.raises(FormatError):
            draw(seed, listed, nodes(listed), DrawRules(2, seats))
        return
    drawn = draw(seed, listed, nodes(listed), DrawRules(2, seats))
    assert drawn == draw(seed, listed, nodes(listed), DrawRules(2, seats))
    everybody = [candidate for chosen in drawn for candidate in chosen]
    assert len({candidate.node for candidate in everybody}) == 2 * seats
    free = set(listed)
    for chosen in drawn:
        assert len(chosen) == seats
        counts = Counter(candidate.operator for candidate in chosen)
        left = free - set(chosen)
        for operator, count in counts.items():
            fewer = {other.operator for other in left if counts[other.operator] + 1 < count}
            assert not fewer, f"operator {operator} has {count} seats while others have fewer and are free"
        free = left


@settings(max_examples=60, deadline=None)
@given(seed=st.binary(min_size=32, max_size=32), listed=candidates_of_operators, data=st.data())
def test_only_who_is_still_offered_is_drawn(seed: bytes, listed: tuple[Candidate, ...], data: st.DataObject) -> None:
    offered = data.draw(st.sets(st.sampled_from(sorted(nodes(listed))), min_size=1))
    ((chosen,),) = draw(seed, listed, offered, DrawRules(1, 1))
    assert chosen.node in offered
    reduced = tuple(candidate for candidate in listed if candidate.node in offered)
    assert draw(seed, reduced, offered, DrawRules(1, 1)) == ((chosen,),)


def test_chances_follow_the_weights() -> None:
    listed = (Candidate(1, 1, 1), Candidate(2, 2, 3))
    counts = Counter(
        draw(keccak256(b"%d" % number), listed, {1, 2}, DrawRules(1, 1))[0][0].node for number in range(2_000)
    )
    assert 400 < counts[1] < 600


def test_a_single_operator_gets_all_seats_of_a_relay_chain() -> None:
    listed = (
        Candidate(1, 1, 2**40),
        Candidate(2, 2, 1),
        Candidate(3, 2, 1),
        Candidate(4, 3, 1),
        Candidate(5, 3, 1),
    )
    rules = DrawRules(2, 2, single_operator=True)
    for number in range(20):
        drawn = draw(keccak256(b"%d" % number), listed, nodes(listed), rules)
        assert sorted({candidate.operator for candidate in chosen} == {2} for chosen in drawn) == [False, True]
        assert all(len({candidate.operator for candidate in chosen}) == 1 for chosen in drawn)
    with pytest.raises(FormatError):
        draw(SEED, listed, nodes(listed), DrawRules(1, 3, single_operator=True))


def test_no_operator_gets_a_quorum() -> None:
    listed = (Candidate(1, 1, 1), Candidate(2, 1, 1), Candidate(3, 1, 1), Candidate(4, 2, 1))
    free = draw(SEED, listed, nodes(listed), DrawRules(1, 4))
    assert len(free[0]) == 4
    with pytest.raises(FormatError) as refused:
        draw(SEED, listed, nodes(listed), DrawRules(1, 4, operator_seats_max=2))
    assert refused.value.code is ErrorCode.DRAW


def test_those_who_stay_count() -> None:
    listed = (Candidate(1, 1, 2**40), Candidate(2, 2, 1))
    for number in range(20):
        seed = keccak256(b"%d" % number)
        assert draw(seed, listed, {1, 2}, DrawRules(1, 1, staying=(1, 3, 4)))[0][0].node == 2
    assert draw(SEED, listed, {1}, DrawRules(1, 1, staying=(1, 3, 4)))[0][0].node == 1
    with pytest.raises(FormatError):
        draw(SEED, listed, {1}, DrawRules(1, 1, operator_seats_max=1, staying=(1, 3, 4)))
