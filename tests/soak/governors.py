"""Ceremonies of the governor key in which one governor sends one bad value."""

from collections import Counter
from collections.abc import Mapping

from testkit.governor_mutations import MutatedRun

RUNS = 200
"""Mutated runs of a round, about a quarter of a minute."""


def run_round(seed: int) -> Mapping[str, int]:
    """Runs ceremonies from key generation to a signature, each with another bad value."""
    counts: Counter[str] = Counter()
    for number in range(RUNS):
        counts.update(MutatedRun(seed * RUNS + number).run())
    return counts
