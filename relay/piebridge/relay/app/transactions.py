"""Transactions on their relay chain: one record, one verdict, written once.

The table is :mod:`piebridge.protocol_stack.transaction.atp`; here its effects become entries of outboxes.
"""

from dataclasses import replace

from piebridge.protocol_stack.header import Header
from piebridge.protocol_stack.packet import packets_hash, transaction_id
from piebridge.protocol_stack.transaction.atp import Effect, Input, RecordState, advance
from piebridge.protocol_stack.verdicts import OriginVerdict, ParticipantVerdict, Verdict
from piebridge.relay.app.context import Context, Events, OutgoingOriginVerdict, OutgoingParticipantVerdict, event
from piebridge.relay.app.records import TransactionRecord
from piebridge.relay.app.store import View


def id_of(view: View, origin: int, nonce: int) -> bytes:
    """Return the id of a transaction that is bound to this relay chain.

    The origin's hub is part of the id, so the origin must be a registration that this relay chain knows.
    """
    relay, chain = view.relay, view.chain(origin)
    assert chain is not None, f"transaction of registration {origin}, which was never registered"
    return transaction_id(relay.domain, origin, chain.hub, relay.relay, nonce)


def find(view: View, header: Header) -> TransactionRecord | None:
    """Return the record of the transaction that a request belongs to, or None."""
    return view.transaction(id_of(view, header.transaction.origin, header.transaction.nonce))


def begin(ctx: Context, packet_id: bytes, header: Header, given: Input) -> Events:
    """Set up the record of a request that is being recorded: open, or aborted at once."""
    transaction = header.transaction
    tx_id = id_of(ctx.store, transaction.origin, transaction.nonce)
    state, effects, reason = advance(RecordState.NONE, given)
    record = TransactionRecord(state, reason, transaction.origin, transaction.nonce, packet_id)
    return _write(ctx, tx_id, record, header, effects)


def decide(ctx: Context, packet_id: bytes, header: Header, given: Input) -> Events:
    """Give the destination's evidence to the record of a request that was carried; a verdict that is written stays."""
    tx_id = id_of(ctx.store, header.transaction.origin, header.transaction.nonce)
    record = ctx.store.transaction(tx_id)
    assert record is not None, "a request that was carried has a record"
    assert record.packet_id == packet_id, "the record is that of the request that was carried"
    if record.state.final:
        return []
    state, effects, reason = advance(record.state, given)
    return _write(ctx, tx_id, replace(record, state=state, reason=reason), header, effects)


def acknowledge(ctx: Context, origin: int, nonce: int, bits: int) -> bool:
    """Note that the origin took a verdict, its status bits being proven; return whether that was news.

    Bits that contradict the verdict are a dishonest origin's own business and acknowledge nothing.
    """
    tx_id = id_of(ctx.store, origin, nonce)
    record = ctx.store.transaction(tx_id)
    if record is None or record.is_acknowledged or not record.verdict_entry or bits != record.state:
        return False
    ctx.store.set_transaction(tx_id, replace(record, is_acknowledged=True))
    ctx.store.acknowledge_message(origin, record.verdict_entry)
    return True


def contradicts(view: View, header: Header, given: Input) -> bool:
    """Tell whether evidence about a request that was carried does not fit the verdict that is written."""
    record = find(view, header)
    assert record is not None, "a request that was carried has a record"
    return record.state.final and advance(RecordState.OPEN, given).state != record.state


def entomb(ctx: Context, packet_id: bytes, header: Header) -> None:
    """Send an ABORT to the destination of a request, where it leaves a tombstone, if that is an open member."""
    lane = header.lane
    if ctx.store.open_chain(lane.destination) is not None:
        tombstone = ParticipantVerdict(lane.source, lane.channel, header.transport.sequence, Verdict.ABORT)
        ctx.outgoing.append(OutgoingParticipantVerdict(lane.destination, tombstone, packet_id))


def _write(ctx: Context, tx_id: bytes, record: TransactionRecord, header: Header, effects: Effect) -> Events:
    ctx.store.set_transaction(tx_id, record)
    if Effect.VERDICT_TO_ORIGIN in effects and ctx.store.open_chain(record.origin) is not None:
        if record.state is RecordState.ABORT:
            verdict = OriginVerdict(record.nonce, Verdict.ABORT, packets_hash([record.packet_id]))
        else:
            verdict = OriginVerdict(record.nonce, Verdict.COMMIT)
        ctx.outgoing.append(OutgoingOriginVerdict(record.origin, verdict, tx_id))
    if Effect.VERDICT_TO_DESTINATION in effects:
        entomb(ctx, record.packet_id, header)
    return [event("transaction", tx_id=tx_id, state=record.state.name, reason=record.reason.name)]
