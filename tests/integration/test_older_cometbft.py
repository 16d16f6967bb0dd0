"""The campaign of `make soak CAMPAIGN=older-cometbft`, short and with the CometBFT that is there: its default keys."""

from pathlib import Path

import pytest

from testkit.campaign.older_cometbft import Plan, older_cometbft
from testkit.toolchain import require_tool

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]


async def test_nodes_that_are_killed_and_abandoned_lose_nothing(tmp_path: Path) -> None:
    counts = await older_cometbft(require_tool("cometbft"), tmp_path / "nodes", Plan(seed=1, faults=4, transactions=60))
    assert counts["transactions"] == 60
    assert counts["kills"] + counts["abandons"] == 4
    assert counts["blocks"] > 4
