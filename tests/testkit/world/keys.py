"""Keys and time of a world. All keys follow from names and guard nothing."""

from dataclasses import dataclass, field
from functools import cache

from piebridge.crypto.hash import sha256
from piebridge.crypto.signature import address_of_private_key, public_key_of, sign_recoverable
from piebridge.crypto.threshold.signing import sign_single

START_SECONDS = 1_700_000_000
"""Time at which every world begins, Unix seconds."""
NANOSECONDS = 1_000_000_000
"""Nanoseconds in a second."""


@cache
def private_key(name: str) -> bytes:
    """Derive a secp256k1 key from a name."""
    return sha256(b"testkit world " + name.encode())


@cache
def address_of(name: str) -> bytes:
    """Address of the key of a name, 20 bytes."""
    return address_of_private_key(private_key(name))


def sign(name: str, digest: bytes) -> bytes:
    """Sign a digest, ECDSA, 65 bytes."""
    return sign_recoverable(digest, private_key(name))


@dataclass(frozen=True)
class Governor:
    """A governor key that one party holds: the local ``--dev`` key."""

    name: str = "governor"
    """The key follows from it."""

    @property
    def group_key(self) -> bytes:
        """FROST group key, 33 bytes."""
        return public_key_of(private_key(self.name))

    def sign(self, digest: bytes) -> bytes:
        """FROST signature over a digest, 65 bytes."""
        return sign_single(int.from_bytes(private_key(self.name), "big"), digest, sha256(b"entropy" + digest))


@dataclass
class Clock:
    """The only clock of a world. Every block of every chain takes one second."""

    now_seconds: int = field(default=START_SECONDS)
    """Unix seconds."""

    def tick(self, seconds: int = 1) -> int:
        """Let time pass; return the new time."""
        self.now_seconds += seconds
        return self.now_seconds
