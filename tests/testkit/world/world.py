"""The whole road in one process: parachains, relay chains, and a carrier that does what the test tells it.

The carrier is no gateway: it reads the chains' own data structures and builds every proof by itself, so that a test may
change the bytes of every hop before they are submitted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from piebridge.cometbft.verification import minimal_commit
from piebridge.contracts.loader import load
from piebridge.crypto.hash import sha256
from piebridge.crypto.quorum import Quorum
from piebridge.evm_chain.block import Outcome
from piebridge.protocol_stack.authentication import (
    Authentication,
    BothAuthentication,
    NotaryAuthentication,
    SlotProof,
    SpvAuthentication,
)
from piebridge.protocol_stack.checkpoint import CometBftCheckpoint
from piebridge.protocol_stack.commitment import SlotBase, chain_slot
from piebridge.protocol_stack.governor_hub_bodies import RegisterRelay, RelayLifeCycle, RelayState, SetRoutingPolicy
from piebridge.protocol_stack.governor_relay_bodies import ClientKind, RegisterChain
from piebridge.protocol_stack.notary_statement import NotarySet, NotaryStatement, SlotValue
from piebridge.protocol_stack.packet import Packet
from piebridge.protocol_stack.receipts import ReceiptBatch
from piebridge.protocol_stack.relay_messages import HubRange, HubSlots, LightBlock, SlotName, UpdateClient
from piebridge.protocol_stack.report import Report
from piebridge.protocol_stack.routing import SLOT_COUNT, RoutingPolicy, SlotRange
from piebridge.protocol_stack.stack import STACK
from piebridge.protocol_stack.transport.outbox import (
    BareEntry,
    Entry,
    Maker,
    OutboxHead,
    OutboxRange,
    PacketEntry,
    ReceiptsEntry,
    ReportEntry,
    open_hub_outbox,
)
from piebridge.protocol_stack.verification.base import Method
from testkit.world.bench import token_transfer_data
from testkit.world.evm import Call, EvmChain
from testkit.world.hub import DOMAIN, HANDLER_GAS_MAX, SUPPLY, HubChain
from testkit.world.keys import Clock, address_of, sign
from testkit.world.relay_chain import RelayChain

TRUSTING_PERIOD_SECONDS = 14 * 86_400
"""How long a header of a parachain may vouch for later ones."""
CLOCK_DRIFT_SECONDS = 5
"""How far its time may lie ahead of the relay chain's."""

Change = Callable[[bytes], bytes]
"""What a test does to bytes before they are submitted."""


def notary_name(registration: int, member: int, epoch: int = 1) -> str:
    """Name of a notary's key."""
    return f"notary {member} of registration {registration} epoch {epoch}"


def unchanged(data: bytes) -> bytes:
    """An honest carrier."""
    return data


@dataclass
class World:
    """Parachains 1..N and relay chains 11..10+M of one domain."""

    clock: Clock
    """The only clock."""
    method: Method = Method.SPV
    """How the relay chains verify the parachains."""
    hubs: dict[int, HubChain] = field(default_factory=dict)
    """Parachains by registration."""
    relays: dict[int, RelayChain] = field(default_factory=dict)
    """Relay chains by id."""
    delivered: dict[tuple[int, int], int] = field(default_factory=dict)
    """(relay, destination): last entry that was carried to the hub."""

    @classmethod
    def build(
        cls,
        parachains: int = 2,
        relays: int = 1,
        *,
        depth: int = 0,
        slots: Sequence[int] = (),
        others: Sequence[RegisterChain] = (),
        method: Method = Method.SPV,
    ) -> "World":
        """Make everything.

        Args:
            parachains: number of parachains; each begins with an equal share of the token's supply at alice's.
            relays: number of relay chains.
            depth: finality depth of every parachain's registration.
            slots: routing slots of each relay chain; all with the first where it is empty.
            others: further members that the relay chains know.
            method: how the relay chains verify the parachains.
        """
        world = cls(Clock(), method)
        for number in range(1, parachains + 1):
            chain = EvmChain.with_engine(f"parachain-{number}", 31_000 + number, world.clock)
            world.hubs[number] = HubChain.deploy(chain, number, amount=SUPPLY // parachains)
        for number, hub in world.hubs.items():
            peers = {other: 31_000 + other for other in world.hubs if other != number}
            hub.open_domain(peers, method=method)
        registrations = [*(world.registration(number, depth) for number in world.hubs), *others]
        for number in range(11, 11 + relays):
            world.relays[number] = RelayChain(number, world.clock, registrations)
        slots = slots or (SLOT_COUNT,)
        ranges, first = [], 0
        for relay, count in zip(world.relays, slots, strict=False):
            ranges.append(SlotRange(relay, first, count))
            first += count
        for hub in world.hubs.values():
            for relay, chain_ in world.relays.items():
                genesis_hash = sha256(chain_.document.to_json())
                hub.govern(RegisterRelay(relay, genesis_hash, chain_.signers))
                hub.govern(RelayState(relay, RelayLifeCycle.ACTIVE))
            hub.govern(SetRoutingPolicy(RoutingPolicy(1, tuple(ranges))))
        return world

    def registration(self, number: int, depth: int = 0) -> RegisterChain:
        """What a relay chain is told of a parachain."""
        hub = self.hubs[number]
        header = hub.chain.engine.block(hub.chain.engine.height).block.header
        return RegisterChain(
            registration=number,
            hub=hub.hub,
            evm_chain_id=hub.chain.chain_id,
            client_kind=ClientKind.NONE if self.method is Method.NOTARY else ClientKind.COMETBFT,
            method=self.method,
            depth=depth,
            depth_max=16,
            handler_gas_max=HANDLER_GAS_MAX,
            checkpoint=None
            if self.method is Method.NOTARY
            else CometBftCheckpoint(
                TRUSTING_PERIOD_SECONDS,
                CLOCK_DRIFT_SECONDS,
                header.chain_id,
                header.height,
                header.hash(),
                header.time_ns,
                header.app_hash,
                header.next_validators_hash,
            ),
            notaries=None if self.method is Method.SPV else self.notaries(number),
        )

    def notaries(self, number: int, epoch: int = 1) -> NotarySet:
        """The notaries of a parachain: 3 of 4."""
        return NotarySet(epoch, 3, tuple(address_of(notary_name(number, member, epoch)) for member in range(4)))

    @property
    def now(self) -> int:
        """Unix seconds."""
        return self.clock.now_seconds

    def advance(self, seconds: int) -> None:
        """Let time pass and every chain notice it."""
        self.clock.tick(seconds)
        for hub in self.hubs.values():
            hub.chain.idle()
        for relay in self.relays.values():
            relay.make_block()
            relay.make_block()

    # --- sending ---

    def send_token(
        self,
        source: int,
        destination: int,
        amount: int,
        *,
        recipient: str = "bob",
        sender: str = "alice",
        relay: int | None = None,
        lifetime_seconds: int = 7_200,
    ) -> Packet:
        """Transfer tokens to another chain."""
        hub = self.hubs[source]
        relay = int(hub.read("route", DOMAIN, destination, 2)) if relay is None else relay
        expiry = self.now + lifetime_seconds
        data = token_transfer_data(DOMAIN, destination, relay, recipient, amount, expiry, expiry + lifetime_seconds)
        return self.sent(source, Call(hub.token, data, sender))

    def notarise(self, source: int, destination: int, key: bytes, value: bytes, *, expiry: int = 0) -> Packet:
        """Send a record over the free outbox."""
        hub = self.hubs[source]
        data = load("RecordNotary").function_data("notarise", DOMAIN, destination, key, value, expiry)
        return self.sent(source, Call(hub.notary, data, "alice"))

    def sent(self, source: int, call: Call) -> Packet:
        """Execute a call that sends one packet."""
        hub = self.hubs[source]
        (outcome,) = hub.chain.run(call)
        assert outcome.succeeded, hub.error(outcome)
        (packet,) = [arguments["packet"] for name, arguments in hub.events(outcome) if name == "PacketSent"]
        return STACK.receive(packet)

    # --- hub to relay chain ---

    def outbox_entries(self, source: int, outbox_relay: int) -> list[Entry]:
        """All entries of a hub's outbox, from its events."""
        hub, found = self.hubs[source], dict[int, Entry]()
        for height, log in hub.chain.logs(0, hub.chain.number):
            event = load("Hub").decode_event(list(log.topics), log.data) if log.address == hub.hub else None
            if event is None or "entry" not in event.arguments:
                continue
            place = event.arguments["entry"]
            if place >> 64 != DOMAIN << 32 | outbox_relay:
                continue
            entry: Entry
            if event.name == "PacketSent":
                entry = PacketEntry(height, STACK.receive(event.arguments["packet"]))
            elif event.name == "ReceiptsMade":
                entry = ReceiptsEntry(height, ReceiptBatch.decode(event.arguments["receipts"]))
            else:
                entry = ReportEntry(height, Report.decode(event.arguments["report"]))
            found[place & (1 << 64) - 1] = entry
        return [found[number] for number in sorted(found)]

    def hub_range(
        self, source: int, outbox_relay: int, first: int = 1, last: int | None = None, *, bare: Sequence[int] = ()
    ) -> OutboxRange:
        """Entries of a hub's outbox."""
        entries = self.outbox_entries(source, outbox_relay)
        last = len(entries) if last is None else last
        maker = Maker(source)
        head = OutboxHead(0, open_hub_outbox(source, self.hubs[source].hub, DOMAIN, outbox_relay))
        for entry in entries[: first - 1]:
            head = head.append(entry.height, entry.message_id(maker))
        shown = tuple(
            BareEntry(entry.height, entry.message_id(maker)) if number in bare else entry
            for number, entry in enumerate(entries[first - 1 : last], first)
        )
        return OutboxRange(maker, first, head.value, shown)

    def light_block(self, source: int, trusted_height: int, height: int) -> LightBlock:
        """An update of a parachain's light client."""
        engine = self.hubs[source].chain.engine
        block = engine.light_block(height)
        adjacent = height == trusted_height + 1
        trusted = b"" if adjacent else engine.validators(trusted_height + 1).without_rotation().encode()
        return LightBlock(
            trusted_height=trusted_height,
            header=block.header.encode(),
            commit=minimal_commit(block.validators, block.signed_header.commit).encode(),
            validator_set=block.validators.encode(),
            trusted_validator_set=trusted,
        )

    def follow(self, source: int, relay: int) -> int:
        """Bring a relay chain's light client to the newest header of a parachain; its height."""
        chain = self.relays[relay]
        client = chain.view.client(source)
        newest = self.hubs[source].chain.engine.height
        if self.method is Method.NOTARY:
            return newest
        assert client is not None, f"registration {source} has no light client"
        if client.heights[-1] < newest:
            block = self.light_block(source, client.heights[-1], newest)
            chain.must(UpdateClient(source, (block.encode(),)))
        return newest

    def prove(self, source: int, height: int, slots: Sequence[bytes]) -> SpvAuthentication:
        """Prove slots of a hub under the header of a CometBFT height."""
        hub = self.hubs[source]
        database = hub.chain.app.database
        number = database.number_of_hash(hub.chain.engine.block(height).block.header.app_hash)
        assert number is not None, "the header commits to an EVM block"
        header = database.header(number)
        assert header is not None
        reader = type(hub.chain.state)(database.node, header.state_root)
        proof = reader.proof(hub.hub, [int.from_bytes(slot, "big") for slot in sorted(slots)])
        return SpvAuthentication(
            client_height=height,
            block_header=header.encode(),
            account_proof=proof.nodes,
            slots=tuple(SlotProof(item.slot.to_bytes(32, "big"), item.nodes) for item in proof.storage),
        )

    def state(self, source: int, height: int, slots: Sequence[bytes]) -> NotaryStatement:
        """What an honest notary says of the block that the header of a CometBFT height commits to."""
        hub = self.hubs[source]
        database = hub.chain.app.database
        block_hash = hub.chain.engine.block(height).block.header.app_hash
        number = database.number_of_hash(block_hash)
        assert number is not None, "the header commits to an EVM block"
        header = database.header(number)
        assert header is not None
        reader = type(hub.chain.state)(database.node, header.state_root)
        values = tuple(
            SlotValue(slot, reader.storage(hub.hub, int.from_bytes(slot, "big")).to_bytes(32, "big"))
            for slot in sorted(slots)
        )
        return NotaryStatement(hub.hub, number, block_hash, header.timestamp, values)

    def notarised(
        self, source: int, statement: NotaryStatement, *, members: Sequence[int] = (0, 1, 2), epoch: int = 1
    ) -> NotaryAuthentication:
        """A statement with the signatures of some notaries."""
        digest = statement.digest(DOMAIN, source, epoch)
        signatures = tuple(sign(notary_name(source, member, epoch), digest) for member in members)
        return NotaryAuthentication(
            self.notaries(source, epoch), Quorum(sum(1 << member for member in members), signatures), statement
        )

    def authenticate(self, source: int, height: int, slots: Sequence[bytes]) -> Authentication:
        """Show slots of a hub by the method of its registration."""
        if self.method is Method.SPV:
            return self.prove(source, height, slots)
        notarised = self.notarised(source, self.state(source, height, slots))
        if self.method is Method.NOTARY:
            return notarised
        return BothAuthentication(self.prove(source, height, slots), notarised)

    def range_message(
        self,
        source: int,
        relay: int,
        *,
        bound: bool = False,
        first: int = 1,
        last: int | None = None,
        bare: Sequence[int] = (),
    ) -> HubRange:
        """Follow the parachain and build the message that carries entries of its outbox."""
        height = self.follow(source, relay)
        return self.range_message_at(source, relay, height, bound=bound, first=first, last=last, bare=bare)

    def range_message_at(
        self,
        source: int,
        relay: int,
        height: int,
        *,
        bound: bool = False,
        first: int = 1,
        last: int | None = None,
        bare: Sequence[int] = (),
    ) -> HubRange:
        """The same under the header of a height, whether the relay chain trusts it or not."""
        outbox_relay = relay if bound else 0
        shown = self.hub_range(source, outbox_relay, first, last, bare=bare)
        authentication = self.authenticate(source, height, [chain_slot(DOMAIN, outbox_relay)])
        return HubRange(source, outbox_relay, authentication, shown)

    def carry_to_relay(
        self,
        source: int,
        relay: int,
        *,
        bound: bool = False,
        first: int = 1,
        bare: Sequence[int] = (),
        change: Callable[[HubRange], HubRange] = lambda message: message,
        sender: str = "gateway",
    ) -> tuple[int, str, int]:
        """Carry a hub's outbox to a relay chain; code, reason and how much was new."""
        chain = self.relays[relay]
        message = change(self.range_message(source, relay, bound=bound, first=first, bare=bare))
        return chain.submit(chain.sign(message, sender=sender))

    def record(self, source: int, relay: int, *, bound: bool = False, first: int = 1) -> int:
        """Carry a hub's outbox to a relay chain, which must take it; how much was new."""
        code, log, news = self.carry_to_relay(source, relay, bound=bound, first=first)
        assert code == 0, log
        return news

    def prove_slots(self, source: int, relay: int, names: Sequence[tuple[SlotBase, bytes]]) -> HubSlots:
        """The message that shows storage words of a hub to a relay chain."""
        height = self.follow(source, relay)
        named = sorted((SlotName(base, key) for base, key in names), key=lambda name: name.slot)
        return HubSlots(source, self.authenticate(source, height, [name.slot for name in named]), tuple(named))

    # --- relay chain to hub ---

    def envelope(self, relay: int, destination: int, first: int | None = None) -> bytes:
        """What was not carried yet of a relay chain's outbox toward a hub, endorsed."""
        chain = self.relays[relay]
        start = self.delivered.get((relay, destination), 0) + 1 if first is None else first
        return chain.endorse(chain.entries(destination, start), destination)

    def carry_to_hub(
        self, relay: int, destination: int, *, first: int | None = None, change: Change = unchanged
    ) -> Outcome:
        """Carry a relay chain's outbox to a hub; what became of the transaction."""
        number = self.relays[relay].head(destination).number
        (outcome,) = self.hubs[destination].receive(change(self.envelope(relay, destination, first)))
        if outcome.succeeded:
            self.delivered[relay, destination] = number
        return outcome

    def deliver(self, relay: int, destination: int) -> Outcome:
        """Carry a relay chain's outbox to a hub, which must take it."""
        outcome = self.carry_to_hub(relay, destination)
        assert outcome.succeeded, self.hubs[destination].error(outcome)
        return outcome

    def settle(self, source: int, packet: Packet, *, change: Change = unchanged) -> Outcome:
        """Settle an aborted transaction at its source."""
        hub, lane = self.hubs[source], packet.lane
        data = hub.data("settle", lane.domain, lane.relay, packet.header.transaction.nonce, change(packet.encode()))
        (outcome,) = hub.chain.run(Call(hub.hub, data, "carrier"))
        return outcome

    def round_trip(self, source: int, destination: int, relay: int, *, bound: bool) -> None:
        """Carry everything from source to destination and all that comes back."""
        self.record(source, relay, bound=bound)
        self.deliver(relay, destination)
        self.record(destination, relay, bound=bound)
        self.deliver(relay, source)

    # --- the value of everything ---

    def in_circulation(self) -> int:
        """Balances of every user on every chain."""
        users = ("alice", "bob", "mallory", "carrier", "deployer")
        return sum(hub.balance(user) for hub in self.hubs.values() for user in users)
