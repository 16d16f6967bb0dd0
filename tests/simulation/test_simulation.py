"""The domain as a whole: seeds of every mixture, with an adversary (safety) and without one (safety and liveness)."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from testkit.simulation.domain import simulate
from testkit.simulation.plan import make_plan
from testkit.simulation.promises import FILES, MUST_HAPPEN, check

ROOT = Path(__file__).resolve().parents[2]


def test_a_few_seeds_keep_every_promise() -> None:
    counts = check(map(simulate, range(6)))
    assert counts["executed"] > 0
    assert sum(counts[name] for name in MUST_HAPPEN[:18]) > 0


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


def test_every_share_of_the_seeds_has_its_file() -> None:
    shares = [path.stem.removeprefix("test_seeds_") for path in Path(__file__).parent.glob("test_seeds_*.py")]
    assert sorted(map(int, shares)) == list(range(FILES))
