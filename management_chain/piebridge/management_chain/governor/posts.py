"""Payloads of posts (``docs/protocol/governors.md``, section 1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from piebridge.crypto.threshold.ciphersuite import ELEMENT_LENGTH, SCALAR_LENGTH
from piebridge.crypto.threshold.proofs import EQUALITY_LENGTH, POSSESSION_LENGTH
from piebridge.crypto.threshold.sharing import Complaint, Dealing
from piebridge.crypto.threshold.transport import SEALED_LENGTH
from piebridge.protocol_stack.codec import Reader, fixed, one_of, u8
from piebridge.protocol_stack.errors import ErrorCode, FormatError

VERSION: Final = 1
"""Version byte of every payload."""
PAYLOAD_MAX: Final = 16_384
"""Most bytes of a payload."""


class PostKind(IntEnum):
    """What a post is."""

    JOIN = 1
    DEAL = 2
    CHECK = 3
    COMMIT = 4
    SHARE = 5


@dataclass(frozen=True, slots=True)
class Join:
    """A member takes part, with a key for this ceremony."""

    transport_key: bytes
    """Key for shares on their way to it, 33 bytes."""
    possession: bytes
    """Proof that it has the secret, 65 bytes."""

    def encode(self) -> bytes:
        """Return the payload."""
        return u8(VERSION) + fixed(self.transport_key, ELEMENT_LENGTH) + fixed(self.possession, POSSESSION_LENGTH)

    @classmethod
    def decode(cls, data: bytes) -> "Join":
        """Read a payload.

        Raises:
            FormatError: the bytes are none.
        """
        reader = _begin(data)
        join = cls(reader.take(ELEMENT_LENGTH), reader.take(POSSESSION_LENGTH))
        reader.finish()
        return join


def encode_dealing(dealing: Dealing) -> bytes:
    """Return the payload of a DEAL."""
    sealed = [fixed(share, SEALED_LENGTH) for _, share in sorted(dealing.sealed_shares.items())]
    return (
        u8(VERSION)
        + u8(len(dealing.commitments))
        + b"".join(fixed(each, ELEMENT_LENGTH) for each in dealing.commitments)
        + u8(len(dealing.possession))
        + dealing.possession
        + u8(len(sealed))
        + b"".join(sealed)
    )


def decode_dealing(data: bytes, receivers: Sequence[int]) -> Dealing:
    """Read the payload of a DEAL.

    Args:
        data: the payload.
        receivers: to whom its sealed shares are, in ascending order.

    Raises:
        FormatError: the bytes are no DEAL to these.
    """
    reader = _begin(data)
    commitments = reader.many(reader.u8(), lambda: reader.take(ELEMENT_LENGTH))
    length = one_of(reader.u8(), (0, POSSESSION_LENGTH), "length of a proof of possession", ErrorCode.COUNT)
    possession = reader.take(length)
    count = one_of(reader.u8(), (len(receivers),), "number of sealed shares", ErrorCode.COUNT)
    sealed = reader.many(count, lambda: reader.take(SEALED_LENGTH))
    reader.finish()
    return Dealing(commitments, possession, dict(zip(receivers, sealed, strict=True)))


def encode_complaints(complaints: Sequence[Complaint]) -> bytes:
    """Return the payload of a CHECK."""
    ordered = sorted(complaints, key=lambda complaint: complaint.dealer)
    return (
        u8(VERSION)
        + u8(len(ordered))
        + b"".join(
            u8(each.dealer) + fixed(each.shared_point, ELEMENT_LENGTH) + fixed(each.equality, EQUALITY_LENGTH)
            for each in ordered
        )
    )


def decode_complaints(data: bytes) -> tuple[Complaint, ...]:
    """Read the payload of a CHECK.

    Raises:
        FormatError: the bytes are none, or accused are not in ascending order.
    """
    reader = _begin(data)
    complaints = reader.many(
        reader.u8(), lambda: Complaint(reader.u8(), reader.take(ELEMENT_LENGTH), reader.take(EQUALITY_LENGTH))
    )
    reader.finish()
    accused = [complaint.dealer for complaint in complaints]
    if accused != sorted(set(accused)):
        raise FormatError(ErrorCode.COUNT, "accused dealers are not in ascending order", actual=accused)
    return complaints


@dataclass(frozen=True, slots=True)
class Commit:
    """Nonce commitments of a signer."""

    hiding: bytes
    """33 bytes."""
    binding: bytes
    """33 bytes."""

    def encode(self) -> bytes:
        """Return the payload."""
        return u8(VERSION) + fixed(self.hiding, ELEMENT_LENGTH) + fixed(self.binding, ELEMENT_LENGTH)

    @classmethod
    def decode(cls, data: bytes) -> "Commit":
        """Read a payload.

        Raises:
            FormatError: the bytes are none.
        """
        reader = _begin(data)
        commit = cls(reader.take(ELEMENT_LENGTH), reader.take(ELEMENT_LENGTH))
        reader.finish()
        return commit


def encode_share(z: bytes) -> bytes:
    """Return the payload of a SHARE."""
    return u8(VERSION) + fixed(z, SCALAR_LENGTH)


def decode_share(data: bytes) -> bytes:
    """Read the payload of a SHARE: z, 32 bytes.

    Raises:
        FormatError: the bytes are none.
    """
    reader = _begin(data)
    z = reader.take(SCALAR_LENGTH)
    reader.finish()
    return z


def _begin(data: bytes) -> Reader:
    reader = Reader(data)
    one_of(reader.u8(), (VERSION,), "version of a post", ErrorCode.VERSION)
    return reader
