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


def require_agreement(first: AuthenticatedSlots, second: AuthenticatedSlots) -> None:
    """Check that two methods proved the same slots to hold the same values (method 3, both).

    Their blocks may differ, for the one may have gone on further; a block that both name must be one block.

    Raises:
        VerificationError: they differ.
    """
    if (first.slots, first.values) != (second.slots, second.values):
        raise VerificationError("SPV and notaries do not prove the same slots and values")
    blocks = [(item.block_hash, item.block_time_seconds) for item in (first, second)]
    if first.block_number == second.block_number and blocks[0] != blocks[1]:
        raise VerificationError(
            f"SPV and notaries know two blocks {first.block_number}", expected=blocks[0][0], actual=blocks[1][0]
        )
