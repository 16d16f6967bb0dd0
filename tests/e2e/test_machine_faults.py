"""Disks that are full and cables that are cut, under the processes of a real network with packets under way."""

import asyncio
import random
from collections.abc import Iterator

import pytest

from piebridge.cli.local_network.plan import ParachainKind
from testkit.campaign.processes_of_network import CampaignNetwork, start_network
from testkit.campaign.scene import scene
from testkit.faults.machine import CUTS, cut_cables, fill_disk

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

SEED = 20_261_122
CUT_SECONDS = 5.0
"""How long a cable stays cut."""


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CampaignNetwork]:
    network = asyncio.run(start_network(tmp_path_factory.mktemp("embedded") / "network", ParachainKind.EMBEDDED))
    yield network
    network.stop()


async def test_full_disks_stop_processes_with_a_reason_and_they_go_on_with_room(embedded: CampaignNetwork) -> None:
    async with scene(embedded, SEED) as begun, begun.watched_blocks():
        for name in ("gateway-1", "relay-1", "chain-1"):
            await fill_disk(begun, name)
        print(await begun.check_all())
    assert len(begun.in_flight) == 3


async def test_cut_cables_between_gateways_and_chains_lose_nothing(embedded: CampaignNetwork) -> None:
    async with scene(embedded, SEED + 1) as begun:
        dropped = await cut_cables(begun, CUTS, CUT_SECONDS, random.Random(SEED))
        print(await begun.check_all(), dropped)
    assert all(dropped.values()), f"cuts that met nothing: {dropped}"
