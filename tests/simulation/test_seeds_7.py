"""Share 7 of the seeds of the simulation; the others have files of their own, so that workers can share them."""

import pytest

from testkit.simulation.promises import check_share


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_seeds_keep_every_promise() -> None:
    check_share(7)
