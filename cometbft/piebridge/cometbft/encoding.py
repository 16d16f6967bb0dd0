"""Canonical protobuf: the bytes that CometBFT hashes and signs, and a reader that accepts exactly these.

Protobuf libraries promise neither one encoding of a message nor the same bytes in every version, so what is hashed or
signed is written here by hand. Rules: fields in ascending order, minimal varints, a scalar equal to its default is left
out, a non-nullable sub-message is always written (even when empty).

Source: protobuf encoding specification; ``gogoproto`` annotations of ``proto/tendermint`` in CometBFT v0.40.0.
"""

from collections.abc import Callable
from typing import TypeVar

from piebridge.crypto.errors import DecodingError

NANOSECONDS_PER_SECOND = 1_000_000_000

ZERO_TIME_NS = -62_135_596_800 * NANOSECONDS_PER_SECOND
"""0001-01-01T00:00:00Z, Go's zero time: the timestamp of an absent vote. Nanoseconds since the Unix epoch."""

MAX_TIME_NS = 253_402_300_799 * NANOSECONDS_PER_SECOND + 999_999_999
"""9999-12-31T23:59:59.999999999Z, the last time that ``google.protobuf.Timestamp`` may hold."""

_UINT64_MODULUS = 1 << 64
_WIRE_VARINT = 0
_WIRE_FIXED64 = 1
_WIRE_BYTES = 2

_T = TypeVar("_T")


def encode_varint(value: int) -> bytes:
    """Encode an integer of -2^63 ... 2^64-1; negative numbers as their 64-bit two's complement (10 bytes)."""
    if not -(1 << 63) <= value < _UINT64_MODULUS:
        raise ValueError(f"{value} does not fit into 64 bits")
    value %= _UINT64_MODULUS
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def varint_field(number: int, value: int) -> bytes:
    """Encode an int32, int64, uint32, uint64, enum or bool field; nothing when 0."""
    return encode_varint(number << 3 | _WIRE_VARINT) + encode_varint(value) if value else b""


def sfixed64_field(number: int, value: int) -> bytes:
    """Encode a sfixed64 field, little-endian; nothing when 0."""
    return encode_varint(number << 3 | _WIRE_FIXED64) + value.to_bytes(8, "little", signed=True) if value else b""


def bytes_field(number: int, value: bytes) -> bytes:
    """Encode a bytes field; nothing when empty."""
    return message_field(number, value) if value else b""


def string_field(number: int, value: str) -> bytes:
    """Encode a string field, UTF-8; nothing when empty."""
    return bytes_field(number, value.encode())


def message_field(number: int, body: bytes) -> bytes:
    """Encode a sub-message or a repeated element, also when empty."""
    return encode_varint(number << 3 | _WIRE_BYTES) + encode_varint(len(body)) + body


def length_prefixed(body: bytes) -> bytes:
    """Put the varint length before a message, as CometBFT signs votes."""
    return encode_varint(len(body)) + body


def encode_timestamp(time_ns: int) -> bytes:
    """Encode ``google.protobuf.Timestamp`` from nanoseconds since the Unix epoch."""
    seconds, nanoseconds = divmod(time_ns, NANOSECONDS_PER_SECOND)
    return varint_field(1, seconds) + varint_field(2, nanoseconds)


def decode_timestamp(body: bytes) -> int:
    """Decode ``google.protobuf.Timestamp`` to nanoseconds since the Unix epoch.

    Raises:
        DecodingError: not canonical, or outside the years 1 to 9999.
    """
    reader = Reader(body, "timestamp")
    seconds, nanoseconds = reader.int64(1), reader.int64(2)
    reader.end()
    time_ns = seconds * NANOSECONDS_PER_SECOND + nanoseconds
    if not (0 <= nanoseconds < NANOSECONDS_PER_SECOND and ZERO_TIME_NS <= time_ns <= MAX_TIME_NS):
        raise DecodingError(f"timestamp of {seconds} s and {nanoseconds} ns is out of range")
    return time_ns


class Reader:
    """Reads a message field by field, in ascending order, and refuses every other encoding of the same values.

    Each method reads one field if it comes next and returns the default otherwise; :meth:`end` refuses what is left, so
    that unknown, repeated and misplaced fields are all refused there.
    """

    def __init__(self, data: bytes, what: str) -> None:
        """Read ``data``; ``what`` names the message in errors."""
        self._data = data
        self._position = 0
        self._what = what

    def int64(self, number: int) -> int:
        """Read a signed varint field, 0 when absent."""
        value = self.uint64(number)
        return value - _UINT64_MODULUS if value >= _UINT64_MODULUS >> 1 else value

    def uint64(self, number: int) -> int:
        """Read an unsigned varint field, 0 when absent."""
        if not self._take_tag(number, _WIRE_VARINT):
            return 0
        value = self._varint()
        if value == 0:
            raise self._error(f"field {number} holds its default and must be left out")
        return value

    def ranged(self, number: int, minimum: int, maximum: int) -> int:
        """Read a signed varint field that must lie in a range."""
        value = self.int64(number)
        if not minimum <= value <= maximum:
            raise self._error(f"field {number} is {value}, outside {minimum} to {maximum}")
        return value

    def octets(self, number: int, lengths: range | tuple[int, ...]) -> bytes:
        """Read a bytes field, empty when absent; its length must be one of ``lengths``."""
        value = b""
        if self._take_tag(number, _WIRE_BYTES):
            value = self._delimited()
            if not value:
                raise self._error(f"field {number} is empty and must be left out")
        if len(value) not in lengths:
            raise self._error(f"field {number} has {len(value)} bytes, allowed are {lengths}")
        return value

    def string(self, number: int, max_length: int) -> str:
        """Read a string field of at most ``max_length`` bytes of UTF-8, empty when absent."""
        try:
            return self.octets(number, range(max_length + 1)).decode()
        except UnicodeDecodeError as error:
            raise self._error(f"field {number} is not UTF-8") from error

    def message(self, number: int, decode: Callable[[bytes], _T]) -> _T:
        """Read a sub-message that must be present."""
        if not self._take_tag(number, _WIRE_BYTES):
            raise self._error(f"field {number} is missing")
        return decode(self._delimited())

    def messages(self, number: int, decode: Callable[[bytes], _T], max_count: int) -> tuple[_T, ...]:
        """Read a repeated field of sub-messages (or of bytes that may be empty), at most ``max_count`` of them."""
        items: list[_T] = []
        while self._take_tag(number, _WIRE_BYTES):
            if len(items) == max_count:
                raise self._error(f"field {number} has more than {max_count} elements")
            items.append(decode(self._delimited()))
        return tuple(items)

    def end(self) -> None:
        """Refuse anything that was not read."""
        if self._position != len(self._data):
            raise self._error(f"unknown, repeated or misplaced field at byte {self._position}")

    def _take_tag(self, number: int, wire_type: int) -> bool:
        tag = encode_varint(number << 3 | wire_type)
        if self._data.startswith(tag, self._position):
            self._position += len(tag)
            return True
        return False

    def _varint(self) -> int:
        value = 0
        for index, byte in enumerate(self._data[self._position : self._position + 10]):
            value |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                if (byte == 0 and index > 0) or value >= _UINT64_MODULUS:
                    raise self._error(f"varint at byte {self._position} is not minimal or too large")
                self._position += index + 1
                return value
        raise self._error(f"varint at byte {self._position} does not end")

    def _delimited(self) -> bytes:
        length = self._varint()
        start = self._position
        if length > len(self._data) - start:
            raise self._error(f"length {length} at byte {start} runs over the end")
        self._position = start + length
        return self._data[start : self._position]

    def _error(self, reason: str) -> DecodingError:
        return DecodingError(f"{self._what}: {reason}")
