"""Starts a unit again after a fault of its node, as long as faults stay rare.

Only the node's end is healed this way. An application that failed would most likely fail again at the same block, and
whoever looks must see it, so that ends the program.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from piebridge.abci.cometbft.errors import NodeExitedError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How many faults are healed."""

    restarts: int = 5
    """At most so many within the window; 0 heals none."""
    window_seconds: float = 600.0
    """Length of the window."""
    delay_seconds: float = 1.0
    """Pause before the unit starts again."""


class Unit(Protocol):
    """What can be started again: made anew each time, so that the application reopens its storage."""

    async def start(self) -> None:
        """Begin; returns once it serves."""

    async def wait(self) -> None:
        """Return when it has ended, or raise what ended it."""

    async def stop(self) -> None:
        """End in good order; also after a start that failed."""


class Supervisor:
    """Runs one unit after the other until it is stopped or faults come too often."""

    def __init__(
        self,
        make_unit: Callable[[], Unit],
        policy: RestartPolicy | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Supervise.

        Args:
            make_unit: opens a unit; nothing of it runs yet.
            policy: how many faults are healed.
            clock: seconds, only differences count.
            sleep: waits so many seconds.
        """
        self._make_unit = make_unit
        self._policy = policy or RestartPolicy()
        self._clock, self._sleep = clock, sleep
        self._faults: deque[float] = deque()
        self._unit: Unit | None = None

    async def start(self) -> None:
        """Start the first unit; a fault here is not healed, for nothing has ever worked.

        Raises:
            PieBridgeError: the unit cannot be opened or does not start.
            OSError: a port is not free.
        """
        await self._start()

    async def wait(self) -> None:
        """Keep the unit running.

        Raises:
            NodeExitedError: the node ended unasked once too often.
            PieBridgeError: whatever else ended the unit.
        """
        while True:
            assert self._unit is not None, "the supervisor was not started"
            try:
                await self._unit.wait()
                return
            except NodeExitedError as error:
                await self._unit.stop()
                self._unit = None
                await self._heal(error)

    async def stop(self) -> None:
        """Stop what runs."""
        unit, self._unit = self._unit, None
        if unit is not None:
            await unit.stop()

    async def _heal(self, error: NodeExitedError) -> None:
        """Start again, or raise the fault that was one too many."""
        while True:
            now = self._clock()
            while self._faults and now - self._faults[0] > self._policy.window_seconds:
                self._faults.popleft()
            self._faults.append(now)
            if len(self._faults) > self._policy.restarts:
                raise error
            _log.error("fault %d of %d that are healed: %s", len(self._faults), self._policy.restarts, error)
            await self._sleep(self._policy.delay_seconds)
            try:
                await self._start()
                return
            except NodeExitedError as again:
                error = again

    async def _start(self) -> None:
        unit = self._make_unit()
        try:
            await unit.start()
        except BaseException:
            await unit.stop()
            raise
        self._unit = unit
