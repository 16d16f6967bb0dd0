"""The agent: asks, decides, does, one step after the other; it may be killed between any two.

What the machine decides is carried out here. Every phase is written down before what it allows is begun, and every step
may be done twice: a home that is there is not built again, a process is started under the lock of its unit only, a
report that stands is not sent again.
"""

import asyncio
import fcntl
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from piebridge.crypto.errors import ChainError, ConfigurationError, PieBridgeError, ProtocolError
from piebridge.failpoints import reach
from piebridge.management_chain.node.home import archive_home, build_home
from piebridge.management_chain.node.keys import OwnNode
from piebridge.management_chain.node.machine import (
    Accept,
    AgentMachine,
    Archive,
    Build,
    NoteReport,
    Report,
    Restart,
    Start,
    Step,
    Stop,
)
from piebridge.management_chain.node.peers import PeersFile
from piebridge.management_chain.node.ports import ChainFacts, ChainProcesses, ManagementChain
from piebridge.management_chain.node.unit import Phase, Unit, UnitStore

POLL_SECONDS: Final = 1.0
"""How often the management chain is looked at."""
COMPLAINT_SECONDS: Final = 60.0
"""How often is said that it cannot be seen."""

_log = logging.getLogger(__name__)


class NodeAgent:
    """A service: start, wait, stop."""

    def __init__(
        self,
        folder: Path,
        nodes: Sequence[OwnNode],
        chain: ManagementChain,
        processes: ChainProcesses,
        *,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        """Take the agent's folder.

        Args:
            folder: of the agent alone; made where it is missing.
            nodes: its nodes.
            chain: the management chain.
            processes: of relay chains.
            poll_seconds: how often to look.

        Raises:
            ConfigurationError: another agent has the folder, or it cannot be used.
        """
        self._lock = _lock(folder)
        self._archive = folder / "archive"
        homes = folder / "chains"
        homes.mkdir(mode=0o700, exist_ok=True)
        self._store = UnitStore(folder / "units")
        self._units = {unit.name: unit for unit in self._store.load()}
        self._nodes = {node.consensus_key: node for node in nodes}
        self._machine = AgentMachine(nodes, homes)
        self._chain, self._processes = chain, processes
        self._poll_seconds = poll_seconds
        self._task: asyncio.Task[None] | None = None
        self._peers_file = PeersFile(folder / "peers.json")
        self._facts = ChainFacts((), {}, {}, self._peers_file.load())
        self._complain_at = 0.0

    @property
    def units(self) -> tuple[Unit, ...]:
        """Everything that was ever taken on."""
        return tuple(self._units.values())

    async def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run())

    async def wait(self) -> None:
        """Return when the agent was stopped."""
        assert self._task is not None, "the agent was not started"
        await self._task

    async def stop(self) -> None:
        """Stop the agent and the processes; units stay as they are."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for unit in self.units:
            if (await self._processes.observe(unit.name)).running:
                await self._processes.stop(unit.name)
        await self._chain.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    async def _run(self) -> None:
        while True:
            if not await self.turn():
                await asyncio.sleep(self._poll_seconds)

    async def turn(self) -> bool:
        """Look once and do what there is to do; return whether anything was done that worked."""
        facts = await self._look()
        observed = {name: await self._processes.observe(name) for name in self._units}
        steps = self._machine.steps(facts, self.units, observed, time.monotonic())
        done = 0
        for step in steps:
            try:
                await self._do(step)
                done += 1
            except PieBridgeError as error:
                self._machine.failed(step.unit, time.monotonic())
                _log.error("%s: %s; tried again later", step.unit.name, error)
        return done > 0

    async def _look(self) -> ChainFacts:
        """Return what the management chain says; while it cannot be seen or trusted, what it said last.

        Relay chains must not stand still because the management chain does: what was proven once goes on.
        """
        units = [(unit.decision.request_id, unit.relay) for unit in self.units]
        try:
            facts = await self._chain.facts(list(self._nodes), units)
        except (ChainError, ProtocolError) as error:
            now = time.monotonic()
            if now >= self._complain_at:
                self._complain_at = now + COMPLAINT_SECONDS
                _log.error("the management chain is not seen, what runs goes on and nothing new begins: %s", error)
            return self._facts
        self._complain_at = 0.0
        if facts.peers != self._facts.peers:
            self._peers_file.save(facts.peers)
        self._facts = facts
        return facts

    async def _do(self, step: Step) -> None:
        unit = step.unit
        match step:
            case Accept():
                _log.info(
                    "%s: node %s got a seat by decision %d of domain %d",
                    unit.name,
                    ", ".join(map(str, unit.nodes)),
                    unit.decision.number,
                    unit.decision.domain,
                )
                self._save(unit)
            case Build():
                build_home(self._machine.home_of(unit), unit.genesis)
                self._save(unit.at(Phase.BUILT))
            case Start(spec=spec):
                # First, so that whoever goes on here knows that there may be a process.
                self._save(unit.at(Phase.RUNNING))
                self._machine.failed(unit, time.monotonic())  # until it is seen to serve
                reach("node.process.before_start")
                await self._processes.start(unit.name, spec)
                reach("node.process.after_start")
            case Restart():
                _log.info("%s restarts with what has changed", unit.name)
                await self._stop(unit)
            case Report(node=node):
                reach("node.report.before_send")
                await self._chain.report_genesis(unit.decision.request_id, unit.relay, node, unit.genesis_hash)
                reach("node.report.after_send")
                _log.info("%s: genesis hash 0x%s reported for node %d", unit.name, unit.genesis_hash.hex(), node)
                self._save(unit.with_report(node))
            case NoteReport():
                for node in unit.nodes:
                    unit = unit.with_report(node)
                self._save(unit)
            case Stop():
                _log.info("%s ends", unit.name)
                self._save(unit.at(Phase.ENDING))
                await self._stop(unit)
            case Archive():
                self._save(unit.at(Phase.ENDING))
                await self._stop(unit)
                archive_home(self._machine.home_of(unit), self._archive)
                self._save(unit.at(Phase.ARCHIVED))
                _log.info("%s was put into %s", unit.name, self._archive)

    async def _stop(self, unit: Unit) -> None:
        reach("node.process.before_stop")
        await self._processes.stop(unit.name)
        reach("node.process.after_stop")

    def _save(self, unit: Unit) -> None:
        if self._units.get(unit.name) == unit:
            return
        reach("node.unit.before_save")
        self._store.save(unit)
        reach("node.unit.after_save")
        self._units[unit.name] = unit


def _lock(folder: Path) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / "agent.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be used: {error}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise ConfigurationError(f"{folder} is in use by another agent: give each agent a folder of its own") from error
    return descriptor
