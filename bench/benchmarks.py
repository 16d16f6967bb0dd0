"""The table of all benchmarks. Whoever adds one adds a line here; nothing registers itself."""

from bench.benchmark import Benchmark

BENCHMARKS: tuple[Benchmark, ...] = ()
