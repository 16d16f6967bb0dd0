"""What the chains say happened, decoded by the oracle's own hand from docs/protocol/formats.md.

One :class:`ChainLedger` for each parachain: the entries of its hub's outboxes, the receipts it made, what its
applications did, and the storage bits that decide.
"""

from dataclasses import dataclass, field

from piebridge.cli.oracle.reader import ChainReader, Log, keccak, mapping_slot

FREE_RELAY = 0
_HEADER_BYTES = 136
_EXECUTED = 1

_SLOT_CHAIN, _SLOT_HEAD, _SLOT_STATUS, _SLOT_SEEN, _SLOT_RECEIPTS, _SLOT_RECEIVE_LANE, _SLOT_SETTLEMENT = (
    0,
    1,
    2,
    3,
    4,
    6,
    7,
)

COMMITTED = 0b10
ABORTED = 0b11


def _tag(name: str) -> bytes:
    return keccak(f"PIEBRIDGE/{name}/v1".encode("ascii"))


def _topic(signature: str) -> bytes:
    return keccak(signature.encode("ascii"))


_PACKET_SENT = _topic("PacketSent(uint256,bytes)")
_RECEIPTS_MADE = _topic("ReceiptsMade(uint256,bytes)")
_REPORT_MADE = _topic("ReportMade(uint256,bytes)")
_TRANSFER = _topic("Transfer(address,address,uint256)")
_TRANSFER_RECEIVED = _topic("TransferReceived(bytes32,address,uint128)")
_TRANSFER_REFUNDED = _topic("TransferRefunded(bytes32,address,uint128)")
_RECORD_NOTARISED = _topic("RecordNotarised(bytes32,bytes32,bytes32,uint32,bool)")
_MESSAGE_POSTED = _topic("MessagePosted(bytes32,bytes,bytes)")


@dataclass(frozen=True, slots=True)
class SentPacket:
    """A packet as its source hub emitted it."""

    id: bytes
    """Packet id, 32 bytes."""
    domain: int
    """Relay domain."""
    source: int
    """Registration of the hub that sent it."""
    destination: int
    """Registration of the hub that it goes to."""
    relay: int
    """Relay chain of a bound lane, 0 in a free one."""
    channel: int
    """Channel."""
    sequence: int
    """Position in the lane."""
    ordered: bool
    """True in an ordered lane."""
    receipt_wanted: bool
    """True when its receipt has to come home."""
    nonce: int
    """Transaction nonce at the origin, 0 without a transaction."""
    application: int
    """Application id."""
    body: bytes
    """Body."""

    @property
    def bound(self) -> bool:
        """True for a packet of a transaction."""
        return self.relay != FREE_RELAY


@dataclass(frozen=True, slots=True)
class ReceiptItem:
    """One line of a receipt batch."""

    packet_id: bytes
    """The packet that reached its end."""
    code: int
    """1 executed, others not."""


@dataclass(frozen=True, slots=True)
class TokenMove:
    """A credit or a refund that the token says it made."""

    packet_id: bytes
    """The packet that the token names."""
    account: bytes
    """Who got the tokens, 20 bytes."""
    amount: int
    """How many."""


@dataclass(slots=True)
class ChainLedger:
    """Everything that the oracle knows of one parachain."""

    name: str
    """Name for messages."""
    registration: int
    """Number of its hub."""
    reader: ChainReader
    """Reads its storage."""
    hub: str
    """Lower-case address of the hub."""
    token: str | None
    """Lower-case address of the token."""
    sent: list[SentPacket] = field(default_factory=list)
    """Packets that its hub sent."""
    receipts: list[ReceiptItem] = field(default_factory=list)
    """Receipts that its hub made."""
    credits: list[TokenMove] = field(default_factory=list)
    """Credits that its token made for packets."""
    refunds: list[TokenMove] = field(default_factory=list)
    """Refunds that its token made."""
    notarised: list[bytes] = field(default_factory=list)
    """Ids of the packets that its record notary handled."""
    posted: list[bytes] = field(default_factory=list)
    """Ids of the messages that were posted."""
    holders: set[bytes] = field(default_factory=set)
    """Accounts that ever held tokens."""
    faults: list[str] = field(default_factory=list)
    """Contradictions between logs and storage of this very chain."""

    def status(self, packet: SentPacket) -> int:
        """Two status bits of a bound packet at its destination (this chain)."""
        key = packet.domain << 160 | packet.source << 128 | packet.relay << 96 | packet.channel << 64
        return self._status_bits(key, packet.sequence)

    def own_status(self, domain: int, relay: int, nonce: int) -> int:
        """Two status bits of a transaction that began here."""
        return self._status_bits(domain << 160 | relay << 96, nonce)

    def reached_end(self, packet: SentPacket) -> bool:
        """Tell whether a packet toward this chain has an outcome here."""
        if packet.bound:
            return self.status(packet) in (COMMITTED, ABORTED)
        if packet.ordered:
            key = packet.domain << 96 | packet.source << 64 | packet.relay << 32 | packet.channel
            return int.from_bytes(self._mapping(_SLOT_RECEIVE_LANE, key)[24:], "big") >= packet.sequence
        key = packet.domain << 128 | packet.source << 96 | packet.channel << 64 | packet.sequence >> 8
        return bool(int.from_bytes(self._mapping(_SLOT_SEEN, key), "big") >> (packet.sequence & 255) & 1)

    def receipt_home_taken(self, packet: SentPacket) -> bool:
        """Tell whether the receipt of a packet that this chain sent has come home."""
        key = packet.domain << 160 | packet.destination << 128 | packet.relay << 96 | packet.channel << 64
        word = int.from_bytes(self._mapping(_SLOT_RECEIPTS, key | packet.sequence >> 8), "big")
        return bool(word >> (packet.sequence & 255) & 1)

    def settled(self, relay: int, nonce: int) -> bool:
        """Tell whether an aborted transaction that began here was undone."""
        return int.from_bytes(self._mapping(_SLOT_SETTLEMENT, relay << 64 | nonce), "big") == 1

    def balance(self, account: bytes) -> int:
        """Token balance of an account here."""
        assert self.token is not None
        answer = self.reader.call(self.token, _topic("balanceOf(address)")[:4] + account.rjust(32, b"\0"))
        return int.from_bytes(answer, "big")

    def total_supply(self) -> int:
        """Supply of the token over all chains, as this chain's token tells it."""
        assert self.token is not None
        return int.from_bytes(self.reader.call(self.token, _topic("totalSupply()")[:4]), "big")

    def _status_bits(self, key: int, position: int) -> int:
        word = int.from_bytes(self._mapping(_SLOT_STATUS, key | position >> 7), "big")
        return word >> 2 * (position & 127) & 0b11

    def _mapping(self, base: int, key: int) -> bytes:
        return self.reader.storage(self.hub, mapping_slot(base, key))


def read_ledger(
    name: str, registration: int, rpc_url: str, hub: str, token: str | None, others: list[str]
) -> ChainLedger:
    """Read one parachain: its hub, its token and its other applications.

    Raises:
        ChainError: an endpoint does not answer or refuses.
    """
    ledger = ChainLedger(name, registration, ChainReader(name, rpc_url), hub.lower(), token.lower() if token else None)
    outboxes: dict[int, list[tuple[int, int, bytes]]] = {}
    addresses = [ledger.hub, *([ledger.token] if ledger.token else []), *(other.lower() for other in others)]
    for log in ledger.reader.logs(addresses):
        if log.address == ledger.hub:
            _read_hub_log(ledger, log, outboxes)
        elif log.address == ledger.token:
            _read_token_log(ledger, log)
        elif log.topics[0] == _RECORD_NOTARISED:
            ledger.notarised.append(log.topics[1])
        elif log.topics[0] == _MESSAGE_POSTED:
            ledger.posted.append(log.topics[1])
    for outbox, entries in sorted(outboxes.items()):
        _check_outbox(ledger, outbox, entries)
    return ledger


def _read_hub_log(ledger: ChainLedger, log: Log, outboxes: dict[int, list[tuple[int, int, bytes]]]) -> None:
    if log.topics[0] not in (_PACKET_SENT, _RECEIPTS_MADE, _REPORT_MADE):
        return
    entry = int.from_bytes(log.topics[1], "big")
    content = _only_bytes(log.data)
    if log.topics[0] == _PACKET_SENT:
        packet = _packet(content)
        ledger.sent.append(packet)
        message_id = packet.id
        if packet.source != ledger.registration:
            ledger.faults.append(f"its hub sent a packet in the name of chain {packet.source}")
    elif log.topics[0] == _RECEIPTS_MADE:
        message_id = _read_receipts(ledger, content)
    else:
        message_id = keccak(_tag("REPORT") + keccak(content))
    outboxes.setdefault(entry >> 64, []).append((entry & (1 << 64) - 1, log.block_number, message_id))


def _read_receipts(ledger: ChainLedger, content: bytes) -> bytes:
    """Decode ``relay u32 || count u16 || items`` and return the message id."""
    hashed = b""
    position = 6
    for _ in range(int.from_bytes(content[4:6], "big")):
        packet_id, code = content[position : position + 32], content[position + 32]
        hashed += packet_id + bytes([code])
        position += 33
        if code & 0x80:
            length = int.from_bytes(content[position : position + 2], "big")
            hashed += keccak(content[position + 2 : position + 2 + length])
            position += 2 + length
        ledger.receipts.append(ReceiptItem(packet_id, code & 0x7F))
    if position != len(content):
        ledger.faults.append("a receipt event has bytes left over")
    return keccak(_tag("RECEIPT") + ledger.registration.to_bytes(4, "big") + content[:4] + keccak(hashed))


def _read_token_log(ledger: ChainLedger, log: Log) -> None:
    if log.topics[0] == _TRANSFER:
        ledger.holders |= {log.topics[1][12:], log.topics[2][12:]}
    elif log.topics[0] == _TRANSFER_RECEIVED:
        ledger.credits.append(TokenMove(log.topics[1], log.topics[2][12:], int.from_bytes(log.data, "big")))
    elif log.topics[0] == _TRANSFER_REFUNDED:
        ledger.refunds.append(TokenMove(log.topics[1], log.topics[2][12:], int.from_bytes(log.data, "big")))


def _check_outbox(ledger: ChainLedger, outbox: int, entries: list[tuple[int, int, bytes]]) -> None:
    """Fold what the logs say and compare with the head in storage: the logs are then complete and true."""
    value = keccak(
        _tag("OUTBOX_OPEN_HUB")
        + ledger.registration.to_bytes(4, "big")
        + bytes.fromhex(ledger.hub[2:])
        + outbox.to_bytes(8, "big")
    )
    for expected, (number, height, message_id) in enumerate(entries, start=1):
        if number != expected:
            ledger.faults.append(
                f"outbox {outbox >> 32}/{outbox & 0xFFFFFFFF}: entry {expected} is missing in the logs"
            )
            return
        value = keccak(_tag("OUTBOX") + value + number.to_bytes(8, "big") + height.to_bytes(8, "big") + message_id)
    stored = ledger.reader.storage(ledger.hub, mapping_slot(_SLOT_CHAIN, outbox))
    count = int.from_bytes(ledger.reader.storage(ledger.hub, mapping_slot(_SLOT_HEAD, outbox))[24:], "big")
    if (count, stored) != (len(entries), value):
        ledger.faults.append(
            f"outbox {outbox >> 32}/{outbox & 0xFFFFFFFF}: "
            f"{len(entries)} entries in the logs do not fold to its head ({count})"
        )


def _packet(data: bytes) -> SentPacket:
    header, body = data[:_HEADER_BYTES], data[_HEADER_BYTES:]

    def number(start: int, end: int) -> int:
        return int.from_bytes(header[start:end], "big")

    return SentPacket(
        id=keccak(_tag("PACKET") + header + keccak(body)),
        domain=number(4, 8),
        source=number(8, 12),
        destination=number(12, 16),
        relay=number(16, 20),
        channel=number(20, 24),
        sequence=number(24, 32),
        ordered=bool(header[2] & 1),
        receipt_wanted=bool(header[2] & 2),
        nonce=number(50, 58),
        application=number(72, 76),
        body=body,
    )


def _only_bytes(data: bytes) -> bytes:
    """ABI-decode a single ``bytes``."""
    length = int.from_bytes(data[32:64], "big")
    return data[64 : 64 + length]
