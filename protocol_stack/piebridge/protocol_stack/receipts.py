"""Receipts: what became of the packets of a batch (``docs/protocol/formats.md``, sections 6.2 and 6.4)."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack.codec import (
    HASH_LENGTH,
    Reader,
    bytes16,
    decode_whole,
    hash32,
    in_range,
    one_of,
    u8,
    u16,
    u32,
)
from piebridge.protocol_stack.commitment import TAG_RECEIPT, TAG_RECEIPT_HOME
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.header import HEADER_LENGTH, Header
from piebridge.protocol_stack.identifiers import RegistrationNumber, RelayId
from piebridge.protocol_stack.packet import packet_id
from piebridge.protocol_stack.stack import STACK

RETURNED_DATA_MAX: Final = 256
"""Most that a handler may return, bytes; a handler that returns more has failed."""
RECEIPTS_MAX: Final = 65_535
"""Most items of one batch."""
_RETURN_BIT: Final = 0x80


class ReceiptCode(IntEnum):
    """What became of a packet at its destination, decided once."""

    EXECUTED = 1
    """The handler succeeded."""
    FAILED = 2
    """The handler reverted or returned too much."""
    EXPIRED = 3
    """Destination time was at or after the expiry; the handler was not called."""
    FAILED_GAS = 4
    """The gas limit is above the destination's maximum; the handler was not called."""
    FAILED_APPLICATION = 5
    """The destination has no such application, or no code at its address."""

    @property
    def commits(self) -> bool:
        """Whether a transaction commits by it."""
        return self is ReceiptCode.EXECUTED


@dataclass(frozen=True, slots=True)
class Receipt:
    """One packet's receipt."""

    packet_id: bytes
    """32 bytes."""
    code: ReceiptCode
    """What became of the packet."""
    returned: bytes | None = None
    """What the handler returned: at most 256 bytes, given exactly when the packet has RETURN and was executed."""

    def encode(self) -> bytes:
        """Return ``packetId || code || [length || returned data]``.

        Raises:
            FormatError: the returned data is too long or does not fit the code.
        """
        if self.returned is None:
            return hash32(self.packet_id) + u8(self.code)
        _check_returned(self.code, self.returned)
        return hash32(self.packet_id) + u8(self.code | _RETURN_BIT) + bytes16(self.returned)

    def summary(self) -> bytes:
        """Return the item as the id of the batch hashes it: ``H(returned data)`` in place of length and data."""
        if self.returned is None:
            return self.encode()
        return hash32(self.packet_id) + u8(self.code | _RETURN_BIT) + keccak256(self.returned)

    @classmethod
    def read(cls, reader: Reader) -> "Receipt":
        """Take one item.

        Raises:
            FormatError: ``RECEIPT_CODE``, ``RETURNED_DATA`` or ``TRUNCATED``.
        """
        identifier = reader.hash()
        byte = reader.u8()
        code = _receipt_code(byte & ~_RETURN_BIT)
        if not byte & _RETURN_BIT:
            return cls(identifier, code)
        returned = reader.bytes16()
        _check_returned(code, returned)
        return cls(identifier, code, returned)


@dataclass(frozen=True, slots=True)
class ReceiptBatch:
    """Receipts of one received range, in the order of its packets: one message of a hub to a relay chain."""

    endorsing_relay: RelayId
    """The relay chain that endorsed the range."""
    receipts: tuple[Receipt, ...]
    """At least one."""

    def encode(self) -> bytes:
        """Return ``endorsing relay || count || items``.

        Raises:
            FormatError: no item, too many, or one that is not encodable.
        """
        count = in_range(len(self.receipts), 1, RECEIPTS_MAX, "number of receipts")
        return u32(self.endorsing_relay) + u16(count) + b"".join(receipt.encode() for receipt in self.receipts)

    def message_id(self, chain: RegistrationNumber) -> bytes:
        """Return the 32-byte id of the message.

        Args:
            chain: registration of the hub that made it.
        """
        listed = keccak256(b"".join(receipt.summary() for receipt in self.receipts))
        return keccak256(TAG_RECEIPT + u32(chain) + u32(self.endorsing_relay) + listed)

    @classmethod
    def read(cls, reader: Reader) -> "ReceiptBatch":
        """Take one message.

        Raises:
            FormatError: the bytes are no receipts.
        """
        relay = reader.positive_u32("endorsing relay")
        count = in_range(reader.u16(), 1, RECEIPTS_MAX, "number of receipts")
        return cls(relay, reader.many(count, lambda: Receipt.read(reader)))

    @classmethod
    def decode(cls, data: bytes) -> "ReceiptBatch":
        """Read the data of a ``ReceiptsMade`` event.

        Raises:
            FormatError: the bytes are no receipts.
        """
        return decode_whole(cls.read, data)


@dataclass(frozen=True, slots=True)
class ReceiptHome:
    """A receipt on its way from the relay chain to the packet's source."""

    header: Header
    """Header of the packet."""
    body_hash: bytes
    """``H(body)`` of the packet, 32 bytes."""
    code: ReceiptCode
    """What became of the packet."""
    returned: bytes = b""
    """What the handler returned, at most 256 bytes; only with RETURN and EXECUTED."""

    @property
    def packet_id(self) -> bytes:
        """Id of the packet, 32 bytes."""
        return packet_id(self.header.encode(), self.body_hash)

    @property
    def message_id(self) -> bytes:
        """``H(TAG_RECEIPT_HOME || packetId || code || H(returned data))``, 32 bytes."""
        return keccak256(TAG_RECEIPT_HOME + self.packet_id + u8(self.code) + keccak256(self.returned))

    def encode(self) -> bytes:
        """Return ``header || H(body) || code || length || returned data``.

        Raises:
            FormatError: the returned data does not fit header and code.
        """
        self._check()
        return self.header.encode() + hash32(self.body_hash) + u8(self.code) + bytes16(self.returned)

    @classmethod
    def read(cls, reader: Reader) -> "ReceiptHome":
        """Take one message.

        Raises:
            FormatError: the bytes are no receipt.
        """
        header = STACK.decode_header(reader.take(HEADER_LENGTH))
        receipt = cls(header, reader.take(HASH_LENGTH), _receipt_code(reader.u8()), reader.bytes16())
        receipt._check()
        return receipt

    @classmethod
    def decode(cls, data: bytes) -> "ReceiptHome":
        """Read the argument of ``retryCallback``.

        Raises:
            FormatError: the bytes are no receipt.
        """
        return decode_whole(cls.read, data)

    def _check(self) -> None:
        if not self.header.transport.receipt_wanted:
            raise FormatError(ErrorCode.TRANSPORT_FLAGS, "a receipt comes home that nobody wanted")
        if self.returned and not self.header.transaction.returns_data:
            raise FormatError(ErrorCode.RETURNED_DATA, "data was returned for a packet without RETURN")
        if self.returned or self.code is ReceiptCode.EXECUTED:
            _check_returned(self.code, self.returned)


def _receipt_code(value: int) -> ReceiptCode:
    return ReceiptCode(one_of(value, tuple(ReceiptCode), "receipt code", ErrorCode.RECEIPT_CODE))


def _check_returned(code: ReceiptCode, returned: bytes) -> None:
    if code is not ReceiptCode.EXECUTED:
        raise FormatError(ErrorCode.RECEIPT_CODE, "only an executed packet returns data", actual=code)
    in_range(len(returned), 0, RETURNED_DATA_MAX, "length of returned data", ErrorCode.RETURNED_DATA)
