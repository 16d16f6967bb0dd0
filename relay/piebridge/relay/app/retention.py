"""Retention: what nobody acknowledged, and what only served convenience, is dropped after the domain's retention time.

One queue in the order of block time holds what was made; each block looks at the items that are old enough, a bounded
number of them.

* A packet record with the message that still waits: a **free** packet that nobody acknowledged is dropped, and its
  recorded bit cleared, so that it can be carried again from its source; not before its execExpiry. Requests and
  verdicts of transactions are never dropped unacknowledged. What is acknowledged is forgotten, its bit stays for ever.
* A receipt home that nobody acknowledged is dropped likewise, and its receipt-opened bit cleared: packet and receipt
  can be carried again, and the destination skips the packet.
* A kept chain value of a hub's outbox: dropped.
* An entry of an own outbox: dropped when nothing at it, below it or right above it waits any more: the one before the
  oldest that waits stays, for a range begins with its chain value.
"""

from enum import IntEnum

from piebridge.protocol_stack.header import KIND_REQUEST, Header
from piebridge.protocol_stack.stack import STACK
from piebridge.relay.app import keys
from piebridge.relay.app.records import PacketRecord
from piebridge.relay.app.store import Store

ITEMS_PER_BLOCK_MAX = 200
"""Items that one block looks at."""


class _Kind(IntEnum):
    PACKET = 1
    KEPT_VALUE = 2
    OWN_ENTRY = 3


def remember_packet(store: Store, time_seconds: int, packet_id: bytes) -> None:
    """Put a packet that was recorded into the queue."""
    _push(store, time_seconds, _Kind.PACKET, packet_id)


def remember_kept_value(store: Store, time_seconds: int, registration: int, outbox_relay: int, number: int) -> None:
    """Put a kept chain value of a hub's outbox into the queue."""
    _push(store, time_seconds, _Kind.KEPT_VALUE, keys.kept(registration, outbox_relay, number))


def remember_entry(store: Store, time_seconds: int, destination: int) -> None:
    """Put an entry of an own outbox into the queue."""
    _push(store, time_seconds, _Kind.OWN_ENTRY, destination.to_bytes(4, "big"))


def sweep(store: Store, time_seconds: int) -> None:
    """Look at what has become old enough; called once for each block."""
    first, end = _bounds(store)
    retention = store.relay.retention_seconds
    stop = min(end, first + ITEMS_PER_BLOCK_MAX)
    index = first
    while index < stop:
        item = store.get(keys.queued(index))
        assert item is not None, "the queue has no holes"
        if int.from_bytes(item[:8], "big") + retention > time_seconds:
            break
        store.set(keys.queued(index), None)
        index += 1
        _handle(store, time_seconds, _Kind(item[8]), item[9:])
    if index != first:
        # What was pushed back while sweeping moved the end.
        _set_bounds(store, index, _bounds(store)[1])


def _handle(store: Store, time_seconds: int, kind: _Kind, subject: bytes) -> None:
    if kind is _Kind.KEPT_VALUE:
        store.set(subject, None)
    elif kind is _Kind.OWN_ENTRY:
        _forget_entries(store, int.from_bytes(subject, "big"))
    else:
        record = store.packet(subject)
        if record is not None:
            _handle_packet(store, time_seconds, subject, record)


def _handle_packet(store: Store, time_seconds: int, packet_id: bytes, record: PacketRecord) -> None:
    header = STACK.decode_header(record.header)
    if header.transaction.kind == KIND_REQUEST or time_seconds < header.transaction.execution_expiry:
        if _is_settled(record, header):
            _forget(store, packet_id, header)
        else:
            _push(store, time_seconds, _Kind.PACKET, packet_id)
        return
    lane, sequence = header.lane, header.transport.sequence
    if record.entry and not record.is_acknowledged:
        store.set_message(lane.destination, record.entry, None)
        store.set_recorded(lane, sequence, value=False)
    if record.receipt_entry and not record.is_receipt_acknowledged:
        # A receipt is opened only for a packet that is recorded, so both come again.
        store.set_message(lane.source, record.receipt_entry, None)
        store.set_receipt_opened(lane, sequence, value=False)
        store.set_recorded(lane, sequence, value=False)
    _forget(store, packet_id, header)


def _is_settled(record: PacketRecord, header: Header) -> bool:
    waits_at_destination = (record.is_carried or bool(record.tombstone_entry)) and not record.is_acknowledged
    waits_at_source = bool(record.receipt_entry) and not record.is_receipt_acknowledged
    return not waits_at_destination and not waits_at_source


def _forget(store: Store, packet_id: bytes, header: Header) -> None:
    store.set_packet(packet_id, None)
    store.set_packet_at(header.lane, header.transport.sequence, None)


def _forget_entries(store: Store, destination: int) -> None:
    """Drop the oldest entries of an outbox, one for each item of the queue and those that waited behind it."""
    number = store.outbox_base(destination)
    head = store.outbox_head(destination)
    assert head is not None, "an entry was made in this outbox"
    for _ in range(2):
        # The head itself stays: its chain value is where the next entry begins. So does what stands before one that
        # waits: nobody could show that one without it.
        if number >= head.number or any(store.message(destination, waits) for waits in (number, number + 1)):
            break
        store.set_entry(destination, number, None)
        number += 1
    store.set_outbox_base(destination, number)


def _push(store: Store, time_seconds: int, kind: _Kind, subject: bytes) -> None:
    first, end = _bounds(store)
    store.set(keys.queued(end), time_seconds.to_bytes(8, "big") + bytes([kind]) + subject)
    _set_bounds(store, first, end + 1)


def _bounds(store: Store) -> tuple[int, int]:
    data = store.get(keys.QUEUE_BOUNDS) or bytes(16)
    return int.from_bytes(data[:8], "big"), int.from_bytes(data[8:], "big")


def _set_bounds(store: Store, first: int, end: int) -> None:
    store.set(keys.QUEUE_BOUNDS, first.to_bytes(8, "big") + end.to_bytes(8, "big"))
