"""Sets of governors and ceremonies, as the board names them (``docs/protocol/governors.md``, sections 1 and 2)."""

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Final

from piebridge.crypto.hash import keccak256, tag
from piebridge.crypto.threshold.shares import SIGNERS_MIN
from piebridge.crypto.threshold.sharing import SharingKind
from piebridge.protocol_stack.codec import Reader, address, hash32, in_range, u8, u32, u64
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.management.tags import ManagementContract, Place
from piebridge.protocol_stack.signing import signed_digest

TAG_GOVERNOR_CEREMONY: Final = tag("GOVERNOR_CEREMONY")
TAG_GOVERNOR_SET: Final = tag("GOVERNOR_SET")
TAG_GOVERNOR_KEY: Final = tag("GOVERNOR_KEY")

MEMBERS_MAX: Final = 100
"""Most governors of a set."""
ROUNDS_MAX: Final = 8
"""Most rounds of a ceremony."""
ROUND_BLOCKS_MAX: Final = 7_200
"""Most blocks of a round."""


class CeremonyKind(IntEnum):
    """What a ceremony is for."""

    KEY_GENERATION = 1
    SIGNING = 2
    REFRESH = 3
    RESHARING = 4

    @property
    def sharing_kind(self) -> SharingKind:
        """What its sharing is for.

        Raises:
            KeyError: a signing shares nothing.
        """
        return _SHARING_KINDS[self]

    @property
    def rounds_allowed(self) -> tuple[int, ...]:
        """Numbers of rounds that such a ceremony may have."""
        return (2, 4, 6, 8) if self is CeremonyKind.SIGNING else (5, 7)


_SHARING_KINDS: Final = {
    CeremonyKind.KEY_GENERATION: SharingKind.KEY_GENERATION,
    CeremonyKind.REFRESH: SharingKind.REFRESH,
    CeremonyKind.RESHARING: SharingKind.RESHARING,
}


@dataclass(frozen=True)
class GovernorSet:
    """Who holds shares of a key: member i, from 1, is the i-th account."""

    threshold: int
    """k: how many sign."""
    accounts: tuple[bytes, ...]
    """Accounts of the members on the management chain, 20 bytes each, all different."""

    def __post_init__(self) -> None:
        """Check the bounds.

        Raises:
            FormatError: they are violated.
        """
        size = in_range(len(self.accounts), SIGNERS_MIN, MEMBERS_MAX, "number of governors")
        in_range(self.threshold, SIGNERS_MIN, size, "threshold of governors", ErrorCode.SET_THRESHOLD)
        accounts = {address(account) for account in self.accounts}
        if len(accounts) != size or bytes(20) in accounts:
            raise FormatError(ErrorCode.SET_MEMBER, "an account of a governor is zero or stands there twice")

    @property
    def members(self) -> range:
        """Numbers of all members."""
        return range(1, len(self.accounts) + 1)

    def member_of(self, account: bytes) -> int | None:
        """Return the number of an account, None if it is no member's."""
        return self.accounts.index(account) + 1 if account in self.accounts else None

    def encode(self) -> bytes:
        """Return the set's bytes."""
        return u8(self.threshold) + u8(len(self.accounts)) + b"".join(self.accounts)

    @cached_property
    def hash(self) -> bytes:
        """Name of the set, 32 bytes."""
        return keccak256(TAG_GOVERNOR_SET + self.encode())

    @classmethod
    def decode(cls, data: bytes) -> "GovernorSet":
        """Read a set.

        Raises:
            FormatError: the bytes are none.
        """
        reader = Reader(data)
        threshold, size = reader.u8(), reader.u8()
        governors = cls(threshold, reader.many(size, reader.address))
        reader.finish()
        return governors


@dataclass(frozen=True, slots=True)
class Epochs:
    """Which key, and which sharing of it."""

    key: int
    """Key epoch, from 1."""
    share: int
    """Share epoch, from 1."""

    def encode(self) -> bytes:
        """Return the subject of a sharing ceremony that makes these shares, 32 bytes."""
        return u32(self.key) + u32(self.share) + bytes(24)


@dataclass(frozen=True)
class Ceremony:
    """A ceremony as it was opened."""

    number: int
    """Number of the board, from 1."""
    kind: CeremonyKind
    """What it is for."""
    governors: GovernorSet
    """Who may post."""
    subject: bytes
    """Digest that is signed, or epochs of the shares that are made, 32 bytes."""
    rounds: int
    """How many rounds there are."""
    round_blocks: int
    """Blocks of a round."""
    opened: int
    """Height of the block that opened it."""

    def last_height(self, round_number: int) -> int:
        """Return the last height at which a post of a round counts."""
        return self.opened + round_number * self.round_blocks

    def context(self, place: Place) -> bytes:
        """Return what binds proofs, keys and signatures to this ceremony, 32 bytes."""
        return keccak256(
            TAG_GOVERNOR_CEREMONY
            + place.encode()
            + u64(self.number)
            + u8(self.kind)
            + self.governors.hash
            + hash32(self.subject)
            + u8(self.rounds)
            + u32(self.round_blocks)
        )

    def registration_digest(self, place: Place, key_epoch: int, group_key: bytes) -> bytes:
        """Return what the shares that this ceremony makes sign to show that they are good, 32 bytes."""
        body = place.encode() + u64(self.number) + self.governors.hash + group_key
        return signed_digest(TAG_GOVERNOR_KEY, 0, ManagementContract.BOARD, key_epoch, self.kind, body)
