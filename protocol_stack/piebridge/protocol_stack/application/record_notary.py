"""Bodies of the record notary: write a value under a key once, and tell what stands there."""

from dataclasses import dataclass
from typing import Final

from piebridge.protocol_stack.codec import Reader, hash32, one_of, u8, u32, u64
from piebridge.protocol_stack.errors import ErrorCode

RECORD_NOTARY: Final = 3
"""Application id in the local network."""
NOTARISE: Final = 1
"""Function: store the value unless the key is taken."""


@dataclass(frozen=True, slots=True)
class Notarisation:
    """Body of ``notarise``: 64 bytes."""

    key: bytes
    """What the record is about, 32 bytes."""
    value: bytes
    """What is recorded, 32 bytes."""

    def encode(self) -> bytes:
        """Return ``key || value``.

        Raises:
            FormatError: ``OUT_OF_RANGE``.
        """
        return hash32(self.key) + hash32(self.value)

    @classmethod
    def decode(cls, data: bytes) -> "Notarisation":
        """Read 64 bytes.

        Raises:
            FormatError: another length.
        """
        reader = Reader(data)
        body = cls(reader.hash(), reader.hash())
        reader.finish()
        return body


@dataclass(frozen=True, slots=True)
class NotarisationResult:
    """What ``notarise`` returns: 45 bytes."""

    existing: bool
    """Whether the key was taken before; then the value is the older one."""
    value: bytes
    """What stands under the key, 32 bytes."""
    source: int
    """Registration of the hub that the record came from."""
    time: int
    """When it was written, Unix seconds, u64."""

    def encode(self) -> bytes:
        """Return ``existing || value || source || time``.

        Raises:
            FormatError: ``OUT_OF_RANGE``.
        """
        return u8(self.existing) + hash32(self.value) + u32(self.source) + u64(self.time)

    @classmethod
    def decode(cls, data: bytes) -> "NotarisationResult":
        """Read 45 bytes.

        Raises:
            FormatError: another length, or the first byte is neither 0 nor 1.
        """
        reader = Reader(data)
        existing = one_of(reader.u8(), (0, 1), "answer of the record notary", ErrorCode.APPLICATION_BODY)
        result = cls(bool(existing), reader.hash(), reader.u32(), reader.u64())
        reader.finish()
        return result
