"""What the contracts say, as values."""

from dataclasses import dataclass
from enum import IntEnum


class RequestState(IntEnum):
    """States of a request (management.md, section 5.3)."""

    NONE = 0
    FILED = 1
    COSIGNED = 2
    CLOSED = 3
    DRAWN = 4
    CONFIRMED = 5
    EXECUTING = 6
    DONE = 7
    REFUSED = 8
    EXPIRED = 9

    @property
    def ended(self) -> bool:
        """Whether nothing leads out of it."""
        return self >= RequestState.DONE


class DomainState(IntEnum):
    """States of a domain (management.md, section 5.3)."""

    NONE = 0
    FORMING = 1
    RUNNING = 2
    CHANGING = 3
    DISSOLVING = 4
    DISSOLVED = 5
    ABANDONED = 6


class RelayChainState(IntEnum):
    """States of a relay chain (management.md, section 5.3)."""

    NONE = 0
    ANNOUNCED = 1
    ACTIVE = 2
    DRAINING = 3
    FROZEN = 4
    TERMINATED = 5


class NodeState(IntEnum):
    """States of a node (management.md, section 4.2)."""

    NONE = 0
    OFFERED = 1
    RESERVED = 2
    SEATED = 3
    LEAVING = 4
    SPENT = 5
    WITHDRAWN = 6
    CONVICTED = 7


@dataclass(frozen=True, slots=True)
class RegistrationView:
    """A registration: the number of a hub."""

    number: int
    """The number."""
    representative: bytes
    """Who speaks for it, 20 bytes; zero where there is no such registration."""
    representative_epoch: int
    """How often it has changed: signatures of an older one are dead."""
    proposed: bytes
    """Who shall represent it; zero for nobody."""
    evm_chain_id: int
    """EVM chain id of its hub, 0 until it is bound."""
    hub: bytes
    """Address of its hub, zero until it is bound."""
    closed: int
    """Closing height + 1, 0 while it is open."""


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request."""

    request_id: bytes
    """32 bytes."""
    state: RequestState
    """Where it is."""
    kind: int
    """Kind (:class:`~piebridge.protocol_stack.management.request_bodies.RequestKind`)."""
    domain: int
    """The domain, 0 while it has none."""
    expires: int
    """Unix seconds."""
    closed_in_block: int
    """Block that closed it, 0 while none has."""
    parties: tuple[int, ...]
    """Registrations that have a say, ascending."""
    cosigned: frozenset[int]
    """Those that have approved."""
    confirmed: frozenset[int]
    """Those that have confirmed the decision."""
    candidates_hash: bytes
    """Of the candidates, 32 bytes; zero while there are none."""
    decision_hash: bytes
    """Of the decision, 32 bytes; zero while there is none."""


@dataclass(frozen=True, slots=True)
class DomainView:
    """A domain."""

    number: int
    """The number."""
    state: DomainState
    """Where it is."""
    decisions: int
    """How many decisions it has had."""
    policy_epoch: int
    """Epoch of its routing policy."""
    changing_request: bytes
    """Request that changes it, 32 bytes; zero for none."""
    parameters: bytes
    """46 bytes; empty where there is no such domain."""
    members: tuple[int, ...]
    """Registrations of its parachains."""
    relays: tuple[int, ...]
    """Its relay chains that are not terminated."""


@dataclass(frozen=True, slots=True)
class RelayView:
    """A relay chain."""

    number: int
    """The number."""
    domain: int
    """Its domain."""
    state: RelayChainState
    """Where it is."""
    set_epoch: int
    """Epoch of its validator set."""
    threshold: int
    """k."""
    genesis_hash: bytes
    """32 bytes; zero until all seats have reported it."""
    nodes: tuple[int, ...]
    """Nodes in the order of the set."""


@dataclass(frozen=True, slots=True)
class OperatorView:
    """An operator of the market."""

    number: int
    """The number."""
    account: bytes
    """20 bytes; zero where there is no such operator."""
    bonded: int
    """Wei that stand for its nodes."""
    unbonding: int
    """Wei that wait to be claimed."""
    claimable_at: int
    """Unix seconds."""
    nodes: int
    """Nodes that need a bond."""
    starting_reputation: int
    """Of its nodes to come."""
    suspended: bool
    """Whether the governors have suspended it."""


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node of the market."""

    number: int
    """The number."""
    operator: int
    """Its operator."""
    state: NodeState
    """Where it is."""
    reputation: int
    """0 to 10 000, absence counted."""
    served: int
    """Periods in which it was present."""
    absences: int
    """Periods in a row in which it was not."""
    relay: int
    """Relay chain in which it has or had a seat, 0 for none."""
    capacity: int
    """Packets a second."""
    available_from: int
    """Unix seconds."""
    available_until: int
    """Unix seconds."""
    last_seen: int
    """Unix seconds."""
    consensus_key: bytes
    """33 bytes."""
    endorsement: bytes
    """Address of the endorsement key."""
    agent: bytes
    """Account that reports for it."""
    peer: bytes
    """Where other validators reach it."""
    endpoint: str
    """URL of its RPC."""


@dataclass(frozen=True, slots=True)
class GovernorsView:
    """The governor key and who holds it."""

    group_key: bytes
    """33 bytes; empty before the first one."""
    epoch: int
    """Its epoch, 0 before the first one."""
    set_hash: bytes
    """The current set, 32 bytes; the founding one before the first key."""
    threshold: int
    """k; 0 if the set was not declared."""
    size: int
    """n; 0 likewise."""
    dev: bool
    """Whether small sets are accepted."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Highest numbers given out."""

    registrations: int
    """Hubs."""
    domains: int
    """Domains."""
    relays: int
    """Relay chains."""
    operators: int
    """Operators."""
    nodes: int
    """Nodes."""
