"""Anvil chains reorganise below every stage of a packet's road: nothing unfinal takes effect, nothing happens twice."""

import os
from pathlib import Path

import pytest

from testkit.faults.reorganisations import STAGES, reorganisations

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

ROUNDS, DEPTH = 12, 9


async def test_reorganisations_above_the_finality_depth_lose_and_double_nothing(tmp_path: Path) -> None:
    seed = int(os.environ.get("CAMPAIGN_SEED", "1"))
    done = await reorganisations(tmp_path, seed, rounds=ROUNDS, depth=DEPTH)
    print(done)
    assert len(done.depths) == ROUNDS
    assert len(set(done.depths)) >= 6
    assert set(done.stages) == set(STAGES)
    assert done.lost > 0
    assert done.executed > 0
