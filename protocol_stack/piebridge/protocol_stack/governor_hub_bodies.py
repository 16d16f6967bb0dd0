"""Bodies of governor messages to a hub (``docs/protocol/formats.md``, section 10, first table)."""

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from types import MappingProxyType
from typing import ClassVar, Final, TypeAlias

from piebridge.protocol_stack.codec import Reader, address, hash32, in_range, one_of, u8, u16, u32, u64
from piebridge.protocol_stack.endorsement import EndorsementSet
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.governor_body import BodyReader, EmptyBody, GroupKeyBody, decode_body, read_method
from piebridge.protocol_stack.identifiers import ApplicationId, RegistrationNumber, RelayId
from piebridge.protocol_stack.routing import RoutingPolicy
from piebridge.protocol_stack.verification.base import Method


class HubKind(IntEnum):
    """Kinds of messages to a hub."""

    NO_OP = 1
    OPEN_DOMAIN = 2
    REGISTER_RELAY = 3
    RELAY_STATE = 4
    ENDORSER_SET = 5
    ROUTING_POLICY = 6
    REGISTER_PEER = 7
    REGISTER_APPLICATION = 8
    PAUSE = 9
    UNPAUSE = 10
    FREEZE_RELAY = 11
    CLOSE = 12
    ROTATE = 13
    APPLICATION_CALL = 14
    VERIFICATION = 15


HUB_WIDE_KINDS: Final = frozenset(
    {HubKind.REGISTER_APPLICATION, HubKind.CLOSE, HubKind.ROTATE, HubKind.APPLICATION_CALL}
)
"""Kinds that concern the hub as a whole: their domain is 0. (Un)pausing an application is one more."""
ANY_DOMAIN_KINDS: Final = frozenset({HubKind.NO_OP})
"""Kinds that use up a number of whichever counter they name."""


class RelayLifeCycle(IntEnum):
    """States of a relay chain."""

    ANNOUNCED = 1
    ACTIVE = 2
    DRAINING = 3
    FROZEN = 4
    TERMINATED = 5


SETTABLE_STATES: Final = (RelayLifeCycle.ACTIVE, RelayLifeCycle.DRAINING, RelayLifeCycle.TERMINATED)
"""States that a message may name; registration announces, and freezing has a message of its own."""


class PauseScope(IntEnum):
    """What is paused."""

    APPLICATION = 1
    RELAY = 2
    DOMAIN = 3


class Protocols(IntFlag):
    """Transaction protocols that an application may use: bit p is protocol p."""

    NONE = 1 << 0
    BTP = 1 << 1
    ATP = 1 << 2
    MTP = 1 << 3
    FORWARD = 1 << 4


@dataclass(frozen=True, slots=True)
class NoOp(EmptyBody):
    """Use up a number."""

    KIND: ClassVar[int] = HubKind.NO_OP


@dataclass(frozen=True, slots=True)
class OpenDomain:
    """Let the hub take part in a domain: opens its free outbox."""

    KIND: ClassVar[int] = HubKind.OPEN_DOMAIN

    max_body: int
    """Largest body, bytes."""
    min_delta_seconds: int
    """Least time from now to an expiry."""
    max_delta_seconds: int
    """Most time from now to a deadline."""

    def encode(self) -> bytes:
        """Return the body."""
        self._check()
        return u32(self.max_body) + u32(self.min_delta_seconds) + u32(self.max_delta_seconds)

    @classmethod
    def read(cls, reader: Reader) -> "OpenDomain":
        """Take the body."""
        body = cls(reader.u32(), reader.u32(), reader.u32())
        body._check()
        return body

    def _check(self) -> None:
        if self.min_delta_seconds > self.max_delta_seconds:
            raise FormatError(ErrorCode.GOVERNOR_BODY, "the least time to an expiry is above the most")


@dataclass(frozen=True, slots=True)
class RegisterRelay:
    """Announce a relay chain: opens the outbox that is bound to it."""

    KIND: ClassVar[int] = HubKind.REGISTER_RELAY

    relay: RelayId
    """The relay chain."""
    genesis_hash: bytes
    """SHA-256 of its genesis document, 32 bytes."""
    signers: EndorsementSet
    """Its first endorsement set."""

    def encode(self) -> bytes:
        """Return the body."""
        return u32(self.relay) + hash32(self.genesis_hash) + self.signers.encode()

    @classmethod
    def read(cls, reader: Reader) -> "RegisterRelay":
        """Take the body."""
        return cls(reader.positive_u32("relay"), reader.hash(), EndorsementSet.read(reader))


@dataclass(frozen=True, slots=True)
class RelayState:
    """Move a relay chain on in its life cycle."""

    KIND: ClassVar[int] = HubKind.RELAY_STATE

    relay: RelayId
    """The relay chain."""
    state: RelayLifeCycle
    """Active, draining or terminated."""

    def encode(self) -> bytes:
        """Return the body."""
        return u32(self.relay) + u8(one_of(self.state, SETTABLE_STATES, "state", ErrorCode.GOVERNOR_BODY))

    @classmethod
    def read(cls, reader: Reader) -> "RelayState":
        """Take the body."""
        return cls(reader.positive_u32("relay"), read_settable_state(reader))


@dataclass(frozen=True, slots=True)
class EndorserSet:
    """Replace the endorsement set of a relay chain."""

    KIND: ClassVar[int] = HubKind.ENDORSER_SET

    relay: RelayId
    """The relay chain."""
    overlap_seconds: int
    """How long the set before stays valid."""
    signers: EndorsementSet
    """The set with the next epoch."""

    def encode(self) -> bytes:
        """Return the body."""
        return u32(self.relay) + u32(self.overlap_seconds) + self.signers.encode()

    @classmethod
    def read(cls, reader: Reader) -> "EndorserSet":
        """Take the body."""
        return cls(reader.positive_u32("relay"), reader.u32(), EndorsementSet.read(reader))


@dataclass(frozen=True, slots=True)
class SetRoutingPolicy:
    """Say which relay chain new transactions are bound to."""

    KIND: ClassVar[int] = HubKind.ROUTING_POLICY

    policy: RoutingPolicy
    """The policy with the next epoch."""

    def encode(self) -> bytes:
        """Return the body."""
        return self.policy.encode()

    @classmethod
    def read(cls, reader: Reader) -> "SetRoutingPolicy":
        """Take the body."""
        return cls(RoutingPolicy.decode(reader.rest()))


@dataclass(frozen=True, slots=True)
class RegisterPeer:
    """Tell the hub of another one in the domain."""

    KIND: ClassVar[int] = HubKind.REGISTER_PEER

    registration: RegistrationNumber
    """The other hub."""
    evm_chain_id: int
    """Its EVM chain id (EIP-155), 0 where it is no EVM chain."""
    handler_gas_max: int
    """Largest handler gas that it takes."""
    member: bool
    """False removes it."""

    def encode(self) -> bytes:
        """Return the body."""
        return u32(self.registration) + u64(self.evm_chain_id) + u32(self.handler_gas_max) + u8(self.member)

    @classmethod
    def read(cls, reader: Reader) -> "RegisterPeer":
        """Take the body."""
        return cls(reader.positive_u32("registration"), reader.u64(), reader.u32(), _read_boolean(reader))


@dataclass(frozen=True, slots=True)
class RegisterApplication:
    """Give an application id to a contract, or take it away."""

    KIND: ClassVar[int] = HubKind.REGISTER_APPLICATION

    application: ApplicationId
    """The application."""
    contract: bytes
    """Its address, 20 bytes; zero removes it."""
    protocols: Protocols
    """Transaction protocols that it may use."""

    def encode(self) -> bytes:
        """Return the body."""
        return u32(self.application) + address(self.contract) + u16(self.protocols)

    @classmethod
    def read(cls, reader: Reader) -> "RegisterApplication":
        """Take the body."""
        application, contract, bits = reader.positive_u32("application"), reader.address(), reader.u16()
        in_range(bits, 0, sum(Protocols), "set of transaction protocols", ErrorCode.GOVERNOR_BODY)
        return cls(application, contract, Protocols(bits))


@dataclass(frozen=True, slots=True)
class Pause:
    """Stop an application, a relay chain or a domain for now. Unordered."""

    KIND: ClassVar[int] = HubKind.PAUSE

    scope: PauseScope
    """What is paused."""
    identifier: int
    """Its number."""

    def encode(self) -> bytes:
        """Return the body."""
        return u8(self.scope) + u32(self.identifier)

    @classmethod
    def read(cls, reader: Reader) -> "Pause":
        """Take the body."""
        return cls(_read_scope(reader), reader.positive_u32("number of what is paused"))


@dataclass(frozen=True, slots=True)
class Unpause:
    """Let go on what was paused; raises its life-cycle number."""

    KIND: ClassVar[int] = HubKind.UNPAUSE

    scope: PauseScope
    """What goes on."""
    identifier: int
    """Its number."""

    def encode(self) -> bytes:
        """Return the body."""
        return u8(self.scope) + u32(self.identifier)

    @classmethod
    def read(cls, reader: Reader) -> "Unpause":
        """Take the body."""
        return cls(_read_scope(reader), reader.positive_u32("number of what goes on"))


@dataclass(frozen=True, slots=True)
class FreezeRelay:
    """Refuse every endorsement of a relay chain from now on. Unordered."""

    KIND: ClassVar[int] = HubKind.FREEZE_RELAY

    relay: RelayId
    """The relay chain."""

    def encode(self) -> bytes:
        """Return the body."""
        return u32(self.relay)

    @classmethod
    def read(cls, reader: Reader) -> "FreezeRelay":
        """Take the body."""
        return cls(reader.positive_u32("relay"))


@dataclass(frozen=True, slots=True)
class Close(EmptyBody):
    """Close the hub for good."""

    KIND: ClassVar[int] = HubKind.CLOSE


@dataclass(frozen=True, slots=True)
class Rotate(GroupKeyBody):
    """Replace the governor key; raises the key epoch."""

    KIND: ClassVar[int] = HubKind.ROTATE


@dataclass(frozen=True, slots=True)
class ApplicationCall:
    """Let the hub call ``onGovernor(data)`` of an application."""

    KIND: ClassVar[int] = HubKind.APPLICATION_CALL

    application: ApplicationId
    """The application."""
    data: bytes
    """What it is given."""

    def encode(self) -> bytes:
        """Return the body."""
        return u32(self.application) + self.data

    @classmethod
    def read(cls, reader: Reader) -> "ApplicationCall":
        """Take the body."""
        return cls(reader.positive_u32("application"), reader.rest())


@dataclass(frozen=True, slots=True)
class Verification:
    """Tell the hub what its registration meets in a domain, for the check when a packet is sent."""

    KIND: ClassVar[int] = HubKind.VERIFICATION

    method: Method
    """How relay chains verify this hub."""
    depth_max: int
    """Largest finality depth that a packet may demand, blocks."""
    notary_set_epoch: int
    """Epoch of the notary set, u16; 0 where there is none."""

    def encode(self) -> bytes:
        """Return the body."""
        return u8(self.method) + u8(self.depth_max) + u16(self.notary_set_epoch)

    @classmethod
    def read(cls, reader: Reader) -> "Verification":
        """Take the body."""
        return cls(read_method(reader), reader.u8(), reader.u16())


HubBody: TypeAlias = (
    NoOp
    | OpenDomain
    | RegisterRelay
    | RelayState
    | EndorserSet
    | SetRoutingPolicy
    | RegisterPeer
    | RegisterApplication
    | Pause
    | Unpause
    | FreezeRelay
    | Close
    | Rotate
    | ApplicationCall
    | Verification
)


_BODIES: Final[MappingProxyType[int, BodyReader[HubBody]]] = MappingProxyType(
    {
        HubKind.NO_OP: NoOp,
        HubKind.OPEN_DOMAIN: OpenDomain,
        HubKind.REGISTER_RELAY: RegisterRelay,
        HubKind.RELAY_STATE: RelayState,
        HubKind.ENDORSER_SET: EndorserSet,
        HubKind.ROUTING_POLICY: SetRoutingPolicy,
        HubKind.REGISTER_PEER: RegisterPeer,
        HubKind.REGISTER_APPLICATION: RegisterApplication,
        HubKind.PAUSE: Pause,
        HubKind.UNPAUSE: Unpause,
        HubKind.FREEZE_RELAY: FreezeRelay,
        HubKind.CLOSE: Close,
        HubKind.ROTATE: Rotate,
        HubKind.APPLICATION_CALL: ApplicationCall,
        HubKind.VERIFICATION: Verification,
    }
)


def decode_hub_body(kind: int, data: bytes) -> HubBody:
    """Read the body of a message to a hub.

    Raises:
        FormatError: unknown kind, or the bytes are no body of it.
    """
    return decode_body(_BODIES, "a hub", kind, data)


def read_settable_state(reader: Reader) -> RelayLifeCycle:
    """Take a state that a message may set.

    Raises:
        FormatError: ``GOVERNOR_BODY``.
    """
    return RelayLifeCycle(one_of(reader.u8(), SETTABLE_STATES, "state of a relay chain", ErrorCode.GOVERNOR_BODY))


def _read_scope(reader: Reader) -> PauseScope:
    return PauseScope(one_of(reader.u8(), tuple(PauseScope), "scope of a pause", ErrorCode.GOVERNOR_BODY))


def _read_boolean(reader: Reader) -> bool:
    return bool(one_of(reader.u8(), (0, 1), "yes or no", ErrorCode.GOVERNOR_BODY))
