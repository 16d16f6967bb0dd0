"""Every planted bug is found, by an invariant that is meant to notice it."""

import pytest

from planted.bug import PlantedBug
from planted.catalogue import CATALOGUE
from planted.search import SEEDS_MAX, search

TRIES = 60
"""Seeds that are tried for each bug, from the one of the table on."""


# A simulation that a bug keeps from ending is cut off in the middle, and what ran then ends without its event loop.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
@pytest.mark.parametrize("bug", CATALOGUE, ids=lambda bug: bug.name)
def test_planted_bug_is_found(bug: PlantedBug) -> None:
    outcome = search(bug, range(bug.seed, bug.seed + TRIES))
    assert outcome is not None, (
        f"not found by seeds {bug.seed} to {bug.seed + TRIES - 1}; look for a better one to begin with: "
        f'PYTHONPATH=tests python -m planted.search "{bug.name}"'
    )


def test_the_catalogue_is_large_enough_and_every_bug_is_found_within_the_promised_seeds() -> None:
    assert len(CATALOGUE) >= 30
    assert len({bug.name for bug in CATALOGUE}) == len(CATALOGUE)
    assert all(bug.noticed_by for bug in CATALOGUE)
    assert all(bug.seed + TRIES <= SEEDS_MAX for bug in CATALOGUE)
