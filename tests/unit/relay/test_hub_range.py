"""A hostile gateway brings ranges: whatever it does to them, nothing moves (security rows O1, O2)."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from piebridge.crypto.errors import ProtocolError
from piebridge.protocol_stack.authentication import KeptAuthentication
from piebridge.protocol_stack.governor_relay_bodies import CloseChain, Freeze
from piebridge.protocol_stack.header import VerificationHeader
from piebridge.protocol_stack.relay_messages import HubRange, RelayTransaction
from piebridge.protocol_stack.transport.outbox import (
    BareEntry,
    HeaderEntry,
    OutboxRange,
    PacketEntry,
)
from piebridge.protocol_stack.verification.base import Method
from piebridge.relay.app.admission import Code
from testkit.relay_world import RelayWorld, two_chains


@pytest.fixture
def world() -> RelayWorld:
    """A world whose hub 10 has sent three free packets; its light client is up to date, nothing is carried yet."""
    world = two_chains()
    hub = world.hubs[10]
    for body in (b"one", b"two", b"three"):
        hub.send_free(20, body)
    hub.chain.close_block()
    world.catch_up(hub)
    world.follow(hub)
    return world


def recorded(world: RelayWorld) -> list[int]:
    lane = next(e.packet.lane for e in world.hubs[10].log[0] if isinstance(e, PacketEntry))
    return [sequence for sequence in range(1, 10) if world.view.is_recorded(lane, sequence)]


def submit(world: RelayWorld, message: HubRange) -> Code:
    [result] = world.submit(message)
    return Code(result.code)


def with_range(message: HubRange, change: Callable[[OutboxRange], OutboxRange]) -> HubRange:
    return replace(message, range=change(message.range))


def test_the_untouched_range_is_taken(world: RelayWorld) -> None:
    assert submit(world, world.hubs[10].range_message()) is Code.OK
    assert recorded(world) == [1, 2, 3]


RANGE_LIES: dict[str, Callable[[OutboxRange], OutboxRange]] = {
    "untrue start": lambda r: replace(r, start=b"\x01" * 32),
    "number too high": lambda r: replace(r, first=r.first + 1),
    "entry left out": lambda r: replace(r, entries=r.entries[:1] + r.entries[2:]),
    "last entry left out": lambda r: replace(r, entries=r.entries[:-1]),
    "entry repeated": lambda r: replace(r, entries=(*r.entries, r.entries[-1])),
    "entries exchanged": lambda r: replace(r, entries=(r.entries[1], r.entries[0], r.entries[2])),
    "entry inserted": lambda r: replace(r, entries=(BareEntry(0, bytes(32)), *r.entries)),
    "entry replaced": lambda r: replace(r, entries=(*r.entries[:2], BareEntry(r.entries[2].height, bytes(32)))),
    "height of the last entry": lambda r: replace(
        r, entries=(*r.entries[:2], replace(r.entries[2], height=r.entries[2].height + 1))
    ),
}


@pytest.mark.parametrize("lie", RANGE_LIES)
def test_range_that_does_not_fold_to_the_proven_value_is_refused(world: RelayWorld, lie: str) -> None:
    assert submit(world, with_range(world.hubs[10].range_message(), RANGE_LIES[lie])) is Code.INVALID
    assert recorded(world) == []
    assert world.view.cursor(10, 0) is None


def test_head_of_another_outbox_is_refused(world: RelayWorld) -> None:
    hub = world.hubs[10]
    message = replace(hub.range_message(0), authentication=hub.head_proof(1))
    assert submit(world, message) is Code.INVALID


def test_other_slot_that_holds_the_same_value_is_refused(world: RelayWorld) -> None:
    hub = world.hubs[10]
    copy = b"\x07" * 32
    hub.chain.write(copy, int.from_bytes(hub.outboxes[0].value, "big"))
    hub.chain.close_block()
    world.catch_up(hub)
    world.follow(hub)
    message = replace(hub.range_message(0), authentication=hub.chain.prove([copy], hub.chain.height))
    assert submit(world, message) is Code.INVALID
    assert recorded(world) == []


def test_head_of_another_hub_is_refused(world: RelayWorld) -> None:
    other = world.hubs[20]
    other.chain.close_block()
    world.catch_up(other)
    world.follow(other)
    message = replace(world.hubs[10].range_message(0), authentication=other.head_proof(0))
    assert submit(world, message) in (Code.INVALID, Code.REFUSED)
    assert recorded(world) == []


def test_proof_under_a_header_that_the_client_does_not_have_is_refused(world: RelayWorld) -> None:
    hub = world.hubs[10]
    hub.chain.close_block()
    assert submit(world, hub.range_message(0)) is Code.REFUSED


def test_outbox_that_was_never_opened_proves_nothing(world: RelayWorld) -> None:
    hub = world.hubs[10]
    from piebridge.protocol_stack import commitment

    hub.chain.storage.pop(commitment.chain_slot(1, 1))
    hub.chain.close_block()
    world.catch_up(hub)
    world.follow(hub)
    message = HubRange(10, 1, hub.head_proof(1), replace(hub.range(0), first=1))
    assert submit(world, message) is Code.INVALID


def test_outbox_of_another_relay_chain_is_refused(world: RelayWorld) -> None:
    message = replace(world.hubs[10].range_message(0), outbox_relay=2)
    assert submit(world, message) is Code.INVALID


def test_registration_that_nobody_made_is_refused(world: RelayWorld) -> None:
    hub = world.hubs[10]
    message = hub.range_message(0)
    unknown = replace(message, registration=30)
    assert submit(world, unknown) is Code.REFUSED


def test_range_proven_under_a_later_header_and_from_a_later_start_is_taken(world: RelayWorld) -> None:
    hub = world.hubs[10]
    hub.send_free(20, b"four")
    world.carry_from(hub, 0, first=3)
    assert recorded(world) == [3, 4]
    world.must(hub.range_message(0))
    assert recorded(world) == [1, 2, 3, 4]


def test_bare_entries_are_folded_and_nothing_else_and_can_be_carried_later(world: RelayWorld) -> None:
    hub = world.hubs[10]
    assert submit(world, hub.range_message(0, bare=[1, 2, 3])) is Code.OK
    assert recorded(world) == []
    cursor = world.view.cursor(10, 0)
    assert cursor is not None
    assert cursor.number == 3, "the cursor says what was folded, not what was carried"
    assert submit(world, hub.range_message(0, bare=[2])) is Code.OK
    assert recorded(world) == [1, 3]
    assert submit(world, hub.range_message(0)) is Code.OK
    assert recorded(world) == [1, 2, 3]


def test_free_packet_without_its_body_counts_as_bare(world: RelayWorld) -> None:
    hub = world.hubs[10]
    message = hub.range_message(0)
    entry = message.range.entries[1]
    assert isinstance(entry, PacketEntry)
    bodyless = HeaderEntry(entry.height, entry.packet.header, entry.packet.body_hash)
    world.time_ns = entry.packet.header.transaction.execution_expiry * 1_000_000_000
    entries = (message.range.entries[0], bodyless, message.range.entries[2])
    assert submit(world, with_range(message, lambda r: replace(r, entries=entries))) is Code.OK
    assert recorded(world) == [1, 3]


def test_range_twice_brings_nothing_new_the_second_time(world: RelayWorld) -> None:
    message = world.hubs[10].range_message(0)
    first, second = world.submit(message, message)
    assert (first.data, second.data) == ((3).to_bytes(4, "big"), bytes(4))
    head = world.view.outbox_head(20)
    assert head is not None
    assert head.number == 3


def test_kept_value_serves_again_without_a_proof(world: RelayWorld) -> None:
    hub = world.hubs[10]
    kept = replace(hub.range_message(0), authentication=KeptAuthentication())
    assert submit(world, kept) is Code.REFUSED
    world.must(hub.range_message(0, bare=[1, 2, 3]))
    assert submit(world, with_range(kept, lambda r: replace(r, start=b"\x01" * 32))) is Code.INVALID
    assert submit(world, replace(kept, range=hub.range(0, last=2))) is Code.REFUSED
    assert submit(world, kept) is Code.OK
    assert recorded(world) == [1, 2, 3]


def test_kept_value_is_dropped_after_the_retention_time(world: RelayWorld) -> None:
    hub = world.hubs[10]
    world.must(hub.range_message(0, bare=[1, 2, 3]))
    kept = replace(hub.range_message(0), authentication=KeptAuthentication())
    world.run(seconds=999)
    assert world.view.kept_value(10, 0, 3) is not None
    world.run(seconds=1)
    assert submit(world, kept) is Code.REFUSED


def test_only_what_stood_at_the_closing_height_counts_of_a_closed_chain(world: RelayWorld) -> None:
    hub = world.hubs[10]
    closing = hub.chain.blocks[-1].number
    old_height = hub.chain.height
    hub.send_free(20, b"four")
    hub.chain.close_block()
    world.catch_up(hub)
    world.follow(hub)
    after = hub.range_message(0)
    world.govern(CloseChain(10, closing))
    assert submit(world, after) is Code.REFUSED
    # What its hub dates back is proven too late all the same.
    before = HubRange(10, 0, hub.head_proof(0, old_height), hub.range(0, last=3))
    assert submit(world, before) is Code.OK
    assert recorded(world) == [1, 2, 3]


def test_kept_value_of_a_closed_chain_counts_only_if_it_was_proven_in_time(world: RelayWorld) -> None:
    hub = world.hubs[10]
    closing = hub.chain.blocks[-1].number
    world.must(hub.range_message(0, bare=[1, 2, 3]))
    hub.send_free(20, b"four")
    world.carry_from(hub, bare=[1, 2, 3, 4])
    world.govern(CloseChain(10, closing))
    late = HubRange(10, 0, KeptAuthentication(), hub.range(0))
    assert submit(world, late) is Code.REFUSED
    in_time = HubRange(10, 0, KeptAuthentication(), hub.range(0, last=3))
    assert submit(world, in_time) is Code.OK
    assert recorded(world) == [1, 2, 3]


def test_frozen_relay_chain_takes_no_range(world: RelayWorld) -> None:
    world.govern(Freeze())
    assert submit(world, world.hubs[10].range_message(0)) is Code.REFUSED
    assert recorded(world) == []


def test_registered_depth_is_waited_for(world: RelayWorld) -> None:
    del world
    world = two_chains(depth=2)
    hub = world.hubs[10]
    hub.send_free(20)
    for expected in ([], [], [1]):
        world.carry_from(hub)
        assert recorded(world) == expected


def test_demanded_depth_is_waited_for_and_the_rest_of_the_batch_goes_on(world: RelayWorld) -> None:
    hub = world.hubs[10]
    hub.send_free(20, b"deep", verification=VerificationHeader(Method.SPV, depth=2))
    hub.send_free(20, b"plain")
    world.carry_from(hub)
    assert recorded(world) == [1, 2, 3, 5]
    world.carry_from(hub)
    assert recorded(world) == [1, 2, 3, 5]
    world.carry_from(hub)
    assert recorded(world) == [1, 2, 3, 4, 5]


def _flip_bits(world: RelayWorld, step: int) -> int:
    """Change single bits of a signed transaction's body, signing each anew, as a gateway can."""
    message = world.hubs[10].range_message(0)
    body = message.encode()
    tried = 0
    from piebridge.crypto.signature import sign_recoverable
    from piebridge.protocol_stack.relay_messages import TransactionKind
    from testkit.relay_world import GATEWAY

    for bit in range(0, 8 * len(body), step):
        changed = bytearray(body)
        changed[bit // 8] ^= 1 << bit % 8
        transaction = RelayTransaction(TransactionKind.HUB_RANGE, 1, 1, world.height + 1, bit, bytes(changed)).signed(
            lambda digest: sign_recoverable(digest, GATEWAY)
        )
        [result] = world.finalize(transaction.encode()).tx_results
        assert result.code in (Code.INVALID, Code.REFUSED), f"bit {bit}"
        tried += 1
    world.run()
    return tried


def test_sampled_single_bit_changes_of_a_range_and_its_proof_are_refused(world: RelayWorld) -> None:
    assert _flip_bits(world, 61) > 100
    assert recorded(world) == []


@pytest.mark.slow
def test_every_single_bit_change_of_a_range_and_its_proof_is_refused(world: RelayWorld) -> None:
    assert _flip_bits(world, 1) > 10_000
    assert recorded(world) == []


def test_empty_range_is_no_encoding(world: RelayWorld) -> None:
    message = with_range(world.hubs[10].range_message(0), lambda r: replace(r, entries=()))
    with pytest.raises(ProtocolError):
        message.encode()
