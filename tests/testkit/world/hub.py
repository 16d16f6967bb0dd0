"""A parachain of a world: an EVM chain with hub and standard applications, administered by governor messages."""

from dataclasses import dataclass, field, replace
from typing import Any

from piebridge.contracts.loader import Artifact, load
from piebridge.evm_chain.block import Outcome
from piebridge.protocol_stack.application.door import DOOR
from piebridge.protocol_stack.application.record_notary import RECORD_NOTARY
from piebridge.protocol_stack.application.token import TOKEN
from piebridge.protocol_stack.governor_hub_bodies import (
    ApplicationCall,
    Close,
    EndorserSet,
    HubBody,
    OpenDomain,
    Protocols,
    RegisterApplication,
    RegisterPeer,
    Rotate,
    Verification,
)
from piebridge.protocol_stack.governor_messages import GovernorMessage, TargetKind
from piebridge.protocol_stack.identifiers import Lane
from piebridge.protocol_stack.verification.base import Method
from testkit.world.evm import Call, EvmChain
from testkit.world.keys import Governor, address_of

DOMAIN = 7
"""The relay domain of a world."""
HANDLER_GAS_MAX = 2_000_000
"""Largest handler gas of every hub."""
BODY_BYTES_MAX = 8_192
"""Largest body of the domain."""
DELTA_SECONDS = (60, 604_800)
"""Shortest and longest time between sending and expiry or deadline."""
SUPPLY = 1_000_000 * 10**18
"""Supply of the token over all chains."""
CAP = 500_000 * 10**18
"""What a chain credits from others in a window."""
CAP_WINDOW_SECONDS = 3_600
"""The window."""
HUB_WIDE = (Close, Rotate, ApplicationCall, RegisterApplication)
"""Governor messages that go to the hub as a whole, under domain 0."""


def hub_artifact() -> Artifact:
    """The hub with the interface of its administration, whose errors it passes on."""
    return load("Hub")


@dataclass
class HubChain:
    """One registration: chain, hub, token, record notary, door and message board."""

    chain: EvmChain
    """The EVM chain."""
    registration: int
    """Number of the hub."""
    governor: Governor
    """Who administers it."""
    key_epoch: int = 1
    """Epoch of the governor key."""
    hub: bytes = b""
    """Address of the hub."""
    token: bytes = b""
    """Address of the token, application 2."""
    notary: bytes = b""
    """Address of the record notary, application 3."""
    door: bytes = b""
    """Address of the ERC-7786 door, application 1."""
    board: bytes = b""
    """Address of the message board."""
    applications: dict[int, bytes] = field(default_factory=dict)
    """Registered applications."""

    # ------------------------------------------------------------------------------------------------ making

    @classmethod
    def deploy(
        cls,
        chain: EvmChain,
        registration: int,
        governor: Governor | None = None,
        *,
        dev: bool = False,
        queue: bool = False,
        holder: str = "alice",
        amount: int = SUPPLY // 4,
    ) -> "HubChain":
        """Create all contracts and register the applications; no domain is open yet."""
        governor = governor or Governor()
        made = cls(chain, registration, governor)
        made.hub = chain.create(made.hub_creation(dev=dev, queue=queue))
        made.token = chain.create(
            load("BridgeToken").deployment_data(
                "0x" + made.hub.hex(),
                "Test",
                "TST",
                SUPPLY,
                "0x" + address_of(holder).hex(),
                amount,
                CAP,
                CAP_WINDOW_SECONDS,
            )
        )
        made.notary = chain.create(load("RecordNotary").deployment_data("0x" + made.hub.hex()))
        made.door = chain.create(load("ERC7786Door").deployment_data("0x" + made.hub.hex(), DOMAIN))
        made.board = chain.create(load("MessageBoard").deployment_data("0x" + made.door.hex()))
        made.register_application(DOOR, made.door, Protocols.NONE)
        made.register_application(TOKEN, made.token, Protocols.ATP)
        made.register_application(RECORD_NOTARY, made.notary, Protocols.FORWARD)
        return made

    def hub_creation(self, *, dev: bool = False, queue: bool = False, chain_id: int | None = None) -> bytes:
        """Data that create this hub."""
        binding = (self.registration, chain_id or self.chain.chain_id, HANDLER_GAS_MAX, dev, queue)
        return load("Hub").deployment_data(binding, self.governor.group_key)

    def fork(self) -> "HubChain":
        """Copy the chain with all that is on it."""
        return replace(self, chain=self.chain.fork(), applications=dict(self.applications))

    # ------------------------------------------------------------------------------------------------ administering

    def message(self, body: HubBody, *, domain: int = DOMAIN, counter: int | None = None) -> GovernorMessage:
        """The signed governor message that is due."""
        domain = 0 if isinstance(body, HUB_WIDE) else domain
        message = GovernorMessage(
            target_kind=TargetKind.HUB,
            domain=domain,
            target=self.registration,
            key_epoch=self.key_epoch,
            kind=body.KIND,
            contract=self.hub,
            counter=self.counter(domain) + 1 if counter is None else counter,
            body=body.encode(),
        )
        return message.signed(self.governor.sign)

    def carry_governor(self, encoded: bytes, *, sender: str = "carrier") -> Outcome:
        """Give bytes to the hub as a governor message."""
        (outcome,) = self.chain.run(Call(self.hub, load("Hub").function_data("governor", encoded), sender))
        return outcome

    def govern(self, body: HubBody, *, domain: int = DOMAIN, counter: int | None = None) -> None:
        """Let the governor change a setting, which must succeed."""
        outcome = self.carry_governor(self.message(body, domain=domain, counter=counter).encode())
        assert outcome.succeeded, self.error(outcome)
        done, reason = self.handled(outcome)
        assert done, f"governor message was not executed: {load('Hub').decode_error(reason)}"

    def handled(self, outcome: Outcome) -> tuple[bool, bytes]:
        """Whether a governor message was executed, and why not."""
        event = next(arguments for name, arguments in self.events(outcome) if name == "GovernorMessageHandled")
        return event["done"], event["reason"]

    def register_application(self, application: int, address: bytes, protocols: Protocols) -> None:
        """Register an application."""
        self.govern(RegisterApplication(application, address, protocols))
        self.applications[application] = address

    def open_domain(self, peers: dict[int, int], *, domain: int = DOMAIN, method: Method = Method.SPV) -> None:
        """Open a domain with the other hubs in it, by registration and EVM chain id."""
        self.govern(OpenDomain(BODY_BYTES_MAX, *DELTA_SECONDS), domain=domain)
        self.govern(Verification(method, 16, 1), domain=domain)
        for registration, chain_id in peers.items():
            self.govern(RegisterPeer(registration, chain_id, HANDLER_GAS_MAX, True), domain=domain)

    def set_endorsers(self, body: EndorserSet, *, domain: int = DOMAIN) -> None:
        """Change a set of endorsers."""
        self.govern(body, domain=domain)

    # ------------------------------------------------------------------------------------------------ calling

    def data(self, function: str, *arguments: object) -> bytes:
        """Call data for the hub."""
        return load("Hub").function_data(function, *arguments)

    def read(self, function: str, *arguments: object, contract: str = "Hub") -> Any:  # noqa: ANN401
        """Call a view of the hub or of an application; one result comes alone."""
        address = {"Hub": self.hub, "BridgeToken": self.token, "RecordNotary": self.notary, "MessageBoard": self.board}
        result = self.chain.call(address[contract], load(contract).function_data(function, *arguments))
        assert result.succeeded, f"{contract}.{function} failed: {result.error}"
        values = load(contract).decode_result(function, result.output)
        return values[0] if len(values) == 1 else values

    def receive(self, *envelopes: bytes, gas: int = 6_000_000, sender: str = "carrier") -> list[Outcome]:
        """Give envelopes to the hub, all in one block."""
        return self.chain.run(*(Call(self.hub, self.data("receiveRange", item), sender, gas) for item in envelopes))

    def try_receive(self, envelope: bytes, *, gas: int = 6_000_000) -> bool:
        """Say whether the hub would take an envelope; nothing is changed."""
        return self.chain.call(self.hub, self.data("receiveRange", envelope), gas=gas).succeeded

    def error(self, outcome: Outcome) -> str:
        """Name of the error that a call ended with."""
        if outcome.succeeded:
            return ""
        for name in ("Hub", "Administration", "BridgeToken", "ERC7786Door", "RecordNotary"):
            text = load(name).decode_error(outcome.output)
            if text is not None:
                return text
        return f"0x{outcome.output.hex()}" if outcome.output else "no reason"

    def events(self, outcome: Outcome) -> list[tuple[str, dict[str, Any]]]:
        """The hub's events in an outcome, by name."""
        decoded = [
            load("Hub").decode_event(list(log.topics), log.data) for log in outcome.logs if log.address == self.hub
        ]
        return [(event.name, event.arguments) for event in decoded if event is not None]

    # ------------------------------------------------------------------------------------------------ state

    def digest(self) -> dict[str, bytes]:
        """Storage roots of every contract: two digests are equal exactly when nothing was changed in between."""
        contracts = {
            "hub": self.hub,
            "token": self.token,
            "notary": self.notary,
            "door": self.door,
            "board": self.board,
        }
        contracts |= {f"application {number}": address for number, address in self.applications.items()}
        state = self.chain.state
        return {name: state.account(address).storage_root for name, address in contracts.items()}

    def counter(self, domain: int = DOMAIN) -> int:
        """Counter of the last ordered governor message."""
        return int(self.read("counterOf", domain))

    def outbox(self, relay: int = 0, *, domain: int = DOMAIN) -> tuple[int, bytes]:
        """Number and value of an outbox head."""
        number, _, value, _ = self.read("outbox", domain, relay)
        return int(number), bytes(value)

    def status(self, lane: Lane, sequence: int) -> int:
        """Status bits of a packet of a bound lane."""
        return int(self.read("statusOf", lane.domain, lane.source, lane.relay, lane.channel, sequence))

    def own_status(self, relay: int, nonce: int, *, domain: int = DOMAIN) -> int:
        """Status bits of an own transaction."""
        return int(self.read("statusOf", domain, 0, relay, 0, nonce))

    def is_final(self, lane: Lane, sequence: int, *, ordered: bool = False) -> bool:
        """Whether a packet has reached its end here."""
        return bool(self.read("isFinal", lane.domain, lane.source, lane.relay, lane.channel, sequence, ordered))

    def balance(self, user: str | bytes) -> int:
        """Token balance of a user or an address."""
        address = address_of(user) if isinstance(user, str) else user
        return int(self.read("balanceOf", "0x" + address.hex(), contract="BridgeToken"))
