"""Compact sparse Merkle tree: an authenticated map whose proofs show presence and absence.

The position of a pair is the 256-bit path ``sha256(key)``, most significant bit first, 0 to the left. With SHA-256 as
H:

* empty subtree: 32 zero bytes;
* subtree with one pair: leaf ``H(0x00 || path || sha256(value))``, however high it stands (that is what *compact*
means);
* subtree with more pairs: inner node ``H(0x01 || left || right)``.

The shape, and so the root, depends on the pairs alone, not on the order in which they came. Leaves and inner nodes are
hashed with different prefixes and one fixed length each, so neither can pass as the other.

Trees are immutable and share what they have in common: an application keeps the tree of the last commit, derives a
working one, and throws it away to roll back. :class:`SparseMerkleTree` holds hashes of values only; the values are the
store's.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256 as _sha256
from typing import Final, final

from piebridge.crypto.errors import DecodingError, VerificationError
from piebridge.crypto.hash import HASH_LENGTH, sha256

EMPTY_ROOT: Final = bytes(HASH_LENGTH)
"""Hash of an empty subtree, and root of the tree without pairs."""

PATH_BITS: Final = 8 * HASH_LENGTH
"""Length of a path, bits."""

_LEAF_PREFIX: Final = b"\x00"
_INNER_PREFIX: Final = b"\x01"


@dataclass(frozen=True, slots=True)
class LeafOnPath:
    """Leaf of another key that stands where the path of an absent key ends."""

    path: bytes
    """``sha256(key)`` of that other key, 32 bytes."""
    value_hash: bytes
    """``sha256(value)`` of that other key, 32 bytes."""


@dataclass(frozen=True, slots=True)
class SparseMerkleProof:
    """Proof of what stands under one key. A claim until one of the two ``verify`` functions has accepted it."""

    siblings: tuple[bytes, ...]
    """Hashes beside the path from the root downwards, 32 bytes each; zero for an empty sibling."""
    other_leaf: LeafOnPath | None = None
    """Where another leaf proves absence, that leaf; None for presence, and for absence by an empty subtree."""

    def encode(self) -> bytes:
        """Return ``flag (1) || [other path (32) || other value hash (32)] || count (2, big endian) || siblings``.

        The flag is 1 if another leaf follows and 0 otherwise.
        """
        other = b"\x00" if self.other_leaf is None else b"\x01" + self.other_leaf.path + self.other_leaf.value_hash
        return other + len(self.siblings).to_bytes(2, "big") + b"".join(self.siblings)

    @classmethod
    def decode(cls, data: bytes) -> "SparseMerkleProof":
        """Read the encoding.

        Raises:
            DecodingError: unknown flag, wrong length, more than 256 siblings.
        """
        if not data or data[0] > 1:
            raise DecodingError("sparse Merkle proof begins with flag 0 or 1", actual=data[:1])
        start = 1 + 2 * HASH_LENGTH * data[0]
        count = int.from_bytes(data[start : start + 2], "big")
        if count > PATH_BITS:
            raise DecodingError("sparse Merkle proof is deeper than a path", actual=count)
        if len(data) != start + 2 + count * HASH_LENGTH:
            raise DecodingError("sparse Merkle proof has the wrong length", actual=len(data))
        return cls(
            siblings=tuple(data[i : i + HASH_LENGTH] for i in range(start + 2, len(data), HASH_LENGTH)),
            other_leaf=LeafOnPath(path=data[1:33], value_hash=data[33:65]) if data[0] else None,
        )


@final
class _Leaf:
    """Subtree with one pair."""

    __slots__ = ("hash", "path", "value_hash")

    def __init__(self, path: bytes, value_hash: bytes) -> None:
        self.path = path
        self.value_hash = value_hash
        self.hash: bytes = _sha256(_LEAF_PREFIX + path + value_hash).digest()


@final
class _Inner:
    """Subtree with two pairs or more."""

    __slots__ = ("hash", "left", "right")

    def __init__(self, left: "_Node", right: "_Node") -> None:
        self.left = left
        self.right = right
        self.hash: bytes = _sha256(
            _INNER_PREFIX + (EMPTY_ROOT if left is None else left.hash) + (EMPTY_ROOT if right is None else right.hash)
        ).digest()


_Node = _Leaf | _Inner | None
"""A subtree; None is the empty one."""


@final
class SparseMerkleTree:
    """One immutable version of the map. :meth:`update` derives the next one."""

    __slots__ = ("_root_node",)

    def __init__(self) -> None:
        """Make the tree without pairs."""
        self._root_node: _Node = None

    @property
    def root(self) -> bytes:
        """Root of this version, 32 bytes."""
        return _hash_of(self._root_node)

    def update(self, changes: Mapping[bytes, bytes | None]) -> "SparseMerkleTree":
        """Return the version with these changes; this one stays as it is.

        Args:
            changes: new value by key; None deletes the key, which need not be there. An empty value is a value.
        """
        return self.update_hashed(
            {sha256(key): None if value is None else sha256(value) for key, value in changes.items()}
        )

    def update_hashed(self, changes: Mapping[bytes, bytes | None]) -> "SparseMerkleTree":
        """Return the version with these changes: ``sha256(value)``, or None to delete, by ``sha256(key)``.

        An application that starts again rebuilds its tree so from stored hashes, 32 bytes each, without the values.
        """
        ordered = sorted(changes.items())
        batch = _Batch([path for path, _ in ordered], [value for _, value in ordered])
        changed = SparseMerkleTree()
        changed._root_node = batch.apply(self._root_node, 0, len(ordered), 0, 0)
        return changed

    def prove(self, key: bytes) -> SparseMerkleProof:
        """Return the proof that ``key`` has its value, or that it is absent."""
        path = sha256(key)
        node = self._root_node
        siblings: list[bytes] = []
        for bit in _bits(path):
            if not isinstance(node, _Inner):
                break
            node, sibling = (node.right, node.left) if bit else (node.left, node.right)
            siblings.append(_hash_of(sibling))
        assert not isinstance(node, _Inner), "a path of 256 bits ends in a leaf or an empty subtree"
        other = None if node is None or node.path == path else LeafOnPath(node.path, node.value_hash)
        return SparseMerkleProof(tuple(siblings), other)


def verify_presence(proof: SparseMerkleProof, *, root: bytes, key: bytes, value: bytes) -> None:
    """Check that the map with this root has ``value`` under ``key``.

    Raises:
        VerificationError: the proof is malformed, is one of absence, or leads to another root.
    """
    path = sha256(key)
    if proof.other_leaf is not None:
        raise VerificationError("proof of presence ends in another leaf", expected=path, actual=proof.other_leaf.path)
    _check_path(proof, root, path, end=_leaf_hash(path, sha256(value)))


def verify_absence(proof: SparseMerkleProof, *, root: bytes, key: bytes) -> None:
    """Check that the map with this root has nothing under ``key``.

    Raises:
        VerificationError: the proof is malformed, shows the key itself or a leaf off its path, or leads to another
        root.
    """
    path = sha256(key)
    other = proof.other_leaf
    if other is None:
        _check_path(proof, root, path, end=EMPTY_ROOT)
        return
    if len(other.path) != HASH_LENGTH or len(other.value_hash) != HASH_LENGTH:
        raise VerificationError("leaf in a proof of absence holds a hash that is not 32 bytes long")
    if other.path == path:
        raise VerificationError("leaf in a proof of absence is that of the key itself", actual=path)
    depth = len(proof.siblings)
    if depth <= PATH_BITS and _prefix(other.path, depth) != _prefix(path, depth):
        raise VerificationError("leaf in a proof of absence does not stand on the path of the key", actual=other.path)
    _check_path(proof, root, path, end=_leaf_hash(other.path, other.value_hash))


def _check_path(proof: SparseMerkleProof, root: bytes, path: bytes, *, end: bytes) -> None:
    siblings = proof.siblings
    if len(siblings) > PATH_BITS:
        raise VerificationError("sparse Merkle proof is deeper than a path", actual=len(siblings))
    if any(len(sibling) != HASH_LENGTH for sibling in siblings):
        raise VerificationError("sparse Merkle proof holds a hash that is not 32 bytes long")
    # In a compact tree a leaf or an empty subtree never stands beside an empty one: the parent would be the leaf, or
    # empty.
    if siblings and siblings[-1] == EMPTY_ROOT:
        raise VerificationError("sparse Merkle proof is deeper than a compact tree")
    node, bits = end, int.from_bytes(path, "big") >> (PATH_BITS - len(siblings))
    for sibling in reversed(siblings):
        node = sha256(_INNER_PREFIX + (sibling + node if bits & 1 else node + sibling))
        bits >>= 1
    if node != root:
        raise VerificationError("sparse Merkle proof leads to another root", expected=root, actual=node)


class _Batch:
    """Sorted changes that are applied to a tree in one walk, so that every changed inner node is hashed once."""

    def __init__(self, paths: list[bytes], value_hashes: list[bytes | None]) -> None:
        self._paths = paths
        self._value_hashes = value_hashes
        self._numbers = [int.from_bytes(path, "big") for path in paths]

    def apply(self, node: _Node, start: int, end: int, depth: int, prefix: int) -> _Node:
        """Return the subtree with changes ``start..end-1``; ``prefix`` is the least path number in the subtree."""
        if start == end:
            return node
        if not isinstance(node, _Inner):
            return self._rebuild(node, start, end, depth, prefix)
        middle_number = prefix | 1 << (PATH_BITS - 1 - depth)
        middle = bisect_left(self._numbers, middle_number, start, end)
        left = self.apply(node.left, start, middle, depth + 1, prefix)
        right = self.apply(node.right, middle, end, depth + 1, middle_number)
        if left is node.left and right is node.right:
            return node
        return _join(left, right)

    def _rebuild(self, leaf: _Leaf | None, start: int, end: int, depth: int, prefix: int) -> _Node:
        """Return the subtree that takes the place of a leaf or of an empty subtree."""
        paths, value_hashes = self._paths[start:end], self._value_hashes[start:end]
        leaves = [_Leaf(path, value) for path, value in zip(paths, value_hashes, strict=True) if value is not None]
        if leaf is not None:
            position = bisect_left(paths, leaf.path)
            if position == len(paths) or paths[position] != leaf.path:
                insort(leaves, leaf, key=lambda each: each.path)
            elif len(leaves) == 1 and leaves[0].hash == leaf.hash:
                return leaf  # The same object tells the levels above that nothing changed.
        numbers = [int.from_bytes(each.path, "big") for each in leaves]
        return _build(leaves, numbers, 0, len(leaves), depth, prefix)


def _build(leaves: list[_Leaf], numbers: list[int], start: int, end: int, depth: int, prefix: int) -> _Node:
    if end - start <= 1:
        return leaves[start] if start < end else None
    middle_number = prefix | 1 << (PATH_BITS - 1 - depth)
    middle = bisect_left(numbers, middle_number, start, end)
    return _Inner(
        _build(leaves, numbers, start, middle, depth + 1, prefix),
        _build(leaves, numbers, middle, end, depth + 1, middle_number),
    )


def _join(left: _Node, right: _Node) -> _Node:
    if left is None and not isinstance(right, _Inner):
        return right
    if right is None and not isinstance(left, _Inner):
        return left
    return _Inner(left, right)


def _hash_of(node: _Node) -> bytes:
    return EMPTY_ROOT if node is None else node.hash


def _leaf_hash(path: bytes, value_hash: bytes) -> bytes:
    return sha256(_LEAF_PREFIX + path + value_hash)


def _prefix(path: bytes, depth: int) -> int:
    return int.from_bytes(path, "big") >> (PATH_BITS - depth)


def _bits(path: bytes) -> Iterator[int]:
    for byte in path:
        for shift in range(7, -1, -1):
            yield byte >> shift & 1
