"""The table of all benchmarks. Whoever adds one adds a line here; nothing registers itself."""

from bench.benchmark import Benchmark
from bench.micro import primitives

BENCHMARKS: tuple[Benchmark, ...] = (
    Benchmark("primitives", "What does each primitive on a packet's road cost?", primitives.measure),
)
