"""What every queue behind the gateway's port must do: within the process, and with Redis and a worker process.

The chains are out of reach here. What needs them fails for now; a batch that is put together from the archive succeeds.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from piebridge.gateway.archive import Archive, ArchivedEntry
from piebridge.gateway.broker.celery_queue import CeleryQueue
from piebridge.gateway.config import BrokerConfig, ChainConfig, GatewayConfig, RelayConfig
from piebridge.gateway.connections import connect
from piebridge.gateway.database import open_database
from piebridge.gateway.flows import make_carriers
from piebridge.gateway.forwarder import Check, Event, Failed, Flow, PathKey, Submit, Submitted
from piebridge.gateway.hub_to_relay import Evidence
from piebridge.gateway.prepared import Prepared
from piebridge.gateway.queue import EffectQueue, InProcessQueue
from piebridge.gateway.sending import Sending
from piebridge.gateway.surroundings import Surroundings
from piebridge.gateway.telemetry import Counters
from testkit.redis_server import RedisServer, redis_server

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

PATH = PathKey(Flow.HUB_TO_RELAY.value, 1, 1, 1)
NOWHERE = "http://127.0.0.1:1"
WAITING_MAX = 20
ANSWER_SECONDS = 40.0
"""A worker takes some seconds to start."""


@dataclass
class Bench:
    """One queue, running."""

    queue: EffectQueue
    counters: Counters
    server: RedisServer | None
    events: list[Event] = field(default_factory=list)
    sent: list[tuple[Submit, Prepared]] = field(default_factory=list)

    async def answered(self, count: int) -> list[Event]:
        await until(lambda: len(self.events) >= count)
        return self.events


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(ANSWER_SECONDS):
        while not condition():  # noqa: ASYNC110 - a queue tells nobody how it is
            await asyncio.sleep(0.02)


def gateway_config(directory: Path, broker: BrokerConfig | None) -> GatewayConfig:
    return GatewayConfig(
        name="gateway-1",
        domain=7,
        private_key=b"\x11" * 32,
        data_directory=directory,
        chains=(ChainConfig("chain-1", 1, 31_001, b"\x01" * 20, NOWHERE),),
        relays=(RelayConfig(1, "piebridge-7-1", (NOWHERE,)),),
        timeout_seconds=1.0,
        broker=broker,
    )


@contextlib.asynccontextmanager
async def bench(kind: str, directory: Path) -> AsyncIterator[Bench]:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(redis_server(directory / "redis")) if kind == "celery" else None
        config = gateway_config(directory, BrokerConfig(server.url) if server is not None else None)
        database = open_database(config.database)
        archive = Archive(database)
        archive.add(1, 1, [ArchivedEntry(n, n, 3, bytes([n]) * 40, bytes(32), bytes(32)) for n in range(1, 31)])
        counters = Counters()
        made: list[Bench] = []

        async def send(effect: Submit, prepared: Prepared, sent: Callable[[], None]) -> None:
            made[0].sent.append((effect, prepared))
            sent()

        async def catch_up(registration: int) -> None:
            raise AssertionError("nothing here needs newer entries")

        sending = Sending(send, counters)
        queue: EffectQueue
        connections = connect(config.reading, Surroundings())
        if config.broker is not None:
            queue = CeleryQueue(config, config.broker, sending, counters, waiting_max=WAITING_MAX)
        else:
            carriers = make_carriers(connections, archive, catch_up, counters)
            queue = InProcessQueue(carriers.work_out, sending, counters, waiting_max=WAITING_MAX)
        made.append(Bench(queue, counters, server))
        running = asyncio.create_task(queue.run(made[0].events.append))
        try:
            yield made[0]
        finally:
            running.cancel()
            await asyncio.wait({running})
            await connections.close()
            database.close()
        assert running.cancelled(), running.exception()


def submit(number: int) -> Submit:
    return Submit(number, PATH, number, number, ((number, 1),), Evidence(None, b"shown").encode())


both = pytest.mark.parametrize("kind", ["in-process", "celery"])


@both
async def test_every_effect_is_answered_once_under_its_own_number(kind: str, tmp_path: Path) -> None:
    async with bench(kind, tmp_path) as it:
        it.queue.put(Check(101, PATH, (1, 2)))
        it.queue.put(submit(2))
        it.queue.put(Check(103, PathKey(Flow.RELAY_TO_HUB.value, 1, 1), (1,)))
        events = await it.answered(3)
        await asyncio.sleep(0.5)
        assert len(events) == 3
        assert Submitted(2) in events
        failures = {event.effect_id: event for event in events if isinstance(event, Failed)}
        assert failures.keys() == {101, 103}
        assert not any(event.permanent for event in failures.values()), "a node that is down says nothing about a batch"
        assert it.queue.health()["healthy"]


@both
async def test_a_batch_is_sent_as_the_archive_has_it(kind: str, tmp_path: Path) -> None:
    async with bench(kind, tmp_path) as it:
        it.queue.put(submit(5))
        await it.answered(1)
        ((effect, prepared),) = it.sent
        assert effect == submit(5)
        ((transaction_kind, body),) = prepared.relay_transactions
        assert transaction_kind == 2
        assert b"shown" in body
        assert b"\x05" * 40 in body


@both
async def test_batches_of_a_path_leave_in_their_order(kind: str, tmp_path: Path) -> None:
    async with bench(kind, tmp_path) as it:
        for number in range(2, 18):
            it.queue.put(submit(number))
        await it.answered(16)
        assert [effect.id for effect, _ in it.sent] == list(range(2, 18))


@both
async def test_what_finds_no_place_is_answered_as_failed_for_now(kind: str, tmp_path: Path) -> None:
    async with bench(kind, tmp_path) as it:
        for number in range(1, WAITING_MAX + 6):
            it.queue.put(Check(number, PATH, (1,)))  # without a pause: none can be carried out in between
        events = await it.answered(WAITING_MAX + 5)
        full = [event for event in events if isinstance(event, Failed) and "full" in event.reason]
        assert [event.effect_id for event in full] == list(range(WAITING_MAX + 1, WAITING_MAX + 6))
        assert not any(event.permanent for event in full)
        assert it.counters.total("effects_refused") == 5


async def test_workers_end_with_their_queue_and_leave_nothing_in_redis(tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis") as server:
        broker = BrokerConfig(server.url, workers=2)
        queue = CeleryQueue(gateway_config(tmp_path, broker), broker, Sending(_never, Counters()), Counters())
        running = asyncio.create_task(queue.run(lambda event: None))
        await until(lambda: all(worker["working"] for worker in queue.health()["workers"]))
        pids = [worker["pid"] for worker in queue.health()["workers"]]
        visible = [process_file(pid, name) for pid in pids for name in ("environ", "cmdline")]
        running.cancel()
        await asyncio.wait({running})
        assert not any(process_file(pid, "cmdline") for pid in pids)
        with server.client() as client:
            assert client.keys("*") == []
        for text in visible:
            assert (b"\x11" * 32).hex().encode() not in text
            assert server.url.encode() not in text, "an address with its password would stand here too"


async def test_a_worker_that_hangs_is_started_again(tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis") as server:
        broker = BrokerConfig(server.url, task_seconds=1.0, silent_seconds=4.0)
        counters = Counters()
        queue = CeleryQueue(gateway_config(tmp_path, broker), broker, Sending(_never, counters), counters)
        running = asyncio.create_task(queue.run(lambda event: None))
        try:
            await until(lambda: bool(queue.health()["healthy"]))
            (before,) = queue.health()["workers"]
            os.kill(before["pid"], signal.SIGSTOP)
            await until(lambda: queue.health()["workers"][0]["starts"] == 2 and bool(queue.health()["healthy"]))
            assert queue.health()["workers"][0]["pid"] != before["pid"]
            assert counters.total("workers_silent") == 1
        finally:
            running.cancel()
            await asyncio.wait({running})


async def test_work_goes_on_whenever_redis_comes_back(tmp_path: Path) -> None:
    async with bench("celery", tmp_path) as it:
        assert it.server is not None
        it.queue.put(submit(2))
        await it.answered(1)
        for number in (3, 4):
            it.server.kill()
            it.queue.put(submit(number))
            await until(lambda: not it.queue.health()["reachable"])
            await asyncio.sleep(4)  # long enough for workers to be replaced
            await asyncio.to_thread(it.server.start)
            await it.answered(number - 1)
        assert [effect.id for effect, _ in it.sent] == [2, 3, 4]
        assert it.counters.total("broker_losses") == 2


def process_file(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except FileNotFoundError:
        return b""


async def _never(effect: Submit, prepared: Prepared, sent: Callable[[], None]) -> None:
    raise AssertionError("nothing is sent here")
