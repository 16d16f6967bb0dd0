"""Every planted bug is found at the seed of the table, by an invariant that is meant to notice it."""

import pytest

from planted.bug import PlantedBug
from planted.catalogue import CATALOGUE
from planted.search import SEEDS_MAX, finds, run_with


@pytest.mark.slow
@pytest.mark.parametrize("bug", CATALOGUE, ids=lambda bug: bug.name)
def test_planted_bug_is_found(bug: PlantedBug) -> None:
    outcome = run_with(bug, bug.seed)
    assert finds(bug, outcome), (
        f"seed {bug.seed} does not find it: {[str(finding) for finding in outcome.findings[:5]]}; look for another "
        f'seed: PYTHONPATH=tests python -m planted.search "{bug.name}"'
    )


def test_the_catalogue_is_large_enough_and_every_bug_is_found_within_the_promised_seeds() -> None:
    assert len(CATALOGUE) >= 30
    assert len({bug.name for bug in CATALOGUE}) == len(CATALOGUE)
    assert all(bug.noticed_by for bug in CATALOGUE)
    assert all(bug.seed < SEEDS_MAX for bug in CATALOGUE)
