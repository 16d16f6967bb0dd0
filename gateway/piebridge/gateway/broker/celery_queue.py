"""The queue with a broker: effects go to worker processes by Redis, and what they answer comes back the same way.

This process keeps every effect until it is answered, so Redis need not remember anything: what was not answered in
time, what Redis has forgotten and what a dead worker had is put in again. A task only reads, so that costs nothing but
work.
Submissions come back prepared and are sent from here, by the one owner of the gateway's key.
"""

import asyncio
import concurrent.futures
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import redis.asyncio
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from piebridge.crypto.errors import DecodingError
from piebridge.gateway.broker.application import CONNECT_SECONDS, SOCKET_SECONDS, TASK_NAME, make_application
from piebridge.gateway.broker.messages import SECRET_LENGTH, Probe, Reply, Task, open_reply, seal_task
from piebridge.gateway.broker.names import Names
from piebridge.gateway.broker.supervisor import WorkerSupervisor
from piebridge.gateway.broker.worker_settings import WorkerSettings
from piebridge.gateway.carrier import Answer, count_done
from piebridge.gateway.config import BrokerConfig, GatewayConfig
from piebridge.gateway.forwarder import Authenticate, Authenticated, Check, Checked, Effect, Failed, PathKey, Submit
from piebridge.gateway.prepared import Prepared
from piebridge.gateway.queue import WAITING_MAX, Receive, full
from piebridge.gateway.sending import Sending
from piebridge.gateway.telemetry import Counters

_LOG = logging.getLogger(__name__)

_BEAT_SECONDS = 1.0
_PROBE_SECONDS = 2.0
_RECONNECT_SECONDS = 0.5
_BLOCK_SECONDS = 1
_UNREACHABLE_ALARM_SECONDS = 5.0
_FORGET_SECONDS = 300.0
"""An effect of this age is dropped: the forwarder gave it up long ago."""
_ANSWERS_AT_ONCE = 100
_EXPIRES_SECONDS = 60.0
"""A task that no worker has begun within this is not begun any more; it was put in again long ago."""


@dataclass(slots=True)
class _Waiting:
    """An effect that is not answered."""

    effect: Effect
    taken_at: float
    published_at: float | None = None
    """None: it must be put into Redis (again)."""


class CeleryQueue:
    """See the module's text."""

    def __init__(
        self,
        config: GatewayConfig,
        broker: BrokerConfig,
        sending: Sending,
        counters: Counters,
        *,
        waiting_max: int = WAITING_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connect to nothing yet.

        Args:
            config: the gateway; its key goes nowhere from here.
            broker: Redis and workers.
            sending: sends prepared batches.
            counters: where to count.
            waiting_max: effects that are held at most.
            clock: monotonic seconds.

        Raises:
            ConfigurationError: the gateway's name cannot be part of a key.
        """
        self._broker = broker
        self._sending = sending
        self._counters = counters
        self._waiting_max = waiting_max
        self._clock = clock
        self._names = Names(config.name, secrets.token_hex(8))
        self._secret = secrets.token_bytes(SECRET_LENGTH)
        settings = WorkerSettings(0, self._names, self._secret, broker, config.reading, config.database.absolute())
        self._supervisor = WorkerSupervisor(settings, counters, self._worker_ended, clock=clock)
        self._application = make_application(broker, self._names)
        self._publisher = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="publisher")
        self._waiting: dict[int, _Waiting] = {}
        self._prepared: dict[tuple[PathKey, int], tuple[Submit, Prepared]] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._beat = 0
        self._begin_anew = False
        self._reachable_since: float | None = None
        self._unreachable_since = clock()
        self._stirred = asyncio.Event()
        self._stopping = False
        self._refused: list[Failed] = []
        self._receive: Receive | None = None

    # The port

    def put(self, effect: Effect) -> None:
        """Take an effect; a submission that was prepared together with its evidence is sent at once."""
        if isinstance(effect, Submit):
            expected, prepared = self._prepared.pop((effect.path, effect.first), (None, None))
            if prepared is not None and expected == _without_id(effect):
                self._sending.announce(effect)
                self._start_sending(effect, prepared)
                return
        if len(self._waiting) >= self._waiting_max:
            self._counters.add("effects_refused")
            if self._receive is None:
                self._refused.append(full(effect))
            else:
                self._receive(full(effect))
            return
        if isinstance(effect, Submit):
            self._sending.announce(effect)
        self._waiting[effect.id] = _Waiting(effect, self._clock())
        self._stirred.set()

    async def run(self, receive: Receive) -> None:
        """Keep workers, put effects into Redis and take answers out, until cancelled.

        Raises:
            ExceptionGroup: ``receive`` or the sender raised, which they must not.
        """
        self._receive = receive
        for refused in self._refused:
            receive(refused)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._supervisor.run())
                tasks.create_task(self._publish_forever())
                tasks.create_task(self._stay_connected())
                try:
                    await asyncio.Event().wait()
                finally:
                    self._stopping = True
        finally:
            for under_way in self._under_way:
                under_way.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)
            self._publisher.shutdown(wait=False, cancel_futures=True)
            await self._leave()

    def health(self) -> dict[str, Any]:
        """Return how Redis and the workers are."""
        workers = self._supervisor.health()
        since = self._reachable_since
        return {
            "kind": "celery",
            "healthy": since is not None and any(worker["working"] for worker in workers),
            "broker": self._broker.address,
            "reachable": since is not None,
            "unreachable_seconds": 0.0 if since is not None else round(self._clock() - self._unreachable_since, 1),
            "waiting": len(self._waiting),
            "workers": workers,
        }

    def put_all_again(self) -> None:
        """Put every effect that is not answered into Redis again."""
        for waiting in self._waiting.values():
            if waiting.published_at is not None:
                waiting.published_at = None
                self._counters.add("tasks_repeated")
        self._stirred.set()

    def _worker_ended(self) -> None:
        """Put everything in again, and forget what is in Redis: it may be what the worker has died of."""
        self._begin_anew = True
        self.put_all_again()

    # Putting in

    async def _publish_forever(self) -> None:
        next_probe = 0.0
        while True:
            self._stirred.clear()
            now = self._clock()
            if self._reachable_since is not None:
                tasks = self._due(now)
                probes = []
                if now >= next_probe:
                    next_probe = now + _PROBE_SECONDS
                    probes = [self._names.probes(worker.index) for worker in self._supervisor.workers]
                await self._publish(tasks, probes)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_BEAT_SECONDS):
                    await self._stirred.wait()

    def _due(self, now: float) -> list[_Waiting]:
        """Return what must be put in now; drop what nobody waits for any more."""
        for task_id in [key for key, item in self._waiting.items() if now - item.taken_at > _FORGET_SECONDS]:
            self._give_up(self._waiting.pop(task_id).effect)
            self._counters.add("tasks_forgotten")
        due = []
        for waiting in self._waiting.values():
            if waiting.published_at is not None and now - waiting.published_at > self._broker.redo_seconds:
                waiting.published_at = None
                self._counters.add("tasks_repeated")
            if waiting.published_at is None:
                due.append(waiting)
        return due

    async def _publish(self, tasks: list[_Waiting], probes: list[str]) -> None:
        if not tasks and not probes:
            return
        messages: list[tuple[str, Task]] = [(self._names.tasks, waiting.effect) for waiting in tasks]
        messages += [(queue, Probe(0)) for queue in probes]
        for waiting in tasks:
            waiting.published_at = self._clock()
        try:
            await asyncio.get_running_loop().run_in_executor(self._publisher, self._put_in, messages)
        except (OperationalError, RedisError, OSError) as error:
            self._counters.add("broker_failures")
            _LOG.warning("tasks could not be put into %s: %s", self._broker.address, error)
            for waiting in tasks:
                waiting.published_at = None
            self._begin_anew = True
            await asyncio.sleep(_RECONNECT_SECONDS)
        else:
            self._counters.add("tasks_published", len(tasks))

    def _put_in(self, messages: list[tuple[str, Task]]) -> None:
        """Put messages into Redis; runs on the publisher's thread, for Celery's client blocks."""
        try:
            with self._application.producer_pool.acquire(block=True, timeout=CONNECT_SECONDS) as producer:
                # A queue that nobody empties takes no more: what waits is not lost, it is all in this process.
                room = self._waiting_max - producer.channel.client.llen(self._names.tasks)
                for queue, task in messages:
                    if queue == self._names.tasks and (room := room - 1) < 0:
                        continue
                    self._application.send_task(
                        TASK_NAME,
                        args=[seal_task(task, self._secret)],
                        queue=queue,
                        producer=producer,
                        retry=False,
                        expires=_EXPIRES_SECONDS,
                    )
        except BaseException:
            broken, self._application = self._application, make_application(self._broker, self._names)
            broken.close()
            raise

    # Taking out

    async def _stay_connected(self) -> None:
        """Hold a connection to Redis, and make one again whenever it breaks."""
        while not self._stopping:  # the Redis client may have kept the cancellation to itself
            try:
                async with self._connection() as client:
                    await self._take_up(client)
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(self._beat_forever(client))
                        tasks.create_task(self._take_forever(client))
            except* (RedisError, OSError) as group:
                self._lost(group.exceptions[0])
            await asyncio.sleep(_RECONNECT_SECONDS)

    @contextlib.asynccontextmanager
    async def _connection(self) -> "AsyncIterator[redis.asyncio.Redis]":
        client = redis.asyncio.Redis.from_url(
            self._broker.url,
            decode_responses=False,
            socket_timeout=SOCKET_SECONDS,
            socket_connect_timeout=CONNECT_SECONDS,
        )
        try:
            yield client
        finally:
            await client.aclose()

    async def _take_up(self, client: "redis.asyncio.Redis") -> None:
        await client.ping()
        await self._clean(client)
        for key, kind in ((self._names.answers, b"list"), (self._names.beat, b"string")):
            if await client.type(key) not in (kind, b"none"):
                _LOG.error("ALARM: broker %s: somebody has put another value at %s", self._broker.address, key)
                await client.delete(key)
        await self._check_memory(client)
        self._reachable_since = self._clock()
        self._supervisor.broker_answers(yes=True)
        _LOG.info("broker %s answers", self._broker.address)
        self.put_all_again()

    def _lost(self, error: BaseException) -> None:
        now = self._clock()
        if self._reachable_since is not None:
            self._unreachable_since = now
            self._reachable_since = None
            self._counters.add("broker_losses")
            _LOG.error("ALARM: broker %s is lost (%s); work waits for it", self._broker.address, error)
        elif now - self._unreachable_since > _UNREACHABLE_ALARM_SECONDS:
            self._unreachable_since, gone = now, now - self._unreachable_since
            _LOG.error("ALARM: broker %s does not answer since %.0f s: %s", self._broker.address, gone, error)
        self._supervisor.broker_answers(yes=False)

    async def _beat_forever(self, client: "redis.asyncio.Redis") -> None:
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            await self._check_memory(client)
            self._heed_cancellation()

    def _heed_cancellation(self) -> None:
        """End this task if it was cancelled. The Redis client now and then keeps a cancellation to itself (8.1.0).

        Not for tasks that hold a task group: in Python 3.11 they still count as cancelled after a child has failed.
        """
        task = asyncio.current_task()
        if self._stopping or (task is not None and task.cancelling()):
            raise asyncio.CancelledError

    async def _check_memory(self, client: "redis.asyncio.Redis") -> None:
        """Find out whether Redis still knows the number that it was told last; if not, it has lost tasks too."""
        if self._begin_anew:
            # Somebody may have put values of another kind at Celery's keys, which are many; none is worth keeping.
            self._begin_anew, self._beat = False, 0
            await self._delete(client, self._names.prefix)
            self.put_all_again()
        told = await client.get(self._names.beat)
        if self._beat and told != str(self._beat).encode():
            self._counters.add("broker_amnesias")
            _LOG.error("ALARM: broker %s has lost what it was told: tasks are put in again", self._broker.address)
            await self._clean(client)
            self.put_all_again()
        self._beat += 1
        await client.set(self._names.beat, self._beat)

    async def _clean(self, client: "redis.asyncio.Redis") -> None:
        """Delete what earlier starts of this gateway have left."""
        async for key in client.scan_iter(match=f"{self._names.prefix_of_gateway}*", count=1_000):
            if not bytes(key).startswith(self._names.prefix.encode()):
                await client.delete(key)

    async def _leave(self) -> None:
        """Delete everything of this start, if Redis lets us."""
        with contextlib.suppress(RedisError, OSError):
            async with self._connection() as client:
                await self._delete(client, self._names.prefix)

    async def _delete(self, client: "redis.asyncio.Redis", prefix: str) -> None:
        async for key in client.scan_iter(match=f"{prefix}*", count=1_000):
            await client.delete(key)

    async def _take_forever(self, client: "redis.asyncio.Redis") -> None:
        while True:
            taken = await client.blpop([self._names.answers], timeout=_BLOCK_SECONDS)
            self._heed_cancellation()
            if taken is None:
                continue
            self._take(taken[1])
            more = await client.lpop(self._names.answers, _ANSWERS_AT_ONCE)
            for message in more if isinstance(more, list) else []:
                self._take(message)

    def _take(self, message: bytes | str) -> None:
        try:
            text = message if isinstance(message, str) else message.decode("utf-8", errors="replace")
            reply = open_reply(text, self._secret)
        except DecodingError as error:
            self._counters.add("answers_refused")
            _LOG.error("ALARM: dropped an answer in broker %s: %s", self._broker.address, error)
            return
        self._supervisor.answered(reply.worker)
        if reply.answer is None:
            return
        waiting = self._waiting.get(reply.task_id)
        if waiting is None:
            self._counters.add("answers_doubled")
            return
        if not _fits(reply.answer, waiting.effect):
            self._counters.add("answers_refused")
            _LOG.error("ALARM: worker %d answered something else than it was asked", reply.worker)
            return
        del self._waiting[reply.task_id]
        self._counters.add("tasks_answered", worker=reply.worker)
        if isinstance(reply.answer, Failed):
            self._give_up(waiting.effect)
        self._hand_on(waiting.effect, reply)

    def _give_up(self, effect: Effect) -> None:
        if isinstance(effect, Submit):
            self._sending.give_up(effect)

    def _hand_on(self, effect: Effect, reply: Reply) -> None:
        answer = reply.answer
        assert answer is not None
        assert self._receive is not None, "answers come only while the queue runs"
        if isinstance(answer, Prepared):
            assert isinstance(effect, Submit)
            self._start_sending(effect, answer)
            return
        if isinstance(answer, Authenticated) and isinstance(effect, Authenticate) and reply.prepared is not None:
            first, forms = effect.forms[0][0], effect.forms
            expected = Submit(0, effect.path, first, answer.last, forms, answer.evidence)
            self._prepared[effect.path, first] = expected, reply.prepared
        if isinstance(answer, Failed):
            self._counters.add("effects_failed", flow=effect.path.flow_name, effect=type(effect).__name__.lower())
        else:
            count_done(effect, self._counters)
        self._receive(answer)

    # Sending

    def _start_sending(self, effect: Submit, prepared: Prepared) -> None:
        task = asyncio.get_running_loop().create_task(self._send_and_tell(effect, prepared))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _send_and_tell(self, effect: Submit, prepared: Prepared) -> None:
        event = await self._sending.send(effect, prepared)
        assert self._receive is not None
        self._receive(event)


def _fits(answer: Answer, effect: Effect) -> bool:
    if isinstance(answer, Failed):
        return True
    expected = {Check: Checked, Authenticate: Authenticated, Submit: Prepared}[type(effect)]
    return type(answer) is expected


def _without_id(effect: Submit) -> Submit:
    return Submit(0, effect.path, effect.first, effect.last, effect.forms, effect.evidence)
