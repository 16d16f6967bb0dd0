"""The bytes of logs, decoded by the oracle's own hand from ``docs/protocol/formats.md``, sections 4 to 6, 14 and 15."""

from dataclasses import dataclass

import sha3  # type: ignore[import-untyped]

HEADER_BYTES = 136
TOKEN_BODY_BYTES = 56
RECORD_BODY_BYTES = 64
EXECUTED, FAILED, EXPIRED = 1, 2, 3
"""Codes of receipts, as far as the oracle tells them apart."""

_RETURNED = 0x80
_CODES = range(1, 6)


class MalformedError(Exception):
    """Bytes that are not what the page says; the message says how."""


def keccak(data: bytes) -> bytes:
    """Return keccak-256."""
    digest: bytes = sha3.keccak_256(data).digest()
    return digest


def tag(name: str) -> bytes:
    """Return ``TAG_<name>``."""
    return keccak(f"PIEBRIDGE/{name}/v1".encode("ascii"))


def topic(signature: str) -> bytes:
    """Return the first topic of an event."""
    return keccak(signature.encode("ascii"))


PACKET_SENT = topic("PacketSent(uint256)")
RECEIPTS_MADE = topic("ReceiptsMade(uint256)")
REPORT_MADE = topic("ReportMade(uint256)")
HANDLER_FAILED = topic("HandlerFailed(bytes32,bytes)")
CALLBACK_FAILED = topic("CallbackFailed(bytes32,bytes)")
TRANSFER = topic("Transfer(address,address,uint256)")
APPROVAL = topic("Approval(address,address,uint256)")
TRANSFER_RECEIVED = topic("TransferReceived(bytes32,address,uint128)")
TRANSFER_REFUNDED = topic("TransferRefunded(bytes32,address,uint128)")
RECORD_NOTARISED = topic("RecordNotarised(bytes32,bytes32,bytes32,uint32,bool)")
NOTARISATION_CONFIRMED = topic("NotarisationConfirmed(bytes32,uint8,bytes)")
MESSAGE_POSTED = topic("MessagePosted(bytes32,bytes,bytes)")


@dataclass(frozen=True, slots=True)
class SentPacket:
    """A packet as its source hub emitted it."""

    id: bytes
    """Packet id, 32 bytes."""
    domain: int
    """Relay domain."""
    source: int
    """Registration that it names as its source."""
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
    expiry: int
    """Destination time from which on it may not be executed, Unix seconds; 0 is never."""
    gas_limit: int
    """Gas that its handler gets."""
    application: int
    """Application id."""
    callback: int
    """Function of the sender that takes the receipt, 0 for none."""
    body: bytes
    """Body."""
    block: int
    """Block of the source that sent it."""

    @property
    def bound(self) -> bool:
        """True for a packet of a transaction."""
        return self.relay != 0

    @property
    def lane(self) -> tuple[int, int, int, int, int]:
        """Domain, source, destination, relay, channel."""
        return (self.domain, self.source, self.destination, self.relay, self.channel)

    @property
    def amount(self) -> int:
        """Tokens that a transfer moves, in smallest units."""
        return int.from_bytes(self.body[:16], "big")

    @property
    def sender(self) -> bytes:
        """Account that a transfer takes from, 20 bytes."""
        return self.body[16:36]

    @property
    def recipient(self) -> bytes:
        """Account that a transfer goes to, 20 bytes."""
        return self.body[36:56]


@dataclass(frozen=True, slots=True)
class ReceiptItem:
    """One line of a receipt batch."""

    packet_id: bytes
    """The packet that reached its end."""
    code: int
    """1 executed, others not."""
    returned: bytes
    """What the handler returned; empty without RETURN."""
    endorsing_relay: int
    """Relay chain that brought the batch."""
    block: int
    """Block that made it."""


def decode_packet(data: bytes, block: int) -> SentPacket:
    """Decode ``header || body``.

    Raises:
        MalformedError: the header does not fit the bytes.
    """
    header, body = data[:HEADER_BYTES], data[HEADER_BYTES:]

    def number(start: int, end: int) -> int:
        return int.from_bytes(header[start:end], "big")

    if len(header) < HEADER_BYTES or header[0] != 1 or number(92, 96) != len(body):
        raise MalformedError(f"a packet of {len(data)} bytes whose header does not fit it")
    return SentPacket(
        id=keccak(tag("PACKET") + header + keccak(body)),
        domain=number(4, 8),
        source=number(8, 12),
        destination=number(12, 16),
        relay=number(16, 20),
        channel=number(20, 24),
        sequence=number(24, 32),
        ordered=bool(header[2] & 1),
        receipt_wanted=bool(header[2] & 2),
        nonce=number(50, 58),
        expiry=number(63, 68),
        gas_limit=number(68, 72),
        application=number(72, 76),
        callback=number(80, 84),
        body=body,
        block=block,
    )


def decode_receipts(content: bytes, registration: int, block: int) -> tuple[bytes, list[ReceiptItem]]:
    """Decode ``relay u32 || count u16 || items`` into the message id and the items.

    Args:
        content: data of the event.
        registration: of the hub that made the receipts.
        block: that holds the event.

    Raises:
        MalformedError: the items do not fit the bytes.
    """
    relay, count = int.from_bytes(content[:4], "big"), int.from_bytes(content[4:6], "big")
    items: list[ReceiptItem] = []
    hashed, position = b"", 6
    for _ in range(count):
        packet_id, marked = content[position : position + 32], content[position + 32 : position + 33]
        position += 33
        returned = b""
        if marked and marked[0] & _RETURNED:
            length = int.from_bytes(content[position : position + 2], "big")
            returned = content[position + 2 : position + 2 + length]
            position += 2 + length
        if position > len(content) or marked[0] & ~_RETURNED not in _CODES:
            raise MalformedError("a receipt event that is cut off, or has a code that does not exist")
        hashed += packet_id + marked + (keccak(returned) if marked[0] & _RETURNED else b"")
        items.append(ReceiptItem(packet_id, marked[0] & ~_RETURNED, returned, relay, block))
    if position != len(content) or not items:
        raise MalformedError("a receipt event that is empty or has bytes left over")
    return keccak(tag("RECEIPT") + registration.to_bytes(4, "big") + content[:4] + keccak(hashed)), items


def decode_byte_strings(data: bytes, count: int, *, skip: int = 0) -> list[bytes]:
    """ABI-decode ``count`` values of type ``bytes`` behind ``skip`` values of one word.

    Raises:
        MalformedError: an offset or a length points outside.
    """
    values = []
    for position in range(skip, skip + count):
        offset = int.from_bytes(data[32 * position : 32 * position + 32], "big")
        length = int.from_bytes(data[offset : offset + 32], "big")
        if len(data) < 32 * (skip + count) or offset + 32 + length > len(data):
            raise MalformedError("an event whose data do not fit its ABI")
        values.append(data[offset + 32 : offset + 32 + length])
    return values


def decode_message(body: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Cut the body of an ERC-7786 message into sender, recipient's account (the last 20 bytes) and payload.

    None where it is none: the door of the destination refuses it.
    """
    parts = []
    for _ in range(2):
        length = int.from_bytes(body[:2], "big")
        if len(body) < 2 + length:
            return None
        parts.append(body[2 : 2 + length])
        body = body[2 + length :]
    return parts[0], parts[1][-20:], body
