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
from pathlib import Path

import pytest

from piebridge.chains.cometbft_rpc import CometBftRpc
from piebridge.cli.local_network.plan import HOST, ParachainKind
from piebridge.failpoints import EXIT_STATUS, GATEWAY, NOTARY, VARIABLE
from testkit.campaign.processes_of_network import CampaignNetwork, start_network
from testkit.campaign.scene import scene
from testkit.faults.beside import Beside
from testkit.faults.sweep import (
    FIRST_START,
    SELDOM,
    Sweep,
    chain_points,
    failpoint_deaths,
    gateway_points,
    syscall_deaths,
)

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

SYSCALLS = 30
"""Deaths of gateways at system calls."""


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CampaignNetwork]:
    directory = tmp_path_factory.mktemp("embedded") / "network"
    network = asyncio.run(start_network(directory, ParachainKind.EMBEDDED, gateways=3))
    yield network
    network.stop()


@pytest.fixture(scope="module")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CampaignNetwork]:
    network = asyncio.run(start_network(tmp_path_factory.mktemp("anvil") / "network", ParachainKind.ANVIL))
    yield network
    network.stop()


@pytest.fixture(scope="module")
def seed() -> int:
    number = int(os.environ.get("CAMPAIGN_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"replay: CAMPAIGN_SEED={number} python -m pytest -s tests/e2e/test_death_sweeps.py")
    return number


async def test_gateways_die_at_every_point(embedded: CampaignNetwork, seed: int) -> None:
    points, randomness = gateway_points(notaries=False), random.Random(seed)
    assert {*SELDOM, *points} == set(GATEWAY)
    async with scene(embedded, seed) as begun, begun.watched_blocks():
        sweep = Sweep(begun)
        # One that lives through neither waits for its turn nor finds its work done; so all of them die all the time.
        everybody = "gateway-1,gateway-2,gateway-3"
        await sweep.run({everybody: failpoint_deaths(points, randomness)})
        await sweep.run({everybody: failpoint_deaths(SELDOM, randomness)})
        print(await sweep.finish())
    assert set(sweep.swept.deaths) == set(GATEWAY)


async def test_the_relay_chain_dies_at_every_point(embedded: CampaignNetwork, seed: int) -> None:
    points = chain_points("relay")
    async with scene(embedded, seed + 1) as begun, begun.watched_blocks():
        sweep = Sweep(begun)
        await sweep.run({"relay-1": failpoint_deaths(points, random.Random(seed + 1))})
        print(await sweep.finish())
    assert set(sweep.swept.deaths) == set(points)


async def test_an_evm_chain_dies_at_every_point(embedded: CampaignNetwork, seed: int) -> None:
    points = chain_points("evm")
    async with scene(embedded, seed + 2) as begun, begun.watched_blocks():
        sweep = Sweep(begun)
        await sweep.run({"chain-1": failpoint_deaths(points, random.Random(seed + 2))}, sending=False)
        print(await sweep.finish())
    assert set(sweep.swept.deaths) == set(points)


async def test_a_notary_dies_at_every_point(anvil: CampaignNetwork, seed: int) -> None:
    """Three of four are needed: while it is dead the others carry on, and it never signs two truths."""
    async with scene(anvil, seed + 4) as begun:
        sweep = Sweep(begun)
        await sweep.run({"notary-0": failpoint_deaths(NOTARY, random.Random(seed + 4), passes=5)})
        print(await sweep.finish())
    assert set(sweep.swept.deaths) == set(NOTARY)


async def test_processes_are_killed_at_system_calls(embedded: CampaignNetwork, seed: int) -> None:
    """The kernel kills them before the n-th bytes go out or the n-th write: steps at which no name stands."""
    randomness = random.Random(seed + 3)
    async with scene(embedded, seed + 3) as begun, begun.watched_blocks():
        sweep = Sweep(begun)
        await sweep.run({"gateway-1,gateway-2,gateway-3": syscall_deaths("gateway", SYSCALLS - 3, randomness)})
        await sweep.run({"relay-1": syscall_deaths("relay", 3, randomness)})
        print(await sweep.finish(), sweep.swept)
    assert sweep.swept.deaths.total() + sweep.swept.misses.total() >= SYSCALLS
    assert sweep.swept.deaths.total() >= SYSCALLS * 3 // 4
    assert len(sweep.swept.deaths) >= 4


@pytest.mark.parametrize("name", ["relay-1", "chain-1"])
async def test_a_chain_dies_at_its_first_start(embedded: CampaignNetwork, name: str, tmp_path: Path) -> None:
    """It begins with the same state as the chain of the network, which has the same genesis document."""
    genesis = await first_app_hash(embedded, name)
    for point in FIRST_START:
        beside = Beside(embedded, name, tmp_path / point)
        assert await beside.ends({VARIABLE: point}) == EXIT_STATUS
        async with beside.serves() as rpc:
            assert (await rpc.signed_header(1)).header.app_hash == genesis


@pytest.mark.parametrize("name", ["relay-1", "chain-1"])
async def test_all_blocks_replayed_into_an_empty_application_give_the_same_app_hashes(
    embedded: CampaignNetwork, name: str, tmp_path: Path
) -> None:
    """What all these deaths have left is what the blocks say: the engine holds each replayed block to its app hash."""
    beside = Beside(embedded, name, tmp_path / "home")
    embedded.kill(name)
    beside.take_blocks()
    embedded.start(name)
    async with beside.serves() as rpc:
        assert (await rpc.status()).height > 10


async def first_app_hash(embedded: CampaignNetwork, name: str) -> bytes:
    """App hash of a chain's genesis."""
    words = embedded.entry(name).command
    rpc = CometBftRpc(f"http://{HOST}:{words[words.index('--rpc-port') + 1]}")
    try:
        return (await rpc.signed_header(1)).header.app_hash
    finally:
        await rpc.close()
