"""A relay chain of a world: the relay application on the embedded engine, and its validators' endorsement keys."""

from collections.abc import Callable, Sequence

from piebridge.abci.embedded.engine import EmbeddedEngine
from piebridge.abci.embedded.genesis import GenesisDocument
from piebridge.abci.embedded.keys import ValidatorKey
from piebridge.abci.messages import (
    CODE_OK,
    ExecTxResult,
    PrepareProposalRequest,
    ProcessProposalRequest,
    QueryRequest,
    QueryResponse,
)
from piebridge.crypto.quorum import SignerSet, select_quorum
from piebridge.crypto.signature import sign_recoverable
from piebridge.protocol_stack.endorsement import EndorsementAnswer, EndorsementSet, Envelope
from piebridge.protocol_stack.governor_messages import GovernorMessage, TargetKind
from piebridge.protocol_stack.governor_relay_bodies import (
    GatewayQuota,
    Gateways,
    Parameters,
    RegisterChain,
    RelayBody,
    ValidatorKeys,
    ValidatorSet,
)
from piebridge.protocol_stack.identifiers import Lane
from piebridge.protocol_stack.relay_genesis import RelayGenesis
from piebridge.protocol_stack.relay_messages import CarriedGovernorMessage, TransactionBody, make_transaction
from piebridge.protocol_stack.relay_queries import EndorseQuery, OutboxEntriesQuery
from piebridge.protocol_stack.transport.outbox import RELAY_CHAIN, OutboxHead, OutboxRange
from piebridge.relay.app.application import RelayApplication
from piebridge.relay.app.state import ENDORSED_PREFIX, STATE_PREFIX, MemoryBackend
from piebridge.relay.app.store import View
from piebridge.relay.endorsement import EndorsementSigner, ValidatorQueries
from testkit.world.evm import VALIDATORS
from testkit.world.hub import BODY_BYTES_MAX, DOMAIN
from testkit.world.keys import NANOSECONDS, Clock, Governor, address_of, private_key

THRESHOLD = 3
"""Endorsements that hubs demand."""
GATEWAY_QUOTA = 1_000
"""Transactions of the authorised gateway per 100 blocks."""
STRANGER_QUOTA = 40
"""Transactions of all strangers together per 100 blocks."""
RETENTION_SECONDS = 100_000
"""How long messages that nobody acknowledges are kept."""


class MemorySignedValues:
    """What an endorsement key has signed."""

    def __init__(self) -> None:
        self.pairs: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.pairs.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        self.pairs[key] = value


class ByzantineProposer(RelayApplication):
    """The relay application; its proposer puts into a block what a test has smuggled in, whatever CheckTx says."""

    smuggled: tuple[bytes, ...] = ()
    """Transactions of the next block."""

    def prepare_proposal(self, request: PrepareProposalRequest) -> tuple[bytes, ...]:
        return self.smuggled or super().prepare_proposal(request)

    def process_proposal(self, request: ProcessProposalRequest) -> bool:
        """Let everything through: execution, the last line of defence, is what these tests are about."""
        return bool(self.smuggled) or super().process_proposal(request)


class RelayChain:
    """One relay chain that the test decides block by block."""

    def __init__(
        self,
        relay: int,
        clock: Clock,
        chains: Sequence[RegisterChain],
        *,
        domain: int = DOMAIN,
        governor: Governor | None = None,
    ) -> None:
        """Form the relay chain: its genesis follows from the arguments."""
        self.relay = relay
        self.domain = domain
        self.clock = clock
        self.governor = governor or Governor()
        self.genesis = RelayGenesis(
            domain,
            relay,
            False,
            self.governor.group_key,
            Parameters(BODY_BYTES_MAX, RETENTION_SECONDS, STRANGER_QUOTA),
            self.validator_set(),
            tuple(sorted(chains, key=lambda chain: chain.registration)),
            Gateways((GatewayQuota(address_of("gateway"), GATEWAY_QUOTA),)),
        )
        self.document = GenesisDocument.from_json(self.genesis.document(clock.now_seconds * NANOSECONDS))
        self.backend = MemoryBackend()
        self.app = ByzantineProposer(self.backend)
        self.memories = [MemorySignedValues() for _ in range(VALIDATORS)]
        self.validators = [
            ValidatorQueries(self.app, EndorsementSigner(private_key(self.endorser(i)), self.memories[i]))
            for i in range(VALIDATORS)
        ]
        self.engine = EmbeddedEngine(
            self.app,
            self.document,
            [ValidatorKey(private_key(f"relay {relay} validator {i}")) for i in range(VALIDATORS)],
            query_handlers=self.validators,
        )
        self._salt = 0
        self.make_block()

    def endorser(self, member: int, generation: int = 1) -> str:
        """Name of a validator's endorsement key."""
        return f"relay {self.relay} generation {generation} endorser {member}"

    def validator_set(self, epoch: int = 1, generation: int = 1) -> ValidatorSet:
        """A set with the consensus keys of the first and endorsement keys of a generation."""
        return ValidatorSet(
            epoch,
            THRESHOLD,
            tuple(
                ValidatorKeys(
                    ValidatorKey(private_key(f"relay {self.relay} validator {i}")).public_key.data,
                    address_of(self.endorser(i, generation)),
                )
                for i in range(VALIDATORS)
            ),
        )

    # ------------------------------------------------------------------------------------------------ transactions

    def make_block(self, *transactions: bytes) -> list[ExecTxResult]:
        """Decide a block with these transactions, in order; those that the mempool refuses are in none."""
        for transaction in transactions:
            self.engine.submit_tx(transaction)
        stored = self.engine.make_block(self.clock.tick() * NANOSECONDS)
        return list(stored.response.tx_results)

    def sign(self, body: TransactionBody, *, sender: str = "gateway", valid_for: int = 50) -> bytes:
        """Sign a relay transaction."""
        self._salt += 1
        key = private_key(sender)
        valid_until = self.engine.height + 1 + valid_for
        return make_transaction(
            body, self.domain, self.relay, valid_until, self._salt, lambda digest: sign_recoverable(digest, key)
        ).encode()

    def submit(self, transaction: bytes) -> tuple[int, str, int]:
        """Offer one transaction and decide a block; code, reason and how much was new."""
        # A block has the time of the votes of the one before: an idle chain needs one more to learn what time it is.
        self.engine.make_block(self.clock.now_seconds * NANOSECONDS)
        checked = self.engine.check_tx(transaction)
        if checked.code != CODE_OK:
            return checked.code, checked.log, 0
        (result,) = self.make_block(transaction)
        return result.code, result.log, int.from_bytes(result.data, "big")

    def must(self, body: TransactionBody, *, sender: str = "gateway") -> int:
        """Execute a transaction that has to succeed; how much was new."""
        code, log, news = self.submit(self.sign(body, sender=sender))
        assert code == CODE_OK, log
        return news

    def message(self, body: RelayBody, *, counter: int | None = None) -> GovernorMessage:
        """The signed governor message that is due."""
        relay = self.view.relay
        unsigned = GovernorMessage(
            TargetKind.RELAY, self.domain, self.relay, relay.key_epoch, body.KIND, bytes(20), 1, body.encode()
        )
        due = relay.governor_counter + 1 if unsigned.ordered else relay.life_cycle_number
        message = GovernorMessage(
            TargetKind.RELAY,
            self.domain,
            self.relay,
            relay.key_epoch,
            body.KIND,
            bytes(20),
            due if counter is None else counter,
            body.encode(),
        )
        return message.signed(self.governor.sign)

    def govern(self, body: RelayBody) -> None:
        """Let the governor change a setting, which must succeed."""
        self.must(CarriedGovernorMessage(self.message(body)), sender="mallory")

    # ------------------------------------------------------------------------------------------------ reading

    @property
    def view(self) -> View:
        """Committed state."""
        return View(self.app.state)

    @property
    def app_hash(self) -> bytes:
        """Hash of the committed state."""
        return self.app.state.app_hash

    def content(self) -> dict[bytes, bytes]:
        """Everything committed but what every transaction leaves behind, also a failed one: used quota and the
        protection against replays. Two contents are equal exactly when nothing was changed in between."""
        bookkeeping = tuple(STATE_PREFIX + kind for kind in (b"quota/", b"replay/", b"replay-block/"))
        return {
            key: value
            for key, value in self.backend.pairs.items()
            if key[:1] in (ENDORSED_PREFIX, STATE_PREFIX) and not key.startswith(bookkeeping)
        }

    def execute(self, *transactions: bytes) -> list[ExecTxResult]:
        """Decide a block of exactly these transactions, past the mempool's checks."""
        self.engine.make_block(self.clock.now_seconds * NANOSECONDS)
        self.app.smuggled = transactions
        stored = self.engine.make_block(self.clock.tick() * NANOSECONDS)
        self.app.smuggled = ()
        assert len(stored.response.tx_results) == len(transactions)
        return list(stored.response.tx_results)

    def query(self, path: str, data: bytes = b"") -> QueryResponse:
        """Ask what any validator knows."""
        return self.engine.query(0, QueryRequest(path, data))

    def head(self, destination: int) -> OutboxHead:
        """Head of the outbox toward a hub."""
        head = self.view.outbox_head(destination)
        assert head is not None, f"registration {destination} was never registered"
        return head

    def is_recorded(self, lane: Lane, sequence: int) -> bool:
        """Whether a packet was recorded."""
        return self.view.is_recorded(lane, sequence)

    def entries(self, destination: int, first: int = 1, count: int = 1_000) -> OutboxRange:
        """Entries toward a hub."""
        answer = self.query(OutboxEntriesQuery.PATH, OutboxEntriesQuery(destination, first, count).encode())
        assert answer.code == CODE_OK, answer.log
        return OutboxRange.decode(answer.value, RELAY_CHAIN)

    def endorsements(self, destination: int, number: int) -> list[EndorsementAnswer]:
        """What the validators' nodes answer when they are asked to endorse an entry."""
        data = EndorseQuery(destination, number).encode()
        answers = [self.engine.query(i, QueryRequest(EndorseQuery.PATH, data)) for i in range(VALIDATORS)]
        return [EndorsementAnswer.decode(answer.value) for answer in answers if answer.code == CODE_OK]

    @property
    def signers(self) -> EndorsementSet:
        """The current endorsement set."""
        return EndorsementSet.decode(self.query("/set").value)

    def endorse(
        self, shown: OutboxRange, destination: int, *, change: Callable[[Envelope], Envelope] = lambda item: item
    ) -> bytes:
        """An envelope of entries with what the validators sign for the last of them."""
        answers = {item.address: item.signature for item in self.endorsements(destination, shown.last)}
        signers = self.signers
        quorum = select_quorum(SignerSet(signers.keys, signers.threshold), answers)
        return change(Envelope(self.domain, self.relay, signers, quorum, shown)).encode()
