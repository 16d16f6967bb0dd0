"""How a gateway shows a relay chain what stands in slots of a hub (``docs/protocol/formats.md``, section 11.2)."""

from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from piebridge.crypto.quorum import Quorum
from piebridge.protocol_stack.codec import Reader, bytes16, hash32, in_range, one_of, u8, u64
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.identifiers import Height
from piebridge.protocol_stack.notary_statement import SLOTS_MAX, NotarySet, NotaryStatement, check_ascending
from piebridge.protocol_stack.signers import encode_quorum, read_quorum

KEPT: Final = 0
"""Number of the method for a value that the relay chain has authenticated before."""
PROOF_NODES_MAX: Final = 64
"""Most nodes of one Merkle-Patricia proof: a key of 32 bytes has 64 nibbles, and a path of them 64 branches at most."""

MerklePatriciaProof: TypeAlias = tuple[bytes, ...]
"""RLP nodes from the root down."""


@dataclass(frozen=True, slots=True)
class KeptAuthentication:
    """The relay chain has authenticated ``chain[last]`` of the range before and kept it."""

    METHOD: ClassVar[int] = KEPT

    def content(self) -> bytes:
        """Return nothing."""
        return b""


@dataclass(frozen=True, slots=True)
class SlotProof:
    """One storage slot and the proof of what stands in it."""

    slot: bytes
    """32 bytes."""
    proof: MerklePatriciaProof
    """From the account's storage root down."""


@dataclass(frozen=True, slots=True)
class SpvAuthentication:
    """A trusted header vouches for an EVM block, the block's state root for the account, the account for its slots."""

    METHOD: ClassVar[int] = 1

    client_height: Height
    """Height of the light client whose app hash is the EVM block's hash."""
    block_header: bytes
    """RLP of the EVM block header."""
    account_proof: MerklePatriciaProof
    """From the state root down to the hub's account."""
    slots: tuple[SlotProof, ...]
    """1 to 16, slots strictly ascending."""

    def content(self) -> bytes:
        """Return what stands behind the method.

        Raises:
            FormatError: the slots are too many, none, or out of order.
        """
        self._check()
        parts = [u64(self.client_height), bytes16(self.block_header), _encode_proof(self.account_proof)]
        parts.append(u8(len(self.slots)))
        parts.extend(hash32(item.slot) + _encode_proof(item.proof) for item in self.slots)
        return b"".join(parts)

    @classmethod
    def read(cls, reader: Reader) -> "SpvAuthentication":
        """Take the content.

        Raises:
            FormatError: the bytes are no such content.
        """
        height, header, account = reader.u64(), reader.bytes16(), _read_proof(reader)
        count = in_range(reader.u8(), 1, SLOTS_MAX, "number of slots")
        slots = reader.many(count, lambda: SlotProof(reader.hash(), _read_proof(reader)))
        authentication = cls(height, header, account, slots)
        authentication._check()
        return authentication

    def _check(self) -> None:
        in_range(len(self.slots), 1, SLOTS_MAX, "number of slots")
        check_ascending([item.slot for item in self.slots])


@dataclass(frozen=True, slots=True)
class NotaryAuthentication:
    """k notaries sign one statement."""

    METHOD: ClassVar[int] = 2

    notaries: NotarySet
    """The set that signs; must be the registered one."""
    quorum: Quorum
    """Signatures of k of them."""
    statement: NotaryStatement
    """What they have read."""

    def content(self) -> bytes:
        """Return what stands behind the method.

        Raises:
            FormatError: a part is not encodable.
        """
        return (
            self.notaries.encode()
            + encode_quorum(self.quorum, self.notaries.threshold, len(self.notaries.members))
            + self.statement.encode()
        )

    @classmethod
    def read(cls, reader: Reader) -> "NotaryAuthentication":
        """Take the content.

        Raises:
            FormatError: the bytes are no such content.
        """
        notaries = NotarySet.read(reader)
        quorum = read_quorum(reader, notaries.threshold, len(notaries.members))
        return cls(notaries, quorum, NotaryStatement.read(reader))


@dataclass(frozen=True, slots=True)
class BothAuthentication:
    """Light client and notaries, which must prove the same values of the same slots."""

    METHOD: ClassVar[int] = 3

    spv: SpvAuthentication
    """By the light client."""
    notary: NotaryAuthentication
    """By the notaries."""

    def content(self) -> bytes:
        """Return what stands behind the method.

        Raises:
            FormatError: a part is not encodable, or the two name other slots.
        """
        self._check()
        return self.spv.content() + self.notary.content()

    @classmethod
    def read(cls, reader: Reader) -> "BothAuthentication":
        """Take the content.

        Raises:
            FormatError: the bytes are no such content, or the two parts name other slots.
        """
        authentication = cls(SpvAuthentication.read(reader), NotaryAuthentication.read(reader))
        authentication._check()
        return authentication

    def _check(self) -> None:
        if [item.slot for item in self.spv.slots] != [item.slot for item in self.notary.statement.slots]:
            raise FormatError(ErrorCode.NOT_ASCENDING, "proof and statement are about other slots")


Authentication: TypeAlias = KeptAuthentication | SpvAuthentication | NotaryAuthentication | BothAuthentication


def slots_of(authentication: Authentication) -> tuple[bytes, ...]:
    """Return the slots that an authentication is about, ascending; none where the value was kept."""
    match authentication:
        case KeptAuthentication():
            return ()
        case SpvAuthentication(slots=proofs):
            return tuple(item.slot for item in proofs)
        case (
            NotaryAuthentication(statement=statement) | BothAuthentication(notary=NotaryAuthentication(_, _, statement))
        ):
            return tuple(item.slot for item in statement.slots)


def encode_authentication(authentication: Authentication) -> bytes:
    """Return ``method || content``.

    Raises:
        FormatError: a part is not encodable.
    """
    return u8(authentication.METHOD) + authentication.content()


def read_authentication(reader: Reader, *, kept_allowed: bool) -> Authentication:
    """Take one authentication.

    Args:
        reader: where it stands.
        kept_allowed: whether it may refer to a value that was authenticated before.

    Raises:
        FormatError: the bytes are no authentication, or method 0 where it is not allowed.
    """
    accepted = (0, 1, 2, 3) if kept_allowed else (1, 2, 3)
    method = one_of(reader.u8(), accepted, "method of authentication", ErrorCode.AUTHENTICATION_METHOD)
    if method == SpvAuthentication.METHOD:
        return SpvAuthentication.read(reader)
    if method == NotaryAuthentication.METHOD:
        return NotaryAuthentication.read(reader)
    return BothAuthentication.read(reader) if method == BothAuthentication.METHOD else KeptAuthentication()


def _encode_proof(nodes: MerklePatriciaProof) -> bytes:
    in_range(len(nodes), 0, PROOF_NODES_MAX, "number of proof nodes")
    return u8(len(nodes)) + b"".join(map(bytes16, nodes))


def _read_proof(reader: Reader) -> MerklePatriciaProof:
    count = in_range(reader.u8(), 0, PROOF_NODES_MAX, "number of proof nodes")
    return reader.many(count, reader.bytes16)
