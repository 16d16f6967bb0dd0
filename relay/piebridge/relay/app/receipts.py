"""Receipts of a proven batch: opened one by one, or skipped and left for later.

A receipt is opened only if this relay chain has itself recorded and carried that packet, and its lane ends at the chain
whose hub was proven: a chain speaks for itself alone. A gateway that wants a receipt opened at another relay chain
first carries the packet's entry there; the destination ignores the duplicate.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from piebridge.protocol_stack.header import KIND_REQUEST, Header
from piebridge.protocol_stack.identifiers import FREE_RELAY, Lane
from piebridge.protocol_stack.receipts import Receipt, ReceiptBatch, ReceiptCode, ReceiptHome
from piebridge.protocol_stack.stack import STACK
from piebridge.protocol_stack.transaction.atp import Input
from piebridge.protocol_stack.transport.outbox import Form
from piebridge.relay.app import transactions
from piebridge.relay.app.context import Context, Events, OutgoingMessage, RelayEvent, event
from piebridge.relay.app.packets import Origin
from piebridge.relay.app.records import PacketRecord
from piebridge.relay.app.store import View

EVIDENCE: Final[Mapping[ReceiptCode, Input]] = MappingProxyType(
    {
        ReceiptCode.EXECUTED: Input.RECEIPT_EXECUTED,
        ReceiptCode.FAILED: Input.RECEIPT_FAILED,
        ReceiptCode.EXPIRED: Input.RECEIPT_EXPIRED,
        ReceiptCode.FAILED_GAS: Input.RECEIPT_FAILED,
        ReceiptCode.FAILED_APPLICATION: Input.RECEIPT_FAILED,
    }
)
"""What a receipt's code is to a transaction."""


_header = lru_cache(maxsize=4_096)(STACK.decode_header)
"""Header of a record: a function of its bytes, asked for twice for each receipt."""


def open_batch(ctx: Context, origin: Origin, batch: ReceiptBatch) -> tuple[int, Events]:
    """Open what can be opened of a batch; return how many receipts that were, and the events."""
    if origin.depth < origin.chain.depth:
        return 0, [event("receipts_skipped", reason="not deep enough")]
    if origin.outbox_relay not in (FREE_RELAY, batch.endorsing_relay):
        # A bound outbox holds receipts of batches that this relay chain endorsed, and no others.
        return 0, [event("receipts_skipped", reason="endorsed by another relay chain than the outbox is bound to")]
    opened, result = 0, list[RelayEvent]()
    skipped = Counter[str]()
    for receipt in batch.receipts:
        record = ctx.store.packet(receipt.packet_id)
        reason = _reason_to_skip(ctx.store, origin, batch, receipt, record)
        if reason is not None or record is None:
            skipped[reason or ""] += 1
            continue
        result.extend(_open(ctx, receipt, record))
        opened += 1
    result.extend(event("receipts_skipped", reason=reason, count=count) for reason, count in skipped.items())
    return opened, result


def _reason_to_skip(
    view: View, origin: Origin, batch: ReceiptBatch, receipt: Receipt, record: PacketRecord | None
) -> str | None:
    if record is None:
        return "packet was not recorded here"
    header = _header(record.header)
    lane = header.lane
    if lane.destination != origin.chain.registration:
        return "lane does not end at the proven chain"
    if not record.is_carried:
        return "packet was answered with an abort and never carried"
    if not lane.free and not lane.relay == origin.outbox_relay == batch.endorsing_relay:
        return "bound lane in a batch of another relay chain"
    if view.is_receipt_opened(lane, header.transport.sequence):
        return "opened before"
    if (receipt.returned is not None) != (header.transaction.returns_data and receipt.code.commits):
        return "returned data does not fit the packet"
    if header.transaction.kind == KIND_REQUEST and transactions.contradicts(view, header, EVIDENCE[receipt.code]):
        return "contradicts the verdict that is written"
    return None


def _open(ctx: Context, receipt: Receipt, record: PacketRecord) -> Events:
    store = ctx.store
    header = _header(record.header)
    events: list[RelayEvent] = []
    store.set_receipt_opened(header.lane, header.transport.sequence)
    store.set_packet(receipt.packet_id, replace(record, receipt_code=receipt.code))
    acknowledge(ctx, receipt.packet_id, header)
    if header.transaction.kind == KIND_REQUEST:
        events.extend(transactions.decide(ctx, receipt.packet_id, header, EVIDENCE[receipt.code]))
    if header.transport.receipt_wanted and store.open_chain(header.lane.source) is not None:
        home = ReceiptHome(header, record.body_hash, receipt.code, receipt.returned or b"")
        ctx.outgoing.append(
            OutgoingMessage(header.lane.source, Form.RECEIPT_HOME, home.encode(), home.message_id, receipt.packet_id)
        )
    return events


def acknowledge(ctx: Context, packet_id: bytes, header: Header) -> bool:
    """Drop the messages of a packet that reached its end at its destination; return whether that was news."""
    record = ctx.store.packet(packet_id)
    if record is None or record.is_acknowledged:
        return False
    ctx.store.set_packet(packet_id, replace(record, is_acknowledged=True))
    for number in (record.entry, record.tombstone_entry):
        if number:
            ctx.store.acknowledge_message(header.lane.destination, number)
    return True


def acknowledge_home(ctx: Context, packet_id: bytes, lane: Lane) -> bool:
    """Drop the receipt home of a packet, which its source has taken; return whether that was news."""
    record = ctx.store.packet(packet_id)
    if record is None or record.is_receipt_acknowledged or not record.receipt_entry:
        return False
    ctx.store.set_packet(packet_id, replace(record, is_receipt_acknowledged=True))
    ctx.store.acknowledge_message(lane.source, record.receipt_entry)
    return True
