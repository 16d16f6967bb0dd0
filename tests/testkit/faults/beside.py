"""A chain's node beside the one of a network: by the same command, on a folder and ports of its own."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from piebridge.chains.cometbft_rpc import CometBftRpc
from piebridge.cli import processes
from piebridge.cli.local_network.plan import HOST, Wishes
from piebridge.cli.network_file import ProcessEntry
from piebridge.crypto.errors import ChainError
from testkit.campaign.processes_of_network import READY_SECONDS, CampaignNetwork
from testkit.ports import free_port_base

APPLICATION_STATE = {"relay": "data/state.sqlite*", "parachain": "data/evm"}
"""What a node of each role keeps for its application, in its home; the blocks are elsewhere."""


class Beside:
    """Where such a node lives."""

    def __init__(self, network: CampaignNetwork, name: str, home: Path) -> None:
        """Use an empty folder.

        Args:
            network: the network.
            name: whose command is taken.
            home: home of the node.
        """
        self._network, self._entry, self._home = network, network.entry(name), home
        words = list(self._entry.command)
        self._old_home = Path(words[words.index("--home") + 1])
        first = free_port_base(Wishes())
        ports = [place + 1 for place, word in enumerate(words) if word in ("--rpc-port", "--eth-port")]
        for offset, place in enumerate(ports):
            words[place] = str(first + offset)
        words[words.index("--home") + 1] = str(home)
        self._command = words
        self._rpc_url = f"http://{HOST}:{words[words.index('--rpc-port') + 1]}"
        shutil.copytree(self._old_home / "config", home / "config")

    def take_blocks(self) -> None:
        """Copy the blocks of the network's node, which must not run, without the state of its application."""
        state = APPLICATION_STATE[self._entry.role].rpartition("/")[2]
        shutil.copytree(self._old_home / "data", self._home / "data", ignore=shutil.ignore_patterns(state))

    async def ends(self, environment: Mapping[str, str]) -> int:
        """Run the node until it ends by itself, and return its exit code."""
        entry = self._start(environment)
        deadline = time.monotonic() + READY_SECONDS
        while processes.is_running(entry):
            assert time.monotonic() < deadline, "it goes on instead of ending"
            await asyncio.sleep(0.1)
        status = processes.exit_status(entry)
        assert status is not None
        return status

    @asynccontextmanager
    async def serves(self) -> AsyncIterator[CometBftRpc]:
        """Run the node; yields a client of its RPC once it has a block."""
        entry, rpc = self._start({}), CometBftRpc(self._rpc_url)
        try:
            deadline = time.monotonic() + READY_SECONDS
            while not await self._has_block(rpc):
                words = processes.tail(self._network.directory, entry, 30)
                assert processes.is_running(entry), f"it has ended: {words}"
                assert time.monotonic() < deadline, f"it makes no block: {words}"
                await asyncio.sleep(0.1)
            yield rpc
        finally:
            await rpc.close()
            processes.kill(entry)

    async def _has_block(self, rpc: CometBftRpc) -> bool:
        try:
            return (await rpc.status()).height > 0
        except ChainError:
            return False

    def _start(self, environment: Mapping[str, str]) -> ProcessEntry:
        variables = {**processes.own_environment(), **environment}
        name = f"{self._entry.name}-beside"
        return processes.start(name, self._entry.role, self._command, self._network.directory, variables)
