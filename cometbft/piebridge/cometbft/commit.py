"""Block ids, commits and their signatures.

Source: ``types/block.go`` and ``proto/tendermint/types/types.proto`` of CometBFT v0.40.0.
"""

from dataclasses import dataclass, field
from enum import IntEnum

from piebridge.cometbft.encoding import (
    ZERO_TIME_NS,
    Reader,
    bytes_field,
    decode_timestamp,
    encode_timestamp,
    message_field,
    varint_field,
)
from piebridge.cometbft.keys import ADDRESS_LENGTH, MAX_SIGNATURE_LENGTH
from piebridge.crypto import merkle
from piebridge.crypto.errors import DecodingError

HASH_LENGTH = 32

MAX_VALIDATORS = 256
"""Largest validator set that PieBridge reads. CometBFT allows 10 000; a hostile header must not buy that much work."""

MAX_INT64 = (1 << 63) - 1
MAX_INT32 = (1 << 31) - 1
MAX_UINT32 = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class PartSetHeader:
    """What identifies the parts into which a block is cut for gossip."""

    total: int = 0
    """Number of parts of 65 536 bytes, the last one shorter."""
    hash: bytes = b""
    """Merkle root of the parts, 32 bytes; empty in the nil block id."""

    def encode(self) -> bytes:
        """Encode ``tendermint.types.PartSetHeader``."""
        return varint_field(1, self.total) + bytes_field(2, self.hash)

    @classmethod
    def decode(cls, body: bytes) -> "PartSetHeader":
        """Decode the canonical encoding.

        Raises:
            DecodingError: not canonical.
        """
        reader = Reader(body, "part set header")
        header = cls(reader.ranged(1, 0, MAX_UINT32), reader.octets(2, (0, HASH_LENGTH)))
        reader.end()
        return header


@dataclass(frozen=True, slots=True)
class BlockId:
    """Header hash and part set header; all empty for nil and before the first block."""

    hash: bytes = b""
    """Hash of the block's header, 32 bytes; empty for nil."""
    part_set_header: PartSetHeader = field(default_factory=PartSetHeader)
    """Identity of the block's parts."""

    @property
    def is_complete(self) -> bool:
        """Whether it names a block, with header hash and parts."""
        parts = self.part_set_header
        return len(self.hash) == HASH_LENGTH and parts.total > 0 and len(parts.hash) == HASH_LENGTH

    @property
    def is_nil(self) -> bool:
        """Whether it names no block at all."""
        return self == BlockId()

    def encode(self) -> bytes:
        """Encode ``tendermint.types.BlockID``; the part set header is always written."""
        return bytes_field(1, self.hash) + message_field(2, self.part_set_header.encode())

    @classmethod
    def decode(cls, body: bytes) -> "BlockId":
        """Decode the canonical encoding.

        Raises:
            DecodingError: not canonical.
        """
        reader = Reader(body, "block id")
        block_id = cls(reader.octets(1, (0, HASH_LENGTH)), reader.message(2, PartSetHeader.decode))
        reader.end()
        return block_id


class BlockIdFlag(IntEnum):
    """What a validator did in the deciding round."""

    ABSENT = 1
    """No vote was received."""
    COMMIT = 2
    """Voted for the block."""
    NIL = 3
    """Voted for nil."""


@dataclass(frozen=True, slots=True)
class CommitSig:
    """One validator's precommit within a commit."""

    flag: BlockIdFlag
    """What it voted for."""
    validator_address: bytes = b""
    """20 bytes; empty when absent."""
    timestamp_ns: int = ZERO_TIME_NS
    """When it voted, nanoseconds since the Unix epoch; Go's zero time when absent."""
    signature: bytes = b""
    """64 or 65 bytes by key type; empty when absent."""

    @classmethod
    def absent(cls) -> "CommitSig":
        """The entry of a validator whose vote was not received."""
        return cls(BlockIdFlag.ABSENT)

    def encode(self) -> bytes:
        """Encode ``tendermint.types.CommitSig``; the timestamp is always written."""
        return (
            varint_field(1, self.flag)
            + bytes_field(2, self.validator_address)
            + message_field(3, encode_timestamp(self.timestamp_ns))
            + bytes_field(4, self.signature)
        )

    @classmethod
    def decode(cls, body: bytes) -> "CommitSig":
        """Decode the canonical encoding.

        Raises:
            DecodingError: not canonical, an absent vote that carries something, a present one that lacks something.
        """
        reader = Reader(body, "commit signature")
        signature = cls(
            BlockIdFlag(reader.ranged(1, BlockIdFlag.ABSENT, BlockIdFlag.NIL)),
            reader.octets(2, (0, ADDRESS_LENGTH)),
            reader.message(3, decode_timestamp),
            reader.octets(4, range(MAX_SIGNATURE_LENGTH + 1)),
        )
        reader.end()
        if signature.flag is BlockIdFlag.ABSENT:
            if signature != cls.absent():
                raise DecodingError("commit signature: an absent vote carries address, time or signature")
        elif not signature.validator_address or not signature.signature:
            raise DecodingError("commit signature: a present vote lacks address or signature")
        return signature


@dataclass(frozen=True, slots=True)
class Commit:
    """The precommits that decided a block, one entry for each validator in set order."""

    height: int = 0
    """Height of the decided block; 0 in the first block's empty last commit."""
    round: int = 0
    """Round of the decision."""
    block_id: BlockId = field(default_factory=BlockId)
    """The decided block."""
    signatures: tuple[CommitSig, ...] = ()
    """One entry for each validator, in set order."""

    def hash(self) -> bytes:
        """Hash that the next header carries as ``last_commit_hash``: Merkle root of the encoded signatures."""
        return merkle.root([signature.encode() for signature in self.signatures])

    def encode(self) -> bytes:
        """Encode ``tendermint.types.Commit``."""
        return (
            varint_field(1, self.height)
            + varint_field(2, self.round)
            + message_field(3, self.block_id.encode())
            + b"".join(message_field(4, signature.encode()) for signature in self.signatures)
        )

    @classmethod
    def decode(cls, body: bytes) -> "Commit":
        """Decode the canonical encoding.

        Raises:
            DecodingError: not canonical, or more than :data:`MAX_VALIDATORS` signatures.
        """
        reader = Reader(body, "commit")
        commit = cls(
            reader.ranged(1, 0, MAX_INT64),
            reader.ranged(2, 0, MAX_INT32),
            reader.message(3, BlockId.decode),
            reader.messages(4, CommitSig.decode, MAX_VALIDATORS),
        )
        reader.end()
        return commit
