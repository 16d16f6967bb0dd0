"""Blocks: their bytes, the parts they are gossiped in, and the hashes that a header commits to.

Source: ``types/block.go``, ``types/part_set.go``, ``types/evidence.go``, ``types/params.go``, ``types/results.go`` and
``state/state.go`` (``MedianTime``) of CometBFT v0.40.0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from piebridge.cometbft.commit import BlockId, BlockIdFlag, Commit, PartSetHeader
from piebridge.cometbft.encoding import Reader, bytes_field, message_field, varint_field
from piebridge.cometbft.header import Header
from piebridge.cometbft.validator_set import ValidatorSet
from piebridge.crypto import merkle
from piebridge.crypto.errors import VerificationError
from piebridge.crypto.hash import sha256

BLOCK_PART_SIZE = 65_536
"""Length of every part of a block but the last, bytes."""

MAX_BLOCK_SIZE = 104_857_600
"""Largest block that CometBFT knows, bytes."""

_MAX_ITEMS = MAX_BLOCK_SIZE // 2
"""Bound of transactions in a block: each costs two bytes at least."""

_MAX_HEADER_BYTES = 626
_MAX_OVERHEAD_FOR_BLOCK = 11
_MAX_COMMIT_OVERHEAD_BYTES = 94
_MAX_COMMIT_SIG_BYTES = 3_355 + 3
"""Largest encoded commit signature, with its tag and length: v0.40.0 reckons with ML-DSA-65 whatever the keys are."""


class EvidenceKind(IntEnum):
    """Kinds of evidence; the numbers are the fields of the oneof ``tendermint.types.Evidence``."""

    DUPLICATE_VOTE = 1
    """One validator voted twice in one round."""
    LIGHT_CLIENT_ATTACK = 2
    """A conflicting header was signed."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence against validators, kept as its bytes."""

    kind: EvidenceKind
    """What it shows."""
    body: bytes
    """Encoded ``DuplicateVoteEvidence`` or ``LightClientAttackEvidence``; this is what is hashed."""

    def encode(self) -> bytes:
        """Encode ``tendermint.types.Evidence``."""
        return message_field(self.kind, self.body)

    @classmethod
    def decode(cls, body: bytes) -> "Evidence":
        """Decode the canonical encoding (the evidence itself stays bytes).

        Raises:
            DecodingError: not canonical.
        """
        reader = Reader(body, "evidence")
        kind = EvidenceKind.LIGHT_CLIENT_ATTACK if body[:1] == b"\x12" else EvidenceKind.DUPLICATE_VOTE
        evidence = cls(kind, reader.message(kind, bytes))
        reader.end()
        return evidence


@dataclass(frozen=True, slots=True)
class Block:
    """A block."""

    header: Header
    """Its header."""
    txs: tuple[bytes, ...]
    """Transactions in order."""
    last_commit: Commit
    """Precommits that decided the block before; empty in the first block."""
    evidence: tuple[Evidence, ...] = field(default=())
    """Evidence of misbehaviour."""

    def encode(self) -> bytes:
        """Encode ``tendermint.types.Block``; these are the bytes that are cut into parts."""
        return (
            message_field(1, self.header.encode())
            + message_field(2, b"".join(message_field(1, tx) for tx in self.txs))
            + message_field(3, b"".join(message_field(1, item.encode()) for item in self.evidence))
            + message_field(4, self.last_commit.encode())
        )

    @classmethod
    def decode(cls, body: bytes) -> "Block":
        """Decode the canonical encoding; does not check the header against the rest, see :meth:`check_hashes`.

        Raises:
            DecodingError: not canonical.
        """
        reader = Reader(body, "block")
        header = reader.message(1, Header.decode)
        txs = reader.message(2, _decode_data)
        evidence = reader.message(3, _decode_evidence)
        last_commit = reader.message(4, Commit.decode)
        reader.end()
        return cls(header, txs, last_commit, evidence)

    def id(self) -> BlockId:
        """Block id: header hash and the root of the block's parts."""
        return BlockId(self.header.hash(), part_set_header(self.encode()))

    def check_hashes(self) -> None:
        """Check that the header commits to transactions, last commit and evidence.

        Raises:
            VerificationError: one of them is not what the header says.
        """
        for name, expected, actual in (
            ("data_hash", self.header.data_hash, data_hash(self.txs)),
            ("last_commit_hash", self.header.last_commit_hash, self.last_commit.hash()),
            ("evidence_hash", self.header.evidence_hash, evidence_hash(self.evidence)),
        ):
            if expected != actual:
                raise VerificationError(
                    f"block {self.header.height}: {name} of the header does not fit the block",
                    expected=expected,
                    actual=actual,
                )


def _decode_data(body: bytes) -> tuple[bytes, ...]:
    reader = Reader(body, "block data")
    txs = reader.messages(1, bytes, _MAX_ITEMS)
    reader.end()
    return txs


def _decode_evidence(body: bytes) -> tuple[Evidence, ...]:
    reader = Reader(body, "evidence list")
    evidence = reader.messages(1, Evidence.decode, _MAX_ITEMS)
    reader.end()
    return evidence


def transaction_hash(tx: bytes) -> bytes:
    """Hash of a transaction, 32 bytes: its name in the RPC and its leaf in :func:`data_hash`."""
    return sha256(tx)


def data_hash(txs: Sequence[bytes]) -> bytes:
    """Merkle root over the hashes of the transactions."""
    return merkle.root([transaction_hash(tx) for tx in txs])


def evidence_hash(evidence: Sequence[Evidence]) -> bytes:
    """Merkle root over the evidence, without the oneof around each."""
    return merkle.root([item.body for item in evidence])


def part_set_header(block_bytes: bytes) -> PartSetHeader:
    """Identify the parts of an encoded block."""
    parts = [block_bytes[start : start + BLOCK_PART_SIZE] for start in range(0, len(block_bytes), BLOCK_PART_SIZE)]
    return PartSetHeader(len(parts), merkle.root(parts))


def consensus_params_hash(block_max_bytes: int, block_max_gas: int) -> bytes:
    """Hash of the consensus parameters, 32 bytes; it covers these two alone (``HashedParams``)."""
    return sha256(varint_field(1, block_max_bytes) + varint_field(2, block_max_gas))


def encode_deterministic_result(code: int, data: bytes, gas_wanted: int, gas_used: int) -> bytes:
    """Encode the part of ``ExecTxResult`` that is hashed; log, info, events and codespace are not."""
    return varint_field(1, code) + bytes_field(2, data) + varint_field(5, gas_wanted) + varint_field(6, gas_used)


def results_hash(deterministic_results: Sequence[bytes]) -> bytes:
    """Merkle root that the *next* header carries as ``last_results_hash``."""
    return merkle.root(deterministic_results)


def max_data_bytes(block_max_bytes: int, validator_count: int) -> int:
    """Room for encoded transactions in a block without evidence, bytes.

    A bound for proposers, not a rule for verifiers (``MaxDataBytes``).
    """
    commit = _MAX_COMMIT_OVERHEAD_BYTES + validator_count * _MAX_COMMIT_SIG_BYTES
    return block_max_bytes - _MAX_OVERHEAD_FOR_BLOCK - _MAX_HEADER_BYTES - commit


def median_time_ns(commit: Commit, validators: ValidatorSet) -> int:
    """BFT time of the next block: the median of the commit's timestamps, weighted by voting power.

    Absent validators and votes for nil do not count (v0.40.0; earlier lines counted nil votes).

    Raises:
        VerificationError: nobody, or somebody outside the set, voted for the block.
    """
    weighted: list[tuple[int, int]] = []
    for signature in commit.signatures:
        if signature.flag is BlockIdFlag.COMMIT:
            validator = validators.by_address(signature.validator_address)
            if validator is None:
                raise VerificationError(f"0x{signature.validator_address.hex()} voted but is not in the set")
            weighted.append((signature.timestamp_ns, validator.voting_power))
    rest = sum(power for _, power in weighted) // 2
    for time_ns, power in sorted(weighted):
        if rest <= power:
            return time_ns
        rest -= power
    raise VerificationError(f"nobody voted for block {commit.height}")
