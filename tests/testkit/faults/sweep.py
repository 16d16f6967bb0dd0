"""Processes that die at chosen steps with packets under way: named failpoints, system calls. All must end final."""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from piebridge.crypto.errors import ChainError
from piebridge.failpoints import ENGINE, EVM, EXIT_STATUS, GATEWAY, RELAY, VARIABLE
from testkit.campaign.scene import Scene, Settled
from testkit.faults import syscalls

FIRST_START = ("engine.after_init_chain", "engine.after_save_genesis_state")
"""Points that a chain passes at its very first start only."""
SELDOM = tuple(name for name in GATEWAY if name.startswith("gateway.acknowledge."))
"""Points that a gateway passes only when it has lived for half a minute: so long a receipt is waited for."""
STEP_SECONDS = 25.0
"""How long a process may run until it has passed its step as often as was asked; then another has a try: among several
gateways nobody can say whose turn comes."""
SYSCALL_SECONDS = 12.0
"""The same for system calls, of which nobody knows how many there will be."""
SELDOM_SECONDS = 75.0
"""The same for those that are passed seldom: half a minute, and the time that a gateway needs to start and to carry."""
TRIES = 8
"""Processes that may fail to reach a step before it counts as missed."""
BURST = 30
"""Packets that are kept under way."""
_POLL_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Death:
    """A step at which a process shall die."""

    step: str
    """Name under which it is counted."""
    status: int
    """Exit code, or minus the signal, by which the process tells that it died there."""
    wrapper: tuple[str, ...] = ()
    """Words before its command."""
    environment: tuple[tuple[str, str], ...] = ()
    """Variables added to its own."""
    seconds: float = STEP_SECONDS
    """How long it may take to come there."""


@dataclass(slots=True, eq=False)
class _Shared:
    """Steps that several processes share; one that was missed comes back, and then another one has its try."""

    waiting: list[Death]
    dying: int = 0
    """Processes that are on their way to a step."""


@dataclass(slots=True)
class Swept:
    """What a sweep did, counted."""

    deaths: Counter[str] = field(default_factory=Counter)
    """Deaths at each step while packets were under way."""
    idle: Counter[str] = field(default_factory=Counter)
    """Other deaths: they happened, and count for nothing."""
    misses: Counter[str] = field(default_factory=Counter)
    """How often a process did not reach a step in time."""
    settled: Settled | None = None


def failpoint_deaths(points: Sequence[str], randomness: random.Random, *, passes: int = 2) -> list[Death]:
    """Deaths at failpoints, each at one of the first so many passes."""
    deaths = []
    for point in points:
        seldom = point in SELDOM
        number = 1 if seldom or point == "engine.after_replayed_commit" else randomness.randint(1, passes)
        seconds = SELDOM_SECONDS if seldom else STEP_SECONDS
        deaths.append(Death(point, EXIT_STATUS, environment=((VARIABLE, f"{point}:{number}"),), seconds=seconds))
    return deaths


def syscall_deaths(role: str, count: int, randomness: random.Random) -> list[Death]:
    """Deaths of processes of a role at system calls: small numbers hit their start, great ones their work."""
    often = list(syscalls.OFTEN[role].items())
    deaths = []
    for call, exponent in (often[number % len(often)] for number in range(count)):
        number = int(2 ** randomness.uniform(0, exponent))
        wrapper = tuple(syscalls.killed_at(call, number))
        deaths.append(Death(f"{role} {call}", -signal.SIGKILL, wrapper=wrapper, seconds=SYSCALL_SECONDS))
    return deaths


def gateway_points(*, notaries: bool) -> list[str]:
    """Points that a gateway passes often, with light clients or with notaries."""
    points = [name for name in GATEWAY if name not in SELDOM]
    return [name for name in points if not (notaries and name.startswith("gateway.prover."))]


def chain_points(role: str) -> list[str]:
    """Points that a relay chain or an EVM chain on the embedded engine passes while it runs."""
    own = RELAY if role == "relay" else EVM
    # Directly behind each other: the death that leaves a block to replay, and the one while it is replayed.
    pair = ("engine.after_save_block", "engine.after_replayed_commit")
    return [*own, *(name for name in ENGINE if name not in (*FIRST_START, *pair)), *pair]


class Sweep:
    """One sweep on one network."""

    def __init__(self, scene: Scene) -> None:
        """Sweep on a network that is up."""
        self._scene = scene
        self._network = scene.network
        self.swept = Swept()

    async def run(self, deaths: Mapping[str, Sequence[Death]], *, sending: bool = True) -> None:
        """Have processes die, each at one step after the other, all processes at the same time.

        Args:
            deaths: by process, or by several processes, separated by commas, which share the work.
            sending: keep packets under way all the time; without, packets are sent between two deaths where few are
                left (a chain that is down takes none): then for one process at a time.
        """
        queues = {names: _Shared(list(wanted)) for names, wanted in deaths.items()}
        victims = [(name, queues[names]) for names in queues for name in names.split(",")]
        working = len(victims)

        async def die(name: str, queue: _Shared) -> None:
            nonlocal working
            await self._die_again_and_again(name, queue, sending=sending)
            working -= 1  # it stays down, and takes no work from those that have steps to reach

        async with asyncio.TaskGroup() as tasks:
            for name, queue in victims:
                tasks.create_task(die(name, queue))
            while sending and working:
                missing = BURST - len(await self._scene.pending.look())
                if missing > 0:
                    await self._scene.traffic.send(missing)
                await asyncio.sleep(_POLL_SECONDS)
        for name, _ in victims:
            self._network.start(name)
        await self._scene.chains_answer()

    async def finish(self) -> Settled:
        """Let everything settle, ask the oracle, and tell what was swept.

        Raises:
            AssertionError: a promise is broken, or a step was never reached.
        """
        self.swept.settled = await self._scene.check_all()
        missed = [step for step in self.swept.misses if not self.swept.deaths[step]]
        assert not missed, f"never reached: {missed}"
        return self.swept.settled

    async def _die_again_and_again(self, name: str, queue: _Shared, *, sending: bool) -> None:
        if not sending:
            await self._scene.traffic.send(BURST)
        self._network.kill(name)
        while queue.waiting or queue.dying:
            if not queue.waiting:  # it stays down until it is known whether the others come to theirs
                await asyncio.sleep(_POLL_SECONDS)
                continue
            death = queue.waiting.pop(0)
            queue.dying += 1
            if not await self._die(name, death):
                self.swept.misses[death.step] += 1
                if self.swept.misses[death.step] < TRIES:
                    queue.waiting.append(death)
                    await asyncio.sleep(2 * _POLL_SECONDS)  # others first, if there are any
            queue.dying -= 1
            if queue.waiting and not sending and self._scene.pending.known < BURST // 3:
                self._network.start(name)
                await self._scene.chains_answer()
                await self._scene.traffic.send(BURST)
                self._network.kill(name)

    async def _die(self, name: str, death: Death) -> bool:
        """Start a process that dies at a step; tells whether it did."""
        network, began = self._network, time.monotonic()
        network.start(name, wrapper=death.wrapper, environment=dict(death.environment))
        status = await network.ends(name, death.seconds)
        if status is None:
            status = await network.ends(name, 0)  # the very last moment
        if status is None:
            network.kill(name)
            return False
        assert status == death.status, f"{name} ended by itself ({status}) before {death.step}: {network.log(name)}"
        under_way = await self._under_way()
        print(f"{name} died at {death.step} after {time.monotonic() - began:.1f} s, {under_way} packets", flush=True)
        if under_way:
            self._scene.in_flight.append(under_way)
        (self.swept.deaths if under_way else self.swept.idle)[death.step] += 1
        return True

    async def _under_way(self) -> int:
        """Packets under way; where a chain is down and cannot be asked, those that were known to be before."""
        try:
            return len(await self._scene.pending.look())
        except ChainError:
            return self._scene.pending.known
