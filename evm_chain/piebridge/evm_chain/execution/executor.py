"""Blocks: lists of transactions run on the state of a parent."""

from collections.abc import Iterable, Mapping, Sequence

from eth.abc import StateAPI

from piebridge.evm_chain.block import EvmBlock, Outcome, logs_bloom, receipts_root, transactions_root
from piebridge.evm_chain.errors import InvalidTransaction
from piebridge.evm_chain.execution.messages import AccountOverride, BlockEnvironment, ExecutedBlock
from piebridge.evm_chain.execution.simulation import Simulation
from piebridge.evm_chain.execution.transition import apply_transaction
from piebridge.evm_chain.execution.world_state import (
    NodeReader,
    StateDatabase,
    open_state,
    override_account,
    store_parent_hash,
)
from piebridge.evm_chain.genesis import EvmGenesis
from piebridge.evm_chain.header import (
    EMPTY_OMMERS_HASH,
    EMPTY_REQUESTS_HASH,
    EMPTY_TRIE_ROOT,
    EvmHeader,
    next_base_fee,
)
from piebridge.evm_chain.transaction import SignedTransaction


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
        database = StateDatabase(self._read_node)
        state = self._open(database, EMPTY_TRIE_ROOT, environment, ())
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
        database = StateDatabase(self._read_node)
        state = self._open(database, parent.state_root, environment, ancestor_hashes)
        store_parent_hash(state, parent)
        included: list[SignedTransaction] = []
        outcomes: list[Outcome] = []
        results: list[Outcome | InvalidTransaction] = []
        gas_left = environment.gas_limit
        for transaction in transactions:
            result = (
                transaction
                if isinstance(transaction, InvalidTransaction)
                else apply_transaction(state, environment, transaction, gas_left)
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
    ) -> Simulation:
        """A state in memory on which messages can be tried, each from the same start."""
        state = self._open(StateDatabase(self._read_node), state_root, environment, ancestor_hashes)
        for address, override in sorted((overrides or {}).items()):
            override_account(state, address, override)
        state.lock_changes()
        return Simulation(state)

    def _open(
        self,
        database: StateDatabase,
        state_root: bytes,
        environment: BlockEnvironment,
        ancestor_hashes: Iterable[bytes],
    ) -> StateAPI:
        return open_state(database, state_root, environment, ancestor_hashes, self._genesis.chain_id)


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
