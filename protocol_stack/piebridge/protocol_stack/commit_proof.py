"""The proof of endorsement method 2: a relay chain's own commit, and the path from its header to an outbox head.

The app hash of a relay chain is a simple map of the two stores ``endorsed`` and ``state``; the header of the next
block carries it, and more than 2/3 of the validators sign that header. What a contract needs of header, state and votes
is here, no more: fields that it does not look at come as nodes of the header's tree.

Source: ``docs/protocol/formats.md``, sections 8 and 12.1; ``types/block.go`` and ``types/canonical.go`` of CometBFT
v0.40.0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from piebridge.cometbft.commit import BlockId, BlockIdFlag, PartSetHeader
from piebridge.cometbft.encoding import MAX_TIME_NS, ZERO_TIME_NS, bytes_field, decode_timestamp, encode_timestamp
from piebridge.cometbft.verification import SignedHeader
from piebridge.cometbft.vote import VoteType, vote_sign_bytes
from piebridge.crypto import merkle
from piebridge.crypto.errors import DecodingError, VerificationError
from piebridge.crypto.hash import keccak256, sha256
from piebridge.crypto.quorum import MEMBERS_MAX
from piebridge.crypto.signature import GROUP_ORDER, SIGNATURE_LENGTH, recover_address
from piebridge.crypto.simple_map import ValueOperator
from piebridge.protocol_stack.codec import HASH_LENGTH, Reader, hash32, in_range, u8, u16, u32, u64
from piebridge.protocol_stack.commitment import endorsed_head_key
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.identifiers import DomainId, EntryNumber, RegistrationNumber, RelayId

HEADER_NODES = 6
"""Nodes of a header's tree that stand for the fields besides validators hash and app hash."""
DEPTH_MAX = 32
"""Deepest path in the store ``endorsed``."""

_STORE = b"endorsed"
_VALIDATORS_HASH_FIELD, _APP_HASH_FIELD = 7, 10
_MAX_INT63 = (1 << 63) - 1
_MAX_INT31 = (1 << 31) - 1
_RECOVERY_OFFSET = 27


@dataclass(frozen=True, slots=True)
class CommitVote:
    """One validator's precommit. Every validator has a time of its own, so every message differs."""

    member: int
    """Index in the set, from 0."""
    timestamp_ns: int
    """Time of the vote, nanoseconds since the Unix epoch."""
    signature: bytes
    """65 bytes as CometBFT writes them, v 0 or 1."""


@dataclass(frozen=True, slots=True)
class CommitProof:
    """Section 8, method 2."""

    height: int
    """Height of the block that was decided; its header proves the state of the block before."""
    round: int
    """Round of the decision."""
    parts_total: int
    """Number of parts of the block."""
    parts_hash: bytes
    """Root of the parts, 32 bytes."""
    header_nodes: tuple[bytes, ...]
    """Leaf 6, nodes 4-5 and 0-3, leaf 11, nodes 8-9 and 12-13 of the header's tree, 32 bytes each."""
    state_leaf: bytes
    """Leaf hash of the store ``state`` in the app hash, 32 bytes."""
    path: tuple[tuple[bool, bytes], ...]
    """From the outbox head to the root of ``endorsed``: whether the sibling is the left one, and its hash."""
    votes: tuple[CommitVote, ...]
    """k votes in ascending order of their members."""

    def encode(self) -> bytes:
        """Return length and content.

        Raises:
            FormatError: a field does not fit.
        """
        if len(self.header_nodes) != HEADER_NODES:
            raise FormatError(
                ErrorCode.COUNT, "nodes of a header", expected=HEADER_NODES, actual=len(self.header_nodes)
            )
        in_range(self.height, 1, _MAX_INT63, "height of a commit", ErrorCode.OUT_OF_RANGE)
        in_range(self.round, 0, _MAX_INT31, "round of a commit", ErrorCode.OUT_OF_RANGE)
        in_range(self.parts_total, 1, (1 << 32) - 1, "parts of a block", ErrorCode.OUT_OF_RANGE)
        in_range(len(self.path), 0, DEPTH_MAX, "depth of a path")
        members = [vote.member for vote in self.votes]
        if not members or members != sorted(set(members)) or members[-1] >= MEMBERS_MAX:
            raise FormatError(ErrorCode.SIGNER_BITMAP, "votes are not of ascending members", actual=members)
        content = (
            u64(self.height)
            + u32(self.round)
            + u32(self.parts_total)
            + hash32(self.parts_hash)
            + b"".join(map(hash32, self.header_nodes))
            + hash32(self.state_leaf)
            + u8(len(self.path))
            + u32(sum(left << i for i, (left, _) in enumerate(self.path)))
            + b"".join(hash32(sibling) for _, sibling in self.path)
            + u32(sum(1 << member for member in members))
            + b"".join(_encode_vote(vote) for vote in self.votes)
        )
        return u16(len(content)) + content

    @classmethod
    def read(cls, reader: Reader) -> "CommitProof":
        """Take one proof.

        Raises:
            FormatError: the bytes are no proof.
        """
        inner = Reader(reader.take(reader.u16()))
        height, round_ = inner.positive_u64("height of a commit"), inner.u32()
        in_range(height, 1, _MAX_INT63, "height of a commit", ErrorCode.OUT_OF_RANGE)
        in_range(round_, 0, _MAX_INT31, "round of a commit", ErrorCode.OUT_OF_RANGE)
        parts_total, parts_hash = inner.positive_u32("parts of a block"), inner.hash()
        nodes, state_leaf = inner.many(HEADER_NODES, inner.hash), inner.hash()
        depth, sides = in_range(inner.u8(), 0, DEPTH_MAX, "depth of a path"), inner.u32()
        if sides >> depth:
            raise FormatError(ErrorCode.OUT_OF_RANGE, "sides beyond the path", actual=sides)
        path = tuple((bool(sides >> i & 1), inner.hash()) for i in range(depth))
        bitmap = inner.u32()
        votes = tuple(_read_vote(inner, member) for member in range(MEMBERS_MAX) if bitmap >> member & 1)
        if not votes:
            raise FormatError(ErrorCode.SIGNER_BITMAP, "a commit without votes")
        inner.finish()
        return cls(height, round_, parts_total, parts_hash, nodes, state_leaf, path, votes)


def commit_proof(
    signed: SignedHeader, members: Sequence[bytes], threshold: int, head: ValueOperator, store: ValueOperator
) -> CommitProof:
    """Build the proof that the state before ``signed`` holds an outbox head.

    Args:
        signed: header and commit of the block after the one whose state is proven.
        members: validator addresses in set order.
        threshold: votes that are taken, the first ones in set order.
        head: proof of the head in the store ``endorsed``.
        store: proof of that store in the app hash.

    Raises:
        VerificationError: fewer votes for the block than needed, a vote without its own signature, or a state of other
            stores than a relay chain's two.
    """
    if store.proof.total != 2 or store.proof.index != 0 or len(store.proof.aunts) != 1:
        raise VerificationError("the app hash is not that of the two stores of a relay chain", actual=store.proof)
    commit, header = signed.commit, signed.header
    votes: list[CommitVote] = []
    for index, entry in enumerate(commit.signatures):
        if entry.flag is not BlockIdFlag.COMMIT or len(votes) == threshold:
            continue
        if index >= len(members) or entry.validator_address != members[index]:
            raise VerificationError("the commit is of another validator set", actual=entry.validator_address)
        votes.append(CommitVote(index, entry.timestamp_ns, entry.signature))
    if len(votes) < threshold:
        raise VerificationError("votes of a commit", expected=threshold, actual=len(votes))
    parts = commit.block_id.part_set_header
    return CommitProof(
        commit.height,
        commit.round,
        parts.total,
        parts.hash,
        _header_nodes(header.field_bytes()),
        store.proof.aunts[0],
        _path(head.proof),
        tuple(votes),
    )


def proven_block_hash(
    proof: CommitProof, validators_hash: bytes, destination: RegistrationNumber, number: EntryNumber, value: bytes
) -> bytes:
    """Return the hash of the header that the proof shows if the outbox toward ``destination`` ends in this head."""
    node = merkle.leaf_hash(_pair(endorsed_head_key(destination), u64(number) + hash32(value)))
    for is_left, sibling in proof.path:
        node = merkle.inner_hash(sibling, node) if is_left else merkle.inner_hash(node, sibling)
    app_hash = merkle.inner_hash(merkle.leaf_hash(_pair(_STORE, node)), proof.state_leaf)
    leaf_6, nodes_4_5, nodes_0_3, leaf_11, nodes_8_9, nodes_12_13 = proof.header_nodes
    left = merkle.inner_hash(leaf_6, merkle.leaf_hash(bytes_field(1, validators_hash)))
    left = merkle.inner_hash(nodes_0_3, merkle.inner_hash(nodes_4_5, left))
    right = merkle.inner_hash(merkle.leaf_hash(bytes_field(1, app_hash)), leaf_11)
    right = merkle.inner_hash(merkle.inner_hash(nodes_8_9, right), nodes_12_13)
    return merkle.inner_hash(left, right)


def verify_commit_proof(
    proof: CommitProof, members: Sequence[bytes], threshold: int, chain_id: str, block_hash: bytes
) -> None:
    """Check that exactly ``threshold`` members have signed the block.

    Raises:
        VerificationError: they have not.
    """
    if len(proof.votes) != threshold:
        raise VerificationError("votes of a commit", expected=threshold, actual=len(proof.votes))
    block_id = BlockId(block_hash, PartSetHeader(proof.parts_total, proof.parts_hash))
    for vote in proof.votes:
        message = vote_sign_bytes(chain_id, VoteType.PRECOMMIT, proof.height, proof.round, block_id, vote.timestamp_ns)
        signature = vote.signature[:-1] + bytes([vote.signature[-1] + _RECOVERY_OFFSET])
        signer = recover_address(keccak256(message), signature)
        if vote.member >= len(members) or signer != members[vote.member]:
            raise VerificationError("a vote is not of the member that it names", actual=vote.member)


def relay_chain_id(domain: DomainId, relay: RelayId) -> str:
    """Return the CometBFT chain id of a relay chain (formats, section 13)."""
    return f"piebridge-{domain}-{relay}"


def _pair(key: bytes, value: bytes) -> bytes:
    return bytes([len(key)]) + key + bytes([HASH_LENGTH]) + sha256(value)


def _header_nodes(fields: Sequence[bytes]) -> tuple[bytes, ...]:
    leaves = [merkle.leaf_hash(field) for field in fields]

    def over(first: int, last: int) -> bytes:
        nodes = leaves[first : last + 1]
        while len(nodes) > 1:
            nodes = [merkle.inner_hash(nodes[i], nodes[i + 1]) for i in range(0, len(nodes), 2)]
        return nodes[0]

    spans = ((_VALIDATORS_HASH_FIELD - 1, 6), (4, 5), (0, 3), (_APP_HASH_FIELD + 1, 11), (8, 9), (12, 13))
    return tuple(over(first, last) for first, last in spans)


def _path(proof: merkle.Proof) -> tuple[tuple[bool, bytes], ...]:
    sides, index, width = [], proof.index, proof.total
    while width > 1:
        if index & 1 or index + 1 < width:
            sides.append(bool(index & 1))
        index, width = index >> 1, (width + 1) >> 1
    if not 0 <= proof.index < proof.total or len(sides) != len(proof.aunts):
        raise VerificationError("path of an outbox head", expected=len(sides), actual=len(proof.aunts))
    return tuple(zip(sides, proof.aunts, strict=True))


def _encode_vote(vote: CommitVote) -> bytes:
    time = encode_timestamp(in_range(vote.timestamp_ns, ZERO_TIME_NS, MAX_TIME_NS, "time of a vote"))
    return u8(len(time)) + time + _checked(vote.signature)


def _read_vote(reader: Reader, member: int) -> CommitVote:
    try:
        timestamp_ns = decode_timestamp(reader.take(reader.u8()))
    except FormatError:
        raise
    except DecodingError as error:
        raise FormatError(ErrorCode.OUT_OF_RANGE, f"time of a vote: {error}") from error
    return CommitVote(member, timestamp_ns, _checked(reader.take(SIGNATURE_LENGTH)))


def _checked(signature: bytes) -> bytes:
    """Return a ``secp256k1eth`` signature that has its one form: low s, v 0 or 1."""
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    valid = len(signature) == SIGNATURE_LENGTH and signature[64] < 2
    if not valid or not 1 <= r < GROUP_ORDER or not 1 <= s <= GROUP_ORDER // 2:
        raise FormatError(ErrorCode.SIGNATURE, "r, s or v of a vote's signature is out of bounds", actual=signature)
    return signature
