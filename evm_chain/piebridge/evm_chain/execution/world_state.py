"""State of the EVM by its root, and the database of trie nodes beneath it."""

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from eth.abc import AtomicWriteBatchAPI, StateAPI
from eth.db.backends.base import BaseAtomicDB
from eth.vm.execution_context import ExecutionContext
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.forks.prague.opcodes import PRAGUE_OPCODES
from eth.vm.forks.prague.state import PragueState
from eth.vm.interrupt import EVMMissingData
from eth.vm.opcode_values import SELFDESTRUCT
from trie.exceptions import MissingTrieNode

from piebridge.evm_chain.execution.messages import AccountOverride, BlockEnvironment
from piebridge.evm_chain.genesis import HISTORY_STORAGE_ADDRESS
from piebridge.evm_chain.header import EvmHeader

NodeReader = Callable[[bytes], bytes | None]
"""Trie node or contract code by hash, None where unknown."""

RECURSION_LIMIT = 12_288
"""Python frames for 1 024 nested calls, as py-evm counts them."""
# A library below py-evm raises the limit of the process to 100 000, far beyond what a thread's stack holds: nested
# JSON from a stranger would then end the process. This one is enough for the EVM and safe for the C parsers.
sys.setrecursionlimit(RECURSION_LIMIT)
logging.getLogger("eth").setLevel(logging.WARNING)  # py-evm describes every step at lower levels

LOCAL_FAILURES = (EVMMissingData, MissingTrieNode, MemoryError, RecursionError, OSError)
"""Failures of this machine. They stop this node; turned into the outcome of a transaction they would fork the chain."""

_HISTORY_SERVE_WINDOW = 8_191


class _Computation(PragueComputation):
    """py-evm's Prague. Its SELFDESTRUCT warns, and an environment variable may make warnings errors: unwrapped here."""

    opcodes = PRAGUE_OPCODES | {SELFDESTRUCT: PRAGUE_OPCODES[SELFDESTRUCT].__wrapped__}  # type: ignore[attr-defined]


class _State(PragueState):
    computation_class = _Computation


class StateDatabase(BaseAtomicDB):
    """py-evm's database: reads what is committed, keeps in memory what is new."""

    def __init__(self, read_node: NodeReader) -> None:
        """Read what is committed through a function."""
        self._read_node = read_node
        self.written: dict[bytes, bytes] = {}
        """New trie nodes and codes by hash."""

    def __getitem__(self, key: bytes) -> bytes:
        """Return a node or code by its hash."""
        value = self.written.get(key)
        if value is None:
            value = self._read_node(key)
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        """Keep a new node or code."""
        self.written[key] = value

    def __delitem__(self, key: bytes) -> None:
        """Refuse."""
        raise AssertionError("trie nodes are never deleted: old states stay provable")

    def _exists(self, key: bytes) -> bool:
        return key in self.written or self._read_node(key) is not None

    @contextmanager
    def atomic_batch(self) -> Iterator[AtomicWriteBatchAPI]:
        """Everything here is in memory and thrown away where execution fails, so a batch is the database itself."""
        yield self  # type: ignore[misc]


def open_state(
    database: StateDatabase,
    state_root: bytes,
    environment: BlockEnvironment,
    ancestor_hashes: Iterable[bytes],
    chain_id: int,
) -> StateAPI:
    """Open the state of a root as the EVM sees it in a block.

    Args:
        database: where its nodes are read; new ones are kept there.
        state_root: 32 bytes.
        environment: the block.
        ancestor_hashes: hashes of the parent and its ancestors, newest first; read as far as needed.
        chain_id: EIP-155 chain id.
    """
    context = ExecutionContext(
        coinbase=environment.fee_recipient,  # type: ignore[arg-type]
        timestamp=environment.timestamp,
        block_number=environment.number,  # type: ignore[arg-type]
        difficulty=0,
        mix_hash=environment.prev_randao,  # type: ignore[arg-type]
        gas_limit=environment.gas_limit,
        prev_hashes=ancestor_hashes,  # type: ignore[arg-type]
        chain_id=chain_id,
        base_fee_per_gas=environment.base_fee_per_gas,
        excess_blob_gas=0,
    )
    return _State(database, context, state_root)  # type: ignore[arg-type]


def store_parent_hash(state: StateAPI, parent: EvmHeader) -> None:
    """EIP-2935: the history contract holds the hashes of the last 8 191 blocks."""
    state.set_storage(
        HISTORY_STORAGE_ADDRESS,  # type: ignore[arg-type]
        parent.number % _HISTORY_SERVE_WINDOW,
        int.from_bytes(parent.hash, "big"),
    )


def override_account(state: StateAPI, address: bytes, override: AccountOverride) -> None:
    """Change an account for the time of a simulation."""
    if override.balance is not None:
        state.set_balance(address, override.balance)  # type: ignore[arg-type]
    if override.nonce is not None:
        state.set_nonce(address, override.nonce)  # type: ignore[arg-type]
    if override.code is not None:
        state.set_code(address, override.code)  # type: ignore[arg-type]
    if override.state is not None:
        state.delete_storage(address)  # type: ignore[arg-type]
    for slot, value in (*(override.state or ()), *override.state_difference):
        state.set_storage(address, slot, value)  # type: ignore[arg-type]
