"""Redis and a gateway with workers, started by exactly the commands of `docker/gateway.json`, without containers."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from piebridge.cli import processes
from piebridge.cli.local_network.plan import PASSWORD_FILE, ParachainKind
from testkit.campaign.processes_of_network import CampaignNetwork, campaign_network
from testkit.campaign.scene import examine, scene
from testkit.redis_server import free_port, program

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

COMPOSE = Path(__file__).resolve().parents[2] / "docker" / "gateway.json"
PACKETS = 20


async def test_the_commands_of_the_compose_file_carry_packets(tmp_path: Path) -> None:
    services = json.loads(COMPOSE.read_text())["services"]
    port = free_port()
    redis = [program(), *services["redis"]["command"][1:]]
    redis = _replaced(redis, {"0.0.0.0": "127.0.0.1", "6379": str(port), "/data": str(tmp_path)})
    async with campaign_network(tmp_path / "network", ParachainKind.EMBEDDED) as network:
        for name in network.names("gateway"):
            network.kill(name)  # what is carried from here on is carried by the command under test
        (entry,) = [item for item in network.network.gateways if item.name == "gateway-1"]
        command = _gateway_command(services["gateway"]["command"], network, port)
        started = [_start(redis, tmp_path / "log"), _start(command, tmp_path / "log")]
        try:
            await _healthy(f"{entry.status_url}/health", tmp_path / "log")
            async with scene(network, seed=1) as begun:
                sent = await begun.traffic.send(PACKETS)
                while await begun.pending.look():  # noqa: ASYNC110 - chains are polled
                    await asyncio.sleep(0.3)
                verdict = await examine(network)
            assert not verdict.violations
            assert verdict.executed + verdict.aborted == len(sent) > 0
        finally:
            for process in reversed(started):
                process.terminate()
                process.wait()


def _start(command: list[str], log: Path) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, **processes.own_environment()}
    with log.open("ab") as stream:
        return subprocess.Popen(command, stdout=stream, stderr=stream, env=environment)


def _words(log: Path) -> str:
    return log.read_text()[-3_000:]


def _gateway_command(parts: list[str], network: CampaignNetwork, port: int) -> list[str]:
    folder = network.directory
    values = {
        "/config/network.json": str(folder / "network.json"),
        "/run/secrets/gateway.json": str(folder / "keys" / "gateway-1.json"),
        "/run/secrets/passphrase": str(folder / PASSWORD_FILE),
        "redis://redis:6379/0": f"redis://127.0.0.1:{port}/0",
    }
    defaults = [re.sub(r"\$\{[A-Z_]+:-(.*)\}", r"\1", part) for part in parts]
    return [sys.executable, "-m", "piebridge.cli", *_replaced(defaults, values), "--dev"]


def _replaced(parts: list[str], values: dict[str, str]) -> list[str]:
    assert set(values) <= set(parts), f"{set(values) - set(parts)} stand no more in {COMPOSE.name}"
    return [values.get(part, part) for part in parts]


async def _healthy(url: str, log: Path) -> None:
    try:
        async with asyncio.timeout(60), aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(url) as response:
                        if response.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.3)
    except TimeoutError:
        pytest.fail(_words(log))
