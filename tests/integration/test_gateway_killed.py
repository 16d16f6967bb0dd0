"""The gateway as a process of its own, killed with SIGKILL while packets are under way."""

import asyncio
import pickle
import random
import sys
from pathlib import Path

import pytest

from piebridge.gateway.config import GatewayConfig
from testkit.gateway_network import TOKENS, GatewayNetwork, Parachain, eventually

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

KILLS, PACKETS = 12, 120
COMMITTED = 2

PROGRAM = """
import asyncio, pickle, sys
from piebridge.gateway.service import run_gateway
with open(sys.argv[1], "rb") as file:
    config = pickle.load(file)
asyncio.run(run_gateway(config))
"""


async def start(config: GatewayConfig, directory: Path) -> asyncio.subprocess.Process:
    file = directory / "config.pickle"
    file.write_bytes(pickle.dumps(config))
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(file), env={"PYTHONPATH": ":".join(sys.path)}
    )


async def send(chain: Parachain, count: int, pause_seconds: float) -> None:
    for _ in range(count):
        await chain.transfer(2, 1, relay=1)
        await asyncio.sleep(pause_seconds)


async def unfinished(chain: Parachain, sent: int) -> int:
    return sum([await chain.status(1, nonce) != COMMITTED for nonce in range(1, sent + 1)])


async def test_killed_by_sigkill_again_and_again_nothing_is_lost_and_nothing_doubled(tmp_path: Path) -> None:
    chance = random.Random(20_261_121)
    async with GatewayNetwork() as network:
        a, b = network.chains[1], network.chains[2]
        config = network.gateway_config(tmp_path / "data")
        sending = asyncio.create_task(send(a, PACKETS, 0.2))
        kills = in_flight = 0
        while kills < KILLS:
            process = await start(config, tmp_path)
            await asyncio.sleep(chance.uniform(1.2, 3.0))
            in_flight += await b.balance("bob") < PACKETS
            assert process.returncode is None, "the gateway ended by itself"
            process.kill()
            await process.wait()
            kills += 1
        await sending
        process = await start(config, tmp_path)
        try:

            async def all_final() -> bool:
                return await b.balance("bob") == PACKETS and await unfinished(a, PACKETS) == 0

            await eventually(all_final, timeout_seconds=90)
        finally:
            process.kill()
            await process.wait()
        assert kills == KILLS
        assert in_flight >= KILLS // 3, "the kills came when nothing was under way"
        assert await b.balance("bob") == PACKETS
        assert await a.balance("alice") == TOKENS - PACKETS
