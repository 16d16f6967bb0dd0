"""The hub contract in Python: the same storage words, logs and outcomes as ``contracts/src/hub``.

What is left out is what costs gas or belongs to administration: governor messages are a call of the governor's here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from piebridge.chains.errors import CallRevertedError
from piebridge.crypto.errors import ProtocolError
from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack import commitment
from piebridge.protocol_stack.codec import Reader
from piebridge.protocol_stack.commitment import SlotBase, mapping_slot
from piebridge.protocol_stack.endorsement import Envelope
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
from piebridge.protocol_stack.packet import Packet, packet_id, packets_hash
from piebridge.protocol_stack.receipts import Receipt, ReceiptBatch, ReceiptCode, ReceiptHome
from piebridge.protocol_stack.stack import STACK
from piebridge.protocol_stack.transaction.atp import ATP
from piebridge.protocol_stack.transaction.forward import FORWARD
from piebridge.protocol_stack.transport.outbox import (
    HeaderEntry,
    OutboxHead,
    PacketEntry,
    ReceiptHomeEntry,
    VerdictsEntry,
    open_hub_outbox,
)
from piebridge.protocol_stack.verdicts import OriginVerdict, Verdict
from piebridge.protocol_stack.verification.base import Method
from piebridge.protocol_stack.verification.endorsement import verify_envelope
from testkit.simulation.parachain import Execution

_U64 = (1 << 64) - 1
_SETTLED = 1
COMMITTED, ABORTED = 2, 3
_PASS_LIMIT = 256
RETURN_LIMIT = 256

RECEIVE = keccak256(b"receiveRange(bytes)")[:4]
SETTLE = keccak256(b"settle(uint32,uint32,uint64,bytes)")[:4]
PACKET_SENT = keccak256(b"PacketSent(uint256,bytes)")
RECEIPTS_MADE = keccak256(b"ReceiptsMade(uint256,bytes)")
HANDLER_FAILED = keccak256(b"HandlerFailed(bytes32,bytes)")
CALLBACK_FAILED = keccak256(b"CallbackFailed(bytes32,bytes)")
SETTLED = keccak256(b"Settled(uint256)")

_CURRENT_SET, _PREVIOUS_SET, _OVERLAP_UNTIL, _PAUSED = 40, 41, 42, 43
"""Words of the hub that no proof addresses; not where Solidity has them."""


class RevertError(CallRevertedError):
    """The contract reverts."""

    def __init__(self, name: str) -> None:
        super().__init__(name, keccak256(f"{name}()".encode())[:4])


def abi_bytes(content: bytes) -> bytes:
    """ABI encoding of one value of type ``bytes``."""
    return (32).to_bytes(32, "big") + len(content).to_bytes(32, "big") + content + bytes(-len(content) % 32)


class Application(Protocol):
    """What a hub calls."""

    def on_packet(self, execution: Execution, packet_id: bytes, packet: Packet) -> bytes: ...
    def on_receipt(
        self, execution: Execution, packet_id: bytes, header: Header, code: int, returned: bytes
    ) -> None: ...
    def on_abort(self, execution: Execution, packet_id: bytes, packet: Packet) -> None: ...


@dataclass(slots=True)
class _Batch:
    """What is known while the entries of a range are gone through."""

    relay: int
    paused: bool
    receipts: list[Receipt] = field(default_factory=list)
    bound: bool = False
    wanted: bool = False


@dataclass(slots=True)
class Hub:
    """One hub, in one domain."""

    registration: int
    address: bytes
    domain: int
    relays: tuple[int, ...]
    peers: tuple[int, ...]
    route: Callable[[int, int], int] = lambda destination, application: 0
    """Relay chain of a new transaction, by destination and application."""
    handler_gas_max: int = 1_000_000
    method: Method = Method.NOTARY
    times: tuple[int, int] = (1, 30 * 86_400)
    """Shortest and longest time from sending to expiry or deadline, seconds."""
    applications: dict[int, Application] = field(default_factory=dict)
    channels: dict[int, int] = field(default_factory=dict)
    """Application of each reliable channel."""

    def open(self, execution: Execution, sets: dict[int, bytes]) -> None:
        """Open all outboxes; ``sets`` are the hashes of the relay chains' first endorsement sets."""
        for relay in (0, *self.relays):
            value = open_hub_outbox(self.registration, self.address, self.domain, relay)
            self._store(execution, commitment.chain_slot(self.domain, relay), int.from_bytes(value, "big"))
        for relay, set_hash in sets.items():
            self._set_word(execution, _CURRENT_SET, relay, int.from_bytes(set_hash, "big"))

    # --- calls ---

    def call(self, execution: Execution, sender: bytes, data: bytes) -> bytes:
        """Execute a call; raises where the contract reverts."""
        try:
            if data[:4] == RECEIVE:
                self.receive(execution, _bytes_argument(data, 0))
            elif data[:4] == SETTLE:
                words = [int.from_bytes(data[4 + 32 * i : 36 + 32 * i], "big") for i in range(3)]
                self.settle(execution, words[0], words[1], words[2], _bytes_argument(data, 3))
            else:
                raise RevertError("NoSuchFunction")
        except ProtocolError as error:
            raise RevertError(f"Refused: {error}") from error
        return b""

    # --- sending ---

    def send(
        self,
        execution: Execution,
        application: int,
        destination: int,
        body: bytes,
        *,
        relay: int = 0,
        channel: int = 0,
        receipt_wanted: bool = False,
        returns_data: bool = False,
        expiry: int = 0,
        deadline: int = 0,
        gas: int = 100_000,
        function: int = 1,
        callback: int = 0,
    ) -> bytes:
        """Send a packet in the name of an application; return its id."""
        ordered = channel != 0
        if destination not in self.peers or (ordered and self.channels.get(channel) != application):
            raise RevertError("NoMember")
        now, (shortest, longest) = execution.time_seconds, self.times
        if (relay or ordered or expiry) and not now + shortest <= expiry <= now + longest:
            raise RevertError("InvalidTime")
        head_slot = commitment.head_slot(self.domain, relay)
        head = self._load(execution, head_slot)
        if relay:
            if not expiry <= deadline <= now + longest:
                raise RevertError("InvalidTime")
            if self.route(destination, application) != relay:
                raise RevertError("WrongRelay")
            head += 1 << 64
            self._store(execution, head_slot, head)
            transaction = TransactionHeader(
                ATP,
                kind=KIND_REQUEST,
                flags=FLAG_RETURN * returns_data,
                participant_count=1,
                origin=self.registration,
                nonce=head >> 64,
                deadline=deadline,
                execution_expiry=expiry,
                handler_gas=gas,
            )
        else:
            transaction = TransactionHeader(
                FORWARD, flags=FLAG_RETURN * returns_data, execution_expiry=expiry, handler_gas=gas
            )
        lane_slot = commitment.send_lane_slot(self.domain, destination, relay, channel)
        sequence = self._load(execution, lane_slot) + 1
        self._store(execution, lane_slot, sequence)
        flags = FLAG_ORDERED * ordered | FLAG_RECEIPT_WANTED * receipt_wanted
        header = Header(
            TransportHeader(
                2 if ordered else 1, flags, self.domain, self.registration, destination, relay, channel, sequence
            ),
            VerificationHeader(self.method),
            transaction,
            ApplicationHeader(
                application=application, function=function, callback_function=callback, body_length=len(body)
            ),
        )
        packet = Packet(header, body)
        entry = self._append(execution, relay, packet.packet_id)
        execution.log(self.address, (PACKET_SENT, entry), packet.encode())
        return packet.packet_id

    def _append(self, execution: Execution, relay: int, message_id: bytes) -> bytes:
        """Make the next entry of an outbox; return its id for events."""
        chain_slot, head_slot = commitment.chain_slot(self.domain, relay), commitment.head_slot(self.domain, relay)
        head = self._load(execution, head_slot)
        before = OutboxHead(head & _U64, self._load(execution, chain_slot).to_bytes(32, "big"))
        after = before.append(execution.number, message_id)
        self._store(execution, head_slot, head + 1)
        self._store(execution, chain_slot, int.from_bytes(after.value, "big"))
        return (self.domain << 96 | relay << 64 | after.number).to_bytes(32, "big")

    # --- receiving ---

    def receive(self, execution: Execution, data: bytes) -> None:
        """Take an endorsed range."""
        envelope = Envelope.decode(data)
        if envelope.domain != self.domain or envelope.relay not in self.relays:
            raise RevertError("UnknownSet")
        self._verify(execution, envelope)
        batch = _Batch(envelope.relay, bool(self._word(execution, _PAUSED, envelope.relay)))
        for entry in envelope.range.entries:
            match entry:
                case PacketEntry(packet=packet):
                    self._take_packet(execution, batch, packet.packet_id, packet.header, packet.body)
                case HeaderEntry(header=header):
                    identifier = packet_id(header.encode(), entry.body_hash)
                    self._take_packet(execution, batch, identifier, header, None)
                case VerdictsEntry():
                    self._take_verdicts(execution, batch.relay, entry)
                case ReceiptHomeEntry(receipt=home):
                    self._take_receipt_home(execution, batch.relay, home)
        self._close_batch(execution, batch)

    def _verify(self, execution: Execution, envelope: Envelope) -> None:
        verify_envelope(envelope, self.registration, self._accepted_sets(execution, envelope.relay))

    def _accepted_sets(self, execution: Execution, relay: int) -> list[bytes]:
        """Return the hashes of the sets that are accepted now."""
        return self.sets_in_overlap(execution, relay)

    def _take_packet(
        self, execution: Execution, batch: _Batch, identifier: bytes, header: Header, body: bytes | None
    ) -> None:
        lane, sequence = header.lane, header.transport.sequence
        if lane.domain != self.domain or lane.destination != self.registration:
            return
        if not self._is_on_its_road(lane.relay, batch.relay):
            return
        if (lane.relay or not header.transport.ordered) and self._has_ended(execution, header, sequence):
            return
        if header.transport.ordered and not self._is_next(execution, header):
            return
        expiry = header.transaction.execution_expiry
        returned: bytes | None = None
        if self._is_expired(execution, expiry):
            code = ReceiptCode.EXPIRED
        elif body is None or batch.paused:
            return
        elif header.transaction.handler_gas > self.handler_gas_max:
            code = ReceiptCode.FAILED_GAS
        elif header.application.application not in self.applications:
            code = ReceiptCode.FAILED_APPLICATION
        else:
            code, returned = self._execute(execution, identifier, Packet(header, body))
        self._end(execution, batch, header, identifier, code, returned)

    def _is_on_its_road(self, lane_relay: int, relay: int) -> bool:
        return lane_relay in (0, relay)

    def _is_expired(self, execution: Execution, expiry: int) -> bool:
        return expiry != 0 and execution.time_seconds >= expiry

    def _execute(self, execution: Execution, identifier: bytes, packet: Packet) -> tuple[ReceiptCode, bytes | None]:
        mark = execution.mark()
        try:
            answer = self.applications[packet.header.application.application].on_packet(execution, identifier, packet)
            if packet.header.transaction.returns_data:
                if len(answer) > RETURN_LIMIT:
                    raise RevertError("InvalidReturn")
                return ReceiptCode.EXECUTED, answer
            return ReceiptCode.EXECUTED, None
        except CallRevertedError as error:
            execution.revert(mark)
            execution.log(self.address, (HANDLER_FAILED, identifier), abi_bytes(error.data))
            return ReceiptCode.FAILED, None

    def _has_ended(self, execution: Execution, header: Header, sequence: int) -> bool:
        lane = header.lane
        if lane.relay:
            return self.status(execution, lane.source, lane.relay, lane.channel, sequence) != 0
        slot = commitment.seen_slot(self.domain, lane.source, lane.channel, sequence)
        return commitment.bitmap_bit(self._load(execution, slot), sequence)

    def _is_next(self, execution: Execution, header: Header) -> bool:
        """Whether a packet is the next of its ordered lane; moves the lane over sequences whose status is final."""
        lane, sequence = header.lane, header.transport.sequence
        slot = commitment.receive_lane_slot(self.domain, lane.source, lane.relay, lane.channel)
        last = self._load(execution, slot)
        if sequence <= last:
            return False
        if sequence == last + 1:
            return True
        if not lane.relay:
            return False
        passed = self._pass_final(execution, header, last)
        if passed != last:
            self._store(execution, slot, passed)
        return sequence == passed + 1

    def _pass_final(self, execution: Execution, header: Header, last: int) -> int:
        for _ in range(_PASS_LIMIT):
            if not self._has_ended(execution, header, last + 1):
                break
            last += 1
        return last

    def _end(
        self,
        execution: Execution,
        batch: _Batch,
        header: Header,
        identifier: bytes,
        code: ReceiptCode,
        returned: bytes | None,
    ) -> None:
        lane, sequence = header.lane, header.transport.sequence
        if lane.relay:
            status = COMMITTED if code is ReceiptCode.EXECUTED else ABORTED
            self._set_status(execution, lane.source, lane.relay, lane.channel, sequence, status)
            batch.bound = True
        elif not header.transport.ordered:
            slot = commitment.seen_slot(self.domain, lane.source, lane.channel, sequence)
            self._store(execution, slot, self._load(execution, slot) | 1 << (sequence & 255))
        if header.transport.ordered:
            slot = commitment.receive_lane_slot(self.domain, lane.source, lane.relay, lane.channel)
            passed = self._pass_final(execution, header, sequence) if lane.relay else sequence
            self._store(execution, slot, passed)
        batch.wanted |= header.transport.receipt_wanted
        batch.receipts.append(Receipt(identifier, code, returned))

    def _close_batch(self, execution: Execution, batch: _Batch) -> None:
        if not batch.bound and not batch.wanted:
            return
        made = ReceiptBatch(batch.relay, tuple(batch.receipts))
        entry = self._append(execution, batch.relay if batch.bound else 0, made.message_id(self.registration))
        execution.log(self.address, (RECEIPTS_MADE, entry), made.encode())

    # --- receipts that come home ---

    def _take_receipt_home(self, execution: Execution, relay: int, home: ReceiptHome) -> None:
        lane, sequence = home.header.lane, home.header.transport.sequence
        if lane.domain != self.domain or lane.source != self.registration:
            return
        if not self._is_on_its_road(lane.relay, relay) or not self._was_sent(execution, home.header):
            return
        slot = commitment.receipts_slot(self.domain, lane.destination, lane.relay, lane.channel, sequence)
        word = self._load(execution, slot)
        if commitment.bitmap_bit(word, sequence):
            return
        self._store(execution, slot, word | 1 << (sequence & 255))
        if home.header.application.callback_function == 0:
            return
        mark = execution.mark()
        try:
            application = self.applications[home.header.application.application]
            application.on_receipt(execution, home.packet_id, home.header, home.code, home.returned)
        except CallRevertedError as error:
            execution.revert(mark)
            execution.log(self.address, (CALLBACK_FAILED, home.packet_id), abi_bytes(error.data))

    def _was_sent(self, execution: Execution, header: Header) -> bool:
        lane = header.lane
        slot = commitment.send_lane_slot(self.domain, lane.destination, lane.relay, lane.channel)
        return header.transport.sequence <= self._load(execution, slot) & _U64

    # --- verdicts ---

    def _take_verdicts(self, execution: Execution, relay: int, entry: VerdictsEntry) -> None:
        for item in entry.verdicts.items:
            if isinstance(item, OriginVerdict):
                self._take_origin_verdict(execution, relay, item)
            elif (
                item.source != self.registration
                and item.verdict is Verdict.ABORT
                and self.status(execution, item.source, relay, item.channel, item.sequence) == 0
            ):
                self._set_status(execution, item.source, relay, item.channel, item.sequence, ABORTED)

    def _take_origin_verdict(self, execution: Execution, relay: int, item: OriginVerdict) -> None:
        last_nonce = self._load(execution, commitment.head_slot(self.domain, relay)) >> 64 & _U64
        if item.nonce > last_nonce or self.status(execution, 0, relay, 0, item.nonce):
            return
        self._set_status(execution, 0, relay, 0, item.nonce, int(item.verdict))
        if item.packets_hash is not None:
            slot = commitment.settlement_slot(relay, item.nonce)
            self._store(execution, slot, int.from_bytes(item.packets_hash, "big"))

    def settle(self, execution: Execution, domain: int, relay: int, nonce: int, packets: bytes) -> None:
        """Let the application undo the effect of an aborted transaction."""
        try:
            packet = STACK.receive(packets)
        except ProtocolError as error:
            raise RevertError("NothingToSettle") from error
        transport = packet.header.transport
        own = (transport.domain, transport.relay, transport.source, packet.header.transaction.nonce) == (
            domain,
            relay,
            self.registration,
            nonce,
        )
        slot = commitment.settlement_slot(relay, nonce)
        if not own or not relay or not self._owes(execution, slot, packet):
            raise RevertError("NothingToSettle")
        self._mark_settled(execution, slot)
        execution.log(self.address, (SETTLED, (relay << 64 | nonce).to_bytes(32, "big")))
        application = self.applications[packet.header.application.application]
        application.on_abort(execution, packet.packet_id, packet)

    def _owes(self, execution: Execution, slot: bytes, packet: Packet) -> bool:
        return self._load(execution, slot) == int.from_bytes(packets_hash([packet.packet_id]), "big")

    def _mark_settled(self, execution: Execution, slot: bytes) -> None:
        self._store(execution, slot, _SETTLED)

    # --- administration ---

    def set_endorsers(self, execution: Execution, relay: int, set_hash: bytes, overlap_seconds: int) -> None:
        """Replace the endorsement set of a relay chain."""
        current = self._word(execution, _CURRENT_SET, relay)
        self._set_word(execution, _PREVIOUS_SET, relay, current if overlap_seconds else 0)
        self._set_word(execution, _CURRENT_SET, relay, int.from_bytes(set_hash, "big"))
        self._set_word(execution, _OVERLAP_UNTIL, relay, execution.time_seconds + overlap_seconds)

    def sets_in_overlap(self, execution: Execution, relay: int) -> list[bytes]:
        """Return the hashes of the sets that count by the rules: the current one, and for a while one more."""
        words = [self._word(execution, _CURRENT_SET, relay)]
        if execution.time_seconds < self._word(execution, _OVERLAP_UNTIL, relay):
            words.append(self._word(execution, _PREVIOUS_SET, relay))
        return [word.to_bytes(32, "big") for word in words]

    def current_set(self, execution: Execution, relay: int) -> int:
        """Return the hash of the set that counts now, as a number."""
        return self._word(execution, _CURRENT_SET, relay)

    def pause(self, execution: Execution, relay: int, *, paused: bool) -> None:
        """Let the packets of a relay chain wait, or not any more."""
        self._set_word(execution, _PAUSED, relay, int(paused))

    # --- words ---

    def status(self, execution: Execution, source: int, relay: int, channel: int, sequence: int) -> int:
        """Status bits of a packet; of an own transaction with source and channel 0."""
        word = self._load(execution, commitment.status_slot(self.domain, source, relay, channel, sequence))
        return commitment.status_bits(word, sequence)

    def _set_status(
        self, execution: Execution, source: int, relay: int, channel: int, sequence: int, status: int
    ) -> None:
        slot = commitment.status_slot(self.domain, source, relay, channel, sequence)
        shift = 2 * (sequence & 127)
        self._store(execution, slot, self._load(execution, slot) & ~(3 << shift) | status << shift)

    def _load(self, execution: Execution, slot: bytes) -> int:
        return execution.load(self.address, slot)

    def _store(self, execution: Execution, slot: bytes, value: int) -> None:
        execution.store(self.address, slot, value)

    def _word(self, execution: Execution, base: int, relay: int) -> int:
        return self._load(execution, mapping_slot(base, relay.to_bytes(32, "big")))

    def _set_word(self, execution: Execution, base: int, relay: int, value: int) -> None:
        self._store(execution, mapping_slot(base, relay.to_bytes(32, "big")), value)


def _bytes_argument(data: bytes, position: int) -> bytes:
    """Read a dynamic argument."""
    reader = Reader(data[4:])
    words = [reader.take(32) for _ in range(position + 1)]
    offset = int.from_bytes(words[position], "big")
    length = int.from_bytes(data[4 + offset : 36 + offset], "big")
    content = data[36 + offset : 36 + offset + length]
    if len(content) != length:
        raise RevertError("Malformed")
    return content


assert SlotBase.SETTLEMENT < _CURRENT_SET, "the words of administration lie apart"
