"""The ABCI application: one EVM block for each CometBFT block that carries transactions.

The app hash is the hash of the newest EVM block. A CometBFT block without (valid) transactions makes no EVM block and
leaves the app hash as it is, so an idle chain stays idle. An Ethereum header wants a timestamp after its parent's in
whole seconds; therefore a CometBFT block whose time falls into the second of the last EVM block carries no
transactions: they wait in the mempool.

Proof path of a light client: CometBFT header h+1 -> app hash = hash of the newest EVM block at height h -> RLP header
-> state root -> account proof -> storage proof. ``query`` answers:

======================  ==========================  ==================================================
path                    data                        value
======================  ==========================  ==================================================
/evm/cometbft_height    EVM number, 8 bytes         height of the CometBFT block that carried it, 8 bytes
/evm/number             CometBFT height, 8 bytes    number of the newest EVM block at it, 8 bytes
/evm/header             EVM number, 8 bytes         RLP of the header
======================  ==========================  ==================================================

Integers are big endian.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from piebridge.abci.application import Application
from piebridge.abci.messages import (
    CODE_OK,
    CheckTxKind,
    CheckTxResponse,
    CommitResponse,
    ExecTxResult,
    FinalizeBlockRequest,
    FinalizeBlockResponse,
    InfoResponse,
    InitChainRequest,
    InitChainResponse,
    PrepareProposalRequest,
    ProcessProposalRequest,
    QueryRequest,
    QueryResponse,
)
from piebridge.crypto.errors import ConfigurationError
from piebridge.evm_chain.admission import BlockRules, PendingTransactions, ProposalBuilder, Senders, choose
from piebridge.evm_chain.block import EvmBlock, Outcome
from piebridge.evm_chain.chain_database import ChainDatabase, ChainHead
from piebridge.evm_chain.errors import CODESPACE, InvalidTransaction, RejectionCode
from piebridge.evm_chain.execution.executor import EvmExecutor
from piebridge.evm_chain.genesis import EvmGenesis, parse_genesis
from piebridge.evm_chain.header import next_base_fee
from piebridge.evm_chain.state_reader import StateReader
from piebridge.evm_chain.store import KeyValueStore
from piebridge.evm_chain.transaction import SignedTransaction, TransactionDecoder, decode_all

APP_NAME = "piebridge-evm"
"""Name in Info."""
APP_VERSION = 1
"""Protocol version, ``version.app`` of CometBFT's headers. Rises when a block would be executed differently."""
_SOFTWARE_VERSION = "0.1.0"
_NANOSECONDS = 1_000_000_000

CommitListener = Callable[[ChainHead, EvmBlock | None], None]
"""Told after each Commit: the new head and the EVM block that the CometBFT block carried, if any."""
AdmissionListener = Callable[[SignedTransaction], None]
"""Told of each transaction that is new to the mempool."""


@dataclass(frozen=True, slots=True)
class _Runtime:
    """What exists once the genesis is known."""

    genesis: EvmGenesis
    executor: EvmExecutor
    decoder: TransactionDecoder
    pending: PendingTransactions


@dataclass(frozen=True, slots=True)
class _Executed:
    """A block that was executed and waits for its Commit."""

    height: int
    block: EvmBlock | None
    nodes: Mapping[bytes, bytes]


class EvmApplication(Application):
    """EVM-on-ABCI. All methods of ``Application`` are called from one thread; ``database`` may be read from any."""

    def __init__(self, store: KeyValueStore) -> None:
        """Open the chain of a store, exactly at its last Commit.

        Args:
            store: empty for a new chain.
        """
        self.database = ChainDatabase(store)
        """The committed chain."""
        self._commit_listeners: list[CommitListener] = []
        self._admission_listeners: list[AdmissionListener] = []
        self._executed: _Executed | None = None
        self._runtime: _Runtime | None = None
        genesis_state = self.database.genesis_state
        if genesis_state is not None:
            self._start(parse_genesis(genesis_state))

    @property
    def genesis(self) -> EvmGenesis:
        """Genesis of the chain. Only after InitChain."""
        return self._running.genesis

    @property
    def executor(self) -> EvmExecutor:
        """Runs messages on committed states, from any thread. Only after InitChain."""
        return self._running.executor

    @property
    def pending(self) -> PendingTransactions:
        """What waits in this node's mempool. Only after InitChain."""
        return self._running.pending

    @property
    def decoder(self) -> TransactionDecoder:
        """Decodes transactions of this chain. Only after InitChain."""
        return self._running.decoder

    def add_commit_listener(self, listener: CommitListener) -> None:
        """Call a function after each Commit, on the engine's thread. It must not raise or take long."""
        self._commit_listeners.append(listener)

    def add_admission_listener(self, listener: AdmissionListener) -> None:
        """Call a function for each new transaction of the mempool, on the engine's thread."""
        self._admission_listeners.append(listener)

    def info(self) -> InfoResponse:
        """Height and app hash of the last Commit."""
        head = self.database.head
        height = 0 if head is None else head.cometbft_height
        return InfoResponse(
            data=APP_NAME,
            version=_SOFTWARE_VERSION,
            app_version=APP_VERSION,
            last_block_height=height,
            last_block_app_hash=head.block_hash if head is not None and height else b"",
        )

    def init_chain(self, request: InitChainRequest) -> InitChainResponse:
        """Make and store EVM block 0. May come again until the first Commit.

        Raises:
            ConfigurationError: ``app_state`` is wrong, or the store holds a chain that has begun.
        """
        head = self.database.head
        if head is not None and head.cometbft_height:
            raise ConfigurationError(
                f"the store holds chain {self.database.cometbft_chain_id!r} at height {head.cometbft_height}: "
                f"choose another folder for the new chain {request.chain_id!r}"
            )
        genesis = parse_genesis(request.app_state)
        executor = EvmExecutor(genesis, self.database.node)
        made = executor.genesis_block(request.time_ns // _NANOSECONDS)
        assert made.block is not None, "genesis always makes a block"
        self.database.write_genesis(made.block, made.nodes, request.app_state, request.chain_id)
        self._start(genesis)
        return InitChainResponse(app_hash=made.block.header.hash)

    def check_tx(self, tx: bytes, kind: CheckTxKind) -> CheckTxResponse:
        """Admit a transaction to the mempool or let it stay (rules in ``admission``)."""
        running = self._running
        try:
            transaction = running.decoder.decode(tx)
            running.pending.admit(transaction, recheck=kind is CheckTxKind.RECHECK)
        except InvalidTransaction as invalid:
            return CheckTxResponse(code=invalid.code, log=str(invalid), codespace=CODESPACE)
        if kind is CheckTxKind.NEW:
            for listener in self._admission_listeners:
                listener(transaction)
        return CheckTxResponse(code=CODE_OK, gas_wanted=transaction.gas_limit)

    def prepare_proposal(self, request: PrepareProposalRequest) -> tuple[bytes, ...]:
        """Choose transactions in order of arrival; none where the second is taken."""
        if not self._second_is_free(request.time_ns):
            return ()
        pending = self._running.pending
        candidates = [
            decoded
            for decoded in decode_all(self._running.decoder, request.txs)
            if isinstance(decoded, SignedTransaction) and not pending.is_replaced(decoded.hash)
        ]
        return tuple(
            transaction.raw for transaction in choose(self._proposal_builder(), candidates, request.max_tx_bytes)
        )

    def process_proposal(self, request: ProcessProposalRequest) -> bool:
        """Accept a block whose transactions may all stand where they are; reject any where the second is taken."""
        if not request.txs:
            return True
        if not self._second_is_free(request.time_ns):
            return False
        builder = self._proposal_builder()
        try:
            for tx in request.txs:
                builder.add(self._running.decoder.decode(tx))
        except InvalidTransaction:
            return False
        return True

    def finalize_block(self, request: FinalizeBlockRequest) -> FinalizeBlockResponse:
        """Execute a decided block in memory."""
        running, head = self._running, self._head
        assert request.height > head.cometbft_height, "the engine must not repeat a committed height"
        if not request.txs:
            return self._finish(request.height, None, {}, (), head.block_hash)
        if not self._second_is_free(request.time_ns):
            taken = InvalidTransaction(RejectionCode.SECOND_OCCUPIED, "the last EVM block has this second")
            return self._finish(request.height, None, {}, (_refused(taken),) * len(request.txs), head.block_hash)
        environment = running.executor.next_environment(
            head.header, request.time_ns // _NANOSECONDS, request.hash, request.proposer_address
        )
        executed = running.executor.execute_block(
            head.header,
            environment,
            request.height,
            decode_all(running.decoder, request.txs),
            self.database.ancestor_hashes(head.header.number),
        )
        results = tuple(
            _refused(result) if isinstance(result, InvalidTransaction) else _included(result)
            for result in executed.results
        )
        app_hash = head.block_hash if executed.block is None else executed.block.header.hash
        return self._finish(request.height, executed.block, executed.nodes, results, app_hash)

    def commit(self) -> CommitResponse:
        """Store the executed block in one durable batch."""
        executed = self._executed
        assert executed is not None, "commit without finalize_block"
        head = self.database.commit(executed.height, executed.block, executed.nodes)
        self._executed = None
        self._running.pending.reset(self._senders(), self._rules())
        for listener in self._commit_listeners:
            listener(head, executed.block)
        return CommitResponse()

    def query(self, request: QueryRequest) -> QueryResponse:
        """Answer the paths of the module's documentation."""
        answers: Mapping[str, Callable[[int], bytes | None]] = {
            "/evm/cometbft_height": lambda number: _eight_bytes(self.database.cometbft_height(number)),
            "/evm/number": lambda height: _eight_bytes(self.database.number_at_cometbft_height(height)),
            "/evm/header": self._encoded_header,
        }
        answer = answers.get(request.path)
        if answer is None:
            return QueryResponse(code=1, log=f"unknown path {request.path!r}", codespace=CODESPACE)
        if len(request.data) != 8:
            return QueryResponse(code=2, log=f"data has {len(request.data)} bytes, not 8", codespace=CODESPACE)
        value = answer(int.from_bytes(request.data, "big"))
        if value is None:
            return QueryResponse(code=3, log="not found", codespace=CODESPACE, key=request.data)
        return QueryResponse(code=CODE_OK, key=request.data, value=value, height=self._head.cometbft_height)

    def _finish(
        self,
        height: int,
        block: EvmBlock | None,
        nodes: Mapping[bytes, bytes],
        results: tuple[ExecTxResult, ...],
        app_hash: bytes,
    ) -> FinalizeBlockResponse:
        self._executed = _Executed(height, block, nodes)
        return FinalizeBlockResponse(tx_results=results, app_hash=app_hash)

    def _start(self, genesis: EvmGenesis) -> None:
        self._runtime = _Runtime(
            genesis=genesis,
            executor=EvmExecutor(genesis, self.database.node),
            decoder=TransactionDecoder(genesis.chain_id),
            pending=PendingTransactions(self._senders(), self._rules_of(genesis)),
        )

    @property
    def _running(self) -> _Runtime:
        assert self._runtime is not None, "InitChain has not been called"
        return self._runtime

    @property
    def _head(self) -> ChainHead:
        head = self.database.head
        assert head is not None, "InitChain has not been called"
        return head

    def _second_is_free(self, time_ns: int) -> bool:
        return time_ns // _NANOSECONDS > self._head.header.timestamp

    def _senders(self) -> Senders:
        return Senders(StateReader(self.database.node, self._head.header.state_root))

    def _rules(self) -> BlockRules:
        return self._rules_of(self.genesis)

    def _rules_of(self, genesis: EvmGenesis) -> BlockRules:
        return BlockRules(next_base_fee(self._head.header), genesis.gas_limit)

    def _proposal_builder(self) -> ProposalBuilder:
        return ProposalBuilder(self._senders(), self._rules())

    def _encoded_header(self, number: int) -> bytes | None:
        header = self.database.header(number)
        return None if header is None else header.encode()


def _included(outcome: Outcome) -> ExecTxResult:
    """An included transaction has code 0 also where the EVM reverted: it has paid and used its nonce."""
    return ExecTxResult(
        code=CODE_OK,
        data=b"\x01" if outcome.succeeded else b"\x00",
        log="" if outcome.succeeded else "execution reverted",
        gas_used=outcome.gas_used,
    )


def _refused(invalid: InvalidTransaction) -> ExecTxResult:
    return ExecTxResult(code=invalid.code, log=str(invalid), codespace=CODESPACE)


def _eight_bytes(value: int | None) -> bytes | None:
    return None if value is None else value.to_bytes(8, "big")
