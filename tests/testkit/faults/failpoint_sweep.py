"""Every named failpoint ends its process once with packets under way; everything must end final all the same."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from piebridge.crypto.errors import ChainError
from piebridge.failpoints import ENGINE, EVM, GATEWAY, RELAY, VARIABLE
from testkit.campaign.scene import Scene, Settled

FIRST_START = ("engine.after_init_chain", "engine.after_save_genesis_state")
"""Points that a chain passes at its very first start only."""
BLOCKS = tuple(name for name in ENGINE if name not in FIRST_START)
"""Points of a chain that runs; the order matters: the last is passed only after a death at `after_save_block`."""
OF_LIGHT_CLIENTS = (
    "gateway.prover.after_light_block",
    "gateway.prover.before_light_block",
    "gateway.prover.after_proof",
)
"""Points of light clients, which a gateway does not pass where notaries verify."""
SELDOM = ("gateway.acknowledge.before_submit", "gateway.acknowledge.after_submit")
"""Points that a gateway passes only when it has lived for half a minute: so long a receipt is waited for."""
POINT_SECONDS = 25.0
"""How long a process may run until it has passed its point as often as was asked; then another has a try: among several
gateways nobody can say whose turn comes."""
SELDOM_SECONDS = 100.0
"""The same for those that are passed seldom."""
TRIES = 4
"""Processes that may fail to reach a point before it counts as missed."""
BURST = 30
"""Packets sent at once, at most."""
_POLL_SECONDS = 0.3


@dataclass(slots=True)
class Swept:
    """What a sweep did, counted."""

    hits: Counter[str] = field(default_factory=Counter)
    """How often a process ended at each point while packets were under way."""
    idle: Counter[str] = field(default_factory=Counter)
    """Ends at which no packet was under way; they count for nothing."""
    misses: Counter[str] = field(default_factory=Counter)
    """How often a process did not reach a point in time."""
    settled: Settled | None = None


def gateway_points(*, notaries: bool) -> list[str]:
    """Points that a gateway passes often, with light clients or with notaries."""
    return [name for name in GATEWAY if name not in SELDOM and not (notaries and name in OF_LIGHT_CLIENTS)]


def chain_points(role: str) -> list[str]:
    """Points that a relay chain or an EVM chain on the embedded engine passes while it runs."""
    own = RELAY if role == "relay" else EVM
    replay = BLOCKS.index("engine.after_save_block")
    # Directly behind each other: the death that leaves a block to replay, and the one while it is replayed.
    pair = [BLOCKS[replay], "engine.after_replayed_commit"]
    return [*own, *(name for name in BLOCKS if name not in pair), *pair]


class FailpointSweep:
    """One sweep on one network."""

    def __init__(self, scene: Scene, seed: int, *, passes: int = 2) -> None:
        """Sweep on a network that is up; what is drawn follows from the seed, also which pass ends a process."""
        self._passes = passes
        self._scene = scene
        self._network = scene.network
        self._random = random.Random(f"{seed}/failpoints")
        self.swept = Swept()

    async def run(self, points: dict[str, list[str]], *, sending: bool = True) -> None:
        """End processes at points, each process at one after the other, all processes at the same time.

        Args:
            points: for each process the points, or for several processes, separated by commas, points that they share.
            sending: keep packets under way all the time; without, packets are sent between two ends where few are left
                (a chain that is down takes none): then for one process at a time.
        """
        working = [asyncio.Event() for _ in range(sum(len(names.split(",")) for names in points))]
        async with asyncio.TaskGroup() as tasks:
            if sending:
                tasks.create_task(self._keep_busy(working))
            done = iter(working)
            for names, queue in points.items():
                for name in names.split(","):
                    tasks.create_task(self._end_again_and_again(name, queue, next(done), sending=sending))

    async def finish(self) -> Settled:
        """Let everything settle, ask the oracle, and tell what was swept.

        Raises:
            AssertionError: a promise is broken, or a point was missed.
        """
        self.swept.settled = await self._scene.check_all()
        missed = [point for point in self.swept.misses if not self.swept.hits[point]]
        assert not missed, f"never reached: {missed}"
        return self.swept.settled

    async def _keep_busy(self, working: Sequence[asyncio.Event]) -> None:
        while not all(event.is_set() for event in working):
            missing = BURST - len(await self._scene.pending.look())
            if missing > 0:
                await self._scene.traffic.send(missing)
            await asyncio.sleep(_POLL_SECONDS)

    async def _end_again_and_again(self, name: str, queue: list[str], done: asyncio.Event, *, sending: bool) -> None:
        if not sending:
            await self._scene.traffic.send(BURST)
        self._network.kill(name)
        while queue:
            point = queue.pop(0)
            if not await self._end_at(name, point):
                self._network.kill(name)
                self.swept.misses[point] += 1
                if self.swept.misses[point] < TRIES:
                    queue.append(point)
            if queue and not sending and self._scene.pending.known < BURST // 3:
                self._network.start(name)
                await self._scene.chains_answer()
                await self._scene.traffic.send(BURST)
                self._network.kill(name)
        done.set()
        self._network.start(name)

    async def _end_at(self, name: str, point: str) -> bool:
        """Start a process that ends at a point; tells whether it did."""
        network, passes = self._network, self._random.randint(1, self._passes)
        if point == "engine.after_replayed_commit" or point in SELDOM:
            passes = 1
        size, began = network.log_size(name), time.monotonic()
        network.start(name, environment={VARIABLE: f"{point}:{passes}"})
        if not await network.ends(name, SELDOM_SECONDS if point in SELDOM else POINT_SECONDS):
            return False
        words = network.log_since(name, size)
        assert f"ended at failpoint {point}" in words, f"{name} ended by itself before {point}: {words[-2000:]}"
        under_way = await self._under_way()
        if under_way:
            self._scene.in_flight.append(under_way)
        print(f"{name} ended at {point} (pass {passes}) after {time.monotonic() - began:.1f} s", flush=True)
        (self.swept.hits if under_way else self.swept.idle)[point] += 1
        return True

    async def _under_way(self) -> int:
        """Packets under way; where a chain is down and cannot be asked, those that were known to be before."""
        try:
            return len(await self._scene.pending.look())
        except ChainError:
            return self._scene.pending.known
