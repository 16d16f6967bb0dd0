"""Every other process of a network is killed with packets under way, and the oracle finds nothing wrong afterwards."""

import asyncio
import random
import shutil
from collections.abc import Iterator, Sequence
from functools import partial

import pytest

from piebridge.cli import network_file
from piebridge.cli.local_network.plan import ParachainKind
from testkit.campaign.processes_of_network import CampaignNetwork, start_network
from testkit.campaign.scene import Scene, scene

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

SEED = 20_261_121
PACKETS = 30
"""Sent before each fault."""


PAUSE_SECONDS = 1.0
"""Longest time that a killed process stays down."""


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CampaignNetwork]:
    network = asyncio.run(start_network(tmp_path_factory.mktemp("embedded") / "network", ParachainKind.EMBEDDED))
    yield network
    network.stop()


@pytest.fixture(scope="module")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CampaignNetwork]:
    network = asyncio.run(start_network(tmp_path_factory.mktemp("anvil") / "network", ParachainKind.ANVIL))
    yield network
    network.stop()


async def kill_and_restart(begun: Scene, randomness: random.Random, names: Sequence[str]) -> None:
    """Kill all of them at one moment, and start them again after a pause, in any order."""
    assert await begun.kill(names), "no packet was under way"
    await asyncio.sleep(randomness.uniform(0, PAUSE_SECONDS))
    for name in randomness.sample(names, len(names)):
        begun.network.start(name)
    await begun.chains_answer()


async def test_a_killed_relay_chain_goes_on_without_a_second_block_of_a_height(embedded: CampaignNetwork) -> None:
    randomness = random.Random(SEED)
    async with scene(embedded, SEED) as begun:
        async with begun.watched_blocks():
            for _ in range(4):
                await begun.traffic.send(PACKETS)
                await asyncio.sleep(randomness.uniform(0, 2))
                height = begun.blocks.height("relay-1")
                await kill_and_restart(begun, randomness, ["relay-1"])
                assert begun.blocks.height("relay-1") >= height > 1
        await begun.check_all()
    assert len(begun.in_flight) == 4


async def test_a_killed_parachain_goes_on_without_a_second_block_of_a_height(embedded: CampaignNetwork) -> None:
    randomness = random.Random(SEED + 1)
    async with scene(embedded, SEED + 1) as begun:
        async with begun.watched_blocks():
            for name in ("chain-1", "chain-2", "chain-1"):
                await begun.traffic.send(PACKETS)
                await asyncio.sleep(randomness.uniform(0, 2))
                height = begun.blocks.height(name)
                await kill_and_restart(begun, randomness, [name])
                assert begun.blocks.height(name) >= height > 1
        await begun.check_all()
    assert len(begun.in_flight) == 3


async def test_a_gateway_whose_database_vanishes_while_it_runs_loses_nothing(embedded: CampaignNetwork) -> None:
    async with scene(embedded, SEED + 2) as begun:
        for name in embedded.names("gateway"):
            data = embedded.gateway_data(name)
            await embedded.serves(name)
            await begun.traffic.send(PACKETS)
            assert list(data.iterdir()), f"{name} keeps no database, so none can vanish"
            assert await begun.fault(partial(shutil.rmtree, data)), "no packet was under way"
        await begun.traffic.send(PACKETS)
        await begun.settle()  # with files that are gone
        await begun.traffic.send(PACKETS)
        await kill_and_restart(begun, random.Random(SEED + 2), embedded.names("gateway"))
        await begun.check_all()
    assert len(begun.in_flight) == 2 + len(embedded.names("gateway"))


async def test_a_network_of_which_every_process_dies_at_once_goes_on(embedded: CampaignNetwork) -> None:
    randomness = random.Random(SEED + 3)
    names = [entry.name for entry in embedded.network.processes]
    async with scene(embedded, SEED + 3) as begun:
        for _ in range(2):
            await begun.traffic.send(PACKETS)
            await begun.blocks.look()
            await kill_and_restart(begun, randomness, names)
        await begun.check_all()
    assert len(begun.in_flight) == 2 * len(names)
    assert {entry.name for entry in network_file.load(embedded.directory).processes} == set(names)
    assert not embedded.ended_by_themselves()


async def test_one_notary_of_four_is_not_missed_and_two_stop_everything_until_one_is_back(
    anvil: CampaignNetwork,
) -> None:
    async with scene(anvil, SEED + 4) as begun:
        await begun.traffic.send(PACKETS)
        assert await begun.kill(["notary-0"])
        await begun.settle()

        anvil.kill("notary-2")
        packets = await begun.traffic.send(PACKETS)
        await asyncio.sleep(6)  # three times as long as packets need otherwise
        assert await begun.pending.look() == {packet.id for packet in packets}, "two of four notaries were enough"
        assert await begun.fault(lambda: anvil.start("notary-0"))
        await begun.check_all()
        anvil.start("notary-2")
    assert anvil.kills == {"notary-0": 1, "notary-2": 1}


async def test_everything_but_the_anvils_dies_at_once_and_goes_on(anvil: CampaignNetwork) -> None:
    randomness = random.Random(SEED + 5)
    names = [entry.name for entry in anvil.network.processes if entry.role != "parachain"]
    assert {"notary", "proxy", "relay", "gateway"} == {entry.role for entry in anvil.network.processes} - {"parachain"}
    async with scene(anvil, SEED + 5) as begun:
        for _ in range(2):
            await begun.traffic.send(PACKETS)
            await begun.blocks.look()
            await kill_and_restart(begun, randomness, names)
        await begun.check_all()
    assert len(begun.in_flight) == 2 * len(names)
