"""What every seed must keep, and what a run over many seeds must have seen."""

from collections import Counter
from collections.abc import Iterable

from testkit.simulation.domain import Outcome, simulate

SEEDS = 2_000
"""Seeds that `make test` runs."""
FILES = 8
"""Test files that share them: pytest-xdist gives each of its workers a file at a time."""

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


def check_share(share: int) -> None:
    """Run the seeds of one of the files; each share must have seen everything."""
    seeds = range(share * SEEDS // FILES, (share + 1) * SEEDS // FILES)
    counts = check(map(simulate, seeds))
    missing = [name for name in MUST_HAPPEN if not counts[name]]
    assert not missing, f"never happened in seeds {seeds.start} to {seeds.stop - 1}: {missing}"
