"""A member chain that is malicious as a whole: its hub proves any entry it likes (security rows O10, O15)."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from piebridge.abci.messages import CODE_OK
from piebridge.protocol_stack.governor_hub_bodies import RelayLifeCycle
from piebridge.protocol_stack.governor_relay_bodies import CloseChain, LifeCycle, Pause, Unpause
from piebridge.protocol_stack.header import Header, VerificationHeader
from piebridge.protocol_stack.packet import Packet, packets_hash
from piebridge.protocol_stack.receipts import Receipt, ReceiptBatch, ReceiptCode
from piebridge.protocol_stack.transaction.atp import AbortReason, RecordState
from piebridge.protocol_stack.transaction.status import Status
from piebridge.protocol_stack.transport.outbox import (
    Form,
    HeaderEntry,
    MalformedEntry,
    PacketEntry,
    ReceiptsEntry,
    VerdictsEntry,
)
from piebridge.protocol_stack.verdicts import ParticipantVerdict, Verdict, VerdictList
from piebridge.protocol_stack.verification.base import Method
from piebridge.relay.app import transactions
from piebridge.relay.app.records import TransactionRecord
from testkit.hub_model import HubModel
from testkit.relay_world import RelayWorld, two_chains


@pytest.fixture
def world() -> RelayWorld:
    return two_chains()


def put(world: RelayWorld, hub: HubModel, header: Header, *, relay: int = 0, body: bytes = b"body") -> Packet:
    """Let a hub prove a packet with any header whatsoever, and carry it."""
    packet = Packet(header, body)
    hub.append(relay, PacketEntry(hub.chain.next_number, packet))
    world.carry_from(hub, relay, first=hub.outboxes[relay].number)
    return packet


def is_recorded(world: RelayWorld, packet: Packet) -> bool:
    return world.view.packet(packet.packet_id) is not None


def outbox_length(world: RelayWorld, registration: int) -> int:
    head = world.view.outbox_head(registration)
    assert head is not None
    return head.number


def transaction_of(world: RelayWorld, packet: Packet) -> TransactionRecord | None:
    return transactions.find(world.view, packet.header)


TRANSPORT_LIES: dict[str, Callable[[Header], Header]] = {
    "another domain": lambda h: replace(h, transport=replace(h.transport, domain=2)),
    "another source": lambda h: replace(h, transport=replace(h.transport, source=20, destination=10)),
    "a source that nobody registered": lambda h: replace(h, transport=replace(h.transport, source=99)),
}


@pytest.mark.parametrize("lie", TRANSPORT_LIES)
def test_free_packet_that_speaks_for_another_is_skipped_and_the_batch_goes_on(world: RelayWorld, lie: str) -> None:
    hub = world.hubs[10]
    forged = Packet(TRANSPORT_LIES[lie](hub.header(20)), b"body")
    hub.append(0, PacketEntry(hub.chain.next_number, forged))
    honest = hub.send_free(20)
    world.carry_from(hub)
    assert not is_recorded(world, forged)
    assert is_recorded(world, honest)


REQUEST_LIES: dict[str, Callable[[Header], Header]] = {
    "another domain": TRANSPORT_LIES["another domain"],
    "another source": lambda h: replace(
        h,
        transport=replace(h.transport, source=20, destination=10),
        transaction=replace(h.transaction, origin=20),
    ),
    "another relay chain": lambda h: replace(h, transport=replace(h.transport, relay=2)),
}


@pytest.mark.parametrize("lie", REQUEST_LIES)
def test_request_that_speaks_for_another_is_skipped_and_not_answered(world: RelayWorld, lie: str) -> None:
    hub = world.hubs[10]
    packet = put(world, hub, REQUEST_LIES[lie](hub.header(20, relay=1)), relay=1)
    assert not is_recorded(world, packet)
    assert (outbox_length(world, 10), outbox_length(world, 20)) == (0, 0)


def test_request_whose_origin_is_not_its_source_does_not_decode_and_counts_as_bare(world: RelayWorld) -> None:
    hub = world.hubs[10]
    header = hub.header(20, relay=1)
    packet = put(world, hub, replace(header, transaction=replace(header.transaction, origin=20)), relay=1)
    assert not is_recorded(world, packet)
    assert (outbox_length(world, 10), outbox_length(world, 20)) == (0, 0)


def test_request_in_the_free_outbox_is_skipped(world: RelayWorld) -> None:
    hub = world.hubs[10]
    assert not is_recorded(world, put(world, hub, hub.header(20, relay=1), relay=0))


def test_free_packet_in_the_bound_outbox_is_skipped(world: RelayWorld) -> None:
    hub = world.hubs[10]
    assert not is_recorded(world, put(world, hub, hub.header(20), relay=1))


def test_bytes_that_do_not_decode_are_folded_like_bare_ones(world: RelayWorld) -> None:
    hub = world.hubs[10]
    header = bytearray(hub.header(20).encode())
    header[1] = 9
    from piebridge.protocol_stack.errors import ErrorCode, FormatError

    reason = FormatError(ErrorCode.TRANSPORT_PROTOCOL, "unknown")
    hub.append(0, MalformedEntry(hub.chain.next_number, Form.PACKET, bytes(header), b"body", reason))
    honest = hub.send_free(20)
    world.carry_from(hub)
    assert is_recorded(world, honest)


def test_verdict_dressed_as_a_hub_message_refuses_the_range(world: RelayWorld) -> None:
    hub = world.hubs[10]
    verdict = VerdictList((ParticipantVerdict(20, 0, 1, Verdict.COMMIT),))
    from piebridge.protocol_stack.errors import FormatError

    hub.append(0, VerdictsEntry(hub.chain.next_number, verdict))
    hub.chain.close_block()
    with pytest.raises(FormatError):
        hub.range(0).encode()


# --- requests that speak for themselves but cannot be served ----------------------------------------------------------


def assert_answered(
    world: RelayWorld, packet: Packet, reason: AbortReason, *, tombstone: bool, origin: int = 10
) -> None:
    """The request is recorded, never carried, and its origin gets an ABORT that names it."""
    record = transaction_of(world, packet)
    assert record is not None
    assert (record.state, record.reason) == (RecordState.ABORT, reason)
    stored = world.view.packet(packet.packet_id)
    assert stored is not None
    assert not stored.is_carried
    assert bool(stored.tombstone_entry) is tombstone
    source = world.hubs[origin]
    world.carry_to(source)
    nonce = packet.header.transaction.nonce
    assert source.status(0, 1, 0, nonce) is Status.ABORTED
    source.settle(1, nonce, [packet])
    if tombstone:
        destination = world.hubs[packet.lane.destination]
        world.carry_to(destination)
        lane = packet.lane
        assert destination.status(lane.source, 1, lane.channel, packet.sequence) is Status.ABORTED


def test_request_to_a_chain_that_is_no_member_is_refused_without_tombstone(world: RelayWorld) -> None:
    packet = world.hubs[10].request(77)
    world.carry_from(world.hubs[10], 1)
    assert_answered(world, packet, AbortReason.REFUSED, tombstone=False)


def test_request_to_a_closed_chain_is_refused_without_tombstone(world: RelayWorld) -> None:
    world.govern(CloseChain(20, 1_000))
    packet = world.hubs[10].request(20)
    world.carry_from(world.hubs[10], 1)
    assert_answered(world, packet, AbortReason.REFUSED, tombstone=False)


def test_request_at_a_draining_relay_chain_is_refused_with_tombstone(world: RelayWorld) -> None:
    world.govern(LifeCycle(RelayLifeCycle.DRAINING))
    free = world.hubs[10].send_free(20)
    packet = world.hubs[10].request(20)
    world.carry_from(world.hubs[10], 1)
    world.carry_from(world.hubs[10], 0)
    assert_answered(world, packet, AbortReason.REFUSED, tombstone=True)
    assert is_recorded(world, free), "everything else goes on while draining"


@pytest.mark.parametrize(
    "demand",
    [
        pytest.param(VerificationHeader(Method.BOTH), id="both methods of a chain with a light client only"),
        pytest.param(VerificationHeader(Method.SPV, depth=11), id="depth above the registered maximum"),
        pytest.param(VerificationHeader(Method.SPV, oldest_set_epoch=1), id="notary epoch of a chain without notaries"),
    ],
)
def test_demand_that_the_registration_does_not_meet_is_refused(world: RelayWorld, demand: VerificationHeader) -> None:
    packet = world.hubs[10].request(20, verification=demand)
    free = world.hubs[10].send_free(20, verification=demand)
    world.carry_from(world.hubs[10], 1)
    world.carry_from(world.hubs[10], 0)
    assert_answered(world, packet, AbortReason.REFUSED, tombstone=True)
    assert not is_recorded(world, free)


def test_free_packet_with_an_unmet_demand_ends_expired_at_its_destination(world: RelayWorld) -> None:
    source, destination = world.hubs[10], world.hubs[20]
    demand = VerificationHeader(Method.BOTH)
    packet = source.send_free(20, verification=demand)
    expiry = packet.header.transaction.execution_expiry
    world.carry_from(source)
    assert not is_recorded(world, packet)
    world.time_ns = expiry * 1_000_000_000
    world.carry_from(source)
    assert is_recorded(world, packet)
    destination.chain.now_seconds = expiry
    world.carry_to(destination)
    assert destination.executed == []


def test_packet_that_asks_for_a_weaker_method_is_served_by_the_registered_one(world: RelayWorld) -> None:
    packet = world.hubs[10].request(20, verification=VerificationHeader(Method.NOTARY))
    world.carry_from(world.hubs[10], 1)
    record = transaction_of(world, packet)
    assert record is not None
    assert record.state is RecordState.OPEN


def test_request_with_a_body_above_the_cap_is_refused_and_a_free_packet_skipped(world: RelayWorld) -> None:
    body = bytes(8_193)
    packet = world.hubs[10].request(20, body=body)
    free = world.hubs[10].send_free(20, body=body)
    allowed = world.hubs[10].send_free(20, body=bytes(8_192))
    served = world.hubs[10].request(20, body=bytes(8_192))
    world.carry_from(world.hubs[10], 1)
    world.carry_from(world.hubs[10], 0)
    assert_answered(world, packet, AbortReason.REFUSED, tombstone=True)
    assert not is_recorded(world, free)
    assert is_recorded(world, allowed)
    record = transaction_of(world, served)
    assert record is not None
    assert record.state is RecordState.OPEN


def test_request_of_a_closed_origin_is_refused_for_nobody_could_tell_it_the_verdict(world: RelayWorld) -> None:
    hub = world.hubs[10]
    packet = hub.request(20)
    hub.chain.close_block()
    world.catch_up(hub)
    world.follow(hub)
    world.govern(CloseChain(10, hub.chain.blocks[-1].number))
    world.must(hub.range_message(1))
    record = transaction_of(world, packet)
    assert record is not None
    assert record.state is RecordState.ABORT
    assert outbox_length(world, 10) == 0
    world.carry_to(world.hubs[20])
    assert world.hubs[20].status(10, 1, 0, packet.sequence) is Status.ABORTED


def test_late_request_waits_for_the_depth_that_it_demands(world: RelayWorld) -> None:
    hub = world.hubs[10]
    packet = hub.request(20, verification=VerificationHeader(Method.SPV, depth=1))
    world.time_ns = packet.header.transaction.deadline * 1_000_000_000
    world.carry_from(hub, 1)
    assert not is_recorded(world, packet)
    world.carry_from(hub, 1)
    assert_answered(world, packet, AbortReason.LATE, tombstone=True)


def test_request_at_its_deadline_is_aborted_late_from_header_and_hash_alone(world: RelayWorld) -> None:
    hub = world.hubs[10]
    header = hub.header(20, relay=1)
    packet = Packet(header, b"body")
    hub.append(1, HeaderEntry(hub.chain.next_number, header, packet.body_hash))
    deadline = header.transaction.deadline
    # One second before, header and hash count as bare; carrying ends one second later than the clock says now.
    hub.chain.close_block()
    world.catch_up(hub)
    world.follow(hub)
    world.time_ns = (deadline - 2) * 1_000_000_000
    world.must(hub.range_message(1))
    assert not is_recorded(world, packet)
    world.must(hub.range_message(1))
    assert_answered(world, packet, AbortReason.LATE, tombstone=True)


def test_whole_request_at_its_deadline_is_late_and_before_it_served(world: RelayWorld) -> None:
    hub = world.hubs[10]
    early, late = hub.request(20), hub.request(20)
    hub.chain.close_block()
    world.catch_up(hub)
    world.follow(hub)
    world.time_ns = (early.header.transaction.deadline - 2) * 1_000_000_000
    message = hub.range_message(1)
    only_first = replace(message, range=hub.range(1, bare=[2]))
    world.must(only_first)
    world.must(message)
    first, second = transaction_of(world, early), transaction_of(world, late)
    assert first is not None
    assert second is not None
    assert first.state is RecordState.OPEN
    assert (second.state, second.reason) == (RecordState.ABORT, AbortReason.LATE)


def test_late_request_to_no_member_is_late_whatever_else_it_demands(world: RelayWorld) -> None:
    packet = world.hubs[10].request(77, verification=VerificationHeader(Method.BOTH))
    world.time_ns = packet.header.transaction.deadline * 1_000_000_000
    world.carry_from(world.hubs[10], 1)
    assert_answered(world, packet, AbortReason.LATE, tombstone=False)


def test_paused_relay_chain_takes_no_packet_but_still_ends_late_requests(world: RelayWorld) -> None:
    hub = world.hubs[10]
    request, free = hub.request(20), hub.send_free(20)
    world.govern(Pause())
    world.carry_from(hub, 1)
    world.carry_from(hub, 0)
    assert not is_recorded(world, request)
    assert not is_recorded(world, free)
    world.govern(Unpause())
    world.carry_from(hub, 0)
    assert is_recorded(world, free)
    world.govern(Pause())
    world.time_ns = request.header.transaction.deadline * 1_000_000_000
    world.carry_from(hub, 1)
    assert_answered(world, request, AbortReason.LATE, tombstone=True)


def test_nonce_given_out_twice_decides_nothing_and_entombs_the_second_request(world: RelayWorld) -> None:
    hub = world.hubs[10]
    first = hub.request(20)
    second = hub.request(20, nonce=first.header.transaction.nonce)
    world.carry_from(hub, 1)
    record = transaction_of(world, first)
    assert record is not None
    assert (record.state, record.packet_id) == (RecordState.OPEN, first.packet_id)
    stored = world.view.packet(second.packet_id)
    assert stored is not None
    assert not stored.is_carried
    world.carry_to(world.hubs[20])
    assert world.hubs[20].executed == [first.packet_id]
    assert world.hubs[20].status(10, 1, 0, second.sequence) is Status.ABORTED


def test_second_content_at_a_recorded_sequence_is_skipped(world: RelayWorld) -> None:
    hub = world.hubs[10]
    first = hub.send_free(20, b"one")
    second = put(world, hub, hub.header(20, sequence=first.sequence, body_length=3), body=b"two")
    world.carry_from(hub, 0)
    recorded = {packet.packet_id: is_recorded(world, packet) for packet in (first, second)}
    assert sum(recorded.values()) == 1
    assert outbox_length(world, 20) == 1


# --- receipts ---------------------------------------------------------------------------------------------------------


def forge_receipts(
    world: RelayWorld, hub: HubModel, *receipts: Receipt, relay: int = 1, endorsing_relay: int = 1
) -> None:
    """Let a hub prove a batch of receipts, and carry it."""
    hub.append(relay, ReceiptsEntry(hub.chain.next_number, ReceiptBatch(endorsing_relay, receipts)))
    world.carry_from(hub, relay, first=hub.outboxes[relay].number)


@pytest.fixture
def request_packet(world: RelayWorld) -> Packet:
    packet = world.hubs[10].request(20)
    world.carry_from(world.hubs[10], 1)
    return packet


def state_of(world: RelayWorld, packet: Packet) -> RecordState:
    record = transaction_of(world, packet)
    assert record is not None
    return record.state


def test_receipt_of_a_lane_that_ends_elsewhere_is_skipped(world: RelayWorld, request_packet: Packet) -> None:
    forge_receipts(world, world.hubs[10], Receipt(request_packet.packet_id, ReceiptCode.EXECUTED))
    assert state_of(world, request_packet) is RecordState.OPEN


def test_receipt_of_a_packet_that_was_not_recorded_is_skipped_and_others_opened(
    world: RelayWorld, request_packet: Packet
) -> None:
    forge_receipts(
        world,
        world.hubs[20],
        Receipt(b"\x01" * 32, ReceiptCode.EXECUTED),
        Receipt(request_packet.packet_id, ReceiptCode.EXECUTED),
    )
    assert state_of(world, request_packet) is RecordState.COMMIT


@pytest.mark.parametrize(("relay", "endorsing_relay"), [(0, 1), (1, 2), (0, 2)])
def test_receipt_of_a_bound_lane_counts_only_in_its_own_outbox_and_of_its_own_relay_chain(
    world: RelayWorld, request_packet: Packet, relay: int, endorsing_relay: int
) -> None:
    receipt = Receipt(request_packet.packet_id, ReceiptCode.EXECUTED)
    forge_receipts(world, world.hubs[20], receipt, relay=relay, endorsing_relay=endorsing_relay)
    assert state_of(world, request_packet) is RecordState.OPEN


def test_receipt_of_a_free_packet_counts_whichever_relay_chain_endorsed_it(world: RelayWorld) -> None:
    packet = world.hubs[10].send_free(20)
    world.carry_from(world.hubs[10])
    forge_receipts(world, world.hubs[20], Receipt(packet.packet_id, ReceiptCode.EXECUTED), relay=0, endorsing_relay=2)
    record = world.view.packet(packet.packet_id)
    assert record is not None
    assert record.receipt_code == ReceiptCode.EXECUTED
    assert record.receipt_entry


@pytest.mark.parametrize("returned", [b"", b"data"])
def test_returned_data_of_a_packet_without_return_is_skipped(
    world: RelayWorld, request_packet: Packet, returned: bytes
) -> None:
    forge_receipts(world, world.hubs[20], Receipt(request_packet.packet_id, ReceiptCode.EXECUTED, returned))
    assert state_of(world, request_packet) is RecordState.OPEN


def test_executed_receipt_without_the_data_that_was_asked_for_is_skipped(world: RelayWorld) -> None:
    packet = world.hubs[10].request(20, returns_data=True)
    world.carry_from(world.hubs[10], 1)
    forge_receipts(world, world.hubs[20], Receipt(packet.packet_id, ReceiptCode.EXECUTED))
    assert state_of(world, packet) is RecordState.OPEN
    forge_receipts(world, world.hubs[20], Receipt(packet.packet_id, ReceiptCode.EXECUTED, b""))
    assert state_of(world, packet) is RecordState.COMMIT


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (ReceiptCode.EXECUTED, RecordState.COMMIT),
        (ReceiptCode.FAILED, RecordState.ABORT),
        (ReceiptCode.EXPIRED, RecordState.ABORT),
        (ReceiptCode.FAILED_GAS, RecordState.ABORT),
        (ReceiptCode.FAILED_APPLICATION, RecordState.ABORT),
    ],
)
def test_first_receipt_decides_and_a_second_one_changes_nothing(
    world: RelayWorld, request_packet: Packet, code: ReceiptCode, state: RecordState
) -> None:
    forge_receipts(world, world.hubs[20], Receipt(request_packet.packet_id, code))
    assert state_of(world, request_packet) is state
    entries = (outbox_length(world, 10), outbox_length(world, 20))
    for other in ReceiptCode:
        forge_receipts(world, world.hubs[20], Receipt(request_packet.packet_id, other))
    assert state_of(world, request_packet) is state
    assert (outbox_length(world, 10), outbox_length(world, 20)) == entries
    verdict = world.entries_toward(world.hubs[10]).entries[0]
    assert isinstance(verdict, VerdictsEntry)
    [item] = verdict.verdicts.items
    expected = packets_hash([request_packet.packet_id]) if state is RecordState.ABORT else None
    assert getattr(item, "packets_hash", None) == expected


def test_receipt_of_a_request_that_was_never_carried_is_skipped(world: RelayWorld) -> None:
    packet = world.hubs[10].request(20, verification=VerificationHeader(Method.BOTH))
    world.carry_from(world.hubs[10], 1)
    for code in (ReceiptCode.EXECUTED, ReceiptCode.FAILED):
        forge_receipts(world, world.hubs[20], Receipt(packet.packet_id, code))
        assert state_of(world, packet) is RecordState.ABORT
        record = world.view.packet(packet.packet_id)
        assert record is not None
        assert record.receipt_code == 0


def test_receipt_of_a_request_that_was_entombed_is_skipped(world: RelayWorld, request_packet: Packet) -> None:
    second = world.hubs[10].request(20, nonce=request_packet.header.transaction.nonce)
    world.carry_from(world.hubs[10], 1)
    forge_receipts(world, world.hubs[20], Receipt(second.packet_id, ReceiptCode.EXECUTED))
    assert state_of(world, request_packet) is RecordState.OPEN


def test_bound_outbox_holds_no_receipts_of_batches_that_another_relay_chain_endorsed(world: RelayWorld) -> None:
    packet = world.hubs[10].send_free(20)
    world.carry_from(world.hubs[10])
    receipt = Receipt(packet.packet_id, ReceiptCode.EXECUTED)
    forge_receipts(world, world.hubs[20], receipt, relay=1, endorsing_relay=2)
    record = world.view.packet(packet.packet_id)
    assert record is not None
    assert record.receipt_code == 0


def test_receipts_wait_for_the_registered_depth_too() -> None:
    world = two_chains(depth=1)
    packet = world.hubs[10].request(20)
    world.carry_from(world.hubs[10], 1)
    world.carry_from(world.hubs[10], 1)
    forge_receipts(world, world.hubs[20], Receipt(packet.packet_id, ReceiptCode.EXECUTED))
    assert state_of(world, packet) is RecordState.OPEN
    world.carry_from(world.hubs[20], 1)
    assert state_of(world, packet) is RecordState.COMMIT


def test_entry_dated_into_the_future_waits_for_its_block(world: RelayWorld) -> None:
    hub = world.hubs[10]
    packet = Packet(hub.header(20), b"body")
    hub.append(0, PacketEntry(hub.chain.next_number + 1, packet))
    world.carry_from(hub)
    assert not is_recorded(world, packet)
    world.carry_from(hub)
    assert is_recorded(world, packet)


def test_invalid_entries_cost_the_gateway_no_more_than_valid_ones(world: RelayWorld) -> None:
    hub = world.hubs[10]
    hub.append(0, PacketEntry(hub.chain.next_number, Packet(TRANSPORT_LIES["another domain"](hub.header(20)), b"body")))
    hub.chain.close_block()
    world.catch_up(hub)
    world.follow(hub)
    [result] = world.submit(hub.range_message())
    assert result.code == CODE_OK
    assert result.data == bytes(4), "nothing new"
