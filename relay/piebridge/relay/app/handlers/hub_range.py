"""HUB_RANGE: entries of a hub's outbox, proven by one authenticated value."""

from collections import Counter
from dataclasses import dataclass

from piebridge.crypto.errors import VerificationError
from piebridge.protocol_stack.authentication import KeptAuthentication
from piebridge.protocol_stack.codec import ZERO_HASH
from piebridge.protocol_stack.commitment import chain_slot
from piebridge.protocol_stack.identifiers import FREE_RELAY
from piebridge.protocol_stack.relay_messages import HubRange
from piebridge.protocol_stack.transport.outbox import (
    Entry,
    HeaderEntry,
    OutboxHead,
    PacketEntry,
    ReceiptsEntry,
    ReportEntry,
)
from piebridge.relay.app import packets, proofs, receipts
from piebridge.relay.app.context import Context, Events, RefusedError, RelayEvent, event
from piebridge.relay.app.packets import Decision, Origin, ProvenPacket
from piebridge.relay.app.records import ChainRecord, KeptValue, Progress, ReportRecord
from piebridge.relay.app.retention import kept_value

REPORTS_PER_HUB_MAX = 1_024
"""Reports of one hub that are kept: one of each kind about each relay chain; no domain ever has so many of them."""


@dataclass(frozen=True, slots=True)
class ProvenRange:
    """What validation found."""

    chain: ChainRecord
    """The chain whose hub made the entries."""
    head: OutboxHead
    """The last entry: folded, and authenticated."""
    progress: Progress
    """How far the chain is known to have gone on."""
    proven_at: int | None
    """Source block of a new proof; None where the value was kept."""


def validate(ctx: Context, message: HubRange) -> ProvenRange:
    """Fold the range and authenticate the value that comes out.

    Raises:
        DecodingError: a part of the proof is not in its one encoding.
        VerificationError: the folded value is not what was proven, or the proof does not hold.
        RefusedError: the state does not allow it.
    """
    store, relay = ctx.store, ctx.relay
    chain = proofs.chain_that_speaks(store, message.registration)
    if message.outbox_relay not in (FREE_RELAY, relay.relay):
        raise VerificationError(
            "outbox is bound to another relay chain", expected=relay.relay, actual=message.outbox_relay
        )
    head = message.range.fold()
    if isinstance(message.authentication, KeptAuthentication):
        kept = store.kept_value(message.registration, message.outbox_relay, head.number)
        if kept is None:
            raise RefusedError(f"the chain value of entry {head.number} is not kept: prove it")
        progress = store.progress(message.registration)
        proofs.check_kept(store, chain, progress, kept)
        _check_value(head, kept.value)
        return ProvenRange(chain, head, progress, None)
    proven = proofs.verify(store, chain, message.authentication)
    slot = chain_slot(relay.domain, message.outbox_relay)
    if proven.slots.slots != (slot,):
        raise VerificationError(
            "proof is not about the head of this outbox", expected=slot, actual=proven.slots.slots[0]
        )
    _check_value(head, proven.slots.values[0])
    return ProvenRange(chain, head, proven.progress, proven.slots.block_number)


def execute(ctx: Context, message: HubRange, validated: ProvenRange) -> tuple[int, Events]:
    """Keep the value, then open each entry that may be opened."""
    store, registration, outbox_relay = ctx.store, message.registration, message.outbox_relay
    head = validated.head
    store.set_progress(registration, validated.progress)
    if validated.proven_at is not None:
        trust_epoch, before = validated.progress.trust_epoch, store.kept_value(registration, outbox_relay, head.number)
        if before is None or before.trust_epoch != trust_epoch:
            kept = KeptValue(head.value, validated.proven_at, trust_epoch)
            store.set_kept_value(registration, outbox_relay, head.number, kept)
        if before is None:
            ctx.remembered.append(kept_value(registration, outbox_relay, head.number))
    cursor = store.cursor(registration, outbox_relay)
    if cursor is None or cursor.number < head.number:
        store.set_cursor(registration, outbox_relay, head)
    news, events, skipped = 0, list[RelayEvent](), Counter[Decision]()
    for number, entry in enumerate(message.range.entries, message.range.first):
        depth = proofs.depth(validated.chain, validated.progress, entry.height)
        origin = Origin(validated.chain, outbox_relay, depth)
        if isinstance(entry, PacketEntry | HeaderEntry):
            decision, told = packets.open_packet(ctx, origin, ProvenPacket.of(entry))
            if decision in packets.SKIPPED:
                skipped[decision] += 1
            else:
                news += 1
        else:
            opened, told = _open(ctx, origin, number, entry)
            news += opened
        events.extend(told)
    numbers = {"registration": registration, "outbox": outbox_relay}
    events.extend(event("entries_skipped", **numbers, reason=reason.value, count=n) for reason, n in skipped.items())
    events.append(event("range", **numbers, first=message.range.first, last=head.number, news=news))
    return news, events


def _open(ctx: Context, origin: Origin, number: int, entry: Entry) -> tuple[int, Events]:
    match entry:
        case ReceiptsEntry():
            return receipts.open_batch(ctx, origin, entry.batch)
        case ReportEntry():
            return _open_report(ctx, origin, number, entry)
        case _:
            # Bare, or a packet that does not decode: folded, and nothing else.
            return 0, []


def _open_report(ctx: Context, origin: Origin, number: int, entry: ReportEntry) -> tuple[int, Events]:
    """Keep the newest report of each kind for the governors; it changes nothing by itself.

    Old entries stay provable for ever, so the number decides what is newest. A hub names relay chains as it likes:
    beyond a number of them its reports are not kept.
    """
    report, store, registration = entry.report, ctx.store, origin.chain.registration
    if origin.outbox_relay != FREE_RELAY or origin.depth < origin.chain.depth:
        return 0, []
    before = store.report(registration, report.kind, report.relay)
    if before is not None and before.entry >= number:
        return 0, []
    if before is None:
        count = store.report_count(registration)
        if count >= REPORTS_PER_HUB_MAX:
            return 0, []
        store.set_report_count(registration, count + 1)
    store.set_report(registration, ReportRecord(number, report))
    return 1, [event("report", registration=registration, kind=report.kind.name, relay=report.relay)]


def _check_value(head: OutboxHead, value: bytes) -> None:
    if value == ZERO_HASH:
        raise VerificationError("chain value is zero: the outbox was never opened")
    if value != head.value:
        raise VerificationError("range does not fold to the proven chain value", expected=value, actual=head.value)
