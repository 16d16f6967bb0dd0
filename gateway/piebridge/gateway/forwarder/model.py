"""What the forwarder is told and what it wants done: plain values, so that a queue can carry them to another process.

A *path* is one stretch over which one kind of message travels. An *item* is one message waiting at the start of a path.
The bytes of messages stay in the archive; the forwarder sees only what it decides by.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias


class Flow(Enum):
    """What travels on a path."""

    HUB_TO_RELAY = "hub-to-relay"
    """Entries of one outbox of a hub, to one relay chain that may take them."""
    RELAY_TO_HUB = "relay-to-hub"
    """Entries of a relay chain's outbox toward one hub."""
    SETTLE = "settle"
    """Aborted transactions of a hub, bound to one relay chain: their packets are shown to the hub, which refunds."""
    ACKNOWLEDGE = "acknowledge"
    """Slots of a hub that show what it received, to the relay chain that still keeps those messages."""


@dataclass(frozen=True, slots=True, order=True)
class PathKey:
    """Names a path."""

    flow_name: str
    """Value of the :class:`Flow`."""
    registration: int
    """The hub at one end."""
    relay: int
    """The relay chain at the other."""
    outbox: int = 0
    """HUB_TO_RELAY: relay that the hub's outbox is bound to, 0 the free one. Otherwise 0."""

    @property
    def flow(self) -> Flow:
        """What travels."""
        return Flow(self.flow_name)

    def __str__(self) -> str:
        """Show it for people."""
        outbox = f" outbox {self.outbox}" if self.flow is Flow.HUB_TO_RELAY else ""
        return f"{self.flow_name} hub {self.registration}{outbox} relay {self.relay}"


@dataclass(frozen=True, slots=True)
class Item:
    """A message at the start of a path."""

    number: int
    """Number of the outbox entry; SETTLE: nonce of the transaction."""
    height: int
    """Block that made the entry; decides the relay chain of a free packet."""
    size_bytes: int
    """Bytes that it adds to a range when carried in full."""
    gas: int = 0
    """Gas that it may need at a hub, 0 on a relay chain."""
    expiry: int = 0
    """Unix seconds from which it may be carried without its body; 0 never."""
    eligible_after_seconds: float = 0.0
    """How long others have the first go: another gateway, or another relay chain."""
    in_order: bool = False
    """Whether it is of no use before those with smaller numbers: a packet of an ordered lane."""
    lane: bytes = b""
    """Lane of the packet that it is about, empty where it is about none; only ever compared."""
    sequence: int = 0
    """Place of that packet in its lane: the higher, the younger."""


class Delivery(Enum):
    """Where an item stands, as chain state tells."""

    PENDING = "pending"
    """It is to be carried."""
    WAITING = "waiting"
    """Nothing can be done for it now; chain state will change by itself."""
    DONE = "done"
    """The far end has it; final."""


FORM_BARE = 0
"""Height and id alone."""
FORM_FULL = 1
"""The message in the form in which the outbox keeps it."""
FORM_WITHOUT_BODY = 2
"""Packet header and hash of the body."""


# Effects: what the forwarder wants done. Each is answered by an event with its id, or never (then it times out here).


@dataclass(frozen=True, slots=True)
class Check:
    """Find out from chain state where items stand. Answer: :class:`Checked`."""

    id: int
    path: PathKey
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Get evidence for the outbox up to ``at_least`` or a later entry. Answer: :class:`Authenticated`."""

    id: int
    path: PathKey
    at_least: int
    """Last entry that is wanted."""
    kept_allowed: bool
    """HUB_TO_RELAY: whether a value that the relay chain has kept may serve, which needs no proof."""
    forms: tuple[tuple[int, int], ...] = ()
    """Number and form of each entry that will be carried if the evidence covers them all: whoever gets the evidence may
    prepare the batch in one go."""


@dataclass(frozen=True, slots=True)
class Submit:
    """Send a batch and wait until it is in a block. Answer: :class:`Submitted`."""

    id: int
    path: PathKey
    first: int
    """First entry of the range; SETTLE, ACKNOWLEDGE: smallest number."""
    last: int
    """Last entry, the one that the evidence authenticates."""
    forms: tuple[tuple[int, int], ...]
    """Number and form of each entry that is carried; those between are bare."""
    evidence: bytes
    """What :class:`Authenticated` brought; empty on paths that need none."""


Effect: TypeAlias = Check | Authenticate | Submit


# Events: what the shell tells.


@dataclass(frozen=True, slots=True)
class ItemsObserved:
    """Messages are at the start of a path. May be told any number of times, in any order."""

    path: PathKey
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Recheck:
    """Chain state has changed: what waits on the path is checked again."""

    path: PathKey


@dataclass(frozen=True, slots=True)
class Defer:
    """Others are at work on the path: its items are left to them for some time longer."""

    path: PathKey
    until: float
    """Unix seconds before which no item is carried ..."""
    patience_seconds: float
    """... that was observed within this time; older ones are not deferred."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Answer to :class:`Check`."""

    effect_id: int
    states: tuple[tuple[int, Delivery], ...]
    """Number and state; a number that is missing waits until everything is looked at again."""


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Answer to :class:`Authenticate`."""

    effect_id: int
    last: int
    """Entry that is authenticated; smaller than asked where the chain is not that far yet."""
    evidence: bytes = field(repr=False)
    """Opaque here; goes back with :class:`Submit`."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """Answer to :class:`Submit`: the batch is in a block and was not refused. It tells nothing about single items."""

    effect_id: int


@dataclass(frozen=True, slots=True)
class Failed:
    """Answer to any effect."""

    effect_id: int
    reason: str
    """For people."""
    permanent: bool
    """Whether doing the same again is useless: reverted, refused. Otherwise it was an outage."""


Event: TypeAlias = ItemsObserved | Recheck | Defer | Checked | Authenticated | Submitted | Failed
