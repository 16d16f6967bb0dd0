"""Redis and workers fail 20 times in ten ways with tasks under way; nothing is lost or doubled, and soon all goes on.

Redis is away for 6 s here and for 60 s in `make soak CAMPAIGN=broker-faults`; the code that is tested is the same, for
everything in the gateway that waits for Redis has shorter times than either. `CAMPAIGN_SEED` replays a run.
"""

import os
import random
from pathlib import Path

import pytest

from testkit.campaign.broker_faults import Plan, broker_faults

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

FAULTS = 20


async def test_redis_and_workers_fail_in_every_way_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    seed = int(os.environ.get("CAMPAIGN_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"replay: CAMPAIGN_SEED={seed} python -m pytest -s tests/integration/test_broker_faults.py")
    outcome = await broker_faults(tmp_path, Plan(seed, FAULTS))
    print(dict(outcome.counts()))
    assert sum(outcome.faults.values()) == FAULTS
    assert len(outcome.faults) == 10
    assert outcome.final == outcome.sent > 0
    print(f"slowest recovery {outcome.slowest_recovery_seconds:.1f} s, {outcome.in_time} of {FAULTS} in time")
    assert outcome.in_time >= FAULTS // 2  # the figure itself is for a machine that has nothing else to do
    # What makes the faults worth their name: each left its mark on the gateway.
    for name in (
        "tasks_repeated",
        "answers_doubled",
        "answers_refused",
        "broker_losses",
        "broker_amnesias",
        "databases_lost",
        "workers_ended",
    ):
        assert outcome.gateway[name] > 0, name
