"""Fabricated ledgers for the oracle: a tiny honest world, in which a test then tells one lie.

Packets and storage words are made here by hand, from docs/protocol/formats.md, not by the oracle's own code, so that a
mistake of the oracle about a slot shows.
"""

from collections import defaultdict
from dataclasses import replace

from piebridge.cli.oracle.decoding import ReceiptItem, SentPacket, decode_packet
from piebridge.cli.oracle.invariants import Applications, Verdict, check
from piebridge.cli.oracle.ledger import (
    ChainLedger,
    Confirmation,
    NotarisedRecord,
    PostedMessage,
    StoredRecord,
    TokenLedger,
    TokenMove,
    Transfer,
)
from piebridge.crypto.hash import keccak256

DOMAIN, RELAY, OTHER_RELAY = 7, 5, 6
FIRST, SECOND = 11, 22
TOKEN, RECORD_NOTARY, DOOR = 2, 3, 1
ALICE, BOB, BOARD, NOBODY = b"\xa1" * 20, b"\xb0" * 20, b"\xbd" * 20, bytes(20)
SHARE = 1_000
"""Tokens of each chain at first."""
CUT = 10
"""First cut of every chain; messages above it are known, effects are not."""
COMMITTED, ABORTED = 2, 3
EXPIRY = 5_000
NOW = 1_000
"""Time of every block."""


def slot(base: int, key: int) -> bytes:
    """Slot of a Solidity mapping."""
    return keccak256(key.to_bytes(32, "big") + base.to_bytes(32, "big"))


class OracleWorld:
    """Two chains and what they say; everything is honest until a test changes it."""

    def __init__(self) -> None:
        self.first, self.second = self._chain("chain-1", FIRST), self._chain("chain-2", SECOND)
        self._nonces: dict[tuple[int, int], int] = defaultdict(int)
        self._sequences: dict[tuple[int, ...], int] = defaultdict(int)

    def judge(self) -> Verdict:
        """What the oracle says."""
        return check([self.first, self.second], Applications(token=TOKEN, record_notary=RECORD_NOTARY, door=DOOR))

    def broken(self) -> set[str]:
        """Invariants that the oracle finds broken."""
        return {item.invariant for item in self.judge().violations}

    # Packets

    def packet(
        self,
        application: int,
        body: bytes,
        *,
        source: int = FIRST,
        destination: int = SECOND,
        relay: int = 0,
        receipt_wanted: bool = False,
        expiry: int = EXPIRY,
        block: int = 2,
    ) -> SentPacket:
        """A packet that its hub has sent and counted."""
        nonce = 0
        if relay:
            self._nonces[source, relay] += 1
            nonce = self._nonces[source, relay]
        self._sequences[source, destination, relay] += 1
        header = bytearray(136)
        header[0], header[1], header[2], header[3] = 1, 1, 2 if receipt_wanted else 0, 17
        fields = (DOMAIN, source, destination, relay, 0)
        header[4:24] = b"".join(value.to_bytes(4, "big") for value in fields)
        header[24:32] = self._sequences[source, destination, relay].to_bytes(8, "big")
        header[50:58] = nonce.to_bytes(8, "big")
        header[63:68] = expiry.to_bytes(5, "big")
        header[68:72] = (100_000).to_bytes(4, "big")
        header[72:76] = application.to_bytes(4, "big")
        header[80:84] = (2 if receipt_wanted else 0).to_bytes(4, "big")
        header[92:96] = len(body).to_bytes(4, "big")
        packet = decode_packet(bytes(header) + body, block)
        self.of(source).sent.append(packet)
        return packet

    def transfer(self, amount: int = 100, *, block: int = 2, destination: int = SECOND) -> SentPacket:
        """A transfer of Alice's on the first chain to Bob, taken from her account."""
        body = amount.to_bytes(16, "big") + ALICE + BOB
        packet = self.packet(TOKEN, body, relay=RELAY, block=block, destination=destination)
        if block <= CUT:
            self.move(self.first, ALICE, NOBODY, amount, block)
        return packet

    def message(self, payload: bytes = b"hello", *, expiry: int = 0) -> SentPacket:
        """An ERC-7786 message to the board of the second chain."""
        recipient = b"\0\1\0\0\1\1\x14" + BOARD
        body = b"\0\3abc" + len(recipient).to_bytes(2, "big") + recipient + payload
        return self.packet(DOOR, body, expiry=expiry)

    # What honest chains do

    def deliver(self, packet: SentPacket, code: int = 1, *, receipt: bool = True, block: int = 4) -> None:
        """The second chain ends a packet, with its effect if it executes it."""
        ledger = self.of(packet.destination)
        returned = b""
        if packet.bound:
            self.set_status(ledger, packet, COMMITTED if code == 1 else ABORTED)
        else:
            key = DOMAIN << 128 | packet.source << 96 | packet.sequence >> 8
            self.put(ledger, slot(3, key), packet.sequence & 255, 1)
        if code == 2:
            ledger.failed.add(packet.id)
        if code == 1:
            returned = self._effect(ledger, packet, block)
        if receipt:
            ledger.receipts.append(ReceiptItem(packet.id, code, returned, packet.relay or RELAY, block))
            ledger.block_times[block] = NOW

    def credit(self, ledger: ChainLedger, packet: SentPacket, block: int = 4) -> None:
        """The token credits a transfer."""
        assert ledger.token is not None
        ledger.token.credits.append(TokenMove(packet.id, BOB, packet.amount, block))
        self.move(ledger, NOBODY, BOB, packet.amount, block)

    def finish(self, packet: SentPacket, status: int = COMMITTED) -> None:
        """The verdict comes home; an abort is settled and refunded."""
        if status == ABORTED:
            self.finish_without_refund(packet)
            self.refund(packet)
        else:
            self.verdict(packet, status)

    def finish_without_refund(self, packet: SentPacket) -> None:
        """An abort comes home and is settled."""
        self.verdict(packet, ABORTED)
        self.first.words[self.settlement_slot(packet)] = 1  # type: ignore[index]

    def verdict(self, packet: SentPacket, status: int) -> None:
        """The verdict comes home."""
        key = DOMAIN << 160 | packet.relay << 96 | packet.nonce >> 7
        self.put(self.of(packet.source), slot(2, key), 2 * (packet.nonce & 127), status)

    def refund(self, packet: SentPacket) -> None:
        """The token gives a transfer back."""
        assert self.first.token is not None
        self.first.token.refunds.append(TokenMove(packet.id, ALICE, packet.amount, 6))
        self.move(self.first, NOBODY, ALICE, packet.amount, 6)

    def confirm(self, packet: SentPacket) -> None:
        """The receipt comes home, and the record notary tells so."""
        key = DOMAIN << 160 | packet.destination << 128 | packet.relay << 96 | packet.sequence >> 8
        self.put(self.first, slot(4, key), packet.sequence & 255, 1)
        receipt = next(item for item in self.second.receipts if item.packet_id == packet.id)
        self.first.notary.confirmations.append(Confirmation(packet.id, receipt.code, receipt.returned))

    # Storage

    def of(self, registration: int) -> ChainLedger:
        """The chain of a registration."""
        return self.first if registration == FIRST else self.second

    def put(self, ledger: ChainLedger, word: bytes, shift: int, value: int) -> None:
        """Set bits of a word, at both cuts."""
        for words in (ledger.words, ledger.later_words):
            words[word] |= value << shift  # type: ignore[index]

    def clear(self, ledger: ChainLedger, word: bytes) -> None:
        """Set a word to zero, at both cuts."""
        for words in (ledger.words, ledger.later_words):
            words[word] = 0  # type: ignore[index]

    def status_slot(self, packet: SentPacket) -> bytes:
        """Slot of a packet's status at its destination."""
        return slot(2, DOMAIN << 160 | packet.source << 128 | packet.relay << 96 | packet.sequence >> 7)

    def settlement_slot(self, packet: SentPacket) -> bytes:
        """Slot of what is to be undone of a transaction."""
        return slot(7, packet.relay << 64 | packet.nonce)

    def set_status(self, ledger: ChainLedger, packet: SentPacket, status: int) -> None:
        """Set the status of a packet at its destination."""
        self.put(ledger, self.status_slot(packet), 2 * (packet.sequence & 127), status)

    def move(self, ledger: ChainLedger, sender: bytes, recipient: bytes, amount: int, block: int) -> None:
        """Tokens move on one chain, with their event."""
        assert ledger.token is not None
        ledger.token.transfers.append(Transfer(sender, recipient, amount, block))
        for account, change in ((sender, -amount), (recipient, amount)):
            ledger.token.cells.setdefault(account, 0)
            if account != NOBODY:
                ledger.token.cells[account] += change

    def _chain(self, name: str, registration: int) -> ChainLedger:
        ledger = ChainLedger(name, registration, cut=CUT, handler_gas_max=1_000_000)
        ledger.token = TokenLedger(supply=2 * SHARE)
        ledger.words, ledger.later_words = defaultdict(int), defaultdict(int)
        ledger.boards = {BOARD}
        self.move(ledger, NOBODY, ALICE, SHARE, 1)
        return ledger

    def _effect(self, ledger: ChainLedger, packet: SentPacket, block: int) -> bytes:
        if packet.application == TOKEN:
            self.credit(ledger, packet, block)
        elif packet.application == RECORD_NOTARY:
            key, value = packet.body[:32], packet.body[32:]
            existing = key in ledger.notary.records
            record = ledger.notary.records.setdefault(key, StoredRecord(value, packet.source, NOW))
            ledger.notary.notarised.append(NotarisedRecord(packet.id, key, value, packet.source, existing))
            stored = record.value + record.source.to_bytes(4, "big") + record.time.to_bytes(8, "big")
            return bytes([existing]) + stored
        elif packet.application == DOOR:
            payload = packet.body[5 + 2 + 27 :]
            ledger.posted.append(PostedMessage(BOARD, packet.id, b"abc", payload))
        return b""


def altered(item: ReceiptItem, **changes: object) -> ReceiptItem:
    """A receipt that says something else."""
    return replace(item, **changes)  # type: ignore[arg-type]
