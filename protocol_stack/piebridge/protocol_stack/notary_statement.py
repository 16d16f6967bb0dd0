"""Wire formats of notaries (``docs/protocol/formats.md``, section 9). Checking them is the verification layer's."""

from dataclasses import dataclass
from typing import Final

from piebridge.crypto.hash import keccak256
from piebridge.crypto.quorum import SignerSet
from piebridge.protocol_stack.codec import Reader, address, decode_whole, hash32, in_range, u8, u32, u64
from piebridge.protocol_stack.commitment import TAG_NOTARY_SET
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.identifiers import DomainId, Height, RegistrationNumber, SetEpoch
from piebridge.protocol_stack.signers import check_members, check_threshold, is_byzantine_quorum
from piebridge.protocol_stack.signing import notary_digest

SLOTS_MAX: Final = 16
"""Most slots of one statement."""


@dataclass(frozen=True, slots=True)
class NotarySet:
    """Who signs statements about a hub in one epoch."""

    epoch: SetEpoch
    """Number of the set, from 1."""
    threshold: int
    """k: signatures that are needed."""
    members: tuple[bytes, ...]
    """1 to 32 different addresses of 20 bytes."""

    @property
    def safe(self) -> bool:
        """Whether ``k > 2n/3`` and ``n >= 2``; a set that is not is refused outside ``--dev``."""
        return is_byzantine_quorum(self.threshold, len(self.members))

    @property
    def signers(self) -> SignerSet:
        """The set as :func:`piebridge.crypto.quorum.verify_quorum` takes it."""
        return SignerSet(self.members, self.threshold)

    def encode(self) -> bytes:
        """Return ``epoch || k || n || addresses``.

        Raises:
            FormatError: the set breaks a rule of section 9.
        """
        self._check()
        return u32(self.epoch) + u8(self.threshold) + u8(len(self.members)) + b"".join(self.members)

    def set_hash(self, domain: DomainId, registration: RegistrationNumber) -> bytes:
        """Return the 32 bytes that name the set."""
        return keccak256(TAG_NOTARY_SET + u32(domain) + u32(registration) + self.encode())

    @classmethod
    def read(cls, reader: Reader) -> "NotarySet":
        """Take one set.

        Raises:
            FormatError: the bytes are no set.
        """
        epoch, threshold, size = reader.positive_u32("set epoch"), reader.u8(), reader.u8()
        check_threshold(threshold, size)
        decoded = cls(epoch, threshold, reader.many(size, reader.address))
        decoded._check()
        return decoded

    @classmethod
    def decode(cls, data: bytes) -> "NotarySet":
        """Read bytes that hold nothing but one set.

        Raises:
            FormatError: the bytes are no set.
        """
        return decode_whole(cls.read, data)

    def _check(self) -> None:
        if self.epoch == 0:
            raise FormatError(ErrorCode.ZERO, "set epochs start at 1")
        check_threshold(self.threshold, len(self.members))
        check_members(self.members)


@dataclass(frozen=True, slots=True)
class SlotValue:
    """One storage slot and what stands in it."""

    slot: bytes
    """32 bytes."""
    value: bytes
    """32 bytes."""


@dataclass(frozen=True, slots=True)
class NotaryStatement:
    """What notaries say they have read: a final block of a chain, and slots of a hub in it."""

    hub: bytes
    """Address of the hub, 20 bytes."""
    block_number: Height
    """Number of the block."""
    block_hash: bytes
    """Its hash, 32 bytes."""
    block_time: int
    """Its time, Unix seconds."""
    slots: tuple[SlotValue, ...]
    """1 to 16, slots strictly ascending."""

    def encode(self) -> bytes:
        """Return the statement's body as it stands behind the prefix.

        Raises:
            FormatError: the slots are too many, none, or out of order.
        """
        self._check()
        parts = [address(self.hub), u64(self.block_number), hash32(self.block_hash), u64(self.block_time)]
        parts.append(u8(len(self.slots)))
        parts.extend(hash32(item.slot) + hash32(item.value) for item in self.slots)
        return b"".join(parts)

    def digest(self, domain: DomainId, registration: RegistrationNumber, epoch: SetEpoch) -> bytes:
        """Return what a notary of set ``epoch`` signs, 32 bytes."""
        return notary_digest(domain, registration, epoch, self.encode())

    @classmethod
    def read(cls, reader: Reader) -> "NotaryStatement":
        """Take one statement.

        Raises:
            FormatError: the bytes are no statement.
        """
        hub, number, block_hash, time = reader.address(), reader.u64(), reader.hash(), reader.u64()
        count = in_range(reader.u8(), 1, SLOTS_MAX, "number of slots")
        statement = cls(
            hub, number, block_hash, time, reader.many(count, lambda: SlotValue(reader.hash(), reader.hash()))
        )
        statement._check()
        return statement

    @classmethod
    def decode(cls, data: bytes) -> "NotaryStatement":
        """Read bytes that hold nothing but one statement.

        Raises:
            FormatError: the bytes are no statement.
        """
        return decode_whole(cls.read, data)

    def _check(self) -> None:
        in_range(len(self.slots), 1, SLOTS_MAX, "number of slots")
        check_ascending([item.slot for item in self.slots])


def check_ascending(slots: list[bytes]) -> None:
    """Check that slots ascend strictly, so that a set of slots has one encoding.

    Raises:
        FormatError: ``NOT_ASCENDING``.
    """
    if any(slots[i] >= slots[i + 1] for i in range(len(slots) - 1)):
        raise FormatError(ErrorCode.NOT_ASCENDING, "slots do not ascend")
