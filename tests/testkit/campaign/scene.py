"""What every campaign has: a network, users who send, faults that are counted, and the oracle at the end."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from piebridge.cli import oracle_command
from piebridge.cli.oracle.invariants import Verdict
from piebridge.cli.view import NetworkView
from piebridge.crypto.errors import ChainError
from testkit.campaign.blocks import BlockWitness
from testkit.campaign.pending import PendingPackets
from testkit.campaign.processes_of_network import READY_SECONDS, CampaignNetwork
from testkit.campaign.traffic import Traffic

SETTLE_SECONDS = 90.0
"""Bound on the time from the last fault until every outcome is home: three times the sum of the hops' finality times
(two parachain blocks of 1 s, one more on top with notaries, two relay blocks of 0.25 s: 10.5 s), two scan intervals of
a gateway (60 s), and what two processors need to carry a backlog of some hundred packets (20 s)."""
WORK_WAIT_SECONDS = 60.0
"""How long a fault waits for work before the campaign fails."""
_POLL_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Settled:
    """A network at rest, and what happened on it since the scene began."""

    sent: int
    executed: int
    refunded: int
    """Aborted at the destination and, where there was something to undo, undone at the source."""
    seconds: float
    """From the last fault to rest."""


class Scene:
    """One campaign on one network that is up."""

    def __init__(self, network: CampaignNetwork, view: NetworkView, seed: int, before: Verdict) -> None:
        """Begin a campaign; everything that is drawn follows from the seed."""
        self.network = network
        self.view = view
        self.pending = PendingPackets(view)
        self.traffic = Traffic(view, network.boards, self.pending, random.Random(f"{seed}/traffic"))
        self.blocks = BlockWitness(view)
        self.in_flight: list[int] = []
        """Packets that were under way before and still after each fault that counts, by what the chains say."""
        self.idle_faults = 0
        """Other faults: they happened, and count for nothing."""
        self._before = before

    async def work(self) -> set[str]:
        """Wait until packets are under way and return their ids.

        Raises:
            AssertionError: there is nothing to do for a gateway.
        """
        deadline = time.monotonic() + WORK_WAIT_SECONDS
        while not (found := await self.pending.look()):
            assert time.monotonic() < deadline, "no packet is under way: a fault would hit nothing"
            await asyncio.sleep(_POLL_SECONDS)
        return found

    async def kill(self, names: Sequence[str]) -> bool:
        """Kill processes that run while packets are under way; tells whether these kills count."""

        def strike() -> None:
            for name in names:
                self.network.kill(name)

        return await self.fault(strike, faults=len(names))

    async def fault(self, strike: Callable[[], None], *, faults: int = 1) -> bool:
        """Do harm while packets are under way; tells whether it counts, as so many faults.

        It counts when a packet that was under way before still is afterwards, so that the moment lies between.
        """
        before = await self.work()
        await self.blocks.look_at_tips()
        strike()
        # A parachain that is dead cannot be asked; nothing comes home to its users while it is.
        dead = [chain.name for chain in self.view.chains.values() if not self.network.is_running(chain.name)]
        both = before if dead else before & await self.pending.look()
        if both:
            self.in_flight += [len(both)] * faults
        else:
            self.idle_faults += faults
        return bool(both)

    @contextlib.asynccontextmanager
    async def watched_blocks(self) -> AsyncIterator[None]:
        """Look at the blocks of all chains all the time, as far as they answer."""

        async def watch() -> None:
            while True:
                with contextlib.suppress(ChainError):
                    await self.blocks.look()
                await asyncio.sleep(_POLL_SECONDS)

        async with asyncio.TaskGroup() as tasks:
            watcher = tasks.create_task(watch())
            yield
            watcher.cancel()

    async def chains_answer(self) -> None:
        """Wait until every chain answers and show that none has changed a block.

        Raises:
            AssertionError: a chain shows another block at a height than before, or a process has ended by itself.
            ChainError: a chain does not answer in time.
        """
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            assert not self.network.ended_by_themselves(), self.network.ended_by_themselves()
            with contextlib.suppress(ChainError):
                await self.blocks.look()
                return
            await asyncio.sleep(_POLL_SECONDS)
        await self.blocks.look()

    async def settle(self) -> float:
        """Wait until no packet is under way and return how long it took.

        Raises:
            AssertionError: a packet still is when the bound is over, or a process has ended by itself.
        """
        assert not self.network.ended_by_themselves(), self.network.ended_by_themselves()
        began = told = time.monotonic()
        while left := await self.pending.look():
            now = time.monotonic()
            if now - began > SETTLE_SECONDS:
                words = "\n".join(await self.network.health_of_gateways())
                raise AssertionError(
                    f"{len(left)} packets are still under way {SETTLE_SECONDS:.0f} s after the last fault, for example "
                    f"{sorted(left)[:3]}\n{words}"
                )
            if now - told > 5:
                told = now
                print(f"{len(left)} packets are under way {now - began:.0f} s after the last fault", flush=True)
            await asyncio.sleep(_POLL_SECONDS)
        return time.monotonic() - began

    async def check_all(self) -> Settled:
        """Let the network come to rest and hold its chains to every promise.

        Raises:
            AssertionError: a promise is broken, a packet is not final, no fault hit work, or nothing was delivered.
        """
        seconds = await self.settle()
        assert self.in_flight, "no fault was injected while packets were under way, so nothing was tested"
        assert min(self.in_flight) > 0
        traffic, verdict = self.traffic, await examine(self.network)
        words = "\n".join(f"{item.invariant} {item.chain}: {item.what}" for item in verdict.violations)
        assert not verdict.violations, words
        assert not verdict.pending, f"{len(verdict.pending)} packets are not final"
        assert not verdict.unjudged, f"the oracle cannot judge {len(verdict.unjudged)} packets"
        assert verdict.in_flight == 0
        assert verdict.executed + verdict.aborted == verdict.sent
        before = self._before
        sent, executed = verdict.sent - before.sent, verdict.executed - before.executed
        refunded = verdict.aborted - before.aborted
        # The oracle found by its own reading exactly what users were told: nothing is lost, nothing was invented.
        assert sent == len(traffic.sent) == len({packet.id for packet in traffic.sent})
        certain = traffic.kinds["transfer"] + traffic.kinds["notarisation"] + traffic.kinds["message"]
        assert certain <= executed, f"of {certain} packets that nothing stood against {executed} took effect"
        assert traffic.kinds["refused transfer"] <= refunded
        assert executed > 0, "no packet was delivered, so nothing was tested"
        await self.blocks.look()
        return Settled(sent, executed, refunded, seconds)


async def examine(network: CampaignNetwork) -> Verdict:
    """Ask the oracle, which reads nothing but the chains."""
    boards = sorted({f"0x{board.hex()}" for board in network.boards.values()})
    return await asyncio.to_thread(oracle_command.examine, network.network, boards)


@contextlib.asynccontextmanager
async def scene(network: CampaignNetwork, seed: int) -> AsyncIterator[Scene]:
    """Begin a campaign on a network that is at rest."""
    async with NetworkView(network.network, network.directory) as view:
        begun = Scene(network, view, seed, await examine(network))
        await begun.traffic.prepare()
        yield begun
