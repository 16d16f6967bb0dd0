"""Fixtures of the security tests: a fresh copy of one prepared hub for every test."""

import pytest

from testkit.world.bench import HubBench


@pytest.fixture(scope="session")
def bench_template() -> HubBench:
    return HubBench.build()


@pytest.fixture
def bench(bench_template: HubBench) -> HubBench:
    return bench_template.fork()


@pytest.fixture
def queue_bench() -> HubBench:
    return HubBench.build(queue=True)
