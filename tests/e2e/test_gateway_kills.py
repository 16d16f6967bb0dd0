"""Gateways are killed 100 times at random with work in flight, 1 000 packets cross, over both kinds of parachains.

The figure is divided in equal halves: 50 kills and at least 500 packets for each kind. A kill counts when the chains
say that a packet was under way before it and that the same packet still is afterwards. Every packet must be final, and
the oracle, which reads chain state only, must find nothing wrong. The tests fail when they killed or delivered nothing.

`CAMPAIGN_SEED` in the environment replays a run. Longer: `make soak CAMPAIGN=gateway-kills-embedded SEED= MINUTES=`.
"""

import os
import random
from pathlib import Path

import pytest

from piebridge.cli.local_network.plan import ParachainKind
from testkit.campaign.gateway_kills import Plan, gateway_kills

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

KILLS = 50
"""For each kind; 100 together."""
PACKETS = 500
"""For each kind, at least; 1 000 together."""


@pytest.mark.parametrize("kind", list(ParachainKind))
async def test_gateways_killed_at_random_lose_and_double_nothing(kind: ParachainKind, tmp_path: Path) -> None:
    seed = int(os.environ.get("CAMPAIGN_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"replay: CAMPAIGN_SEED={seed} python -m pytest -s 'tests/e2e/test_gateway_kills.py' -k {kind}")
    outcome = await gateway_kills(tmp_path, Plan(seed, KILLS, PACKETS), kind)
    print(outcome)
    assert outcome.kills == KILLS
    assert outcome.settled is not None
    assert outcome.settled.sent >= PACKETS
    assert outcome.settled.executed + outcome.settled.refunded == outcome.settled.sent
    # What makes the kills worth their name: gateways found their databases changed, and old ranges came again.
    assert outcome.databases["deleted"] > 0
    assert outcome.databases["restored"] > 0
    assert outcome.replays > 0
