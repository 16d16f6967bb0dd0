"""Retention: what nobody acknowledged, and what only served convenience, is dropped after the domain's retention time.

One queue in the order of block time holds what was made; each block looks at what is old enough, a bounded number of
things. What one block made shares few values of the queue, since every value costs a place in the state's tree.

* A packet record with the message that still waits: a **free** packet that nobody acknowledged is dropped, and its
  recorded bit cleared, so that it can be carried again from its source; not before its execExpiry. Requests and
  verdicts of transactions are never dropped unacknowledged, nor while the receipt that was asked for is still to come.
  What is acknowledged is forgotten, its bit stays for ever.
* A receipt home that nobody acknowledged is dropped likewise, and its receipt-opened bit cleared: packet and receipt
  can be carried again, and the destination skips the packet. The same holds for a free packet that is acknowledged but
  whose receipt did not come: it could not come any more without its packet.
* A kept chain value of a hub's outbox: dropped.
* An entry of an own outbox: dropped when nothing at it, below it or right above it waits any more: the one before the
  oldest that waits stays, for a range begins with its chain value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import groupby

from piebridge.protocol_stack.codec import u32, u64
from piebridge.protocol_stack.header import KIND_REQUEST, Header
from piebridge.protocol_stack.stack import STACK
from piebridge.relay.app import keys
from piebridge.relay.app.records import PacketRecord
from piebridge.relay.app.store import Store

ITEMS_PER_BLOCK_MAX = 5_000
"""Things that one block looks at: more than blocks make, so that the queue does not grow for ever."""

THINGS_PER_RECORD_MAX = 64
"""Things of one kind that one value of the queue names."""


class Kind(IntEnum):
    """What is to be looked at."""

    PACKET = 1
    """A packet, by its id."""
    KEPT_VALUE = 2
    """A kept chain value, by its key."""
    OWN_ENTRIES = 3
    """As many entries of an own outbox as are named: destination u32, count u32."""


_LENGTHS = {Kind.PACKET: 32, Kind.KEPT_VALUE: len(keys.kept(1, 0, 1)), Kind.OWN_ENTRIES: 8}
"""Length of what names one thing, bytes."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """Something that a block made and that a later one will look at."""

    kind: Kind
    """What it is."""
    name: bytes
    """Which one."""


def recorded_packet(packet_id: bytes) -> Remembered:
    """A packet that was recorded."""
    return Remembered(Kind.PACKET, packet_id)


def kept_value(registration: int, outbox_relay: int, number: int) -> Remembered:
    """A chain value of a hub's outbox that was kept."""
    return Remembered(Kind.KEPT_VALUE, keys.kept(registration, outbox_relay, number))


def own_entries(destination: int, count: int) -> list[Remembered]:
    """As many entries of an own outbox."""
    parts = [min(THINGS_PER_RECORD_MAX, count - before) for before in range(0, count, THINGS_PER_RECORD_MAX)]
    return [Remembered(Kind.OWN_ENTRIES, u32(destination) + u32(part)) for part in parts]


def remember(store: Store, time_seconds: int, things: Sequence[Remembered]) -> None:
    """Put what a block made into the queue: things of one kind that follow each other share a value."""
    first, end = _bounds(store)
    start = end
    for kind, group in groupby(things, key=lambda thing: thing.kind):
        names = [thing.name for thing in group]
        for position in range(0, len(names), THINGS_PER_RECORD_MAX):
            part = names[position : position + THINGS_PER_RECORD_MAX]
            store.set(keys.queued(end), _record(time_seconds, kind, part))
            end += 1
    if end != start:
        _set_bounds(store, first, end)


def sweep(store: Store, time_seconds: int) -> None:
    """Look at what has become old enough; called once for each block."""
    first, end = _bounds(store)
    retention = store.relay.retention_seconds
    room, index = ITEMS_PER_BLOCK_MAX, first
    again: list[Remembered] = []
    while index < end and room > 0:
        record = store.get(keys.queued(index))
        assert record is not None, "the queue has no holes"
        made_at_seconds, kind, names = _split(record)
        if made_at_seconds + retention > time_seconds:
            break
        done = 0
        while done < len(names) and room > 0:
            again.extend(_handle(store, time_seconds, kind, names[done]))
            room -= _weight(kind, names[done])
            done += 1
        if done < len(names):
            store.set(keys.queued(index), _record(made_at_seconds, kind, names[done:]))
            break
        store.set(keys.queued(index), None)
        index += 1
    if index != first:
        _set_bounds(store, index, end)
    remember(store, time_seconds, again)


def _weight(kind: Kind, name: bytes) -> int:
    return int.from_bytes(name[4:], "big") if kind is Kind.OWN_ENTRIES else 1


def _record(time_seconds: int, kind: Kind, names: Sequence[bytes]) -> bytes:
    return u64(time_seconds) + bytes([kind]) + b"".join(names)


def _split(record: bytes) -> tuple[int, Kind, list[bytes]]:
    kind = Kind(record[8])
    length = _LENGTHS[kind]
    return int.from_bytes(record[:8], "big"), kind, [record[i : i + length] for i in range(9, len(record), length)]


def _handle(store: Store, time_seconds: int, kind: Kind, name: bytes) -> Sequence[Remembered]:
    """Look at one thing; return what is to be looked at once more."""
    if kind is Kind.KEPT_VALUE:
        store.set(name, None)
    elif kind is Kind.OWN_ENTRIES:
        _forget_entries(store, int.from_bytes(name[:4], "big"), int.from_bytes(name[4:], "big"))
    else:
        record = store.packet(name)
        if record is not None and not _is_over(store, time_seconds, name, record):
            return (recorded_packet(name),)
    return ()


def _is_over(store: Store, time_seconds: int, packet_id: bytes, record: PacketRecord) -> bool:
    """Forget a packet if that is allowed by now; return whether it was."""
    header = STACK.decode_header(record.header)
    if header.transaction.kind == KIND_REQUEST or time_seconds < header.transaction.execution_expiry:
        if not _is_settled(store, record, header):
            return False
        _forget(store, packet_id, header)
        return True
    lane, sequence = header.lane, header.transport.sequence
    if record.entry and not record.is_acknowledged:
        store.set_message(lane.destination, record.entry, None)
        store.set_recorded(lane, sequence, value=False)
    if _waits_for_receipt(store, record, header):
        store.set_recorded(lane, sequence, value=False)
    if record.receipt_entry and not record.is_receipt_acknowledged:
        # A receipt is opened only for a packet that is recorded, so both come again.
        store.set_message(lane.source, record.receipt_entry, None)
        store.set_receipt_opened(lane, sequence, value=False)
        store.set_recorded(lane, sequence, value=False)
    _forget(store, packet_id, header)
    return True


def _is_settled(store: Store, record: PacketRecord, header: Header) -> bool:
    waits_at_destination = (record.is_carried or bool(record.tombstone_entry)) and not record.is_acknowledged
    waits_at_source = bool(record.receipt_entry) and not record.is_receipt_acknowledged
    return not waits_at_destination and not waits_at_source and not _waits_for_receipt(store, record, header)


def _waits_for_receipt(store: Store, record: PacketRecord, header: Header) -> bool:
    """Tell whether a receipt is still to be opened and sent home; none is made of what was not carried or entombed."""
    return (
        header.transport.receipt_wanted
        and record.is_carried
        and not record.tombstone_entry
        and not record.receipt_code
        and all(store.open_chain(end) is not None for end in (header.lane.source, header.lane.destination))
    )


def _forget(store: Store, packet_id: bytes, header: Header) -> None:
    store.set_packet(packet_id, None)
    store.set_packet_at(header.lane, header.transport.sequence, None)


def _forget_entries(store: Store, destination: int, count: int) -> None:
    """Drop the oldest entries of an outbox: as many as the queue names, and as many that waited behind them."""
    number = store.outbox_base(destination)
    head = store.outbox_head(destination)
    assert head is not None, "entries were made in this outbox"
    for _ in range(2 * count):
        # The head itself stays: its chain value is where the next entry begins. So does what stands before an entry
        # that waits: nobody could show that one without it.
        if number >= head.number or any(store.message(destination, waits) for waits in (number, number + 1)):
            break
        store.set_entry(destination, number, None)
        number += 1
    store.set_outbox_base(destination, number)


def _bounds(store: Store) -> tuple[int, int]:
    data = store.get(keys.QUEUE_BOUNDS) or bytes(16)
    return int.from_bytes(data[:8], "big"), int.from_bytes(data[8:], "big")


def _set_bounds(store: Store, first: int, end: int) -> None:
    store.set(keys.QUEUE_BOUNDS, first.to_bytes(8, "big") + end.to_bytes(8, "big"))
