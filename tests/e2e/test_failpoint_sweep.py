"""Every named failpoint of every process is reached once with packets under way: the process dies there and comes back.

What a gateway does is swept for each of its flows: packets and receipts to the relay chain with the header updates they
need, packets and receipts to the hubs, refunds, acknowledgements. Every packet must be final in the end, the oracle
find nothing, no chain change a block, and all blocks replayed into empty state give the same app hashes. A point that
was never reached fails the test. `CAMPAIGN_SEED` in the environment replays a run.
"""

import asyncio
import os
import random
from collections.abc import Iterator

import pytest

from piebridge.cli.local_network.plan import ParachainKind
from piebridge.failpoints import GATEWAY
from testkit.campaign.processes_of_network import CampaignNetwork, start_network
from testkit.campaign.scene import scene
from testkit.faults.failpoint_sweep import SELDOM, FailpointSweep, chain_points, gateway_points

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CampaignNetwork]:
    directory = tmp_path_factory.mktemp("embedded") / "network"
    network = asyncio.run(start_network(directory, ParachainKind.EMBEDDED, gateways=3))
    yield network
    network.stop()


@pytest.fixture(scope="module")
def seed() -> int:
    number = int(os.environ.get("CAMPAIGN_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"replay: CAMPAIGN_SEED={number} python -m pytest -s tests/e2e/test_failpoint_sweep.py")
    return number


async def test_gateways_die_at_every_point(embedded: CampaignNetwork, seed: int) -> None:
    points = gateway_points(notaries=False)
    async with scene(embedded, seed) as begun, begun.watched_blocks():
        sweep = FailpointSweep(begun, seed)
        await sweep.run({"gateway-3": list(SELDOM), "gateway-1,gateway-2": list(points)})
        settled = await sweep.finish()
    print(sweep.swept, settled)
    assert set(sweep.swept.hits) == {*SELDOM, *points} == set(GATEWAY)


async def test_the_relay_chain_dies_at_every_point(embedded: CampaignNetwork, seed: int) -> None:
    points = chain_points("relay")
    async with scene(embedded, seed + 1) as begun, begun.watched_blocks():
        sweep = FailpointSweep(begun, seed + 1)
        await sweep.run({"relay-1": list(points)})
        settled = await sweep.finish()
    print(sweep.swept, settled)
    assert set(sweep.swept.hits) == set(points)


async def test_an_evm_chain_dies_at_every_point(embedded: CampaignNetwork, seed: int) -> None:
    points = chain_points("evm")
    async with scene(embedded, seed + 2) as begun, begun.watched_blocks():
        sweep = FailpointSweep(begun, seed + 2)
        await sweep.run({"chain-1": list(points)}, sending=False)
        settled = await sweep.finish()
    print(sweep.swept, settled)
    assert set(sweep.swept.hits) == set(points)
