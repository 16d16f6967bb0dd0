"""Looks for a planted bug: ``python -m planted.search [NAME] [SEEDS]`` prints the first seed that finds each."""

import sys
from concurrent.futures import ProcessPoolExecutor, as_completed

from planted.bug import PlantedBug
from planted.catalogue import CATALOGUE
from testkit.simulation.domain import Outcome, simulate
from testkit.simulation.plan import make_plan

SEEDS_MAX = 1_000
"""Within so many seeds a bug must be found."""


def run_with(bug: PlantedBug, seed: int) -> Outcome:
    """Run one simulation with a bug in it."""
    with bug.plant():
        return simulate(seed)


def finds(bug: PlantedBug, outcome: Outcome) -> bool:
    """Tell whether a simulation has found a bug, and by a check that is meant to."""
    return bool(outcome.invariants & bug.noticed_by)


def search(bug: PlantedBug, seeds: range) -> Outcome | None:
    """Return the first outcome that finds the bug."""
    for seed in seeds:
        if bug.noticed_by == {"I13"} and make_plan(seed).adversary:
            continue  # liveness is not judged there
        outcome = run_with(bug, seed)
        if finds(bug, outcome):
            return outcome
    return None


def _report(task: tuple[str, int]) -> str:
    name, seeds = task
    bug = next(bug for bug in CATALOGUE if bug.name == name)
    outcome = search(bug, range(seeds))
    if outcome is None:
        return f"NOT FOUND  {name} in {seeds} seeds"
    return f"{outcome.seed:5d}  {name}  [{', '.join(sorted(outcome.invariants))}]  {outcome.findings[0]}"


def main() -> None:
    """Search for all bugs, or for those whose names contain a text."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    seeds = int(sys.argv[2]) if len(sys.argv) > 2 else SEEDS_MAX
    with ProcessPoolExecutor(2) as pool:
        tasks = [pool.submit(_report, (bug.name, seeds)) for bug in CATALOGUE if wanted in bug.name]
        for task in as_completed(tasks):
            print(task.result(), flush=True)


if __name__ == "__main__":
    main()
