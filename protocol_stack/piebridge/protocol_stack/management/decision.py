"""Decision of the DomainRegistry (``docs/protocol/management.md``, section 6): all that agents and governors go by."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from piebridge.crypto.hash import keccak256
from piebridge.crypto.signature import COMPRESSED_KEY_LENGTH
from piebridge.protocol_stack.codec import (
    Reader,
    address,
    bytes16,
    decode_whole,
    fixed,
    hash32,
    nonzero,
    one_of,
    u8,
    u32,
    u64,
)
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.governor_relay_bodies import ValidatorKeys, ValidatorSet
from piebridge.protocol_stack.identifiers import DomainId, KeyEpoch, RelayId, SetEpoch
from piebridge.protocol_stack.management.parameters import Consensus, DomainParameters
from piebridge.protocol_stack.management.request_bodies import (
    NEW_CHAIN_KINDS,
    ChangePolicy,
    Form,
    Replace,
    RequestBody,
    RequestKind,
    ScaleUp,
    decode_request_body,
)
from piebridge.protocol_stack.management.tags import TAG_DECISION, Place
from piebridge.protocol_stack.routing import RoutingPolicy
from piebridge.protocol_stack.signers import check_group_key

VERSION: Final = 1
"""Version byte of the only format."""
FIRST_SET_EPOCH: Final = 1
"""Set epoch of a relay chain that is new."""
_POLICY_KINDS: Final = NEW_CHAIN_KINDS | {RequestKind.SCALE_DOWN, RequestKind.POLICY}


@dataclass(frozen=True, slots=True)
class Seat:
    """One validator of a relay chain."""

    node: int
    """Number of the node on the market, u64, from 1."""
    operator: int
    """Number of its operator, u32, from 1."""
    consensus_key: bytes
    """Compressed, 33 bytes."""
    endorsement_address: bytes
    """20 bytes."""

    def encode(self) -> bytes:
        """Return ``node || operator || consensus key || endorsement address``, 65 bytes."""
        return (
            u64(nonzero(self.node, "node"))
            + u32(nonzero(self.operator, "operator"))
            + fixed(self.consensus_key, COMPRESSED_KEY_LENGTH)
            + address(self.endorsement_address)
        )

    @classmethod
    def read(cls, reader: Reader) -> "Seat":
        """Take one seat."""
        return cls(
            reader.positive_u64("node"),
            reader.positive_u32("operator"),
            reader.take(COMPRESSED_KEY_LENGTH),
            reader.address(),
        )


@dataclass(frozen=True, slots=True)
class DecidedRelay:
    """A relay chain that is new, or whose validators change."""

    relay: RelayId
    """The relay chain."""
    set_epoch: SetEpoch
    """Epoch of its set: 1 of a new relay chain."""
    threshold: int
    """k: endorsements that hubs demand."""
    seats: tuple[Seat, ...]
    """1 to 32, in the order of the validator set."""

    @property
    def validator_set(self) -> ValidatorSet:
        """The set as its genesis or the governors' message states it."""
        keys = tuple(ValidatorKeys(seat.consensus_key, seat.endorsement_address) for seat in self.seats)
        return ValidatorSet(self.set_epoch, self.threshold, keys)

    def encode(self) -> bytes:
        """Return ``relay || set epoch || k || n || seats``.

        Raises:
            FormatError: the set breaks a rule.
        """
        self._check()
        return (
            u32(self.relay)
            + u32(self.set_epoch)
            + u8(self.threshold)
            + u8(len(self.seats))
            + b"".join(seat.encode() for seat in self.seats)
        )

    @classmethod
    def read(cls, reader: Reader) -> "DecidedRelay":
        """Take one relay chain."""
        relay, epoch, threshold = reader.positive_u32("relay"), reader.positive_u32("set epoch"), reader.u8()
        decided = cls(relay, epoch, threshold, reader.many(reader.u8(), lambda: Seat.read(reader)))
        decided._check()
        return decided

    def _check(self) -> None:
        nonzero(self.relay, "relay")
        self.validator_set.encode()
        if len({seat.node for seat in self.seats}) != len(self.seats):
            raise FormatError(ErrorCode.DECISION, "a node has two seats", actual=self.relay)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the registry has decided, once and for all."""

    dev: bool
    """Whether sets without a byzantine quorum are accepted."""
    registry: Place
    """The DomainRegistry that decided."""
    request_id: bytes
    """The request that was decided, 32 bytes."""
    domain: DomainId
    """The domain."""
    number: int
    """Number of the decision in its domain, from 1."""
    time_seconds: int
    """Time of the block that made it, Unix seconds, u64: the genesis time."""
    governor_key: bytes
    """Governor key at that time, 33 bytes."""
    governor_key_epoch: KeyEpoch
    """Its epoch on GovernorBoard; a new target calls it epoch 1."""
    parameters: DomainParameters
    """Parameters of the domain afterwards."""
    body: RequestBody
    """What the request asked for."""
    relays: tuple[DecidedRelay, ...]
    """Relay chains that are new or whose set changes, relay ids ascending."""
    policy: RoutingPolicy | None
    """Routing policy afterwards; None if it stays as it is."""

    @property
    def kind(self) -> RequestKind:
        """What kind of request was decided."""
        return self.body.KIND

    def encode(self) -> bytes:
        """Return the record.

        Raises:
            FormatError: parts do not fit each other, or a field is not encodable.
        """
        self._check()
        return (
            u8(VERSION)
            + u8(self.kind)
            + u8(self.dev)
            + self.registry.encode()
            + hash32(self.request_id)
            + u32(self.domain)
            + u32(self.number)
            + u64(self.time_seconds)
            + check_group_key(self.governor_key)
            + u32(self.governor_key_epoch)
            + self.parameters.encode()
            + bytes16(self.body.encode())
            + u8(len(self.relays))
            + b"".join(relay.encode() for relay in self.relays)
            + bytes16(self.policy.encode() if self.policy else b"")
        )

    @classmethod
    def decode(cls, data: bytes) -> "Decision":
        """Read a record.

        Raises:
            FormatError: the bytes are no record.
        """
        return decode_whole(cls._read, data)

    @property
    def hash(self) -> bytes:
        """The 32 bytes that the registry stores as soon as the decision is final."""
        return decision_hash(self.encode())

    def relay_of(self, node: int) -> DecidedRelay | None:
        """Return the relay chain in which a node has a seat, if this decision names one."""
        return next((relay for relay in self.relays if any(seat.node == node for seat in relay.seats)), None)

    @classmethod
    def _read(cls, reader: Reader) -> "Decision":
        one_of(reader.u8(), (VERSION,), "version of a decision", ErrorCode.VERSION)
        kind, dev = reader.u8(), bool(one_of(reader.u8(), (0, 1), "dev", ErrorCode.DECISION))
        registry = Place(reader.u64(), reader.address())
        request_id, domain, number = reader.hash(), reader.positive_u32("domain"), reader.positive_u32("number")
        time_seconds, key = reader.u64(), check_group_key(reader.take(COMPRESSED_KEY_LENGTH))
        key_epoch, parameters = reader.positive_u32("key epoch"), DomainParameters.read(reader)
        body = decode_request_body(kind, reader.bytes16())
        relays = reader.many(reader.u8(), lambda: DecidedRelay.read(reader))
        policy = reader.bytes16()
        decision = cls(
            dev,
            registry,
            request_id,
            domain,
            number,
            time_seconds,
            key,
            key_epoch,
            parameters,
            body,
            relays,
            RoutingPolicy.decode(policy) if policy else None,
        )
        decision._check()
        return decision

    def _check(self) -> None:
        for value, name in (
            (self.domain, "domain"),
            (self.number, "number of a decision"),
            (self.governor_key_epoch, "key epoch"),
        ):
            nonzero(value, name)
        if not self.dev and not self._is_safe():
            raise FormatError(ErrorCode.SET_THRESHOLD, "accepted with dev only", actual=self.kind)
        if isinstance(self.body, Form) and (self.body.parameters != self.parameters or self.number != 1):
            raise FormatError(ErrorCode.DECISION, "a domain is formed with other parameters, or a second time")
        if (self.policy is not None) is not (self.kind in _POLICY_KINDS):
            raise FormatError(ErrorCode.DECISION, "a policy that does not fit the kind", actual=self.kind)
        if isinstance(self.body, ChangePolicy) and self.body.policy != self.policy:
            raise FormatError(ErrorCode.DECISION, "another policy than the one that was asked for")
        self._check_relays()

    def _is_safe(self) -> bool:
        return self.body.safe and self.parameters.safe and all(relay.validator_set.safe for relay in self.relays)

    def _check_relays(self) -> None:
        names = [relay.relay for relay in self.relays]
        if len(names) != self._relays_expected():
            raise FormatError(
                ErrorCode.DECISION, "number of relay chains", expected=self._relays_expected(), actual=len(names)
            )
        if names != sorted(set(names)):
            raise FormatError(ErrorCode.NOT_ASCENDING, "relay ids do not ascend", actual=names)
        nodes = [seat.node for relay in self.relays for seat in relay.seats]
        if len(set(nodes)) != len(nodes):
            raise FormatError(ErrorCode.DECISION, "a node has seats in two relay chains")
        for relay in self.relays:
            self._check_relay(relay)

    @property
    def _spread(self) -> bool:
        """Whether no operator may have a quorum by itself."""
        return not self.dev and self.parameters.consensus is not Consensus.SINGLE_OPERATOR

    def _relays_expected(self) -> int:
        match self.body:
            case Form():
                return self.parameters.relay_chains
            case ScaleUp(count=count):
                return count
            case Replace():
                return 1
            case _:
                return 0

    def _check_relay(self, relay: DecidedRelay) -> None:
        if isinstance(self.body, Replace):
            fits = (relay.relay, relay.threshold) == (self.body.relay, self.body.threshold)
            fits = fits and relay.set_epoch > FIRST_SET_EPOCH
        else:
            given = (relay.set_epoch, relay.threshold, len(relay.seats))
            fits = given == (FIRST_SET_EPOCH, self.parameters.threshold, self.parameters.seats)
        if not fits:
            raise FormatError(
                ErrorCode.DECISION, "a relay chain does not fit its request and the parameters", actual=relay.relay
            )
        seats = Counter(seat.operator for seat in relay.seats)
        if self._spread and max(seats.values()) >= relay.threshold:
            raise FormatError(ErrorCode.DECISION, "one operator has a quorum", actual=relay.relay)


def decision_hash(record: bytes) -> bytes:
    """Return ``H(TAG_DECISION || record)``, 32 bytes."""
    return keccak256(TAG_DECISION + record)
