"""Command line of the benchmarks; `make bench` calls it, with BENCH=name for one."""

import subprocess
import sys
from pathlib import Path

from bench.benchmark import run
from bench.benchmarks import BENCHMARKS

ROOT = Path(__file__).resolve().parents[1]


def main(names: list[str]) -> int:
    unknown = set(names) - {benchmark.name for benchmark in BENCHMARKS}
    chosen = [benchmark for benchmark in BENCHMARKS if not names or benchmark.name in names]
    if unknown or not chosen:
        there = ", ".join(benchmark.name for benchmark in BENCHMARKS) or "none"
        print(
            f"bench: nothing to measure: {' '.join(sorted(unknown)) or 'the table is empty'} (there are: {there})",
            file=sys.stderr,
        )
        return 1
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
    for benchmark in chosen:
        print(f"{benchmark.name}: {benchmark.question}")
        for name, figure in run(benchmark, commit=commit, folder=ROOT / "bench" / "results").items():
            print(f"  {name}: {figure.value:,.6g} {figure.unit}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
