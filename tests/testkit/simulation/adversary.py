"""An adversary: a gateway that means harm, with keys that it should not have.

It sees everything that anybody hands to a hub or a relay chain and sends any of it again, at any time, in any order,
to anybody, changed or not; it makes envelopes of its own from what relay chains really have and validators really
endorse, in the worst order; and it signs forgeries with the keys that it has: those of validators that have left, of
one validator of each relay chain that is still there, of one notary, and of a gateway without a quota.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from piebridge.chains.evm.hub import receive_range_data, settle_data
from piebridge.crypto.errors import PieBridgeError
from piebridge.crypto.hash import keccak256
from piebridge.crypto.quorum import Quorum
from piebridge.crypto.signature import sign_recoverable
from piebridge.protocol_stack import commitment
from piebridge.protocol_stack.authentication import NotaryAuthentication
from piebridge.protocol_stack.codec import Reader, u32, u64
from piebridge.protocol_stack.commitment import SlotBase
from piebridge.protocol_stack.endorsement import EndorsementAnswer, EndorsementMethod, EndorsementSet, encode_proof
from piebridge.protocol_stack.header import (
    FLAG_RECEIPT_WANTED,
    KIND_REQUEST,
    ApplicationHeader,
    Header,
    TransactionHeader,
    TransportHeader,
    VerificationHeader,
)
from piebridge.protocol_stack.notary_statement import NotaryStatement, SlotValue
from piebridge.protocol_stack.packet import Packet, packets_hash
from piebridge.protocol_stack.receipts import Receipt, ReceiptBatch, ReceiptCode, ReceiptHome
from piebridge.protocol_stack.relay_messages import HubRange, HubSlots, RelayTransaction, SlotName, TransactionKind
from piebridge.protocol_stack.relay_queries import OutboxEntriesQuery
from piebridge.protocol_stack.signing import endorsement_digest
from piebridge.protocol_stack.transaction.atp import ATP
from piebridge.protocol_stack.transport.outbox import (
    RELAY_CHAIN,
    BareEntry,
    Entry,
    HeaderEntry,
    Maker,
    OutboxHead,
    OutboxRange,
    PacketEntry,
    ReceiptHomeEntry,
    ReceiptsEntry,
    VerdictsEntry,
    open_hub_outbox,
    read_entry,
)
from piebridge.protocol_stack.verdicts import OriginVerdict, Verdict, VerdictList
from piebridge.protocol_stack.verification.base import Method
from testkit.simulation.applications import LEDGER_CHANNEL, TOKEN
from testkit.simulation.keys import DOMAIN, address, private_key
from testkit.simulation.parachain import Execution, Made, SimulatedAccount
from testkit.simulation.relay import SimulatedRelay

if TYPE_CHECKING:
    import random

    from testkit.simulation.domain import Domain

_T = TypeVar("_T")

_MEAN_SECONDS = 1.2
_THIEF = "mallory"


class NothingThereError(Exception):
    """There is nothing yet that the adversary could use."""


class Adversary:
    """See the module's text. It speaks to nodes directly: no network is too slow for it."""

    def __init__(self, domain: "Domain") -> None:
        self._domain = domain
        self._dice: random.Random = domain.dice("adversary")
        self._hub_calls: dict[int, list[bytes]] = {number: [] for number in domain.sites}
        self._transactions: dict[int, list[bytes]] = {number: [] for number in domain.relays}
        for number, site in domain.sites.items():
            site.chain.on_hub_call = self._hub_calls[number].append
        for number, relay in domain.relays.items():
            relay.seen = self._transactions[number].append
        self._account = SimulatedAccount(address(_THIEF))

    async def run(self) -> None:
        """Do harm until stopped."""
        deeds: list[Callable[[], None]] = [
            self._repeat_to_hub,
            self._repeat_to_hub,
            self._repeat_to_relay,
            self._repeat_body_to_relay,
            self._out_of_order,
            self._out_of_order,
            self._without_bodies,
            self._all_bare,
            self._to_another_hub,
            self._changed_bytes,
            self._settle_again,
            self._forge_endorsement,
            self._forge_endorsement,
            self._forge_set,
            self._forge_statement,
            self._prove_status,
            self._prove_status,
            self._range_in_pieces,
        ]
        while True:
            await asyncio.sleep(self._dice.expovariate(1 / _MEAN_SECONDS))
            deed = self._dice.choice(deeds)
            try:
                deed()
            except (PieBridgeError, NothingThereError):
                # There is nothing of that kind to be had now, or it was refused at the door.
                self._domain.counts["adversary: not even taken"] += 1
                continue
            self._domain.counts[f"adversary: {deed.__name__.strip('_').replace('_', ' ')}"] += 1

    # --- what was seen ---

    def _repeat_to_hub(self) -> None:
        """Send a call again that somebody has made, however long ago."""
        number = self._some_hub()
        self._send(number, self._one_of(self._hub_calls[number]))

    def _repeat_to_relay(self) -> None:
        """Send the very bytes of a transaction again, to its relay chain or to another one."""
        seen = self._one_of(list(self._transactions.values()))
        self._some_relay().submit(self._one_of(seen))

    def _repeat_body_to_relay(self) -> None:
        """Send what somebody else has sent under a name of its own."""
        relay = self._some_relay()
        seen = self._one_of(self._transactions[relay.relay])
        body = RelayTransaction.decode(seen)
        self._submit(relay, body.kind, body.body)

    def _to_another_hub(self) -> None:
        """Give an envelope to a hub that it is not for."""
        number = self._some_hub()
        self._send(self._some_hub(), self._one_of(self._hub_calls[number]))

    def _changed_bytes(self) -> None:
        """Change one byte of a call or of a transaction."""
        if self._dice.random() < 0.5:
            number = self._some_hub()
            self._send(number, self._changed(self._one_of(self._hub_calls[number])))
            return
        relay = self._some_relay()
        seen = RelayTransaction.decode(self._one_of(self._transactions[relay.relay]))
        self._submit(relay, seen.kind, self._changed(seen.body))

    def _settle_again(self) -> None:
        """Ask for a refund with packets of any transaction under any nonce."""
        number = self._some_hub()
        packets = [
            entry.content
            for made in self._domain.sites[number].chain.made
            for entry in made.entries
            if entry.form == 1 and entry.relay
        ]
        packet = self._one_of(packets)
        nonce = int.from_bytes(packet[50:58], "big") if self._dice.random() < 0.7 else self._dice.randint(1, 9)
        self._send(number, settle_data(DOMAIN, int.from_bytes(packet[16:20], "big"), nonce, packet))

    # --- what is true, at the wrong time ---

    def _out_of_order(self) -> None:
        """Deliver any one entry, or a few, whatever came before."""
        relay, number = self._some_relay(), self._some_hub()
        head = self._head(relay, number)
        first = self._dice.randint(1, head)
        last = min(head, first + self._one_of((0, 0, 1, 5)))
        self._deliver(relay, number, first, last, lambda entry: entry)

    def _without_bodies(self) -> None:
        """Deliver entries with the hash of their body, as is right only once they have expired."""
        relay, number = self._some_relay(), self._some_hub()
        head = self._head(relay, number)
        self._deliver(relay, number, self._dice.randint(1, head), head, _without_body)

    def _all_bare(self) -> None:
        """Deliver entries bare: to a hub, or from a hub to a relay chain."""
        relay, number = self._some_relay(), self._some_hub()
        if self._dice.random() < 0.5:
            head = self._head(relay, number)
            self._deliver(relay, number, 1, head, lambda entry: BareEntry(entry.height, entry.message_id(RELAY_CHAIN)))
            return
        for seen in reversed(self._transactions[relay.relay]):
            transaction = RelayTransaction.decode(seen)
            if transaction.kind == HubRange.KIND:
                message = transaction.decode_body()
                assert isinstance(message, HubRange), "its kind says so"
                maker = message.range.maker
                bare = tuple(BareEntry(entry.height, entry.message_id(maker)) for entry in message.range.entries)
                changed = replace(message, range=replace(message.range, entries=bare))
                self._submit(relay, transaction.kind, changed.encode())
                return

    def _prove_status(self) -> None:
        """Show a relay chain what a hub really holds of packets on their way: early, late, as often as it likes."""
        relay, number = self._some_relay(), self._some_hub()
        source = self._one_of([other for other in self._domain.sites if other != number])
        channel = self._one_of((0, LEDGER_CHANNEL))
        names = {
            SlotName(SlotBase.STATUS, commitment.status_key(DOMAIN, source, relay.relay, channel, 0)),
            SlotName(SlotBase.STATUS, commitment.status_key(DOMAIN, 0, relay.relay, 0, 0)),
            SlotName(SlotBase.SEEN, commitment.seen_key(DOMAIN, source, 0, 0)),
            SlotName(SlotBase.RECEIPTS, commitment.receipts_key(DOMAIN, source, 0, 0, 0)),
            SlotName(SlotBase.RECEIVE_LANE, commitment.lane_key(DOMAIN, source, 0, LEDGER_CHANNEL)),
        }
        chosen = sorted(self._dice.sample(sorted(names, key=lambda name: name.slot), 2), key=lambda name: name.slot)
        statement = self._true_statement(number, [name.slot for name in chosen])
        self._submit(relay, HubSlots.KIND, HubSlots(number, statement, tuple(chosen)).encode())

    def _range_in_pieces(self) -> None:
        """Show a relay chain a hub's outbox from anywhere on, any entries bare, without their bodies, or replaced."""
        lies = self._dice.random() < 0.3
        relay, number = self._some_relay(), self._some_hub()
        site = self._domain.sites[number]
        outbox = self._one_of((0, relay.relay))
        final = self._final(number)
        entries = [
            entry
            for made in site.chain.made[: final.block.number + 1]
            for entry in made.entries
            if entry.relay == outbox
        ]
        if not entries:
            raise NothingThereError
        maker = Maker(number)
        first = self._dice.randint(1, len(entries))
        head = OutboxHead(0, open_hub_outbox(number, site.hub.address, DOMAIN, outbox))
        chosen: list[Entry] = []
        start = head.value
        for told in entries:
            reader = Reader(told.height.to_bytes(8, "big") + bytes([told.form]) + told.content)
            entry = read_entry(reader, maker)
            if told.number == first:
                start = head.value
            head = head.append(told.height, entry.message_id(maker))
            if told.number >= first:
                shape = self._one_of(("whole", "whole", "bare", "header"))
                if lies and self._dice.random() < 0.5:
                    other = self._one_of([member for member in self._domain.sites if member != number])
                    chosen.append(PacketEntry(told.height, self._forged_packet(number, other, outbox)))
                    continue
                bare = BareEntry(entry.height, entry.message_id(maker))
                chosen.append(entry if shape == "whole" else bare if shape == "bare" else _without_body(entry))
        statement = self._true_statement(number, [commitment.chain_slot(DOMAIN, outbox)])
        message = HubRange(number, outbox, statement, OutboxRange(maker, first, start, tuple(chosen)))
        self._submit(relay, HubRange.KIND, message.encode())

    def _final(self, number: int) -> Made:
        position = self._domain.registrations.index(number)
        made = self._domain.sites[number].chain.made
        depth = self._domain.plan.depth[position]
        if len(made) <= depth:
            raise NothingThereError
        return made[len(made) - 1 - depth]

    def _true_statement(self, number: int, wanted: list[bytes]) -> NotaryAuthentication:
        """Return what honest notaries sign when they are asked; anybody may ask them."""
        site, final = self._domain.sites[number], self._final(number)
        statement = NotaryStatement(
            site.hub.address,
            final.block.number,
            final.block.hash,
            final.block.timestamp,
            tuple(SlotValue(slot, final.state.get((site.hub.address, slot), 0).to_bytes(32, "big")) for slot in wanted),
        )
        digest = statement.digest(DOMAIN, number, self._domain.notary_set.epoch)
        signatures = tuple(sign_recoverable(digest, private_key(f"notary-{index}")) for index in range(3))
        return NotaryAuthentication(self._domain.notary_set, Quorum(0b0111, signatures), statement)

    def _deliver(
        self, relay: SimulatedRelay, number: int, first: int, last: int, change: Callable[[Entry], Entry]
    ) -> None:
        query = OutboxEntriesQuery(number, first, last - first + 1).encode()
        entries = OutboxRange.decode(relay.query(OutboxEntriesQuery.PATH, query), RELAY_CHAIN)
        entries = replace(entries, entries=tuple(change(entry) for entry in entries.entries))
        epoch = relay.view.validators.epoch
        signatures: dict[int, bytes] = {}
        for position in range(len(relay.validators)):
            try:
                asked = relay.query("/endorse", u32(number) + u64(entries.last), position)
            except PieBridgeError:
                continue
            answer = EndorsementAnswer.decode(asked)
            if answer.epoch == epoch:
                signatures[answer.index] = answer.signature
        self._hand_over(relay, number, epoch, signatures, entries)

    def _hand_over(
        self, relay: SimulatedRelay, number: int, epoch: int, signatures: dict[int, bytes], entries: OutboxRange
    ) -> None:
        if epoch not in relay.sets:
            return  # nobody has told the world of this set yet
        signers = relay.sets[epoch].endorsers
        self._hand_over_by(relay, number, signers, signatures, entries)

    def _hand_over_by(
        self,
        relay: SimulatedRelay,
        number: int,
        signers: EndorsementSet,
        signatures: dict[int, bytes],
        entries: OutboxRange,
    ) -> None:
        members = sorted(signatures)[: signers.threshold]
        quorum = Quorum(sum(1 << index for index in members), tuple(signatures[index] for index in members))
        envelope = u32(DOMAIN) + u32(relay.relay) + signers.encode() + encode_proof(signers, quorum) + entries.encode()
        self._send(number, receive_range_data(envelope))

    # --- what is not true ---

    def _forge_endorsement(self) -> None:
        """Endorse an entry that no relay chain made, with every key that it has, and others' names."""
        relay, number = self._some_relay(), self._some_hub()
        current = relay.view.validators.epoch
        epoch = self._dice.randint(max(1, current - 2), current) if self._dice.random() < 0.6 else current
        held = self._held_positions(relay, current)
        members = relay.members_of(epoch)
        if len(held & set(members)) >= 3 and self._is_accepted(relay, number, epoch):
            return  # three of a set that counts: then nothing is promised
        entries = self._forged_entries(relay, number)
        head = entries.fold()
        digest = endorsement_digest(DOMAIN, relay.relay, number, epoch, head.number, head.value)
        signatures: dict[int, bytes] = {}
        for index, position in enumerate(members):
            if position in held:
                signatures[index] = sign_recoverable(digest, private_key(f"relay {relay.relay} {position} endorsement"))
        own = self._one_of([*signatures.values(), sign_recoverable(digest, private_key(_THIEF))])
        true = sorted(signatures)
        for index in range(4):
            signatures.setdefault(index, own)
        chosen = (true + [index for index in range(4) if index not in true])[:3]
        self._hand_over(relay, number, epoch, {index: signatures[index] for index in chosen}, entries)

    def _forge_set(self) -> None:
        """Endorse in the name of a set of its own making."""
        relay, number = self._some_relay(), self._some_hub()
        names = sorted((f"{_THIEF} {position}" for position in range(4)), key=address)
        signers = EndorsementSet(
            relay.view.validators.epoch, EndorsementMethod.SIGNATURES, 3, 4, tuple(address(name) for name in names)
        )
        entries = self._forged_entries(relay, number)
        head = entries.fold()
        digest = endorsement_digest(DOMAIN, relay.relay, number, signers.epoch, head.number, head.value)
        signatures = {index: sign_recoverable(digest, private_key(names[index])) for index in range(3)}
        self._hand_over_by(relay, number, signers, signatures, entries)

    def _is_accepted(self, relay: SimulatedRelay, number: int, epoch: int) -> bool:
        """Whether a hub accepts a set now, or did a moment ago."""
        site = self._domain.sites[number]
        if epoch not in relay.sets:
            return True
        set_hash = relay.sets[epoch].endorsers.set_hash(DOMAIN, relay.relay)
        return any(
            set_hash
            in site.hub.sets_in_overlap(Execution(made.state, made.block.number, made.block.timestamp), relay.relay)
            for made in site.chain.made[-6:]
        )

    def _held_positions(self, relay: SimulatedRelay, current: int) -> set[int]:
        """Validators whose keys it has: all that have left, and the two oldest of those that have not."""
        return set(range(relay.members_of(current)[0] + 2))

    def _forged_entries(self, relay: SimulatedRelay, number: int) -> OutboxRange:
        source = self._one_of([other for other in self._domain.sites if other != number])
        height = self._dice.randint(1, 50)
        kind = self._one_of(("packet", "packet", "verdict", "receipt", "free packet"))
        entry: Entry
        nonce = self._dice.randint(1, 8)
        if kind == "packet":
            entry = PacketEntry(height, self._forged_packet(source, number, relay.relay))
        elif kind == "free packet":
            entry = PacketEntry(height, self._forged_packet(source, number, 0))
        elif kind == "verdict":
            abort = self._dice.random() < 0.7
            packet = self._forged_packet(number, source, relay.relay)
            item = (
                OriginVerdict(nonce, Verdict.ABORT, packets_hash([packet.packet_id]))
                if abort
                else OriginVerdict(nonce, Verdict.COMMIT)
            )
            entry = VerdictsEntry(height, VerdictList((item,)))
        else:
            packet = self._forged_packet(number, source, 0)
            entry = ReceiptHomeEntry(
                height,
                ReceiptHome(packet.header, packet.body_hash, self._one_of((ReceiptCode.EXECUTED, ReceiptCode.FAILED))),
            )
        first = self._dice.randint(1, 30)
        return OutboxRange(RELAY_CHAIN, first, keccak256(b"a value"), (entry,))

    def _forged_packet(self, source: int, destination: int, relay: int) -> Packet:
        body = (5_000).to_bytes(16, "big") + address("alice") + address(_THIEF)
        now = self._domain.chain_seconds(self._domain.sites[destination].chain.name)
        sequence = self._dice.randint(1, 40)
        transport = TransportHeader(
            1, FLAG_RECEIPT_WANTED * (not relay), DOMAIN, source, destination, relay, 0, sequence
        )
        if relay:
            transaction = TransactionHeader(
                ATP, KIND_REQUEST, 0, 0, 1, source, sequence, now + 200, now + 100, handler_gas=120_000
            )
        else:
            transaction = TransactionHeader(4, handler_gas=120_000)
        application = ApplicationHeader(application=TOKEN, function=1, body_length=len(body))
        return Packet(Header(transport, VerificationHeader(Method.NOTARY), transaction, application), body)

    def _forge_statement(self) -> None:
        """Prove to a relay chain an outbox that no hub has, with one notary's key and its own."""
        relay, source = self._some_relay(), self._some_hub()
        site = self._domain.sites[source]
        other = self._one_of([number for number in self._domain.sites if number != source])
        outbox = self._one_of((0, relay.relay))
        entry: Entry
        if self._dice.random() < 0.6:
            entry = PacketEntry(1, self._forged_packet(source, other, outbox))
        else:
            victim = self._some_packet_to(source)
            code = self._one_of((ReceiptCode.FAILED, ReceiptCode.EXECUTED, ReceiptCode.EXPIRED))
            entry = ReceiptsEntry(1, ReceiptBatch(relay.relay, (Receipt(victim, code),)))
        maker = Maker(source)
        entries = OutboxRange(maker, self._dice.randint(1, 20), keccak256(b"a value"), (entry,))
        value = OutboxHead(entries.first - 1, entries.start).append(entry.height, entry.message_id(maker)).value
        block = site.chain.latest.block
        statement = NotaryStatement(
            site.hub.address,
            block.number,
            block.hash,
            block.timestamp,
            (SlotValue(commitment.chain_slot(DOMAIN, outbox), value),),
        )
        notary_set = self._domain.notary_set
        digest = statement.digest(DOMAIN, source, notary_set.epoch)
        true = sign_recoverable(digest, private_key("notary-3"))
        false = self._one_of((true, sign_recoverable(digest, private_key(_THIEF))))
        quorum = Quorum(0b1110, (false, false, true))
        message = HubRange(source, outbox, NotaryAuthentication(notary_set, quorum, statement), entries)
        self._submit(relay, HubRange.KIND, message.encode())

    def _some_packet_to(self, number: int) -> bytes:
        sent = [
            keccak256(commitment.TAG_PACKET + entry.content[:136] + keccak256(entry.content[136:]))
            for site in self._domain.sites.values()
            for made in site.chain.made
            for entry in made.entries
            if entry.form == 1 and int.from_bytes(entry.content[12:16], "big") == number
        ]
        return self._one_of(sent)

    # --- hands ---

    def _one_of(self, choices: Sequence[_T]) -> _T:
        if not choices:
            raise NothingThereError
        return self._dice.choice(choices)

    def _some_hub(self) -> int:
        return self._one_of(list(self._domain.sites))

    def _some_relay(self) -> SimulatedRelay:
        up = [relay for relay in self._domain.relays.values() if relay.application is not None]
        return self._one_of(up)

    def _head(self, relay: SimulatedRelay, number: int) -> int:
        head = relay.view.outbox_head(number)
        if head is None or not head.number:
            raise NothingThereError
        return head.number

    def _changed(self, data: bytes) -> bytes:
        position = self._dice.randrange(len(data))
        return data[:position] + bytes([data[position] ^ 1 << self._dice.randrange(8)]) + data[position + 1 :]

    def _send(self, number: int, data: bytes) -> None:
        chain = self._domain.sites[number].chain
        fields = {
            "chainId": chain.evm_chain_id,
            "nonce": chain.nonce(address(_THIEF), pending=True),
            "maxFeePerGas": 10**9,
            "to": chain.hub.address,
            "data": data,
        }
        chain.submit(self._account.sign_transaction(fields).raw_transaction)

    def _submit(self, relay: SimulatedRelay, kind: int, body: bytes) -> None:
        transaction = RelayTransaction(
            TransactionKind(kind),
            DOMAIN,
            relay.relay,
            relay.height + 50,
            self._dice.getrandbits(64),
            body,
        )
        relay.submit(transaction.signed(lambda digest: sign_recoverable(digest, private_key(_THIEF))).encode())


def _without_body(entry: Entry) -> Entry:
    if isinstance(entry, PacketEntry):
        return HeaderEntry(entry.height, entry.packet.header, entry.packet.body_hash)
    return entry
