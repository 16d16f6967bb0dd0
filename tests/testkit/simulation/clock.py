"""An event loop on a virtual clock: when nobody has anything to do, time jumps to the next timer."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, Unpack

if TYPE_CHECKING:
    from collections import deque

_T = TypeVar("_T")
_Arguments = TypeVarTuple("_Arguments")


class StalledError(Exception):
    """Nobody has anything to do and no timer is set, but the simulation has not ended."""


class LivelockError(Exception):
    """Somebody works without a pause: time stands still."""


_ROUNDS_MAX = 20_000
"""Rounds of the loop at one instant; a busy instant takes some hundreds."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Deterministic: callbacks run in the order of their times, and of one time in the order in which they were set.

    It has its own, shorter way of running them than the loop that it is made from: nothing ever comes from outside.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        """Seconds since the simulation began."""
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timers_set = 0
        self._rounds = 0

    def time(self) -> float:
        return self.now

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[_Arguments]], object],
        *args: *_Arguments,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._timers_set += 1
        heappush(self._timers, (when, self._timers_set, timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Nothing to count: it is passed over when its time comes."""

    def _run_once(self) -> None:
        ready: deque[asyncio.Handle] = self._ready  # type: ignore[attr-defined]
        timers = self._timers
        if not ready and not self._stopping:  # type: ignore[attr-defined]
            self._jump()
        self._rounds += 1
        if self._rounds > _ROUNDS_MAX:
            raise LivelockError(f"time stands still at {self.now:.3f} s")
        while timers and timers[0][0] <= self.now:
            ready.append(heappop(timers)[2])
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()

    def _jump(self) -> None:
        """Let time pass until the next timer."""
        timers = self._timers
        while timers and timers[0][2].cancelled():
            heappop(timers)
        if not timers:
            raise StalledError("every task waits for another one")
        if timers[0][0] > self.now:
            self.now = timers[0][0]
            self._rounds = 0

    def _process_events(self, event_list: list[Any]) -> None:
        """There are no events of the system."""

    def _write_to_self(self) -> None:
        """There are no other threads to be woken by."""


def run(main: Coroutine[Any, Any, _T], loop: VirtualLoop) -> _T:
    """Run until ``main`` has ended; then cancel and await whatever is left."""
    try:
        return loop.run_until_complete(main)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        try:
            if left:
                loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()
