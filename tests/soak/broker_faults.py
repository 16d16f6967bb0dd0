"""Redis and workers fail in every way with tasks under way; Redis stays away for 60 s. 25 rounds make 500 faults."""

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path

from testkit.campaign.broker_faults import Plan, broker_faults

FAULTS = 20
UNREACHABLE_SECONDS = 60.0


def run_round(seed: int) -> Mapping[str, int]:
    """Starts a domain, a Redis and a gateway with workers, and torments them."""
    with tempfile.TemporaryDirectory(prefix="piebridge-soak-") as folder:
        outcome = asyncio.run(broker_faults(Path(folder), Plan(seed, FAULTS, UNREACHABLE_SECONDS)))
    print(dict(outcome.counts()), flush=True)
    return outcome.counts()
