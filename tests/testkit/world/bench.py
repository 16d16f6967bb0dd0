"""One hub under test, with relay chains that endorse whatever a test wants and source chains that do not exist."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from piebridge.contracts.loader import load
from piebridge.crypto.hash import sha256
from piebridge.evm_chain.block import Outcome
from piebridge.protocol_stack.endorsement import EndorsementMethod
from piebridge.protocol_stack.governor_hub_bodies import (
    Protocols,
    RegisterRelay,
    RelayLifeCycle,
    RelayState,
    SetRoutingPolicy,
)
from piebridge.protocol_stack.packet import Packet
from piebridge.protocol_stack.routing import RoutingPolicy, SlotRange
from piebridge.protocol_stack.stack import STACK
from testkit.world import hostile
from testkit.world.evm import Call, EvmChain
from testkit.world.forged_relay import ForgedRelay
from testkit.world.hub import DELTA_SECONDS, DOMAIN, HubChain
from testkit.world.keys import Clock, address_of

HERE, THERE, ELSEWHERE = 1, 2, 3
"""Registrations: the hub under test, and two others that exist in name only."""
CHAIN_ID = 31_001
"""EVM chain id of the hub under test; the others follow it."""
OTHER_DOMAIN = 8
"""A second domain that the hub is a member of."""
ALL_PROTOCOLS = Protocols.NONE | Protocols.ATP | Protocols.FORWARD
"""What a hostile application is allowed."""


@dataclass
class HubBench:
    """A hub in two domains: relay chains 11 and 12 in the first, 13 (one threshold signature) in the second."""

    hub: HubChain
    """The hub under test."""
    relays: dict[int, ForgedRelay] = field(default_factory=dict)
    """Relay chains by id."""

    @classmethod
    def build(cls, *, dev: bool = False, queue: bool = False) -> "HubBench":
        """Deploy and administer everything."""
        chain = EvmChain.direct("bench", CHAIN_ID, Clock())
        bench = cls(HubChain.deploy(chain, HERE, dev=dev, queue=queue))
        for domain in (DOMAIN, OTHER_DOMAIN):
            bench.hub.open_domain({THERE: CHAIN_ID + 1, ELSEWHERE: CHAIN_ID + 2}, domain=domain)
        bench.register(ForgedRelay(11))
        bench.register(ForgedRelay(12))
        bench.register(ForgedRelay(13, domain=OTHER_DOMAIN, method=EndorsementMethod.THRESHOLD))
        bench.route({11: 1_024})
        bench.route({13: 1_024}, domain=OTHER_DOMAIN)
        return bench

    def fork(self) -> "HubBench":
        """Copy with the whole state."""
        return HubBench(self.hub.fork(), {number: relay.fork() for number, relay in self.relays.items()})

    def register(self, relay: ForgedRelay) -> None:
        """Let the hub know a relay chain, and make it active."""
        genesis = sha256(b"genesis %d" % relay.relay)
        self.hub.govern(RegisterRelay(relay.relay, genesis, relay.signers), domain=relay.domain)
        self.hub.govern(RelayState(relay.relay, RelayLifeCycle.ACTIVE), domain=relay.domain)
        self.relays[relay.relay] = relay

    def route(self, slots: dict[int, int], *, domain: int = DOMAIN, epoch: int = 1) -> None:
        """Give the routing slots to relay chains, in order."""
        ranges, first = [], 0
        for relay, count in slots.items():
            ranges.append(SlotRange(relay, first, count))
            first += count
        self.hub.govern(SetRoutingPolicy(RoutingPolicy(epoch, tuple(ranges))), domain=domain)

    @property
    def relay(self) -> ForgedRelay:
        """Relay chain 11."""
        return self.relays[11]

    @property
    def now(self) -> int:
        """Time of the hub's chain, Unix seconds."""
        return self.hub.chain.clock.now_seconds

    def advance(self, seconds: int) -> None:
        """Let time pass."""
        self.hub.chain.clock.tick(seconds)

    # ------------------------------------------------------------------------------------------------ asserting

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Assert that no contract's storage changes."""
        before = self.hub.digest()
        yield
        assert self.hub.digest() == before, "the state has changed"

    def refused(self, *envelopes: bytes, error: str | tuple[str, ...] = "") -> None:
        """Assert that the hub refuses each of these envelopes and that nothing changes."""
        with self.unchanged():
            outcomes = self.hub.receive(*envelopes)
        for number, outcome in enumerate(outcomes):
            assert not outcome.succeeded, f"envelope {number} was accepted"
            assert self.hub.error(outcome).startswith(error), f"envelope {number}: {self.hub.error(outcome)}"

    def skipped(self, *envelopes: bytes) -> None:
        """Assert that the hub takes these envelopes without any effect."""
        with self.unchanged():
            for outcome in self.hub.receive(*envelopes):
                assert outcome.succeeded, self.hub.error(outcome)
                assert not outcome.logs, f"events of a packet that is skipped: {self.hub.events(outcome)}"

    def accepted(self, envelope: bytes) -> Outcome:
        """Assert that the hub takes an envelope and that something changes."""
        before = self.hub.digest()
        (outcome,) = self.hub.receive(envelope)
        assert outcome.succeeded, self.hub.error(outcome)
        assert self.hub.digest() != before, "an envelope that should do something has no effect"
        return outcome

    # ------------------------------------------------------------------------------------------------ sending

    def send_token(
        self,
        amount: int = 1_000,
        *,
        recipient: str = "bob",
        relay: int = 11,
        domain: int = DOMAIN,
        sender: str = "alice",
        lifetime_seconds: int = 3_600,
    ) -> Outcome:
        """Transfer tokens to the chain that does not exist."""
        data = token_transfer_data(
            domain, THERE, relay, recipient, amount, self.now + lifetime_seconds, self.now + 2 * lifetime_seconds
        )
        (outcome,) = self.hub.chain.run(Call(self.hub.token, data, sender))
        return outcome

    def notarise(self, key: bytes, value: bytes, *, destination: int = THERE, expiry: int = 0) -> Outcome:
        """Send a record to the chain that does not exist, over the free outbox."""
        data = load("RecordNotary").function_data("notarise", DOMAIN, destination, key, value, expiry)
        (outcome,) = self.hub.chain.run(Call(self.hub.notary, data, "alice"))
        return outcome

    # ------------------------------------------------------------------------------------------------ applications

    def install(self, runtime: bytes, *, application: int = 50, protocols: Protocols = ALL_PROTOCOLS) -> bytes:
        """Create an application from its runtime code and register it; its address."""
        address = self.hub.chain.create(hostile.creation(runtime))
        assert self.hub.chain.state.code(address) == runtime
        self.hub.register_application(application, address, protocols)
        return address

    def send_raw(
        self,
        contract: bytes,
        *,
        domain: int = DOMAIN,
        destination: int = THERE,
        relay: int = 0,
        channel: int = 0,
        transport_flags: int = 0,
        transport: int | None = None,
        verification: bytes = bytes(8),
        protocol: int = 0,
        transaction_flags: int = 0,
        deadline: int = 0,
        expiry: int = 0,
        gas: int = 100_000,
        transaction: int | None = None,
        function: int = 1,
        callback: int = 0,
        application: int | None = None,
        body: bytes = b"body",
        sender: str = "mallory",
    ) -> Outcome:
        """Let a contract that passes calls on (a puppet) send a packet whose words are anything at all."""
        if transport is None:
            transport = transport_flags << 232 | domain << 192 | destination << 128 | relay << 96 | channel << 64
        if transaction is None:
            transaction = protocol << 248 | transaction_flags << 224 | deadline << 72 | expiry << 32 | gas
        if application is None:
            application = function << 192 | callback << 160
        words = [transport.to_bytes(32, "big"), verification, transaction.to_bytes(32, "big")]
        data = self.hub.data("send", *words, application.to_bytes(32, "big"), bytes(32), body)
        (outcome,) = self.hub.chain.run(Call(contract, data, sender))
        return outcome

    def sent(self, outcome: Outcome) -> Packet:
        """The packet that a successful send made."""
        assert outcome.succeeded, self.hub.error(outcome)
        (packet,) = [arguments["packet"] for name, arguments in self.hub.events(outcome) if name == "PacketSent"]
        return STACK.receive(packet)


def token_transfer_data(
    domain: int, destination: int, relay: int, recipient: str, amount: int, expiry: int, deadline: int
) -> bytes:
    """Call data of a transfer to another chain."""
    assert expiry > DELTA_SECONDS[0]
    return load("BridgeToken").function_data(
        "transferRemote", domain, destination, relay, "0x" + address_of(recipient).hex(), amount, expiry, deadline
    )
