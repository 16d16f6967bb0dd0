"""What a benchmark is, and the form in which its figures are kept."""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

_PACKAGES = ("aiohttp", "coincurve", "orjson", "py-evm", "safe-pysha3", "uvloop")
"""Libraries on the hot paths, whose versions belong to a result."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number."""

    value: float
    """The number: the median where it was measured more than once."""

    unit: str
    """Its unit, for example `us`, `packets/s`, `gas`."""

    lowest: float | None = None
    """Lowest of the runs; None where there was one."""

    highest: float | None = None
    """Highest of the runs; None where there was one."""

    runs: int = 1
    """How often it was measured."""

    @classmethod
    def of(cls, samples: Sequence[float], unit: str) -> "Figure":
        """Return median and range of the runs."""
        return cls(statistics.median(samples), unit, min(samples), max(samples), len(samples))


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a plot."""

    name: str
    """What it shows."""

    points: tuple[tuple[float, float], ...]
    """x and y."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture of a result."""

    title: str
    """What it shows, in one line."""

    x_label: str
    """Axis with its unit."""

    y_label: str
    """Axis with its unit."""

    series: tuple[Series, ...]
    """Its lines."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a benchmark found."""

    figures: Mapping[str, Figure]
    """At least one, by name."""

    plot: Plot | None = None
    """Drawn beside the file of results."""

    notes: Sequence[str] = field(default=())
    """What a reader of the figures must know."""


@dataclass(frozen=True, slots=True)
class Options:
    """What may be chosen on the command line."""

    engine: str = "embedded"
    """Engine of the relay chain: ``embedded`` or ``cometbft``."""

    parachain_kind: str = "anvil"
    """Parachains: ``anvil`` or ``embedded``."""

    runs: int = 3
    """How often each thing is measured, in turn with the others."""

    rates: tuple[float, ...] = (150.0, 200.0, 250.0, 300.0)
    """Packets offered per second where rates are offered."""

    seconds: float = 20.0
    """How long a rate is offered."""

    anvil_depth: int = 1
    """Finality depth of anvil chains, blocks."""

    port_base: int = 24_000
    """First port of networks."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One entry of the table in `bench.benchmarks`."""

    name: str
    """Lower case, words joined by hyphens; also the name of the file of results."""

    question: str
    """What the figures answer, in one line."""

    measure: Callable[[Options], Measured]
    """Measures."""

    by_shape: bool = False
    """Whether engine and kind of parachain belong to the name of the result."""


def seconds_per_call(call: Callable[[], object], *, repetitions: int, calls: int) -> float:
    """Returns the median over `repetitions` of the time of one call, each repetition timing `calls` calls in a row."""
    samples = []
    for _ in range(repetitions):
        started = time.perf_counter()
        for _ in range(calls):
            call()
        samples.append((time.perf_counter() - started) / calls)
    return statistics.median(samples)


def run(benchmark: Benchmark, options: Options, *, commit: str, folder: Path) -> Measured:
    """Measures and writes `folder/<name>.json`, and a picture beside it where there is one.

    Raises:
        ValueError: the benchmark returned no figure.
    """
    load_before = os.getloadavg()[0]
    started = time.monotonic()
    measured = benchmark.measure(options)
    if not measured.figures:
        raise ValueError(f"benchmark {benchmark.name} measured nothing")
    folder.mkdir(parents=True, exist_ok=True)
    name = benchmark.name
    if benchmark.by_shape:
        name = f"{name}-{options.parachain_kind}-{options.engine}"
        if options.anvil_depth != Options().anvil_depth:
            name += f"-depth-{options.anvil_depth}"
    result = {
        "version": 2,
        "name": name,
        "question": benchmark.question,
        "commit": commit,
        "command": f"python -m bench {' '.join(sys.argv[1:])}".strip(),
        "options": asdict(options),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "duration_seconds": round(time.monotonic() - started, 1),
        "machine": machine(),
        "load_average_before": round(load_before, 2),
        "versions": versions(),
        "notes": list(measured.notes),
        "figures": {key: asdict(figure) for key, figure in measured.figures.items()},
        "plot": None if measured.plot is None else asdict(measured.plot),
    }
    (folder / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    if measured.plot is not None:
        from bench.plotting import draw

        draw(measured.plot, folder / f"{name}.svg")
    return measured


def machine() -> dict[str, object]:
    """Describe this machine."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": _cpu_model(),
        "cpus": os.cpu_count(),
        "memory_gib": round(memory_bytes / (1 << 30), 1),
        "system": f"{platform.system()} {platform.release()}",
    }


def versions() -> dict[str, str]:
    """Versions of what figures depend on."""
    found = {"python": platform.python_version()}
    found |= {name: metadata.version(name) for name in _PACKAGES}
    for program, arguments in (("anvil", ["--version"]), ("cometbft", ["version"])):
        try:
            done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=20, check=True)
        except (OSError, subprocess.SubprocessError):
            continue  # not installed: no figure depends on it
        found[program] = done.stdout.splitlines()[0].strip()
    return found


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
