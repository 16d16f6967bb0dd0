"""The core of the embedded engine: decides blocks, drives the application, keeps the chain. Reads no clock.

Order of a block, and what a crash leaves behind:

1. PrepareProposal, ProcessProposal, FinalizeBlock: in memory only. A crash leaves nothing.
2. Sign, then write block, commit, results and engine state in one durable transaction. A crash after it leaves the
   application one height behind: the handshake replays FinalizeBlock and Commit of that very block.
3. Commit of the application, durable by its contract. Only now is the block published.

So a height is signed once: what was not written was not published, and what was written is never decided again.

Source: ``state/execution.go``, ``consensus/state.go``, ``consensus/replay.go`` of CometBFT v0.40.0.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from piebridge.abci.application import Application
from piebridge.abci.embedded.errors import (
    ApplicationFaultError,
    EngineError,
    HandshakeError,
    MempoolError,
    NoQuorumError,
)
from piebridge.abci.embedded.faults import Faults
from piebridge.abci.embedded.genesis import GenesisDocument
from piebridge.abci.embedded.keys import ValidatorKey
from piebridge.abci.embedded.mempool import Mempool, MempoolLimits
from piebridge.abci.embedded.state import EngineState
from piebridge.abci.embedded.store import EngineStore, StoredBlock
from piebridge.abci.messages import (
    CheckTxKind,
    CheckTxResponse,
    CommitVote,
    FinalizeBlockRequest,
    FinalizeBlockResponse,
    InfoResponse,
    PrepareProposalRequest,
    ProcessProposalRequest,
    QueryRequest,
    QueryResponse,
)
from piebridge.cometbft.block import Block, max_data_bytes
from piebridge.cometbft.commit import BlockId, BlockIdFlag, Commit, CommitSig
from piebridge.cometbft.encoding import message_field
from piebridge.cometbft.validator_set import ValidatorSet
from piebridge.cometbft.verification import LightBlock, SignedHeader, verify_commit
from piebridge.cometbft.vote import VoteType, vote_sign_bytes
from piebridge.crypto.errors import VerificationError
from piebridge.failpoints import reach

QueryHandler = Callable[[QueryRequest], QueryResponse]
"""Answers ABCI Query for one validator."""

_VOTE_TIME_STEP_NS = 1_000_000
"""A vote is at least this much later than the block it is for, so block times strictly increase."""

_log = logging.getLogger(__name__)


class EmbeddedEngine:
    """One chain: its application, its validator keys, its blocks. Not thread-safe."""

    def __init__(
        self,
        application: Application,
        genesis: GenesisDocument,
        validator_keys: Sequence[ValidatorKey],
        *,
        home: Path | None = None,
        query_handlers: Sequence[QueryHandler] | None = None,
        mempool_limits: MempoolLimits | None = None,
        fail_point: Callable[[str], None] = reach,
    ) -> None:
        """Open the chain: InitChain at its first start, else the restart handshake.

        Args:
            application: The application; called from this engine only, never during another call.
            genesis: What the chain starts with.
            validator_keys: Keys that vote, in the order of the RPC ports. Members of a set without a key are absent.
            home: Directory for the blocks; None keeps them in memory, with an application that does so too.
            query_handlers: One for each key, in order: what validator i answers to ABCI Query. The application
                answers for all where None.
            mempool_limits: Bounds of the mempool.
            fail_point: Called with a name of `failpoints.ENGINE` after every step that a crash could follow; tests
                raise from it.

        Raises:
            HandshakeError: application, store and genesis do not belong together.
            EngineError: the store cannot be used.
        """
        if query_handlers is not None and len(query_handlers) != len(validator_keys):
            raise EngineError(f"{len(query_handlers)} query handlers for {len(validator_keys)} validator keys")
        self.application = application
        self.genesis = genesis
        self.validator_keys = tuple(validator_keys)
        self.faults = Faults()
        self.mempool = Mempool(application, mempool_limits)
        self.on_block: list[Callable[[StoredBlock], None]] = []
        """Called with every block after it is committed."""
        self._keys = {key.address: key for key in validator_keys}
        self._query_handlers = tuple(query_handlers or [application.query] * len(validator_keys))
        self._fail_point = fail_point
        self._halted: BaseException | None = None
        self.store = EngineStore(home)
        try:
            self.store.bind_genesis(genesis.hash())
            self._state = self._handshake()
            self._last = self.block(self.height) if self.height else None
            self._bound_mempool()
        except BaseException:
            self.store.close()
            raise

    def close(self) -> None:
        """Close the store. The application's own resources are its owner's business."""
        self.store.close()

    @property
    def state(self) -> EngineState:
        """State after the last block."""
        return self._state

    @property
    def height(self) -> int:
        """Height of the last block, 0 before the first."""
        return self._state.last_height

    @property
    def halted(self) -> BaseException | None:
        """What stopped the engine for good, None while it runs."""
        return self._halted

    @property
    def proof_block_needed(self) -> bool:
        """Whether a block is due although no transaction waits: the first, or one whose header proves a new state."""
        return self._last is None or self._last.block.header.app_hash != self._state.app_hash

    def submit_tx(self, tx: bytes) -> CheckTxResponse:
        """Offer a transaction to the mempool; what CheckTx answered.

        Raises:
            MempoolError: too large, known already, or no room.
        """
        with self._halt_on_error():
            return self.mempool.submit(tx)

    def check_tx(self, tx: bytes) -> CheckTxResponse:
        """Ask the application about a transaction without offering it to the mempool."""
        with self._halt_on_error():
            return self.application.check_tx(tx, CheckTxKind.NEW)

    def query(self, validator_index: int, request: QueryRequest) -> QueryResponse:
        """Ask what the validator with this index (in the order of the keys) answers."""
        return self._query_handlers[validator_index](request)

    def info(self) -> InfoResponse:
        """Ask the application for its state."""
        return self.application.info()

    def add_validator_key(self, key: ValidatorKey) -> None:
        """Let one more key vote, once an application's update has put it into the set."""
        self._keys[key.address] = key

    def light_block(self, height: int) -> LightBlock:
        """Return header, commit and validators of a height.

        Raises:
            EngineError: there is no such block.
        """
        stored = self.block(height)
        validators = self.validators(height).without_rotation()
        return LightBlock(SignedHeader(stored.block.header, stored.seen_commit), validators)

    def block(self, height: int) -> StoredBlock:
        """Return a block with its commit and results.

        Raises:
            EngineError: there is no such block.
        """
        stored = self.store.load_block(height)
        if stored is None:
            raise EngineError(
                f"there is no block {height}; blocks {self.store.base_height()} to {self.height} are kept"
            )
        return stored

    def validators(self, height: int) -> ValidatorSet:
        """Return the set that decides a height, known up to two above the last block.

        Raises:
            EngineError: it is not known.
        """
        validators = self.store.load_validators(height)
        if validators is None:
            raise EngineError(f"the validators of height {height} are not known")
        return validators

    def make_block(self, now_ns: int) -> StoredBlock:
        """Decide, execute and commit the next block.

        Args:
            now_ns: Time of the validators' clocks, nanoseconds since the Unix epoch. Times that do not advance are
                allowed; block times increase all the same.

        Returns:
            The block with commit and results.

        Raises:
            NoQuorumError: too little voting power votes; the chain stands until that changes.
            ApplicationFaultError: the application broke a rule; the engine has halted.
            EngineError: the engine has halted before.
        """
        self._check_quorum()
        with self._halt_on_error():
            stored = self._make_block(now_ns)
        for listener in self.on_block:
            listener(stored)
        return stored

    def replay_block(self, txs: Sequence[bytes], proposer_address: bytes, commit: Commit) -> StoredBlock:
        """Execute and keep the next block as other validators decided it, for example on CometBFT.

        Everything else that the block consists of, this engine makes itself, so the commit fits only if both engines
        agree on every byte of the header, and with it on the results and the state of the block before.

        Args:
            txs: Transactions of the block, in order.
            proposer_address: Who proposed it.
            commit: Votes for it, as the next block names them (the block's time follows from those of the last one).

        Raises:
            VerificationError: the votes are not for this block, or not enough; nothing has changed.
            ApplicationFaultError: the application refuses the block or broke a rule; the engine has halted.
            EngineError: the engine has halted before.
        """
        state = self._state
        if state.validators.by_address(proposer_address) is None:
            raise VerificationError(f"proposer of block {state.next_height} is no validator", actual=proposer_address)
        block = state.make_block(txs, self._last_commit(), proposer_address)
        block_id = block.id()
        if commit.height != state.next_height or commit.block_id != block_id:
            raise VerificationError(
                f"the votes are not for block {state.next_height} as this engine makes it",
                expected=block_id.hash,
                actual=commit.block_id.hash,
            )
        verify_commit(state.chain_id, state.validators, commit)
        with self._halt_on_error():
            self._require_accepted(block)
            stored = self._execute(block, block_id, lambda: commit)
        for listener in self.on_block:
            listener(stored)
        return stored

    def _make_block(self, now_ns: int) -> StoredBlock:
        round_, proposer_address = self._proposer()
        block = self._propose(self._last_commit(), proposer_address)
        validators, block_id = self._state.validators, block.id()

        def sign() -> Commit:
            return self.sign_commit(
                block.header.height,
                round_,
                block_id,
                validators,
                earliest_ns=block.header.time_ns + _VOTE_TIME_STEP_NS,
                now_ns=now_ns,
                faults=self.faults,
            )

        return self._execute(block, block_id, sign)

    def _last_commit(self) -> Commit:
        return Commit() if self._last is None else self._last.seen_commit

    def _execute(self, block: Block, block_id: BlockId, votes: Callable[[], Commit]) -> StoredBlock:
        response = self._finalize(block)
        self._fail_point("engine.after_finalize_block")
        commit = votes()
        next_state = self._state.after(block.header, block_id, response)
        self._fail_point("engine.before_save_block")
        stored = self.store.save_block(block, commit, response, next_state)
        self._fail_point("engine.after_save_block")
        retain_height = self.application.commit().retain_height
        self._fail_point("engine.after_commit")
        self._state, self._last = next_state, stored
        if retain_height:
            self.store.prune(retain_height)
        self._bound_mempool()
        self.mempool.update(block.txs, response.tx_results)
        return stored

    def sign_commit(
        self,
        height: int,
        round_: int,
        block_id: BlockId,
        validators: ValidatorSet,
        *,
        earliest_ns: int,
        now_ns: int,
        faults: Faults,
    ) -> Commit:
        """Let the keys vote. The caller is answerable for voting once for a height.

        Args:
            height: Height voted on.
            round_: Round of the decision.
            block_id: The block.
            validators: The set of the height; one entry of the commit for each member.
            earliest_ns: No vote is earlier than this.
            now_ns: Time of the clocks.
            faults: Who does not vote, or wrongly.
        """
        chain_id = self.genesis.chain_id
        signatures: list[CommitSig] = []
        for member in validators.validators:
            address = member.address
            key = self._keys.get(address)
            if key is None or address in faults.absent:
                signatures.append(CommitSig.absent())
                continue
            flag = BlockIdFlag.NIL if address in faults.nil_votes else BlockIdFlag.COMMIT
            time_ns = max(now_ns + faults.clock_offsets_ns.get(address, 0), earliest_ns)
            voted = block_id if flag is BlockIdFlag.COMMIT else BlockId()
            message = vote_sign_bytes(chain_id, VoteType.PRECOMMIT, height, round_, voted, time_ns)
            signatures.append(CommitSig(flag, address, time_ns, key.sign(message)))
        return Commit(height, round_, block_id, tuple(signatures))

    def _check_quorum(self) -> None:
        validators = self._state.validators
        unable = self.faults.absent | self.faults.nil_votes
        power = sum(
            member.voting_power
            for member in validators.validators
            if member.address in self._keys and member.address not in unable
        )
        if power * 3 <= validators.total_voting_power * 2:
            raise NoQuorumError(
                f"height {self._state.next_height}: {power} of {validators.total_voting_power} voting power can vote; "
                "more than 2/3 is needed"
            )

    def _proposer(self) -> tuple[int, bytes]:
        """Find the first round whose proposer is there, and that proposer; the rotation itself is not touched."""
        validators, round_ = self._state.validators, 0
        while (address := validators.proposer.address) not in self._keys or address in self.faults.absent:
            validators, round_ = validators.moved_on(), round_ + 1
        return round_, address

    def _propose(self, last_commit: Commit, proposer_address: bytes) -> Block:
        state = self._state
        params = state.consensus_params
        room = self._room_bytes()
        txs = self.application.prepare_proposal(
            PrepareProposalRequest(
                max_tx_bytes=room,
                txs=self.mempool.reap(room, params.block_max_gas),
                height=state.next_height,
                time_ns=state.block_time_ns(last_commit),
                proposer_address=proposer_address,
            )
        )
        size = sum(len(message_field(1, tx)) for tx in txs)
        if size > room:
            raise ApplicationFaultError(
                f"PrepareProposal {state.next_height} answered {size} bytes, {room} are allowed"
            )
        block = state.make_block(txs, last_commit, proposer_address)
        self._require_accepted(block)
        return block

    def _require_accepted(self, block: Block) -> None:
        accepted = self.application.process_proposal(
            ProcessProposalRequest(
                txs=block.txs,
                hash=block.header.hash(),
                height=block.header.height,
                time_ns=block.header.time_ns,
                proposer_address=block.header.proposer_address,
            )
        )
        if not accepted:
            raise ApplicationFaultError(f"ProcessProposal {block.header.height} rejects a block that is to be decided")

    def _room_bytes(self) -> int:
        params, count = self._state.consensus_params, len(self._state.validators)
        room = max_data_bytes(params.block_max_bytes, count)
        if room < 0:
            raise EngineError(f"block_max_bytes of {params.block_max_bytes} leaves no room for the votes of {count}")
        return room

    def _bound_mempool(self) -> None:
        self.mempool.bound_by_block(self._room_bytes(), self._state.consensus_params.block_max_gas)

    def _finalize(self, block: Block) -> FinalizeBlockResponse:
        header = block.header
        response = self.application.finalize_block(
            FinalizeBlockRequest(
                txs=block.txs,
                hash=header.hash(),
                height=header.height,
                time_ns=header.time_ns,
                next_validators_hash=header.next_validators_hash,
                proposer_address=header.proposer_address,
                decided_last_commit=self._last_votes(block),
            )
        )
        if len(response.tx_results) != len(block.txs):
            raise ApplicationFaultError(
                f"FinalizeBlock {header.height} answered {len(response.tx_results)} results for {len(block.txs)} "
                "transactions"
            )
        return response

    def _last_votes(self, block: Block) -> tuple[CommitVote, ...]:
        if not block.last_commit.signatures:
            return ()
        members = self.validators(block.header.height - 1).validators
        return tuple(
            CommitVote(member.address, member.voting_power, int(signature.flag))
            for member, signature in zip(members, block.last_commit.signatures, strict=True)
        )

    def _handshake(self) -> EngineState:
        """Bring store and application to one height, or refuse (``Handshaker.ReplayBlocks``)."""
        info = self.application.info()
        state = self.store.load_state()
        store_height = self.store.last_height()
        if info.last_block_height > store_height:
            raise HandshakeError(
                f"the application is at height {info.last_block_height}, the block store at {store_height}: the store "
                "lost blocks or belongs to another run; restore it, or empty the application's directory to replay"
            )
        if state is None and store_height:
            raise HandshakeError(f"the block store has {store_height} blocks but no state; restore it from a copy")
        if state is not None and state.last_height != store_height:
            raise HandshakeError(f"the engine's state is of height {state.last_height}, the last block {store_height}")
        if info.last_block_height == 0:
            response = self.application.init_chain(self.genesis.init_chain_request())
            self._fail_point("engine.after_init_chain")
            initial = EngineState.genesis(self.genesis, info.app_version, response)
            if state is None:
                state = initial
                self.store.save_genesis_state(state)
                self._fail_point("engine.after_save_genesis_state")
            elif store_height == 0 and initial != state:
                raise HandshakeError(
                    "InitChain answers otherwise than at the first start; the application or its version changed"
                )
        assert state is not None, "an application above height 0 has a store above height 0"
        self._replay(info)
        return state

    def _replay(self, info: InfoResponse) -> None:
        base, last = self.store.base_height(), self.store.last_height()
        if not last:
            return
        first = max(info.last_block_height + 1, self.genesis.initial_height)
        if first < base:
            raise HandshakeError(
                f"the application is at height {info.last_block_height} but blocks below {base} are pruned; restore "
                "the application's directory from a copy"
            )
        if info.last_block_height:
            expected = self.block(info.last_block_height).response.app_hash
            _check_app_hash(info.last_block_height, expected, info.last_block_app_hash)
        for height in range(first, last + 1):
            _log.info("replaying block", extra={"height": height})
            stored = self.block(height)
            _check_app_hash(height, stored.response.app_hash, self._finalize(stored.block).app_hash)
            self.application.commit()
            self._fail_point("engine.after_replayed_commit")

    @contextmanager
    def _halt_on_error(self) -> Iterator[None]:
        """Stop for good when a step fails half-way: going on could decide on a state that the application never had."""
        if self._halted is not None:
            raise EngineError(f"the engine has halted: {self._halted!r}") from self._halted
        try:
            yield
        except MempoolError:
            raise
        except BaseException as error:
            self._halted = error
            raise


def _check_app_hash(height: int, expected: bytes, actual: bytes) -> None:
    if expected != actual:
        raise HandshakeError(
            f"app hash of height {height} is 0x{actual.hex()} in the application and 0x{expected.hex()} in the block "
            "store: the application is not deterministic, changed its version, or belongs to another run; empty its "
            "directory to replay all blocks"
        )
