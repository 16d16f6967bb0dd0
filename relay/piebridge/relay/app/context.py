"""What a handler of a relay transaction gets: the state in the making, time, and a place for what it brings forth."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from piebridge.abci.messages import ValidatorUpdate
from piebridge.crypto.errors import ProtocolError
from piebridge.relay.app.records import RelayRecord
from piebridge.relay.app.store import Store

NANOSECONDS_PER_SECOND = 1_000_000_000


class RefusedError(ProtocolError):
    """A transaction is well-formed and proven, but the state does not allow it (closed, frozen, unknown chain ...)."""


@dataclass(frozen=True, slots=True)
class RelayEvent:
    """Something that happened in block execution, for observers; no part of any hash."""

    kind: str
    """For example ``packet_recorded``."""
    attributes: tuple[tuple[str, str], ...] = ()
    """Key and value pairs."""


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A packet or a receipt home on its way into an outbox; numbered at the end of the block."""

    destination: int
    """Registration of the hub."""
    form: int
    """Form in a range: 1 packet, 5 receipt home."""
    content: bytes
    """Content in that form."""
    message_id: bytes
    """Message id, 32 bytes."""
    packet_id: bytes
    """Packet whose record learns the entry number."""


@dataclass(frozen=True, slots=True)
class OriginVerdict:
    """A verdict toward the origin of a transaction."""

    destination: int
    """Registration of the origin."""
    tx_id: bytes
    """Transaction whose record learns the entry number."""
    nonce: int
    """Transaction nonce at the origin."""
    packets_hash: bytes | None
    """Hash of the packet ids for an ABORT; None for a COMMIT."""


@dataclass(frozen=True, slots=True)
class ParticipantVerdict:
    """An ABORT toward a participant, where it leaves a tombstone."""

    destination: int
    """Registration of the participant."""
    packet_id: bytes
    """Packet whose record learns the entry number."""
    source: int
    """Source of the packet's lane."""
    channel: int
    """Channel of the packet's lane."""
    sequence: int
    """Sequence of the packet."""


Outgoing = OutgoingMessage | OriginVerdict | ParticipantVerdict


@dataclass(slots=True)
class Context:
    """Host of one relay transaction."""

    store: Store
    """State in the making; thrown away when the transaction fails."""
    height: int
    """Height of the block."""
    time_ns: int
    """Time of the block, nanoseconds since the Unix epoch: the only clock there is."""
    outgoing: list[Outgoing] = field(default_factory=list)
    """What goes into outboxes at the end of the block, in order."""
    validator_updates: list[ValidatorUpdate] = field(default_factory=list)
    """Changes of the consensus set."""

    @property
    def time_seconds(self) -> int:
        """Time of the block, whole Unix seconds."""
        return self.time_ns // NANOSECONDS_PER_SECOND

    @property
    def relay(self) -> RelayRecord:
        """The relay chain's own record."""
        return self.store.relay


def event(kind: str, **attributes: int | str | bytes) -> RelayEvent:
    """Build an event; bytes are shown as hex."""
    return RelayEvent(kind, tuple((key, value.hex() if isinstance(value, bytes) else str(value)) for key, value in attributes.items()))


Events = Sequence[RelayEvent]
