"""The table of all benchmarks. Whoever adds one adds a line here; nothing registers itself."""

from bench import governors, network_scenarios, relay_alone
from bench.benchmark import Benchmark
from bench.micro import primitives

BENCHMARKS: tuple[Benchmark, ...] = (
    Benchmark("primitives", "What does each primitive on a packet's road cost?", primitives.measure),
    Benchmark("governors", "What does the governor key cost its holders, made and used?", governors.measure),
    Benchmark("relay-alone", "How many packets can one relay chain verify and endorse?", relay_alone.measure),
    Benchmark(
        "throughput",
        "What comes home of an offered rate, and what CPU does each process need?",
        network_scenarios.throughput,
        by_shape=True,
    ),
    Benchmark("latency", "How far above the floor is a packet at low load?", network_scenarios.latency, by_shape=True),
    Benchmark(
        "backlog",
        "How soon is a backlog worked off, and does live traffic wait for it?",
        network_scenarios.backlog,
        by_shape=True,
    ),
)
