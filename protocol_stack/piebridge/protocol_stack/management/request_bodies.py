"""What each kind of request asks for (``docs/protocol/management.md``, section 5.3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, unique
from types import MappingProxyType
from typing import ClassVar, Final, TypeAlias

from piebridge.protocol_stack.codec import (
    U16_MAX,
    Reader,
    bytes16,
    in_range,
    nonzero,
    one_of,
    u8,
    u32,
    u64,
)
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.governor_body import BodyReader, EmptyBody, decode_body
from piebridge.protocol_stack.governor_relay_bodies import (
    Gateways,
    RegisterChain,
    decode_register_chain,
)
from piebridge.protocol_stack.identifiers import RegistrationNumber, RelayId
from piebridge.protocol_stack.management.parameters import DomainParameters
from piebridge.protocol_stack.routing import RoutingPolicy
from piebridge.protocol_stack.verification.base import Method

CHAINS_MAX: Final = 64
"""Most chains of one request."""
SAFE_CHAINS_MIN: Final = 2
"""Least chains of a new domain, except for ``--dev``."""


@unique
class RequestKind(IntEnum):
    """Kinds of requests."""

    FORM = 1
    JOIN = 2
    LEAVE = 3
    SCALE_UP = 4
    SCALE_DOWN = 5
    REPLACE = 6
    PARAMETERS = 7
    DISSOLVE = 8
    GATEWAYS = 9
    POLICY = 10
    RENEW = 11


NEW_CHAIN_KINDS: Final = frozenset({RequestKind.FORM, RequestKind.SCALE_UP})
"""Kinds whose decision makes relay chains: agents build a genesis for them."""


@dataclass(frozen=True, slots=True)
class Form:
    """Make a domain."""

    KIND: ClassVar[RequestKind] = RequestKind.FORM

    parameters: DomainParameters
    """What the representatives agree on."""
    chains: tuple[RegisterChain, ...]
    """Its members, at least 1 (2 except for ``--dev``), registrations ascending."""
    gateways: Gateways
    """Authorised gateways, addresses ascending, no quota 0; may be empty."""

    @property
    def safe(self) -> bool:
        """Whether it is accepted outside ``--dev``."""
        return self.parameters.safe and len(self.chains) >= SAFE_CHAINS_MIN and _are_safe(self.chains)

    def encode(self) -> bytes:
        """Return the body.

        Raises:
            FormatError: a part breaks a rule.
        """
        return self.parameters.encode() + _encode_chains(self.chains) + _encode_gateways(self.gateways, quota_min=1)

    @classmethod
    def read(cls, reader: Reader) -> "Form":
        """Take the body."""
        return cls(DomainParameters.read(reader), _read_chains(reader), _read_gateways(reader, quota_min=1))


@dataclass(frozen=True, slots=True)
class Join:
    """Add parachains to a domain."""

    KIND: ClassVar[RequestKind] = RequestKind.JOIN

    chains: tuple[RegisterChain, ...]
    """The newcomers, at least 1, registrations ascending."""

    @property
    def safe(self) -> bool:
        """Whether it is accepted outside ``--dev``."""
        return _are_safe(self.chains)

    def encode(self) -> bytes:
        """Return the body.

        Raises:
            FormatError: a part breaks a rule.
        """
        return _encode_chains(self.chains)

    @classmethod
    def read(cls, reader: Reader) -> "Join":
        """Take the body."""
        return cls(_read_chains(reader))


@dataclass(frozen=True, slots=True)
class Leave:
    """Take a parachain out of a domain."""

    KIND: ClassVar[RequestKind] = RequestKind.LEAVE

    registration: RegistrationNumber
    """Who goes."""
    excluded: bool
    """Whether all the others want it; otherwise it goes by itself."""

    @property
    def safe(self) -> bool:
        """Whether it is accepted outside ``--dev``."""
        return True

    def encode(self) -> bytes:
        """Return the body."""
        return u32(nonzero(self.registration, "registration")) + u8(self.excluded)

    @classmethod
    def read(cls, reader: Reader) -> "Leave":
        """Take the body."""
        return cls(reader.positive_u32("registration"), _read_boolean(reader, "excluded"))


@dataclass(frozen=True, slots=True)
class ScaleUp:
    """Add relay chains to a domain."""

    KIND: ClassVar[RequestKind] = RequestKind.SCALE_UP

    count: int
    """How many, at least 1."""
    chains: tuple[RegisterChain, ...]
    """All members, with fresh checkpoints, registrations ascending."""
    gateways: Gateways
    """All gateways that are authorised, addresses ascending."""

    @property
    def safe(self) -> bool:
        """Whether it is accepted outside ``--dev``."""
        return _are_safe(self.chains)

    def encode(self) -> bytes:
        """Return the body.

        Raises:
            FormatError: a part breaks a rule.
        """
        return (
            u8(nonzero(self.count, "number of new relay chains"))
            + _encode_chains(self.chains)
            + _encode_gateways(self.gateways, quota_min=1)
        )

    @classmethod
    def read(cls, reader: Reader) -> "ScaleUp":
        """Take the body."""
        count = nonzero(reader.u8(), "number of new relay chains")
        return cls(count, _read_chains(reader), _read_gateways(reader, quota_min=1))


@dataclass(frozen=True, slots=True)
class ScaleDown:
    """Take a relay chain out of a domain."""

    KIND: ClassVar[RequestKind] = RequestKind.SCALE_DOWN

    relay: RelayId
    """Which one."""

    @property
    def safe(self) -> bool:
        """Whether it is accepted outside ``--dev``."""
        return True

    def encode(self) -> bytes:
        """Return the body."""
        return u32(nonzero(self.relay, "relay"))

    @classmethod
    def read(cls, reader: Reader) -> "ScaleDown":
        """Take the body."""
        return cls(reader.positive_u32("relay"))


@dataclass(frozen=True, slots=True)
class Replace:
    """Change the validators of a relay chain by one."""

    KIND: ClassVar[RequestKind] = RequestKind.REPLACE

    relay: RelayId
    """The relay chain."""
    outgoing: int
    """Number of the node that goes, u64; 0 if none does."""
    draws_newcomer: bool
    """Whether a node is drawn that comes."""
    threshold: int
    """k of the new set, at least 1."""
    overlap_seconds: int
    """How long hubs accept the set before, u32; 0 where the node goes for cause."""

    @property
    def safe(self) -> bool:
        """Whether its own fields are accepted outside ``--dev``; what k needs depends on the set before."""
        return True

    def encode(self) -> bytes:
        """Return the body."""
        return (
            u32(nonzero(self.relay, "relay"))
            + u64(self.outgoing)
            + u8(self.draws_newcomer)
            + u8(nonzero(self.threshold, "threshold"))
            + u32(self.overlap_seconds)
        )

    @classmethod
    def read(cls, reader: Reader) -> "Replace":
        """Take the body."""
        return cls(
            reader.positive_u32("relay"),
            reader.u64(),
            _read_boolean(reader, "in"),
            nonzero(reader.u8(), "threshold"),
            reader.u32(),
        )


@dataclass(frozen=True, slots=True)
class ChangeParameters:
    """Change parameters; consensus, number of relay chains, n and k stay as they are."""

    KIND: ClassVar[RequestKind] = RequestKind.PARAMETERS

    parameters: DomainParameters
    """What holds afterwards."""

    @property
    def safe(self) -> bool:
        """Whether it is accepted outside ``--dev``."""
        return self.parameters.safe

    def encode(self) -> bytes:
        """Return the body.

        Raises:
            FormatError: a parameter is not accepted.
        """
        return self.parameters.encode()

    @classmethod
    def read(cls, reader: Reader) -> "ChangeParameters":
        """Take the body."""
        return cls(DomainParameters.read(reader))


@dataclass(frozen=True, slots=True)
class Dissolve(EmptyBody):
    """End a domain."""

    KIND: ClassVar[RequestKind] = RequestKind.DISSOLVE

    @property
    def safe(self) -> bool:
        """Whether it is accepted outside ``--dev``."""
        return True


@dataclass(frozen=True, slots=True)
class ChangeGateways:
    """Authorise gateways, change their quotas, or remove them; others stay as they are."""

    KIND: ClassVar[RequestKind] = RequestKind.GATEWAYS

    gateways: Gateways
    """At least 1, addresses ascending; a quota of 0 removes."""

    @property
    def safe(self) -> bool:
        """Whether it is accepted outside ``--dev``."""
        return True

    def encode(self) -> bytes:
        """Return the body.

        Raises:
            FormatError: a part breaks a rule.
        """
        return _encode_gateways(self.gateways, count_min=1)

    @classmethod
    def read(cls, reader: Reader) -> "ChangeGateways":
        """Take the body."""
        return cls(_read_gateways(reader, count_min=1))


@dataclass(frozen=True, slots=True)
class ChangePolicy:
    """Say which relay chain new transactions are bound to."""

    KIND: ClassVar[RequestKind] = RequestKind.POLICY

    policy: RoutingPolicy
    """The policy with the next epoch; it names active relay chains only."""

    @property
    def safe(self) -> bool:
        """Whether it is accepted outside ``--dev``."""
        return True

    def encode(self) -> bytes:
        """Return the body.

        Raises:
            FormatError: the policy breaks a rule.
        """
        return self.policy.encode()

    @classmethod
    def read(cls, reader: Reader) -> "ChangePolicy":
        """Take the body."""
        return cls(RoutingPolicy.decode(reader.rest()))


@dataclass(frozen=True, slots=True)
class Renew:
    """Give a member a new notary set or a new checkpoint."""

    KIND: ClassVar[RequestKind] = RequestKind.RENEW

    chain: RegisterChain
    """The member as it is from then on."""

    @property
    def safe(self) -> bool:
        """Whether it is accepted outside ``--dev``."""
        return _are_safe((self.chain,))

    def encode(self) -> bytes:
        """Return the body.

        Raises:
            FormatError: a part breaks a rule.
        """
        return _encode_chains((self.chain,))

    @classmethod
    def read(cls, reader: Reader) -> "Renew":
        """Take the body."""
        chains = _read_chains(reader)
        in_range(len(chains), 1, 1, "number of chains to renew")
        return cls(chains[0])


RequestBody: TypeAlias = (
    Form
    | Join
    | Leave
    | ScaleUp
    | ScaleDown
    | Replace
    | ChangeParameters
    | Dissolve
    | ChangeGateways
    | ChangePolicy
    | Renew
)

_BODIES: Final[MappingProxyType[int, BodyReader[RequestBody]]] = MappingProxyType(
    {
        RequestKind.FORM: Form,
        RequestKind.JOIN: Join,
        RequestKind.LEAVE: Leave,
        RequestKind.SCALE_UP: ScaleUp,
        RequestKind.SCALE_DOWN: ScaleDown,
        RequestKind.REPLACE: Replace,
        RequestKind.PARAMETERS: ChangeParameters,
        RequestKind.DISSOLVE: Dissolve,
        RequestKind.GATEWAYS: ChangeGateways,
        RequestKind.POLICY: ChangePolicy,
        RequestKind.RENEW: Renew,
    }
)


def decode_request_body(kind: int, data: bytes) -> RequestBody:
    """Read what a request asks for.

    Raises:
        FormatError: unknown kind, or the bytes are no body of it.
    """
    return decode_body(_BODIES, "the domain registry", kind, data)


def _are_safe(chains: Sequence[RegisterChain]) -> bool:
    return all(
        (chain.method is not Method.NOTARY or chain.depth >= 1) and (chain.notaries is None or chain.notaries.safe)
        for chain in chains
    )


def _encode_chains(chains: tuple[RegisterChain, ...]) -> bytes:
    _check_chains(chains)
    return u8(len(chains)) + b"".join(bytes16(chain.encode()) for chain in chains)


def _read_chains(reader: Reader) -> tuple[RegisterChain, ...]:
    chains = reader.many(reader.u8(), lambda: decode_register_chain(reader.bytes16()))
    _check_chains(chains)
    return chains


def _check_chains(chains: tuple[RegisterChain, ...]) -> None:
    in_range(len(chains), 1, CHAINS_MAX, "number of chains")
    _check_ascending([chain.registration for chain in chains], "registrations of the chains")


def _encode_gateways(gateways: Gateways, *, count_min: int = 0, quota_min: int = 0) -> bytes:
    _check_gateways(gateways, count_min, quota_min)
    return gateways.encode()


def _read_gateways(reader: Reader, *, count_min: int = 0, quota_min: int = 0) -> Gateways:
    gateways = Gateways.read(reader)
    _check_gateways(gateways, count_min, quota_min)
    return gateways


def _check_gateways(gateways: Gateways, count_min: int, quota_min: int) -> None:
    in_range(len(gateways.quotas), count_min, U16_MAX, "number of gateways")
    _check_ascending([item.address for item in gateways.quotas], "addresses of the gateways")
    if any(item.quota < quota_min for item in gateways.quotas):
        raise FormatError(ErrorCode.REQUEST, "a gateway is authorised with a quota of 0")


def _check_ascending(items: Sequence[int] | Sequence[bytes], name: str) -> None:
    if list(items) != sorted(set(items)):  # type: ignore[type-var]  # one of the two, never mixed
        raise FormatError(ErrorCode.NOT_ASCENDING, f"{name} do not ascend")


def _read_boolean(reader: Reader, name: str) -> bool:
    return bool(one_of(reader.u8(), (0, 1), name, ErrorCode.REQUEST))
