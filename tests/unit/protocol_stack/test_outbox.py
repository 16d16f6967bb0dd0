"""Outboxes: what folds to an authenticated value is what was sent, and nothing else is."""

from dataclasses import replace

import pytest

from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.packet import Packet
from piebridge.protocol_stack.transport.outbox import (
    RELAY_CHAIN,
    BareEntry,
    Form,
    HeaderEntry,
    Maker,
    MalformedEntry,
    OutboxHead,
    OutboxRange,
    PacketEntry,
    ReceiptsEntry,
    open_hub_outbox,
    open_relay_outbox,
)
from testkit.samples import Samples
from testkit.vectors import base_packet

HUB = Maker(11)


def test_a_range_folds_to_the_head_that_was_built_entry_by_entry() -> None:
    samples = Samples(1)
    for maker in (HUB, RELAY_CHAIN):
        head = OutboxHead(0, open_relay_outbox(1, 2, 3))
        entries = tuple(samples.entry(maker, height) for height in range(20))
        heads = [head]
        for entry in entries:
            heads.append(heads[-1].append(entry.height, entry.message_id(maker)))
        for first, last in ((1, 20), (1, 1), (7, 13), (20, 20)):
            part = OutboxRange(maker, first, heads[first - 1].value, entries[first - 1 : last])
            assert part.fold() == heads[last]
            assert list(part.heads()) == heads[first : last + 1]
            assert OutboxRange.decode(part.encode(), maker) == part


def test_every_form_of_an_entry_folds_alike() -> None:
    packet = base_packet(2)
    forms = (
        PacketEntry(5, packet),
        HeaderEntry(5, packet.header, packet.body_hash),
        BareEntry(5, packet.packet_id),
    )
    assert len({OutboxRange(HUB, 3, b"\x11" * 32, (entry,)).fold() for entry in forms}) == 1


def test_nothing_can_be_dropped_inserted_moved_or_changed() -> None:
    samples = Samples(2)
    for _ in range(20):
        given = samples.outbox_range(RELAY_CHAIN, 4)
        given = replace(given, first=samples.random.randint(2, 9))
        head, entries = given.fold(), given.entries
        claims = [
            replace(given, first=given.first + 1),
            replace(given, first=given.first - 1),
            replace(given, start=samples.hash()),
            replace(given, entries=(BareEntry(0, samples.hash()), *entries)),
            replace(given, entries=(*entries, entries[-1])),
            replace(
                given, entries=(BareEntry(entries[0].height ^ 1, entries[0].message_id(RELAY_CHAIN)), *entries[1:])
            ),
            *(replace(given, entries=entries[:n] + entries[n + 1 :]) for n in range(len(entries)) if len(entries) > 1),
        ]
        if len(entries) > 1 and entries[0].message_id(RELAY_CHAIN) != entries[-1].message_id(RELAY_CHAIN):
            claims.append(replace(given, entries=(entries[-1], *entries[1:-1], entries[0])))
        assert all(claim.fold().value != head.value for claim in claims)


def test_a_malformed_header_is_folded_with_its_id_and_counts_as_bare() -> None:
    packet = base_packet(0)
    header = bytearray(packet.header.encode())
    header[0] = 2
    for form, rest in ((Form.PACKET, packet.body), (Form.PACKET_WITHOUT_BODY, packet.body_hash)):
        good = OutboxRange(HUB, 3, b"\x11" * 32, (PacketEntry(5, packet),)).encode()
        data = good[:42] + good[42:50] + bytes([form]) + bytes(header) + rest
        decoded = OutboxRange.decode(data, HUB)
        (entry,) = decoded.entries
        assert isinstance(entry, MalformedEntry)
        assert entry.reason.code is ErrorCode.VERSION
        assert decoded.encode() == data
        bare = OutboxRange(HUB, 3, b"\x11" * 32, (BareEntry(5, entry.message_id(HUB)),))
        assert bare.fold() == decoded.fold()


def test_the_same_receipts_of_another_hub_have_another_id() -> None:
    samples = Samples(3)
    while (entries := samples.outbox_range(HUB, 1).entries)[0].FORM != Form.RECEIPTS:
        pass
    assert entries[0].message_id(HUB) != entries[0].message_id(Maker(12))


def test_an_outbox_is_named_by_everything_that_it_belongs_to() -> None:
    hub = b"\x77" * 20
    values = {
        open_hub_outbox(11, hub, 1, 0),
        open_hub_outbox(12, hub, 1, 0),
        open_hub_outbox(11, b"\x78" * 20, 1, 0),
        open_hub_outbox(11, hub, 2, 0),
        open_hub_outbox(11, hub, 1, 5),
        open_relay_outbox(11, 1, 5),
        open_relay_outbox(1, 11, 5),
        open_relay_outbox(1, 5, 11),
    }
    assert len(values) == 8


def test_ranges_that_break_a_rule_are_not_encoded() -> None:
    entry, packet = BareEntry(5, b"\x22" * 32), base_packet(0)
    start = b"\x11" * 32
    receipt = ReceiptsEntry(5, Samples(4).receipt_batch())
    broken = {
        ErrorCode.OUTBOX_NUMBER: OutboxRange(HUB, (1 << 64) - 1, start, (entry, entry)),
        ErrorCode.OUTBOX_VALUE: OutboxRange(HUB, 1, bytes(32), (entry,)),
        ErrorCode.COUNT: OutboxRange(HUB, 1, start, ()),
        ErrorCode.OUTBOX_HEIGHT: OutboxRange(HUB, 1, start, (entry, PacketEntry(4, packet))),
        ErrorCode.OUTBOX_FORM: OutboxRange(RELAY_CHAIN, 1, start, (receipt,)),
    }
    for code, candidate in broken.items():
        with pytest.raises(FormatError) as caught:
            candidate.encode()
        assert caught.value.code is code
    assert Packet(packet.header, packet.body) == packet
