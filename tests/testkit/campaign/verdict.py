"""The end of every campaign: faults are off, everything settles in time, and the oracle finds nothing wrong."""

import asyncio
import time
from dataclasses import dataclass

from piebridge.cli import oracle_command
from piebridge.cli.oracle.invariants import Verdict
from testkit.campaign.pending import PendingPackets
from testkit.campaign.processes_of_network import CampaignNetwork
from testkit.campaign.traffic import Traffic

SETTLE_SECONDS = 90.0
"""Bound on the time from the last fault until every outcome is home: three times the sum of the hops' finality times (two
parachain blocks of 1 s, one more on top with notaries, two relay blocks of 0.25 s: 10.5 s), two scan intervals of a
gateway (60 s), and what two processors need to carry a backlog of some hundred packets (20 s)."""
_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Settled:
    """A network at rest."""

    verdict: Verdict
    """What the oracle says."""
    seconds: float
    """From the last fault to rest."""


async def settle(network: CampaignNetwork, pending: PendingPackets, *, seconds: float = SETTLE_SECONDS) -> float:
    """Wait until no packet is under way and return how long it took.

    Raises:
        AssertionError: a packet is still under way when the bound is over, or a process has ended by itself.
    """
    assert not network.ended_by_themselves(), network.ended_by_themselves()
    began = time.monotonic()
    while left := await pending.look():
        if time.monotonic() - began > seconds:
            words = "\n".join(await network.health_of_gateways())
            raise AssertionError(
                f"{len(left)} packets are still under way {seconds:.0f} s after the last fault, for example "
                f"{sorted(left)[:3]}\n{words}"
            )
        await asyncio.sleep(_POLL_SECONDS)
    return time.monotonic() - began


async def check_all(network: CampaignNetwork, traffic: Traffic, pending: PendingPackets) -> Settled:
    """Let the network come to rest and hold its chains to every promise.

    Raises:
        AssertionError: a promise is broken, a packet is not final, or nothing was delivered.
    """
    seconds = await settle(network, pending)
    verdict = await asyncio.to_thread(oracle_command.examine, network.network, traffic.boards)
    assert not verdict.violations, "\n".join(f"{item.invariant} {item.chain}: {item.what}" for item in verdict.violations)
    assert not verdict.pending, f"{len(verdict.pending)} packets are not final"
    assert verdict.in_flight == 0
    # The oracle found by its own reading exactly what the users were told: nothing is lost, nothing was invented.
    assert verdict.sent == len(traffic.sent) == len({packet.id for packet in traffic.sent})
    assert verdict.executed + verdict.aborted == verdict.sent
    certain = traffic.kinds["transfer"] + traffic.kinds["notarisation"] + traffic.kinds["message"]
    assert certain <= verdict.executed, f"of {certain} packets that nothing stood against {verdict.executed} took effect"
    assert traffic.kinds["refused transfer"] <= verdict.aborted
    assert verdict.executed > 0, "no packet was delivered, so nothing was tested"
    return Settled(verdict, seconds)
