"""What the benchmarks of whole networks share."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.benchmark import Options, Series
from bench.network import BenchNetwork, Shape
from bench.traffic import Journey, percentile


@contextlib.contextmanager
def network_of(options: Options) -> Iterator[BenchNetwork]:
    """Start a network, and end it again."""
    shape = Shape(options.parachain_kind, options.engine)
    depth = ["--anvil-depth", str(options.anvil_depth)]
    with (
        tempfile.TemporaryDirectory(prefix="piebridge-bench-") as folder,
        BenchNetwork(shape, Path(folder) / "network", options.port_base, depth) as network,
    ):
        yield network


def shared_notes(options: Options) -> list[str]:
    """Return what every reader must know."""
    return [
        f"{options.parachain_kind} parachains, relay chain on the {options.engine} engine with 4 validators, one "
        "gateway process; records of 64 bytes sent one by one, in both directions, receipts wanted",
        f"finality depth of anvil chains: {options.anvil_depth}",
        "everything runs on this one machine, the load generator too; a network is started anew for each run",
    ]


def progress(journeys: Sequence[Journey], started: float, name: str) -> Series:
    """Return how many packets had got so far by when."""
    times = sorted(time for journey in journeys if (time := getattr(journey, name)) is not None)
    step = max(1, len(times) // 100)
    return Series(
        name, tuple((round(at - started, 2), float(count)) for count, at in list(enumerate(times, 1))[::step])
    )


def latency_of(journeys: Sequence[Journey], share: float, *, home: bool = False) -> float:
    """Return the seconds from the send's block until a share of the packets was received, or its receipt home."""
    took = [
        (journey.home if home else journey.received) - journey.sent  # type: ignore[operator]
        for journey in journeys
        if journey.sent is not None and (journey.home if home else journey.received) is not None
    ]
    return percentile(took, share) if took else float("nan")
