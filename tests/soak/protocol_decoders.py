"""Damaged and random bytes for every decoder of the protocol."""

from collections.abc import Mapping

from testkit.fuzzing import DECODERS, fuzz

INPUTS = 20_000
"""Inputs of a round for each decoder."""


def run_round(seed: int) -> Mapping[str, int]:
    """Try every decoder; returns the totals."""
    totals = {"inputs": 0, "accepted": 0, "refused": 0}
    for number, decoder in enumerate(DECODERS):
        for name, count in fuzz(decoder, seed + number, INPUTS).items():
            totals[name] += count
    return totals
