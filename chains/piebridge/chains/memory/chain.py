"""A chain in memory with real headers and real Merkle-Patricia tries, and one contract, the hub, in Python.

Blocks are made on demand, transactions wait in a pool until then, and the newest blocks can be reorganised away.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import rlp  # type: ignore[import-untyped]
from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes
from trie.hexary import HexaryTrie

from piebridge.chains.endpoint import Block, HubEntry, Receipt
from piebridge.chains.errors import AlreadyKnownError, CallRevertedError, NonceError
from piebridge.crypto.errors import PermanentChainError
from piebridge.crypto.hash import keccak256
from piebridge.crypto.patricia import EMPTY_CODE_HASH, EMPTY_TRIE_ROOT

_EMPTY_OMMERS_HASH = keccak256(b"\xc0")
_GAS_LIMIT = 30_000_000
_BASE_FEE_WEI = 1_000_000_000
_CALL_GAS = 50_000


@dataclass(slots=True)
class MemoryCall:
    """A call of the hub in execution."""

    sender: bytes
    """20 bytes."""
    data: bytes
    """Call data."""
    block_number: int
    """Block in which it is executed."""
    timestamp: int
    """Time of that block, Unix seconds."""
    storage: dict[int, int]
    """The hub's storage; what is written here is kept if the call returns."""
    entries: list[HubEntry] = field(default_factory=list)
    """Outbox entries that the call makes."""


MemoryContract = Callable[[MemoryCall], bytes]
"""Executes a call and returns its answer; raises :class:`CallRevertedError` to revert."""


@dataclass(frozen=True, slots=True)
class _Made:
    """A block with what belongs to it."""

    block: Block
    storage: dict[int, int]
    storage_root: bytes
    nonces: dict[bytes, int]
    entries: tuple[HubEntry, ...]
    receipts: tuple[Receipt, ...]


@dataclass(frozen=True, slots=True)
class _Pooled:
    sender: bytes
    nonce: int
    data: bytes
    gas: int
    hash: bytes


class MemoryChain:
    """See the module's text."""

    def __init__(
        self, contract: MemoryContract, *, hub_address: bytes, evm_chain_id: int = 1, start_time: int = 1_700_000_000
    ) -> None:
        """Make block 0, with the hub in it."""
        self.hub_address = hub_address
        self.evm_chain_id = evm_chain_id
        self.time = start_time
        """Time of the next block, Unix seconds; tests move it."""
        self._contract = contract
        self._nodes: dict[bytes, bytes] = {}
        self._pool: list[_Pooled] = []
        self._forks = 0
        self._made = [self._make_block(bytes(32), {}, {}, (), [])]

    # Blocks

    @property
    def latest(self) -> Block:
        """The newest block."""
        return self._made[-1].block

    def block(self, number: int) -> Block | None:
        """Return a block; None if there is none."""
        return self._made[number].block if 0 <= number < len(self._made) else None

    def mine(self, count: int = 1) -> None:
        """Make blocks; the first takes the whole pool."""
        for _ in range(count):
            self._mine_one()

    def reorganise(self, depth: int) -> None:
        """Replace the newest blocks by as many other ones; their transactions go back to the pool of nobody."""
        del self._made[len(self._made) - depth :]
        self._forks += 1
        self.mine(depth)

    # Transactions

    def submit(self, raw_transaction: bytes) -> bytes:
        """Take a signed EIP-1559 transaction to the hub into the pool; return its hash.

        Raises:
            NonceError: the nonce is used or leaves a gap.
            AlreadyKnownError: it is in the pool already.
            PermanentChainError: it is for another chain or contract.
        """
        transaction_hash = keccak256(raw_transaction)
        fields = TypedTransaction.from_bytes(HexBytes(raw_transaction)).as_dict()
        sender = bytes.fromhex(Account.recover_transaction(raw_transaction)[2:])
        if fields["chainId"] != self.evm_chain_id or bytes(fields["to"]) != self.hub_address:
            raise PermanentChainError("transaction is for another chain or another contract")
        if any(pooled.hash == transaction_hash for pooled in self._pool):
            raise AlreadyKnownError("already known")
        expected = self.nonce(sender, pending=True)
        if fields["nonce"] != expected:
            raise NonceError(f"nonce {fields['nonce']} is not the next one, which is {expected}")
        self._pool.append(_Pooled(sender, fields["nonce"], bytes(fields["data"]), int(fields["gas"]), transaction_hash))
        return transaction_hash

    def receipt(self, transaction_hash: bytes) -> Receipt | None:
        """Return what became of a transaction."""
        for made in self._made:
            for receipt in made.receipts:
                if receipt.transaction_hash == transaction_hash:
                    return receipt
        return None

    def call(self, data: bytes, sender: bytes) -> bytes:
        """Run a call and forget what it did.

        Raises:
            CallRevertedError: it reverts.
        """
        made = self._made[-1]
        call = MemoryCall(sender, data, made.block.number + 1, self.time, dict(made.storage))
        return self._contract(call)

    def nonce(self, address: bytes, *, pending: bool) -> int:
        """Return the number of an account's next transaction."""
        nonce = self._made[-1].nonces.get(address, 0)
        return nonce + sum(pooled.sender == address for pooled in self._pool) if pending else nonce

    # State

    def entries(self, first_block: int, last_block: int) -> list[HubEntry]:
        """Return the outbox entries of a range of blocks."""
        return [entry for made in self._made[first_block : last_block + 1] for entry in made.entries]

    def storage(self, slot: int, block_number: int) -> int:
        """Return a slot of the hub at a block."""
        return self._made[block_number].storage.get(slot, 0)

    def prove(self, slots: list[int], block_number: int) -> tuple[tuple[bytes, ...], list[tuple[bytes, ...]]]:
        """Return the proof of the hub's account and those of slots."""
        made = self._made[block_number]
        account = _proof(self._nodes, made.block.state_root, keccak256(self.hub_address))
        return account, [_proof(self._nodes, made.storage_root, keccak256(slot.to_bytes(32, "big"))) for slot in slots]

    # Internal

    def _mine_one(self) -> None:
        before = self._made[-1]
        storage, nonces = dict(before.storage), dict(before.nonces)
        entries: list[HubEntry] = []
        outcomes: list[tuple[_Pooled, bool]] = []
        for pooled in self._pool:
            call = MemoryCall(pooled.sender, pooled.data, before.block.number + 1, self.time, dict(storage))
            nonces[pooled.sender] = pooled.nonce + 1
            try:
                self._contract(call)
            except CallRevertedError:
                outcomes.append((pooled, False))
                continue
            storage = {slot: value for slot, value in call.storage.items() if value}
            entries += call.entries
            outcomes.append((pooled, True))
        self._pool.clear()
        self._made.append(self._make_block(before.block.hash, storage, nonces, tuple(entries), outcomes))

    def _make_block(
        self,
        parent_hash: bytes,
        storage: dict[int, int],
        nonces: dict[bytes, int],
        entries: tuple[HubEntry, ...],
        outcomes: list[tuple[_Pooled, bool]],
    ) -> _Made:
        number = len(self._made) if parent_hash != bytes(32) else 0
        storage_root = self._trie(
            {keccak256(slot.to_bytes(32, "big")): rlp.encode(value) for slot, value in storage.items()}
        )
        account = rlp.encode([1, 0, storage_root, EMPTY_CODE_HASH])
        state_root = self._trie({keccak256(self.hub_address): account})
        header = _header(parent_hash, state_root, number, self.time, self._forks)
        block = Block(
            number=number,
            hash=keccak256(header),
            parent_hash=parent_hash,
            timestamp=self.time,
            state_root=state_root,
            header=header,
            base_fee_per_gas=_BASE_FEE_WEI,
            gas_limit=_GAS_LIMIT,
        )
        self.time += 1
        receipts = tuple(
            Receipt(pooled.hash, number, block.hash, succeeded, min(_CALL_GAS, pooled.gas))
            for pooled, succeeded in outcomes
        )
        placed = tuple(replace(entry, height=number) for entry in entries)
        return _Made(block, storage, storage_root, nonces, placed, receipts)

    def _trie(self, items: dict[bytes, bytes]) -> bytes:
        if not items:
            return EMPTY_TRIE_ROOT
        trie = HexaryTrie(self._nodes)
        for key, value in items.items():
            trie[key] = value
        return bytes(trie.root_hash)


def _proof(nodes: dict[bytes, bytes], root: bytes, hashed_key: bytes) -> tuple[bytes, ...]:
    """Return the hashed nodes on the path; short ones stand inside their parents."""
    if root == EMPTY_TRIE_ROOT:
        return ()
    found = HexaryTrie(nodes, root).get_proof(hashed_key)  # type: ignore[no-untyped-call]
    encoded = [bytes(rlp.encode(node)) for node in found if node != b""]
    return tuple(node for position, node in enumerate(encoded) if position == 0 or len(node) >= 32)


def _header(parent_hash: bytes, state_root: bytes, number: int, time: int, fork: int) -> bytes:
    """RLP of a Prague header; ``fork`` stands in the extra data, so that blocks of two forks differ."""
    fields = [
        parent_hash,
        _EMPTY_OMMERS_HASH,
        bytes(20),
        state_root,
        EMPTY_TRIE_ROOT,
        EMPTY_TRIE_ROOT,
        bytes(256),
        0,
        number,
        _GAS_LIMIT,
        0,
        time,
        fork.to_bytes(2, "big"),
        bytes(32),
        bytes(8),
        _BASE_FEE_WEI,
        EMPTY_TRIE_ROOT,
        0,
        0,
        bytes(32),
        bytes(32),
    ]
    return bytes(rlp.encode(fields))
