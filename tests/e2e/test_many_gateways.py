"""Four gateways on the same work without coordination: 0 doubled, at most 3 % of their transactions in vain.

`CAMPAIGN_SEED` in the environment replays a run. 5 000 packets: `make soak CAMPAIGN=many-gateways-embedded`.
"""

import os
import random
from pathlib import Path

import pytest

from piebridge.cli.local_network.plan import OWN_BROKER, ParachainKind
from testkit.campaign.many_gateways import Plan, many_gateways

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

PACKETS = 400
REDUNDANT_SHARE_MAX = 0.03


@pytest.mark.parametrize("kind", list(ParachainKind))
async def test_four_gateways_double_nothing_and_do_little_in_vain(kind: ParachainKind, tmp_path: Path) -> None:
    outcome = await many_gateways(tmp_path, Plan(_seed(), PACKETS), kind)
    print(outcome)
    assert outcome.sent >= PACKETS
    assert outcome.work.share <= REDUNDANT_SHARE_MAX, str(outcome)
    assert len(outcome.work.senders) >= 2, "one gateway did all the work, so turns were not tested"


async def test_a_network_whose_gateways_have_workers_behind_redis(tmp_path: Path) -> None:
    plan = Plan(_seed(), packets=100, gateways=2, in_flight=50, broker=OWN_BROKER)
    outcome = await many_gateways(tmp_path, plan, ParachainKind.EMBEDDED)
    print(outcome)
    assert outcome.executed > 0
    for name in ("gateway-1", "gateway-2"):
        log = (tmp_path / "network" / "logs" / f"{name}.log").read_text()
        assert "broker redis://127.0.0.1:" in log, f"{name} has no broker"


def _seed() -> int:
    seed = int(os.environ.get("CAMPAIGN_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"replay: CAMPAIGN_SEED={seed} python -m pytest -s tests/e2e/test_many_gateways.py")
    return seed
