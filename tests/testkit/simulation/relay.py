"""A relay chain: the shipped application and endorsement signers, under a block production that crashes anywhere."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from piebridge.abci.messages import (
    CODE_OK,
    CheckTxKind,
    ConsensusParams,
    FinalizeBlockRequest,
    FinalizeBlockResponse,
    InitChainRequest,
    QueryRequest,
    QueryResponse,
    ValidatorUpdate,
)
from piebridge.chains.endpoint import RelayTransactionResult
from piebridge.chains.errors import AlreadyKnownError, TransactionRefusedError
from piebridge.cometbft.keys import SECP256K1_ETH
from piebridge.crypto.errors import TransientChainError
from piebridge.crypto.hash import keccak256, sha256
from piebridge.crypto.signature import sign_recoverable
from piebridge.crypto.threshold.signing import sign_single
from piebridge.protocol_stack.endorsement import EndorsementAnswer
from piebridge.protocol_stack.governor_messages import GovernorMessage, TargetKind
from piebridge.protocol_stack.governor_relay_bodies import RelayBody, ValidatorSet
from piebridge.protocol_stack.relay_genesis import RelayGenesis
from piebridge.protocol_stack.relay_messages import CarriedGovernorMessage, make_transaction
from piebridge.protocol_stack.signing import endorsement_digest
from piebridge.relay.app.application import RelayApplication
from piebridge.relay.app.state import MemoryBackend
from piebridge.relay.app.store import View
from piebridge.relay.endorsement import EndorsementSigner, ValidatorQueries
from testkit.relay_world import MemorySignedValues
from testkit.simulation.keys import GOVERNOR_SECRET, private_key

NANOSECONDS = 1_000_000_000
_BLOCK_TRANSACTIONS_MAX = 40
_EMPTY_BLOCK_SECONDS = 5.0


class CrashError(Exception):
    """The process of the relay chain dies here."""


@dataclass(slots=True)
class Validator:
    """One validator's node: it may be down while the chain goes on."""

    name: str
    queries: ValidatorQueries
    signed: MemorySignedValues
    down: bool = False
    lie: str = ""
    """``value``: endorses another value, validly signed; ``signature``: a signature that does not hold; ``epoch``: an
    endorsement of another epoch; empty: honest."""

    def twisted(
        self, answer: EndorsementAnswer, relay: "SimulatedRelay", destination: int, number: int
    ) -> EndorsementAnswer:
        """Return the answer as this validator gives it."""
        if not self.lie:
            return answer
        relay.counts["endorsements falsified"] += 1
        if self.lie == "signature":
            return replace(
                answer, signature=answer.signature[:-2] + bytes([answer.signature[-2] ^ 1, answer.signature[-1]])
            )
        epoch = answer.epoch + 1 if self.lie == "epoch" else answer.epoch
        value = keccak256(b"a lie" + answer.value) if self.lie == "value" else answer.value
        digest = endorsement_digest(relay.domain, relay.relay, destination, epoch, number, value)
        signature = sign_recoverable(digest, private_key(f"{self.name} endorsement"))
        return EndorsementAnswer(epoch, answer.index, answer.address, value, signature)


@dataclass(slots=True)
class SimulatedRelay:
    """One relay chain. All its validators share one application, as those of the embedded engine do."""

    domain: int
    relay: int
    genesis: RelayGenesis
    sets: dict[int, ValidatorSet]
    """Every validator set that it ever had, by epoch."""
    counts: Counter[str]
    randomness: random.Random
    backend: MemoryBackend = field(default_factory=MemoryBackend)
    application: RelayApplication | None = field(init=False, default=None)
    """None while it is down."""
    validators: list[Validator] = field(default_factory=list)
    mempool: dict[bytes, bytes] = field(default_factory=dict)
    """Transactions by hash, in the order in which they came."""
    results: dict[bytes, RelayTransactionResult] = field(default_factory=dict)
    blocks: list[tuple[FinalizeBlockRequest, FinalizeBlockResponse]] = field(default_factory=list)
    """Decided blocks: what the engine has written before the application commits."""
    crash_at: str = ""
    """Where the next block ends in a crash."""
    seen: Callable[[bytes], None] = field(default=lambda transaction: None)
    """Told of every transaction: what a mempool is, anybody can see."""

    @property
    def name(self) -> str:
        return f"relay-{self.relay}"

    # --- life ---

    def start(self, time_ns: int) -> None:
        """Begin the chain, or begin it again where its last block was."""
        application = RelayApplication(self.backend)
        if not application.state.height:
            application.init_chain(self.init_request)
        for request, response in self.blocks[application.state.height :]:
            again = application.finalize_block(request)
            assert again == response, f"{self.name}: a block that is executed again has another result"
            application.commit()
            self._publish(request, response)
        self.application = application
        for validator in self.validators:
            validator.queries = ValidatorQueries(application, self._signer(validator))
        if not self.blocks:
            self._decide((), time_ns)

    @property
    def init_request(self) -> InitChainRequest:
        genesis = self.genesis
        return InitChainRequest(
            self._genesis_time_ns,
            genesis.chain_id,
            ConsensusParams(),
            tuple(ValidatorUpdate(SECP256K1_ETH, item.consensus_key, 1) for item in genesis.validator_set.validators),
            genesis.app_state_bytes(),
            1,
        )

    @property
    def _genesis_time_ns(self) -> int:
        return 1_699_999_000 * NANOSECONDS

    def crash(self) -> None:
        """Lose everything that is not on disk: the application's memory and the mempool."""
        self.application = None
        self.mempool.clear()
        self.crash_at = ""

    def hire(self, names: list[str]) -> None:
        """Bring up nodes of validators that are not there yet; those who leave the set stay up and useless."""
        for name in names:
            if all(validator.name != name for validator in self.validators):
                signed = MemorySignedValues()
                assert self.application is not None, "validators are hired while the chain runs"
                queries = ValidatorQueries(
                    self.application, EndorsementSigner(private_key(f"{name} endorsement"), signed)
                )
                self.validators.append(Validator(name, queries, signed))

    def _signer(self, validator: Validator) -> EndorsementSigner:
        return EndorsementSigner(private_key(f"{validator.name} endorsement"), validator.signed)

    @property
    def view(self) -> View:
        assert self.application is not None, "the chain is up"
        return View(self.application.state)

    @property
    def height(self) -> int:
        return len(self.blocks)

    @property
    def time_ns(self) -> int:
        return self.blocks[-1][0].time_ns

    @property
    def epoch(self) -> int:
        return max(self.sets)

    def has_quorum(self) -> bool:
        """Whether enough validators of the current set are up to decide blocks."""
        names = {name for name, _ in self._members()}
        up = sum(validator.name in names and not validator.down for validator in self.validators)
        return 3 * up > 2 * len(names)

    def _members(self) -> list[tuple[str, int]]:
        return [(f"relay {self.relay} {position}", position) for position in self.members_of(self.epoch)]

    def members_of(self, epoch: int) -> list[int]:
        """Positions of the validators of an epoch: each new set has one new member in place of the oldest."""
        return list(range(epoch - 1, epoch + 3))

    # --- blocks ---

    def make_block(self, time_ns: int) -> None:
        """Decide, execute and commit a block, unless there is nothing to do; may end in a crash."""
        if self.application is None or not self.has_quorum():
            return
        due = time_ns - self.time_ns >= _EMPTY_BLOCK_SECONDS * NANOSECONDS
        if not self.mempool and not due and self._is_proven:
            return
        chosen = list(self.mempool.items())[:_BLOCK_TRANSACTIONS_MAX]
        if self.randomness.random() < 0.3:
            self.randomness.shuffle(chosen)  # a proposer may take them in any order
        try:
            self._decide(tuple(transaction for _, transaction in chosen), time_ns)
        except CrashError:
            self.counts["relay chains crashed in a block"] += 1
            self.crash()

    @property
    def _is_proven(self) -> bool:
        return len(self.blocks) < 2 or self.blocks[-1][1].app_hash == self.blocks[-2][1].app_hash

    def _decide(self, transactions: tuple[bytes, ...], time_ns: int) -> None:
        application = self.application
        assert application is not None, "the chain is up"
        time_ns = max(time_ns, self.time_ns + 1_000_000) if self.blocks else time_ns
        request = FinalizeBlockRequest(transactions, b"", self.height + 1, time_ns, b"", b"")
        if self.crash_at == "before":
            raise CrashError
        response = application.finalize_block(request)
        if self.crash_at == "executed":
            raise CrashError
        self.blocks.append((request, response))
        if self.crash_at == "decided":
            raise CrashError
        application.commit()
        self._publish(request, response)
        if self.crash_at:
            raise CrashError
        for identifier, transaction in list(self.mempool.items()):
            if application.check_tx(transaction, CheckTxKind.RECHECK).code != CODE_OK:
                del self.mempool[identifier]

    def _publish(self, request: FinalizeBlockRequest, response: FinalizeBlockResponse) -> None:
        for transaction, result in zip(request.txs, response.tx_results, strict=True):
            identifier = sha256(transaction)
            self.results[identifier] = RelayTransactionResult(request.height, result.code, result.log)
            self.mempool.pop(identifier, None)

    # --- what nodes answer ---

    def query(self, path: str, data: bytes, validator: int | None = None) -> bytes:
        """Answer an ABCI query."""
        answer = self._answer(QueryRequest(path, data), validator)
        if answer.code != CODE_OK:
            raise TransactionRefusedError(f"{self.name}: {path}: {answer.log}", answer.code, answer.log)
        return answer.value

    def _answer(self, request: QueryRequest, position: int | None) -> QueryResponse:
        if self.application is None:
            raise TransientChainError(f"{self.name}: connection refused")
        if position is None:
            return self.application.query(request)
        if position >= len(self.validators) or self.validators[position].down:
            raise TransientChainError(f"{self.name}: validator {position}: connection refused")
        return self.validators[position].queries(request)

    def submit(self, transaction: bytes) -> bytes:
        """Take a transaction into the mempool."""
        if self.application is None:
            raise TransientChainError(f"{self.name}: connection refused")
        identifier = sha256(transaction)
        if identifier in self.mempool or identifier in self.results:
            raise AlreadyKnownError("tx already exists in cache")
        answer = self.application.check_tx(transaction, CheckTxKind.NEW)
        if answer.code != CODE_OK:
            raise TransactionRefusedError(f"{self.name}: {answer.log}", answer.code, answer.log)
        self.mempool[identifier] = transaction
        self.seen(transaction)
        return identifier

    # --- governing ---

    def govern(self, body: RelayBody) -> bytes:
        """Return the governor message that is due, as a transaction of its carrier."""
        relay = self.view.relay
        ordered = GovernorMessage(
            TargetKind.RELAY, self.domain, self.relay, relay.key_epoch, body.KIND, bytes(20), 0, body.encode()
        ).ordered
        message = GovernorMessage(
            TargetKind.RELAY,
            self.domain,
            self.relay,
            relay.key_epoch,
            body.KIND,
            bytes(20),
            relay.governor_counter + 1 if ordered else relay.life_cycle_number,
            body.encode(),
        ).signed(lambda digest: sign_single(GOVERNOR_SECRET, digest, bytes(32)))
        return make_transaction(
            CarriedGovernorMessage(message),
            self.domain,
            self.relay,
            self.height + 100,
            self.randomness.getrandbits(64),
            lambda digest: sign_recoverable(digest, private_key("governor carrier")),
        ).encode()

    def app_hashes_again(self) -> None:
        """Execute all blocks on a fresh application: every validator must come to the same app hashes (I12)."""
        application = RelayApplication(MemoryBackend())
        application.init_chain(self.init_request)
        for request, response in self.blocks:
            again = application.finalize_block(request)
            if again != response:
                raise AssertionError(f"{self.name}: height {request.height} gives another result the second time")
            application.commit()
