"""Faults of every kind, more often than in `make test`: deaths at chosen steps, machines, disks, reorganisations."""

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from piebridge.cli.local_network.plan import ParachainKind
from testkit.campaign.processes_of_network import CampaignNetwork, start_network
from testkit.campaign.scene import scene
from testkit.faults import damage
from testkit.faults.machine import CUTS, cut_cables, fill_disk
from testkit.faults.reorganisations import reorganisations
from testkit.faults.sweep import SELDOM, Sweep, chain_points, failpoint_deaths, gateway_points, syscall_deaths

PASSES = 12
"""Which pass of a failpoint ends a process: one of the first so many."""
SYSCALLS = 150
"""Deaths of gateways at system calls in a round; a third as many of the relay chain."""
DAMAGES = 200
"""Damaged copies of each store in a round."""
ROUNDS, DEPTH, BLOCK_TIME_SECONDS = 16, 65, 0.1
"""Reorganisations of a round, finality depth (1 to 64 blocks are replaced), and pause between two blocks."""


_Campaign = Callable[[CampaignNetwork, int], Awaitable[Mapping[str, int]]]


def deaths_at_failpoints(seed: int) -> Mapping[str, int]:
    """Every failpoint of every process of one network."""
    return asyncio.run(_on_a_network(seed, _failpoints))


def deaths_at_system_calls(seed: int) -> Mapping[str, int]:
    """Gateways and relay chain killed by strace at system calls."""
    return asyncio.run(_on_a_network(seed, _system_calls))


def machines(seed: int) -> Mapping[str, int]:
    """Full disks and cut cables."""
    return asyncio.run(_on_a_network(seed, _machines))


def damaged_stores(seed: int) -> Mapping[str, int]:
    """Bits, pages and ends of files of every store."""
    totals: Counter[str] = Counter()
    for name, store in damage.STORES.items():
        with tempfile.TemporaryDirectory(prefix="piebridge-soak-") as folder:
            for word, count in damage.rounds(store, Path(folder), seed, DAMAGES).items():
                totals[f"{name}: {word}"] += count
    return totals


def reorganised_chains(seed: int) -> Mapping[str, int]:
    """Reorganisations of 1 to 64 blocks."""
    with tempfile.TemporaryDirectory(prefix="piebridge-soak-") as folder:
        walk = reorganisations(Path(folder), seed, rounds=ROUNDS, depth=DEPTH, block_time_seconds=BLOCK_TIME_SECONDS)
        return asyncio.run(walk).counts()


async def _on_a_network(seed: int, campaign: _Campaign) -> Mapping[str, int]:
    with tempfile.TemporaryDirectory(prefix="piebridge-soak-") as folder:
        network = await start_network(Path(folder) / "network", ParachainKind.EMBEDDED, gateways=3)
        try:
            return await campaign(network, seed)
        finally:
            network.stop()


async def _failpoints(network: CampaignNetwork, seed: int) -> Mapping[str, int]:
    randomness = random.Random(f"{seed}/failpoints")
    async with scene(network, seed) as begun, begun.watched_blocks():
        sweep = Sweep(begun)
        points = randomness.sample(gateways := gateway_points(notaries=False), len(gateways))
        await sweep.run(
            {
                "gateway-3": failpoint_deaths(SELDOM, randomness),
                "gateway-1,gateway-2": failpoint_deaths(points, randomness, passes=PASSES),
            }
        )
        await sweep.run({"relay-1": failpoint_deaths(chain_points("relay"), randomness, passes=PASSES)})
        await sweep.run({"chain-1": failpoint_deaths(chain_points("evm"), randomness)}, sending=False)
        settled = await sweep.finish()
    return {"deaths": sweep.swept.deaths.total(), "points": len(sweep.swept.deaths), "packets": settled.sent}


async def _system_calls(network: CampaignNetwork, seed: int) -> Mapping[str, int]:
    randomness = random.Random(f"{seed}/system calls")
    async with scene(network, seed) as begun, begun.watched_blocks():
        sweep = Sweep(begun)
        await sweep.run({"gateway-1,gateway-2,gateway-3": syscall_deaths("gateway", SYSCALLS, randomness)})
        await sweep.run({"relay-1": syscall_deaths("relay", SYSCALLS // 3, randomness)})
        settled = await sweep.finish()
    return {"deaths": sweep.swept.deaths.total(), "packets": settled.sent}


async def _machines(network: CampaignNetwork, seed: int) -> Mapping[str, int]:
    randomness = random.Random(f"{seed}/machines")
    disks = randomness.sample(["gateway-1", "gateway-2", "relay-1", "chain-1", "chain-2"], 5)
    cuts = [randomness.choice(CUTS) for _ in range(10)]
    async with scene(network, seed) as begun:
        for name in disks:
            await fill_disk(begun, name)
        dropped = await cut_cables(begun, cuts, randomness.uniform(2, 20), randomness)
        settled = await begun.check_all()
    return {"full disks": len(disks), "cuts": len(cuts), "dropped": sum(dropped.values()), "packets": settled.sent}
