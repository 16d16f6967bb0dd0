"""HUB_SLOTS: storage words of a hub as acknowledgement and as evidence.

One word speaks for 128 transactions or 256 packets. Status bits of a destination decide transactions whose receipt
nobody has: 10 commits, 11 aborts, and 00 aborts once it can never change any more, that is at a block whose time is at
or after the packet's execExpiry, or at one that proves the hub closed.
"""

from piebridge.protocol_stack.commitment import BITS_PER_SLOT, STATUSES_PER_SLOT, SlotBase, bitmap_bit, status_bits
from piebridge.protocol_stack.header import KIND_REQUEST, Header
from piebridge.protocol_stack.identifiers import FREE_RELAY, Lane
from piebridge.protocol_stack.relay_messages import HubSlots, SlotName
from piebridge.protocol_stack.stack import STACK
from piebridge.protocol_stack.transaction.atp import Input
from piebridge.protocol_stack.transaction.status import Status
from piebridge.relay.app import proofs, receipts, transactions
from piebridge.relay.app.context import Context, Events, RefusedError, RelayEvent
from piebridge.relay.app.proofs import ProvenSlots
from piebridge.relay.app.records import PacketRecord

ORDERED_STEPS_MAX = 1_024
"""Sequences of an ordered lane that one word acknowledges at most."""

_U32 = (1 << 32) - 1
_U64 = (1 << 64) - 1


def validate(ctx: Context, message: HubSlots) -> ProvenSlots:
    """Verify the proof; that names and slots are the same, the decoder has checked.

    Raises:
        DecodingError: a part of the proof is not in its one encoding.
        VerificationError: the proof does not hold.
        RefusedError: the state does not allow it, or the block is not deep enough yet.
    """
    chain = proofs.chain_that_speaks(ctx.store, message.registration)
    proven = proofs.verify(ctx.store, chain, message.authentication)
    if proofs.depth(chain, proven.progress, proven.slots.block_number) < chain.depth:
        raise RefusedError(f"block {proven.slots.block_number} does not have the registered depth {chain.depth} yet")
    return proven


def execute(ctx: Context, message: HubSlots, validated: ProvenSlots) -> tuple[int, Events]:
    """Read every word."""
    ctx.store.set_progress(message.registration, validated.progress)
    values = [int.from_bytes(value, "big") for value in validated.slots.values]
    named = list(zip(message.names, values, strict=True))
    is_closed = any(name.base is SlotBase.CLOSED and value for name, value in named)
    reader = _Reader(ctx, message.registration, validated.slots.block_time_seconds, is_closed=is_closed)
    for name, value in named:
        reader.read(name, value)
    return reader.news, reader.events


class _Reader:
    """Reads the words of one hub at one block."""

    def __init__(self, ctx: Context, registration: int, time_seconds: int, *, is_closed: bool) -> None:
        self._ctx, self._store = ctx, ctx.store
        self._registration = registration
        self._time_seconds = time_seconds
        self._is_closed = is_closed
        self.news = 0
        self.events: list[RelayEvent] = []

    def read(self, name: SlotName, value: int) -> None:
        key, relay = int.from_bytes(name.key, "big"), self._ctx.relay
        match name.base:
            case SlotBase.STATUS:
                domain, source, lane_relay, channel, page = _split(key)
                if (domain, lane_relay) != (relay.domain, relay.relay):
                    return
                if (source, channel) == (0, 0):
                    self._read_origin_statuses(page, value)
                else:
                    lane = Lane(domain, source, self._registration, lane_relay, channel)
                    self._read_statuses(lane, page, value)
            case SlotBase.SEEN:
                source_key, channel, page = key >> 96, key >> 64 & _U32, key & _U64
                domain, source = source_key >> 32, source_key & _U32
                if domain == relay.domain:
                    self._read_seen(Lane(domain, source, self._registration, FREE_RELAY, channel), page, value)
            case SlotBase.RECEIPTS:
                domain, destination, lane_relay, channel, page = _split(key)
                if domain == relay.domain and lane_relay in (FREE_RELAY, relay.relay):
                    self._read_receipts(Lane(domain, self._registration, destination, lane_relay, channel), page, value)
            case SlotBase.RECEIVE_LANE:
                domain, source = key >> 96, key >> 64 & _U32
                lane_relay, channel = key >> 32 & _U32, key & _U32
                # In a bound lane the status bits say more: an end here would not say which.
                if domain == relay.domain and lane_relay == FREE_RELAY:
                    self._read_ordered(Lane(domain, source, self._registration, FREE_RELAY, channel), value & _U64)
            case _:
                # CLOSED was read first of all; the others are not readable.
                return

    def _read_origin_statuses(self, page: int, word: int) -> None:
        for nonce in _sequences(page, STATUSES_PER_SLOT):
            bits = status_bits(word, nonce)
            if bits in (Status.COMMITTED, Status.ABORTED):
                self.news += transactions.acknowledge(self._ctx, self._registration, nonce, bits)

    def _read_statuses(self, lane: Lane, page: int, word: int) -> None:
        for sequence in _sequences(page, STATUSES_PER_SLOT):
            packet_id = self._store.packet_at(lane, sequence)
            record = None if packet_id is None else self._store.packet(packet_id)
            if packet_id is not None and record is not None:
                self._read_status(packet_id, record, status_bits(word, sequence))

    def _read_status(self, packet_id: bytes, record: PacketRecord, bits: int) -> None:
        header = STACK.decode_header(record.header)
        if bits in (Status.COMMITTED, Status.ABORTED):
            if not record.is_carried and bits == Status.COMMITTED:
                return  # It cannot have executed what it was never given.
            if record.is_carried:
                given = Input.STATUS_COMMITTED if bits == Status.COMMITTED else Input.STATUS_ABORTED
                self._decide(packet_id, header, given)
            self.news += receipts.acknowledge(self._ctx, packet_id, header)
        elif bits == Status.NONE and record.entry and not record.tombstone_entry:
            if self._time_seconds >= header.transaction.execution_expiry:
                self._end_absent(packet_id, record, header, Input.ABSENT_AFTER_EXPIRY)
            elif self._is_closed:
                self._end_absent(packet_id, record, header, Input.ABSENT_AT_CLOSED)

    def _end_absent(self, packet_id: bytes, record: PacketRecord, header: Header, given: Input) -> None:
        if self._decide(packet_id, header, given):
            # Nobody needs the request any more: it could only end EXPIRED, and the tombstone says more.
            self._store.set_message(header.lane.destination, record.entry, None)

    def _decide(self, packet_id: bytes, header: Header, given: Input) -> bool:
        if header.transaction.kind != KIND_REQUEST:
            return False
        events = transactions.decide(self._ctx, packet_id, header, given)
        self.events.extend(events)
        self.news += bool(events)
        return bool(events)

    def _read_seen(self, lane: Lane, page: int, word: int) -> None:
        for sequence in _sequences(page, BITS_PER_SLOT):
            if bitmap_bit(word, sequence):
                self._acknowledge(lane, sequence)

    def _read_receipts(self, lane: Lane, page: int, word: int) -> None:
        for sequence in _sequences(page, BITS_PER_SLOT):
            if bitmap_bit(word, sequence):
                packet_id = self._store.packet_at(lane, sequence)
                if packet_id is not None:
                    self.news += receipts.acknowledge_home(self._ctx, packet_id, lane)

    def _read_ordered(self, lane: Lane, last: int) -> None:
        first = self._store.passed(lane) + 1
        last = min(last, first + ORDERED_STEPS_MAX - 1)
        for sequence in range(first, last + 1):
            self._acknowledge(lane, sequence)
        if last >= first:
            self._store.set_passed(lane, last)

    def _acknowledge(self, lane: Lane, sequence: int) -> None:
        packet_id = self._store.packet_at(lane, sequence)
        if packet_id is not None:
            record = self._store.packet(packet_id)
            assert record is not None, "a place names a recorded packet"
            self.news += receipts.acknowledge(self._ctx, packet_id, STACK.decode_header(record.header))


def _split(key: int) -> tuple[int, int, int, int, int]:
    """Split ``domain || peer || relay || channel || page u64``; what stands above the domain makes no domain fit."""
    page, rest = key & _U64, key >> 64
    return rest >> 96, rest >> 64 & _U32, rest >> 32 & _U32, rest & _U32, page


def _sequences(page: int, per_page: int) -> range:
    """Return the sequences of a page; none where they would not fit 64 bits."""
    end = (page + 1) * per_page
    return range(max(end - per_page, 1), end) if end <= _U64 else range(0)
