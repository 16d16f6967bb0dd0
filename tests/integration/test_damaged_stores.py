"""Bits that flip, pages that read as zeros, files that lose their end: found out, or without effect; never believed."""

import os
from pathlib import Path

import pytest

from testkit.faults.damage import STORES, rounds

pytestmark = pytest.mark.slow

DAMAGES = 40
"""For each store."""


@pytest.mark.parametrize("name", list(STORES))
def test_a_damaged_store_is_never_believed(name: str, tmp_path: Path) -> None:
    counts = rounds(STORES[name], tmp_path, int(os.environ.get("CAMPAIGN_SEED", "1")), DAMAGES)
    print(name, counts)
    assert sum(counts.values()) == DAMAGES
    assert counts["refused"] > 0 or name == "gateway", "no damage was found out"
