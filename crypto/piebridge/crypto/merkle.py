"""The Merkle tree of RFC 6962 section 2.1 with SHA-256, in the form in which CometBFT uses it.

Leaf ``H(0x00 || data)``, inner node ``H(0x01 || left || right)``, a list of n leaves is split at the largest power of
two below n, the empty list has the root ``H("")``. A single leaf is its own root.

The root does not commit to the number of leaves: one path can fit several totals. A verifier to which somebody has
*declared* a position or a total must therefore pass what was declared to :func:`verify_proof`, which binds it to the
proof.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from piebridge.crypto.errors import VerificationError
from piebridge.crypto.hash import HASH_LENGTH, sha256

EMPTY_ROOT = sha256(b"")
"""Root of the tree without leaves."""

TOTAL_MAX = 2**63 - 1
"""Largest number of leaves that CometBFT's ``Proof.total`` (int64) can name."""

_LEAF_PREFIX = b"\x00"
_INNER_PREFIX = b"\x01"


@dataclass(frozen=True, slots=True)
class Proof:
    """Inclusion proof of one leaf: CometBFT's ``crypto.Proof``. A claim until :func:`verify_proof` has accepted it."""

    index: int
    """Position of the leaf, from 0."""
    total: int
    """Number of leaves of the tree, at least 1."""
    leaf_hash: bytes
    """``H(0x00 || data)`` of the leaf, 32 bytes."""
    aunts: tuple[bytes, ...]
    """Sibling hashes from the leaf's own sibling up to the child of the root, 32 bytes each."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf that holds ``data``."""
    return sha256(_LEAF_PREFIX + data)


def inner_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of the inner node over two 32-byte child hashes."""
    return sha256(_INNER_PREFIX + left + right)


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the 32-byte root over the data of all leaves, in order."""
    if not leaves:
        return EMPTY_ROOT
    return _levels(leaves)[-1][0]


def prove(leaves: Sequence[bytes], index: int) -> Proof:
    """Return the proof of the leaf at ``index`` (from 0).

    Raises:
        IndexError: there is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(f"no leaf {index} in a tree of {len(leaves)} leaves")
    return _proof_from(_levels(leaves), index)


def prove_all(leaves: Sequence[bytes]) -> tuple[bytes, list[Proof]]:
    """Return the root and the proof of every leaf, hashing the tree once."""
    if not leaves:
        return EMPTY_ROOT, []
    levels = _levels(leaves)
    return levels[-1][0], [_proof_from(levels, index) for index in range(len(leaves))]


def verify_proof(proof: Proof, *, root: bytes, leaf: bytes, index: int | None = None, total: int | None = None) -> None:
    """Check that ``leaf`` is in the tree with this root, at the position that the proof names.

    Args:
        proof: the claim.
        root: root that the caller trusts, 32 bytes.
        leaf: data of the leaf (not its hash).
        index: position that was declared elsewhere (a part set, a transaction index); must be the proof's.
        total: number of leaves that was declared elsewhere; must be the proof's.

    Raises:
        VerificationError: any part of the claim does not hold, or the path has not exactly the length of its position.
    """
    if index is not None and proof.index != index:
        raise VerificationError(
            "Merkle proof is for another position than declared", expected=index, actual=proof.index
        )
    if total is not None and proof.total != total:
        raise VerificationError("Merkle proof is for another total than declared", expected=total, actual=proof.total)
    if proof.leaf_hash != leaf_hash(leaf):
        raise VerificationError("leaf hash of the Merkle proof is not that of the leaf")
    computed = root_from_proof(proof)
    if computed != root:
        raise VerificationError("Merkle proof leads to another root", expected=root, actual=computed)


def root_from_proof(proof: Proof) -> bytes:
    """Return the root to which the path of ``proof`` leads; it proves nothing until compared with a trusted root.

    Raises:
        VerificationError: position outside of the tree, hashes of a wrong length, path too short or too long.
    """
    if not 1 <= proof.total <= TOTAL_MAX:
        raise VerificationError("Merkle proof names an impossible number of leaves", actual=proof.total)
    if not 0 <= proof.index < proof.total:
        raise VerificationError(f"Merkle proof names leaf {proof.index} of {proof.total}")
    if len(proof.leaf_hash) != HASH_LENGTH or any(len(aunt) != HASH_LENGTH for aunt in proof.aunts):
        raise VerificationError("Merkle proof holds a hash that is not 32 bytes long")
    node, index, width, used = proof.leaf_hash, proof.index, proof.total, 0
    while width > 1:
        has_left, has_right = index & 1, index + 1 < width
        if has_left or has_right:
            if used == len(proof.aunts):
                raise VerificationError("Merkle path is too short for its position", actual=used)
            aunt = proof.aunts[used]
            node = inner_hash(aunt, node) if has_left else inner_hash(node, aunt)
            used += 1
        index, width = index >> 1, (width + 1) >> 1
    if used != len(proof.aunts):
        raise VerificationError("Merkle path is longer than its position", expected=used, actual=len(proof.aunts))
    return node


def _levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """Return the node hashes level by level, leaves first.

    Pairing neighbours and carrying a lone last node up unchanged gives the same tree as splitting at the largest power
    of two, without recursion.
    """
    level = [leaf_hash(leaf) for leaf in leaves]
    levels = [level]
    while len(level) > 1:
        above = [inner_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        if len(level) & 1:
            above.append(level[-1])
        levels.append(above)
        level = above
    return levels


def _proof_from(levels: list[list[bytes]], index: int) -> Proof:
    aunts = []
    position = index
    for level in levels[:-1]:
        sibling = position ^ 1
        if sibling < len(level):
            aunts.append(level[sibling])
        position >>= 1
    return Proof(index=index, total=len(levels[0]), leaf_hash=levels[0][index], aunts=tuple(aunts))
