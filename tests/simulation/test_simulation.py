"""The domain as a whole: seeds of every mixture, with an adversary (safety) and without one (safety and liveness)."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from testkit.simulation.domain import Outcome, simulate
from testkit.simulation.plan import make_plan

SEEDS = 320
ROOT = Path(__file__).resolve().parents[2]

MUST_HAPPEN = (
    "messages lost",
    "messages late",
    "messages doubled",
    "gateways killed",
    "databases lost",
    "partitions",
    "relay chains crashed in a block",
    "relay chains halted",
    "validators down",
    "endorsements falsified",
    "sets changed",
    "reorganisations",
    "nodes down",
    "nodes behind",
    "nodes hides",
    "nodes forges",
    "clocks moved",
    "notaries down",
    "adversary: repeat to hub",
    "adversary: out of order",
    "adversary: without bodies",
    "adversary: forge endorsement",
    "adversary: forge set",
    "adversary: forge statement",
    "adversary: prove status",
    "adversary: range in pieces",
    "executed",
    "aborted",
)
"""What a run over many seeds must have seen; each is counted where it takes effect."""


def check(outcomes: Iterable[Outcome]) -> Counter[str]:
    """Fail with the command that repeats the first bad seed; return what has happened in all of them."""
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        assert not outcome.findings, "\n".join(
            [*map(str, outcome.findings[:10]), f"repeat it with: make simulate SEED={outcome.seed}"]
        )
        assert outcome.counts.get("sent", 0), f"seed {outcome.seed} sent nothing, so it has tested nothing"
        counts.update(outcome.counts)
    return counts


def test_a_few_seeds_keep_every_promise() -> None:
    counts = check(map(simulate, range(6)))
    assert counts["executed"] > 0
    assert sum(counts[name] for name in MUST_HAPPEN[:18]) > 0


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_many_seeds_keep_every_promise() -> None:
    with ProcessPoolExecutor(max_workers=2) as pool:
        counts = check(pool.map(simulate, range(SEEDS), chunksize=10))
    missing = [name for name in MUST_HAPPEN if not counts[name]]
    assert not missing, f"never happened in {SEEDS} seeds: {missing}"


def digests(hash_seed: str, seeds: Iterable[int]) -> list[str]:
    """Digests of simulations in another process."""
    code = (
        "import json, sys; from testkit.simulation.domain import simulate; "
        "print(json.dumps([simulate(int(seed)).digest for seed in sys.argv[1:]]))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, seeds)],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    answer: list[str] = json.loads(done.stdout)
    return answer


@pytest.mark.slow
def test_same_seed_same_digest_whatever_the_hash_seed() -> None:
    seeds = range(12)
    first, second = digests("0", seeds), digests("4242", seeds)
    assert first == second
    assert len(set(first)) == len(seeds), "different seeds are different simulations"


def test_plans_differ_and_half_of_them_have_an_adversary() -> None:
    plans = [make_plan(seed) for seed in range(200)]
    assert sum(plan.adversary for plan in plans) == 100
    for name in ("parachains", "relays", "gateways", "retention_seconds", "liar", "token_cap", "network"):
        assert len({getattr(plan, name) for plan in plans}) > 1, f"{name} is always the same"
