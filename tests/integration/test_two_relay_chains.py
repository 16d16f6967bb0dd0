"""Two relay chains in one domain: free packets over either, each executed once; bound ones only over their own."""

import pytest

from piebridge.protocol_stack.commitment import SlotBase, chain_slot, status_key
from piebridge.protocol_stack.governor_hub_bodies import RelayLifeCycle, RelayState, SetRoutingPolicy
from piebridge.protocol_stack.governor_relay_bodies import LifeCycle
from piebridge.protocol_stack.receipts import ReceiptCode
from piebridge.protocol_stack.relay_messages import HubRange
from piebridge.protocol_stack.routing import RoutingPolicy, SlotRange
from piebridge.protocol_stack.verdicts import Verdict
from piebridge.relay.app.admission import Code
from testkit.world.hub import DOMAIN, SUPPLY
from testkit.world.world import World

FREE, OWN, OTHER = 0, 11, 12
"""Outboxes: the free one, and the ones bound to the two relay chains."""


@pytest.fixture
def world() -> World:
    return World.build(relays=2)


def key_of(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_free_packets_over_either_are_each_executed_once(world: World) -> None:
    for number in range(6):
        world.notarise(1, 2, key_of(number), key_of(100 + number))
    # The first three over one relay chain, all six over the other: three are duplicates at the destination.
    assert world.carry_to_relay(1, 11, bare=(4, 5, 6))[2] == 3
    assert world.record(1, 12) == 6
    first, second = world.deliver(11, 2), world.deliver(12, 2)
    notary = world.hubs[2].notary
    assert [len([log for log in outcome.logs if log.address == notary]) for outcome in (first, second)] == [3, 3]
    for number in range(6):
        assert world.hubs[2].read("recordOf", key_of(number), contract="RecordNotary")[0] == key_of(100 + number)


def test_receipts_of_free_packets_come_home_over_either_and_count_once(world: World) -> None:
    packet = world.notarise(1, 2, key_of(1), key_of(2))
    for relay in (11, 12):
        assert world.record(1, relay) == 1
    world.deliver(11, 2)
    with Unchanged(world, 2):
        world.deliver(12, 2)
    # The destination's free outbox goes to both: each has recorded the packet, so each opens the receipt.
    for relay in (11, 12):
        assert world.record(2, relay) == 1
    outcome = world.deliver(11, 1)
    assert packet.packet_id in [log.topics[1] for log in outcome.logs if log.address == world.hubs[1].notary]
    with Unchanged(world, 1):
        assert not world.deliver(12, 1).logs


def test_a_relay_chain_that_never_saw_the_packet_opens_its_receipt_only_after_it_was_shown_it(world: World) -> None:
    packet = world.notarise(1, 2, key_of(1), key_of(2))
    world.record(1, 11)
    world.deliver(11, 2)
    assert world.record(2, 12) == 0
    assert world.record(1, 12) == 1
    assert world.record(2, 12) == 1
    with Unchanged(world, 2):
        world.deliver(12, 2)
    outcome = world.deliver(12, 1)
    (confirmed,) = [log for log in outcome.logs if log.address == world.hubs[1].notary]
    assert confirmed.topics[1] == packet.packet_id
    assert int.from_bytes(confirmed.data[:32], "big") == ReceiptCode.EXECUTED


def test_a_bound_packet_is_refused_by_the_other_relay_chain(world: World) -> None:
    world.send_token(1, 2, 500)
    height = world.follow(1, 12)
    shown = world.hub_range(1, 11)
    authentication = world.prove(1, height, [chain_slot(DOMAIN, 11)])
    for message in (
        HubRange(1, 11, authentication, shown),
        HubRange(1, 12, authentication, shown),
        HubRange(1, 0, authentication, shown),
        HubRange(1, 12, world.prove(1, height, [chain_slot(DOMAIN, 12)]), shown),
    ):
        chain = world.relays[12]
        code, _, news = chain.submit(chain.sign(message))
        assert (code, news) == (Code.INVALID, 0)
    assert world.relays[12].head(2).number == 0
    assert world.record(1, 11, bound=True) == 1
    world.deliver(11, 2)
    assert world.hubs[2].balance("bob") == 500


def test_what_one_relay_chain_endorsed_cannot_be_brought_as_the_others(world: World) -> None:
    world.send_token(1, 2, 500)
    world.record(1, 11, bound=True)
    envelope = world.envelope(11, 2)
    as_other = envelope[:4] + (12).to_bytes(4, "big") + envelope[8:]
    with Unchanged(world, 2):
        (outcome,) = world.hubs[2].receive(as_other)
        assert not outcome.succeeded
    world.deliver(11, 2)


def test_verdicts_come_from_the_bound_relay_chain_only(world: World) -> None:
    packet = world.send_token(1, 2, 500)
    world.record(1, 11, bound=True)
    world.deliver(11, 2)
    # The receipt is in the destination's outbox bound to relay chain 11. Shown to 12 as anything it is nothing.
    height = world.follow(2, 12)
    message = HubRange(2, 11, world.prove(2, height, [chain_slot(DOMAIN, 11)]), world.hub_range(2, 11))
    chain = world.relays[12]
    assert chain.submit(chain.sign(message))[0] == Code.INVALID
    # Status bits of the lane are read by the relay chain that it is bound to, and by no other.
    name = (SlotBase.STATUS, status_key(DOMAIN, 1, 11, 0, 1))
    assert chain.must(world.prove_slots(2, 12, [name])) == 0
    assert chain.head(1).number == 0
    assert world.relays[11].must(world.prove_slots(2, 11, [name])) > 0
    world.deliver(11, 1)
    assert world.hubs[1].own_status(11, packet.header.transaction.nonce) == Verdict.COMMIT


def test_transactions_are_spread_by_routing_slots_and_nonces_are_counted_apart(world: World) -> None:
    routes = {}
    for epoch, (first, second) in enumerate([(11, 12), (12, 11)], start=2):
        policy = RoutingPolicy(epoch, (SlotRange(first, 0, 512), SlotRange(second, 512, 512)))
        world.hubs[1].govern(SetRoutingPolicy(policy))
        packet = world.send_token(1, 2, 100)
        assert packet.lane.relay == policy.relay_of(1, 2, 2)
        routes[packet.lane.relay] = packet
    assert set(routes) == {11, 12}
    assert [packet.header.transaction.nonce for packet in routes.values()] == [1, 1]
    assert [packet.sequence for packet in routes.values()] == [1, 1]
    for relay in routes:
        world.round_trip(1, 2, relay, bound=True)
        assert world.hubs[1].own_status(relay, 1) == Verdict.COMMIT
    assert world.hubs[2].balance("bob") == 200
    assert world.in_circulation() == SUPPLY


def test_a_policy_change_loses_and_doubles_nothing_in_flight(world: World) -> None:
    before = [world.send_token(1, 2, 10) for _ in range(3)]
    world.record(1, 11, bound=True)
    world.hubs[1].govern(SetRoutingPolicy(RoutingPolicy(2, (SlotRange(12, 0, 1024),))))
    after = [world.send_token(1, 2, 100) for _ in range(3)]
    assert {packet.lane.relay for packet in before} == {11}
    assert {packet.lane.relay for packet in after} == {12}
    world.round_trip(1, 2, 12, bound=True)
    world.round_trip(1, 2, 11, bound=True)
    assert world.hubs[2].balance("bob") == 330
    for relay in (11, 12):
        assert [world.hubs[1].own_status(relay, nonce) for nonce in (1, 2, 3)] == [Verdict.COMMIT] * 3
    assert world.in_circulation() == SUPPLY


def test_a_draining_relay_chain_answers_new_requests_with_an_abort_and_finishes_old_ones(world: World) -> None:
    old = world.send_token(1, 2, 10)
    world.record(1, 11, bound=True)
    late = world.send_token(1, 2, 1_000)
    world.relays[11].govern(LifeCycle(RelayLifeCycle.DRAINING))
    assert world.record(1, 11, bound=True, first=2) == 1
    world.deliver(11, 2)
    world.record(2, 11, bound=True)
    world.deliver(11, 1)
    statuses = [world.hubs[1].own_status(11, packet.header.transaction.nonce) for packet in (old, late)]
    assert statuses == [Verdict.COMMIT, Verdict.ABORT]
    assert world.hubs[2].status(late.lane, late.sequence) == Verdict.ABORT
    assert world.settle(1, late).succeeded
    assert world.in_circulation() == SUPPLY
    # Free packets are carried all the same.
    world.notarise(1, 2, key_of(1), key_of(2))
    assert world.record(1, 11) == 1


def test_draining_at_a_hub_is_reported_to_every_relay_chain(world: World) -> None:
    for number in (1, 2):
        world.hubs[number].govern(RelayState(11, RelayLifeCycle.DRAINING))
    for number in (1, 2):
        assert world.record(number, 12) == 1
    assert world.relays[12].head(1).number == 0


def test_a_halted_relay_chain_moves_nothing_and_holds_up_nobody_else(world: World) -> None:
    """Relay chain 11 has taken everything and then stands still: free packets travel over 12 all the same."""
    for number in range(3):
        world.notarise(1, 2, key_of(number), key_of(number))
    world.record(1, 11)
    assert world.record(1, 12) == 3
    world.deliver(12, 2)
    world.record(2, 12)
    world.deliver(12, 1)
    for number in range(3):
        assert world.hubs[2].read("recordOf", key_of(number), contract="RecordNotary")[0] == key_of(number)


def test_entries_carried_bare_over_one_relay_chain_are_carried_in_full_over_the_other(world: World) -> None:
    world.notarise(1, 2, key_of(1), key_of(2))
    assert world.carry_to_relay(1, 11, bare=(1,))[2] == 0
    assert world.record(1, 12) == 1
    assert world.record(1, 11) == 1


class Unchanged:
    """Nothing changes at a hub."""

    def __init__(self, world: World, registration: int) -> None:
        self._hub = world.hubs[registration]

    def __enter__(self) -> None:
        self._before = self._hub.digest()

    def __exit__(self, *_: object) -> None:
        assert self._hub.digest() == self._before
