"""The EVM: everything of py-evm that this chain uses, behind types of our own. No other file imports py-evm.

py-evm is no longer developed and its last fork is Prague: this file is what a successor has to offer. It uses py-evm's
state, opcodes and fee accounting. Headers, transactions, receipts and their validity are our own, for two reasons:
py-evm's receipt subtracts refunds from a sum that already holds EIP-7623's floor, so gas used could differ from what
was paid; and a transaction that is invalid must be named by one of our codes, not by the text of an exception.
"""

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from eth.abc import AtomicWriteBatchAPI, ComputationAPI, StateAPI
from eth.db.backends.base import BaseAtomicDB
from eth.exceptions import OutOfGas, Revert
from eth.vm.execution_context import ExecutionContext
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.forks.prague.opcodes import PRAGUE_OPCODES
from eth.vm.forks.prague.state import PragueState, PragueTransactionExecutor
from eth.vm.interrupt import EVMMissingData
from eth.vm.message import Message
from eth.vm.opcode_values import SELFDESTRUCT
from trie.exceptions import MissingTrieNode

from piebridge.evm_chain.block import (
    EvmBlock,
    Log,
    Outcome,
    create_address,
    logs_bloom,
    receipts_root,
    transactions_root,
)
from piebridge.evm_chain.errors import InvalidTransaction, RejectionCode
from piebridge.evm_chain.genesis import HISTORY_STORAGE_ADDRESS, EvmGenesis
from piebridge.evm_chain.header import (
    EMPTY_OMMERS_HASH,
    EMPTY_REQUESTS_HASH,
    EMPTY_TRIE_ROOT,
    EvmHeader,
    next_base_fee,
)
from piebridge.evm_chain.transaction import (
    AccessList,
    SignedTransaction,
    TransactionType,
    calldata_floor_gas,
    check_against_sender,
    check_gas_limit,
    check_without_state,
    initcode_gas,
    intrinsic_gas,
)

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
_REFUND_QUOTIENT = 5


@dataclass(frozen=True, slots=True)
class BlockEnvironment:
    """What the EVM reads from the block that it runs in, besides state."""

    number: int
    """EVM block number."""
    timestamp: int
    """Seconds since the Unix epoch."""
    fee_recipient: bytes
    """20 bytes."""
    prev_randao: bytes
    """32 bytes."""
    gas_limit: int
    """Gas of the block."""
    base_fee_per_gas: int
    """Wei."""


@dataclass(frozen=True, slots=True)
class CallRequest:
    """A message to simulate; nothing is signed and nothing is kept."""

    sender: bytes
    """20 bytes."""
    to: bytes
    """20 bytes, or empty to create a contract."""
    gas_limit: int
    """Gas available, intrinsic gas included."""
    value: int = 0
    """Wei."""
    data: bytes = field(default=b"", repr=False)
    """Calldata or init code."""
    gas_price: int = 0
    """What GASPRICE answers, wei. No fee is taken."""
    access_list: AccessList = ()
    """Announced addresses and slots."""


@dataclass(frozen=True, slots=True)
class CallResult:
    """Outcome of a simulated message."""

    succeeded: bool
    """Whether it ended without revert or exceptional halt."""
    output: bytes
    """Return or revert data; code of a created contract."""
    gas_used: int
    """As a transaction would be charged, after refunds."""
    gas_refunded: int
    """Refund that ``gas_used`` has already lost: gas that must be there all the same."""
    error: str
    """Why it failed; empty where it succeeded."""
    reverted: bool
    """Whether it failed by REVERT, so that ``output`` is revert data."""
    out_of_gas: bool
    """Whether it ran out of gas in its outermost frame."""


@dataclass(frozen=True, slots=True)
class AccountOverride:
    """Temporary change of an account for a simulated message. None leaves as it is."""

    balance: int | None = None
    """Wei."""
    nonce: int | None = None
    """Nonce."""
    code: bytes | None = None
    """Runtime code."""
    state: tuple[tuple[int, int], ...] | None = None
    """The whole storage."""
    state_difference: tuple[tuple[int, int], ...] = ()
    """Single slots."""


@dataclass(frozen=True, slots=True)
class ExecutedBlock:
    """What a list of transactions does."""

    block: EvmBlock | None
    """The block; None where no transaction was valid."""
    results: tuple[Outcome | InvalidTransaction, ...]
    """For each transaction of the list its outcome, or why it is not in the block."""
    nodes: Mapping[bytes, bytes]
    """New trie nodes and codes by hash."""


class EvmExecutor:
    """Runs blocks and messages against states that are named by their root. Holds no state of its own."""

    def __init__(self, genesis: EvmGenesis, read_node: NodeReader) -> None:
        """Args:

        genesis: chain id and constants.
        read_node: committed trie nodes and codes; called from any thread that calls this object.
        """
        self._genesis = genesis
        self._read_node = read_node

    def genesis_block(self, timestamp: int) -> ExecutedBlock:
        """Make block 0.

        Args:
            timestamp: seconds of CometBFT's genesis time.
        """
        genesis = self._genesis
        environment = BlockEnvironment(
            number=0,
            timestamp=timestamp,
            fee_recipient=genesis.fee_recipient or bytes(20),
            prev_randao=bytes(32),
            gas_limit=genesis.gas_limit,
            base_fee_per_gas=genesis.base_fee_per_gas,
        )
        database = _StateDatabase(self._read_node)
        state = self._state(database, EMPTY_TRIE_ROOT, environment, ())
        for address, account in genesis.alloc:
            state.set_balance(address, account.balance)  # type: ignore[arg-type]
            state.set_nonce(address, account.nonce)  # type: ignore[arg-type]
            if account.code:
                state.set_code(address, account.code)  # type: ignore[arg-type]
            for slot, value in account.storage:
                state.set_storage(address, slot, value)  # type: ignore[arg-type]
        state.persist()
        header = _header(environment, bytes(32), 0, state.state_root, (), ())
        return ExecutedBlock(EvmBlock(header, (), (), 0), (), database.written)

    def next_environment(
        self, parent: EvmHeader, timestamp: int, prev_randao: bytes, proposer: bytes
    ) -> BlockEnvironment:
        """Environment of a child block.

        Args:
            parent: last block.
            timestamp: seconds, later than the parent's.
            prev_randao: 32 bytes.
            proposer: validator address that gets priority fees unless the genesis names a recipient.
        """
        return BlockEnvironment(
            number=parent.number + 1,
            timestamp=timestamp,
            fee_recipient=self._genesis.fee_recipient or proposer,
            prev_randao=prev_randao,
            gas_limit=self._genesis.gas_limit,
            base_fee_per_gas=next_base_fee(parent),
        )

    def execute_block(
        self,
        parent: EvmHeader,
        environment: BlockEnvironment,
        cometbft_height: int,
        transactions: Sequence[SignedTransaction | InvalidTransaction],
        ancestor_hashes: Iterable[bytes],
    ) -> ExecutedBlock:
        """Run transactions in order on the parent's state. Nothing is written outside the result.

        Args:
            parent: last block.
            environment: of the new block.
            cometbft_height: height of the CometBFT block that carries it.
            transactions: decoded ones, or why one could not be decoded.
            ancestor_hashes: hashes of the parent and its ancestors, newest first; read as far as needed.
        """
        database = _StateDatabase(self._read_node)
        state = self._state(database, parent.state_root, environment, ancestor_hashes)
        _store_parent_hash(state, parent)
        included: list[SignedTransaction] = []
        outcomes: list[Outcome] = []
        results: list[Outcome | InvalidTransaction] = []
        gas_left = environment.gas_limit
        for transaction in transactions:
            result = (
                transaction
                if isinstance(transaction, InvalidTransaction)
                else _apply(state, environment, transaction, gas_left)
            )
            results.append(result)
            if isinstance(result, Outcome) and isinstance(transaction, SignedTransaction):
                included.append(transaction)
                outcomes.append(result)
                gas_left -= result.gas_used
        if not included:
            return ExecutedBlock(None, tuple(results), {})
        state.persist()
        header = _header(environment, parent.hash, cometbft_height, state.state_root, included, outcomes)
        block = EvmBlock(header, tuple(included), tuple(outcomes), cometbft_height)
        return ExecutedBlock(block, tuple(results), database.written)

    def simulation(
        self,
        state_root: bytes,
        environment: BlockEnvironment,
        ancestor_hashes: Iterable[bytes],
        overrides: Mapping[bytes, AccountOverride] | None = None,
    ) -> "Simulation":
        """A state in memory on which messages can be tried, each from the same start."""
        state = self._state(_StateDatabase(self._read_node), state_root, environment, ancestor_hashes)
        for address, override in sorted((overrides or {}).items()):
            _override(state, address, override)
        state.lock_changes()
        return Simulation(state)

    def _state(
        self,
        database: "_StateDatabase",
        state_root: bytes,
        environment: BlockEnvironment,
        ancestor_hashes: Iterable[bytes],
    ) -> StateAPI:
        context = ExecutionContext(
            coinbase=environment.fee_recipient,  # type: ignore[arg-type]
            timestamp=environment.timestamp,
            block_number=environment.number,  # type: ignore[arg-type]
            difficulty=0,
            mix_hash=environment.prev_randao,  # type: ignore[arg-type]
            gas_limit=environment.gas_limit,
            prev_hashes=ancestor_hashes,  # type: ignore[arg-type]
            chain_id=self._genesis.chain_id,
            base_fee_per_gas=environment.base_fee_per_gas,
            excess_blob_gas=0,
        )
        return _State(database, context, state_root)  # type: ignore[arg-type]


class Simulation:
    """Tries messages on one state; each leaves it as it was. Not for several threads at once."""

    def __init__(self, state: StateAPI) -> None:
        """Made by ``EvmExecutor.simulation``."""
        self._state = state

    def balance(self, address: bytes) -> int:
        """Balance in this state, overrides included, wei."""
        return self._state.get_balance(address)  # type: ignore[arg-type]

    def run(self, request: CallRequest) -> CallResult:
        """Run a message from a fresh start. No fee is charged and the sender need not be able to pay one.

        Raises:
            InvalidTransaction: gas below intrinsic gas, init code too large, or value above the balance.
        """
        invocation = _call_invocation(request)
        check_gas_limit(request.gas_limit, request.data, not request.to, request.access_list)
        if self.balance(request.sender) < request.value:
            raise InvalidTransaction(
                RejectionCode.INSUFFICIENT_FUNDS,
                f"insufficient funds for transfer: address 0x{request.sender.hex()} "
                f"has {self.balance(request.sender)}, wants {request.value}",
            )
        self._state.lock_changes()
        snapshot = self._state.snapshot()
        try:
            executor = PragueTransactionExecutor(self._state)
            message = _call_message(self._state, executor, request, request.gas_limit - invocation.intrinsic_gas)
            computation = executor.build_computation(message, invocation)  # type: ignore[arg-type]
            gas_used, refund = _gas_used(computation, request.gas_limit, request.data)
            return CallResult(
                succeeded=computation.is_success,
                output=bytes(computation.output),
                gas_used=gas_used,
                gas_refunded=refund,
                error="" if computation.is_success else _error_text(computation),
                reverted=computation.is_error and isinstance(computation.error, Revert),
                out_of_gas=computation.is_error and isinstance(computation.error, OutOfGas),
            )
        finally:
            self._state.revert(snapshot)
            self._state.clear_transient_storage()


@dataclass(frozen=True, slots=True)
class _Invocation:
    """What py-evm's transaction executor reads from a transaction. The names are py-evm's."""

    sender: bytes
    to: bytes
    value: int
    data: bytes = field(repr=False)  # py-evm formats the transaction for a debug line that nobody reads
    gas: int
    intrinsic_gas: int
    max_fee_per_gas: int
    max_priority_fee_per_gas: int
    access_list: AccessList
    nonce: int
    type_id: int


class _Computation(PragueComputation):
    """py-evm's Prague. Its SELFDESTRUCT warns, and an environment variable may make warnings errors: unwrapped here."""

    opcodes = PRAGUE_OPCODES | {SELFDESTRUCT: PRAGUE_OPCODES[SELFDESTRUCT].__wrapped__}  # type: ignore[attr-defined]


class _State(PragueState):
    computation_class = _Computation


class _StateDatabase(BaseAtomicDB):
    """py-evm's database: reads what is committed, keeps in memory what is new."""

    def __init__(self, read_node: NodeReader) -> None:
        self._read_node = read_node
        self.written: dict[bytes, bytes] = {}

    def __getitem__(self, key: bytes) -> bytes:
        value = self.written.get(key)
        if value is None:
            value = self._read_node(key)
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self.written[key] = value

    def __delitem__(self, key: bytes) -> None:
        raise AssertionError("trie nodes are never deleted: old states stay provable")

    def _exists(self, key: bytes) -> bool:
        return key in self.written or self._read_node(key) is not None

    @contextmanager
    def atomic_batch(self) -> Iterator[AtomicWriteBatchAPI]:
        """Everything here is in memory and thrown away where execution fails, so a batch is the database itself."""
        yield self  # type: ignore[misc]


def _apply(
    state: StateAPI, environment: BlockEnvironment, transaction: SignedTransaction, gas_left: int
) -> Outcome | InvalidTransaction:
    """Run one transaction; one that is invalid leaves the state as it was."""
    state.lock_changes()
    snapshot = state.snapshot()
    try:
        _check_with_state(state, environment, transaction, gas_left)
        outcome = _run(state, environment, transaction)
    except InvalidTransaction as invalid:
        state.revert(snapshot)
        return invalid
    except LOCAL_FAILURES:
        raise
    except Exception as fault:  # a fault of py-evm must not stop the chain at every restart; every node has the same
        state.revert(snapshot)
        return InvalidTransaction(RejectionCode.EXECUTION_FAULT, f"EVM fault: {type(fault).__name__}: {fault}")
    state.commit(snapshot)
    return outcome


def _check_with_state(
    state: StateAPI, environment: BlockEnvironment, transaction: SignedTransaction, gas_left: int
) -> None:
    check_without_state(transaction, environment.gas_limit)
    check_against_sender(
        transaction,
        environment.base_fee_per_gas,
        nonce=state.get_nonce(transaction.sender),  # type: ignore[arg-type]
        balance=state.get_balance(transaction.sender),  # type: ignore[arg-type]
        code=state.get_code(transaction.sender),  # type: ignore[arg-type]
    )
    if transaction.gas_limit > gas_left:
        raise InvalidTransaction(
            RejectionCode.GAS_LIMIT_EXCEEDED, f"gas limit reached: {gas_left} left, want {transaction.gas_limit}"
        )


def _run(state: StateAPI, environment: BlockEnvironment, transaction: SignedTransaction) -> Outcome:
    invocation = _transaction_invocation(transaction)
    executor = PragueTransactionExecutor(state)
    message = executor.build_evm_message(invocation)  # type: ignore[arg-type]
    computation = executor.build_computation(message, invocation)  # type: ignore[arg-type]
    executor.finalize_computation(invocation, computation)  # type: ignore[arg-type]
    state.clear_transient_storage()
    gas_used, _ = _gas_used(computation, transaction.gas_limit, transaction.data)
    return Outcome(
        succeeded=computation.is_success,
        gas_used=gas_used,
        effective_gas_price=transaction.effective_gas_price(environment.base_fee_per_gas),
        sender=transaction.sender,
        contract_address=create_address(transaction.sender, transaction.nonce)
        if transaction.is_create and computation.is_success
        else b"",
        logs=tuple(
            Log(bytes(address), tuple(topic.to_bytes(32, "big") for topic in topics), bytes(data))
            for address, topics, data in computation.get_log_entries()
        ),
        output=bytes(computation.output),
    )


def _gas_used(computation: ComputationAPI, gas_limit: int, data: bytes) -> tuple[int, int]:
    """Gas charged and refund within it (EIP-3529, EIP-7623)."""
    consumed = gas_limit - computation.get_gas_remaining()
    refund = min(computation.get_gas_refund(), consumed // _REFUND_QUOTIENT)
    return max(consumed - refund, calldata_floor_gas(data)), refund


def _transaction_invocation(transaction: SignedTransaction) -> _Invocation:
    return _Invocation(
        sender=transaction.sender,
        to=transaction.to,
        value=transaction.value,
        data=transaction.data,
        gas=transaction.gas_limit,
        intrinsic_gas=_intrinsic_gas_of_py_evm(transaction.data, transaction.is_create, transaction.access_list),
        max_fee_per_gas=transaction.fee_per_gas_max,
        max_priority_fee_per_gas=transaction.priority_fee_per_gas_max,
        access_list=transaction.access_list,
        nonce=transaction.nonce,
        type_id=transaction.type,
    )


def _call_invocation(request: CallRequest) -> _Invocation:
    return _Invocation(
        sender=request.sender,
        to=request.to,
        value=request.value,
        data=request.data,
        gas=request.gas_limit,
        intrinsic_gas=_intrinsic_gas_of_py_evm(request.data, not request.to, request.access_list),
        max_fee_per_gas=request.gas_price,
        max_priority_fee_per_gas=request.gas_price,  # the lesser of both, base fee added, is then the price itself
        access_list=request.access_list,
        nonce=0,
        type_id=TransactionType.DYNAMIC_FEE,
    )


def _call_message(state: StateAPI, executor: PragueTransactionExecutor, request: CallRequest, gas: int) -> Message:
    """The outermost message, as py-evm's executor makes it of a transaction, without buying gas."""
    nonce = state.get_nonce(request.sender)  # type: ignore[arg-type]
    state.increment_nonce(request.sender)  # type: ignore[arg-type]
    if request.to:
        code, delegate = executor.get_code_at_address(request.to)  # type: ignore[arg-type]
        create = None
    else:
        code, delegate = request.data, None
        create = create_address(request.sender, nonce)
    return Message(
        gas=gas,
        to=request.to,  # type: ignore[arg-type]
        sender=request.sender,  # type: ignore[arg-type]
        value=request.value,
        data=request.data if request.to else b"",
        code=code,
        create_address=create,  # type: ignore[arg-type]
        is_delegation=delegate is not None,
    )


def _intrinsic_gas_of_py_evm(data: bytes, is_create: bool, access_list: AccessList) -> int:
    """py-evm charges for init code when it starts the computation, so it must not be charged before."""
    return intrinsic_gas(data, is_create, access_list) - (initcode_gas(data) if is_create else 0)


def _store_parent_hash(state: StateAPI, parent: EvmHeader) -> None:
    """EIP-2935: the history contract holds the hashes of the last 8 191 blocks."""
    state.set_storage(
        HISTORY_STORAGE_ADDRESS,  # type: ignore[arg-type]
        parent.number % _HISTORY_SERVE_WINDOW,
        int.from_bytes(parent.hash, "big"),
    )


def _override(state: StateAPI, address: bytes, override: AccountOverride) -> None:
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


def _error_text(computation: ComputationAPI) -> str:
    if isinstance(computation.error, Revert):
        return "execution reverted"
    if isinstance(computation.error, OutOfGas):
        return "out of gas"
    return f"{type(computation.error).__name__}: {computation.error}"


def _header(
    environment: BlockEnvironment,
    parent_hash: bytes,
    cometbft_height: int,
    state_root: bytes,
    transactions: Sequence[SignedTransaction],
    outcomes: Sequence[Outcome],
) -> EvmHeader:
    return EvmHeader(
        parent_hash=parent_hash,
        ommers_hash=EMPTY_OMMERS_HASH,
        fee_recipient=environment.fee_recipient,
        state_root=bytes(state_root),
        transactions_root=transactions_root(transactions),
        receipts_root=receipts_root(transactions, outcomes),
        logs_bloom=logs_bloom(log for outcome in outcomes for log in outcome.logs),
        difficulty=0,
        number=environment.number,
        gas_limit=environment.gas_limit,
        gas_used=sum(outcome.gas_used for outcome in outcomes),
        timestamp=environment.timestamp,
        extra_data=cometbft_height.to_bytes(8, "big"),
        prev_randao=environment.prev_randao,
        nonce=bytes(8),
        base_fee_per_gas=environment.base_fee_per_gas,
        withdrawals_root=EMPTY_TRIE_ROOT,
        blob_gas_used=0,
        excess_blob_gas=0,
        parent_beacon_block_root=bytes(32),
        requests_hash=EMPTY_REQUESTS_HASH,
    )
