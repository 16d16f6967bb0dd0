"""The contracts of the management chain on the EVM, with whoever deals with them: all keys follow from names."""

from dataclasses import dataclass
from typing import Any

from piebridge.contracts.loader import Artifact, load
from piebridge.crypto.hash import keccak256, tag
from piebridge.crypto.signature import public_key_of
from piebridge.evm_chain.block import Outcome
from piebridge.evm_chain.execution.messages import AccountOverride, CallRequest
from piebridge.evm_chain.execution.simulation import Simulation
from piebridge.protocol_stack.checkpoint import CometBftCheckpoint
from piebridge.protocol_stack.codec import ZERO_HASH, u8, u16, u32, u64
from piebridge.protocol_stack.endorsement import EndorsementMethod
from piebridge.protocol_stack.governor_relay_bodies import (
    ClientKind,
    GatewayQuota,
    Gateways,
    Parameters,
    RegisterChain,
)
from piebridge.protocol_stack.management.digests import (
    OfferKey,
    RepresentativeKind,
    governor_management_digest,
    offer_digest,
    representative_digest,
)
from piebridge.protocol_stack.management.offer import NodeOffer, Peer
from piebridge.protocol_stack.management.parameters import Consensus, DomainParameters
from piebridge.protocol_stack.management.request import DomainRequest
from piebridge.protocol_stack.management.request_bodies import Form, RequestBody
from piebridge.protocol_stack.management.tags import ManagementContract, Place
from piebridge.protocol_stack.signing import signed_digest
from piebridge.protocol_stack.verification.base import Method
from testkit.world.evm import Call, EvmChain
from testkit.world.keys import Clock, Governor, address_of, private_key, sign

CHAIN_ID = 7_001
"""EVM chain id of the management chain."""
BOND = 10**18
"""Wei a node."""
GOVERNORS = ("governor 1", "governor 2")
"""Founders; both sign."""
CONTRACTS = {
    "board": ManagementContract.BOARD,
    "market": ManagementContract.MARKET,
    "registry": ManagementContract.REGISTRY,
    "directory": ManagementContract.DIRECTORY,
}
"""Name here to number."""
ARTIFACTS = {
    "board": "GovernorBoard",
    "market": "NodeMarket",
    "registry": "DomainRegistry",
    "directory": "ApplicationDirectory",
}
"""Name here to artifact."""
_WEEK_SECONDS = 604_800


@dataclass(frozen=True)
class Node:
    """A node that was offered."""

    number: int
    """Number on the market."""
    name: str
    """Its keys follow from it."""

    @property
    def agent(self) -> bytes:
        """Account of its agent."""
        return address_of(f"agent {self.name}")


class ManagementWorld:
    """One management chain; every call is a block."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.chain = EvmChain.direct("management", CHAIN_ID, self.clock)
        self.governor = Governor()
        self.addresses: dict[str, bytes] = {}
        self._counters: dict[tuple[str, int], int] = {}
        self._salt = 0
        self._funded: set[str] = set()
        self._deploy()

    # ------------------------------------------------------------------------------------------------ contracts

    def _deploy(self) -> None:
        members = b"".join(address_of(name) for name in GOVERNORS)
        self.founding_set = u8(2) + u8(len(GOVERNORS)) + members
        self.set_hash = keccak256(tag("GOVERNOR_SET") + self.founding_set)
        # The market is told where the registry is going to be: made by the same account, three nonces later.
        board = self.addresses["board"] = self._create("GovernorBoard", self.set_hash, False)
        registry = keccak256(b"\xd6\x94" + address_of("deployer") + bytes([4]))[12:]
        market = self.addresses["market"] = self._create("NodeMarket", board, registry, BOND, 10)
        self.addresses["rules"] = self._create("DomainRules", board, market)
        self.addresses["desk"] = self._create("DomainDesk", market, 1)
        made = self._create("DomainRegistry", board, market, self.addresses["rules"], self.addresses["desk"])
        assert made == registry
        self.addresses["registry"] = registry
        self.addresses["directory"] = self._create("ApplicationDirectory", board, registry)

    def _create(self, name: str, *arguments: object) -> bytes:
        return self.chain.create(load(name).deployment_data(*arguments))

    def artifact(self, contract: str) -> Artifact:
        """Artifact of a contract, by its name here."""
        return load(ARTIFACTS[contract])

    def place(self, contract: str) -> Place:
        """Where a contract is."""
        return Place(CHAIN_ID, self.addresses[contract])

    def data(self, contract: str, function: str, *arguments: object) -> bytes:
        """Call data."""
        return self.artifact(contract).function_data(function, *arguments)

    def send(self, sender: str, contract: str, function: str, *arguments: object, value: int = 0) -> Outcome:
        """Call in a block of its own, and demand that it succeeds."""
        self.fund(sender)
        call = Call(self.addresses[contract], self.data(contract, function, *arguments), sender, 20_000_000, value)
        (outcome,) = self.chain.run(call)
        assert outcome.succeeded, f"{contract}.{function}: {self.artifact(contract).decode_error(outcome.output)}"
        return outcome

    def fund(self, name: str) -> None:
        """Give somebody money, once."""
        if name not in self._funded:
            self._funded.add(name)
            self.chain.run(Call(address_of(name), b"", "deployer", 100_000, 10**21))

    def read(self, contract: str, function: str, *arguments: object) -> tuple[Any, ...]:
        """Call a view."""
        result = self.chain.call(self.addresses[contract], self.data(contract, function, *arguments))
        assert result.succeeded, result.error
        return self.artifact(contract).decode_result(function, result.output)

    def refusal(self, sender: bytes, contract: str, data: bytes, value: int = 0) -> str | None:
        """Call as somebody without a trace; the error, None where the call is taken."""
        result = self._simulation(sender).run(CallRequest(sender, self.addresses[contract], 20_000_000, value, data))
        if result.succeeded:
            return None
        return self.artifact(contract).decode_error(result.output) or f"no error of the contract: {result.error}"

    def attempt(self, sender: str, contract: str, data: bytes) -> str | None:
        """Call for good, as somebody; the error, None where the call is taken."""
        self.fund(sender)
        (outcome,) = self.chain.run(Call(self.addresses[contract], data, sender, 20_000_000))
        return None if outcome.succeeded else self.artifact(contract).decode_error(outcome.output) or "no error"

    def _simulation(self, rich: bytes) -> Simulation:
        """Return the state in which the next block would begin, but for one account that can pay whatever it likes."""
        head, app = self.chain.app.database.head, self.chain.app
        assert head is not None
        environment = app.executor.next_environment(
            head.header, self.clock.now_seconds + 1, bytes(32), address_of("proposer")
        )
        ancestors = app.database.ancestor_hashes(head.header.number)
        overrides = {rich: AccountOverride(balance=10**24)}
        return app.executor.simulation(head.header.state_root, environment, ancestors, overrides)

    def event(self, outcome: Outcome, contract: str, name: str) -> dict[str, Any]:
        """Arguments of the one event of this name."""
        artifact = self.artifact(contract)
        decoded = [
            artifact.decode_event(list(log.topics), log.data)
            for log in outcome.logs
            if log.address == self.addresses[contract]
        ]
        (arguments,) = [event.arguments for event in decoded if event is not None and event.name == name]
        return arguments

    # ------------------------------------------------------------------------------------------------ governors

    def found_governors(self) -> int:
        """Make and register the first governor key; its ceremony."""
        self.send("carrier", "board", "declareSet", self.founding_set)
        ceremony, signature = self.generate_key(self.governor, 1)
        self.send("carrier", "board", "registerFirstKey", ceremony, self.governor.group_key, signature)
        return ceremony

    def generate_key(self, key: Governor, epoch: int) -> tuple[int, bytes]:
        """Let the founders confirm a key; the ceremony and the key's own signature."""
        opened = self.send(GOVERNORS[0], "board", "openCeremony", 1, self.set_hash, ZERO_HASH, 5, 100)
        ceremony = int(self.event(opened, "board", "CeremonyOpened")["ceremony"])
        for name in GOVERNORS:
            self.send(name, "board", "confirmKey", ceremony, key.group_key)
        body = self.place("board").encode() + u64(ceremony) + self.set_hash + key.group_key
        return ceremony, key.sign(signed_digest(tag("GOVERNOR_KEY"), 0, ManagementContract.BOARD, epoch, 1, body))

    def message(self, contract: str, domain: int, kind: int, body: bytes) -> bytes:
        """Return the next governor message to a contract; it is not counted before `govern` sends one."""
        (epoch,) = self.read("board", "keyEpoch")
        (counter,) = self.read(contract, "counterOf", domain)
        number, place = CONTRACTS[contract], self.place(contract)
        digest = governor_management_digest(place, number, domain, epoch, kind, counter + 1, body)
        head = u8(1) + u8(3) + u32(domain) + u32(number) + u32(epoch) + u8(kind) + place.contract + u64(counter + 1)
        return head + u16(len(body)) + body + self.governor.sign(digest)

    def govern(self, contract: str, domain: int, kind: int, body: bytes) -> Outcome:
        """Send a governor message and demand that it is executed."""
        outcome = self.send("carrier", contract, "governor", self.message(contract, domain, kind, body))
        handled = self.event(outcome, contract, "GovernorMessageHandled")
        assert handled["done"], self.artifact(contract).decode_error(handled["reason"])
        return outcome

    # ------------------------------------------------------------------------------------------------ operators

    def add_operator(self, name: str, nodes: int) -> tuple[Node, ...]:
        """Admit an operator with a bond for its nodes and one more, and offer them."""
        self.govern("market", 0, 2, address_of(name))
        self.send(name, "market", "postBond", value=(nodes + 1) * BOND)
        return tuple(self.add_node(name, f"{name} {index}") for index in range(nodes))

    def offer(self, operator: str, name: str) -> tuple[bytes, bytes, bytes]:
        """Return an offer and its two signatures."""
        (number,) = self.read("market", "operatorIdOf", address_of(operator))
        key = public_key_of(private_key(f"consensus {name}"))
        endorsement = address_of(f"endorsement {name}")
        now = self.clock.now_seconds
        peer = Peer(keccak256(name.encode())[:20], "127.0.0.1:26656")
        offer = NodeOffer(
            key, endorsement, address_of(f"agent {name}"), 100, now - 60, now + 52 * _WEEK_SECONDS, peer, "http://a:1"
        )
        place = self.place("market")
        return (
            offer.encode(),
            sign(f"endorsement {name}", offer_digest(place, number, OfferKey.ENDORSEMENT, key, endorsement)),
            sign(f"consensus {name}", offer_digest(place, number, OfferKey.CONSENSUS, key, endorsement)),
        )

    def add_node(self, operator: str, name: str) -> Node:
        """Offer a node."""
        outcome = self.send(operator, "market", "offerNode", *self.offer(operator, name))
        return Node(int(self.event(outcome, "market", "NodeOffered")["node"]), name)

    # ------------------------------------------------------------------------------------------------ requests

    def add_registration(self, representative: str) -> int:
        """Register a hub and bind it."""
        outcome = self.send(representative, "registry", "register")
        number = int(self.event(outcome, "registry", "Registered")["registration"])
        self.send(representative, "registry", "bindHub", number, 9_000 + number, hub_of(number))
        return number

    def form(self, registrations: tuple[int, ...], relay_chains: int = 1, seats: int = 2) -> DomainRequest:
        """Return a request for a domain whose sets need all of their members."""
        parameters = DomainParameters(
            Consensus.COMETBFT,
            500,
            4_194_304,
            relay_chains,
            seats,
            seats,
            EndorsementMethod.SIGNATURES,
            50,
            _WEEK_SECONDS,
            600,
            Parameters(8_192, 86_400, 10),
            0,
            86_400,
        )
        gateways = Gateways((GatewayQuota(b"\x11" * 20, 100),))
        return self.request(0, Form(parameters, tuple(map(chain_of, registrations)), gateways))

    def request(self, domain: int, body: RequestBody, seconds: int = _WEEK_SECONDS) -> DomainRequest:
        """Return a request that is made for the domain as it is now."""
        self._salt += 1
        basis = self.read("registry", "domainOf", domain)[1]
        return DomainRequest(domain, basis, self.clock.now_seconds + seconds, self._salt, body)

    def identifier(self, request: DomainRequest) -> bytes:
        """Request id."""
        return request.request_id(self.place("registry"))

    def voice(
        self,
        representative: str,
        registration: int,
        request: DomainRequest,
        kind: RepresentativeKind,
        decision: bytes = ZERO_HASH,
    ) -> bytes:
        """Signature of a representative."""
        epoch = self.read("registry", "registrationOf", registration)[1]
        place, identifier = self.place("registry"), self.identifier(request)
        return sign(
            representative,
            representative_digest(place, request.domain, registration, epoch, kind, identifier, decision),
        )

    def file(self, request: DomainRequest, parties: dict[str, int]) -> bytes:
        """File a request and let all parties approve it; its id."""
        for index, (name, registration) in enumerate(parties.items()):
            signature = self.voice(name, registration, request, RepresentativeKind.APPROVE)
            if index == 0:
                self.send("carrier", "registry", "file", request.encode(), registration, 1, signature)
            else:
                self.send("carrier", "registry", "cosign", self.identifier(request), registration, 1, signature)
        return self.identifier(request)

    def close(self, request: DomainRequest) -> Outcome:
        """Close a request."""
        return self.send("carrier", "registry", "close", request.encode())

    def candidates_of(self, closed: Outcome) -> bytes:
        """Candidates that were fixed when a request was closed."""
        return bytes(self.event(closed, "registry", "RequestClosed")["candidates"])

    def wait_for_seed(self) -> None:
        """Let the blocks go by that a draw waits for."""
        for _ in range(2):
            self.send("carrier", "registry", "tick")

    def draw(self, request: DomainRequest, candidates: bytes) -> Outcome:
        """Draw, after the blocks that it waits for."""
        self.wait_for_seed()
        return self.send("carrier", "registry", "draw", request.encode(), candidates)

    def confirm(self, request: DomainRequest, decision: bytes, parties: dict[str, int]) -> None:
        """Let all parties confirm a decision."""
        for name, registration in parties.items():
            signature = self.voice(name, registration, request, RepresentativeKind.CONFIRM, decision)
            self.send("carrier", "registry", "confirm", self.identifier(request), decision, registration, signature)


def hub_of(registration: int) -> bytes:
    """Address of a hub that nobody has made."""
    return keccak256(b"hub" + u32(registration))[:20]


def chain_of(registration: int) -> RegisterChain:
    """How a hub is verified: by SPV."""
    digest = keccak256(b"checkpoint")
    checkpoint = CometBftCheckpoint(86_400, 10, "chain", 7, digest, 1, digest, digest)
    return RegisterChain(
        registration,
        hub_of(registration),
        9_000 + registration,
        ClientKind.COMETBFT,
        Method.SPV,
        0,
        9,
        1_000_000,
        checkpoint,
        None,
    )
