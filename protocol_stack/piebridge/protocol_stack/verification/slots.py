"""What every method of verification gives: storage slots of a hub at one block."""

from dataclasses import dataclass

from piebridge.crypto.errors import VerificationError


@dataclass(frozen=True, slots=True)
class AuthenticatedSlots:
    """What a hub's storage held at one block, proven."""

    block_number: int
    """Number of that block on the source chain."""
    block_time_seconds: int
    """Its timestamp, Unix seconds."""
    block_hash: bytes
    """Its hash, 32 bytes."""
    slots: tuple[bytes, ...]
    """Slots, 32 bytes each, in the order of the proof."""
    values: tuple[bytes, ...]
    """Their values, 32 bytes each; zero where nothing is stored."""


def require_equal(first: AuthenticatedSlots, second: AuthenticatedSlots) -> None:
    """Check that two methods proved the same slots to hold the same values (method 3, both).

    Raises:
        VerificationError: they differ.
    """
    if (first.slots, first.values) != (second.slots, second.values):
        raise VerificationError("SPV and notaries do not prove the same slots and values")
