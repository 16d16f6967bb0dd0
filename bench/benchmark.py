"""What a benchmark is, and the form in which its figures are kept."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number."""

    value: float
    """The number, a median unless the name says otherwise."""

    unit: str
    """Its unit, for example `us`, `packets/s`, `gas`."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One entry of the table in `bench.benchmarks`."""

    name: str
    """Lower case, words joined by hyphens; also the name of the file of results."""

    question: str
    """What the figures answer, in one line."""

    measure: Callable[[], Mapping[str, Figure]]
    """Measures; returns figure name -> figure, at least one."""


def seconds_per_call(call: Callable[[], object], *, repetitions: int, calls: int) -> float:
    """Returns the median over `repetitions` of the time of one call, each repetition timing `calls` calls in a row."""
    samples = []
    for _ in range(repetitions):
        started = time.perf_counter()
        for _ in range(calls):
            call()
        samples.append((time.perf_counter() - started) / calls)
    return statistics.median(samples)


def run(benchmark: Benchmark, *, commit: str, folder: Path) -> Mapping[str, Figure]:
    """Measures and writes `folder/<name>.json`.

    Raises:
        ValueError: the benchmark returned no figure.
    """
    figures = benchmark.measure()
    if not figures:
        raise ValueError(f"benchmark {benchmark.name} measured nothing")
    folder.mkdir(parents=True, exist_ok=True)
    result = {
        "version": 1,
        "name": benchmark.name,
        "question": benchmark.question,
        "commit": commit,
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"python": platform.python_version(), "system": platform.system(), "cpus": os.cpu_count()},
        "figures": {name: asdict(figure) for name, figure in figures.items()},
    }
    (folder / f"{benchmark.name}.json").write_text(json.dumps(result, indent=2) + "\n")
    return figures
