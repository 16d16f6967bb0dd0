"""Several gateways do the same work without talking to each other: nothing doubled, and little done in vain."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from piebridge.cli.local_network.plan import ParachainKind
from testkit.campaign.processes_of_network import CampaignNetwork, start_network
from testkit.campaign.redundancy import Redundancy, redundancy
from testkit.campaign.scene import Scene, examine, scene

BURST = 50
"""Packets sent at once, at most."""
_POLL_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Plan:
    """What a campaign does; everything else follows from the seed."""

    seed: int
    packets: int
    gateways: int = 4
    in_flight: int = 100
    """Packets that users keep under way."""
    broker: str | None = None
    """``redis``: gateways with workers, on a Redis of their own."""


@dataclass(slots=True)
class Outcome:
    """What a campaign did, counted."""

    sent: int
    executed: int
    refunded: int
    work: Redundancy = field(default_factory=Redundancy)

    def counts(self) -> Mapping[str, int]:
        """Numbers for a ledger."""
        return {
            "packets": self.sent,
            "executed": self.executed,
            "refunded": self.refunded,
            "transactions": self.work.transactions.total(),
            "redundant transactions": self.work.redundant.total(),
            "gateways that worked": len(self.work.senders),
        }

    def __str__(self) -> str:
        """One paragraph for people."""
        kinds = {kind: f"{self.work.redundant[kind]}/{count}" for kind, count in sorted(self.work.transactions.items())}
        return f"{dict(self.counts())}; redundant by kind {kinds}; by gateway {dict(Counter(self.work.senders))}"


async def many_gateways(directory: Path, plan: Plan, kind: ParachainKind) -> Outcome:
    """Start a network with several gateways, send, and count what its chains say.

    Raises:
        AssertionError: a promise is broken, or nothing was tested.
    """
    network = await start_network(directory / "network", kind, gateways=plan.gateways, broker=plan.broker, workers=1)
    try:
        async with scene(network, plan.seed) as begun:
            return await _run(network, begun, plan)
    finally:
        network.stop()


async def _run(network: CampaignNetwork, begun: Scene, plan: Plan) -> Outcome:
    traffic = begun.traffic
    while len(traffic.sent) < plan.packets:
        missing = plan.in_flight - len(await begun.pending.look())
        if missing > 0:
            await traffic.send(min(missing, BURST, plan.packets - len(traffic.sent)))
        await asyncio.sleep(_POLL_SECONDS)
    await begun.settle()
    verdict = await examine(network)
    words = "\n".join(f"{item.invariant} {item.chain}: {item.what}" for item in verdict.violations)
    assert not verdict.violations, words
    assert not verdict.pending, f"{len(verdict.pending)} packets are not final"
    assert verdict.sent == len(traffic.sent) >= plan.packets > 0
    assert verdict.executed + verdict.aborted == verdict.sent
    work = await redundancy(begun.view)
    assert work.transactions.total() > 0, "no gateway sent anything, so nothing was tested"
    return Outcome(verdict.sent, verdict.executed, verdict.aborted, work)
