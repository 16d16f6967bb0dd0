"""Messages between processes. Every fault is counted where it takes effect: at the receiver."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from piebridge.crypto.errors import TransientChainError
from testkit.simulation.plan import NetworkPlan

_T = TypeVar("_T")


class Network:
    """Carries requests and their answers, late, twice, in another order, or not at all."""

    def __init__(self, plan: NetworkPlan, randomness: random.Random, counts: Counter[str]) -> None:
        self._plan = plan
        self._random = randomness
        self._counts = counts
        self.faulty = True
        """Whether there are faults; latency there always is."""
        self.partitions: set[tuple[str, str]] = set()
        """Pairs of processes between which nothing gets through, in both directions."""

    async def ask(self, client: str, server: str, work: Callable[[], _T]) -> _T:
        """Have a server answer a question that changes nothing.

        Raises:
            TransientChainError: request or answer was lost.
        """
        latency = self._latency()
        if self._is_cut(client, server) or self._loses():
            self._counts["requests lost"] += 1
            await asyncio.sleep(self._plan.timeout_seconds)
            raise TransientChainError(f"{client}: {server} has not answered")
        if self._random.random() < 0.5:  # the request is slow, or the answer, which is old then
            await asyncio.sleep(latency)
            return work()
        answer = work()
        await asyncio.sleep(latency)
        return answer

    async def tell(self, client: str, server: str, work: Callable[[], _T]) -> _T:
        """Have a server do something; it is done even if the client dies before it hears of it.

        Raises:
            TransientChainError: request or answer was lost; the thing may have been done all the same.
        """
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[_T] = loop.create_future()
        cut = self._is_cut(client, server)

        def arrive(*, again: bool = False) -> None:
            if again:
                self._counts["messages doubled"] += 1
            elif delay > 4 * self._plan.latency_seconds:
                self._counts["messages late"] += 1
            try:
                answer = work()
            except Exception as error:
                if not answered.done():
                    answered.set_exception(error)
                    answered.exception()  # it may be that nobody listens any more
            else:
                if not answered.done():
                    answered.set_result(answer)

        delay = self._latency()
        if self.faulty and self._random.random() < self._plan.late:
            delay += self._random.uniform(0, self._plan.late_seconds)
        if cut or self._loses():
            self._counts["messages lost"] += 1
        else:
            loop.call_later(delay, arrive)
            if self.faulty and self._random.random() < self._plan.doubled:
                loop.call_later(delay + self._random.uniform(0, self._plan.late_seconds), lambda: arrive(again=True))
        if self._loses():
            self._counts["answers lost"] += 1
            await asyncio.sleep(self._plan.timeout_seconds)
            raise TransientChainError(f"{client}: {server} has not answered")
        try:
            async with asyncio.timeout(self._plan.timeout_seconds):
                return await asyncio.shield(answered)
        except TimeoutError as error:
            raise TransientChainError(f"{client}: {server} has not answered") from error

    def drops_wake(self, client: str, server: str) -> bool:
        """Tell whether a notification gets lost; subscriptions promise nothing."""
        return self._is_cut(client, server) or (self.faulty and self._random.random() < self._plan.lost_wakes)

    def _latency(self) -> float:
        return self._random.uniform(0.2, 1.8) * self._plan.latency_seconds

    def _loses(self) -> bool:
        return self.faulty and self._random.random() < self._plan.lost

    def _is_cut(self, client: str, server: str) -> bool:
        return (client, server) in self.partitions
