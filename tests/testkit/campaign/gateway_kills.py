"""Gateways killed at random with work in flight: the campaign behind the figure of 100 kills and 1 000 packets."""

import asyncio
import random
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from piebridge.cli.local_network.plan import Engine, ParachainKind
from testkit.campaign.processes_of_network import campaign_network, copy_folder
from testkit.campaign.replays import Replays
from testkit.campaign.scene import Scene, Settled, scene

LIFE_SECONDS = 3.0
"""Longest time that a gateway is left alone before its next kill, from the moment that it serves."""
PAUSE_SECONDS = 1.0
"""Longest time that a killed gateway stays down."""
EARLY_CHANCE = 0.1
"""Share of kills that hit a gateway while it starts."""
EARLY_SECONDS = 2.0
"""Longest time from the start of a gateway to such a kill."""
DATABASE_FAULTS = {"kept": 60, "deleted": 20, "restored": 20}
"""What happens to a gateway's database while it is down, with weights."""
BACKUP_CHANCE = 0.3
"""Share of kills after which the database is put by, to be restored later."""
BURST = 50
"""Packets sent at once, at most."""
BLOWS = 5
"""How often, in the end, all gateways die at one moment while users are silent and databases are kept: whoever forgets
what it had read before finds nobody then who does its work, and no new packet that makes it look again."""
BLOW_SECONDS = (0.3, 2.0)
"""Time from the last packets' blocks to such a blow: shortest and longest."""
REPLAYS_LEAST = 3
"""Replays of old transactions, at least."""
REPLAY_SECONDS = 4.0
"""Longest time between two replays of old transactions."""
VALIDATOR_DOWN_SECONDS = (3.0, 10.0)
"""How long a validator that was killed stays down: shortest and longest. It then runs less than twice as long."""
UP_FACTOR = 1.8
VALIDATOR_DOWN_SHARE_LEAST = 1 / 3
_POLL_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Plan:
    """What a campaign does; everything else follows from the seed."""

    seed: int
    kills: int
    """Kills with work in flight."""
    packets: int
    """Least number of packets."""
    in_flight: int = 200
    """Packets that the users keep under way."""
    engine: Engine = Engine.EMBEDDED
    """What runs the relay chain. With CometBFT one of its four validators is down a third of the time."""


@dataclass(slots=True)
class Outcome:
    """What a campaign did, counted."""

    plan: Plan
    kind: ParachainKind
    in_flight: list[int] = field(default_factory=list)
    """Packets under way at each kill that counts: there were some before, and some of them still after."""
    idle_kills: int = 0
    """Other kills: they happened, and count for nothing."""
    in_mempool: int = 0
    """Kills after which a transaction of the dead gateway still waited for a block."""
    databases: Counter[str] = field(default_factory=Counter)
    """What was done to databases."""
    replays: int = 0
    """Old ranges that somebody brought to a hub again, which must have no effect."""
    kinds: Counter[str] = field(default_factory=Counter)
    """Packets of each kind."""
    validator_kills: int = 0
    """Validators killed, each with work in flight."""
    validator_down_seconds: float = 0.0
    """How long one of the validators was down, together."""
    validator_seconds: float = 0.0
    """Of how long."""
    settled: Settled | None = None

    @property
    def kills(self) -> int:
        """Kills that count."""
        return len(self.in_flight)

    def counts(self) -> Mapping[str, int]:
        """Numbers for a ledger."""
        assert self.settled is not None
        return {
            "kills": self.kills,
            "packets": self.settled.sent,
            "executed": self.settled.executed,
            "refunded": self.settled.refunded,
            "replays": self.replays,
            "databases deleted": self.databases["deleted"],
            "databases restored": self.databases["restored"],
            "validators killed": self.validator_kills,
        }

    def __str__(self) -> str:
        """One paragraph for people."""
        assert self.settled is not None
        flights = self.in_flight
        return (
            f"{self.kind}, seed {self.plan.seed}: {dict(self.counts())}; packets under way at a kill: least "
            f"{min(flights)}, mean {sum(flights) // len(flights)}, most {max(flights)}; {self.in_mempool} kills left a "
            f"transaction in a mempool, {self.idle_kills} hit without work and do not count; {dict(self.kinds)}; "
            f"a validator was down {self.validator_down_seconds:.0f} of {self.validator_seconds:.0f} s; at "
            f"rest {self.settled.seconds:.1f} s after the last fault"
        )


class GatewayKills:
    """One campaign on one network."""

    def __init__(self, scene: Scene, backups: Path, plan: Plan, kind: ParachainKind) -> None:
        """Plan a campaign.

        Args:
            scene: users and faults, on a network that is up.
            backups: folder for old copies of databases.
            plan: seed and figures.
            kind: what the parachains are, for the report.
        """
        self._scene, self._backups, self._plan = scene, backups, plan
        self._network = scene.network
        self._gateways = self._network.names("gateway")
        self._blows = min(BLOWS, plan.kills // (2 * len(self._gateways)))
        self._single_kills = plan.kills - self._blows * len(self._gateways)
        self._begun = dict.fromkeys(self._gateways, 0)
        self._busy = True
        self.outcome = Outcome(plan, kind, in_flight=scene.in_flight, kinds=scene.traffic.kinds)

    async def run(self) -> Outcome:
        """Send, kill, restart; then let everything settle and ask the oracle.

        Raises:
            AssertionError: a promise is broken, or nothing was tested.
        """
        outcome, plan = self.outcome, self._plan
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_busy())
            tasks.create_task(self._replay())
            for name in self._gateways:
                tasks.create_task(self._torment(name, random.Random(f"{plan.seed}/{name}")))
            if plan.engine is Engine.COMETBFT:
                tasks.create_task(self._drop_validators(random.Random(f"{plan.seed}/validators")))
        randomness = random.Random(f"{plan.seed}/blows")
        for _ in range(self._blows):
            await self._strike_all(randomness)
        outcome.idle_kills = self._scene.idle_faults
        outcome.settled = await self._scene.check_all()
        assert outcome.kills == plan.kills > 0, f"{outcome.kills} kills, not {plan.kills}"
        for name in self._gateways:
            assert self._network.kills[name] >= plan.kills // len(self._gateways), f"{name} was killed less often"
        if plan.engine is Engine.COMETBFT:
            assert outcome.validator_kills > 0
            assert outcome.validator_down_seconds >= VALIDATOR_DOWN_SHARE_LEAST * outcome.validator_seconds, str(
                outcome
            )
        assert outcome.settled.sent >= plan.packets > 0
        return outcome

    async def _keep_busy(self) -> None:
        """Keep packets under way as long as gateways are killed, and until enough were sent."""
        traffic = self._scene.traffic
        while self.outcome.kills < self._single_kills or len(traffic.sent) < self._plan.packets:
            missing = self._plan.in_flight - len(await self._scene.pending.look())
            if missing > 0:
                await traffic.send(min(missing, BURST))
            await asyncio.sleep(_POLL_SECONDS)
        self._busy = False

    async def _replay(self) -> None:
        """Hand in again what is in blocks already. Only that: a range that was lost must not be brought by us."""
        randomness = random.Random(f"{self._plan.seed}/replays")
        replays = Replays(self._scene.view, randomness)
        while self.outcome.kills < self._single_kills or replays.tried < REPLAYS_LEAST:
            await asyncio.sleep(randomness.uniform(0, REPLAY_SECONDS))
            await replays.replay()
            self.outcome.replays = replays.taken

    async def _torment(self, name: str, randomness: random.Random) -> None:
        """Kill one gateway again and again, each time doing something to its database before it starts again."""
        early = False
        while True:
            if early:
                await asyncio.sleep(randomness.uniform(0, EARLY_SECONDS))
            else:
                await self._network.serves(name)
                await asyncio.sleep(randomness.uniform(0, LIFE_SECONDS))
            if self._begun[name] >= self._single_kills // len(self._gateways):
                return
            self._begun[name] += 1
            if not await self._scene.kill([name]):
                self._begun[name] -= 1
            self.outcome.in_mempool += await self._leaves_transaction(name)
            self._harm_database(name, randomness)
            await asyncio.sleep(randomness.uniform(0, PAUSE_SECONDS))
            self._network.start(name)
            early = randomness.random() < EARLY_CHANCE

    async def _drop_validators(self, randomness: random.Random) -> None:
        """Keep one validator, each time another, from the relay chain's work for a third of the time."""
        outcome, began = self.outcome, time.monotonic()
        names = self._network.names("relay")
        while self._busy:
            await self._scene.work()
            name = randomness.choice(names)
            down_seconds = randomness.uniform(*VALIDATOR_DOWN_SECONDS)
            self._network.kill(name)
            killed = time.monotonic()
            await asyncio.sleep(down_seconds)
            self._network.start(name)
            outcome.validator_kills += 1
            outcome.validator_down_seconds += time.monotonic() - killed
            outcome.validator_seconds = time.monotonic() - began
            await asyncio.sleep(down_seconds * UP_FACTOR)

    async def _strike_all(self, randomness: random.Random) -> None:
        """Kill all gateways at one moment, shortly after the users have fallen silent; they find what they left."""
        for name in self._gateways:
            await self._network.serves(name)
        counts = False
        while not counts:
            await self._scene.traffic.send(BURST)
            await asyncio.sleep(randomness.uniform(*BLOW_SECONDS))
            counts = await self._scene.kill(self._gateways)
            for name in self._gateways:
                self.outcome.databases["kept"] += 1
                self._network.start(name)

    async def _leaves_transaction(self, name: str) -> bool:
        """Whether a transaction of a gateway waits in some parachain's mempool."""
        (address,) = (entry.address for entry in self._network.network.gateways if entry.name == name)
        for chain in self._scene.view.chains.values():
            latest, pending = await chain.client.batch(
                [("eth_getTransactionCount", [address, tag]) for tag in ("latest", "pending")]
            )
            if latest != pending:
                return True
        return False

    def _harm_database(self, name: str, randomness: random.Random) -> None:
        data, backup = self._network.gateway_data(name), self._backups / name
        (fault,) = randomness.choices(list(DATABASE_FAULTS), list(DATABASE_FAULTS.values()))
        put_by = randomness.random() < BACKUP_CHANCE
        if fault == "deleted":
            shutil.rmtree(data, ignore_errors=True)
        elif fault == "restored":
            copy_folder(backup, data)  # an empty folder as long as there is no backup: the oldest copy there is
        elif put_by:
            copy_folder(data, backup)
        self.outcome.databases[fault] += 1


async def gateway_kills(directory: Path, plan: Plan, kind: ParachainKind) -> Outcome:
    """Start a network, run a campaign on it, and end the network.

    Args:
        directory: an empty folder.
        plan: seed and figures.
        kind: what the parachains are.

    Raises:
        AssertionError: a promise is broken, or nothing was tested.
    """
    started = campaign_network(directory / "network", kind, engine=plan.engine)
    async with started as network, scene(network, plan.seed) as begun:
        return await GatewayKills(begun, directory / "backups", plan, kind).run()
