"""What a campaign is: one randomised check that can be repeated from its seed as often as there is time."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Round = Callable[[int], Mapping[str, int]]
"""Runs one round from a seed; returns counts of what it executed (`{"packets": 1000}`); raises when a check fails."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """One entry of the table in `soak.campaigns`."""

    name: str
    """Lower case, words joined by hyphens; never reused for another check, because ledgers name it."""

    purpose: str
    """What would have to be wrong for a round to fail, in one line."""

    run_round: Round
    """One round, some seconds to about a minute long: an interruption loses at most the round under way."""

    counted: tuple[str, ...]
    """Names of the counts of which each must be above zero over a whole campaign; at least one."""

    tested_by: str = ""
    """Test of `make test` that runs the same check, where a round takes minutes; empty: its round is run there."""

    def __post_init__(self) -> None:
        if not self.counted:
            raise ValueError(f"campaign {self.name} counts nothing, so it could not tell a pass from not having run")


def round_seed(seed: int, campaign: str, number: int) -> int:
    """Returns the seed of one round, a 64-bit number: SHA-256 over run seed, campaign name and round number."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{campaign}/{number}".encode()).digest()[:8], "big")
