"""The simulation of a whole domain, and the search for planted bugs, on more seeds than `make test` has."""

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor

from planted.catalogue import CATALOGUE
from planted.search import SEEDS_MAX, search
from testkit.simulation.domain import simulate

SEEDS_OF_A_ROUND = 100
COUNTED = ("executed", "aborted", "gateways killed", "messages lost", "reorganisations", "adversary: forge endorsement")


def run_round(seed: int) -> Mapping[str, int]:
    """Simulates a hundred domains from fresh seeds."""
    first = seed % 2**48
    counts: Counter[str] = Counter()
    with ProcessPoolExecutor(max_workers=2) as pool:
        for outcome in pool.map(simulate, range(first, first + SEEDS_OF_A_ROUND), chunksize=5):
            if outcome.findings:
                raise AssertionError(f"make simulate SEED={outcome.seed}: {outcome.findings[0]}")
            counts.update(outcome.counts)
    return {"seeds": SEEDS_OF_A_ROUND, **{name: counts[name] for name in COUNTED}}


def find_planted(seed: int) -> Mapping[str, int]:
    """Looks for one planted bug, another one each time, on seeds that nobody has chosen for it."""
    bug = CATALOGUE[seed % len(CATALOGUE)]
    first = seed % 2**48 // 2 * 2
    outcome = search(bug, range(first, first + SEEDS_MAX))
    if outcome is None:
        raise AssertionError(f"planted bug not found in {SEEDS_MAX} seeds from {first}: {bug.name}")
    return {"bugs found": 1, "seeds": outcome.seed - first + 1}
