"""Somebody writes to the gateway's Redis for a moment. It may make the gateway slower meanwhile, and no more."""

import asyncio
import base64
import contextlib
import json
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from piebridge.gateway.broker.celery_queue import CeleryQueue
from piebridge.gateway.config import BrokerConfig, ChainConfig, GatewayConfig, RelayConfig
from piebridge.gateway.forwarder import Check, Event, Flow, PathKey, Submit
from piebridge.gateway.prepared import Prepared
from piebridge.gateway.sending import Sending
from piebridge.gateway.telemetry import Counters
from testkit.redis_server import redis_server

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

PATH = PathKey(Flow.HUB_TO_RELAY.value, 1, 1, 1)
NOWHERE = "http://127.0.0.1:1"
ANSWER_SECONDS = 60.0
TASK = "piebridge.gateway.work_out"
Intrusion = Callable[[redis.Redis, str], None]


def wrong_types(client: redis.Redis, prefix: str) -> None:
    """Another kind of value at every key that the gateway, its workers and Celery use."""
    names = ("tasks", "probes-0", "_kombu.binding.tasks", "_kombu.binding.probes-0", "unacked", "unacked_index")
    for name in (*names, "unacked_mutex", "answers", "beat"):
        client.delete(prefix + name)
        if name == "unacked_mutex":
            client.rpush(prefix + name, "x")
        else:
            client.hset(prefix + name, "x", "y") if name != "unacked" else client.set(prefix + name, "x")


def wrong_tasks(client: redis.Redis, prefix: str) -> None:
    client.delete(prefix + "tasks")
    client.set(prefix + "tasks", "x")


def celery_message(body: bytes, **changes: object) -> bytes:
    """A message as Celery puts it into Redis."""
    message: dict[str, object] = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": TASK, "id": "1", "root_id": "1", "retries": 0, "timelimit": [None, None]},
        "properties": {
            "correlation_id": "1",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "tasks"},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": "1",
        },
    }
    return json.dumps({**message, **changes}).encode()


def wrong_priorities(client: redis.Redis, prefix: str) -> None:
    """Putting tasks in works as before; whoever waits for them dies."""
    for step in (3, 6, 9):
        client.set(f"{prefix}tasks\x06\x16{step}", "x")


def junk_tasks(client: redis.Redis, prefix: str) -> None:
    """Everything that is no task of ours: no JSON, no message, another serializer, a bomb, far away times."""
    body = json.dumps([["x"], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]).encode()
    headers = {"lang": "py", "task": TASK, "id": "1", "root_id": "1", "retries": 0, "timelimit": [None, None]}
    later = {**headers, "eta": "2999-01-01T00:00:00+00:00"}
    bomb = zlib.compress(b"[" * (64 << 20))
    for raw in (
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        celery_message(body),
        celery_message(b"\x80\x04.", **{"content-type": "application/x-python-serialize"}),
        celery_message(body, headers={}),
        celery_message(body, headers={**headers, "task": "celery.backend_cleanup"}),
        celery_message(bomb, headers={**headers, "compression": "application/x-gzip"}),
        celery_message(body, properties={}),
        *(celery_message(body, headers={**later, "id": str(i)}) for i in range(200)),
        *(celery_message(body, headers={**headers, "eta": "x"}) for _ in range(3)),
        celery_message(b"[1]"),
    ):
        for name in ("tasks", "probes-0"):
            client.lpush(prefix + name, raw)


def junk_answers(client: redis.Redis, prefix: str) -> None:
    for raw in (b"", b"\xff" * 100, b"0" * 64 + b"{}", b"0" * (9 << 20)):
        client.rpush(prefix + "answers", *([raw] * 20))


def gateway_config(directory: Path, broker: BrokerConfig) -> GatewayConfig:
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


@pytest.mark.parametrize(
    "intrusion",
    [wrong_types, wrong_tasks, wrong_priorities, junk_tasks, junk_answers],
    ids=lambda intrusion: intrusion.__name__,
)
async def test_work_goes_on_after_an_intruder_has_left(intrusion: Intrusion, tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis") as server:
        broker = BrokerConfig(server.url)
        counters, events = Counters(), list[Event]()
        queue = CeleryQueue(gateway_config(tmp_path, broker), broker, Sending(_never, counters), counters)
        running = asyncio.create_task(queue.run(events.append))
        try:
            await answered(queue, events, 1)
            with server.client() as client:
                intrusion(client, queue._names.prefix)
            await answered(queue, events, 2)
        finally:
            running.cancel()
            await asyncio.wait({running})
        assert running.cancelled(), running.exception()


async def answered(queue: CeleryQueue, events: list[Event], count: int) -> None:
    queue.put(Check(100 + count, PATH, (1,)))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ANSWER_SECONDS):
            while len(events) < count:  # noqa: ASYNC110 - a queue tells nobody how it is
                await asyncio.sleep(0.02)
    assert len(events) == count, "no answer"


async def _never(effect: Submit, prepared: Prepared, sent: Callable[[], None]) -> None:
    raise AssertionError("nothing is sent here")
