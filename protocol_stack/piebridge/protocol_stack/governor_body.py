"""What bodies of governor messages to hubs and to relay chains have in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

from piebridge.crypto.signature import COMPRESSED_KEY_LENGTH
from piebridge.protocol_stack.codec import Reader, decode_whole, one_of
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.signers import check_group_key
from piebridge.protocol_stack.verification.base import Method

B = TypeVar("B")
B_co = TypeVar("B_co", covariant=True)


class BodyReader(Protocol[B_co]):
    """A class of bodies, as the table of a target holds it by its kind."""

    def read(self, reader: Reader) -> B_co:
        """Take one body."""


@dataclass(frozen=True, slots=True)
class EmptyBody:
    """A body without content: the kind says everything."""

    def encode(self) -> bytes:
        """Return nothing."""
        return b""

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Take nothing."""
        return cls()


@dataclass(frozen=True, slots=True)
class GroupKeyBody:
    """A body that is the public key of the governors."""

    group_key: bytes
    """New FROST group key, 33 bytes."""

    def encode(self) -> bytes:
        """Return the body.

        Raises:
            FormatError: the bytes are no group key.
        """
        return check_group_key(self.group_key)

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Take the body."""
        return cls(check_group_key(reader.take(COMPRESSED_KEY_LENGTH)))


def decode_body(bodies: Mapping[int, BodyReader[B]], target: str, kind: int, data: bytes) -> B:
    """Read the body of a message.

    Args:
        bodies: the classes of bodies of a target by kind.
        target: what the message is for, in words.
        kind: kind that the message names.
        data: the body.

    Raises:
        FormatError: unknown kind, or the bytes are no body of it.
    """
    body = bodies.get(kind)
    if body is None:
        raise FormatError(ErrorCode.KIND, f"unknown kind of message to {target}", expected=sorted(bodies), actual=kind)
    return decode_whole(body.read, data)


def read_method(reader: Reader) -> Method:
    """Take a verification method.

    Raises:
        FormatError: ``GOVERNOR_BODY``.
    """
    return Method(one_of(reader.u8(), tuple(Method), "verification method", ErrorCode.GOVERNOR_BODY))
