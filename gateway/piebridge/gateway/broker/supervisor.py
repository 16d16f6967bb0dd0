"""Starts worker processes, and starts again those that end or fall silent."""

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from piebridge.gateway.broker.worker_settings import WorkerSettings
from piebridge.gateway.retry import retry_delays
from piebridge.gateway.telemetry import Counters

_LOG = logging.getLogger(__name__)

_FIRST_RESTART_SECONDS, _LAST_RESTART_SECONDS = 0.2, 10.0
_SETTLED_SECONDS = 30.0
"""A worker that has lived so long is started again at once when it ends."""
_LOOK_SECONDS = 0.5
_CUT_OFF_SECONDS = 2.0
"""Redis has been away for so long that a worker which has not noticed it is replaced."""
_FAREWELL_SECONDS = 5.0
_MODULE = "piebridge.gateway.broker.worker"


@dataclass(slots=True)
class WorkerState:
    """One worker as its gateway sees it."""

    index: int
    """Number, from 0."""
    process: asyncio.subprocess.Process | None = None
    """None while there is none."""
    started_at: float = 0.0
    """Monotonic seconds."""
    answered_at: float | None = None
    """Monotonic seconds of its last answer since it was started; None before the first."""
    starts: int = 0
    """How often it was started."""
    delays: Iterator[float] = field(default_factory=lambda: retry_delays(_FIRST_RESTART_SECONDS, _LAST_RESTART_SECONDS))

    @property
    def is_working(self) -> bool:
        """Whether it runs and has answered."""
        return self.process is not None and self.process.returncode is None and self.answered_at is not None


class WorkerSupervisor:
    """Keeps a number of workers alive."""

    def __init__(
        self, settings: WorkerSettings, counters: Counters, restarted: Callable[[], None], *, clock: Callable[[], float]
    ) -> None:
        """Keep as many workers as the settings of the broker say.

        Args:
            settings: for each worker, but for its number.
            counters: where to count restarts.
            restarted: called when a worker has ended, with whatever it had under way.
            clock: monotonic seconds.
        """
        self._settings = settings
        self._counters = counters
        self._restarted = restarted
        self._clock = clock
        self._broker_since: float | None = None
        self._broker_lost_at: float | None = None
        self.workers = [WorkerState(index) for index in range(settings.broker.workers)]
        """All workers."""

    async def run(self) -> None:
        """Keep the workers alive until cancelled, then end them."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for worker in self.workers:
                    tasks.create_task(self._keep(worker))
        finally:
            await asyncio.gather(*(_end(worker) for worker in self.workers))

    def answered(self, index: int) -> None:
        """Note that a worker has answered."""
        if index < len(self.workers):
            self.workers[index].answered_at = self._clock()

    def broker_answers(self, *, yes: bool) -> None:
        """Note whether Redis can be reached: nobody can answer through one that is gone."""
        now = self._clock()
        if not yes:
            self._broker_since = None
            self._broker_lost_at = self._broker_lost_at or now
        elif self._broker_since is None:
            self._broker_since, self._broker_lost_at = now, None

    def health(self) -> list[dict[str, Any]]:
        """Return what operators want to know of each worker."""
        now = self._clock()
        return [
            {
                "worker": worker.index,
                "pid": worker.process.pid if worker.process is not None else None,
                "working": worker.is_working,
                "starts": worker.starts,
                "silent_seconds": None if worker.answered_at is None else round(now - worker.answered_at, 1),
            }
            for worker in self.workers
        ]

    async def _keep(self, worker: WorkerState) -> None:
        while True:
            await self._start(worker)
            process = worker.process
            assert process is not None
            while process.returncode is None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await process.wait()
                if process.returncode is not None:
                    break
                if self._is_silent(worker):
                    self._counters.add("workers_silent")
                    _LOG.error("ALARM: worker %d (process %d) is silent: started again", worker.index, process.pid)
                elif not self._is_cut_off(worker):
                    continue
                process.kill()
                await process.wait()
            self._counters.add("workers_ended")
            self._restarted()
            if self._clock() - worker.started_at > _SETTLED_SECONDS:
                worker.delays = retry_delays(_FIRST_RESTART_SECONDS, _LAST_RESTART_SECONDS)
            pause = next(worker.delays)
            _LOG.warning("worker %d ended (%s), again in %.1f s", worker.index, process.returncode, pause)
            await asyncio.sleep(pause)

    async def _start(self, worker: WorkerState) -> None:
        worker.answered_at = None
        worker.started_at = self._clock()
        worker.starts += 1
        worker.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            _MODULE,
            stdin=asyncio.subprocess.PIPE,
            env=_environment(),
        )
        assert worker.process.stdin is not None
        worker.process.stdin.write(replace(self._settings, index=worker.index).encode())
        with contextlib.suppress(ConnectionError):  # it has ended already, and is started again
            await worker.process.stdin.drain()

    def _is_cut_off(self, worker: WorkerState) -> bool:
        """Whether a worker had a connection to the Redis that is gone: a fresh one is ready when it comes back."""
        lost = self._broker_lost_at
        if lost is None or worker.answered_at is None:
            return False
        return self._clock() - lost > _CUT_OFF_SECONDS

    def _is_silent(self, worker: WorkerState) -> bool:
        """Whether a worker should have answered something by now, if it were at work."""
        if self._broker_since is None:
            return False
        now, broker = self._clock(), self._settings.broker
        if worker.answered_at is None:
            return now - max(worker.started_at, self._broker_since) > broker.start_seconds
        return now - max(worker.answered_at, self._broker_since) > broker.silent_seconds


async def _end(worker: WorkerState) -> None:
    """Close the pipe, on which a worker ends by itself; kill one that does not."""
    process = worker.process
    if process is None or process.returncode is not None:
        return
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(_FAREWELL_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _environment() -> dict[str, str]:
    """Return the variables of this process, and those with which a child runs the very same PieBridge."""
    import piebridge

    roots = [str(Path(path).parent) for path in piebridge.__path__]
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path not in roots]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*roots, *others]), "PYTHONUNBUFFERED": "1"}


def monotonic() -> float:
    """Return monotonic seconds."""
    return time.monotonic()
