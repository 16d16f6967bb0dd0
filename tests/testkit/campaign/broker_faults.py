"""Everything that can happen to Redis and to workers, again and again, with packets under way; chains must not care.

A domain of real chains inside one process, one gateway with real worker processes and a real redis-server. Users send
transfers both ways all the time. A fault strikes while tasks are under way; after its end every packet that was sent
before must come to its end, within 30 s where nothing else runs, and in the end every token is where it belongs, once.
"""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from piebridge.gateway.config import BrokerConfig
from piebridge.gateway.service import Gateway
from testkit.gateway_network import TOKENS, GatewayNetwork, Parachain, eventually
from testkit.redis_server import RedisServer, redis_server

RECOVERY_SECONDS = 30.0
"""Time from the end of a fault within which every packet sent before it should have come to its end."""
PATIENCE_SECONDS = 150.0
"""The longest time: beyond it packets count as lost. A machine that has other work too is slow, and loses nothing."""
COMMITTED = 2
RELAY = 1
BURST = 1
"""Transfers sent at once in each direction."""
PAUSE_SECONDS = 0.7
"""Time between two bursts."""
WORK_SECONDS = 30.0
"""How long a fault waits for tasks under way before the campaign fails."""
START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a campaign does; everything else follows from the seed."""

    seed: int
    faults: int
    unreachable_seconds: float = 6.0
    """How long Redis is away or hangs: 60 s in soak runs, the same code path."""
    workers: int = 2


@dataclass(slots=True)
class Outcome:
    """What a campaign did, counted."""

    faults: Counter[str] = field(default_factory=Counter)
    """Faults of each kind that struck while tasks were under way."""
    sent: int = 0
    final: int = 0
    in_time: int = 0
    """Faults after which everything came to its end within RECOVERY_SECONDS."""
    slowest_recovery_seconds: float = 0.0
    gateway: Mapping[str, float] = field(default_factory=dict)
    """Counters of the gateway."""

    def counts(self) -> Mapping[str, int]:
        """Numbers for a ledger."""
        return {
            "faults": sum(self.faults.values()),
            "packets": self.sent,
            "final": self.final,
            "recovered in time": self.in_time,
            "slowest recovery ms": int(self.slowest_recovery_seconds * 1_000),
            **{f"fault {name}": count for name, count in sorted(self.faults.items())},
            **{name: int(value) for name, value in self.gateway.items()},
        }


class BrokerFaults:
    """One campaign on one domain."""

    def __init__(
        self, network: GatewayNetwork, gateway: Gateway, server: RedisServer, data: Path, backups: Path, plan: Plan
    ) -> None:
        """Torment a gateway that runs."""
        self._network, self._gateway, self._server = network, gateway, server
        self._data, self._backups, self._plan = data, backups, plan
        self._random = random.Random(f"{plan.seed}/faults")
        self._sent = {1: 0, 2: 0}
        self._checked = {1: 0, 2: 0}
        self._faults: dict[str, Callable[[], Awaitable[None]]] = {
            "redis killed": self._kill_redis,
            "redis emptied": self._flush_redis,
            "redis restored from an old dump": self._restore_redis,
            "redis unreachable": self._refuse_redis,
            "redis hangs": self._hang_redis,
            "database deleted": self._delete_database,
            "worker killed inside a task": self._kill_worker,
            "all workers killed inside tasks": self._kill_workers,
            "visibility time-out passed inside a task": self._stop_worker,
            "hostile messages": self._write_nonsense,
        }
        self.outcome = Outcome()

    async def run(self) -> Outcome:
        """Send, strike, measure; in the end count every token.

        Raises:
            AssertionError: a promise is broken, or nothing was tested.
        """
        self._server.dump(self._backups / "old.rdb")
        kinds = list(self._faults)
        async with asyncio.TaskGroup() as tasks:
            senders = [tasks.create_task(self._send(source)) for source in (1, 2)]
            await self._working()
            for number in range(self._plan.faults):
                if number % len(kinds) == 0:
                    self._random.shuffle(kinds)
                await self._strike(kinds[number % len(kinds)])
            for sender in senders:
                sender.cancel()
        await self._check_all()
        return self.outcome

    async def _strike(self, kind: str) -> None:
        await self._tasks_under_way()
        await self._faults[kind]()
        returned = time.monotonic()
        before = dict(self._sent)
        counters = self._gateway.counters
        answered = counters.total("tasks_answered")
        try:
            await eventually(lambda: self._final(before), timeout_seconds=PATIENCE_SECONDS)
        except TimeoutError as error:
            raise AssertionError(
                f"{PATIENCE_SECONDS} s after {kind!r} packets are still under way: {self._gateway.health()}\n"
                f"{counters.exposition()}"
            ) from error
        seconds = time.monotonic() - returned
        assert counters.total("tasks_answered") > answered, "what came to its end was not the workers' doing"
        self.outcome.faults[kind] += 1
        self.outcome.in_time += seconds <= RECOVERY_SECONDS
        self.outcome.slowest_recovery_seconds = max(self.outcome.slowest_recovery_seconds, seconds)
        print(f"{kind}: all final {seconds:.1f} s after its end, {sum(self._sent.values())} sent", flush=True)

    # Faults

    async def _kill_redis(self) -> None:
        self._server.kill()
        await asyncio.sleep(self._random.uniform(0, 1))
        await asyncio.to_thread(self._server.start)

    async def _flush_redis(self) -> None:
        self._server.flush()

    async def _restore_redis(self) -> None:
        dump = self._backups / "old.rdb"
        await asyncio.to_thread(self._server.restore, dump)
        self._server.dump(dump)

    async def _refuse_redis(self) -> None:
        self._server.kill()
        await asyncio.sleep(self._plan.unreachable_seconds)
        await asyncio.to_thread(self._server.start)

    async def _hang_redis(self) -> None:
        self._server.pause()
        await asyncio.sleep(self._plan.unreachable_seconds)
        self._server.resume()

    async def _delete_database(self) -> None:
        for file in self._data.glob("gateway.sqlite3*"):
            file.unlink(missing_ok=True)

    async def _kill_worker(self) -> None:
        await self._inside_a_task()
        os.kill(self._random.choice(self._pids()), signal.SIGKILL)

    async def _kill_workers(self) -> None:
        await self._inside_a_task()
        for pid in self._pids():
            os.kill(pid, signal.SIGKILL)

    async def _stop_worker(self) -> None:
        """Stop a worker inside a task until Redis has handed the task to another, and let it finish then."""
        broker = self._gateway.broker
        assert broker is not None
        await self._inside_a_task()
        pid = self._random.choice(self._pids())
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(broker.visibility_seconds + 2.5)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    async def _write_nonsense(self) -> None:
        """Somebody who can write to Redis writes whatever may hurt."""
        with self._server.client() as client:
            prefixes = {bytes(key).rsplit(b":", 1)[0] for key in client.keys("piebridge-gateway:*:beat")}
            for prefix in prefixes:
                for junk in (b"", b"no JSON", b"[1]", b'{"body": 1}', b"\xff" * 100, b'"' + b"0" * 64 + b'{}"'):
                    client.lpush(prefix + b":answers", junk)
                client.lpush(prefix + b":answers", b"0" * 64 + b'{"worker":0,"id":1,"kind":"checked","states":[]}')
                client.lpush(prefix + b":tasks", b'{"body": "e30=", "headers": {}, "properties": {}}')
        await asyncio.sleep(0.5)

    # What goes on

    def _pids(self) -> list[int]:
        workers: list[dict[str, Any]] = self._gateway.health()["queue"]["workers"]
        return [worker["pid"] for worker in workers if worker["working"]]

    async def _working(self) -> None:
        async def all_work() -> bool:
            return len(self._pids()) == self._plan.workers

        await eventually(all_work, timeout_seconds=START_SECONDS)

    async def _tasks_under_way(self) -> None:
        deadline = time.monotonic() + WORK_SECONDS
        while not (self._gateway.health()["queue"]["waiting"] and self._pids()):
            assert time.monotonic() < deadline, f"no task is under way: {self._gateway.health()}"
            await asyncio.sleep(0.005)

    async def _inside_a_task(self) -> None:
        """Wait until a worker has taken a task that it has not acknowledged."""
        await self._working()
        deadline = time.monotonic() + WORK_SECONDS
        with self._server.client() as client:
            while not any(client.hlen(key) for key in client.keys("piebridge-gateway:*:unacked")):
                assert time.monotonic() < deadline, "no worker is inside a task"
                await asyncio.sleep(0.002)

    async def _send(self, source: int) -> None:
        chain, destination = self._network.chains[source], 3 - source
        while True:
            for _ in range(BURST):
                await chain.transfer(destination, 1, relay=RELAY)
                self._sent[source] += 1
            await asyncio.sleep(PAUSE_SECONDS)

    async def _final(self, sent: Mapping[int, int]) -> bool:
        return all([await self._committed(self._network.chains[number], count) for number, count in sent.items()])

    async def _committed(self, chain: Parachain, count: int) -> bool:
        """Whether the first transactions of a chain are committed; the newest are asked first."""
        for nonce in range(count, self._checked[chain.registration], -1):
            if await chain.status(RELAY, nonce) != COMMITTED:
                return False
        self._checked[chain.registration] = count
        return True

    async def _check_all(self) -> None:
        outcome = self.outcome
        sent = dict(self._sent)
        await eventually(lambda: self._final(sent), timeout_seconds=PATIENCE_SECONDS)
        for source, destination in ((1, 2), (2, 1)):
            here, there = self._network.chains[source], self._network.chains[destination]
            assert await there.balance("bob") == sent[source], "a transfer was lost or doubled"
            assert await here.balance("alice") == TOKENS - sent[source]
        outcome.sent = outcome.final = sum(sent.values())
        assert outcome.sent > 0, "nothing was sent, so nothing was tested"
        assert sum(outcome.faults.values()) == self._plan.faults > 0, "no fault struck, so nothing was tested"
        names = (
            "tasks_answered",
            "tasks_repeated",
            "answers_doubled",
            "answers_refused",
            "broker_losses",
            "broker_amnesias",
            "databases_lost",
            "workers_ended",
            "workers_silent",
        )
        outcome.gateway = {name: self._gateway.counters.total(name) for name in names}


@contextlib.asynccontextmanager
async def _running_gateway(network: GatewayNetwork, data: Path, broker: BrokerConfig) -> AsyncIterator[Gateway]:
    gateway = Gateway(replace(network.gateway_config(data), broker=broker))
    try:
        await gateway.start()
        yield gateway
    finally:
        await gateway.stop()


async def broker_faults(directory: Path, plan: Plan) -> Outcome:
    """Start a domain, a Redis and a gateway with workers, run a campaign, and end them.

    Raises:
        AssertionError: a promise is broken, or nothing was tested.
    """
    data, backups = directory / "data", directory / "backups"
    backups.mkdir(parents=True)
    with redis_server(directory / "redis") as server:
        broker = BrokerConfig(server.url, workers=plan.workers, visibility_seconds=4)
        async with GatewayNetwork() as network, _running_gateway(network, data, broker) as gateway:
            return await BrokerFaults(network, gateway, server, data, backups, plan).run()
