"""Ranges of chosen forms fold to the same value, gas follows from headers, turns and slots are what they must be."""

import pytest

from piebridge.crypto.hash import keccak256
from piebridge.gateway.archive import ArchivedEntry
from piebridge.gateway.batching import (
    GasModel,
    LearnedGas,
    item_of_relay_entry,
    range_of_archived,
    reshaped,
)
from piebridge.gateway.forwarder import FORM_FULL, FORM_WITHOUT_BODY
from piebridge.gateway.slots import evidence_of
from piebridge.gateway.spans import spans
from piebridge.protocol_stack.commitment import (
    origin_status_slot,
    receipts_slot,
    receive_lane_slot,
    seen_slot,
    status_slot,
)
from piebridge.protocol_stack.header import (
    FLAG_ORDERED,
    FLAG_RECEIPT_WANTED,
    KIND_REQUEST,
    ApplicationHeader,
    Header,
    TransactionHeader,
    TransportHeader,
    VerificationHeader,
)
from piebridge.protocol_stack.packet import Packet
from piebridge.protocol_stack.receipts import ReceiptCode, ReceiptHome
from piebridge.protocol_stack.transport.outbox import (
    RELAY_CHAIN,
    BareEntry,
    Entry,
    Form,
    HeaderEntry,
    Maker,
    OutboxRange,
    PacketEntry,
    ReceiptHomeEntry,
    VerdictsEntry,
)
from piebridge.protocol_stack.verdicts import OriginVerdict, ParticipantVerdict, Verdict, VerdictList

DOMAIN, SOURCE, DESTINATION, RELAY = 7, 1, 2, 11
START = keccak256(b"start")


def packet(sequence: int, *, relay: int = 0, ordered: bool = False, gas: int = 50_000, body: bytes = b"body") -> Packet:
    flags = FLAG_RECEIPT_WANTED | (FLAG_ORDERED if ordered else 0)
    transaction = TransactionHeader(0 if relay == 0 else 2, execution_expiry=100 if ordered else 0, handler_gas=gas)
    if relay:
        transaction = TransactionHeader(
            2, KIND_REQUEST, 0, 0, 1, SOURCE, sequence, deadline=200, execution_expiry=100, handler_gas=gas
        )
    return Packet(
        Header(
            TransportHeader(
                2 if ordered else 1, flags, DOMAIN, SOURCE, DESTINATION, relay, 5 if ordered else 0, sequence
            ),
            VerificationHeader(1),
            transaction,
            ApplicationHeader(2, 1, len(body)),
        ),
        body,
    )


def archived(entries: list[Entry]) -> list[ArchivedEntry]:
    maker = Maker(SOURCE)
    head = OutboxRange(maker, 1, START, tuple(entries))
    return [
        ArchivedEntry(value.number, entry.height, entry.FORM, entry.content(), entry.message_id(maker), value.value)
        for entry, value in zip(entries, head.heads(), strict=True)
    ]


@pytest.mark.parametrize(
    "forms",
    [{}, {1: FORM_FULL}, {2: FORM_WITHOUT_BODY}, {1: FORM_FULL, 2: FORM_WITHOUT_BODY, 3: FORM_FULL}],
)
def test_every_choice_of_forms_of_a_hubs_range_folds_to_the_same_value(forms: dict[int, int]) -> None:
    entries: list[Entry] = [PacketEntry(10 + n, packet(n)) for n in (1, 2, 3)]
    kept = archived(entries)

    built = OutboxRange.decode(range_of_archived(START, kept, forms), Maker(SOURCE))

    assert built.fold().value == kept[-1].chain_value
    wanted = {FORM_FULL: Form.PACKET, FORM_WITHOUT_BODY: Form.PACKET_WITHOUT_BODY}
    assert [entry.FORM for entry in built.entries] == [wanted.get(forms.get(n, 0), Form.BARE) for n in (1, 2, 3)]


def test_every_choice_of_forms_of_a_relay_chains_range_folds_to_the_same_value() -> None:
    receipt = ReceiptHome(packet(9).header, packet(9).body_hash, ReceiptCode.EXECUTED)
    whole = OutboxRange(
        RELAY_CHAIN, 4, START, (PacketEntry(1, packet(1)), ReceiptHomeEntry(1, receipt), PacketEntry(2, packet(2)))
    )
    chosen = reshaped(whole, {4: FORM_WITHOUT_BODY, 5: FORM_WITHOUT_BODY})
    assert [type(entry) for entry in chosen.entries] == [HeaderEntry, ReceiptHomeEntry, BareEntry]
    assert chosen.fold() == whole.fold()
    assert len(chosen.encode()) < len(whole.encode())


def test_gas_covers_what_headers_promise() -> None:
    model = GasModel()
    small = OutboxRange(RELAY_CHAIN, 1, START, (PacketEntry(1, packet(1, gas=50_000)),))
    large = OutboxRange(RELAY_CHAIN, 1, START, (PacketEntry(1, packet(1, gas=2_000_000)),))
    assert model.of_range(large, 500) - model.of_range(small, 500) >= 1_950_000 * 64 // 63
    assert model.of_largest(large, 500) >= 2_000_000 * 64 // 63


def test_gas_is_learned_with_a_margin_and_forgotten_after_a_limit_that_was_too_low() -> None:
    learned = LearnedGas(margin=2.0)
    assert learned.limit(1_000, 100) == 1_000
    for _ in range(30):
        learned.learn(1_000, 50)
    assert learned.limit(1_000, 100) == 200, "twice what was used, or what the largest entry needs, and that again"
    learned.learn(1_000, 400)
    assert learned.limit(1_000, 100) == 900
    learned.forget()
    assert learned.limit(1_000, 100) == 1_000


def test_a_few_cheap_transactions_do_not_make_a_dear_one_fail() -> None:
    learned = LearnedGas(margin=1.5)
    for _ in range(100):
        learned.learn(1_000, 270)
    for _ in range(10):
        learned.learn(1_000, 50)
    assert learned.limit(1_000, 0) >= 270


def test_an_item_says_size_gas_and_expiry() -> None:
    item = item_of_relay_entry(4, PacketEntry(9, packet(1, relay=RELAY, gas=70_000)), GasModel())
    assert item is not None
    assert (item.number, item.height, item.expiry) == (4, 9, 100)
    assert item.size_bytes >= 136 + 4
    assert item.gas > 70_000
    assert item_of_relay_entry(5, BareEntry(9, bytes(32)), GasModel()) is None


def test_evidence_names_the_slots_of_formats() -> None:
    def slots(entry: Entry) -> list[bytes]:
        return [piece.name.slot for piece in evidence_of(entry, DOMAIN, RELAY)]

    assert slots(PacketEntry(1, packet(300))) == [seen_slot(DOMAIN, SOURCE, 0, 300)]
    assert slots(PacketEntry(1, packet(300, relay=RELAY))) == [status_slot(DOMAIN, SOURCE, RELAY, 0, 300)]
    assert slots(PacketEntry(1, packet(3, ordered=True))) == [receive_lane_slot(DOMAIN, SOURCE, 0, 5)]
    receipt = ReceiptHome(packet(300).header, packet(300).body_hash, ReceiptCode.FAILED)
    assert slots(ReceiptHomeEntry(1, receipt)) == [receipts_slot(DOMAIN, DESTINATION, 0, 0, 300)]
    origin = VerdictList((OriginVerdict(4, Verdict.COMMIT), OriginVerdict(400, Verdict.COMMIT)))
    assert slots(VerdictsEntry(1, origin)) == [origin_status_slot(DOMAIN, RELAY, n) for n in (4, 400)]
    tombstone = VerdictList((ParticipantVerdict(SOURCE, 5, 6, Verdict.ABORT),))
    assert slots(VerdictsEntry(1, tombstone)) == [status_slot(DOMAIN, SOURCE, RELAY, 5, 6)]
    assert slots(BareEntry(1, bytes(32))) == []


@pytest.mark.parametrize(
    ("entry", "holds", "holds_not"),
    [
        (PacketEntry(1, packet(3)), [1 << 3, (1 << 256) - 1], [0, 1 << 2, 1 << 4]),
        (PacketEntry(1, packet(3, relay=RELAY)), [2 << 6, 3 << 6], [0, 3 << 4, 3 << 8]),
        (PacketEntry(1, packet(3, ordered=True)), [3, 4, 1 << 64 | 3], [0, 2, 1 << 64]),
    ],
)
def test_evidence_holds_for_its_own_packet_only(entry: Entry, holds: list[int], holds_not: list[int]) -> None:
    (piece,) = evidence_of(entry, DOMAIN, RELAY)
    assert all(piece.holds(word) for word in holds)
    assert not any(piece.holds(word) for word in holds_not)


def test_spans_cover_all_numbers() -> None:
    assert spans([9, 1, 2, 3, 4, 30], 4) == [(1, 4), (9, 9), (30, 30)]
    assert spans([], 4) == []
