"""A worker: a process that takes tasks out of Redis, reads chains, and puts answers back.

It holds no key and changes nothing anywhere, so it may die at any moment and do anything twice. Celery runs tasks on
threads; each only waits for the worker's one event loop, which does all reading. It ends when its gateway does, for the
pipe over which it got its settings is closed then.

Started by :mod:`piebridge.gateway.broker.supervisor` as ``python -m piebridge.gateway.broker.worker``.
"""

import asyncio
import logging
import os
import signal
import sqlite3
import sys
import threading
import time
from typing import BinaryIO

import redis
from celery import Celery

from piebridge.crypto.errors import DecodingError
from piebridge.gateway.archive import Archive
from piebridge.gateway.broker.application import CONNECT_SECONDS, SOCKET_SECONDS, TASK_NAME, make_application
from piebridge.gateway.broker.messages import Probe, Reply, open_task, seal_reply
from piebridge.gateway.broker.worker_settings import WorkerSettings
from piebridge.gateway.carrier import Carriers
from piebridge.gateway.connections import connect
from piebridge.gateway.database import Database
from piebridge.gateway.flows import make_carriers
from piebridge.gateway.forwarder import Authenticate, Authenticated, Effect, Failed, Submit
from piebridge.gateway.prepared import Prepared
from piebridge.gateway.queue import WAITING_MAX
from piebridge.gateway.surroundings import Surroundings
from piebridge.gateway.telemetry import Counters, log_to_stderr

_LOG = logging.getLogger(__name__)

_CATCH_UP_SECONDS = 3.0
_LOOK_SECONDS = 0.1
_RECONNECT_SECONDS = 0.3
_FAREWELL_SECONDS = 3.0
_ANSWERS_SECONDS = 600
"""After this, Redis forgets answers that nobody took."""


class Worker:
    """Works tasks out on an event loop of its own."""

    def __init__(self, settings: WorkerSettings) -> None:
        """Put the parts together; nothing is asked of any chain yet."""
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._redis = redis.Redis.from_url(
            settings.broker.url, socket_timeout=SOCKET_SECONDS, socket_connect_timeout=CONNECT_SECONDS
        )
        self._connections = connect(settings.domain, Surroundings())
        self._open: tuple[Database, Carriers] | None = None

    def start(self) -> None:
        """Let the event loop run on a thread."""
        threading.Thread(target=self._loop.run_forever, name="chains", daemon=True).start()

    def wait_for_broker(self) -> None:
        """Return once Redis answers; everything else is ready then."""
        while True:
            try:
                self._redis.ping()
            except redis.RedisError:
                time.sleep(_RECONNECT_SECONDS)
            else:
                return

    def run_task(self, message: object) -> None:
        """Work one task out and put the answer into Redis; called on a thread of Celery's.

        A message that is no task of this gateway is dropped: what the gateway misses it puts in again.

        Raises:
            redis.RedisError: the answer finds no place; the gateway asks again.
        """
        settings = self._settings
        try:
            task = open_task(message, settings.secret)
        except DecodingError as error:
            _LOG.error("ALARM: dropped a task: %s", error)
            return
        if isinstance(task, Probe):
            reply = Reply(settings.index, task.id, None)
        else:
            reply = asyncio.run_coroutine_threadsafe(self._reply(task), self._loop).result()
        names = settings.names
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.rpush(names.answers, seal_reply(reply, settings.secret))
            pipeline.ltrim(names.answers, -WAITING_MAX, -1)
            pipeline.expire(names.answers, _ANSWERS_SECONDS)
            pipeline.execute()

    async def _reply(self, effect: Effect) -> Reply:
        try:
            async with asyncio.timeout(self._settings.broker.task_seconds):
                return await self._work_out(effect)
        except TimeoutError:
            return self._failed(effect, f"not done within {self._settings.broker.task_seconds} s; a node is slow")
        except sqlite3.Error as error:
            self._open = None
            return self._failed(effect, f"the gateway's archive cannot be read: {error}")
        except Exception as error:
            _LOG.exception("a task failed in a way that is not known: %s of %s", type(effect).__name__, effect.path)
            return self._failed(effect, f"worker {self._settings.index}: {error!r}")

    async def _work_out(self, effect: Effect) -> Reply:
        carriers = self._current_carriers()
        answer = await carriers.work_out(effect)
        prepared = None
        if isinstance(effect, Authenticate) and isinstance(answer, Authenticated):
            prepared = await _prepare(carriers, effect, answer)
        return Reply(self._settings.index, effect.id, answer, prepared)

    def _current_carriers(self) -> Carriers:
        """Return carriers that read the archive which the gateway has now."""
        if self._open is not None:
            database, carriers = self._open
            database.follow()
            return carriers
        database = Database(self._settings.database, read_only=True)
        archive = Archive(database)

        async def catch_up(registration: int) -> None:
            """The gateway reads on by itself: wait until it has."""

            def heads() -> list[object]:
                return [archive.head(registration, outbox) for outbox in archive.outboxes(registration)]

            before, deadline = heads(), time.monotonic() + _CATCH_UP_SECONDS
            while heads() == before and time.monotonic() < deadline:  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(_LOOK_SECONDS)

        carriers = make_carriers(self._connections, archive, catch_up, Counters())
        self._open = database, carriers
        return carriers

    def _failed(self, effect: Effect, reason: str) -> Reply:
        return Reply(self._settings.index, effect.id, Failed(effect.id, reason, permanent=False))


async def _prepare(carriers: Carriers, effect: Authenticate, answer: Authenticated) -> Prepared | None:
    """Prepare the whole batch, if the evidence covers it: then one task was enough for it."""
    if not effect.forms or answer.last < effect.at_least:
        return None
    submit = Submit(effect.id, effect.path, effect.forms[0][0], answer.last, effect.forms, answer.evidence)
    prepared = await carriers.work_out(submit)
    return prepared if isinstance(prepared, Prepared) else None


def make_worker_application(settings: WorkerSettings, worker: Worker) -> Celery:
    """Return Celery's application with the one task."""
    application = make_application(settings.broker, settings.names)

    application.task(worker.run_task, name=TASK_NAME, ignore_result=True)
    return application


def _end_with(pipe: BinaryIO) -> None:
    """End this process when the other end of the pipe is closed."""
    pipe.read()
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_FAREWELL_SECONDS)
    os._exit(0)


def main() -> None:
    """Read the settings from standard input and work until it is closed."""
    log_to_stderr()
    for library in ("celery", "kombu", "redis"):  # at INFO, Celery writes every task with its content
        logging.getLogger(library).setLevel(logging.WARNING)
    settings = WorkerSettings.decode(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with, args=(sys.stdin.buffer,), name="parent", daemon=True).start()
    worker = Worker(settings)
    worker.start()
    application = make_worker_application(settings, worker)
    worker.wait_for_broker()
    celery_worker = application.Worker(
        hostname=f"worker-{settings.index}@{settings.names.gateway}",
        queues=[settings.names.tasks, settings.names.probes(settings.index)],
        pool="threads",
        concurrency=settings.broker.threads,
        loglevel="WARNING",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    # Nothing here is worth a farewell: the gateway has every task, and a connection that is lost can hold one up.
    celery_worker.stop = _leave
    celery_worker.terminate = _leave
    celery_worker.start()


def _leave(in_sighandler: bool = False, exitcode: int | None = None) -> None:
    logging.shutdown()
    os._exit(exitcode or 0)


if __name__ == "__main__":
    main()
