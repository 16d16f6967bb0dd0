"""Benchmarks of whole networks of real processes: throughput with CPU by process, latency over the floor, backlog."""

import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from bench.benchmark import Figure, Measured, Options, Plot, Series
from bench.network import BenchNetwork, Shape, by_role
from bench.traffic import Journey, Traffic, percentile
from piebridge.chains.cometbft_rpc import CometBftRpc
from piebridge.crypto.signature import sign_recoverable
from piebridge.protocol_stack.relay_messages import UpdateClient, make_transaction

WARM_UP_SECONDS = 6.0
DRAIN_SECONDS = 90.0
LOW_RATE = 4.0
"""Packets per second at low load."""
REACTION_SECONDS = 0.02
"""What the floor grants a gateway for each of its reactions."""
BACKLOG = 5_000
IDLE_SAMPLES = 12


@contextlib.contextmanager
def _network(options: Options) -> Iterator[BenchNetwork]:
    shape = Shape(options.parachain_kind, options.engine)
    depth = ["--anvil-depth", str(options.anvil_depth)]
    with (
        tempfile.TemporaryDirectory(prefix="piebridge-bench-") as folder,
        BenchNetwork(shape, Path(folder) / "network", options.port_base, depth) as network,
    ):
        yield network


def _shared_notes(options: Options) -> list[str]:
    return [
        f"{options.parachain_kind} parachains, relay chain on the {options.engine} engine with 4 validators, one "
        "gateway process; records of 64 bytes sent one by one, in both directions, receipts wanted",
        f"finality depth of anvil chains: {options.anvil_depth}",
        "everything runs on this one machine, the load generator too; a network is started anew for each run",
    ]


# --- throughput -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Load:
    """One run under an offered rate."""

    home_per_second: float
    backlog_growth_per_second: float
    cpu_ms_by_role: dict[str, float]
    """CPU milliseconds from the first packet to the last receipt, per packet that came home."""
    journeys: tuple[Journey, ...]
    started: float
    lost: int


def throughput(options: Options) -> Measured:
    """Offer a rate, and count what comes home while it is offered."""
    loads = []
    for _ in range(options.runs):
        with _network(options) as network:
            loads.append(asyncio.run(_load(network, options)))
    roles = sorted({role for load in loads for role in load.cpu_ms_by_role})
    figures = {
        "offered": Figure(options.rate, "packets/s"),
        "sent, received and receipt home": Figure.of([load.home_per_second for load in loads], "packets/s"),
        "growth of the backlog": Figure.of([load.backlog_growth_per_second for load in loads], "packets/s"),
        "not home at the end": Figure.of([float(load.lost) for load in loads], "packets"),
        "send commit to receive, p50": Figure.of([_latency(load.journeys, 0.5) for load in loads], "s"),
        "send commit to receipt at the source, p50": Figure.of(
            [_latency(load.journeys, 0.5, home=True) for load in loads], "s"
        ),
    }
    for role in roles:
        figures[f"CPU of {role} processes"] = Figure.of(
            [load.cpu_ms_by_role.get(role, 0.0) for load in loads], "ms/packet"
        )
    last = loads[-1]
    return Measured(
        figures,
        Plot(
            f"{options.rate:g} packets/s offered, {options.parachain_kind} parachains, {options.engine} relay chain",
            "seconds since the first was offered",
            "packets so far",
            tuple(_progress(last.journeys, last.started, name) for name in ("submitted", "received", "home")),
        ),
        _shared_notes(options),
    )


async def _load(network: BenchNetwork, options: Options) -> _Load:
    async with Traffic(network) as traffic:
        traffic.sign(int(options.rate * options.seconds) + 10)
        started, cpu_before = time.monotonic(), network.cpu_seconds()
        offering = asyncio.create_task(traffic.submit_at(options.rate, options.seconds))
        await asyncio.sleep(WARM_UP_SECONDS)
        home_before, open_before = traffic.home, len(traffic.journeys) - traffic.home
        window = time.monotonic()
        await offering
        seconds = time.monotonic() - window
        home, still_open = traffic.home, len(traffic.journeys) - traffic.home
        with contextlib.suppress(TimeoutError):  # what did not come home is a figure of its own
            await traffic.finished(timeout_seconds=DRAIN_SECONDS)
        cpu_after, came_home = network.cpu_seconds(), max(1, traffic.home)
        used = by_role(network, {name: cpu_after[name] - cpu_before[name] for name in cpu_after})
        return _Load(
            (home - home_before) / seconds,
            (still_open - open_before) / seconds,
            {role: 1_000 * value / came_home for role, value in used.items()},
            tuple(traffic.journeys.values()),
            started,
            len(traffic.journeys) - traffic.home,
        )


def _progress(journeys: Sequence[Journey], started: float, name: str) -> Series:
    times = sorted(time for journey in journeys if (time := getattr(journey, name)) is not None)
    step = max(1, len(times) // 100)
    return Series(
        name, tuple((round(at - started, 2), float(count)) for count, at in list(enumerate(times, 1))[::step])
    )


def _latency(journeys: Sequence[Journey], share: float, *, home: bool = False) -> float:
    took = [
        (journey.home if home else journey.received) - journey.sent  # type: ignore[operator]
        for journey in journeys
        if journey.sent is not None and (journey.home if home else journey.received) is not None
    ]
    return percentile(took, share) if took else float("nan")


# --- latency ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Idle:
    """What an idle network gives: the parts of the floor."""

    block_seconds: float
    """Interval of the parachains' blocks."""
    relay_commit_seconds: float
    """From handing a lone transaction to the relay chain until it is in a block there."""
    finality_seconds: float
    """From a parachain's block until the relay chain may be shown it."""


@dataclass(frozen=True, slots=True)
class _Latency:
    idle: _Idle
    receive: dict[float, float]
    home: dict[float, float]
    floor_receive: float
    floor_home: float


def latency(options: Options) -> Measured:
    """Send a packet now and then, and compare with the floor of the same network when idle."""
    found = []
    for _ in range(options.runs):
        with _network(options) as network:
            found.append(asyncio.run(_low_load(network, options)))
    figures = {
        "interval of parachain blocks": Figure.of([item.idle.block_seconds for item in found], "s"),
        "idle relay chain, transaction to block": Figure.of([item.idle.relay_commit_seconds for item in found], "s"),
        "finality of parachain blocks": Figure.of([item.idle.finality_seconds for item in found], "s"),
        "floor, send commit to receive": Figure.of([item.floor_receive for item in found], "s"),
        "floor, send commit to receipt at the source": Figure.of([item.floor_home for item in found], "s"),
    }
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        receive, home = [item.receive[share] for item in found], [item.home[share] for item in found]
        figures[f"send commit to receive, {name}"] = Figure.of(receive, "s")
        figures[f"send commit to receipt at the source, {name}"] = Figure.of(home, "s")
        figures[f"receive over the floor, {name}"] = Figure.of(
            [value / item.floor_receive for value, item in zip(receive, found, strict=True)], "ratio"
        )
        figures[f"receipt over the floor, {name}"] = Figure.of(
            [value / item.floor_home for value, item in zip(home, found, strict=True)], "ratio"
        )
    return Measured(
        figures,
        notes=[
            *_shared_notes(options),
            f"{LOW_RATE:g} packets/s for {options.seconds:g} s; a chain's block counts from when this process saw it",
            "the floor is computed packet by packet from the blocks that were really made, so that the phase between "
            "the chains' blocks is in it: the first block of the destination that begins after the send's block, its "
            "finality, twice the reaction of a gateway (0.02 s each) and the idle relay chain's time to a block; the "
            "receipt the same way back. Medians of both are compared",
        ],
    )


async def _low_load(network: BenchNetwork, options: Options) -> _Latency:
    async with Traffic(network) as traffic:
        count = int(LOW_RATE * options.seconds)
        traffic.sign(count + 60)
        relay_commit = await _relay_commit_seconds(network)
        await asyncio.sleep(3.5)
        block_seconds = statistics.median(traffic.block_intervals())
        depth = int(network.document["chains"][0]["finality_depth"])
        light_client = network.document["chains"][0]["verification"] == "spv"
        # A light client proves a block by the header behind it.
        idle = _Idle(block_seconds, relay_commit, (depth + light_client) * block_seconds)
        await traffic.submit_at(LOW_RATE, options.seconds)
        await traffic.finished(timeout_seconds=DRAIN_SECONDS)
        await asyncio.sleep(2.5)
        ways = [way for journey in traffic.journeys.values() if (way := _floors(traffic, journey, idle)) is not None]
        journeys = list(traffic.journeys.values())
        return _Latency(
            idle,
            {share: _latency(journeys, share) for share in (0.5, 0.99)},
            {share: _latency(journeys, share, home=True) for share in (0.5, 0.99)},
            statistics.median(there for there, _ in ways),
            statistics.median(back for _, back in ways),
        )


def _floors(traffic: Traffic, journey: Journey, idle: _Idle) -> tuple[float, float] | None:
    """Seconds from a packet's send commit to the earliest block that could have received it, and to the receipt's."""
    if journey.sent is None:
        return None
    pass_seconds = idle.finality_seconds + 2 * REACTION_SECONDS + idle.relay_commit_seconds
    received = traffic.first_block_after(1 - journey.source, journey.sent + pass_seconds)
    if received is None:
        return None
    home = traffic.first_block_after(journey.source, received + pass_seconds)
    return None if home is None else (received - journey.sent, home - journey.sent)


async def _relay_commit_seconds(network: BenchNetwork) -> float:
    """Time lone transactions: refused ones of a stranger, which cost a block and nothing else."""
    relay = network.document["relay_chains"][0]
    rpc = CometBftRpc(relay["validators"][0]["rpc_url"])
    key, samples = network.user_key(), []
    try:
        for salt in range(IDLE_SAMPLES):
            await asyncio.sleep(0.7)
            height = (await rpc.status()).height
            transaction = make_transaction(
                UpdateClient(1, (b"\x00",)),
                int(network.document["domain"]["id"]),
                relay["id"],
                height + 100,
                salt,
                lambda digest: sign_recoverable(digest, key),
            )
            started = time.monotonic()
            transaction_hash = await rpc.broadcast(transaction.encode())
            while await rpc.transaction(transaction_hash) is None:  # noqa: ASYNC110 - chains are polled
                await asyncio.sleep(0.005)
            samples.append(time.monotonic() - started)
    finally:
        await rpc.close()
    return statistics.median(samples)


# --- backlog ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Backlog:
    received_seconds: float
    home_seconds: float
    calm_p99: float
    live_p99: float
    journeys: tuple[Journey, ...]
    started: float
    live: tuple[Journey, ...] = ()


def backlog(options: Options) -> Measured:
    """Let packets pile up while the gateway is down, then start it, with live traffic beside."""
    found = []
    for _ in range(options.runs):
        with _network(options) as network:
            found.append(asyncio.run(_backlog(network)))
    figures = {
        "backlog": Figure(BACKLOG, "packets"),
        "gateway start until the last of the backlog is received": Figure.of([i.received_seconds for i in found], "s"),
        "gateway start until the last receipt is home": Figure.of([i.home_seconds for i in found], "s"),
        "live packets before, send commit to receive, p99": Figure.of([i.calm_p99 for i in found], "s"),
        "live packets meanwhile, send commit to receive, p99": Figure.of([i.live_p99 for i in found], "s"),
        "live p99, meanwhile over before": Figure.of([i.live_p99 / i.calm_p99 for i in found], "ratio"),
    }
    last = found[-1]
    return Measured(
        figures,
        Plot(
            f"{BACKLOG} packets met at start, {options.parachain_kind} parachains, {options.engine} relay chain",
            "seconds since the gateway was started",
            "packets of the backlog so far",
            tuple(_progress(last.journeys, last.started, name) for name in ("received", "home")),
        ),
        [
            *_shared_notes(options),
            f"live traffic of {LOW_RATE:g} packets/s before and, from when the gateway says that it is healthy, "
            "meanwhile; what was sent before belongs to the backlog",
        ],
    )


async def _backlog(network: BenchNetwork) -> _Backlog:
    gateway = next(item["name"] for item in network.document["processes"] if item["role"] == "gateway")
    async with Traffic(network) as traffic:
        traffic.sign(BACKLOG + 1_000)
        await traffic.submit_at(LOW_RATE, 20)
        await traffic.finished(timeout_seconds=DRAIN_SECONDS)
        calm = list(traffic.journeys.values())
        network.stop(gateway)
        for _ in range(10):  # blocks have room for so many at a time
            await traffic.submit(BACKLOG // 10)
            await asyncio.sleep(1.5)
        waiting = [journey for journey in traffic.journeys.values() if journey.home is None]
        while any(journey.sent is None for journey in waiting):  # noqa: ASYNC110 - chains are polled
            await asyncio.sleep(0.2)
        known = set(traffic.journeys)
        started = time.monotonic()
        await asyncio.to_thread(network.start, gateway)
        await _healthy(network.document["gateways"][0]["status_url"])
        live = asyncio.create_task(traffic.submit_at(LOW_RATE, DRAIN_SECONDS))
        async with asyncio.timeout(2 * DRAIN_SECONDS):
            while any(journey.received is None for journey in waiting):  # noqa: ASYNC110 - chains are polled
                await asyncio.sleep(0.05)
            received = max(journey.received or 0.0 for journey in waiting)
            while any(journey.home is None for journey in waiting):  # noqa: ASYNC110 - chains are polled
                await asyncio.sleep(0.05)
        live.cancel()
        await asyncio.gather(live, return_exceptions=True)
        meanwhile = [
            journey
            for key, journey in traffic.journeys.items()
            if key not in known and journey.sent is not None and journey.sent < received
        ]
        await asyncio.sleep(10)
        return _Backlog(
            received - started,
            max(journey.home or 0.0 for journey in waiting) - started,
            _latency(calm, 0.99),
            _latency(meanwhile, 0.99),
            tuple(waiting),
            started,
            tuple(meanwhile),
        )


async def _healthy(url: str) -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{url}/health") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.05)
