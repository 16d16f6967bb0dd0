"""A local network whose processes a test may kill and start again, each by exactly the command that started it."""

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import aiohttp

from piebridge.cli import network_file, processes
from piebridge.cli.local_network.plan import Engine, ParachainKind, Wishes
from piebridge.cli.local_network.up import up
from piebridge.cli.network_file import NetworkFile, ProcessEntry
from piebridge.cli.progress import SilentProgress
from testkit.ports import free_port_base

READY_SECONDS = 60.0
"""How long a process may take until it serves."""
_POLL_SECONDS = 0.1


class CampaignNetwork:
    """A network that is up."""

    def __init__(self, network: NetworkFile, directory: Path) -> None:
        self._network = network
        self.directory = directory
        self.starts: dict[str, int] = {entry.name: 1 for entry in network.processes}
        """How often each process was started."""
        self.kills: dict[str, int] = {}
        """How often each process was killed while it ran."""
        self.boards: dict[int, bytes] = {}
        """Contracts that take ERC-7786 messages, by registration; they outlive the campaign that deployed them."""
        self._down: set[str] = set()

    @property
    def network(self) -> NetworkFile:
        """The network file as it is now: with the ids of the processes that run."""
        return self._network

    def names(self, role: str) -> list[str]:
        """Names of the processes of a role."""
        return [entry.name for entry in self._network.processes if entry.role == role]

    def entry(self, name: str) -> ProcessEntry:
        """The newest process of a name."""
        return next(entry for entry in self._network.processes if entry.name == name)

    def is_running(self, name: str) -> bool:
        """Whether the newest process of a name runs."""
        return processes.is_running(self.entry(name))

    def kill(self, name: str) -> None:
        """SIGKILL a process that runs; returns when it is gone."""
        entry = self.entry(name)
        assert processes.is_running(entry), f"{name} does not run: {processes.tail(self.directory, entry)}"
        processes.kill(entry)
        assert not processes.is_running(entry), f"{name} survived SIGKILL"
        self.kills[name] = self.kills.get(name, 0) + 1
        self._down.add(name)

    def read_again(self) -> None:
        """Take over what a command of another process has written into the network file."""
        self._network = network_file.load(self.directory)

    def start(
        self,
        name: str,
        *,
        wrapper: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        keep_file: bool = False,
        replacing: Mapping[str, str] | None = None,
    ) -> None:
        """Start a process that does not run, as it was started the first time.

        Args:
            name: which.
            wrapper: words before its command: a program that executes it in its own place.
            environment: variables added to its own.
            keep_file: leave the network file as it is, for a test that has changed it.
            replacing: words of its command that are others. All of these hold for this life only.
        """
        old = self.entry(name)
        assert not processes.is_running(old), f"{name} runs already"
        variables = {**processes.own_environment(), **(environment or {})}
        command = [*wrapper, *((replacing or {}).get(word, word) for word in old.command)]
        new = processes.start(name, old.role, command, self.directory, variables)
        new = replace(new, command=old.command)
        entries = tuple(new if entry.name == name else entry for entry in self._network.processes)
        self._network = replace(self._network, processes=entries)
        if not keep_file:
            network_file.save(self._network, self.directory)
        self.starts[name] += 1
        self._down.discard(name)

    def log(self, name: str) -> str:
        """The last lines that a process has written."""
        return processes.tail(self.directory, self.entry(name), 40)

    async def ends(self, name: str, timeout_seconds: float) -> int | None:
        """Wait until a process has ended by itself, and return its exit code, or minus the signal that ended it.

        It may then be started again. None when it still runs.
        """
        deadline = time.monotonic() + timeout_seconds
        while self.is_running(name):
            if time.monotonic() > deadline:
                return None
            await asyncio.sleep(_POLL_SECONDS)
        self._down.add(name)
        return processes.exit_status(self.entry(name))

    async def serves(self, name: str) -> None:
        """Wait until a gateway or notary answers at its status page."""
        deadline = time.monotonic() + READY_SECONDS
        while await self._health(name) is None:
            assert self.is_running(name), f"{name} ended: {processes.tail(self.directory, self.entry(name))}"
            assert time.monotonic() < deadline, f"{name} does not answer after {READY_SECONDS:.0f} s"
            await asyncio.sleep(_POLL_SECONDS)

    async def health_of_gateways(self) -> list[str]:
        """What gateways say of themselves, for messages of failed tests; no check may rest on it."""
        return [f"{name}: {await self._health(name)}" for name in self.names("gateway")]

    async def _health(self, name: str) -> str | None:
        urls = {entry.name: entry.status_url for entry in self._network.gateways}
        urls |= {f"notary-{entry.index}": entry.url for entry in self._network.notaries}
        timeout = aiohttp.ClientTimeout(total=2)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(f"{urls[name]}/health") as answer:
                return await answer.text()
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None

    def gateway_data(self, name: str) -> Path:
        """Folder of a gateway's database."""
        entry = next(entry for entry in self._network.gateways if entry.name == name)
        return self.directory / entry.data_directory

    def ended_by_themselves(self) -> list[str]:
        """Names of processes that should run and do not, with the last lines of their logs."""
        expected = [entry for entry in self._network.processes if entry.name not in self._down]
        gone = [entry for entry in expected if not processes.is_running(entry)]
        return [f"{entry.name}: {processes.tail(self.directory, entry, 8)}" for entry in gone]

    def stop(self) -> None:
        """End everything."""
        order = {"gateway": 0, "broker": 1, "notary": 1, "relay": 2, "proxy": 3, "parachain": 4}
        processes.stop(sorted(self._network.processes, key=lambda entry: order[entry.role]))


async def start_network(
    directory: Path,
    kind: ParachainKind,
    *,
    parachains: int = 2,
    gateways: int = 2,
    engine: Engine = Engine.EMBEDDED,
    broker: str | None = None,
    workers: int = 1,
) -> CampaignNetwork:
    """Start a network for a test, which has to stop it however the test ends."""
    wishes = Wishes(
        parachains=parachains,
        parachain_kind=kind,
        gateways=gateways,
        engine=engine,
        broker=broker,
        workers=workers,
    )
    wishes = replace(wishes, port_base=free_port_base(wishes))
    return CampaignNetwork(await up(wishes, directory, SilentProgress()), directory)


@contextlib.asynccontextmanager
async def campaign_network(
    directory: Path, kind: ParachainKind, *, engine: Engine = Engine.EMBEDDED
) -> AsyncIterator[CampaignNetwork]:
    """Start a network for one test, and end it however the test ends."""
    network = await start_network(directory, kind, engine=engine)
    try:
        yield network
    finally:
        network.stop()


def copy_folder(source: Path, target: Path) -> None:
    """Replace a folder by a copy of another, or by nothing where there is no other."""
    shutil.rmtree(target, ignore_errors=True)
    if source.exists():
        shutil.copytree(source, target)
