"""Reading a committed state by its root: accounts, codes, storage and Merkle-Patricia proofs (EIP-1186)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import rlp  # type: ignore[import-untyped]
from trie.hexary import HexaryTrie

from piebridge.crypto.hash import keccak256
from piebridge.evm_chain.header import EMPTY_TRIE_ROOT

EMPTY_CODE_HASH = bytes.fromhex("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")
"""keccak256 of nothing: code hash of an account without code."""


@dataclass(frozen=True, slots=True)
class Account:
    """What the state trie holds of an address."""

    nonce: int = 0
    """Transactions sent."""
    balance: int = 0
    """Wei."""
    storage_root: bytes = EMPTY_TRIE_ROOT
    """Root of its storage, 32 bytes."""
    code_hash: bytes = EMPTY_CODE_HASH
    """keccak256 of its code."""


@dataclass(frozen=True, slots=True)
class StorageProof:
    """Value of a slot with its proof against the account's storage root."""

    slot: int
    """Slot."""
    value: int
    """Value; 0 where it was never written, which the proof shows alike."""
    nodes: tuple[bytes, ...]
    """RLP nodes from the root."""


@dataclass(frozen=True, slots=True)
class AccountProof:
    """An account with its proof against the state root, and slots of it."""

    account: Account
    """The account; that of an address without one is empty, which the proof shows alike."""
    nodes: tuple[bytes, ...]
    """RLP nodes from the state root."""
    storage: tuple[StorageProof, ...]
    """One for each slot that was asked."""


class StateReader:
    """Accounts of one committed state. Reads what it is asked for and no more."""

    def __init__(self, read_node: Callable[[bytes], bytes | None], state_root: bytes) -> None:
        """Read below a state root, with a function that gives a trie node or code by its hash."""
        self._nodes = _Nodes(read_node)
        self._accounts = HexaryTrie(self._nodes, state_root)

    def account(self, address: bytes) -> Account:
        """Account of an address."""
        encoded = self._accounts[keccak256(address)]
        if not encoded:
            return Account()
        nonce, balance, storage_root, code_hash = rlp.decode(encoded)
        return Account(int.from_bytes(nonce, "big"), int.from_bytes(balance, "big"), storage_root, code_hash)

    def code(self, address: bytes) -> bytes:
        """Runtime code; empty where there is none."""
        code_hash = self.account(address).code_hash
        return b"" if code_hash == EMPTY_CODE_HASH else self._nodes[code_hash]

    def storage(self, address: bytes, slot: int) -> int:
        """Value of a slot; 0 where it was never written."""
        return _value(self._storage_trie(self.account(address)), slot)

    def proof(self, address: bytes, slots: Sequence[int]) -> AccountProof:
        """Account and slots with proofs."""
        account = self.account(address)
        trie = self._storage_trie(account)
        return AccountProof(
            account=account,
            nodes=_proof(self._accounts, keccak256(address)),
            storage=tuple(StorageProof(slot, _value(trie, slot), _proof(trie, _key(slot))) for slot in slots),
        )

    def _storage_trie(self, account: Account) -> HexaryTrie:
        return HexaryTrie(self._nodes, account.storage_root)


class _Nodes:
    """The part of a dictionary that py-trie reads."""

    def __init__(self, read_node: Callable[[bytes], bytes | None]) -> None:
        self._read_node = read_node

    def __getitem__(self, key: bytes) -> bytes:
        value = self._read_node(key)
        if value is None:
            raise KeyError(key)
        return value

    def __contains__(self, key: bytes) -> bool:
        return self._read_node(key) is not None


def _key(slot: int) -> bytes:
    return keccak256(slot.to_bytes(32, "big"))


def _value(trie: HexaryTrie, slot: int) -> int:
    encoded = trie[_key(slot)]
    return int.from_bytes(rlp.decode(encoded), "big") if encoded else 0


def _proof(trie: HexaryTrie, key: bytes) -> tuple[bytes, ...]:
    """Nodes on the way to a key. One shorter than a hash stands inside its parent and is no element of its own."""
    nodes = [rlp.encode(node) for node in trie.get_proof(key)]  # type: ignore[no-untyped-call]
    return tuple(node for index, node in enumerate(nodes) if index == 0 or len(node) >= 32)
