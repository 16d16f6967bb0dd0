"""Block headers: their fourteen fields, bytes and hash.

Source: ``types/block.go`` (``Header.Hash``) and ``proto/tendermint/types/types.proto`` of CometBFT v0.40.0.
"""

from dataclasses import dataclass

from piebridge.cometbft.commit import HASH_LENGTH, MAX_INT64, BlockId
from piebridge.cometbft.encoding import (
    Reader,
    bytes_field,
    decode_timestamp,
    encode_timestamp,
    message_field,
    string_field,
    varint_field,
)
from piebridge.cometbft.keys import ADDRESS_LENGTH
from piebridge.crypto import merkle

BLOCK_PROTOCOL_VERSION = 11
"""``version.block`` of CometBFT v0.34 to v0.40."""

MAX_CHAIN_ID_LENGTH = 50
MAX_APP_HASH_LENGTH = 64
_HASH_LENGTHS = (0, HASH_LENGTH)


@dataclass(frozen=True, slots=True)
class Version:
    """Protocol versions of a block."""

    block: int = BLOCK_PROTOCOL_VERSION
    """Version of all block data structures."""
    app: int = 0
    """Version of the application, from ABCI Info."""

    def encode(self) -> bytes:
        """Encode ``tendermint.version.Consensus``."""
        return varint_field(1, self.block) + varint_field(2, self.app)

    @classmethod
    def decode(cls, body: bytes) -> "Version":
        """Decode the canonical encoding.

        Raises:
            DecodingError: not canonical.
        """
        reader = Reader(body, "version")
        version = cls(reader.uint64(1), reader.uint64(2))
        reader.end()
        return version


@dataclass(frozen=True, slots=True)
class Header:
    """A block header."""

    version: Version
    """Protocol versions."""
    chain_id: str
    """At most 50 characters."""
    height: int
    """Height of the block, from 1."""
    time_ns: int
    """BFT time of the block, nanoseconds since the Unix epoch."""
    last_block_id: BlockId
    """The block before; nil in the first block."""
    last_commit_hash: bytes
    """Commits to the precommits of the block before, 32 bytes."""
    data_hash: bytes
    """Merkle root of the SHA-256 hashes of the transactions, 32 bytes."""
    validators_hash: bytes
    """Commits to the validators of this height, 32 bytes."""
    next_validators_hash: bytes
    """Commits to the validators of the next height, 32 bytes."""
    consensus_hash: bytes
    """Commits to the consensus parameters, 32 bytes."""
    app_hash: bytes
    """State of the application after the block *before*, up to 64 bytes."""
    last_results_hash: bytes
    """Merkle root of the transaction results of the block before, 32 bytes."""
    evidence_hash: bytes
    """Commits to the evidence in this block, 32 bytes."""
    proposer_address: bytes
    """Address of the proposer, 20 bytes."""

    def hash(self) -> bytes:
        """Block hash, 32 bytes: Merkle root over the fourteen fields, each encoded by itself."""
        return merkle.root(self.field_bytes())

    def field_bytes(self) -> list[bytes]:
        """The fourteen fields, each encoded by itself: the leaves of the tree whose root is the hash."""
        return [
            self.version.encode(),
            string_field(1, self.chain_id),
            varint_field(1, self.height),
            encode_timestamp(self.time_ns),
            self.last_block_id.encode(),
            bytes_field(1, self.last_commit_hash),
            bytes_field(1, self.data_hash),
            bytes_field(1, self.validators_hash),
            bytes_field(1, self.next_validators_hash),
            bytes_field(1, self.consensus_hash),
            bytes_field(1, self.app_hash),
            bytes_field(1, self.last_results_hash),
            bytes_field(1, self.evidence_hash),
            bytes_field(1, self.proposer_address),
        ]

    def encode(self) -> bytes:
        """Encode ``tendermint.types.Header``."""
        return (
            message_field(1, self.version.encode())
            + string_field(2, self.chain_id)
            + varint_field(3, self.height)
            + message_field(4, encode_timestamp(self.time_ns))
            + message_field(5, self.last_block_id.encode())
            + bytes_field(6, self.last_commit_hash)
            + bytes_field(7, self.data_hash)
            + bytes_field(8, self.validators_hash)
            + bytes_field(9, self.next_validators_hash)
            + bytes_field(10, self.consensus_hash)
            + bytes_field(11, self.app_hash)
            + bytes_field(12, self.last_results_hash)
            + bytes_field(13, self.evidence_hash)
            + bytes_field(14, self.proposer_address)
        )

    @classmethod
    def decode(cls, body: bytes) -> "Header":
        """Decode the canonical encoding.

        Raises:
            DecodingError: not canonical, or a field of impossible length.
        """
        reader = Reader(body, "header")
        header = cls(
            version=reader.message(1, Version.decode),
            chain_id=reader.string(2, MAX_CHAIN_ID_LENGTH),
            height=reader.ranged(3, 1, MAX_INT64),
            time_ns=reader.message(4, decode_timestamp),
            last_block_id=reader.message(5, BlockId.decode),
            last_commit_hash=reader.octets(6, _HASH_LENGTHS),
            data_hash=reader.octets(7, _HASH_LENGTHS),
            validators_hash=reader.octets(8, (HASH_LENGTH,)),
            next_validators_hash=reader.octets(9, (HASH_LENGTH,)),
            consensus_hash=reader.octets(10, _HASH_LENGTHS),
            app_hash=reader.octets(11, range(MAX_APP_HASH_LENGTH + 1)),
            last_results_hash=reader.octets(12, _HASH_LENGTHS),
            evidence_hash=reader.octets(13, _HASH_LENGTHS),
            proposer_address=reader.octets(14, (ADDRESS_LENGTH,)),
        )
        reader.end()
        return header
