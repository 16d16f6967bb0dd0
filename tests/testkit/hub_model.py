"""A hub in Python: the storage, outboxes and receiving rules of ``docs/protocol/formats.md`` on a :class:`SourceChain`.

It stands where a contract stands in a real network, so tests of relay chains and gateways can run without an EVM. It
can also lie: :meth:`HubModel.append` puts any entry into any outbox, as a chain that is malicious as a whole can.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack import commitment
from piebridge.protocol_stack.authentication import SpvAuthentication
from piebridge.protocol_stack.checkpoint import CometBftCheckpoint
from piebridge.protocol_stack.commitment import SlotBase
from piebridge.protocol_stack.endorsement import Envelope
from piebridge.protocol_stack.governor_relay_bodies import ClientKind, RegisterChain
from piebridge.protocol_stack.header import (
    FLAG_ORDERED,
    FLAG_RECEIPT_WANTED,
    FLAG_RETURN,
    KIND_REQUEST,
    ApplicationHeader,
    Header,
    TransactionHeader,
    TransportHeader,
    VerificationHeader,
)
from piebridge.protocol_stack.packet import Packet, packets_hash
from piebridge.protocol_stack.receipts import Receipt, ReceiptBatch, ReceiptCode, ReceiptHome
from piebridge.protocol_stack.relay_messages import HubRange, HubSlots, SlotName, UpdateClient
from piebridge.protocol_stack.report import Report
from piebridge.protocol_stack.transaction.atp import ATP
from piebridge.protocol_stack.transaction.forward import FORWARD
from piebridge.protocol_stack.transaction.status import OriginInput, ParticipantInput, Status, next_status
from piebridge.protocol_stack.transport.outbox import (
    BareEntry,
    Entry,
    HeaderEntry,
    Maker,
    OutboxHead,
    OutboxRange,
    PacketEntry,
    ReceiptHomeEntry,
    ReceiptsEntry,
    ReportEntry,
    VerdictsEntry,
    open_hub_outbox,
)
from piebridge.protocol_stack.verdicts import OriginVerdict, Verdict
from piebridge.protocol_stack.verification.base import Method
from piebridge.protocol_stack.verification.endorsement import verify_envelope
from testkit.source_chain import SourceChain

TRUSTING_PERIOD_SECONDS = 1_000_000
CLOCK_DRIFT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Executed:
    """What a handler did with a packet."""

    succeeded: bool = True
    returned: bytes = b""


Handler = Callable[[Packet], Executed]


def _succeed(packet: Packet) -> Executed:
    return Executed(returned=b"returned" if packet.header.transaction.returns_data else b"")


@dataclass(slots=True)
class HubModel:
    """One hub, in one domain."""

    registration: int
    domain: int = 1
    relays: tuple[int, ...] = (1,)
    handler: Handler = _succeed
    handler_gas_max: int = 1_000_000
    chain_type: type[SourceChain] = SourceChain
    chain: SourceChain = field(init=False)
    outboxes: dict[int, OutboxHead] = field(default_factory=dict)
    log: dict[int, list[Entry]] = field(default_factory=dict)
    """Entries of each outbox since its opening: what events would tell."""
    accepted_sets: set[bytes] = field(default_factory=set)
    """Hashes of the endorsement sets that it accepts."""
    executed: list[bytes] = field(default_factory=list)
    """Ids of the packets whose handler succeeded, in order."""
    receipts_home: list[ReceiptHome] = field(default_factory=list)
    """Receipts that came home, in order."""

    def __post_init__(self) -> None:
        address = keccak256(b"hub %d" % self.registration)[:20]
        self.chain = self.chain_type(f"chain-{self.registration}", address)
        for relay in (0, *self.relays):
            opening = open_hub_outbox(self.registration, address, self.domain, relay)
            self.outboxes[relay], self.log[relay] = OutboxHead(0, opening), []
            self._write_head(relay)
        self.chain.close_block()

    # --- identity ---

    @property
    def address(self) -> bytes:
        return self.chain.contract

    @property
    def maker(self) -> Maker:
        return Maker(self.registration)

    def checkpoint(self, height: int | None = None) -> CometBftCheckpoint:
        """Checkpoint of a light client at a height, the newest one by default."""
        state = self.chain.consensus_state(height or self.chain.height)
        return CometBftCheckpoint(
            TRUSTING_PERIOD_SECONDS,
            CLOCK_DRIFT_SECONDS,
            self.chain.chain_id,
            state.height_on_source,
            state.header_hash,
            state.time_ns,
            state.app_hash,
            state.next_validators_hash,
        )

    def registration_message(self, depth: int = 0, depth_max: int = 10) -> RegisterChain:
        """What a relay chain is told of this hub when light clients verify it."""
        return RegisterChain(
            self.registration,
            self.address,
            31_337 + self.registration,
            ClientKind.COMETBFT,
            Method.SPV,
            depth,
            depth_max,
            self.handler_gas_max,
            self.checkpoint(),
            None,
        )

    # --- sending ---

    def header(
        self,
        destination: int,
        *,
        relay: int = 0,
        channel: int = 0,
        sequence: int | None = None,
        ordered: bool = False,
        receipt_wanted: bool = True,
        returns_data: bool = False,
        nonce: int | None = None,
        deadline: int | None = None,
        expiry: int | None = None,
        verification: VerificationHeader | None = None,
        body_length: int = 4,
        handler_gas: int = 100_000,
    ) -> Header:
        """Build a header with the next sequence (and nonce): free and FORWARD, or a request if a relay is named."""
        in_lane = (destination, relay, channel)
        slot = commitment.send_lane_slot(self.domain, destination, relay, channel)
        sequence = sequence or (self.chain.read(slot) & (1 << 64) - 1) + 1
        now = self.chain.now_seconds
        flags = FLAG_ORDERED * ordered | FLAG_RECEIPT_WANTED * (receipt_wanted or returns_data)
        transport = TransportHeader(
            2 if ordered else 1, flags, self.domain, self.registration, *in_lane, sequence=sequence
        )
        expiry = expiry if expiry is not None else now + 600
        if relay:
            head = self.chain.read(commitment.head_slot(self.domain, relay))
            transaction = TransactionHeader(
                ATP,
                kind=KIND_REQUEST,
                flags=FLAG_RETURN * returns_data,
                participant_count=1,
                origin=self.registration,
                nonce=nonce or (head >> 64) + 1,
                deadline=deadline or expiry + 600,
                execution_expiry=expiry,
                handler_gas=handler_gas,
            )
        else:
            transaction = TransactionHeader(
                FORWARD, flags=FLAG_RETURN * returns_data, execution_expiry=expiry, handler_gas=handler_gas
            )
        application = ApplicationHeader(application=2, function=1, body_length=body_length)
        return Header(transport, verification or VerificationHeader(Method.SPV), transaction, application)

    def send(self, header: Header, body: bytes = b"body") -> Packet:
        """Send a packet: sequence, nonce and outbox move on."""
        packet = Packet(header, body)
        transport, transaction = header.transport, header.transaction
        slot = commitment.send_lane_slot(self.domain, transport.destination, transport.relay, transport.channel)
        self.chain.write(slot, transport.sequence)
        if transaction.nonce:
            head = commitment.head_slot(self.domain, transport.relay)
            number = self.chain.read(head) & (1 << 64) - 1
            self.chain.write(head, number | transaction.nonce << 64)
        self.append(transport.relay, PacketEntry(self.chain.next_number, packet))
        return packet

    def send_free(self, destination: int, body: bytes = b"body", **header: object) -> Packet:
        """Send a packet in a free lane."""
        return self.send(self.header(destination, body_length=len(body), **header), body)  # type: ignore[arg-type]

    def request(self, destination: int, relay: int = 1, body: bytes = b"body", **header: object) -> Packet:
        """Begin a transaction."""
        built = self.header(destination, relay=relay, body_length=len(body), **header)  # type: ignore[arg-type]
        return self.send(built, body)

    def append(self, relay: int, entry: Entry) -> int:
        """Put any entry into an outbox and return its number."""
        self.log[relay].append(entry)
        self.outboxes[relay] = self.outboxes[relay].append(entry.height, entry.message_id(self.maker))
        self._write_head(relay)
        return self.outboxes[relay].number

    def close(self) -> None:
        """Close the hub for good and report it."""
        self.chain.write(commitment.closed_slot(), self.chain.next_number)
        report = Report.decode(bytes([3]) + bytes(4) + self.chain.next_number.to_bytes(8, "big") + bytes(16))
        self.append(0, ReportEntry(self.chain.next_number, report))

    def _write_head(self, relay: int) -> None:
        head = self.outboxes[relay]
        self.chain.write(commitment.chain_slot(self.domain, relay), int.from_bytes(head.value, "big"))
        slot = commitment.head_slot(self.domain, relay)
        self.chain.write(slot, self.chain.read(slot) >> 64 << 64 | head.number)

    # --- what a gateway makes of it ---

    def range(self, relay: int, first: int = 1, last: int | None = None, bare: Iterable[int] = ()) -> OutboxRange:
        """Entries of an outbox as a range; those in ``bare`` without their message."""
        entries = self.log[relay]
        last = last or len(entries)
        start = OutboxHead(0, open_hub_outbox(self.registration, self.address, self.domain, relay))
        for entry in entries[: first - 1]:
            start = start.append(entry.height, entry.message_id(self.maker))
        left_out = frozenset(bare)
        chosen = tuple(
            BareEntry(entry.height, entry.message_id(self.maker)) if number in left_out else entry
            for number, entry in enumerate(entries[first - 1 : last], start=first)
        )
        return OutboxRange(self.maker, first, start.value, chosen)

    def head_proof(self, relay: int, height: int | None = None) -> SpvAuthentication:
        """Proof of an outbox head under a CometBFT height, the newest one by default."""
        return self.chain.prove([commitment.chain_slot(self.domain, relay)], height or self.chain.height)

    def range_message(
        self, relay: int = 0, first: int = 1, bare: Iterable[int] = (), height: int | None = None
    ) -> HubRange:
        """Everything from ``first`` to the head, proven under the newest header."""
        return HubRange(self.registration, relay, self.head_proof(relay, height), self.range(relay, first, bare=bare))

    def slots_message(self, names: Iterable[SlotName], height: int | None = None) -> HubSlots:
        """A proof of named slots."""
        ordered = tuple(sorted(names, key=lambda name: name.slot))
        proof = self.chain.prove([name.slot for name in ordered], height or self.chain.height)
        return HubSlots(self.registration, proof, ordered)

    def status_name(self, source: int, relay: int, channel: int, sequence: int) -> SlotName:
        return SlotName(SlotBase.STATUS, commitment.status_key(self.domain, source, relay, channel, sequence))

    def update_message(self, trusted_height: int, height: int | None = None) -> UpdateClient:
        """A header update from a trusted height to another, the newest one by default."""
        update = self.chain.update(trusted_height, height or self.chain.height)
        return UpdateClient(self.registration, (update.encode(),))

    # --- receiving ---

    def receive(self, envelope: Envelope) -> None:
        """Take an endorsed range; raises where a contract would revert."""
        verify_envelope(envelope, self.registration, self.accepted_sets)
        assert envelope.domain == self.domain, "foreign domain"
        receipts: list[Receipt] = []
        counts = binds = False
        for entry in envelope.range.entries:
            body: bytes | None
            match entry:
                case PacketEntry(packet=packet):
                    header, body, packet_id = packet.header, packet.body, packet.packet_id
                case HeaderEntry(header=header):
                    body, packet_id = None, entry.message_id(envelope.range.maker)
                case VerdictsEntry():
                    self._take_verdicts(envelope.relay, entry)
                    continue
                case ReceiptHomeEntry(receipt=home):
                    self._take_receipt(envelope.relay, home)
                    continue
                case _:
                    continue
            receipt = self._receive_packet(envelope.relay, packet_id, header, body)
            if receipt is not None:
                receipts.append(receipt)
                binds |= not header.lane.free
                counts |= not header.lane.free or header.transport.receipt_wanted
        if counts:
            batch = ReceiptBatch(envelope.relay, tuple(receipts))
            self.append(envelope.relay if binds else 0, ReceiptsEntry(self.chain.next_number, batch))

    def _receive_packet(self, relay: int, packet_id: bytes, header: Header, body: bytes | None) -> Receipt | None:
        lane = header.lane
        if lane.domain != self.domain or lane.destination != self.registration or lane.relay not in (0, relay):
            return None
        if self._has_ended(header):
            return None
        expiry = header.transaction.execution_expiry
        returned: bytes | None = None
        if expiry and self.chain.now_seconds >= expiry:
            code = ReceiptCode.EXPIRED
        elif body is None:
            return None
        elif header.transaction.handler_gas > self.handler_gas_max:
            code = ReceiptCode.FAILED_GAS
        else:
            outcome = self.handler(Packet(header, body))
            code = ReceiptCode.EXECUTED if outcome.succeeded else ReceiptCode.FAILED
            if outcome.succeeded:
                self.executed.append(packet_id)
                returned = outcome.returned if header.transaction.returns_data else None
        self._end(header, code)
        return Receipt(packet_id, code, returned)

    def _has_ended(self, header: Header) -> bool:
        lane, sequence = header.lane, header.transport.sequence
        if not lane.free and self.status(lane.source, lane.relay, lane.channel, sequence) is not Status.NONE:
            return True
        if header.transport.ordered:
            slot = commitment.receive_lane_slot(self.domain, lane.source, lane.relay, lane.channel)
            return sequence != (self.chain.read(slot) & (1 << 64) - 1) + 1
        slot = commitment.seen_slot(self.domain, lane.source, lane.channel, sequence)
        return lane.free and commitment.bitmap_bit(self.chain.read(slot), sequence)

    def _end(self, header: Header, code: ReceiptCode) -> None:
        lane, sequence = header.lane, header.transport.sequence
        if not lane.free:
            given = {
                ReceiptCode.EXECUTED: ParticipantInput.EXECUTED,
                ReceiptCode.EXPIRED: ParticipantInput.EXPIRED,
            }.get(code, ParticipantInput.FAILED)
            self._set_status(lane.source, lane.relay, lane.channel, sequence, next_status(Status.NONE, given))
        elif not header.transport.ordered:
            slot = commitment.seen_slot(self.domain, lane.source, lane.channel, sequence)
            self.chain.write(slot, self.chain.read(slot) | 1 << sequence % 256)
        if header.transport.ordered:
            self.chain.write(commitment.receive_lane_slot(self.domain, lane.source, lane.relay, lane.channel), sequence)

    def status(self, source: int, relay: int, channel: int, sequence: int) -> Status:
        """Status bits of a packet; of an own transaction with source and channel 0."""
        word = self.chain.read(commitment.status_slot(self.domain, source, relay, channel, sequence))
        return Status(commitment.status_bits(word, sequence))

    def _set_status(self, source: int, relay: int, channel: int, sequence: int, status: Status) -> None:
        slot = commitment.status_slot(self.domain, source, relay, channel, sequence)
        self.chain.write(slot, self.chain.read(slot) | status << 2 * (sequence % 128))

    def _take_verdicts(self, relay: int, entry: VerdictsEntry) -> None:
        for item in entry.verdicts.items:
            if isinstance(item, OriginVerdict):
                place = (0, relay, 0, item.nonce)
                event: OriginInput | ParticipantInput = (
                    OriginInput.VERDICT_COMMIT if item.verdict is Verdict.COMMIT else OriginInput.VERDICT_ABORT
                )
            else:
                place = (item.source, relay, item.channel, item.sequence)
                event = (
                    ParticipantInput.VERDICT_COMMIT
                    if item.verdict is Verdict.COMMIT
                    else ParticipantInput.VERDICT_ABORT
                )
            before = self.status(*place)
            after = next_status(before, event)
            if after is not before:
                self._set_status(*place, after)
                if isinstance(item, OriginVerdict) and item.packets_hash is not None:
                    slot = commitment.settlement_slot(relay, item.nonce)
                    self.chain.write(slot, int.from_bytes(item.packets_hash, "big"))

    def settle(self, relay: int, nonce: int, packets: Iterable[Packet]) -> None:
        """Undo an aborted transaction, once, with its packets."""
        slot = commitment.settlement_slot(relay, nonce)
        expected = packets_hash([packet.packet_id for packet in packets])
        assert self.chain.read(slot) == int.from_bytes(expected, "big"), "nothing to settle with these packets"
        self.chain.write(slot, 1)

    def _take_receipt(self, relay: int, home: ReceiptHome) -> None:
        lane, sequence = home.header.lane, home.header.transport.sequence
        slot = commitment.receipts_slot(self.domain, lane.destination, lane.relay, lane.channel, sequence)
        taken = commitment.bitmap_bit(self.chain.read(slot), sequence)
        if lane.source == self.registration and lane.relay in (0, relay) and not taken:
            self.chain.write(slot, self.chain.read(slot) | 1 << sequence % 256)
            self.receipts_home.append(home)
