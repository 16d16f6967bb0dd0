"""An event loop on a virtual clock: when nobody has anything to do, time jumps to the next timer."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


class StalledError(Exception):
    """Nobody has anything to do and no timer is set, but the simulation has not ended."""


class LivelockError(Exception):
    """Somebody works without a pause: time stands still."""


_ROUNDS_MAX = 20_000
"""Rounds of the loop at one instant; a busy instant takes some hundreds."""


class _Jump:
    """Stands where a loop has its selector: nothing ever comes from outside, so waiting is jumping."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop
        self._rounds = 0

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise StalledError("every task waits for another one")
        if timeout > 0:
            self._loop.now += timeout
            self._rounds = 0
        self._rounds += 1
        if self._rounds > _ROUNDS_MAX:
            raise LivelockError(f"time stands still at {self._loop.now:.3f} s")
        return []

    def close(self) -> None:
        """Close nothing."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Deterministic: the order of callbacks follows from the order in which they were set."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        """Seconds since the simulation began."""
        self._selector = _Jump(self)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self.now

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
