"""Typed access to the state: what handlers read and write."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from piebridge.protocol_stack.commitment import BITS_PER_SLOT
from piebridge.protocol_stack.governor_relay_bodies import ValidatorSet
from piebridge.protocol_stack.identifiers import Lane
from piebridge.protocol_stack.transport.outbox import OutboxHead
from piebridge.protocol_stack.verification.light_clients.cometbft import ConsensusState
from piebridge.relay.app import keys
from piebridge.relay.app.records import (
    ChainRecord,
    ClientRecord,
    EntryRecord,
    KeptValue,
    MessageRecord,
    PacketRecord,
    Progress,
    RelayRecord,
    ReportRecord,
    TransactionRecord,
    decode_consensus,
    decode_validators,
    encode_consensus,
)
from piebridge.relay.app.state import Overlay, Reader

_T = TypeVar("_T")
_HASH_LENGTH = 32


class View:
    """Reads the state, committed or in the making."""

    def __init__(self, reader: Reader) -> None:
        """Read from ``reader``."""
        self._reader = reader

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a backend key, or None."""
        return self._reader.get(key)

    def _decoded(self, key: bytes, decode: Callable[[bytes], _T]) -> _T | None:
        data = self._reader.get(key)
        return None if data is None else decode(data)

    @property
    def is_initialised(self) -> bool:
        """Whether the genesis was written."""
        return self._reader.get(keys.RELAY) is not None

    @property
    def relay(self) -> RelayRecord:
        """The relay chain's own record."""
        record = self._decoded(keys.RELAY, RelayRecord.decode)
        assert record is not None, "the state has no genesis"
        return record

    @property
    def validators(self) -> ValidatorSet:
        """The current validator set."""
        record = self._decoded(keys.VALIDATORS, decode_validators)
        assert record is not None, "the state has no genesis"
        return record

    @property
    def chains(self) -> tuple[int, ...]:
        """Registrations ever made, ascending."""
        data = self._reader.get(keys.CHAINS) or b""
        return tuple(int.from_bytes(data[i : i + 4], "big") for i in range(0, len(data), 4))

    def chain(self, registration: int) -> ChainRecord | None:
        """Record of a registration, or None."""
        return self._decoded(keys.chain(registration), ChainRecord.decode)

    def open_chain(self, registration: int) -> ChainRecord | None:
        """Record of a registration that is not closed, or None."""
        record = self.chain(registration)
        return record if record is not None and record.is_open else None

    def progress(self, registration: int) -> Progress:
        """How far a chain is known to have gone on."""
        return self._decoded(keys.progress(registration), Progress.decode) or Progress()

    def client(self, registration: int) -> ClientRecord | None:
        """Light client of a registration, or None."""
        return self._decoded(keys.client(registration), ClientRecord.decode)

    def consensus(self, registration: int, height: int) -> ConsensusState | None:
        """Consensus state of a client at a height, or None."""
        return self._decoded(keys.consensus(registration, height), decode_consensus)

    def cursor(self, registration: int, outbox_relay: int) -> OutboxHead | None:
        """What was folded last of a hub's outbox, or None."""
        return self._decoded(keys.cursor(registration, outbox_relay), OutboxHead.decode)

    def kept_value(self, registration: int, outbox_relay: int, number: int) -> KeptValue | None:
        """Chain value of a hub's outbox that was authenticated before, or None."""
        return self._decoded(keys.kept(registration, outbox_relay, number), KeptValue.decode)

    def is_recorded(self, lane: Lane, sequence: int) -> bool:
        """Whether a packet was recorded."""
        return self._bit(keys.recorded(lane, sequence), sequence)

    def recorded_word(self, lane: Lane, page: int) -> int:
        """The recorded bits of 256 sequences of a lane."""
        return int.from_bytes(self._reader.get(keys.recorded(lane, page * BITS_PER_SLOT)) or b"", "big")

    def is_receipt_opened(self, lane: Lane, sequence: int) -> bool:
        """Whether a packet's receipt was opened."""
        return self._bit(keys.receipt_opened(lane, sequence), sequence)

    def _bit(self, key: bytes, sequence: int) -> bool:
        word = self._reader.get(key)
        return word is not None and bool(int.from_bytes(word, "big") >> (sequence & 255) & 1)

    def packet(self, packet_id: bytes) -> PacketRecord | None:
        """Record of a packet, or None."""
        return self._decoded(keys.packet(packet_id), PacketRecord.decode)

    def packet_at(self, lane: Lane, sequence: int) -> bytes | None:
        """Id of the packet that was recorded at a place, or None."""
        return self._reader.get(keys.packet_at(lane, sequence))

    def report(self, registration: int, kind: int, relay: int) -> ReportRecord | None:
        """Newest report of a hub, of one kind, about one relay chain, or None."""
        return self._decoded(keys.report(registration, kind, relay), ReportRecord.decode)

    def report_count(self, registration: int) -> int:
        """Number of reports of a hub that are kept."""
        return int.from_bytes(self._reader.get(keys.report_count(registration)) or b"", "big")

    def passed(self, lane: Lane) -> int:
        """Last sequence of an ordered lane up to which everything was acknowledged."""
        return int.from_bytes(self._reader.get(keys.passed(lane)) or b"", "big")

    def transaction(self, tx_id: bytes) -> TransactionRecord | None:
        """Record of a transaction, or None."""
        return self._decoded(keys.transaction(tx_id), TransactionRecord.decode)

    def outbox_head(self, destination: int) -> OutboxHead | None:
        """Head of the outbox toward a destination, or None."""
        return self._decoded(keys.endorsed_head(destination), OutboxHead.decode)

    def outbox_base(self, destination: int) -> int:
        """Number of the oldest entry of an outbox that is kept, from 1."""
        return int.from_bytes(self._reader.get(keys.outbox(destination)) or b"\x01", "big")

    def entry(self, destination: int, number: int) -> EntryRecord | None:
        """An entry of an outbox, or None."""
        return self._decoded(keys.entry(destination, number), EntryRecord.decode)

    def message(self, destination: int, number: int) -> MessageRecord | None:
        """Message of an entry that is not acknowledged, or None."""
        entry = self.entry(destination, number)
        return None if entry is None else entry.message

    def gateway_quota(self, address: bytes) -> int | None:
        """Transactions per 100 blocks of an authorised gateway, or None for a stranger."""
        data = self._reader.get(keys.gateway(address))
        return None if data is None else int.from_bytes(data, "big")


class Store(View):
    """Reads and changes the state in the making."""

    def __init__(self, overlay: Overlay) -> None:
        """Write to ``overlay``."""
        super().__init__(overlay)
        self._overlay = overlay

    def set(self, key: bytes, value: bytes | None) -> None:
        """Change one value by its backend key; None deletes."""
        self._overlay.set(key, value)

    def set_relay(self, record: RelayRecord) -> None:
        """Write the relay chain's own record."""
        self.set(keys.RELAY, record.encode())

    def set_chain(self, record: ChainRecord) -> None:
        """Write a registration and list it."""
        if record.registration not in self.chains:
            listed = sorted((*self.chains, record.registration))
            self.set(keys.CHAINS, b"".join(number.to_bytes(4, "big") for number in listed))
        self.set(keys.chain(record.registration), record.encode())

    def set_progress(self, registration: int, progress: Progress) -> None:
        """Write how far a chain is known to have gone on."""
        self.set(keys.progress(registration), progress.encode())

    def set_client(self, registration: int, record: ClientRecord) -> None:
        """Write a light client and publish its newest height."""
        self.set(keys.client(registration), record.encode())
        self.set(keys.endorsed_client(registration), record.heights[-1].to_bytes(8, "big"))

    def set_consensus(self, registration: int, state: ConsensusState) -> None:
        """Write a consensus state."""
        self.set(keys.consensus(registration, state.height_on_source), encode_consensus(state))

    def set_kept_value(self, registration: int, outbox_relay: int, number: int, kept: KeptValue) -> None:
        """Write a chain value of a hub's outbox that was authenticated."""
        self.set(keys.kept(registration, outbox_relay, number), kept.encode())

    def set_cursor(self, registration: int, outbox_relay: int, head: OutboxHead) -> None:
        """Write what was folded last of a hub's outbox."""
        self.set(keys.cursor(registration, outbox_relay), head.encode())

    def set_recorded(self, lane: Lane, sequence: int, *, value: bool = True) -> None:
        """Set (or clear) the recorded bit of a packet."""
        self._set_bit(keys.recorded(lane, sequence), sequence, value)

    def set_receipt_opened(self, lane: Lane, sequence: int, *, value: bool = True) -> None:
        """Set (or clear) the receipt-opened bit of a packet."""
        self._set_bit(keys.receipt_opened(lane, sequence), sequence, value)

    def _set_bit(self, key: bytes, sequence: int, value: bool) -> None:
        word = int.from_bytes(self.get(key) or b"", "big")
        mask = 1 << (sequence & 255)
        word = word | mask if value else word & ~mask
        self.set(key, word.to_bytes(_HASH_LENGTH, "big") if word else None)

    def set_packet_at(self, lane: Lane, sequence: int, packet_id: bytes | None) -> None:
        """Write (or forget) which packet was recorded at a place."""
        self.set(keys.packet_at(lane, sequence), packet_id)

    def set_packet(self, packet_id: bytes, record: PacketRecord | None) -> None:
        """Write (or forget) the record of a packet."""
        self.set(keys.packet(packet_id), None if record is None else record.encode())

    def set_transaction(self, tx_id: bytes, record: TransactionRecord) -> None:
        """Write the record of a transaction."""
        self.set(keys.transaction(tx_id), record.encode())

    def set_outbox_head(self, destination: int, head: OutboxHead) -> None:
        """Write the head of the outbox toward a destination."""
        self.set(keys.endorsed_head(destination), head.encode())

    def set_outbox_base(self, destination: int, number: int) -> None:
        """Write the number of the oldest entry of an outbox that is kept."""
        self.set(keys.outbox(destination), number.to_bytes(8, "big"))

    def set_entry(self, destination: int, number: int, record: EntryRecord | None) -> None:
        """Write (or drop) an entry of an outbox."""
        self.set(keys.entry(destination, number), None if record is None else record.encode())

    def set_report(self, registration: int, record: ReportRecord) -> None:
        """Write a report of a hub."""
        self.set(keys.report(registration, record.report.kind, record.report.relay), record.encode())

    def set_report_count(self, registration: int, count: int) -> None:
        """Write how many reports of a hub are kept."""
        self.set(keys.report_count(registration), count.to_bytes(2, "big"))

    def set_passed(self, lane: Lane, sequence: int) -> None:
        """Write up to which sequence an ordered lane is acknowledged."""
        self.set(keys.passed(lane), sequence.to_bytes(8, "big"))

    def set_message(self, destination: int, number: int, record: MessageRecord | None) -> None:
        """Write (or drop) the message of an entry; nothing where the entry is not kept any more."""
        entry = self.entry(destination, number)
        if entry is not None and entry.message != record:
            self.set_entry(destination, number, replace(entry, message=record))

    def acknowledge_message(self, destination: int, number: int) -> None:
        """Count one item of a message as acknowledged and drop the message with its last one."""
        message = self.message(destination, number)
        if message is not None:
            self.set_message(destination, number, None if message.remaining == 1 else message.with_one_less())
