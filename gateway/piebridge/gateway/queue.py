"""Where effects wait to be carried out: a port, and the queue within one process.

A queue is a hint and nothing more: what it loses is found again by the forwarder's time-outs and the reconciler, and
what it doubles is refused by the chains. So a broker with workers in other processes can take its place.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from piebridge.gateway.forwarder import Effect

Handler = Callable[[Effect], Awaitable[None]]
"""Carries an effect out and tells the forwarder; must not raise."""


class EffectQueue(Protocol):
    """Takes effects and has them carried out, at least sometimes."""

    def put(self, effect: Effect) -> None:
        """Take an effect; never blocks."""
        ...

    async def run(self, handler: Handler) -> None:
        """Carry effects out until cancelled."""
        ...


class InProcessQueue:
    """Runs each effect as a task of this process's event loop, a bounded number at a time."""

    def __init__(self, concurrency_max: int = 64) -> None:
        """Start empty."""
        self._waiting: asyncio.Queue[Effect] = asyncio.Queue()
        self._concurrency_max = concurrency_max

    def put(self, effect: Effect) -> None:
        """Take an effect."""
        self._waiting.put_nowait(effect)

    async def run(self, handler: Handler) -> None:
        """Carry effects out until cancelled; then those under way are cancelled too.

        Raises:
            ExceptionGroup: the handler raised, which it must not.
        """
        places = asyncio.Semaphore(self._concurrency_max)

        async def carry_out(effect: Effect) -> None:
            try:
                await handler(effect)
            finally:
                places.release()

        async with asyncio.TaskGroup() as tasks:
            while True:
                effect = await self._waiting.get()
                await places.acquire()
                tasks.create_task(carry_out(effect))
