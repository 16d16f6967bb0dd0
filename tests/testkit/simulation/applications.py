"""Token, record notary and ordered ledger: the first two with storage and logs of ``contracts/src/apps``."""

from dataclasses import dataclass

from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack.commitment import mapping_slot
from piebridge.protocol_stack.header import Header
from piebridge.protocol_stack.packet import Packet
from testkit.simulation.hub import Hub, RevertError, abi_bytes
from testkit.simulation.parachain import Execution

TOKEN, RECORD_NOTARY, LEDGER = 2, 3, 9
"""Application ids."""
LEDGER_CHANNEL = 1
"""The reliable channel of the ledger."""
NOBODY = bytes(20)
_HALF = (1 << 128) - 1

TRANSFER = keccak256(b"Transfer(address,address,uint256)")
TRANSFER_RECEIVED = keccak256(b"TransferReceived(bytes32,address,uint128)")
TRANSFER_REFUNDED = keccak256(b"TransferRefunded(bytes32,address,uint128)")
RECORD_NOTARISED = keccak256(b"RecordNotarised(bytes32,bytes32,bytes32,uint32,bool)")
NOTARISATION_CONFIRMED = keccak256(b"NotarisationConfirmed(bytes32,uint8,bytes)")
POSTED = keccak256(b"Posted(bytes32,uint32,uint64,uint64)")
WITHDRAWN = keccak256(b"Withdrawn(bytes32)")


def _address_word(address: bytes) -> bytes:
    return bytes(12) + address


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


@dataclass(slots=True)
class Token:
    """``BridgeToken``."""

    hub: Hub
    address: bytes
    supply: int
    cap: int
    window_seconds: int = 3_600

    def create(self, execution: Execution, holder: bytes, amount: int) -> None:
        """Give this chain's part of the supply to its holder."""
        self._credit(execution, holder, amount)
        self._transfer(execution, NOBODY, holder, amount)

    def transfer_remote(
        self,
        execution: Execution,
        sender: bytes,
        destination: int,
        relay: int,
        recipient: bytes,
        amount: int,
        expiry: int,
        deadline: int,
    ) -> bytes:
        """Move tokens to another chain; return the packet's id."""
        self._debit(execution, sender, amount)
        self._transfer(execution, sender, NOBODY, amount)
        body = amount.to_bytes(16, "big") + sender + recipient
        return self.hub.send(
            execution, TOKEN, destination, body, relay=relay, expiry=expiry, deadline=deadline, gas=120_000
        )

    def on_packet(self, execution: Execution, packet_id: bytes, packet: Packet) -> bytes:
        amount, _, recipient = _read_transfer(packet)
        if recipient in (NOBODY, self.address):
            raise RevertError("InvalidRecipient")
        self._count(execution, amount, _word(5), self.cap)
        self._credit(execution, recipient, amount)
        self._transfer(execution, NOBODY, recipient, amount)
        execution.log(self.address, (TRANSFER_RECEIVED, packet_id, _address_word(recipient)), _word(amount))
        return b""

    def on_abort(self, execution: Execution, packet_id: bytes, packet: Packet) -> None:
        amount, sender, _ = _read_transfer(packet)
        self._count(execution, amount, _word(6), 1 << 100)
        self._credit(execution, sender, amount)
        self._transfer(execution, NOBODY, sender, amount)
        execution.log(self.address, (TRANSFER_REFUNDED, packet_id, _address_word(sender)), _word(amount))

    def on_receipt(self, execution: Execution, packet_id: bytes, header: Header, code: int, returned: bytes) -> None:
        raise RevertError("NotUnderstood")

    def balance(self, execution: Execution, account: bytes) -> int:
        return execution.load(self.address, _cell(account)) & _HALF

    def _count(self, execution: Execution, amount: int, slot: bytes, cap: int) -> None:
        """Count what comes in against the cap of the window."""
        word = execution.load(self.address, slot)
        credited, start = word & _HALF, word >> 128
        if execution.time_seconds >= start + self.window_seconds:
            credited, start = 0, execution.time_seconds
        if credited + amount > cap:
            raise RevertError("CapExceeded")
        execution.store(self.address, slot, credited + amount | start << 128)

    def _debit(self, execution: Execution, account: bytes, amount: int) -> None:
        cell = execution.load(self.address, _cell(account))
        if cell & _HALF < amount:
            raise RevertError("CellTooSmall")
        execution.store(self.address, _cell(account), cell - amount)

    def _credit(self, execution: Execution, account: bytes, amount: int) -> None:
        execution.store(self.address, _cell(account), execution.load(self.address, _cell(account)) + amount)

    def _transfer(self, execution: Execution, sender: bytes, recipient: bytes, amount: int) -> None:
        topics = (TRANSFER, _address_word(sender), _address_word(recipient))
        execution.log(self.address, topics, _word(amount))


def _cell(account: bytes) -> bytes:
    return mapping_slot(0, _address_word(account))


def _read_transfer(packet: Packet) -> tuple[int, bytes, bytes]:
    body = packet.body
    if packet.header.application.function != 1 or len(body) != 56:
        raise RevertError("NotUnderstood")
    return int.from_bytes(body[:16], "big"), body[16:36], body[36:56]


@dataclass(slots=True)
class RecordNotary:
    """``RecordNotary``."""

    hub: Hub
    address: bytes

    def notarise(self, execution: Execution, destination: int, key: bytes, value: bytes, expiry: int) -> bytes:
        """Store a record at another chain, if its key is free there; return the packet's id."""
        return self.hub.send(
            execution,
            RECORD_NOTARY,
            destination,
            key + value,
            receipt_wanted=True,
            returns_data=True,
            expiry=expiry,
            callback=2,
        )

    def on_packet(self, execution: Execution, packet_id: bytes, packet: Packet) -> bytes:
        body, source = packet.body, packet.header.lane.source
        if packet.header.application.function != 1 or len(body) != 64:
            raise RevertError("NotUnderstood")
        first = mapping_slot(0, body[:32])
        second = _word(int.from_bytes(first, "big") + 1)
        value, where = execution.load(self.address, first), execution.load(self.address, second)
        existing = where >> 32 != 0
        if not existing:
            value, where = int.from_bytes(body[32:], "big"), source | execution.time_seconds << 32
            execution.store(self.address, first, value)
            execution.store(self.address, second, where)
        execution.log(
            self.address, (RECORD_NOTARISED, packet_id, body[:32]), body[32:] + _word(source) + _word(existing)
        )
        stored = _word(value) + (where & 0xFFFFFFFF).to_bytes(4, "big") + (where >> 32).to_bytes(8, "big")
        return bytes([existing]) + stored

    def on_receipt(self, execution: Execution, packet_id: bytes, header: Header, code: int, returned: bytes) -> None:
        data = _word(code) + _word(64) + abi_bytes(returned)[32:]
        execution.log(self.address, (NOTARISATION_CONFIRMED, packet_id), data)

    def on_abort(self, execution: Execution, packet_id: bytes, packet: Packet) -> None:
        raise RevertError("NotUnderstood")


@dataclass(slots=True)
class Ledger:
    """An application whose packets must come in order: each is written down with its lane and sequence.

    A value that divides by seven is poison: the handler refuses it, and the lane must go on.
    """

    hub: Hub
    address: bytes

    def post(
        self,
        execution: Execution,
        destination: int,
        value: int,
        relay: int,
        expiry: int,
        deadline: int,
        *,
        wanted: bool,
        ordered: bool = True,
    ) -> bytes:
        """Write a value down at another chain, behind all that were sent before if ordered; return the packet's id."""
        return self.hub.send(
            execution,
            LEDGER,
            destination,
            value.to_bytes(8, "big"),
            relay=relay,
            channel=LEDGER_CHANNEL if ordered else 0,
            receipt_wanted=wanted,
            expiry=expiry,
            deadline=deadline,
        )

    def on_packet(self, execution: Execution, packet_id: bytes, packet: Packet) -> bytes:
        value = int.from_bytes(packet.body, "big")
        if value % 7 == 0:
            raise RevertError("Poison")
        lane = packet.header.lane
        data = _word(lane.source) + _word(lane.relay) + _word(packet.header.transport.sequence) + _word(value)
        execution.log(self.address, (POSTED, packet_id), data)
        return b""

    def on_abort(self, execution: Execution, packet_id: bytes, packet: Packet) -> None:
        execution.log(self.address, (WITHDRAWN, packet_id))

    def on_receipt(self, execution: Execution, packet_id: bytes, header: Header, code: int, returned: bytes) -> None:
        raise RevertError("NotUnderstood")
