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

from piebridge.cli.local_network.plan import Engine, ParachainKind
from testkit.campaign.gateway_kills import Plan, gateway_kills

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

KILLS = 50
"""For each kind; 100 together."""
PACKETS = 500
"""For each kind, at least; 1 000 together."""
COMETBFT_KILLS = 4
COMETBFT_PACKETS = 300


@pytest.mark.parametrize("kind", list(ParachainKind))
async def test_gateways_killed_at_random_lose_and_double_nothing(kind: ParachainKind, tmp_path: Path) -> None:
    outcome = await gateway_kills(tmp_path, Plan(_seed(kind), KILLS, PACKETS), kind)
    print(outcome)
    assert outcome.kills == KILLS
    assert outcome.settled is not None
    assert outcome.settled.sent >= PACKETS
    assert outcome.settled.executed + outcome.settled.refunded == outcome.settled.sent
    # What makes the kills worth their name: gateways found their databases changed, and old ranges came again.
    assert outcome.databases["deleted"] > 0
    assert outcome.databases["restored"] > 0
    assert outcome.replays > 0


async def test_gateways_are_killed_while_validators_of_cometbft_come_and_go(tmp_path: Path) -> None:
    """5 000 packets, 20 kills of each gateway: ``make soak CAMPAIGN=gateway-and-validator-kills-anvil``."""
    plan = Plan(_seed("cometbft"), COMETBFT_KILLS, COMETBFT_PACKETS, engine=Engine.COMETBFT)
    outcome = await gateway_kills(tmp_path, plan, ParachainKind.ANVIL)
    print(outcome)
    assert outcome.kills == COMETBFT_KILLS
    assert outcome.validator_kills > 0


def _seed(word: str) -> int:
    seed = int(os.environ.get("CAMPAIGN_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"replay: CAMPAIGN_SEED={seed} python -m pytest -s tests/e2e/test_gateway_kills.py -k {word}")
    return seed
