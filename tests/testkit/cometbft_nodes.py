"""Four CometBFT nodes on our ABCI server, with homes and keys that the program itself has made.

Nothing of the home writer or the supervisor is in here, so any release line that speaks ABCI 2.0 will do.
"""

import asyncio
import contextlib
import itertools
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
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
from testkit.faults.tcp_proxy import Fault, TcpFaultProxy
from testkit.key_value_application import KeyValueApplication
from testkit.ports import free_port_base

NODES = 4
BLOCK_INTERVAL_SECONDS = 0.2


class Member:
    """Application, server and node of one validator."""

    def __init__(self, program: Path, home: Path, rpc_port: int) -> None:
        self._program, self._home = program, NodeHome(home)
        self.rpc = NodeRpc(f"http://127.0.0.1:{rpc_port}")

    async def start(self) -> None:
        """Start all three, as they were left."""
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
        """End node, server and client."""
        await self._process.stop()
        await self._server.stop()
        await self.rpc.close()

    async def height(self) -> int | None:
        """Newest block; None while the node is down or fetches blocks."""
        with contextlib.suppress(NodeRpcError):
            status = await self.rpc.status()
            return None if status.catching_up else status.height
        return None


@dataclass(frozen=True, slots=True)
class Chain:
    """The nodes, and the cables between them."""

    members: tuple[Member, ...]
    cables: dict[tuple[int, int], TcpFaultProxy]
    """What stands between a node that dials and the one that it dials, by their numbers."""

    async def part(self, *groups: Sequence[int]) -> None:
        """Let nothing pass between groups of nodes; what has passed before is there, what was on its way is lost."""
        for (here, there), cable in self.cables.items():
            together = any(here in group and there in group for group in groups)
            await cable.inject(Fault.NONE if together else Fault.HANG)

    async def heal(self) -> None:
        """Let everything pass again. Nodes find each other by dialling anew."""
        for cable in self.cables.values():
            await cable.inject(Fault.NONE)

    async def reached(self, height: int, *numbers: int) -> bool:
        """Whether nodes, all where none is named, are at a height at least."""
        members = [self.members[number] for number in numbers] or self.members
        heights = await asyncio.gather(*(member.height() for member in members))
        return all((known or 0) >= height for known in heights)


@contextlib.asynccontextmanager
async def four_nodes(program: Path, folder: Path) -> AsyncIterator[Chain]:
    """Make four nodes that reach each other by cables of ours only, start them, and end them in the end."""
    await asyncio.to_thread(_ask, program, "testnet", "--v", str(NODES), "--o", str(folder))
    base = free_port_base(Wishes())
    homes = [folder / f"node{index}" for index in range(NODES)]
    node_ids = [_ask(program, "show-node-id", "--home", str(home)) for home in homes]
    async with contextlib.AsyncExitStack() as stack:
        cables = {
            (here, there): await stack.enter_async_context(TcpFaultProxy(base + 2 * there + 1))
            for here, there in itertools.permutations(range(NODES), 2)
        }
        members = []
        for index, home in enumerate(homes):
            settings = NodeSettings(
                f"node-{index}",
                base + 2 * index,
                base + 2 * index + 1,
                tuple(
                    Peer(node_ids[there], "127.0.0.1", cable.port)
                    for (here, there), cable in cables.items()
                    if here == index
                ),
                block_interval_seconds=BLOCK_INTERVAL_SECONDS,
            )
            (home / "config" / "config.toml").write_text(config_toml(settings))
            members.append(Member(program, home, settings.rpc_port))
        for member in members:
            await member.start()
            stack.push_async_callback(member.stop)
        yield Chain(tuple(members), cables)


def _ask(program: Path, *arguments: str) -> str:
    done = subprocess.run([program, *arguments], check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()
