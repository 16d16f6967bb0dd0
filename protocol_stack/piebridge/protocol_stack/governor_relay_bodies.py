"""Bodies of governor messages to a relay chain (``docs/protocol/formats.md``, section 10, second table)."""

from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import ClassVar, Final, TypeAlias

from piebridge.cometbft.keys import SECP256K1_ETH, PublicKey
from piebridge.cometbft.validator_set import Validator
from piebridge.cometbft.validator_set import ValidatorSet as ConsensusValidators
from piebridge.crypto.errors import DecodingError
from piebridge.crypto.quorum import MEMBERS_MAX
from piebridge.crypto.signature import COMPRESSED_KEY_LENGTH, address_of
from piebridge.protocol_stack.checkpoint import CometBftCheckpoint
from piebridge.protocol_stack.codec import (
    U16_MAX,
    ZERO_ADDRESS,
    Reader,
    address,
    bytes16,
    decode_whole,
    fixed,
    in_range,
    one_of,
    u8,
    u16,
    u32,
    u64,
)
from piebridge.protocol_stack.endorsement import EndorsementMethod, EndorsementSet
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.governor_body import BodyReader, EmptyBody, GroupKeyBody, decode_body, read_method
from piebridge.protocol_stack.governor_hub_bodies import (
    SETTABLE_STATES,
    RelayLifeCycle,
    read_settable_state,
)
from piebridge.protocol_stack.identifiers import Height, RegistrationNumber, SetEpoch
from piebridge.protocol_stack.notary_statement import NotarySet
from piebridge.protocol_stack.signers import check_members, check_threshold, is_byzantine_quorum
from piebridge.protocol_stack.verification.base import Method


class RelayKind(IntEnum):
    """Kinds of messages to a relay chain."""

    NO_OP = 1
    REGISTER_CHAIN = 2
    CLOSE_CHAIN = 3
    VALIDATOR_SET = 4
    NOTARY_SET = 5
    GATEWAYS = 6
    PARAMETERS = 7
    CHECKPOINT = 8
    LIFE_CYCLE = 9
    FREEZE = 10
    PAUSE = 11
    UNPAUSE = 12
    ROTATE = 13


class ClientKind(IntEnum):
    """Kinds of light clients."""

    NONE = 0
    COMETBFT = 1


@dataclass(frozen=True, slots=True)
class NoOp(EmptyBody):
    """Use up a number."""

    KIND: ClassVar[int] = RelayKind.NO_OP


@dataclass(frozen=True, slots=True)
class RegisterChain:
    """Let a hub take part: packets from and to it are served from now on."""

    KIND: ClassVar[int] = RelayKind.REGISTER_CHAIN

    registration: RegistrationNumber
    """The hub."""
    hub: bytes
    """Its address, 20 bytes."""
    evm_chain_id: int
    """EVM chain id (EIP-155), u64."""
    client_kind: ClientKind
    """Kind of its light client; NONE exactly when notaries alone verify it."""
    method: Method
    """How it is verified."""
    depth: int
    """Finality depth, blocks: a safety parameter of its chain."""
    depth_max: int
    """Largest depth that a packet may demand, blocks."""
    handler_gas_max: int
    """Largest handler gas that it takes."""
    checkpoint: CometBftCheckpoint | None
    """Where its light client starts; None exactly when the method is NOTARY."""
    notaries: NotarySet | None
    """Its notaries; None exactly when the method is SPV."""

    def encode(self) -> bytes:
        """Return the body.

        Raises:
            FormatError: a part does not fit the method.
        """
        self._check()
        return (
            u32(self.registration)
            + address(self.hub)
            + u64(self.evm_chain_id)
            + u8(self.client_kind)
            + u8(self.method)
            + u8(self.depth)
            + u8(self.depth_max)
            + u32(self.handler_gas_max)
            + bytes16(self.checkpoint.encode() if self.checkpoint else b"")
            + bytes16(self.notaries.encode() if self.notaries else b"")
        )

    @classmethod
    def read(cls, reader: Reader) -> "RegisterChain":
        """Take the body."""
        registration, hub, evm_chain_id = reader.positive_u32("registration"), reader.address(), reader.u64()
        client_kind = ClientKind(one_of(reader.u8(), tuple(ClientKind), "kind of client", ErrorCode.GOVERNOR_BODY))
        method = read_method(reader)
        depth, depth_max, gas = reader.u8(), reader.u8(), reader.u32()
        checkpoint, notaries = reader.bytes16(), reader.bytes16()
        body = cls(
            registration,
            hub,
            evm_chain_id,
            client_kind,
            method,
            depth,
            depth_max,
            gas,
            CometBftCheckpoint.decode(checkpoint) if checkpoint else None,
            NotarySet.decode(notaries) if notaries else None,
        )
        body._check()
        return body

    def _check(self) -> None:
        needs_client, needs_notaries = self.method is not Method.NOTARY, self.method is not Method.SPV
        has_client = self.client_kind is not ClientKind.NONE
        fits = (
            has_client is needs_client
            and (self.checkpoint is not None) is needs_client
            and (self.notaries is not None) is needs_notaries
        )
        if not fits:
            raise FormatError(
                ErrorCode.GOVERNOR_BODY, "client, checkpoint or notaries do not fit the method", actual=self.method
            )
        if self.hub == ZERO_ADDRESS:
            raise FormatError(ErrorCode.ZERO, "the address of a hub is zero")
        if self.depth > self.depth_max:
            raise FormatError(
                ErrorCode.GOVERNOR_BODY, "the depth is above the largest", expected=self.depth_max, actual=self.depth
            )


@dataclass(frozen=True, slots=True)
class CloseChain:
    """Count only proofs at headers not above a height from now on."""

    KIND: ClassVar[int] = RelayKind.CLOSE_CHAIN

    registration: RegistrationNumber
    """The hub."""
    closing_height: Height
    """Last block of its chain that counts."""

    def encode(self) -> bytes:
        """Return the body."""
        return u32(self.registration) + u64(self.closing_height)

    @classmethod
    def read(cls, reader: Reader) -> "CloseChain":
        """Take the body."""
        return cls(reader.positive_u32("registration"), reader.u64())


@dataclass(frozen=True, slots=True)
class ValidatorKeys:
    """The two keys of a relay validator."""

    consensus_key: bytes
    """Compressed secp256k1 key for CometBFT, 33 bytes."""
    endorsement_address: bytes
    """Address of its endorsement key, 20 bytes."""


@dataclass(frozen=True, slots=True)
class ValidatorSet:
    """The whole validator set: consensus and endorsement change together."""

    KIND: ClassVar[int] = RelayKind.VALIDATOR_SET

    epoch: SetEpoch
    """Epoch of the endorsement set, from 1."""
    threshold: int
    """k: endorsements that hubs demand."""
    validators: tuple[ValidatorKeys, ...]
    """1 to 32, all of equal power."""

    @property
    def safe(self) -> bool:
        """Whether ``k > 2n/3`` and ``n >= 2``; a set that is not is refused outside ``--dev``."""
        return is_byzantine_quorum(self.threshold, len(self.validators))

    @property
    def endorsers(self) -> EndorsementSet:
        """The endorsement set that hubs are told."""
        return EndorsementSet(
            self.epoch,
            EndorsementMethod.SIGNATURES,
            self.threshold,
            len(self.validators),
            tuple(validator.endorsement_address for validator in self.validators),
        )

    @property
    def consensus(self) -> ConsensusValidators:
        """The same set as CometBFT keeps it: power 1 for each, in canonical order."""
        keys = (PublicKey(SECP256K1_ETH, item.consensus_key) for item in self.validators)
        return ConsensusValidators.ordered(Validator(key, 1) for key in keys)

    @property
    def committers(self) -> EndorsementSet:
        """The endorsement set of hubs that accept the chain's own commit (method 2)."""
        consensus = self.consensus
        addresses = tuple(validator.address for validator in consensus.validators)
        size = len(addresses)
        keys = (*addresses, consensus.hash())
        return EndorsementSet(self.epoch, EndorsementMethod.COMMIT, 2 * size // 3 + 1, size, keys)

    def encode(self) -> bytes:
        """Return the body.

        Raises:
            FormatError: the set breaks a rule.
        """
        self._check()
        members = b"".join(item.consensus_key + item.endorsement_address for item in self.validators)
        return u32(self.epoch) + u8(self.threshold) + u8(len(self.validators)) + members

    @classmethod
    def read(cls, reader: Reader) -> "ValidatorSet":
        """Take the body."""
        epoch, threshold, size = reader.positive_u32("set epoch"), reader.u8(), reader.u8()
        in_range(size, 1, MEMBERS_MAX, "number of validators", ErrorCode.SET_THRESHOLD)
        validators = reader.many(size, lambda: ValidatorKeys(reader.take(COMPRESSED_KEY_LENGTH), reader.address()))
        body = cls(epoch, threshold, validators)
        body._check()
        return body

    @classmethod
    def decode(cls, data: bytes) -> "ValidatorSet":
        """Read bytes that hold nothing but one set.

        Raises:
            FormatError: the bytes are no set.
        """
        return decode_whole(cls.read, data)

    def _check(self) -> None:
        if self.epoch == 0:
            raise FormatError(ErrorCode.ZERO, "set epochs start at 1")
        check_threshold(self.threshold, len(self.validators))
        check_members(tuple(item.endorsement_address for item in self.validators))
        keys = {fixed(item.consensus_key, COMPRESSED_KEY_LENGTH) for item in self.validators}
        if len(keys) != len(self.validators):
            raise FormatError(ErrorCode.SET_MEMBER, "two validators have one consensus key")
        try:
            for key in keys:
                address_of(key)
        except DecodingError as error:
            raise FormatError(ErrorCode.SET_MEMBER, f"no consensus key: {error}") from error


@dataclass(frozen=True, slots=True)
class SetNotaries:
    """Replace the notaries of a hub."""

    KIND: ClassVar[int] = RelayKind.NOTARY_SET

    registration: RegistrationNumber
    """The hub."""
    notaries: NotarySet
    """The set with the next epoch."""

    def encode(self) -> bytes:
        """Return the body."""
        return u32(self.registration) + self.notaries.encode()

    @classmethod
    def read(cls, reader: Reader) -> "SetNotaries":
        """Take the body."""
        return cls(reader.positive_u32("registration"), NotarySet.read(reader))


@dataclass(frozen=True, slots=True)
class GatewayQuota:
    """How much one gateway may bring."""

    address: bytes
    """Address of its key, 20 bytes."""
    quota: int
    """Transactions per 100 blocks; 0 removes it."""


@dataclass(frozen=True, slots=True)
class Gateways:
    """Authorise gateways, change their quotas, or remove them; others stay as they are."""

    KIND: ClassVar[int] = RelayKind.GATEWAYS

    quotas: tuple[GatewayQuota, ...]
    """Gateways, each once."""

    def encode(self) -> bytes:
        """Return the body.

        Raises:
            FormatError: a gateway is zero or stands twice.
        """
        self._check()
        items = b"".join(address(item.address) + u32(item.quota) for item in self.quotas)
        return u16(len(self.quotas)) + items

    @classmethod
    def read(cls, reader: Reader) -> "Gateways":
        """Take the body."""
        body = cls(reader.many(reader.u16(), lambda: GatewayQuota(reader.address(), reader.u32())))
        body._check()
        return body

    @classmethod
    def decode(cls, data: bytes) -> "Gateways":
        """Read bytes that hold nothing but one body.

        Raises:
            FormatError: the bytes are no such body.
        """
        return decode_whole(cls.read, data)

    def _check(self) -> None:
        in_range(len(self.quotas), 0, U16_MAX, "number of gateways")
        check_members(tuple(item.address for item in self.quotas))


@dataclass(frozen=True, slots=True)
class Parameters:
    """Caps of the relay chain."""

    KIND: ClassVar[int] = RelayKind.PARAMETERS

    max_body: int
    """Largest body, bytes."""
    retention_seconds: int
    """How long messages that nobody acknowledges, and authenticated chain values, are kept."""
    stranger_quota: int
    """Transactions per 100 blocks for all unauthorised senders together."""

    def encode(self) -> bytes:
        """Return the body."""
        return u32(self.max_body) + u32(self.retention_seconds) + u32(self.stranger_quota)

    @classmethod
    def read(cls, reader: Reader) -> "Parameters":
        """Take the body."""
        return cls(reader.u32(), reader.u32(), reader.u32())

    @classmethod
    def decode(cls, data: bytes) -> "Parameters":
        """Read bytes that hold nothing but one body.

        Raises:
            FormatError: the bytes are no such body.
        """
        return decode_whole(cls.read, data)


@dataclass(frozen=True, slots=True)
class NewCheckpoint:
    """Start an expired light client anew."""

    KIND: ClassVar[int] = RelayKind.CHECKPOINT

    registration: RegistrationNumber
    """The hub whose chain it follows."""
    checkpoint: CometBftCheckpoint
    """Where it starts."""

    def encode(self) -> bytes:
        """Return the body."""
        return u32(self.registration) + self.checkpoint.encode()

    @classmethod
    def read(cls, reader: Reader) -> "NewCheckpoint":
        """Take the body."""
        return cls(reader.positive_u32("registration"), CometBftCheckpoint.decode(reader.rest()))


@dataclass(frozen=True, slots=True)
class LifeCycle:
    """Move the relay chain on in its life cycle."""

    KIND: ClassVar[int] = RelayKind.LIFE_CYCLE

    state: RelayLifeCycle
    """Active, draining or terminated."""

    def encode(self) -> bytes:
        """Return the body."""
        return u8(one_of(self.state, SETTABLE_STATES, "state", ErrorCode.GOVERNOR_BODY))

    @classmethod
    def read(cls, reader: Reader) -> "LifeCycle":
        """Take the body."""
        return cls(read_settable_state(reader))


@dataclass(frozen=True, slots=True)
class Freeze(EmptyBody):
    """Stop the relay chain for good. Unordered."""

    KIND: ClassVar[int] = RelayKind.FREEZE


@dataclass(frozen=True, slots=True)
class Pause(EmptyBody):
    """Serve no new request; receipts and verdicts go on. Unordered."""

    KIND: ClassVar[int] = RelayKind.PAUSE


@dataclass(frozen=True, slots=True)
class Unpause(EmptyBody):
    """Serve requests again; raises the life-cycle number."""

    KIND: ClassVar[int] = RelayKind.UNPAUSE


@dataclass(frozen=True, slots=True)
class Rotate(GroupKeyBody):
    """Replace the governor key; raises the key epoch."""

    KIND: ClassVar[int] = RelayKind.ROTATE


RelayBody: TypeAlias = (
    NoOp
    | RegisterChain
    | CloseChain
    | ValidatorSet
    | SetNotaries
    | Gateways
    | Parameters
    | NewCheckpoint
    | LifeCycle
    | Freeze
    | Pause
    | Unpause
    | Rotate
)


_BODIES: Final[MappingProxyType[int, BodyReader[RelayBody]]] = MappingProxyType(
    {
        RelayKind.NO_OP: NoOp,
        RelayKind.REGISTER_CHAIN: RegisterChain,
        RelayKind.CLOSE_CHAIN: CloseChain,
        RelayKind.VALIDATOR_SET: ValidatorSet,
        RelayKind.NOTARY_SET: SetNotaries,
        RelayKind.GATEWAYS: Gateways,
        RelayKind.PARAMETERS: Parameters,
        RelayKind.CHECKPOINT: NewCheckpoint,
        RelayKind.LIFE_CYCLE: LifeCycle,
        RelayKind.FREEZE: Freeze,
        RelayKind.PAUSE: Pause,
        RelayKind.UNPAUSE: Unpause,
        RelayKind.ROTATE: Rotate,
    }
)


def decode_relay_body(kind: int, data: bytes) -> RelayBody:
    """Read the body of a message to a relay chain.

    Raises:
        FormatError: unknown kind, or the bytes are no body of it.
    """
    return decode_body(_BODIES, "a relay chain", kind, data)


def decode_register_chain(data: bytes) -> RegisterChain:
    """Read the body of a REGISTER_CHAIN message, as the genesis of a relay chain lists them.

    Raises:
        FormatError: the bytes are no such body.
    """
    return decode_whole(RegisterChain.read, data)
