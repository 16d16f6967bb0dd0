"""What a handler of a relay transaction gets: the state in the making, time, and a place for what it brings forth."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from piebridge.crypto.errors import ProtocolError
from piebridge.protocol_stack import verdicts
from piebridge.protocol_stack.identifiers import RegistrationNumber
from piebridge.protocol_stack.transport.outbox import Form
from piebridge.relay.app.records import RelayRecord
from piebridge.relay.app.retention import Remembered
from piebridge.relay.app.state import Overlay
from piebridge.relay.app.store import Store

NANOSECONDS_PER_SECOND = 1_000_000_000


class RefusedError(ProtocolError):
    """A transaction is well-formed, but the state does not allow it: unknown, closed or frozen chain, wrong counter."""


@dataclass(frozen=True, slots=True)
class RelayEvent:
    """Something that happened in block execution, for observers; no part of any hash."""

    kind: str
    """For example ``packet_recorded``."""
    attributes: tuple[tuple[str, str], ...] = ()
    """Key and value pairs."""


Events: TypeAlias = Sequence[RelayEvent]
"""What a handler tells observers, in order."""


def event(kind: str, /, **attributes: int | str | bytes) -> RelayEvent:
    """Build an event; bytes are shown as hex."""
    shown = ((key, value.hex() if isinstance(value, bytes) else str(value)) for key, value in attributes.items())
    return RelayEvent(kind, tuple(shown))


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A packet or a receipt home on its way into an outbox; numbered at the end of the block."""

    destination: RegistrationNumber
    """Hub that the outbox leads to."""
    form: Form
    """PACKET or RECEIPT_HOME."""
    content: bytes
    """What stands behind the form in a range."""
    message_id: bytes
    """Message id, 32 bytes."""
    packet_id: bytes
    """Packet whose record learns the entry number."""


@dataclass(frozen=True, slots=True)
class OutgoingOriginVerdict:
    """A verdict toward the origin of a transaction."""

    destination: RegistrationNumber
    """The origin."""
    item: verdicts.OriginVerdict
    """What it is told."""
    transaction_id: bytes
    """Transaction whose record learns the entry number."""


@dataclass(frozen=True, slots=True)
class OutgoingParticipantVerdict:
    """A verdict toward the destination of a packet, where it leaves a tombstone."""

    destination: RegistrationNumber
    """The destination of the packet's lane."""
    item: verdicts.ParticipantVerdict
    """What it is told."""
    packet_id: bytes
    """Packet whose record learns the entry number."""


OutgoingVerdict: TypeAlias = OutgoingOriginVerdict | OutgoingParticipantVerdict
Outgoing: TypeAlias = OutgoingMessage | OutgoingVerdict


@dataclass(slots=True)
class Context:
    """Host of one relay transaction, or of a part of one that may fail by itself."""

    overlay: Overlay
    """State in the making; thrown away when the transaction fails."""
    height: int
    """Height of the block."""
    time_ns: int
    """Time of the block, nanoseconds since the Unix epoch: the only clock there is."""
    outgoing: list[Outgoing] = field(default_factory=list)
    """What goes into outboxes at the end of the block, in order."""
    remembered: list[Remembered] = field(default_factory=list)
    """What retention is to look at some day, in order."""

    @property
    def store(self) -> Store:
        """Typed access to the state in the making."""
        return Store(self.overlay)

    def attempt(self) -> "Context":
        """Return a context above this one, whose results count only if they are kept."""
        return Context(self.overlay.child(), self.height, self.time_ns)

    def keep(self, attempt: "Context") -> None:
        """Take over the results of an attempt."""
        self.overlay.absorb(attempt.overlay)
        self.outgoing.extend(attempt.outgoing)
        self.remembered.extend(attempt.remembered)

    @property
    def time_seconds(self) -> int:
        """Time of the block, whole Unix seconds."""
        return self.time_ns // NANOSECONDS_PER_SECOND

    @property
    def relay(self) -> RelayRecord:
        """The relay chain's own record."""
        return self.store.relay
