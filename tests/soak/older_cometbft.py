"""Our ABCI server under the release line before ours, which no test of `make test` builds."""

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path

from testkit.campaign.older_cometbft import Plan, older_cometbft
from testkit.toolchain import require_tool

PROGRAM = "cometbft-0.38"
"""Built by the set-up of `make soak`."""


def run_round(seed: int) -> Mapping[str, int]:
    """Runs four nodes, breaks them one after another, and compares the applications."""
    with tempfile.TemporaryDirectory(prefix="piebridge-soak-") as folder:
        return asyncio.run(older_cometbft(require_tool(PROGRAM), Path(folder), Plan(seed)))
