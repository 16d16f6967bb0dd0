"""What every hash of the management chain starts with, and the numbers of its contracts.

Source: ``docs/protocol/management.md``, head and section 1. Those of the governors' own ceremonies stand with them.
"""

from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Final

from piebridge.crypto.hash import tag
from piebridge.protocol_stack.codec import address, u64

TAG_DOMAIN_REQUEST: Final = tag("DOMAIN_REQUEST")
TAG_DECISION: Final = tag("DECISION")
TAG_DRAW: Final = tag("DRAW")
TAG_REPRESENTATIVE: Final = tag("REPRESENTATIVE")
TAG_NODE_OFFER: Final = tag("NODE_OFFER")
TAG_GOVERNOR_MANAGEMENT: Final = tag("GOVERNOR_MANAGEMENT")


@unique
class ManagementContract(IntEnum):
    """Numbers of the contracts: the target of what is signed for them."""

    BOARD = 1
    """GovernorBoard."""
    MARKET = 2
    """NodeMarket."""
    REGISTRY = 3
    """DomainRegistry."""
    DIRECTORY = 4
    """ApplicationDirectory."""


@dataclass(frozen=True, slots=True)
class Place:
    """The one contract for which something is signed or hashed: it counts nowhere else."""

    chain_id: int
    """EVM chain id of the management chain, u64."""
    contract: bytes
    """Address of the contract, 20 bytes."""

    def encode(self) -> bytes:
        """Return ``chain id || address``, 28 bytes.

        Raises:
            FormatError: a field is not encodable.
        """
        return u64(self.chain_id) + address(self.contract)
