"""Where a light client starts from (``docs/protocol/formats.md``, section 10.1)."""

from dataclasses import dataclass
from typing import Final

from piebridge.protocol_stack.codec import Reader, hash32, u8, u16, u32, u64
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.identifiers import Height

CHAIN_ID_LENGTH_MAX: Final = 50
"""Longest chain id that CometBFT accepts, characters."""


@dataclass(frozen=True, slots=True)
class CometBftCheckpoint:
    """A header of a CometBFT chain that governance vouches for, and how long it may be trusted."""

    trusting_period_seconds: int
    """Age of a trusted header from which it vouches for no other, u32; shorter than the chain's unbonding period."""
    clock_drift_seconds: int
    """How far a header's time may lie in the future, u16."""
    chain_id: str
    """Chain id of the CometBFT chain: 1 to 50 printable ASCII characters."""
    height: Height
    """Height of the header, at least 1."""
    header_hash: bytes
    """32 bytes."""
    time_ns: int
    """Time of the header, nanoseconds since the Unix epoch, u64."""
    app_hash: bytes
    """App hash in the header, 32 bytes."""
    next_validators_hash: bytes
    """Hash of the validator set of the next height, 32 bytes."""

    def encode(self) -> bytes:
        """Return the checkpoint's bytes.

        Raises:
            FormatError: a field is not encodable.
        """
        name = self.chain_id.encode("utf-8")
        _check(name, self.height)
        return (
            u32(self.trusting_period_seconds)
            + u16(self.clock_drift_seconds)
            + u8(len(name))
            + name
            + u64(self.height)
            + hash32(self.header_hash)
            + u64(self.time_ns)
            + hash32(self.app_hash)
            + hash32(self.next_validators_hash)
        )

    @classmethod
    def decode(cls, data: bytes) -> "CometBftCheckpoint":
        """Read a checkpoint.

        Raises:
            FormatError: the bytes are no checkpoint.
        """
        reader = Reader(data)
        period, drift, name = reader.u32(), reader.u16(), reader.take(reader.u8())
        height = reader.u64()
        _check(name, height)
        checkpoint = cls(
            period, drift, name.decode("ascii"), height, reader.hash(), reader.u64(), reader.hash(), reader.hash()
        )
        reader.finish()
        return checkpoint


def _check(name: bytes, height: int) -> None:
    if not 1 <= len(name) <= CHAIN_ID_LENGTH_MAX or not all(0x21 <= byte <= 0x7E for byte in name):
        raise FormatError(ErrorCode.OUT_OF_RANGE, "a chain id has 1 to 50 printable ASCII characters", actual=name)
    if height == 0:
        raise FormatError(ErrorCode.ZERO, "the height of a checkpoint is 0")
