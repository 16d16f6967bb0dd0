"""The relay chain as an ABCI application. Pure: its backend is a port, its time that of the blocks."""

from collections.abc import Sequence

from piebridge.abci.application import Application
from piebridge.abci.messages import (
    CheckTxKind,
    CheckTxResponse,
    CommitResponse,
    Event,
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
    ValidatorUpdate,
)
from piebridge.cometbft.keys import SECP256K1_ETH
from piebridge.crypto.errors import ConfigurationError, ProtocolError
from piebridge.protocol_stack.relay_genesis import RelayGenesis
from piebridge.protocol_stack.relay_messages import INVALID_COST, VALIDITY_HEIGHTS_MAX, TransactionBody, TransactionKind
from piebridge.relay.app import genesis, keys, quotas, retention
from piebridge.relay.app.admission import CODESPACE, Code, NotAdmittedError, ProposalRule, admit
from piebridge.relay.app.context import NANOSECONDS_PER_SECOND, Context, Events, Outgoing, RefusedError
from piebridge.relay.app.handlers import HANDLERS
from piebridge.relay.app.handlers.governor import is_in_force
from piebridge.relay.app.outbox import make_entries
from piebridge.relay.app.queries import answer
from piebridge.relay.app.retention import Remembered
from piebridge.relay.app.state import Backend, Overlay, Reader, RelayState
from piebridge.relay.app.store import Store, View
from piebridge.relay.app.transaction_cache import KnownTransaction, TransactionCache

APP_VERSION = 1
"""Protocol version of the application; a change of rules that nodes must share is a new one."""

_REPLAY_RECORD_LENGTH = 8 + 32


class RelayApplication(Application):
    """One relay chain. Serves the three connections of one engine; not thread-safe."""

    def __init__(self, backend: Backend, version: str = "dev") -> None:
        """Open the chain exactly at its last commit.

        Args:
            backend: durable storage.
            version: software version, for people.

        Raises:
            ConfigurationError: the storage is damaged.
        """
        self.state = RelayState(backend)
        self._version = version
        self._genesis: Overlay | None = None
        self._waiting: dict[bytes, int] = {}
        self._cache = TransactionCache()
        self._executed: tuple[bytes, ...] = ()

    def info(self) -> InfoResponse:
        """Tell height and hash of the last commit."""
        app_hash = self.state.app_hash if self.state.height else b""
        return InfoResponse("piebridge-relay", self._version, APP_VERSION, self.state.height, app_hash)

    def init_chain(self, request: InitChainRequest) -> InitChainResponse:
        """Build the genesis state in memory; it becomes durable with the first block.

        Raises:
            ConfigurationError: the genesis document is not the one of a relay chain, or names other validators.
        """
        try:
            document = RelayGenesis.parse(request.app_state)
        except ProtocolError as error:
            raise ConfigurationError(f"the genesis document is not that of a relay chain: {error}") from error
        wanted = [ValidatorUpdate(SECP256K1_ETH, item.consensus_key, 1) for item in document.validator_set.validators]
        if request.chain_id != document.chain_id or _sorted(request.validators) != _sorted(wanted):
            raise ConfigurationError(
                f"the genesis document names chain {request.chain_id!r} and its validators; its relay chain is "
                f"{document.chain_id!r}, whose validators have power 1 each"
            )
        overlay = Overlay(self.state)
        genesis.write(Context(overlay, 0, request.time_ns), document)
        self._genesis = overlay
        return InitChainResponse(self.state.stage(0, overlay.changes))

    def check_tx(self, tx: bytes, kind: CheckTxKind) -> CheckTxResponse:
        """Admit a transaction to the mempool: container, quota, and of a governor message everything."""
        view, height = View(self._base), self.state.height + 1
        if not view.is_initialised:
            return CheckTxResponse(Code.REFUSED, "the chain has not started", codespace=CODESPACE)
        try:
            known = admit(view, self._cache, tx, height, self._waiting)
            if known.transaction.kind is TransactionKind.GOVERNOR:
                self._check_governor(known.body, height)
                return CheckTxResponse(Code.OK)
            if kind is CheckTxKind.NEW:
                _ = known.body
        except NotAdmittedError as error:
            return CheckTxResponse(error.code, str(error), codespace=CODESPACE)
        except ProtocolError as error:
            code = Code.REFUSED if isinstance(error, RefusedError) else Code.INVALID
            return CheckTxResponse(code, str(error), codespace=CODESPACE)
        account = quotas.account(view, known.sender)
        self._waiting[account] = self._waiting.get(account, 0) + 1
        return CheckTxResponse(Code.OK)

    def prepare_proposal(self, request: PrepareProposalRequest) -> tuple[bytes, ...]:
        """Choose the transactions of a block: in order, while they fit, and only what may stand in one."""
        rule = self._proposal_rule(request.height)
        return tuple(tx for tx in super().prepare_proposal(request) if rule.accepts(tx))

    def process_proposal(self, request: ProcessProposalRequest) -> bool:
        """Refuse a block with a transaction that no sender pays for; see :class:`ProposalRule`."""
        rule = self._proposal_rule(request.height)
        return all(rule.accepts(tx) for tx in request.txs)

    def finalize_block(self, request: FinalizeBlockRequest) -> FinalizeBlockResponse:
        """Execute a block in memory."""
        block = _Block(self._base, self._cache, request)
        results = tuple(block.deliver(tx) for tx in request.txs)
        events = block.finish()
        changes = {**(self._genesis.changes if self._genesis is not None else {}), **block.overlay.changes}
        app_hash = self.state.stage(request.height, changes)
        self._executed = request.txs
        return FinalizeBlockResponse(results, app_hash, block.validator_updates(), events=_events(events))

    def commit(self) -> CommitResponse:
        """Make the block durable."""
        self.state.commit()
        self._genesis = None
        self._waiting.clear()
        for tx in self._executed:
            self._cache.forget(tx)
        self._executed = ()
        return CommitResponse()

    def query(self, request: QueryRequest) -> QueryResponse:
        """Answer from committed state."""
        return answer(self.state, request)

    @property
    def _base(self) -> Reader:
        return self.state if self._genesis is None else self._genesis

    def _proposal_rule(self, height: int) -> ProposalRule:
        return ProposalRule(
            View(self._base), self._cache, height, lambda carried: self._check_governor(carried, height)
        )

    def _check_governor(self, carried: TransactionBody, height: int) -> None:
        handler = HANDLERS[TransactionKind.GOVERNOR]
        # Its checks read no time, so any will do.
        ctx = Context(Overlay(self._base), height, 0)
        if is_in_force(ctx.relay, handler.validate(ctx, carried)):
            # In a block it does nothing; here it would be a ticket for anybody to fill blocks with, free of any quota.
            raise RefusedError("governor message has had its effect already")


class _Block:
    """A block in execution."""

    def __init__(self, base: Reader, cache: TransactionCache, request: FinalizeBlockRequest) -> None:
        self._cache = cache
        self.overlay = Overlay(base)
        self._store = Store(self.overlay)
        self._old_keys = _consensus_keys(self._store)
        self._height, self._time_ns = request.height, request.time_ns
        self._outgoing: list[Outgoing] = []
        self._remembered = list[Remembered]()
        self._digests = b""
        self._forget_replays()
        retention.sweep(self._store, self._time_seconds)

    def deliver(self, tx: bytes) -> ExecTxResult:
        """Execute one transaction; a failed one changes nothing but quota and replay protection."""
        try:
            known = admit(self._store, self._cache, tx, self._height)
        except NotAdmittedError as error:
            return ExecTxResult(error.code, log=str(error), codespace=CODESPACE)
        ctx = Context(self.overlay.child(), self._height, self._time_ns)
        kind = known.transaction.kind
        try:
            message = known.body
            handler = HANDLERS[kind]
            news, events = handler.execute(ctx, message, handler.validate(ctx, message))
        except RefusedError as error:
            return self._failed(known, Code.REFUSED, quotas.VALID_COST, error)
        except ProtocolError as error:
            return self._failed(known, Code.INVALID, INVALID_COST, error)
        self.overlay.absorb(ctx.overlay)
        self._outgoing.extend(ctx.outgoing)
        self._remembered.extend(ctx.remembered)
        if kind is not TransactionKind.GOVERNOR:
            quotas.charge(self._store, known.sender, self._height, quotas.VALID_COST)
        self._remember(known)
        return ExecTxResult(Code.OK, data=news.to_bytes(4, "big"), events=_events(events))

    def finish(self) -> Events:
        """Make the outbox entries of the block and write its replay protection."""
        made = make_entries(self._store, self._outgoing, self._height, self._time_seconds)
        retention.remember(self._store, self._time_seconds, [*self._remembered, *made.remembered])
        if self._digests:
            self._store.set(keys.replay_block(self._height), self._digests)
        return made.events

    def validator_updates(self) -> tuple[ValidatorUpdate, ...]:
        """Return how the consensus set changed: each key at most once, whatever number of messages changed it."""
        new_keys = _consensus_keys(self._store)
        joined = [ValidatorUpdate(SECP256K1_ETH, key, 1) for key in new_keys if key not in self._old_keys]
        left = [ValidatorUpdate(SECP256K1_ETH, key, 0) for key in self._old_keys if key not in new_keys]
        return (*joined, *left)

    @property
    def _time_seconds(self) -> int:
        return self._time_ns // NANOSECONDS_PER_SECOND

    def _failed(self, known: KnownTransaction, code: Code, cost: int, error: ProtocolError) -> ExecTxResult:
        # It is remembered all the same: nobody shall burn a gateway's quota with its own failed transaction.
        quotas.charge(self._store, known.sender, self._height, cost)
        self._remember(known)
        return ExecTxResult(code, log=str(error), codespace=CODESPACE)

    def _remember(self, known: KnownTransaction) -> None:
        valid_until = known.transaction.valid_until
        self._store.set(keys.replay(valid_until, known.replay_id), b"\x01")
        self._digests += valid_until.to_bytes(8, "big") + known.replay_id

    def _forget_replays(self) -> None:
        """Forget the transactions of the block behind which none of them can be valid any more."""
        old = self._height - VALIDITY_HEIGHTS_MAX - 1
        records = self._store.get(keys.replay_block(old)) if old > 0 else None
        if records is None:
            return
        for start in range(0, len(records), _REPLAY_RECORD_LENGTH):
            record = records[start : start + _REPLAY_RECORD_LENGTH]
            self._store.set(keys.replay(int.from_bytes(record[:8], "big"), record[8:]), None)
        self._store.set(keys.replay_block(old), None)


def _events(events: Events) -> tuple[Event, ...]:
    return tuple(Event(event.kind, event.attributes) for event in events)


def _consensus_keys(view: View) -> list[bytes]:
    return [item.consensus_key for item in view.validators.validators]


def _sorted(validators: Sequence[ValidatorUpdate]) -> list[tuple[str, bytes, int]]:
    return sorted((item.key_type, item.public_key, item.power) for item in validators)
