"""How soon a backlog is worked off, and what live traffic beside it takes against the same traffic alone."""

import asyncio
import contextlib
import time
from dataclasses import dataclass

import aiohttp

from bench.benchmark import Figure, Measured, Options, Plot
from bench.network import BenchNetwork
from bench.scenario import latency_of, network_of, progress, shared_notes
from bench.traffic import Journey, Traffic

BACKLOG = 5_000
LIVE_RATE = 8.0
"""Live packets per second."""
CALM_SECONDS = 15.0
"""How long live traffic is alone, before and after."""
DRAIN_SECONDS = 90.0
_PORTIONS = 10
"""The backlog is sent in so many parts, as blocks have room."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """One run."""

    received_seconds: float
    home_seconds: float
    calm: tuple[Journey, ...]
    """Live traffic alone, before and after."""
    live: tuple[Journey, ...]
    """Live traffic until the last of the backlog was received."""
    waiting: tuple[Journey, ...]
    started: float


def backlog(options: Options) -> Measured:
    """Let packets pile up while the gateway is down, then start it, with live traffic beside."""
    found = []
    for run in range(options.runs):
        with network_of(options) as network:
            found.append(asyncio.run(_backlog(network)))
            print(f"  run {run + 1}: {_line(found[-1])}", flush=True)
    calm = [latency_of(item.calm, 0.99) for item in found]
    live = [latency_of(item.live, 0.99) for item in found]
    last = found[-1]
    return Measured(
        {
            "backlog": Figure(BACKLOG, "packets"),
            "gateway start until the last of the backlog is received": Figure.of(
                [item.received_seconds for item in found], "s"
            ),
            "gateway start until the last receipt is home": Figure.of([item.home_seconds for item in found], "s"),
            "live packets alone, send commit to receive, p50": Figure.of(
                [latency_of(item.calm, 0.5) for item in found], "s"
            ),
            "live packets alone, send commit to receive, p99": Figure.of(calm, "s"),
            "live packets beside the backlog, p50": Figure.of([latency_of(item.live, 0.5) for item in found], "s"),
            "live packets beside the backlog, p99": Figure.of(live, "s"),
            "live p99, beside the backlog over alone": Figure.of(
                [beside / alone for beside, alone in zip(live, calm, strict=True)], "ratio"
            ),
        },
        Plot(
            f"{BACKLOG} packets met at start, {options.parachain_kind} parachains, {options.engine} relay chain",
            "seconds since the gateway was started",
            "packets of the backlog so far",
            tuple(progress(last.waiting, last.started, name) for name in ("received", "home")),
        ),
        [
            *shared_notes(options),
            f"live traffic of {LIVE_RATE:g} packets/s, alone for {CALM_SECONDS:g} s before and after, and beside the "
            "backlog from when the gateway says that it is healthy until the last of the backlog is received; what was "
            "sent while it was down belongs to the backlog",
        ],
    )


async def _backlog(network: BenchNetwork) -> Backlog:
    gateway = next(item["name"] for item in network.document["processes"] if item["role"] == "gateway")
    async with Traffic(network) as traffic:
        traffic.sign(BACKLOG + int(LIVE_RATE * (2 * CALM_SECONDS + 2 * DRAIN_SECONDS)) + 10)
        before = await _calm(traffic)
        network.stop(gateway)
        for _ in range(_PORTIONS):
            await traffic.submit(BACKLOG // _PORTIONS)
            await asyncio.sleep(1.5)
        waiting = [journey for journey in traffic.journeys.values() if journey.home is None]
        while any(journey.sent is None for journey in waiting):  # noqa: ASYNC110 - chains are polled
            await asyncio.sleep(0.2)
        known = set(traffic.journeys)
        started = time.monotonic()
        await asyncio.to_thread(network.start, gateway)
        await _healthy(network.document["gateways"][0]["status_url"])
        live = asyncio.create_task(traffic.submit_at(LIVE_RATE, 2 * DRAIN_SECONDS))
        async with asyncio.timeout(2 * DRAIN_SECONDS):
            while any(journey.received is None for journey in waiting):  # noqa: ASYNC110 - chains are polled
                await asyncio.sleep(0.05)
            received = max(journey.received or 0.0 for journey in waiting)
            while any(journey.home is None for journey in waiting):  # noqa: ASYNC110 - chains are polled
                await asyncio.sleep(0.05)
        live.cancel()
        await asyncio.gather(live, return_exceptions=True)
        await traffic.finished(timeout_seconds=DRAIN_SECONDS)
        meanwhile = [
            journey
            for key, journey in traffic.journeys.items()
            if key not in known and journey.sent is not None and journey.sent < received
        ]
        after = await _calm(traffic)
        return Backlog(
            received - started,
            max(journey.home or 0.0 for journey in waiting) - started,
            (*before, *after),
            tuple(meanwhile),
            tuple(waiting),
            started,
        )


async def _calm(traffic: Traffic) -> list[Journey]:
    before = set(traffic.journeys)
    await traffic.submit_at(LIVE_RATE, CALM_SECONDS)
    await traffic.finished(timeout_seconds=DRAIN_SECONDS)
    return [journey for key, journey in traffic.journeys.items() if key not in before]


async def _healthy(url: str) -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{url}/health") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.05)


def _line(item: Backlog) -> str:
    calm, live = latency_of(item.calm, 0.99), latency_of(item.live, 0.99)
    return (
        f"received {item.received_seconds:.1f} s after the start, home {item.home_seconds:.1f} s; live p99 "
        f"{live:.2f} s beside it ({len(item.live)} packets), {calm:.2f} s alone: {live / calm:.2f} times"
    )
