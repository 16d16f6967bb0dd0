"""Verifier of Merkle-Patricia proofs of Ethereum state and storage (Yellow Paper, section 4.1, appendix D; EIP-1186).

State and storage tries are *secure*: a key is the Keccak-256 digest of an address or a slot, so every path has 64
nibbles, branches hold no values, and no path is a prefix of another. The verifier accepts exactly the nodes that lie
on the path, from the root downwards, each in the only encoding that the trie's rules allow; nodes below 32 bytes stand
inside their parent. The proof of the empty trie has no nodes; a client whose node returns one (``0x80``) drops it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from piebridge.crypto.errors import DecodingError, VerificationError
from piebridge.crypto.hash import HASH_LENGTH, keccak256
from piebridge.crypto.rlp_strict import Item, read_bytes, read_integer, read_item, read_list
from piebridge.crypto.signature import ADDRESS_LENGTH

EMPTY_TRIE_ROOT: Final = keccak256(b"\x80")
"""Root of a trie without entries: the hash of the RLP encoding of the empty string."""

EMPTY_CODE_HASH: Final = keccak256(b"")
"""``code_hash`` of an account without code."""

_PATH_NIBBLES: Final = 2 * HASH_LENGTH
_BRANCH_ITEMS: Final = 17
_SHORT_NODE_ITEMS: Final = 2

# A branch with sixteen hashed children and no value: by far the most frequent node, recognised without reading its
# items.
_FULL_BRANCH_LENGTH: Final = 3 + 16 * 33 + 1
_FULL_BRANCH_PREFIX: Final = b"\xf9\x02\x11"
_FULL_BRANCH_CHILD_PREFIXES: Final = b"\xa0" * 16
_EMPTY_ITEM: Final = 0x80


@dataclass(frozen=True, slots=True)
class Account:
    """State of an Ethereum account (Yellow Paper, section 4.1)."""

    nonce: int
    """Number of transactions sent, or of contracts created by a contract; 64 bits (EIP-2681)."""
    balance: int
    """Wei, 256 bits."""
    storage_root: bytes
    """Root of the account's storage trie, 32 bytes."""
    code_hash: bytes
    """Keccak-256 digest of the code, 32 bytes."""


def verify_account(state_root: bytes, address: bytes, proof: Sequence[bytes]) -> Account | None:
    """Return the account that the proof shows under ``address`` (20 bytes), or None if it shows that there is none.

    Raises:
        VerificationError: the proof does not lead from the state root to the address or to its absence, or has nodes
        left. DecodingError: a node or the account is not in its only encoding.
    """
    if len(address) != ADDRESS_LENGTH:
        raise VerificationError("an address has 20 bytes", expected=ADDRESS_LENGTH, actual=len(address))
    encoded = verify_value(state_root, keccak256(address), proof)
    return None if encoded is None else decode_account(encoded)


def verify_storage(storage_root: bytes, slot: int, proof: Sequence[bytes]) -> int:
    """Return the 256-bit value that the proof shows in ``slot`` (0..2**256-1); 0 if nothing is stored there.

    Raises:
        VerificationError: the proof does not lead from the storage root to the slot or to its absence, or has nodes
        left. DecodingError: a node or the value is not in its only encoding.
    """
    if not 0 <= slot < 1 << 256:
        raise VerificationError("a storage slot has 256 bits", actual=slot)
    encoded = verify_value(storage_root, keccak256(slot.to_bytes(32, "big")), proof)
    if encoded is None:
        return 0
    item = read_item(encoded, 0, len(encoded))
    if item.end != len(encoded):
        raise DecodingError("bytes follow a storage value")
    value = read_integer(encoded, item, length_max=32)
    if value == 0:
        raise DecodingError("storage trie holds a zero, which is never stored")
    return value


def decode_account(encoded: bytes) -> Account:
    """Read the RLP encoding of an account.

    Raises:
        DecodingError: not the only encoding of an account.
    """
    items = read_list(encoded)
    if len(items) != 4:
        raise DecodingError("an account has four fields", expected=4, actual=len(items))
    nonce, balance, storage_root, code_hash = items
    account = Account(
        nonce=read_integer(encoded, nonce, length_max=8),
        balance=read_integer(encoded, balance, length_max=32),
        storage_root=read_bytes(encoded, storage_root),
        code_hash=read_bytes(encoded, code_hash),
    )
    if len(account.storage_root) != HASH_LENGTH or len(account.code_hash) != HASH_LENGTH:
        raise DecodingError("storage root and code hash of an account have 32 bytes")
    return account


def verify_value(root: bytes, hashed_key: bytes, proof: Sequence[bytes]) -> bytes | None:
    """Return the value that the proof shows under a hashed key in a secure trie; None if it shows absence.

    Args:
        root: trusted root, 32 bytes.
        hashed_key: Keccak-256 digest of the key, 32 bytes.
        proof: RLP encodings of the hashed nodes on the path, from the root downwards.

    Raises:
        VerificationError: wrong lengths, a node that is not the one its parent names, too few nodes, or nodes left
        over. DecodingError: a node is not in its only encoding.
    """
    if len(root) != HASH_LENGTH or len(hashed_key) != HASH_LENGTH:
        raise VerificationError("root and hashed key have 32 bytes")
    if root == EMPTY_TRIE_ROOT:
        if proof:
            raise VerificationError("proof of the empty trie has no nodes", expected=0, actual=len(proof))
        return None
    path = hashed_key.hex()
    reference, depth, used, after_extension = root, 0, 0, False
    while True:
        if len(reference) == HASH_LENGTH:
            if used == len(proof):
                raise VerificationError("Merkle-Patricia proof ends before its path", actual=used)
            node = proof[used]
            if keccak256(node) != reference:
                raise VerificationError(f"node {used} of the Merkle-Patricia proof is not the one above names")
            if used > 0 and len(node) < HASH_LENGTH:
                raise DecodingError("trie node below 32 bytes is hashed instead of standing in its parent")
            used += 1
        else:
            node = reference
        step = _step(node, path, depth, after_extension)
        if step.reference is None:
            break
        reference, depth, after_extension = step.reference, step.depth, step.after_extension
    if used != len(proof):
        raise VerificationError("nodes are left over after the path", expected=used, actual=len(proof))
    return step.value


class _Step(NamedTuple):
    """What one node says about the path."""

    reference: bytes | None
    """Next node: its hash (32 bytes) or itself (shorter); None at the end of the path."""
    depth: int = 0
    """Nibbles of the path above the next node."""
    after_extension: bool = False
    """True if the next node must be a branch."""
    value: bytes | None = None
    """At the end of the path: what stands there, None if nothing does."""


_ABSENT: Final = _Step(None)


def _step(node: bytes, path: str, depth: int, after_extension: bool) -> _Step:
    if len(node) == _FULL_BRANCH_LENGTH and _is_full_branch(node):
        start = 4 + 33 * int(_nibble(path, depth), 16)
        return _Step(node[start : start + HASH_LENGTH], depth + 1)
    items = read_list(node)
    if len(items) == _BRANCH_ITEMS:
        child = _branch_child(node, items, int(_nibble(path, depth), 16))
        return _Step(child, depth + 1) if child else _ABSENT
    if len(items) != _SHORT_NODE_ITEMS:
        raise DecodingError("trie node has neither 2 nor 17 items", actual=len(items))
    if after_extension:
        raise DecodingError("trie extension leads to another node than a branch")
    is_leaf, nibbles = _decode_path(read_bytes(node, items[0]))
    remaining = path[depth:]
    if is_leaf:
        value = read_bytes(node, items[1])
        if len(nibbles) != len(remaining) or not value:
            raise DecodingError("trie leaf has no value or does not end at a full path")
        return _Step(None, value=value) if nibbles == remaining else _ABSENT
    child = _child_reference(node, items[1])
    if not nibbles or len(nibbles) >= len(remaining) or not child:
        raise DecodingError("trie extension is empty, has no child, or leaves no path to it")
    return _Step(child, depth + len(nibbles), after_extension=True) if remaining.startswith(nibbles) else _ABSENT


def _nibble(path: str, depth: int) -> str:
    if depth == _PATH_NIBBLES:
        raise DecodingError("trie branch stands below a full path")
    return path[depth]


def _is_full_branch(node: bytes) -> bool:
    return (
        node.startswith(_FULL_BRANCH_PREFIX)
        and node[3:-1:33] == _FULL_BRANCH_CHILD_PREFIXES
        and node[-1] == _EMPTY_ITEM
    )


def _branch_child(node: bytes, items: list[Item], nibble: int) -> bytes:
    children = [_child_reference(node, item) for item in items[:-1]]
    if read_bytes(node, items[-1]):
        raise DecodingError("trie branch holds a value, which no path of 64 nibbles can have")
    if sum(1 for child in children if child) < 2:
        raise DecodingError("trie branch has fewer than two children")
    return children[nibble]


def _child_reference(node: bytes, item: Item) -> bytes:
    """Return the hash of a child (32 bytes), a child that stands in its parent (shorter), or nothing."""
    if item.is_list:
        if item.end - item.start >= HASH_LENGTH:
            raise DecodingError("trie node of 32 bytes or more stands in its parent instead of being hashed")
        # Also off the path, where it is not walked into, it must at least be a node.
        if len(read_list(node, item.start, item.end)) not in (_SHORT_NODE_ITEMS, _BRANCH_ITEMS):
            raise DecodingError("list in a trie node is no node")
        return node[item.start : item.end]
    reference = node[item.payload : item.end]
    if len(reference) not in (0, HASH_LENGTH):
        raise DecodingError("reference in a trie node is neither empty nor a hash", actual=reference)
    return reference


def _decode_path(encoded: bytes) -> tuple[bool, str]:
    """Return whether it is a leaf's, and the nibbles, of a hex-prefix encoded path (Yellow Paper, appendix C)."""
    flag = encoded[0] >> 4 if encoded else 0xF
    if flag > 3 or (not flag & 1 and encoded[0] & 0xF):
        raise DecodingError("path of a trie node is not in hex-prefix encoding", actual=encoded[:1])
    return flag >= 2, encoded.hex()[1 if flag & 1 else 2 :]
