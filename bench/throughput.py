"""What comes home of offered rates, and the CPU that each kind of process needs for a packet and its receipt."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.benchmark import Figure, Measured, Options, Plot, Series
from bench.network import BenchNetwork, CpuTimes
from bench.scenario import latency_of, network_of, shared_notes
from bench.traffic import Journey, Traffic

WARM_UP_SECONDS = 6.0
DRAIN_SECONDS = 45.0
HELD_SHARE = 0.97
"""A rate counts as held if so much of it comes home while it is offered, and all of it in the end."""
LOAD_GENERATOR = "load generator"


@dataclass(frozen=True, slots=True)
class Load:
    """One rate, offered once."""

    offered: float
    """Packets per second."""
    home_per_second: float
    backlog_growth_per_second: float
    cpu_ms: dict[str, float]
    """CPU milliseconds by kind of process in the window, for each packet whose receipt came home in it."""
    other_work: float
    """CPUs that other programs of the machine were using meanwhile."""
    idle: float
    """CPUs that nobody was using meanwhile."""
    journeys: tuple[Journey, ...]
    lost: int
    """Packets not home long after the last was offered."""

    @property
    def is_held(self) -> bool:
        """Whether the rate was held."""
        return not self.lost and self.home_per_second >= HELD_SHARE * self.offered


def throughput(options: Options) -> Measured:
    """Offer rates in turn, each run in another order and on a fresh network."""
    loads: dict[float, list[Load]] = {rate: [] for rate in options.rates}
    for run in range(options.runs):
        turn = run % len(options.rates)
        order = (*options.rates[turn:], *options.rates[:turn])
        with network_of(options) as network:
            for load in asyncio.run(_offer_all(network, order, options.seconds)):
                loads[load.offered].append(load)
                print(f"  run {run + 1}: {_line(load)}", flush=True)
    figures: dict[str, Figure] = {}
    for rate, found in loads.items():
        figures |= _figures(rate, found)
    held = max((rate for rate, found in loads.items() if all(load.is_held for load in found)), default=0.0)
    figures["highest rate that every run held"] = Figure(held, "packets/s")
    points = tuple((rate, figures[f"offered {rate:g}: home"].value) for rate in options.rates)
    return Measured(
        figures,
        Plot(
            f"{options.parachain_kind} parachains, {options.engine} relay chain",
            "packets offered per second",
            "packets per second, sent, received and receipt home",
            (Series("home", points), Series("offered", tuple((rate, rate) for rate in options.rates))),
        ),
        [
            *shared_notes(options),
            f"each rate for {options.seconds:g} s, measured without the first {WARM_UP_SECONDS:g} s, from block to "
            f"block; held: {HELD_SHARE:.0%} of it home while it is offered, and all of it in the end",
        ],
    )


async def _offer_all(network: BenchNetwork, rates: Sequence[float], seconds: float) -> list[Load]:
    async with Traffic(network) as traffic:
        traffic.sign(int(sum(rates) * seconds) + 10 * len(rates))
        return [await _offer(network, traffic, rate, seconds) for rate in rates]


async def _offer(network: BenchNetwork, traffic: Traffic, rate: float, seconds: float) -> Load:
    before = set(traffic.journeys)
    offering = asyncio.create_task(traffic.submit_at(rate, seconds))
    await asyncio.sleep(WARM_UP_SECONDS)
    started, cpu_before = time.monotonic(), network.cpu_times()
    home_before, open_before = traffic.home, len(traffic.journeys) - traffic.home
    await offering
    ended, used = time.monotonic(), network.cpu_times() - cpu_before
    came_home, still_open = traffic.home - home_before, len(traffic.journeys) - traffic.home
    with contextlib.suppress(TimeoutError):  # what did not come home is a figure of its own
        await traffic.finished(timeout_seconds=DRAIN_SECONDS)
    journeys = [journey for key, journey in traffic.journeys.items() if key not in before]
    return Load(
        offered=rate,
        home_per_second=_home_per_second(list(traffic.journeys.values()), started, ended),
        backlog_growth_per_second=(still_open - open_before) / (ended - started),
        cpu_ms={kind: 1_000 * value / max(1, came_home) for kind, value in _by_kind(used).items()},
        other_work=max(0.0, used.busy - sum(_by_kind(used).values())) / (ended - started),
        idle=used.idle / (ended - started),
        journeys=tuple(journeys),
        lost=len(traffic.journeys) - traffic.home,
    )


def _by_kind(used: CpuTimes) -> dict[str, float]:
    return {**used.by_kind, LOAD_GENERATOR: used.own}


def _home_per_second(journeys: Iterable[Journey], started: float, ended: float) -> float:
    """Count receipts from block to block: what a second block brings is of the time since the first one."""
    total = 0.0
    for chain in (0, 1):
        blocks = Counter(
            journey.home
            for journey in journeys
            if journey.source == chain and journey.home is not None and started <= journey.home <= ended
        )
        seen = sorted(blocks)
        if len(seen) > 1:
            total += (sum(blocks.values()) - blocks[seen[0]]) / (seen[-1] - seen[0])
    return total


def _figures(rate: float, found: Sequence[Load]) -> dict[str, Figure]:
    name = f"offered {rate:g}"
    figures = {
        f"{name}: home": Figure.of([load.home_per_second for load in found], "packets/s"),
        f"{name}: held by": Figure(sum(load.is_held for load in found), f"of {len(found)} runs"),
        f"{name}: growth of the backlog": Figure.of([load.backlog_growth_per_second for load in found], "packets/s"),
        f"{name}: not home at the end": Figure.of([float(load.lost) for load in found], "packets"),
    }
    for share, label in ((0.5, "p50"), (0.99, "p99")):
        for home, what in ((False, "receive"), (True, "receipt at the source")):
            figures[f"{name}: send commit to {what}, {label}"] = Figure.of(
                [latency_of(load.journeys, share, home=home) for load in found], "s"
            )
    for kind in sorted({kind for load in found for kind in load.cpu_ms}):
        figures[f"{name}: CPU, {kind}"] = Figure.of([load.cpu_ms.get(kind, 0.0) for load in found], "ms/packet")
    figures[f"{name}: CPU, all of it"] = Figure.of([sum(load.cpu_ms.values()) for load in found], "ms/packet")
    figures[f"{name}: CPUs that other work used"] = Figure.of([load.other_work for load in found], "CPUs")
    figures[f"{name}: CPUs idle"] = Figure.of([load.idle for load in found], "CPUs")
    return figures


def _line(load: Load) -> str:
    cpu = ", ".join(f"{kind} {value:.2f}" for kind, value in sorted(load.cpu_ms.items(), key=lambda item: -item[1]))
    return (
        f"offered {load.offered:g}: {load.home_per_second:.0f} home/s{'' if load.is_held else ' (not held)'}, "
        f"receive p50 {latency_of(load.journeys, 0.5):.1f} s, receipt {latency_of(load.journeys, 0.5, home=True):.1f} "
        f"s; CPU ms/packet {sum(load.cpu_ms.values()):.2f}: {cpu}; other work {load.other_work:.1f} CPUs, idle "
        f"{load.idle:.1f}"
    )
