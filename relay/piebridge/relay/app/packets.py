"""Packets of a proven range: skipped like bare entries, recorded and carried, or recorded and answered with an abort.

A member chain may be dishonest as a whole: what its outbox proves is only that its hub made the entry. Skipped are
entries that speak for another, were recorded before, are not deep enough, or are not wanted now; they may come again. A
request that speaks for its own chain always ends, so that nobody stays locked: it is carried, or it is recorded and
answered ABORT, REFUSED while its deadline has not passed and LATE afterwards.
"""

from dataclasses import dataclass, replace
from enum import Enum

from piebridge.protocol_stack.governor_hub_bodies import RelayLifeCycle
from piebridge.protocol_stack.header import KIND_REQUEST, Header
from piebridge.protocol_stack.packet import packet_id
from piebridge.protocol_stack.transaction.atp import Input
from piebridge.protocol_stack.transport.outbox import Form, HeaderEntry, PacketEntry
from piebridge.protocol_stack.verification.base import Method
from piebridge.relay.app import transactions
from piebridge.relay.app.context import Context, Events, OutgoingMessage, RelayEvent
from piebridge.relay.app.records import ChainRecord, PacketRecord
from piebridge.relay.app.retention import recorded_packet
from piebridge.relay.app.store import View


class Decision(Enum):
    """What becomes of a packet entry."""

    FOREIGN = "speaks for another"
    DUPLICATE = "recorded before"
    WAIT = "not now"
    CARRY = "carried"
    LATE = "aborted, late"
    REFUSE = "aborted, refused"
    ENDED = "noted, for it reached its end at its destination before it came here"
    """Another relay chain of the domain carried it: the destination's word for the ordered lane is past it."""
    REPEAT = "entombed, its nonce was given out before"
    """Only a dishonest hub does so. The first request decides the transaction; this one must never execute, and its
    ordered lane must go on."""


SKIPPED = frozenset({Decision.FOREIGN, Decision.DUPLICATE, Decision.WAIT})
"""What leaves the state as it is; the entry may come again."""


@dataclass(frozen=True, slots=True)
class ProvenPacket:
    """A packet of a proven range whose header the stack accepts."""

    packet_id: bytes
    """Packet id, 32 bytes."""
    header: Header
    """Header."""
    body_hash: bytes
    """H(body), 32 bytes."""
    body: bytes | None
    """Body, or None where only its hash came."""

    @classmethod
    def of(cls, entry: PacketEntry | HeaderEntry) -> "ProvenPacket":
        """Take over an entry of a range."""
        if isinstance(entry, HeaderEntry):
            return cls(packet_id(entry.header.encode(), entry.body_hash), entry.header, entry.body_hash, None)
        packet = entry.packet
        return cls(packet.packet_id, packet.header, packet.body_hash, packet.body)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a proven entry comes from."""

    chain: ChainRecord
    """The chain whose hub was proven."""
    outbox_relay: int
    """Relay in the name of the outbox: 0, or this relay chain."""
    depth: int
    """How many blocks of that chain are known to stand on the entry's block; negative for a block yet to come."""


def open_packet(ctx: Context, origin: Origin, packet: ProvenPacket) -> tuple[Decision, Events]:
    """Open a packet entry: decide what becomes of it, and do so. Events tell of transactions alone: queries tell the
    rest, and an event for each packet costs more than its verification."""
    decision = decide(ctx.store, ctx.time_seconds, origin, packet)
    if decision in SKIPPED:
        return decision, ()
    header = packet.header
    if decision is Decision.ENDED:  # a message that nobody would ever acknowledge is not made
        _note_ended(ctx, packet)
        return decision, ()
    _record(ctx, packet, is_carried=decision is Decision.CARRY)
    events: list[RelayEvent] = []
    if decision is Decision.REPEAT:
        transactions.entomb(ctx, packet.packet_id, header)
    elif header.transaction.kind == KIND_REQUEST:
        events.extend(transactions.begin(ctx, packet.packet_id, header, _input(ctx.store, decision, header)))
    if decision is Decision.CARRY:
        _carry(ctx, packet)
    return decision, events


def decide(view: View, time_seconds: int, origin: Origin, packet: ProvenPacket) -> Decision:
    """Say what becomes of a packet entry at this moment. Reads only."""
    relay, header, source = view.relay, packet.header, origin.chain
    lane, transaction = header.lane, header.transaction
    # WHO: an entry that speaks for another is as good as bare.
    if (lane.domain, lane.source, lane.relay) != (relay.domain, source.registration, origin.outbox_relay):
        return Decision.FOREIGN
    if view.is_recorded(lane, header.transport.sequence):
        return Decision.DUPLICATE
    # FINAL: nothing is done, aborts included, before the registered depth.
    if origin.depth < source.depth:
        return Decision.WAIT
    if transaction.kind == KIND_REQUEST:
        return _decide_request(view, time_seconds, origin, packet)
    return _decide_free(view, time_seconds, origin, packet)


def _decide_request(view: View, time_seconds: int, origin: Origin, packet: ProvenPacket) -> Decision:
    relay, header = view.relay, packet.header
    if transactions.find(view, header) is not None:
        return Decision.REPEAT
    if time_seconds >= header.transaction.deadline:
        return Decision.LATE if origin.depth >= header.verification.depth else Decision.WAIT
    if packet.body is None or relay.paused:
        return Decision.WAIT
    servable = (
        relay.life_cycle is RelayLifeCycle.ACTIVE
        and origin.chain.is_open
        and view.open_chain(header.lane.destination) is not None
        and len(packet.body) <= relay.body_bytes_max
        and _meets_demands(origin.chain, header)
    )
    if not servable:
        return Decision.REFUSE
    return Decision.CARRY if origin.depth >= header.verification.depth else Decision.WAIT


def _decide_free(view: View, time_seconds: int, origin: Origin, packet: ProvenPacket) -> Decision:
    relay, header = view.relay, packet.header
    if header.transport.ordered and header.transport.sequence <= view.passed(header.lane):
        return Decision.ENDED
    if (
        packet.body is None
        or len(packet.body) > relay.body_bytes_max
        or relay.paused
        or view.open_chain(header.lane.destination) is None
    ):
        return Decision.WAIT
    if not _meets_demands(origin.chain, header):
        # Nobody answers a free packet, but the destination may end it: once it is expired it can do no harm any more.
        expiry = header.transaction.execution_expiry
        return Decision.CARRY if expiry and time_seconds >= expiry else Decision.WAIT
    return Decision.CARRY if origin.depth >= header.verification.depth else Decision.WAIT


_METHODS_THAT_MEET = {
    # Notaries are the least there is: whoever accepts them accepts a light client as well. Nobody verifies a chain by a
    # weaker method than its registration's because a packet says so.
    Method.NOTARY: (Method.SPV, Method.NOTARY, Method.BOTH),
    Method.SPV: (Method.SPV, Method.BOTH),
    Method.BOTH: (Method.BOTH,),
}


def _meets_demands(chain: ChainRecord, header: Header) -> bool:
    demands = header.verification
    return (
        chain.method in _METHODS_THAT_MEET[Method(demands.method)]
        and demands.depth <= chain.depth_max
        and demands.oldest_set_epoch <= chain.notary_epoch
    )


def _input(view: View, decision: Decision, header: Header) -> Input:
    if decision is Decision.CARRY:
        return Input.REQUEST
    if decision is Decision.LATE:
        return Input.REQUEST_LATE
    member = view.open_chain(header.lane.destination) is not None
    return Input.REQUEST_REFUSED if member else Input.REQUEST_REFUSED_NO_MEMBER


def _record(ctx: Context, packet: ProvenPacket, *, is_carried: bool) -> None:
    store, header = ctx.store, packet.header
    sequence = header.transport.sequence
    store.set_recorded(header.lane, sequence)
    store.set_packet_at(header.lane, sequence, packet.packet_id)
    store.set_packet(packet.packet_id, PacketRecord(packet.header.encode(), packet.body_hash, ctx.height, is_carried))
    ctx.remembered.append(recorded_packet(packet.packet_id))


def _note_ended(ctx: Context, packet: ProvenPacket) -> None:
    """Record a packet that its destination has; its receipt may still come, and is opened only for a known packet."""
    store, header = ctx.store, packet.header
    if not header.transport.receipt_wanted or store.is_receipt_opened(header.lane, header.transport.sequence):
        store.set_recorded(header.lane, header.transport.sequence)
        return
    _record(ctx, packet, is_carried=True)
    record = store.packet(packet.packet_id)
    assert record is not None, "it was just recorded"
    store.set_packet(packet.packet_id, replace(record, is_acknowledged=True))


def _carry(ctx: Context, packet: ProvenPacket) -> None:
    assert packet.body is not None, "only a whole packet is carried"
    ctx.outgoing.append(
        OutgoingMessage(
            destination=packet.header.lane.destination,
            form=Form.PACKET,
            content=packet.header.encode() + packet.body,
            message_id=packet.packet_id,
            packet_id=packet.packet_id,
        )
    )
