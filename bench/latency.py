"""How far above the floor of an idle network a packet is at low load."""

import asyncio
import statistics
import time
from dataclasses import dataclass

from bench.benchmark import Figure, Measured, Options
from bench.network import BenchNetwork
from bench.scenario import latency_of, network_of, shared_notes
from bench.traffic import Journey, Traffic
from piebridge.chains.cometbft_rpc import CometBftRpc
from piebridge.crypto.signature import sign_recoverable
from piebridge.protocol_stack.relay_messages import UpdateClient, make_transaction

DRAIN_SECONDS = 90.0
LOW_RATE = 4.0
"""Packets per second at low load."""
REACTION_SECONDS = 0.02
"""What the floor grants a gateway for each of its reactions."""
IDLE_SAMPLES = 12


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
        with network_of(options) as network:
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
            *shared_notes(options),
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
            {share: latency_of(journeys, share) for share in (0.5, 0.99)},
            {share: latency_of(journeys, share, home=True) for share in (0.5, 0.99)},
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
