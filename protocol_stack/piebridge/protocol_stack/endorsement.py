"""Wire formats of endorsements (``docs/protocol/formats.md``, section 8). Checking them is the verification layer's."""

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, TypeAlias

from piebridge.crypto.hash import keccak256
from piebridge.crypto.quorum import MEMBERS_MAX, Quorum
from piebridge.crypto.signature import COMPRESSED_KEY_LENGTH, SIGNATURE_LENGTH
from piebridge.protocol_stack.codec import Reader, address, decode_whole, hash32, one_of, u8, u32, u64
from piebridge.protocol_stack.commit_proof import CommitProof
from piebridge.protocol_stack.commitment import TAG_ENDORSEMENT_SET
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.identifiers import DomainId, EntryNumber, RegistrationNumber, RelayId, SetEpoch
from piebridge.protocol_stack.signers import (
    check_group_key,
    check_members,
    check_signature,
    check_threshold,
    encode_quorum,
    is_byzantine_quorum,
    read_quorum,
    read_shown_threshold_signature,
    show_threshold_signature,
)
from piebridge.protocol_stack.signing import endorsement_digest
from piebridge.protocol_stack.transport.outbox import RELAY_CHAIN, OutboxRange


class EndorsementMethod(IntEnum):
    """How validators of a relay chain vouch for its outboxes."""

    SIGNATURES = 1
    """k ECDSA signatures of n members."""
    COMMIT = 2
    """The chain's own commit: votes of k of n validators for a block whose app hash proves the outbox."""
    THRESHOLD = 3
    """One FROST signature."""


@dataclass(frozen=True, slots=True)
class EndorsementSet:
    """Who endorses for a relay chain in one epoch."""

    epoch: SetEpoch
    """Number of the set, from 1."""
    method: EndorsementMethod
    """What the keys are."""
    threshold: int
    """k: signatures that are needed; with a group key, that were needed to make one."""
    size: int
    """n: members."""
    keys: tuple[bytes, ...]
    """Method 1: n different addresses of 20 bytes. Method 2: n validator addresses in set order, then the validators
    hash of 32 bytes. Method 3: one group key of 33 bytes."""

    @property
    def safe(self) -> bool:
        """Whether ``k > 2n/3`` and ``n >= 2``; a set that is not is refused outside ``--dev``."""
        return is_byzantine_quorum(self.threshold, self.size)

    def encode(self) -> bytes:
        """Return ``epoch || method || k || n || keys``.

        Raises:
            FormatError: the set breaks a rule of section 8.
        """
        self._check()
        return u32(self.epoch) + u8(self.method) + u8(self.threshold) + u8(self.size) + b"".join(self.keys)

    def set_hash(self, domain: DomainId, relay: RelayId) -> bytes:
        """Return the 32 bytes by which a hub remembers the set."""
        return keccak256(TAG_ENDORSEMENT_SET + u32(domain) + u32(relay) + self.encode())

    @classmethod
    def read(cls, reader: Reader) -> "EndorsementSet":
        """Take one set.

        Raises:
            FormatError: the bytes are no set.
        """
        epoch = reader.positive_u32("set epoch")
        method = EndorsementMethod(
            one_of(reader.u8(), tuple(EndorsementMethod), "endorsement method", ErrorCode.SET_METHOD)
        )
        threshold, size = reader.u8(), reader.u8()
        check_threshold(threshold, size)
        if method is EndorsementMethod.SIGNATURES:
            keys = reader.many(size, reader.address)
        elif method is EndorsementMethod.COMMIT:
            keys = (*reader.many(size, reader.address), reader.hash())
        else:
            keys = (reader.take(COMPRESSED_KEY_LENGTH),)
        decoded = cls(epoch, method, threshold, size, keys)
        decoded._check()
        return decoded

    @classmethod
    def decode(cls, data: bytes) -> "EndorsementSet":
        """Read bytes that hold nothing but one set.

        Raises:
            FormatError: the bytes are no set.
        """
        return decode_whole(cls.read, data)

    def _check(self) -> None:
        if self.epoch == 0:
            raise FormatError(ErrorCode.ZERO, "set epochs start at 1")
        check_threshold(self.threshold, self.size)
        if self.method is EndorsementMethod.SIGNATURES:
            if len(self.keys) != self.size:
                raise FormatError(ErrorCode.COUNT, "keys of a set", expected=self.size, actual=len(self.keys))
            check_members(self.keys)
            return
        if self.method is EndorsementMethod.COMMIT:
            if len(self.keys) != self.size + 1:
                raise FormatError(ErrorCode.COUNT, "keys of a set", expected=self.size + 1, actual=len(self.keys))
            check_members(self.keys[:-1])
            hash32(self.keys[-1])
            if 3 * self.threshold <= 2 * self.size:
                raise FormatError(ErrorCode.SET_THRESHOLD, "a commit takes more than 2/3", actual=self.threshold)
            return
        if len(self.keys) != 1:
            raise FormatError(ErrorCode.COUNT, "group keys of a set", expected=1, actual=len(self.keys))
        check_group_key(self.keys[0])


Proof: TypeAlias = Quorum | CommitProof | bytes
"""What the set's method demands: signatures of k members; a commit with the path to the outbox; or one FROST signature
of 65 bytes (on the wire the ordinate of its R follows)."""


def encode_proof(signers: EndorsementSet, proof: Proof) -> bytes:
    """Return the proof as the method of ``signers`` writes it.

    Raises:
        FormatError: the proof is of the other method, or not in its one encoding.
    """
    if signers.method is EndorsementMethod.SIGNATURES:
        if isinstance(proof, Quorum):
            return encode_quorum(proof, signers.threshold, signers.size)
    elif signers.method is EndorsementMethod.COMMIT:
        if isinstance(proof, CommitProof):
            return proof.encode()
    elif isinstance(proof, bytes):
        return show_threshold_signature(proof)
    raise FormatError(ErrorCode.SET_METHOD, "the proof is not of the set's method", actual=signers.method)


def read_proof(reader: Reader, signers: EndorsementSet) -> Proof:
    """Take the proof that the method of ``signers`` demands.

    Raises:
        FormatError: the bytes are no such proof.
    """
    if signers.method is EndorsementMethod.SIGNATURES:
        return read_quorum(reader, signers.threshold, signers.size)
    if signers.method is EndorsementMethod.COMMIT:
        return CommitProof.read(reader)
    return read_shown_threshold_signature(reader)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a gateway gives to a hub: a range of a relay chain's outbox and who vouches for its end."""

    domain: DomainId
    """Relay domain."""
    relay: RelayId
    """The relay chain whose outbox it is."""
    signers: EndorsementSet
    """The set that vouches; the hub knows its hash."""
    proof: Proof
    """Its signatures over number and value of the last entry."""
    range: OutboxRange
    """The entries."""

    def digest(self, destination: RegistrationNumber) -> bytes:
        """Return what the set signs if the range is of the outbox toward ``destination``."""
        head = self.range.fold()
        return endorsement_digest(self.domain, self.relay, destination, self.signers.epoch, head.number, head.value)

    def encode(self) -> bytes:
        """Return ``domain || relay || set || proof || range``.

        Raises:
            FormatError: a part is not encodable.
        """
        return (
            u32(self.domain)
            + u32(self.relay)
            + self.signers.encode()
            + encode_proof(self.signers, self.proof)
            + self.range.encode()
        )

    @classmethod
    def decode(cls, data: bytes) -> "Envelope":
        """Read the argument of ``receiveRange``.

        Raises:
            FormatError: the bytes are no envelope.
        """
        reader = Reader(data)
        domain, relay = reader.positive_u32("domain"), reader.positive_u32("relay")
        signers = EndorsementSet.read(reader)
        proof = read_proof(reader, signers)
        envelope = cls(domain, relay, signers, proof, OutboxRange.read(reader, RELAY_CHAIN))
        reader.finish()
        return envelope


@dataclass(frozen=True, slots=True)
class EndorsementAnswer:
    """What a validator's node answers to ``/endorse``."""

    LENGTH: ClassVar[int] = 4 + 1 + 20 + 32 + SIGNATURE_LENGTH

    epoch: SetEpoch
    """Epoch of its set."""
    index: int
    """Its place in the set, from 0."""
    address: bytes
    """Its endorsement address, 20 bytes."""
    value: bytes
    """The chain value it vouches for, 32 bytes."""
    signature: bytes
    """65 bytes over the endorsement digest."""

    def encode(self) -> bytes:
        """Return ``epoch || index || address || chain value || signature``, 122 bytes.

        Raises:
            FormatError: a field is not encodable.
        """
        return (
            u32(self.epoch)
            + u8(self.index)
            + address(self.address)
            + hash32(self.value)
            + check_signature(self.signature)
        )

    @classmethod
    def decode(cls, data: bytes) -> "EndorsementAnswer":
        """Read 122 bytes.

        Raises:
            FormatError: the bytes are no answer.
        """
        reader = Reader(data)
        answer = cls(
            reader.positive_u32("set epoch"),
            one_of(reader.u8(), range(MEMBERS_MAX), "index of a member", ErrorCode.OUT_OF_RANGE),
            reader.address(),
            reader.hash(),
            check_signature(reader.take(SIGNATURE_LENGTH)),
        )
        reader.finish()
        return answer


@dataclass(frozen=True, slots=True)
class SignedValue:
    """An endorsed value apart from its range: one half of the evidence of equivocation."""

    domain: DomainId
    """Relay domain."""
    relay: RelayId
    """The relay chain whose outbox it is."""
    signers: EndorsementSet
    """The set that vouches."""
    proof: Proof
    """Its signatures."""
    destination: RegistrationNumber
    """Hub that the outbox leads to."""
    number: EntryNumber
    """Entry number."""
    value: bytes
    """``chain[number]``, 32 bytes."""

    @property
    def digest(self) -> bytes:
        """What the set signed, 32 bytes."""
        return endorsement_digest(
            self.domain, self.relay, self.destination, self.signers.epoch, self.number, self.value
        )

    def encode(self) -> bytes:
        """Return ``domain || relay || set || proof || destination || number || value``.

        Raises:
            FormatError: a part is not encodable.
        """
        return (
            u32(self.domain)
            + u32(self.relay)
            + self.signers.encode()
            + encode_proof(self.signers, self.proof)
            + u32(self.destination)
            + u64(self.number)
            + hash32(self.value)
        )

    @classmethod
    def decode(cls, data: bytes) -> "SignedValue":
        """Read one argument of ``reportEquivocation``.

        Raises:
            FormatError: the bytes are no signed value.
        """
        reader = Reader(data)
        domain, relay = reader.positive_u32("domain"), reader.positive_u32("relay")
        signers = EndorsementSet.read(reader)
        proof = read_proof(reader, signers)
        destination = reader.positive_u32("destination registration")
        decoded = cls(domain, relay, signers, proof, destination, reader.positive_u64("entry number"), reader.hash())
        reader.finish()
        return decoded
