"""Who goes first among gateways that know nothing of each other but what the relay chain says."""

import pytest

from piebridge.gateway.forwarder import Flow, PathKey
from piebridge.gateway.turns import HOLD_DEADLINES, Pace, Turns

ADDRESSES = [bytes([number]) * 20 for number in (1, 2, 3)]
BLOCKS = 5
NOW = 1_000.0


def path(registration: int = 1, flow: Flow = Flow.HUB_TO_RELAY, outbox: int = 0) -> PathKey:
    return PathKey(flow.value, registration, 1, outbox)


def turns_of(address: bytes, *, authorised: list[bytes] | None = None, relays: tuple[int, ...] = (1,)) -> Turns:
    turns = Turns(address, takeover_blocks=BLOCKS, relays=relays)
    for relay in relays:
        turns.authorise(relay, ADDRESSES if authorised is None else authorised)
    return turns


def test_exactly_one_gateway_goes_first_on_each_path_and_the_paths_are_shared() -> None:
    gateways = [turns_of(address) for address in ADDRESSES]
    first = []
    for registration in range(1, 40):
        delays = [turns.gateway_delay_seconds(path(registration), NOW) for turns in gateways]
        assert sorted(delays) == [0, 10, 20]  # five blocks of one second at each end
        first.append(delays.index(0))
    assert {first.count(index) > 5 for index in range(3)} == {True}


def test_the_order_does_not_depend_on_the_order_in_which_gateways_are_told() -> None:
    one, other = turns_of(ADDRESSES[0]), turns_of(ADDRESSES[0], authorised=ADDRESSES[::-1])
    assert [one.rank(path(n)) for n in range(20)] == [other.rank(path(n)) for n in range(20)]


def test_when_a_gateway_is_removed_only_its_own_paths_move() -> None:
    before = {n: [turns_of(a).rank(path(n)) for a in ADDRESSES].index(0) for n in range(60)}
    after = {n: [turns_of(a, authorised=ADDRESSES[:2]).rank(path(n)) for a in ADDRESSES[:2]].index(0) for n in before}
    assert any(gateway == 2 for gateway in before.values())
    assert all(after[n] == gateway for n, gateway in before.items() if gateway != 2)


def test_paths_whose_transactions_share_proofs_have_one_turn() -> None:
    for n in range(20):
        for turns in (turns_of(address) for address in ADDRESSES):
            ranks = {turns.rank(path(n, outbox=outbox)) for outbox in (0, 1)}
            assert len(ranks | {turns.rank(path(n, Flow.ACKNOWLEDGE))}) == 1
            assert turns.rank(path(n, Flow.RELAY_TO_HUB)) == turns.rank(path(n, Flow.SETTLE))


def test_strangers_go_last_and_nobody_goes_first_before_the_relay_chain_was_asked() -> None:
    assert turns_of(b"\x09" * 20).rank(path()) == len(ADDRESSES)
    assert Turns(ADDRESSES[0], takeover_blocks=BLOCKS, relays=[1]).rank(path()) == 1


def test_who_has_taken_over_goes_on_for_a_while_and_then_lets_the_other_have_its_turn() -> None:
    turns = next(turns for address in ADDRESSES if (turns := turns_of(address)).rank(path()) == 1)
    turns.carried(path(), [1, 2])
    assert turns.gateway_delay_seconds(path(), NOW) == 10
    assert not turns.finished(path(), [1], NOW)
    assert turns.gateway_delay_seconds(path(), NOW) == 0
    assert turns.gateway_delay_seconds(path(outbox=1), NOW) == 0
    later = NOW + HOLD_DEADLINES * 10
    assert turns.gateway_delay_seconds(path(), later) == 10
    assert not turns.finished(path(), [2], later + 1)
    assert turns.gateway_delay_seconds(path(), later + 1) == 10


def test_others_work_ends_a_take_over() -> None:
    turns = next(turns for address in ADDRESSES if (turns := turns_of(address)).rank(path()) == 2)
    turns.carried(path(), [1])
    turns.finished(path(), [1], NOW)
    assert turns.gateway_delay_seconds(path(), NOW) == 0
    assert turns.finished(path(), [2], NOW)
    assert turns.gateway_delay_seconds(path(), NOW) == 20


def test_the_deadline_follows_the_pace_of_both_chains() -> None:
    turns = next(turns for address in ADDRESSES if (turns := turns_of(address)).rank(path()) == 1)
    turns.relay_paces[1].look(10, 0.0)
    turns.relay_paces[1].look(20, 5.0)
    turns.hub_paces[1].look(1, 0.0)
    turns.hub_paces[1].look(3, 24.0)
    assert turns.deadline_seconds(path()) == pytest.approx(BLOCKS * (0.5 + 12.0))


def test_a_chain_that_stands_still_is_not_taken_for_a_slow_one() -> None:
    pace = Pace()
    pace.look(1, 0.0)
    pace.look(11, 10.0)
    for now in range(20, 4_000, 10):
        pace.look(11, float(now))
    assert pace.seconds == 1.0
    pace.look(12, 4_000.0)
    assert pace.seconds == 1.0
    for number in range(10):
        pace.look(13 + number, 5_000.0 + 1_000 * number)
    assert pace.seconds == 15.0, "and however long it takes, there is a bound"


def test_a_source_block_prefers_one_relay_chain_and_all_gateways_agree() -> None:
    turns = turns_of(ADDRESSES[0], relays=(1, 2, 3))
    preferred = []
    for height in range(60):
        delays = [turns.relay_delay_seconds(4, height, relay) for relay in (1, 2, 3)]
        assert sorted(delays) == [0, 30, 60]
        preferred.append(delays.index(0))
    assert {preferred.count(index) > 8 for index in range(3)} == {True}
