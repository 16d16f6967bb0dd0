"""Strict reading and writing of fixed-width big-endian fields.

:class:`Reader` never returns fewer bytes than asked for and knows whether anything is left over. The functions
``u8`` ... ``u128`` are its counterparts: they refuse a value that does not fit, so nothing is encoded shortened.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from piebridge.protocol_stack.errors import ErrorCode, FormatError

ADDRESS_LENGTH: Final = 20
"""Length of an EVM address, bytes."""
HASH_LENGTH: Final = 32
"""Length of a hash, bytes."""

ZERO_ADDRESS: Final = bytes(ADDRESS_LENGTH)
ZERO_HASH: Final = bytes(HASH_LENGTH)

U8_MAX: Final = (1 << 8) - 1
U16_MAX: Final = (1 << 16) - 1
U32_MAX: Final = (1 << 32) - 1
U40_MAX: Final = (1 << 40) - 1
U64_MAX: Final = (1 << 64) - 1

T = TypeVar("T")


class Reader:
    """Takes fields off the front of immutable bytes.

    Every method raises :class:`FormatError` with ``TRUNCATED`` where the bytes end too early.
    """

    __slots__ = ("data", "position")

    def __init__(self, data: bytes, position: int = 0) -> None:
        """Start reading ``data`` at ``position``, an offset in bytes."""
        self.data: Final = data
        self.position = position

    @property
    def remaining(self) -> int:
        """Number of bytes that are not read yet."""
        return len(self.data) - self.position

    def take(self, length: int) -> bytes:
        """Return the next ``length`` bytes."""
        end = self.position + length
        if end > len(self.data):
            raise FormatError(
                ErrorCode.TRUNCATED,
                f"the bytes end inside a field at offset {self.position}",
                expected=length,
                actual=self.remaining,
            )
        field = self.data[self.position : end]
        self.position = end
        return field

    def peek(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes that begin ``offset`` bytes further on, without moving."""
        position = self.position
        try:
            self.take(offset)
            return self.take(length)
        finally:
            self.position = position

    def rest(self) -> bytes:
        """Return all bytes that are left."""
        return self.take(self.remaining)

    def unsigned(self, length: int) -> int:
        """Return the next ``length`` bytes as a big-endian unsigned integer."""
        return int.from_bytes(self.take(length), "big")

    def u8(self) -> int:
        """Return the next byte."""
        return self.unsigned(1)

    def u16(self) -> int:
        """Return the next 2 bytes as an integer."""
        return self.unsigned(2)

    def u32(self) -> int:
        """Return the next 4 bytes as an integer."""
        return self.unsigned(4)

    def u64(self) -> int:
        """Return the next 8 bytes as an integer."""
        return self.unsigned(8)

    def u128(self) -> int:
        """Return the next 16 bytes as an integer."""
        return self.unsigned(16)

    def positive_u16(self, name: str) -> int:
        """Return the next 2 bytes as an integer that is not 0; ``name`` is for the error."""
        return nonzero(self.u16(), name)

    def positive_u32(self, name: str) -> int:
        """Return the next 4 bytes as an integer that is not 0; ``name`` is for the error."""
        return nonzero(self.u32(), name)

    def positive_u64(self, name: str) -> int:
        """Return the next 8 bytes as an integer that is not 0; ``name`` is for the error."""
        return nonzero(self.u64(), name)

    def address(self) -> bytes:
        """Return the next 20 bytes."""
        return self.take(ADDRESS_LENGTH)

    def hash(self) -> bytes:
        """Return the next 32 bytes."""
        return self.take(HASH_LENGTH)

    def bytes16(self) -> bytes:
        """Return bytes behind a 2-byte length."""
        return self.take(self.u16())

    def bytes32(self) -> bytes:
        """Return bytes behind a 4-byte length."""
        return self.take(self.u32())

    def many(self, count: int, read: Callable[[], T]) -> tuple[T, ...]:
        """Return ``count`` items, each taken by ``read``."""
        return tuple(read() for _ in range(count))

    def finish(self) -> None:
        """Check that nothing is left over.

        Raises:
            FormatError: ``TRAILING_BYTES``.
        """
        if self.position != len(self.data):
            raise FormatError(ErrorCode.TRAILING_BYTES, "bytes are left over", expected=0, actual=self.remaining)


def decode_whole(read: Callable[[Reader], T], data: bytes) -> T:
    """Read bytes that hold nothing but one thing.

    Args:
        read: takes the thing off the front of a reader.
        data: the bytes.

    Raises:
        FormatError: whatever ``read`` raises, or ``TRAILING_BYTES``.
    """
    reader = Reader(data)
    decoded = read(reader)
    reader.finish()
    return decoded


def unsigned(value: int, length: int) -> bytes:
    """Return ``value`` as ``length`` big-endian bytes.

    Raises:
        FormatError: ``OUT_OF_RANGE``.
    """
    try:
        return value.to_bytes(length, "big")
    except OverflowError:
        raise FormatError(
            ErrorCode.OUT_OF_RANGE, f"a value does not fit {8 * length} bits without sign", actual=value
        ) from None


def u8(value: int) -> bytes:
    """Return ``value`` as 1 byte."""
    return unsigned(value, 1)


def u16(value: int) -> bytes:
    """Return ``value`` as 2 big-endian bytes."""
    return unsigned(value, 2)


def u32(value: int) -> bytes:
    """Return ``value`` as 4 big-endian bytes."""
    return unsigned(value, 4)


def u64(value: int) -> bytes:
    """Return ``value`` as 8 big-endian bytes."""
    return unsigned(value, 8)


def u128(value: int) -> bytes:
    """Return ``value`` as 16 big-endian bytes."""
    return unsigned(value, 16)


def fixed(value: bytes, length: int) -> bytes:
    """Return ``value`` after checking that it has ``length`` bytes.

    Raises:
        FormatError: ``OUT_OF_RANGE``.
    """
    if len(value) != length:
        raise FormatError(ErrorCode.OUT_OF_RANGE, "a field has another length", expected=length, actual=len(value))
    return value


def address(value: bytes) -> bytes:
    """Return ``value`` after checking that it has 20 bytes."""
    return fixed(value, ADDRESS_LENGTH)


def hash32(value: bytes) -> bytes:
    """Return ``value`` after checking that it has 32 bytes."""
    return fixed(value, HASH_LENGTH)


def bytes16(value: bytes) -> bytes:
    """Return ``value`` behind its length in 2 bytes."""
    return u16(len(value)) + value


def bytes32(value: bytes) -> bytes:
    """Return ``value`` behind its length in 4 bytes."""
    return u32(len(value)) + value


def nonzero(value: int, name: str) -> int:
    """Return ``value`` after checking that it is not 0.

    Raises:
        FormatError: ``ZERO``.
    """
    if value == 0:
        raise FormatError(ErrorCode.ZERO, f"{name} is 0, numbers of this kind start at 1")
    return value


def one_of(value: int, accepted: Sequence[int] | frozenset[int], name: str, code: ErrorCode) -> int:
    """Return ``value`` after checking that it is among the ``accepted``.

    Raises:
        FormatError: ``code``.
    """
    if value not in accepted:
        raise FormatError(code, f"unknown {name}", expected=sorted(accepted), actual=value)
    return value


def in_range(value: int, lowest: int, highest: int, name: str, code: ErrorCode = ErrorCode.COUNT) -> int:
    """Return ``value`` after checking ``lowest <= value <= highest``.

    Raises:
        FormatError: ``code``.
    """
    if not lowest <= value <= highest:
        raise FormatError(code, f"{name} is out of bounds", expected=(lowest, highest), actual=value)
    return value
