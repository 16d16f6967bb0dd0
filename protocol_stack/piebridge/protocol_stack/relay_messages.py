"""Transactions of a relay chain (``docs/protocol/formats.md``, section 11)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import ClassVar, Final, TypeAlias

from piebridge.crypto.signature import SIGNATURE_LENGTH, recover_address
from piebridge.protocol_stack.authentication import (
    Authentication,
    KeptAuthentication,
    encode_authentication,
    read_authentication,
    slots_of,
)
from piebridge.protocol_stack.codec import (
    ZERO_HASH,
    Reader,
    bytes16,
    bytes32,
    hash32,
    in_range,
    one_of,
    u8,
    u32,
    u64,
)
from piebridge.protocol_stack.commitment import SlotBase, hub_slot
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.governor_messages import GovernorMessage
from piebridge.protocol_stack.identifiers import DomainId, Height, RegistrationNumber, RelayId
from piebridge.protocol_stack.notary_statement import SLOTS_MAX
from piebridge.protocol_stack.signers import check_signature
from piebridge.protocol_stack.signing import relay_transaction_digest
from piebridge.protocol_stack.transport.outbox import Maker, OutboxRange

VERSION: Final = 1
"""Version byte of the only format."""
VALIDITY_HEIGHTS_MAX: Final = 1_000
"""Furthest that ``valid_until`` may lie ahead, heights of the relay chain."""
LIGHT_BLOCKS_MAX: Final = 16
"""Most light blocks of one UPDATE_CLIENT."""
INVALID_COST: Final = 10
"""What a batch with a failed proof, fold or decode costs of a quota; every other one costs 1."""

READABLE_BASES: Final = frozenset(
    {SlotBase.STATUS, SlotBase.SEEN, SlotBase.RECEIPTS, SlotBase.RECEIVE_LANE, SlotBase.CLOSED}
)
"""What HUB_SLOTS may name."""


class TransactionKind(IntEnum):
    """Kinds of relay transactions."""

    UPDATE_CLIENT = 1
    HUB_RANGE = 2
    HUB_SLOTS = 3
    GOVERNOR = 4


@dataclass(frozen=True, slots=True)
class LightBlock:
    """What the ``cometbft`` light client needs to trust one more header; the parts are CometBFT's protobuf."""

    trusted_height: Height
    """Height that the client trusts already and starts from."""
    header: bytes
    """The header."""
    commit: bytes
    """Its commit: exactly the first signatures in set order that reach the quorum, all others absent."""
    validator_set: bytes
    """The validator set of the header's height."""
    trusted_validator_set: bytes
    """The next validator set of the trusted height; empty when the header is the very next one."""

    def encode(self) -> bytes:
        """Return ``trusted height || header || commit || set || trusted set``, each part behind its length."""
        return (
            u64(self.trusted_height)
            + bytes16(self.header)
            + bytes32(self.commit)
            + bytes32(self.validator_set)
            + bytes32(self.trusted_validator_set)
        )

    @classmethod
    def decode(cls, data: bytes) -> "LightBlock":
        """Read a light block.

        Raises:
            FormatError: a length does not fit. What the parts hold is the light client's business.
        """
        reader = Reader(data)
        block = cls(reader.u64(), reader.bytes16(), reader.bytes32(), reader.bytes32(), reader.bytes32())
        reader.finish()
        return block


@dataclass(frozen=True, slots=True)
class UpdateClient:
    """New headers for the light client of a hub's chain."""

    KIND: ClassVar[TransactionKind] = TransactionKind.UPDATE_CLIENT

    registration: RegistrationNumber
    """The hub."""
    blocks: tuple[bytes, ...]
    """1 to 16 light blocks, encoded as the client's kind demands."""

    def encode(self) -> bytes:
        """Return the body."""
        count = in_range(len(self.blocks), 1, LIGHT_BLOCKS_MAX, "number of light blocks")
        return u32(self.registration) + u8(count) + b"".join(map(bytes32, self.blocks))

    @classmethod
    def read(cls, reader: Reader) -> "UpdateClient":
        """Take the body."""
        registration = reader.positive_u32("registration")
        count = in_range(reader.u8(), 1, LIGHT_BLOCKS_MAX, "number of light blocks")
        return cls(registration, reader.many(count, reader.bytes32))


@dataclass(frozen=True, slots=True)
class HubRange:
    """Entries of a hub's outbox."""

    KIND: ClassVar[TransactionKind] = TransactionKind.HUB_RANGE

    registration: RegistrationNumber
    """The hub."""
    outbox_relay: RelayId
    """Which outbox: 0 the free one, otherwise that bound to this relay chain."""
    authentication: Authentication
    """Shows the value of the last entry: one slot, the outbox head, or kept."""
    range: OutboxRange
    """The entries."""

    def encode(self) -> bytes:
        """Return the body."""
        self._check()
        return (
            u32(self.registration)
            + u32(self.outbox_relay)
            + encode_authentication(self.authentication)
            + self.range.encode()
        )

    @classmethod
    def read(cls, reader: Reader) -> "HubRange":
        """Take the body."""
        registration, outbox_relay = reader.positive_u32("registration"), reader.u32()
        authentication = read_authentication(reader, kept_allowed=True)
        body = cls(registration, outbox_relay, authentication, OutboxRange.read(reader, Maker(registration)))
        body._check()
        return body

    def _check(self) -> None:
        if not isinstance(self.authentication, KeptAuthentication):
            in_range(len(slots_of(self.authentication)), 1, 1, "number of slots")


@dataclass(frozen=True, slots=True)
class SlotName:
    """What a slot is: a variable of the hub and a key in it."""

    base: SlotBase
    """The variable."""
    key: bytes
    """The key as 32 bytes; zero for CLOSED, which is no mapping."""

    @property
    def slot(self) -> bytes:
        """The storage slot, 32 bytes."""
        return hub_slot(self.base, self.key)


@dataclass(frozen=True, slots=True)
class HubSlots:
    """Status, bitmaps, lanes or the closing of a hub, as they stand in its storage."""

    KIND: ClassVar[TransactionKind] = TransactionKind.HUB_SLOTS

    registration: RegistrationNumber
    """The hub."""
    authentication: Authentication
    """Shows the values of the slots; never kept."""
    names: tuple[SlotName, ...]
    """1 to 16: what the slots are, in the order of the slots."""

    def encode(self) -> bytes:
        """Return the body."""
        self._check()
        named = b"".join(u8(name.base) + hash32(name.key) for name in self.names)
        return u32(self.registration) + encode_authentication(self.authentication) + u8(len(self.names)) + named

    @classmethod
    def read(cls, reader: Reader) -> "HubSlots":
        """Take the body."""
        registration = reader.positive_u32("registration")
        authentication = read_authentication(reader, kept_allowed=False)
        count = in_range(reader.u8(), 1, SLOTS_MAX, "number of slots")
        body = cls(registration, authentication, reader.many(count, lambda: _read_slot_name(reader)))
        body._check()
        return body

    def _check(self) -> None:
        if isinstance(self.authentication, KeptAuthentication):
            raise FormatError(ErrorCode.AUTHENTICATION_METHOD, "slots are never kept")
        for name in self.names:
            one_of(name.base, READABLE_BASES, "base of a slot", ErrorCode.SLOT_BASE)
            if name.base is SlotBase.CLOSED and name.key != ZERO_HASH:
                raise FormatError(ErrorCode.SLOT_BASE, "the closed slot has no key")
        if tuple(name.slot for name in self.names) != slots_of(self.authentication):
            raise FormatError(ErrorCode.SLOT_BASE, "the names are not those of the slots that are shown")


@dataclass(frozen=True, slots=True)
class CarriedGovernorMessage:
    """A governor message, which anybody may carry without a quota."""

    KIND: ClassVar[TransactionKind] = TransactionKind.GOVERNOR

    message: GovernorMessage
    """The message."""

    def encode(self) -> bytes:
        """Return the body."""
        return self.message.encode()

    @classmethod
    def read(cls, reader: Reader) -> "CarriedGovernorMessage":
        """Take the body."""
        return cls(GovernorMessage.decode(reader.rest()))


TransactionBody: TypeAlias = UpdateClient | HubRange | HubSlots | CarriedGovernorMessage

_BODIES: Final[dict[int, Callable[[Reader], TransactionBody]]] = {
    TransactionKind.UPDATE_CLIENT: UpdateClient.read,
    TransactionKind.HUB_RANGE: HubRange.read,
    TransactionKind.HUB_SLOTS: HubSlots.read,
    TransactionKind.GOVERNOR: CarriedGovernorMessage.read,
}


@dataclass(frozen=True, slots=True)
class RelayTransaction:
    """A transaction of a relay chain: container, signed by the key whose quota it uses."""

    kind: TransactionKind
    """What the body is."""
    domain: DomainId
    """Relay domain."""
    relay: RelayId
    """The relay chain that it is for."""
    valid_until: Height
    """Last height of the relay chain at which it may be executed."""
    salt: int
    """Tells two transactions of equal content apart, u64."""
    body: bytes
    """Encoded body."""
    signature: bytes = b""
    """ECDSA signature of the sender, 65 bytes; empty while unsigned."""

    @property
    def digest(self) -> bytes:
        """What the sender signs, 32 bytes; a relay chain remembers it until ``valid_until``."""
        return relay_transaction_digest(self.domain, self.relay, self.kind, self.valid_until, self.salt, self.body)

    def signed(self, sign: Callable[[bytes], bytes]) -> "RelayTransaction":
        """Return the transaction with a signature.

        Args:
            sign: gives the ECDSA signature, 65 bytes in the EVM form, over a 32-byte digest.
        """
        return replace(self, signature=check_signature(sign(self.digest)))

    def sender(self) -> bytes:
        """Return the address whose key signed, 20 bytes.

        Raises:
            VerificationError: no key fits the signature.
        """
        return recover_address(self.digest, self.signature)

    def decode_body(self) -> TransactionBody:
        """Read the body as its kind demands.

        Raises:
            FormatError: the bytes are no body of this kind.
        """
        reader = Reader(self.body)
        body = _BODIES[self.kind](reader)
        reader.finish()
        return body

    def encode(self) -> bytes:
        """Return the transaction's bytes.

        Raises:
            FormatError: it is unsigned, or a field is not encodable.
        """
        return (
            u8(VERSION)
            + u8(self.kind)
            + u32(self.domain)
            + u32(self.relay)
            + u64(self.valid_until)
            + u64(self.salt)
            + self.body
            + check_signature(self.signature)
        )

    @classmethod
    def decode(cls, data: bytes) -> "RelayTransaction":
        """Read a transaction. The body stays bytes, see :meth:`decode_body`.

        Raises:
            FormatError: the bytes are no relay transaction.
        """
        reader = Reader(data)
        one_of(reader.u8(), (VERSION,), "version of a relay transaction", ErrorCode.VERSION)
        kind = TransactionKind(one_of(reader.u8(), tuple(TransactionKind), "kind of relay transaction", ErrorCode.KIND))
        domain, relay = reader.positive_u32("domain"), reader.positive_u32("relay")
        valid_until, salt = reader.u64(), reader.u64()
        body = reader.take(max(reader.remaining - SIGNATURE_LENGTH, 0))
        transaction = cls(kind, domain, relay, valid_until, salt, body, check_signature(reader.take(SIGNATURE_LENGTH)))
        reader.finish()
        return transaction


def make_transaction(
    body: TransactionBody,
    domain: DomainId,
    relay: RelayId,
    valid_until: Height,
    salt: int,
    sign: Callable[[bytes], bytes],
) -> RelayTransaction:
    """Return a signed transaction with this body. Arguments as the fields of :class:`RelayTransaction`."""
    return RelayTransaction(body.KIND, domain, relay, valid_until, salt, body.encode()).signed(sign)


def _read_slot_name(reader: Reader) -> SlotName:
    base = one_of(reader.u8(), READABLE_BASES, "base of a slot", ErrorCode.SLOT_BASE)
    return SlotName(SlotBase(base), reader.hash())
