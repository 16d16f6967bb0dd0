"""Processes of a network that is being started: launched, remembered, and waited for until they serve."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from piebridge.chains.cometbft_rpc import CometBftRpc
from piebridge.cli import processes, serving
from piebridge.cli.local_network.journal import Journal
from piebridge.cli.local_network.plan import HOST, PASSWORD_FILE
from piebridge.cli.network_file import ProcessEntry
from piebridge.crypto.errors import ChainError, ConfigurationError, TransientChainError

READY_TIMEOUT_SECONDS = 60.0
"""How long a process may take until it answers."""
_POLL_SECONDS = 0.1

_T = TypeVar("_T")


class Launcher:
    """Starts PieBridge's own processes in the folder of a network."""

    def __init__(self, directory: Path) -> None:
        """Start in a folder (absolute path)."""
        self.journal = Journal(directory)
        """What was started."""
        self._directory = directory

    def launch(self, name: str, role: str, arguments: Sequence[str]) -> ProcessEntry:
        """Start a ``piebridge`` command as a process and remember it."""
        return self.journal.start(
            name, role, [sys.executable, "-m", "piebridge.cli", *arguments], processes.own_environment()
        )

    def process(self, name: str) -> ProcessEntry:
        """Return what was started under a name."""
        return next(entry for entry in self.journal.entries if entry.name == name)

    def passphrase(self) -> tuple[str, str]:
        """Return the option that names the passphrase of the network's keys."""
        return ("--passphrase-file", str(self._directory / PASSWORD_FILE))

    def peer_options(self, index: int, nodes: Sequence[tuple[str, str, int]]) -> list[str]:
        """Return the options of a CometBFT node for its place in a full mesh.

        Args:
            index: which of the nodes.
            nodes: keystore (relative to the folder), node id and p2p port of each.
        """
        file, _, port = nodes[index]
        options = ["--p2p-key", str(self._directory / file), "--p2p-port", str(port)]
        for other, (_, node_id, peer_port) in enumerate(nodes):
            if other != index:
                options += ["--peer", f"{node_id}@{HOST}:{peer_port}"]
        return options

    async def at_rpc(self, process: ProcessEntry, url: str, ask: Callable[[CometBftRpc], Awaitable[_T]]) -> _T:
        """Ask a node's CometBFT RPC until it answers and takes transactions."""
        rpc = CometBftRpc(url)

        async def once() -> _T:
            if (await rpc.status()).catching_up:
                raise TransientChainError(f"{url} still fetches blocks")
            return await ask(rpc)

        try:
            return await self.ready(process, once)
        finally:
            await rpc.close()

    async def ready(
        self, process: ProcessEntry, ask: Callable[[], Awaitable[_T]], announcement: str = serving.READY
    ) -> _T:
        """Ask until there is an answer, as long as the process lives.

        Nothing is asked before the process itself has said that it serves: on a port that somebody else took in the
        meantime, a stranger's chain would answer in its place.

        Raises:
            ConfigurationError: it ended, or does not answer in time; its last words are told.
        """
        deadline = time.monotonic() + READY_TIMEOUT_SECONDS
        log = self._directory / process.log_file
        problem = "it has not said that it serves"
        while True:
            if announcement in log.read_text(encoding="utf-8", errors="replace"):
                try:
                    return await ask()
                except ChainError as error:
                    problem = str(error)
            if not processes.is_running(process):
                words = processes.tail(self._directory, process)
                raise ConfigurationError(f"{process.name} ended while it started; its log says:\n{words}")
            if time.monotonic() > deadline:
                words = processes.tail(self._directory, process)
                raise ConfigurationError(
                    f"{process.name} does not answer after {READY_TIMEOUT_SECONDS:.0f} s ({problem}); its log says:\n"
                    f"{words}"
                )
            await asyncio.sleep(_POLL_SECONDS)
