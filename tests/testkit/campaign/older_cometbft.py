"""Four nodes of the release line before ours on our ABCI server: nodes killed, applications gone, nothing lost.

Relay chains need v0.40 (its key type signs what contracts verify), but an application of somebody else may run on
v0.38. The homes are made by that program itself, with its own default keys.
"""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from piebridge.abci.cometbft.config import NodeSettings, Peer, config_toml
from piebridge.abci.cometbft.errors import NodeRpcError
from piebridge.abci.cometbft.home import NodeHome
from piebridge.abci.cometbft.process import NodeProcess
from piebridge.abci.cometbft.rpc import NodeRpc
from piebridge.abci.server.dispatch import Dispatcher
from piebridge.abci.server.server import AbciServer
from piebridge.cli.local_network.plan import Wishes
from testkit.cometbft_chains import within
from testkit.key_value_application import KeyValueApplication, app_hash_of
from testkit.ports import free_port_base

NODES = 4
DOWN_SECONDS = 2.0
"""Longest time that a node stays down."""
ALIVE_SECONDS = 2.0
"""Longest time between two faults."""
BLOCK_INTERVAL_SECONDS = 0.2
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Plan:
    """What a campaign does; everything else follows from the seed."""

    seed: int
    faults: int = 12
    """Nodes killed and applications that go away, one after another."""
    transactions: int = 200


class _Member:
    """Application, server and node of one validator."""

    def __init__(self, program: Path, home: Path, rpc_port: int) -> None:
        self._program, self._home = program, NodeHome(home)
        self.rpc = NodeRpc(f"http://127.0.0.1:{rpc_port}")

    async def start(self) -> None:
        self.application = KeyValueApplication(self._home.path / "application.json")
        self._server = AbciServer(Dispatcher(self.application))
        await self._server.listen_unix(self._home.socket)
        self._process = NodeProcess(self._program, self._home)
        await self._process.start()

    async def kill(self) -> None:
        """SIGKILL the node; the application goes with it."""
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        await self._server.stop()

    async def abandon(self) -> None:
        """Take the application away. Most nodes end by themselves then; one in the middle of a block only halts."""
        await self._server.stop()
        await self._process.stop()

    async def stop(self) -> None:
        await self._process.stop()
        await self._server.stop()
        await self.rpc.close()

    async def height(self) -> int | None:
        with contextlib.suppress(NodeRpcError):
            status = await self.rpc.status()
            return None if status.catching_up else status.height
        return None


async def older_cometbft(program: Path, folder: Path, plan: Plan) -> Mapping[str, int]:
    """Run four nodes, send, and break one node after another; then compare the four applications.

    Args:
        program: CometBFT of another release line.
        folder: an empty folder.
        plan: seed and figures.

    Raises:
        AssertionError: an application lost a transaction or came to another state, or nothing was tested.
    """
    randomness = random.Random(plan.seed)
    counts: Counter[str] = Counter()
    async with _chain(program, folder) as members:
        await within(90, "the first block", lambda: _reached(members, 1))
        async with asyncio.TaskGroup() as tasks:
            sender = tasks.create_task(_send(members, plan.transactions, random.Random(f"{plan.seed}/sender")))
            for _ in range(plan.faults):
                await asyncio.sleep(randomness.uniform(0, ALIVE_SECONDS))
                member = randomness.choice(members)
                how = randomness.choice(["kill", "abandon"])
                await (member.kill() if how == "kill" else member.abandon())
                counts[f"{how}s"] += 1
                await asyncio.sleep(randomness.uniform(0, DOWN_SECONDS))
                await member.start()
                await within(60, "a node is back", lambda member=member: _reached([member], 1))  # type: ignore[misc]
        expected = await sender
        await within(60, "all nodes have all transactions", lambda: _have(members, expected))
        states = {app_hash_of(member.application.values) for member in members}
        assert states == {app_hash_of(expected)}, "the applications came to different states"
        heights = [await member.height() or 0 for member in members]
    counts["transactions"], counts["blocks"] = len(expected), max(heights)
    return counts


async def _send(members: list[_Member], transactions: int, randomness: random.Random) -> dict[str, str]:
    """Offer transactions until some node has taken each; it may be lost with that node's mempool, so offer it again."""
    expected = {f"key-{number}": str(randomness.randrange(1 << 30)) for number in range(transactions)}
    missing = dict(expected)
    while missing:
        for key, value in list(missing.items()):
            if any(member.application.values.get(key) == value for member in members):
                del missing[key]
                continue
            with contextlib.suppress(NodeRpcError):  # down, or known already
                answer = await randomness.choice(members).rpc.broadcast(f"{key}={value}".encode())
                assert answer.code == 0, answer.log
            await asyncio.sleep(0.01)
        await asyncio.sleep(_POLL_SECONDS)
    return expected


async def _reached(members: list[_Member], height: int) -> bool:
    heights = await asyncio.gather(*(member.height() for member in members))
    return all((known or 0) >= height for known in heights)


async def _have(members: list[_Member], expected: Mapping[str, str]) -> bool:
    return all(member.application.values == expected for member in members)


@contextlib.asynccontextmanager
async def _chain(program: Path, folder: Path) -> AsyncIterator[list[_Member]]:
    await asyncio.to_thread(_ask, program, "testnet", "--v", str(NODES), "--o", str(folder))
    base = free_port_base(Wishes())
    homes = [folder / f"node{index}" for index in range(NODES)]
    peers = [
        Peer(_ask(program, "show-node-id", "--home", str(home)), "127.0.0.1", base + 2 * index + 1)
        for index, home in enumerate(homes)
    ]
    members = []
    for index, home in enumerate(homes):
        others = tuple(peer for peer in peers if peer != peers[index])
        settings = NodeSettings(
            f"node-{index}", base + 2 * index, peers[index].port, others, block_interval_seconds=BLOCK_INTERVAL_SECONDS
        )
        (home / "config" / "config.toml").write_text(config_toml(settings))
        members.append(_Member(program, home, settings.rpc_port))
    try:
        for member in members:
            await member.start()
        yield members
    finally:
        for member in members:
            await member.stop()


def _ask(program: Path, *arguments: str) -> str:
    done = subprocess.run([program, *arguments], check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()
