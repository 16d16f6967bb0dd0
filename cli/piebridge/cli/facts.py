"""What the chains say about one packet, collected before anybody draws conclusions. Pure data.

``collect.py`` fills these classes by asking the chains; ``trace.py`` reads them. Times are Unix seconds of the chain
that made the block.
"""

from dataclasses import dataclass

from piebridge.protocol_stack.packet import Packet
from piebridge.protocol_stack.receipts import ReceiptCode


@dataclass(frozen=True, slots=True)
class SentPacket:
    """A packet as its source hub emitted it."""

    packet: Packet
    """Header and body."""
    chain: str
    """Name of the source."""
    outbox_relay: int
    """Relay of the outbox that it stands in; 0 is the free one."""
    entry_number: int
    """Its place there."""
    block_number: int
    """Block that made it."""
    transaction: str
    """Hash of the transaction that sent it, 0x-hex."""

    @property
    def id(self) -> str:
        """Packet id, 0x-hex."""
        return f"0x{self.packet.packet_id.hex()}"


@dataclass(frozen=True, slots=True)
class BlockFacts:
    """A step that a block of a parachain took."""

    number: int
    """Height."""
    time: int
    """Time of the block."""
    transaction: str | None = None
    """Transaction that took it, 0x-hex; None where the node does not tell."""
    gas_used: int | None = None
    """Gas of that whole transaction."""
    messages: int | None = None
    """Messages that shared it."""
    proof_bytes: int | None = None
    """Size of what authenticated them."""
    signatures: int | None = None
    """Endorsements among it."""
    relay: int | None = None
    """Relay chain whose endorsement it was."""


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """The chain that sent the packet."""

    chain: str
    """Name."""
    sent: BlockFacts
    """Where the packet was sent."""
    head: int
    """Newest block."""
    finality_depth: int
    """Blocks that must lie above one before a packet is taken."""
    verification: str
    """``spv`` or ``notary``."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A validator or notary that was asked to sign."""

    name: str
    """For people."""
    address: str
    """EIP-55 address."""
    problem: str | None
    """Why it did not sign; None if it did."""


@dataclass(frozen=True, slots=True)
class SignatureFacts:
    """Signatures over the value that the packet waits for."""

    needed: int
    """k."""
    signers: tuple[Signer, ...]
    """All n, in set order."""

    @property
    def missing(self) -> tuple[Signer, ...]:
        """Those that did not sign."""
        return tuple(signer for signer in self.signers if signer.problem is not None)

    @property
    def enough(self) -> bool:
        """Whether k signed."""
        return len(self.signers) - len(self.missing) >= self.needed


@dataclass(frozen=True, slots=True)
class RelayFacts:
    """A relay chain that may carry the packet."""

    relay: int
    """Relay id."""
    problem: str | None = None
    """Why it does not answer; None if it does."""
    life_cycle: str = "ACTIVE"
    """State in its life cycle."""
    paused: bool = False
    """Whether it serves no new packets."""
    halted: str | None = None
    """Why it cannot make blocks although it answers; None if it can."""
    recorded_height: int | None = None
    """Height that recorded the packet."""
    recorded_time: float | None = None
    """Time of that block."""
    proof_bytes: int | None = None
    """Size of the proof with which the packet came."""
    entry_number: int | None = None
    """Its place in the outbox to the destination."""
    answer_height: int | None = None
    """Height that recorded its receipt, and gave the verdict."""
    answer_time: float | None = None
    """Time of that block."""
    answer_proof_bytes: int | None = None
    """Size of the proof with which the receipt came."""
    answer_entry: int | None = None
    """Place of verdict or receipt in the outbox to the source."""

    @property
    def name(self) -> str:
        """For people."""
        return f"relay-{self.relay}"


@dataclass(frozen=True, slots=True)
class DestinationFacts:
    """The chain that the packet goes to."""

    chain: str
    """Name."""
    now: int
    """Its clock: the least time that its next block can have; 0 where it does not answer."""
    head: int = 0
    """Newest block."""
    finality_depth: int = 0
    """Blocks that must lie above one before its receipt is taken."""
    ended: BlockFacts | None = None
    """Where the packet reached its end; None while it has not."""
    code: ReceiptCode | None = None
    """How it ended, as far as a receipt or the status bits tell."""
    reason: str | None = None
    """Why the handler failed."""
    handler_gas_max: int | None = None
    """Largest handler gas that it takes."""
    next_sequence: int | None = None
    """Sequence that an ordered lane waits for; None in unordered lanes."""
    paused: tuple[str, ...] = ()
    """What is paused, frozen or closed there and stops this packet."""


@dataclass(frozen=True, slots=True)
class HomeFacts:
    """What the source learnt of the packet's end."""

    wanted: bool
    """Whether anything comes home at all."""
    came: BlockFacts | None = None
    """Where the verdict or receipt was taken."""
    committed: bool | None = None
    """The verdict of a transaction."""
    settled: BlockFacts | None = None
    """Where an aborted transaction was undone."""


@dataclass(frozen=True, slots=True)
class GatewayFacts:
    """A gateway."""

    name: str
    """For people."""
    problem: str | None
    """Why it does not work; None if it does."""
    source_balance_wei: int
    """Its money for gas at the source."""
    destination_balance_wei: int
    """Its money for gas at the destination."""


@dataclass(frozen=True, slots=True)
class PacketFacts:
    """All of it."""

    sent: SentPacket
    """The packet."""
    source: SourceFacts
    """Where it comes from."""
    relays: tuple[RelayFacts, ...]
    """Which may carry it: one for a bound packet, all of the domain for a free one."""
    destination: DestinationFacts
    """Where it goes."""
    home: HomeFacts
    """What came back."""
    gateways: tuple[GatewayFacts, ...]
    """Who carries."""
    notaries: SignatureFacts | None = None
    """Asked only while the packet waits for their statement."""
    endorsements: SignatureFacts | None = None
    """Asked only while packet or answer waits for endorsement."""
    delivery_cost_wei: int = 0
    """What a gateway pays for one delivery at the destination, about."""

    @property
    def recorder(self) -> RelayFacts | None:
        """The relay chain that recorded the packet first."""
        recorded = [relay for relay in self.relays if relay.recorded_height is not None]
        return min(recorded, key=lambda relay: relay.recorded_time or 0.0) if recorded else None
