"""The table of planted bugs. ``make soak CAMPAIGN=planted-bugs`` looks for each of them from seed 0 on."""

import random
from dataclasses import replace
from typing import Any

from piebridge.crypto.errors import VerificationError
from piebridge.crypto.signature import recover_address
from piebridge.gateway import hub_to_relay, slots
from piebridge.gateway.archive import Archive
from piebridge.gateway.endorsements import CollectedEndorsement, _Collector
from piebridge.gateway.forwarder import Delivery
from piebridge.gateway.forwarder.path import Path
from piebridge.gateway.hub_state import HubState
from piebridge.gateway.hub_submitter import HubSubmitter
from piebridge.gateway.later_look import LaterLook
from piebridge.gateway.notary import Notary
from piebridge.gateway.reconciler import Reconciler
from piebridge.gateway.relay_listener import RelayListener
from piebridge.gateway.settlement import SettlementCarrier
from piebridge.protocol_stack import commitment
from piebridge.protocol_stack.authentication import NotaryAuthentication
from piebridge.protocol_stack.receipts import ReceiptCode
from piebridge.protocol_stack.relay_queries import EndorseQuery
from piebridge.protocol_stack.transaction.atp import Input
from piebridge.protocol_stack.verification.slots import AuthenticatedSlots
from piebridge.relay.app import application as relay_application
from piebridge.relay.app import proofs, receipts, retention, transactions
from piebridge.relay.app.context import Context
from piebridge.relay.app.handlers import hub_range, hub_slots
from piebridge.relay.app.store import Store, View
from piebridge.relay.endorsement import ValidatorQueries
from planted.bug import PlantedBug, both, changed, replaced
from testkit.simulation import endpoints
from testkit.simulation.applications import RecordNotary, Token
from testkit.simulation.hub import ABORTED, COMMITTED, Hub

_Any = Any

# --- relay application ------------------------------------------------------------------------------------------------


def _absent_before_expiry(original: _Any, self: _Any, packet_id: bytes, record: _Any, bits: int) -> None:
    self._time_seconds, kept = 1 << 62, self._time_seconds
    original(self, packet_id, record, bits)
    self._time_seconds = kept


def _receipts_not_sent_home(original: _Any, ctx: Context, receipt: _Any, record: _Any) -> _Any:
    before = len(ctx.outgoing)
    events = original(ctx, receipt, record)
    ctx.outgoing[before:] = [item for item in ctx.outgoing[before:] if getattr(item, "form", None) is None]
    return events


def _shuffled_outboxes(original: _Any, store: Store, outgoing: _Any, height: int, time_seconds: int) -> _Any:
    mixed = list(outgoing)
    random.SystemRandom().shuffle(mixed)
    return original(store, mixed, height, time_seconds)


def _every_bit_seen(original: _Any, self: _Any, lane: _Any, page: int, word: int) -> None:
    original(self, lane, page, (1 << 256) - 1)


def _unsigned_statement(
    domain: int, registration: int, hub: bytes, committed: _Any, named: _Any, quorum: _Any, statement: _Any
) -> AuthenticatedSlots:
    return AuthenticatedSlots(
        block_number=statement.block_number,
        block_time_seconds=statement.block_time,
        block_hash=statement.block_hash,
        slots=tuple(item.slot for item in statement.slots),
        values=tuple(item.value for item in statement.slots),
    )


def _forget_what_precedes(store: Store, destination: int, count: int) -> None:
    number, head = store.outbox_base(destination), store.outbox_head(destination)
    assert head is not None, "an entry was made in this outbox"
    for _ in range(2 * count):
        if number >= head.number or store.message(destination, number) is not None:
            break
        store.set_entry(destination, number, None)
        number += 1
    store.set_outbox_base(destination, number)


def _late_is_committed(original: _Any, ctx: Context, packet_id: bytes, header: _Any, given: Input) -> _Any:
    return original(ctx, packet_id, header, Input.RECEIPT_EXECUTED if given is Input.ABSENT_AFTER_EXPIRY else given)


def _stuck_epoch(original: _Any, self: _Any, request: _Any) -> _Any:
    answer = original(self, request)
    if request.path == EndorseQuery.PATH and answer.value and int.from_bytes(answer.value[:4], "big") > 1:
        return replace(answer, value=(1).to_bytes(4, "big") + answer.value[4:])
    return answer


_EVIDENCE = dict(receipts.EVIDENCE)

RELAY = (
    PlantedBug(
        "relay: a recorded packet is recorded again",
        "the second recording of a request entombs it",
        frozenset({"I13", "I4", "I6", "I7", "I1", "crash"}),
        replaced(View, "is_recorded", lambda self, lane, sequence: False),
        1,
    ),
    PlantedBug(
        "relay: absent before expiry",
        "a status of 00 aborts a transaction whose packet may still be executed",
        frozenset({"I4", "I1"}),
        changed(hub_slots._Reader, "_read_status", _absent_before_expiry),
        17,
    ),
    PlantedBug(
        "relay: a failure commits",
        "the receipt FAILED becomes a COMMIT, and nothing is refunded",
        frozenset({"I4", "I1"}),
        replaced(receipts, "EVIDENCE", {**_EVIDENCE, ReceiptCode.FAILED: Input.RECEIPT_EXECUTED}),
        0,
    ),
    PlantedBug(
        "relay: an expiry commits",
        "the receipt EXPIRED becomes a COMMIT, and nothing is refunded",
        frozenset({"I4", "I1"}),
        replaced(receipts, "EVIDENCE", {**_EVIDENCE, ReceiptCode.EXPIRED: Input.RECEIPT_EXECUTED}),
        0,
    ),
    PlantedBug(
        "relay: an execution aborts",
        "the receipt EXECUTED becomes an ABORT, and what was credited is refunded as well",
        frozenset({"I4", "I1"}),
        replaced(receipts, "EVIDENCE", {**_EVIDENCE, ReceiptCode.EXECUTED: Input.RECEIPT_FAILED}),
        0,
    ),
    PlantedBug(
        "relay: receipts stay",
        "no receipt is sent home",
        frozenset({"I13"}),
        changed(receipts, "_open", _receipts_not_sent_home),
        3,
    ),
    PlantedBug(
        "relay: outboxes in any order",
        "two validators enter the messages of a block in different orders",
        frozenset({"I12", "crash"}),
        changed(relay_application, "make_entries", _shuffled_outboxes),
        0,
    ),
    PlantedBug(
        "relay: acknowledged unseen",
        "one bitmap word acknowledges packets that the hub does not have, and their messages are dropped",
        frozenset({"I13"}),
        changed(hub_slots._Reader, "_read_seen", _every_bit_seen),
        97,
    ),
    PlantedBug(
        "relay: forgets before the receipt",
        "what was acknowledged is forgotten for good although its receipt has not come; the product once did so",
        frozenset({"I13"}),
        replaced(retention, "_waits_for_receipt", lambda store, record, header: False),
        139,
    ),
    PlantedBug(
        "relay: no tombstones",
        "a transaction that was aborted leaves a hole in its ordered lane",
        frozenset({"I13", "I7"}),
        replaced(transactions, "entomb", lambda ctx, packet_id, header: None),
        129,
    ),
    PlantedBug(
        "relay: chain value before a waiting entry dropped",
        "what waits cannot be shown any more; a bug that the product once had",
        frozenset({"I13"}),
        replaced(retention, "_forget_entries", _forget_what_precedes),
        25,
    ),
    PlantedBug(
        "relay: absence commits",
        "a packet that never came within its time counts as executed",
        frozenset({"I4", "I1"}),
        changed(transactions, "decide", _late_is_committed),
        2,
    ),
)

# --- verification -----------------------------------------------------------------------------------------------------


def _any_three_signatures(self: Hub, execution: _Any, envelope: _Any) -> None:
    if envelope.signers.set_hash(self.domain, envelope.relay) not in self._accepted_sets(execution, envelope.relay):
        raise VerificationError("unknown set")
    digest = envelope.digest(self.registration)
    for signature in envelope.proof.signatures:  # who signs twice is counted twice
        if recover_address(digest, signature) not in envelope.signers.keys:
            raise VerificationError("not endorsed")


def _set_of_the_envelope(original: _Any, self: Hub, execution: _Any, relay: int) -> list[bytes]:
    return _Everything()


class _Everything(list[bytes]):
    def __contains__(self, item: object) -> bool:
        return True


def _previous_set_for_ever(self: Hub, execution: _Any, relay: int) -> list[bytes]:
    return [self._word(execution, base, relay).to_bytes(32, "big") for base in (40, 41)]


async def _reads_unfinal(original: _Any, self: Notary, chain: _Any, endpoint: _Any, number: int, wanted: _Any) -> _Any:
    return await endpoint.prove(wanted, number)


async def _newest_is_final(self: _Any, depth: int) -> _Any:
    return await self.latest_block()


VERIFICATION = (
    PlantedBug(
        "verification: statements without signatures",
        "a relay chain believes what one notary signs in the name of three",
        frozenset({"I3", "I1", "I4", "I6", "I2"}),
        replaced(proofs, "verify_statement", _unsigned_statement),
        0,
    ),
    PlantedBug(
        "verification: folded value not compared",
        "a proof of one outbox head lets in any entries",
        frozenset({"I3", "I1", "I4", "I10", "I6", "I13", "crash"}),
        replaced(hub_range, "_check_value", lambda head, value: None),
        2,
    ),
    PlantedBug(
        "verification: endorsements without signatures",
        "a hub looks at the set of an envelope and not at its signatures",
        frozenset({"I3", "I1", "I4", "I6"}),
        replaced(Hub, "_verify", lambda self, execution, envelope: None),
        0,
    ),
    PlantedBug(
        "verification: one signature three times",
        "a member who signs twice is counted twice",
        frozenset({"I3", "I1", "I4", "I6"}),
        replaced(Hub, "_verify", _any_three_signatures),
        2,
    ),
    PlantedBug(
        "verification: any set",
        "a hub takes the set that the envelope names for the committed one",
        frozenset({"I3", "I1", "I4", "I6"}),
        changed(Hub, "_accepted_sets", _set_of_the_envelope),
        0,
    ),
    PlantedBug(
        "verification: the overlap never ends",
        "a hub accepts the set before the current one for ever, whose keys are stolen meanwhile",
        frozenset({"I3", "I1", "I4", "I6"}),
        replaced(Hub, "_accepted_sets", _previous_set_for_ever),
        148,
    ),
    PlantedBug(
        "verification: blocks that are not final",
        "gateways prove and notaries sign the newest block, which may be reorganised away",
        frozenset({"I3", "I8", "I1", "I13", "I4", "I6"}),
        both(
            changed(Notary, "_read_one", _reads_unfinal),
            replaced(endpoints.SimulatedParachainEndpoint, "final_block", _newest_is_final),
        ),
        5,
    ),
    PlantedBug(
        "verification: endorsers forget the new epoch",
        "after a change of the set endorsements still name the old epoch",
        frozenset({"I13"}),
        changed(ValidatorQueries, "__call__", _stuck_epoch),
        3,
    ),
)

# --- transport and transaction, at the hub ----------------------------------------------------------------------------


def _has_ended_bound_only(original: _Any, self: Hub, execution: _Any, header: _Any, sequence: int) -> bool:
    return bool(header.lane.relay and original(self, execution, header, sequence))


def _has_ended_free_only(original: _Any, self: Hub, execution: _Any, header: _Any, sequence: int) -> bool:
    return bool(not header.lane.relay and original(self, execution, header, sequence))


def _gaps_allowed(self: Hub, execution: _Any, header: _Any) -> bool:
    lane = header.lane
    slot = commitment.receive_lane_slot(self.domain, lane.source, lane.relay, lane.channel)
    return int(header.transport.sequence) > int(execution.load(self.address, slot))


def _failure_blocks(original: _Any, self: Hub, execution: _Any, batch: _Any, header: _Any, *rest: _Any) -> None:
    if header.transport.ordered and not header.lane.relay and rest[1] is not ReceiptCode.EXECUTED:
        return
    original(self, execution, batch, header, *rest)


def _failure_is_written_as_success(
    original: _Any, self: Hub, execution: _Any, source: int, relay: int, channel: int, sequence: int, status: int
) -> None:
    own = source == 0
    original(self, execution, source, relay, channel, sequence, COMMITTED if status == ABORTED and not own else status)


def _receipt_again(original: _Any, self: Hub, execution: _Any, relay: int, home: _Any) -> None:
    lane, sequence = home.header.lane, home.header.transport.sequence
    slot = commitment.receipts_slot(self.domain, lane.destination, lane.relay, lane.channel, sequence)
    word = execution.load(self.address, slot)
    execution.store(self.address, slot, word & ~(1 << (sequence & 255)))
    original(self, execution, relay, home)


def _nonce_again(original: _Any, self: Hub, execution: _Any, *arguments: _Any, **named: _Any) -> bytes:
    relay = named.get("relay", 0)
    head_slot = commitment.head_slot(self.domain, relay)
    head = execution.load(self.address, head_slot)
    if relay and (head >> 64) % 4 == 3:
        execution.store(self.address, head_slot, head - (1 << 64))
    packet_id: bytes = original(self, execution, *arguments, **named)
    return packet_id


def _only_free_receipts(original: _Any, self: Hub, execution: _Any, batch: _Any) -> None:
    if not batch.bound:
        original(self, execution, batch)


def _anything_is_owed(self: Hub, execution: _Any, slot: bytes, packet: _Any) -> bool:
    return int(execution.load(self.address, slot)) > 1


HUB = (
    PlantedBug(
        "transport: a free packet executes again",
        "a hub does not look at its bitmap",
        frozenset({"I2", "I6"}),
        changed(Hub, "_has_ended", _has_ended_bound_only),
        0,
    ),
    PlantedBug(
        "transport: a bound packet executes again",
        "a hub does not look at the status bits",
        frozenset({"I2", "I1", "I6"}),
        changed(Hub, "_has_ended", _has_ended_free_only),
        0,
    ),
    PlantedBug(
        "transport: gaps in an ordered lane",
        "a packet is executed though one before it has not come",
        frozenset({"I7", "I2", "I6", "I13"}),
        replaced(Hub, "_is_next", _gaps_allowed),
        3,
    ),
    PlantedBug(
        "transport: a failure blocks its lane",
        "a packet that the handler refuses is tried again for ever",
        frozenset({"I13", "I7", "I2", "I6"}),
        changed(Hub, "_end", _failure_blocks),
        5,
    ),
    PlantedBug(
        "transport: tombstones are not passed",
        "an ordered lane stops at a sequence that was aborted",
        frozenset({"I13", "I7"}),
        replaced(Hub, "_pass_final", lambda self, execution, header, last: last),
        129,
    ),
    PlantedBug(
        "transport: receipts of bound packets are not made",
        "the relay chain learns nothing but by slots",
        frozenset({"I6", "I13"}),
        changed(Hub, "_close_batch", _only_free_receipts),
        0,
    ),
    PlantedBug(
        "transport: a receipt counts twice",
        "a hub does not look at the bitmap of receipts",
        frozenset({"I6", "I2"}),
        changed(Hub, "_take_receipt_home", _receipt_again),
        0,
    ),
    PlantedBug(
        "transaction: executed after expiry",
        "a hub does not look at the clock",
        frozenset({"I10", "I4", "I1", "I6"}),
        replaced(Hub, "_is_expired", lambda self, execution, expiry: False),
        0,
    ),
    PlantedBug(
        "transaction: expired too early",
        "a hub ends packets before their time is over",
        frozenset({"I6"}),
        replaced(Hub, "_is_expired", lambda self, execution, expiry: expiry and execution.time_seconds + 8 >= expiry),
        0,
    ),
    PlantedBug(
        "transaction: a failure is written as a success",
        "the status bits say 10 of a packet that was refused",
        frozenset({"I6", "I4", "I1"}),
        changed(Hub, "_set_status", _failure_is_written_as_success),
        0,
    ),
    PlantedBug(
        "transaction: settled and not marked",
        "an aborted transaction is refunded as often as anybody asks",
        frozenset({"I2", "I4", "I1"}),
        replaced(Hub, "_mark_settled", lambda self, execution, slot: None),
        0,
    ),
    PlantedBug(
        "transaction: anything settles",
        "a refund does not ask whether the packet is the one that was aborted",
        frozenset({"I4", "I2", "I1", "I3", "I10"}),
        both(
            replaced(Hub, "_owes", _anything_is_owed),
            replaced(Hub, "_mark_settled", lambda self, execution, slot: None),
        ),
        0,
    ),
    PlantedBug(
        "transaction: a nonce given out twice",
        "two transactions have one number, so one verdict decides both",
        frozenset({"I2", "I4", "I13", "I1"}),
        changed(Hub, "send", _nonce_again),
        0,
    ),
)

# --- applications -----------------------------------------------------------------------------------------------------


def _refund_twice(original: _Any, self: Token, execution: _Any, account: bytes, amount: int) -> None:
    original(self, execution, account, amount + 1)


def _no_debit(original: _Any, self: Token, execution: _Any, account: bytes, amount: int) -> None:
    """Take nothing."""


def _refund_to_recipient(original: _Any, self: Token, execution: _Any, packet_id: bytes, packet: _Any) -> None:
    body = packet.body
    original(self, execution, packet_id, replace(packet, body=body[:16] + body[36:56] + body[36:56]))


def _overwrites(original: _Any, self: RecordNotary, execution: _Any, packet_id: bytes, packet: _Any) -> bytes:
    first = commitment.mapping_slot(0, packet.body[:32])
    execution.store(self.address, (int.from_bytes(first, "big") + 1).to_bytes(32, "big"), 0)
    answer: bytes = original(self, execution, packet_id, packet)
    return answer


APPLICATIONS = (
    PlantedBug(
        "token: credits one too many",
        "value from nothing",
        frozenset({"I1"}),
        changed(Token, "_credit", _refund_twice),
        0,
    ),
    PlantedBug(
        "token: sends without debit",
        "what leaves stays as well",
        frozenset({"I1"}),
        changed(Token, "_debit", _no_debit),
        0,
    ),
    PlantedBug(
        "token: refunds the recipient",
        "an aborted transfer is given to whom it was meant for",
        frozenset({"I10", "I1"}),
        changed(Token, "on_abort", _refund_to_recipient),
        0,
    ),
    PlantedBug(
        "record notary: overwrites",
        "a key that is taken is given again",
        frozenset({"I10", "I6", "I3"}),
        changed(RecordNotary, "on_packet", _overwrites),
        0,
    ),
)

# --- gateway ----------------------------------------------------------------------------------------------------------


def _drop(path: Path, numbers: _Any) -> None:
    for number in numbers:
        if number in path._items:
            path._forget(number)


def _no_resubmission(original: _Any, self: Path, batch: _Any, now: float, failure: str = "") -> None:
    original(self, batch, now, failure)
    if failure and self.key.flow_name == "relay-to-hub":
        _drop(self, batch.numbers)


def _losing_archive(original: _Any, self: Archive, registration: int, outbox: int, entries: _Any) -> None:
    original(self, registration, outbox, [entry for entry in entries if entry.number % 5])


def _everything_settled(original: _Any, self: SettlementCarrier, path: _Any, numbers: tuple[int, ...]) -> _Any:
    async def done() -> dict[int, Delivery]:
        return dict.fromkeys(numbers, Delivery.DONE)

    return done()


def _done_at_newest(original: _Any, self: HubState, registration: int, relay: int, evidence: _Any) -> _Any:
    async def deliveries() -> _Any:
        states = await original(self, registration, relay, evidence)
        return {number: Delivery.DONE if state is Delivery.WAITING else state for number, state in states.items()}

    return deliveries()


async def _head_is_always_shown(self: RelayListener, destination: int, forgotten: int, head: int) -> int:
    return head - 1


async def _recorded_is_settled(self: LaterLook, now: float) -> int:
    return 0


def _receipt_always_there(original: _Any, header: _Any) -> _Any:
    return replace(original(header), holds=lambda word: True)


def _one_liar_stops_all(self: _Collector) -> CollectedEndorsement | None:
    self.refuse_contradiction()
    collected: CollectedEndorsement | None = _RESULT(self)
    return collected


_RESULT: _Any = _Collector.result


def _asks_without_pause(original: _Any, self: Path, event: _Any, now: float) -> None:
    answered = {number for number, _ in event.states}
    asked = () if self._check is None else self._check.numbers
    original(self, event, now)
    for number in asked:
        if number in self._items and number not in answered:
            self._enter(number, self._items[number], None)


async def _nonce_once_for_all(self: HubSubmitter) -> int:
    kept: int | None = self.__dict__.get("_planted")
    if kept is None:
        kept = await self._endpoint.nonce(self.address, pending=True)
    self.__dict__["_planted"] = kept + 1
    return kept


def _gives_up(original: _Any, self: Path, batch: _Any, now: float, reason: str) -> None:
    _drop(self, batch.numbers)


def _settled_over_gaps(original: _Any, self: Reconciler, path: _Any, nonce: int) -> None:
    for lower in range(1, nonce + 1):
        original(self, path, lower)


async def _opened_when_seen(relay: _Any, batches: _Any) -> dict[int, bool]:
    return dict.fromkeys(batches, True)


def _kept_for_proven(original: _Any, view: View, chain: _Any, authentication: _Any) -> _Any:
    proven = original(view, chain, authentication)
    if isinstance(authentication, NotaryAuthentication):
        return replace(proven, slots=replace(proven.slots, block_time_seconds=proven.slots.block_time_seconds + 60))
    return proven


GATEWAY = (
    PlantedBug(
        "gateway: no resubmission",
        "what failed on its way to a hub is forgotten",
        frozenset({"I13"}),
        changed(Path, "_end_batch", _no_resubmission),
        17,
    ),
    PlantedBug(
        "gateway: gives up what is refused",
        "a batch that was refused once is dropped with all that was in it",
        frozenset({"I13"}),
        changed(Path, "_split", _gives_up),
        47,
    ),
    PlantedBug(
        "gateway: the archive loses entries",
        "every fifth entry of an outbox is not written down",
        frozenset({"I13"}),
        changed(Archive, "add", _losing_archive),
        1,
    ),
    PlantedBug(
        "gateway: nothing to settle",
        "aborted transactions are never refunded",
        frozenset({"I13"}),
        changed(SettlementCarrier, "check", _everything_settled),
        1,
    ),
    PlantedBug(
        "gateway: done before it is final",
        "what a hub has in a block that is then reorganised away is not brought again",
        frozenset({"I13"}),
        changed(HubState, "deliveries", _done_at_newest),
        95,
    ),
    PlantedBug(
        "gateway: a forgotten outbox is read for ever",
        "it waits for a relay chain to show a head of which it keeps nothing; a bug that the product once had",
        frozenset({"I13", "crash"}),
        replaced(RelayListener, "_last_forgotten", _head_is_always_shown),
        327,
    ),
    PlantedBug(
        "gateway: recorded is settled",
        "what a relay chain forgets unacknowledged is not carried again; a bug that the product once had",
        frozenset({"I13"}),
        replaced(LaterLook, "look", _recorded_is_settled),
        9,
    ),
    PlantedBug(
        "gateway: receipts taken for delivered",
        "the evidence of a receipt at its source always holds",
        frozenset({"I13"}),
        changed(slots, "of_receipt", _receipt_always_there),
        3,
    ),
    PlantedBug(
        "gateway: one liar stops all",
        "a validator who endorses another value stops endorsement; a bug that the product once had",
        frozenset({"I13"}),
        replaced(_Collector, "result", _one_liar_stops_all),
        5,
    ),
    PlantedBug(
        "gateway: asks without a pause",
        "a check that says nothing of an item is repeated at once; a bug that the product once had",
        frozenset({"crash"}),
        changed(Path, "checked", _asks_without_pause),
        17,
    ),
    PlantedBug(
        "gateway: the nonce is read once",
        "after a transaction was lost in a reorganisation no other one can follow",
        frozenset({"I13"}),
        replaced(HubSubmitter, "_take_nonce", _nonce_once_for_all),
        17,
    ),
    PlantedBug(
        "gateway: the settlement cursor jumps over gaps",
        "one transaction that has ended hides all those before it",
        frozenset({"I13"}),
        changed(Reconciler, "settled", _settled_over_gaps),
        417,
    ),
    PlantedBug(
        "gateway: receipts taken for opened",
        "a batch of receipts is taken for opened by its relay chain without asking",
        frozenset({"I13"}),
        replaced(hub_to_relay, "_are_opened", _opened_when_seen),
        3,
    ),
    PlantedBug(
        "verification: the time of a proof is not its block's",
        "a relay chain takes a status for older than it is, and aborts what is still to be executed",
        frozenset({"I4", "I1"}),
        changed(proofs, "verify", _kept_for_proven),
        54,
    ),
)

CATALOGUE: tuple[PlantedBug, ...] = (*RELAY, *VERIFICATION, *HUB, *APPLICATIONS, *GATEWAY)
"""All of them."""
