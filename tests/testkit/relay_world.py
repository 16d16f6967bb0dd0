"""A relay chain with its members in one process: hubs, keys, a governor, a gateway that does what it is told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from piebridge.abci.messages import (
    CODE_OK,
    ConsensusParams,
    ExecTxResult,
    FinalizeBlockRequest,
    FinalizeBlockResponse,
    InitChainRequest,
    QueryRequest,
    ValidatorUpdate,
)
from piebridge.cometbft.keys import SECP256K1_ETH
from piebridge.crypto.quorum import Quorum, SignerSet, select_quorum
from piebridge.crypto.signature import address_of_private_key, public_key_of, sign_recoverable
from piebridge.crypto.threshold.signing import sign_single
from piebridge.protocol_stack.endorsement import EndorsementAnswer, EndorsementSet, Envelope
from piebridge.protocol_stack.governor_messages import GovernorMessage, TargetKind
from piebridge.protocol_stack.governor_relay_bodies import (
    GatewayQuota,
    Gateways,
    Parameters,
    RelayBody,
    ValidatorKeys,
    ValidatorSet,
)
from piebridge.protocol_stack.relay_genesis import RelayGenesis
from piebridge.protocol_stack.relay_messages import (
    CarriedGovernorMessage,
    TransactionBody,
    make_transaction,
)
from piebridge.protocol_stack.relay_queries import EndorseQuery, OutboxEntriesQuery
from piebridge.protocol_stack.transport.outbox import RELAY_CHAIN, OutboxRange
from piebridge.relay.app.application import RelayApplication
from piebridge.relay.app.state import Backend, MemoryBackend
from piebridge.relay.app.store import View
from piebridge.relay.endorsement import EndorsementSigner, ValidatorQueries
from testkit.hub_model import HubModel
from testkit.source_chain import GENESIS_TIME_SECONDS, NANOSECONDS, private_key

GATEWAY = private_key("gateway")
STRANGER = private_key("stranger")
GOVERNOR_SECRET = int.from_bytes(private_key("governor"), "big")
QUOTA = 100


class MemorySignedValues:
    """What a signer signed, for tests."""

    def __init__(self) -> None:
        self.pairs: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.pairs.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        self.pairs[key] = value


def validator_set(epoch: int = 1, names: Sequence[str] = ("v0", "v1", "v2", "v3"), threshold: int = 3) -> ValidatorSet:
    """A set whose keys follow from names."""
    return ValidatorSet(
        epoch,
        threshold,
        tuple(
            ValidatorKeys(
                public_key_of(private_key(f"{name} consensus")),
                address_of_private_key(private_key(f"{name} endorsement")),
            )
            for name in names
        ),
    )


@dataclass(slots=True)
class RelayWorld:
    """One relay chain, its hubs, and the keys of everybody."""

    hubs: dict[int, HubModel]
    domain: int = 1
    relay: int = 1
    dev: bool = False
    depth: int = 0
    backend: Backend = field(default_factory=MemoryBackend)
    application: RelayApplication = field(init=False)
    validators: dict[str, ValidatorQueries] = field(default_factory=dict)
    time_ns: int = (GENESIS_TIME_SECONDS + 100) * NANOSECONDS
    salt: int = 0
    genesis_request: InitChainRequest = field(init=False)
    blocks: list[tuple[FinalizeBlockRequest, FinalizeBlockResponse]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.genesis_request = self.init_request()
        self.application = RelayApplication(self.backend)
        if not self.application.state.height:
            self.application.init_chain(self.genesis_request)
            self.run()
        self.hire(["v0", "v1", "v2", "v3"])
        for hub in self.hubs.values():
            hub.accepted_sets.add(validator_set().endorsers.set_hash(self.domain, self.relay))

    def hire(self, names: Sequence[str]) -> None:
        """Make endorsement signers for validators."""
        for name in names:
            signer = EndorsementSigner(private_key(f"{name} endorsement"), MemorySignedValues())
            self.validators[name] = ValidatorQueries(self.application, signer)

    @property
    def genesis(self) -> RelayGenesis:
        return RelayGenesis(
            self.domain,
            self.relay,
            self.dev,
            public_key_of(GOVERNOR_SECRET.to_bytes(32, "big")),
            Parameters(max_body=8_192, retention_seconds=1_000, stranger_quota=20),
            validator_set(),
            tuple(hub.registration_message(depth=self.depth) for _, hub in sorted(self.hubs.items())),
            Gateways((GatewayQuota(address_of_private_key(GATEWAY), QUOTA),)),
        )

    def init_request(self) -> InitChainRequest:
        genesis = self.genesis
        return InitChainRequest(
            self.time_ns,
            genesis.chain_id,
            ConsensusParams(),
            tuple(ValidatorUpdate(SECP256K1_ETH, item.consensus_key, 1) for item in genesis.validator_set.validators),
            genesis.app_state_bytes(),
            1,
        )

    @property
    def view(self) -> View:
        """Committed state."""
        return View(self.application.state)

    @property
    def height(self) -> int:
        return self.application.state.height

    # --- transactions ---

    def sign(self, body: TransactionBody, key: bytes = GATEWAY, valid_for: int = 100) -> bytes:
        """Sign a relay transaction."""
        self.salt += 1
        transaction = make_transaction(
            body,
            self.domain,
            self.relay,
            self.height + 1 + valid_for,
            self.salt,
            lambda digest: sign_recoverable(digest, key),
        )
        return transaction.encode()

    def finalize(self, *txs: bytes, seconds: int = 1) -> FinalizeBlockResponse:
        """Execute a block without committing it."""
        self.time_ns += seconds * NANOSECONDS
        request = FinalizeBlockRequest(txs, b"", self.height + 1, self.time_ns, b"", b"")
        response = self.application.finalize_block(request)
        self.blocks.append((request, response))
        return response

    def run(self, *txs: bytes, seconds: int = 1) -> FinalizeBlockResponse:
        """Execute and commit a block."""
        response = self.finalize(*txs, seconds=seconds)
        self.application.commit()
        return response

    def submit(self, *bodies: TransactionBody, key: bytes = GATEWAY, seconds: int = 1) -> list[ExecTxResult]:
        """Run a block with these transactions."""
        return list(self.run(*(self.sign(body, key) for body in bodies), seconds=seconds).tx_results)

    def must(self, *bodies: TransactionBody, seconds: int = 1) -> None:
        """Run a block in which every transaction succeeds."""
        for result in self.submit(*bodies, seconds=seconds):
            assert result.code == CODE_OK, result.log

    def govern(self, body: RelayBody, *, counter: int | None = None, key_epoch: int | None = None) -> None:
        """Run a block with a governor message."""
        self.must(CarriedGovernorMessage(self.governor_message(body, counter=counter, key_epoch=key_epoch)))

    def governor_message(
        self,
        body: RelayBody,
        *,
        counter: int | None = None,
        key_epoch: int | None = None,
        secret: int = GOVERNOR_SECRET,
        change: Callable[[GovernorMessage], GovernorMessage] = lambda message: message,
    ) -> GovernorMessage:
        """Sign a governor message with the number that is due, after a change."""
        relay = self.view.relay
        unsigned = GovernorMessage(
            TargetKind.RELAY,
            self.domain,
            self.relay,
            key_epoch or relay.key_epoch,
            body.KIND,
            bytes(20),
            0,
            body.encode(),
        )
        due = relay.governor_counter + 1 if unsigned.ordered else relay.life_cycle_number
        numbered = GovernorMessage(
            unsigned.target_kind,
            unsigned.domain,
            unsigned.target,
            unsigned.key_epoch,
            unsigned.kind,
            unsigned.contract,
            due if counter is None else counter,
            unsigned.body,
        )
        return change(numbered).signed(lambda digest: sign_single(secret, digest, bytes(32)))

    # --- gateway ---

    def follow(self, hub: HubModel) -> None:
        """Bring the light client of a hub to its newest header."""
        client = self.view.client(hub.registration)
        assert client is not None
        if client.heights[-1] < hub.chain.height:
            self.must(hub.update_message(client.heights[-1]))

    def carry_from(self, hub: HubModel, relay: int = 0, first: int = 1, bare: Sequence[int] = ()) -> None:
        """Close the hub's block, follow it, and bring its outbox from ``first`` on."""
        hub.chain.close_block()
        self.catch_up(hub)
        self.follow(hub)
        self.must(hub.range_message(relay, first, bare))

    def catch_up(self, hub: HubModel) -> None:
        """Let the relay chain's clock reach that of a hub."""
        self.time_ns = max(self.time_ns, hub.chain.now_seconds * NANOSECONDS)

    def entries_toward(self, hub: HubModel, first: int = 1, count: int = 1_000) -> OutboxRange:
        """Ask for outbox entries toward a hub."""
        query = OutboxEntriesQuery(hub.registration, first, count)
        answer = self.application.query(QueryRequest(OutboxEntriesQuery.PATH, query.encode()))
        assert answer.code == CODE_OK, answer.log
        return OutboxRange.decode(answer.value, RELAY_CHAIN)

    def endorse(self, destination: int, number: int) -> list[EndorsementAnswer]:
        """Collect endorsements of a committed entry."""
        data = EndorseQuery(destination, number).encode()
        answers = [queries(QueryRequest(EndorseQuery.PATH, data)) for queries in self.validators.values()]
        return [EndorsementAnswer.decode(answer.value) for answer in answers if answer.code == CODE_OK]

    def envelope(self, hub: HubModel, first: int = 1, count: int = 1_000) -> Envelope:
        """Entries toward a hub, endorsed."""
        entries = self.entries_toward(hub, first, count)
        return Envelope(self.domain, self.relay, self.current_set, self._proof(hub, entries), entries)

    @property
    def current_set(self) -> EndorsementSet:
        answer = self.application.query(QueryRequest("/set"))
        return EndorsementSet.decode(answer.value)

    def _proof(self, hub: HubModel, entries: OutboxRange) -> Quorum:
        signatures = {item.address: item.signature for item in self.endorse(hub.registration, entries.last)}
        current = self.current_set
        return select_quorum(SignerSet(current.keys, current.threshold), signatures)

    def carry_to(self, hub: HubModel, first: int = 1) -> None:
        """Bring the relay chain's outbox toward a hub to it."""
        hub.receive(self.envelope(hub, first))


def two_chains(**settings: object) -> RelayWorld:
    """A world with hubs 10 and 20."""
    return RelayWorld({10: HubModel(10), 20: HubModel(20)}, **settings)  # type: ignore[arg-type]
