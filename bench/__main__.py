"""Command line of the benchmarks; `make bench` calls it, with BENCH=name for one."""

import argparse
import subprocess
import sys
from pathlib import Path

from bench.benchmark import Options, run
from bench.benchmarks import BENCHMARKS

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: list[str]) -> int:
    names = [benchmark.name for benchmark in BENCHMARKS]
    standard = Options()
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure; see docs/guide/benchmarks.md.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(names)}; all without")
    parser.add_argument("--engine", choices=("embedded", "cometbft"), default=standard.engine)
    parser.add_argument("--parachain-kind", choices=("anvil", "embedded"), default=standard.parachain_kind)
    parser.add_argument("--runs", type=int, default=standard.runs)
    parser.add_argument("--rate", type=float, nargs="+", default=standard.rates)
    parser.add_argument("--seconds", type=float, default=standard.seconds)
    parser.add_argument("--anvil-depth", type=int, default=standard.anvil_depth)
    parser.add_argument("--port-base", type=int, default=standard.port_base)
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - set(names):
        parser.error(f"nothing to measure: {' '.join(sorted(unknown))} (there are: {', '.join(names)})")
    options = Options(
        engine=given.engine,
        parachain_kind=given.parachain_kind,
        runs=given.runs,
        rates=tuple(given.rate),
        seconds=given.seconds,
        anvil_depth=given.anvil_depth,
        port_base=given.port_base,
    )
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    for benchmark in BENCHMARKS:
        if given.names and benchmark.name not in given.names:
            continue
        print(f"{benchmark.name}: {benchmark.question}", flush=True)
        measured = run(benchmark, options, commit=commit, folder=ROOT / "bench" / "results")
        for name, figure in measured.figures.items():
            shown = "" if figure.lowest is None else f"  ({figure.lowest:,.4g} to {figure.highest:,.4g})"
            print(f"  {name}: {figure.value:,.4g} {figure.unit}{shown}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
