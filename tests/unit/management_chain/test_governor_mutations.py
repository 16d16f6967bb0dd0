"""One bad value in any round of any ceremony: its maker is named, nobody else is, and what must be made is made."""

from collections import Counter

import pytest

from piebridge.crypto.threshold.sharing import Sharing
from piebridge.management_chain.governor import sharing_rounds
from piebridge.management_chain.governor.posts import PostKind
from piebridge.management_chain.governor.signing_rounds import SigningRounds
from testkit.governor_mutations import MUTATIONS, MutatedRun

RUNS = 1_000


def run_all(seeds: range) -> Counter[str]:
    """Returns what was struck, and how often."""
    struck: Counter[str] = Counter()
    for seed in seeds:
        run = MutatedRun(seed)
        run.run()
        struck[f"{run.ceremony.name} {run.post.name}"] += 1
        struck[f"{run.post.name} {run.mutation.__name__}"] += 1
    return struck


def test_row_38_some_mutated_runs() -> None:
    assert sum(run_all(range(20_000, 20_015)).values()) == 30


@pytest.mark.slow
def test_row_38_thousand_mutated_runs() -> None:
    struck = run_all(range(RUNS))
    assert sum(struck.values()) == 2 * RUNS
    for post, mutations in MUTATIONS.items():
        for mutation in mutations:
            assert struck[f"{post.name} {mutation.__name__}"], f"{post.name} {mutation.__name__} was never tried"
    assert len([name for name in struck if name.split()[0].isupper() and name.split()[1].isupper()]) == 17


def accept_every_complaint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sharing, "judge", lambda self, accuser, complaint, dealing: complaint.dealer)


def forget_proofs_of_transport_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing_rounds, "verify_transport_key", lambda *arguments: None)


def believe_every_dealing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sharing, "check_dealing", lambda self, dealer, dealing: None)


def blame_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SigningRounds, "_blame", lambda self, member, reason: None)


@pytest.mark.slow
@pytest.mark.parametrize(
    "plant",
    [accept_every_complaint, forget_proofs_of_transport_keys, believe_every_dealing, blame_nobody],
    ids=lambda plant: plant.__name__,
)
def test_planted_bug_is_noticed(monkeypatch: pytest.MonkeyPatch, plant: object) -> None:
    assert callable(plant)
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        run_all(range(150))


def test_every_kind_of_post_has_mutations() -> None:
    assert MUTATIONS.keys() == set(PostKind)
