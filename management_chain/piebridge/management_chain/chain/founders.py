"""The first set of governors, which the board names by its hash for ever (``docs/protocol/management.md``, 8.1).

Sets of one governor, which ``--dev`` allows, are possible here.
"""

from dataclasses import dataclass
from typing import Final

from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.hash import keccak256, tag
from piebridge.protocol_stack.codec import ZERO_ADDRESS, address, fixed, hash32, u8, u64
from piebridge.protocol_stack.management.tags import ManagementContract, Place
from piebridge.protocol_stack.signers import is_byzantine_quorum
from piebridge.protocol_stack.signing import signed_digest

TAG_GOVERNOR_SET: Final = tag("GOVERNOR_SET")
TAG_GOVERNOR_KEY: Final = tag("GOVERNOR_KEY")
FOUNDERS_MAX: Final = 100
"""Most members of a set."""
_REGISTRATION = 1
_KEY_LENGTH = 33


@dataclass(frozen=True, slots=True)
class Founders:
    """Who makes the first governor key."""

    threshold: int
    """k: how many sign."""
    accounts: tuple[bytes, ...]
    """Accounts of the members on the management chain, 20 bytes each, in the order of their numbers."""

    def check(self, *, dev: bool) -> None:
        """Check what the board will check.

        Raises:
            ConfigurationError: the message says which rule is broken.
        """
        size = len(self.accounts)
        if not 1 <= size <= FOUNDERS_MAX or not 1 <= self.threshold <= size:
            raise ConfigurationError(f"governors {self.threshold} of {size}: 1 <= k <= n <= {FOUNDERS_MAX} is needed")
        if len(set(self.accounts)) != size or ZERO_ADDRESS in self.accounts:
            raise ConfigurationError("an account of a governor is zero or stands there twice")
        if not dev and not is_byzantine_quorum(self.threshold, size):
            raise ConfigurationError(
                f"governors {self.threshold} of {size}: outside --dev k must be more than two thirds of n and n at "
                "least 2, for whoever holds the governor key changes every domain; take for example 3 of 4"
            )

    def encode(self) -> bytes:
        """Return ``k || n || accounts``: argument of ``declareSet``."""
        return u8(self.threshold) + u8(len(self.accounts)) + b"".join(address(account) for account in self.accounts)

    @property
    def hash(self) -> bytes:
        """What the board is made with, 32 bytes."""
        return keccak256(TAG_GOVERNOR_SET + self.encode())


def key_digest(board: Place, key_epoch: int, ceremony: int, founders: Founders, group_key: bytes) -> bytes:
    """Return what a governor key signs to be registered (management.md, section 2), 32 bytes.

    Args:
        board: the GovernorBoard.
        key_epoch: the new epoch.
        ceremony: number of the ceremony that made it.
        founders: the set of that ceremony.
        group_key: the key, 33 bytes.
    """
    body = board.encode() + u64(ceremony) + hash32(founders.hash) + fixed(group_key, _KEY_LENGTH)
    return signed_digest(TAG_GOVERNOR_KEY, 0, ManagementContract.BOARD, key_epoch, _REGISTRATION, body)
