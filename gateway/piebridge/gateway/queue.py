"""Where effects wait to be carried out: a port, and the queue within one process.

A queue is a hint and nothing more: what it loses is found again by the forwarder's time-outs and the reconciler, and
what it doubles is refused by the chains. :mod:`piebridge.gateway.broker` has the other queue behind this port, a broker
with workers in processes of their own.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeAlias

from piebridge.gateway.carrier import Answer, count_done
from piebridge.gateway.forwarder import Effect, Event, Failed, Submit
from piebridge.gateway.prepared import Prepared
from piebridge.gateway.sending import Sending
from piebridge.gateway.telemetry import Counters

WorkOut: TypeAlias = Callable[[Effect], Awaitable[Answer]]
"""Works an effect out; must not raise."""

Receive: TypeAlias = Callable[[Event], None]
"""Takes what became of an effect."""

WAITING_MAX = 1_000
"""Effects that a queue holds at most. A forwarder has at most ten for each path, so only a fault fills it."""


class EffectQueue(Protocol):
    """Takes effects and has them carried out, at least sometimes; each is answered at most once."""

    def put(self, effect: Effect) -> None:
        """Take an effect; never blocks. One that finds no place is answered as failed for now."""
        ...

    async def run(self, receive: Receive) -> None:
        """Carry effects out until cancelled, and tell what became of them."""
        ...

    def health(self) -> dict[str, Any]:
        """Return what operators want to know; ``"healthy"`` says whether effects are carried out."""
        ...


class InProcessQueue:
    """Runs each effect as a task of this process's event loop, a bounded number at a time."""

    def __init__(
        self,
        work_out: WorkOut,
        sending: Sending,
        counters: Counters,
        *,
        concurrency_max: int = 64,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        """Start empty."""
        self._work_out = work_out
        self._sending = sending
        self._counters = counters
        self._waiting: asyncio.Queue[Effect] = asyncio.Queue(waiting_max)
        self._refused: list[Event] = []
        self._concurrency_max = concurrency_max
        self._receive: Receive = self._refused.append

    def put(self, effect: Effect) -> None:
        """Take an effect."""
        try:
            self._waiting.put_nowait(effect)
        except asyncio.QueueFull:
            self._counters.add("effects_refused")
            self._receive(full(effect))
        else:
            if isinstance(effect, Submit):
                self._sending.announce(effect)

    async def run(self, receive: Receive) -> None:
        """Carry effects out until cancelled; then those under way are cancelled too.

        Raises:
            ExceptionGroup: one of the functions given raised, which they must not.
        """
        self._receive = receive
        for event in self._refused:
            receive(event)
        places = asyncio.Semaphore(self._concurrency_max)

        async def carry_out(effect: Effect) -> None:
            try:
                answer = await self._work_out(effect)
                if isinstance(answer, Prepared):
                    assert isinstance(effect, Submit), "only a submission is prepared"
                    receive(await self._sending.send(effect, answer))
                else:
                    if isinstance(effect, Submit):
                        self._sending.give_up(effect)
                    if not isinstance(answer, Failed):
                        count_done(effect, self._counters)
                    receive(answer)
            finally:
                places.release()

        async with asyncio.TaskGroup() as tasks:
            while True:
                effect = await self._waiting.get()
                await places.acquire()
                tasks.create_task(carry_out(effect))

    def health(self) -> dict[str, Any]:
        """Return how many effects wait."""
        return {"kind": "in-process", "healthy": True, "waiting": self._waiting.qsize()}


def full(effect: Effect) -> Failed:
    """Return the answer to an effect for which there is no place."""
    return Failed(effect.id, "the gateway's queue is full", permanent=False)
