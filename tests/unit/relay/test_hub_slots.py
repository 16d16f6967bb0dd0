"""Storage words of hubs as acknowledgement and as evidence of transactions whose receipt nobody has."""

from dataclasses import replace

import pytest

from piebridge.protocol_stack import commitment
from piebridge.protocol_stack.commitment import SlotBase
from piebridge.protocol_stack.governor_relay_bodies import CloseChain
from piebridge.protocol_stack.header import VerificationHeader
from piebridge.protocol_stack.packet import Packet
from piebridge.protocol_stack.relay_messages import HubSlots, SlotName
from piebridge.protocol_stack.transaction.atp import AbortReason, RecordState
from piebridge.protocol_stack.transaction.status import Status
from piebridge.protocol_stack.verification.base import Method
from piebridge.relay.app import transactions
from piebridge.relay.app.admission import Code
from piebridge.relay.app.records import TransactionRecord
from testkit.hub_model import Executed, HubModel
from testkit.relay_world import RelayWorld, two_chains

CLOSED = SlotName(SlotBase.CLOSED, bytes(32))


@pytest.fixture
def world() -> RelayWorld:
    return two_chains()


@pytest.fixture
def packet(world: RelayWorld) -> Packet:
    """A request that is open and has an entry toward hub 20."""
    packet = world.hubs[10].request(20)
    world.carry_from(world.hubs[10], 1)
    return packet


def transaction_of(world: RelayWorld, packet: Packet) -> TransactionRecord:
    record = transactions.find(world.view, packet.header)
    assert record is not None
    return record


def show(world: RelayWorld, hub: HubModel, *names: SlotName) -> int:
    """Prove slots of a hub at its newest block; return how much was new."""
    hub.chain.close_block()
    world.catch_up(hub)
    world.follow(hub)
    [result] = world.submit(hub.slots_message(names))
    assert result.code == Code.OK, result.log
    return int.from_bytes(result.data, "big")


def status_of(world: RelayWorld, packet: Packet) -> SlotName:
    return world.hubs[20].status_name(packet.lane.source, 1, packet.lane.channel, packet.sequence)


def with_bits(key: bytes, bits: int) -> SlotName:
    """Name a status word by a key with more bits set."""
    return SlotName(SlotBase.STATUS, (int.from_bytes(key, "big") | bits).to_bytes(32, "big"))


def waits(world: RelayWorld, destination: int, number: int) -> bool:
    """Whether a message of the relay chain's outbox is still kept."""
    return world.view.message(destination, number) is not None


def test_committed_bits_commit_without_a_receipt(world: RelayWorld, packet: Packet) -> None:
    world.carry_to(world.hubs[20])
    assert show(world, world.hubs[20], status_of(world, packet)) == 2
    assert transaction_of(world, packet).state is RecordState.COMMIT
    assert not waits(world, 20, 1)
    world.carry_to(world.hubs[10])
    assert world.hubs[10].status(0, 1, 0, 1) is Status.COMMITTED


def test_aborted_bits_abort_without_a_tombstone(world: RelayWorld, packet: Packet) -> None:
    world.hubs[20].handler = lambda packet: Executed(succeeded=False)
    world.carry_to(world.hubs[20])
    show(world, world.hubs[20], status_of(world, packet))
    record = transaction_of(world, packet)
    assert (record.state, record.reason) == (RecordState.ABORT, AbortReason.STATUS)
    head = world.view.outbox_head(20)
    assert head is not None
    assert head.number == 1, "no verdict toward the destination, which knows"


def test_no_bits_before_expiry_decide_nothing(world: RelayWorld, packet: Packet) -> None:
    hub = world.hubs[20]
    hub.chain.now_seconds = packet.header.transaction.execution_expiry - 2
    assert show(world, hub, status_of(world, packet)) == 0
    assert transaction_of(world, packet).state is RecordState.OPEN


def test_no_bits_at_expiry_abort_with_a_tombstone_that_outlives_the_request(world: RelayWorld, packet: Packet) -> None:
    hub = world.hubs[20]
    hub.chain.now_seconds = packet.header.transaction.execution_expiry - 1
    envelope = world.envelope(hub)
    assert show(world, hub, status_of(world, packet)) == 1
    record = transaction_of(world, packet)
    assert (record.state, record.reason) == (RecordState.ABORT, AbortReason.ABSENT)
    assert not waits(world, 20, 1), "the request is dropped"
    world.carry_to(hub, first=2)
    assert hub.status(10, 1, 0, packet.sequence) is Status.ABORTED
    hub.receive(envelope)
    assert hub.executed == []
    assert waits(world, 20, 2)
    show(world, hub, status_of(world, packet))
    assert not waits(world, 20, 2), "status 11 acknowledges the tombstone"


def test_no_bits_at_a_closed_hub_abort_without_a_tombstone(world: RelayWorld, packet: Packet) -> None:
    hub = world.hubs[20]
    hub.close()
    assert show(world, hub, status_of(world, packet)) == 0, "without the closed slot the bits may still change"
    assert show(world, hub, status_of(world, packet), CLOSED) == 1
    record = transaction_of(world, packet)
    assert (record.state, record.reason) == (RecordState.ABORT, AbortReason.ABSENT)
    head = world.view.outbox_head(20)
    assert head is not None
    assert head.number == 1


def test_open_hub_does_not_abort_by_its_closed_slot(world: RelayWorld, packet: Packet) -> None:
    assert show(world, world.hubs[20], status_of(world, packet), CLOSED) == 0
    assert transaction_of(world, packet).state is RecordState.OPEN


def test_words_above_the_closing_height_are_refused(world: RelayWorld, packet: Packet) -> None:
    hub = world.hubs[20]
    world.carry_to(hub)
    hub.chain.close_block()
    world.govern(CloseChain(20, hub.chain.blocks[-1].number - 1))
    world.catch_up(hub)
    world.follow(hub)
    message = hub.slots_message([status_of(world, packet)])
    assert world.submit(message)[0].code == Code.REFUSED
    assert transaction_of(world, packet).state is RecordState.OPEN


def test_committed_bits_of_a_packet_that_was_never_carried_acknowledge_nothing(world: RelayWorld) -> None:
    hub = world.hubs[20]
    refused = world.hubs[10].request(20, verification=VerificationHeader(Method.BOTH))
    world.carry_from(world.hubs[10], 1)
    assert waits(world, 20, 1)
    hub.chain.write(status_of(world, refused).slot, 2 << 2 * refused.sequence)
    assert show(world, hub, status_of(world, refused)) == 0
    assert waits(world, 20, 1), "the tombstone still waits"
    assert transaction_of(world, refused).state is RecordState.ABORT


def test_bits_after_the_verdict_do_not_change_it(world: RelayWorld, packet: Packet) -> None:
    hub = world.hubs[20]
    world.carry_to(hub)
    show(world, hub, status_of(world, packet))
    slot = status_of(world, packet).slot
    hub.chain.write(slot, 3 << 2 * packet.sequence)
    show(world, hub, status_of(world, packet))
    assert transaction_of(world, packet).state is RecordState.COMMIT


def test_origin_bits_acknowledge_verdicts_one_by_one(world: RelayWorld) -> None:
    source, destination = world.hubs[10], world.hubs[20]
    packets = [source.request(20) for _ in range(3)]
    world.carry_from(source, 1)
    world.carry_to(destination)
    world.carry_from(destination, 1)
    assert waits(world, 10, 1)
    name = source.status_name(0, 1, 0, 1)
    slot = name.slot
    source.chain.write(slot, 2 << 2 * 1 | 2 << 2 * 2)
    assert show(world, source, name) == 2
    assert waits(world, 10, 1), "one of three verdicts of the entry still waits"
    assert show(world, source, name) == 0
    source.chain.write(slot, 2 << 2 * 1 | 2 << 2 * 2 | 3 << 2 * 3)
    assert show(world, source, name) == 0, "the opposite of the verdict acknowledges nothing"
    source.chain.write(slot, 2 << 2 * 1 | 2 << 2 * 2 | 2 << 2 * 3)
    assert show(world, source, name) == 1
    assert waits(world, 10, 1) is False
    assert all(transaction_of(world, packet).is_acknowledged for packet in packets)


def test_seen_bits_acknowledge_free_packets(world: RelayWorld) -> None:
    source, destination = world.hubs[10], world.hubs[20]
    packets = [source.send_free(20, receipt_wanted=False) for _ in range(3)]
    world.carry_from(source)
    name = SlotName(SlotBase.SEEN, commitment.seen_key(1, 10, 0, 1))
    assert show(world, destination, name) == 0
    destination.chain.write(name.slot, 1 << packets[0].sequence | 1 << packets[2].sequence)
    assert show(world, destination, name) == 2
    assert [waits(world, 20, number) for number in (1, 2, 3)] == [False, True, False]


def test_receipt_bits_acknowledge_receipts_home(world: RelayWorld) -> None:
    source, destination = world.hubs[10], world.hubs[20]
    packet = source.send_free(20)
    world.carry_from(source)
    world.carry_to(destination)
    world.carry_from(destination)
    assert waits(world, 10, 1)
    name = SlotName(SlotBase.RECEIPTS, commitment.receipts_key(1, 20, 0, 0, packet.sequence))
    assert show(world, source, name) == 0
    world.carry_to(source)
    assert show(world, source, name) == 1
    assert not waits(world, 10, 1)


def test_end_of_an_ordered_lane_acknowledges_all_before_it(world: RelayWorld) -> None:
    source, destination = world.hubs[10], world.hubs[20]
    for _ in range(3):
        source.send_free(20, ordered=True, channel=5, receipt_wanted=False)
    world.carry_from(source)
    name = SlotName(SlotBase.RECEIVE_LANE, commitment.lane_key(1, 10, 0, 5))
    destination.chain.write(name.slot, 2 | 99 << 64)
    assert show(world, destination, name) == 2
    assert [waits(world, 20, number) for number in (1, 2, 3)] == [False, False, True]
    destination.chain.write(name.slot, 3)
    assert show(world, destination, name) == 1


def test_what_another_relay_chain_carried_of_an_ordered_lane_makes_no_message_that_nobody_acknowledges(
    world: RelayWorld,
) -> None:
    """The destination's word is past it when it is recorded here: no word would ever speak of it again."""
    source, destination = world.hubs[10], world.hubs[20]
    sent = [source.send_free(20, ordered=True, channel=5, receipt_wanted=False) for _ in range(3)]
    world.carry_from(source, bare=[2, 3])
    name = SlotName(SlotBase.RECEIVE_LANE, commitment.lane_key(1, 10, 0, 5))
    destination.chain.write(name.slot, 2)
    assert show(world, destination, name) == 1
    world.carry_from(source)
    head = world.view.outbox_head(20)
    assert head is not None
    assert head.number == 2, "the first and the third; the second has ended"
    assert world.view.is_recorded(sent[1].lane, 2)
    assert world.view.packet(sent[1].packet_id) is None
    assert not waits(world, 20, 1)
    destination.chain.write(name.slot, 3)
    assert show(world, destination, name) == 1
    assert not waits(world, 20, 2)


@pytest.mark.parametrize(
    "name",
    [
        SlotName(SlotBase.STATUS, commitment.status_key(2, 10, 1, 0, 1)),
        SlotName(SlotBase.STATUS, commitment.status_key(1, 10, 2, 0, 1)),
        with_bits(commitment.status_key(1, 10, 1, 0, 1), 1 << 255),
        with_bits(commitment.status_key(1, 10, 1, 0, 0), (1 << 64) - 1),
        SlotName(SlotBase.SEEN, commitment.seen_key(2, 10, 0, 1)),
    ],
)
def test_words_of_other_domains_relay_chains_or_impossible_pages_do_nothing(
    world: RelayWorld, packet: Packet, name: SlotName
) -> None:
    hub = world.hubs[20]
    hub.chain.write(name.slot, (1 << 256) - 1 & int("aa" * 32, 16))
    assert show(world, hub, name) == 0
    assert transaction_of(world, packet).state is RecordState.OPEN


def test_status_word_of_another_hub_says_nothing_about_the_destination(world: RelayWorld, packet: Packet) -> None:
    source = world.hubs[10]
    name = status_of(world, packet)
    source.chain.write(name.slot, 2 << 2 * packet.sequence)
    assert show(world, source, name) == 0
    assert transaction_of(world, packet).state is RecordState.OPEN


def test_word_that_its_hub_does_not_hold_is_refused(world: RelayWorld, packet: Packet) -> None:
    hub = world.hubs[20]
    world.carry_to(hub)
    hub.chain.close_block()
    world.catch_up(hub)
    world.follow(hub)
    honest = hub.slots_message([status_of(world, packet)])
    other = HubModel(20)
    other.chain.write(status_of(world, packet).slot, 3 << 2 * packet.sequence)
    other.chain.close_block()
    assert isinstance(honest, HubSlots)
    forged = replace(honest, authentication=other.chain.prove([status_of(world, packet).slot], other.chain.height))
    forged = replace(forged, authentication=replace(forged.authentication, client_height=hub.chain.height))  # type: ignore[arg-type]
    assert world.submit(forged)[0].code == Code.INVALID
    assert transaction_of(world, packet).state is RecordState.OPEN


def test_registered_depth_holds_for_words_too() -> None:
    world = two_chains(depth=1)
    source, destination = world.hubs[10], world.hubs[20]
    packet = source.request(20)
    world.carry_from(source, 1)
    world.carry_from(source, 1)
    world.carry_to(destination)
    destination.chain.close_block()
    world.catch_up(destination)
    world.follow(destination)
    proven_at = destination.chain.height
    message = destination.slots_message([status_of(world, packet)], proven_at)
    assert world.submit(message)[0].code == Code.REFUSED
    destination.chain.close_block()
    world.catch_up(destination)
    world.follow(destination)
    world.must(destination.range_message(1))
    world.must(message)
    assert transaction_of(world, packet).state is RecordState.COMMIT
