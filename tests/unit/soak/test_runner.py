import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from soak import progress as saved
from soak.campaign import Campaign, round_seed
from soak.progress import Progress
from soak.runner import SoakError, commit_of, run_rounds, soak
from testkit.toolchain import require_tool


class RecordingCampaign:
    """Counts packets; can fail or be interrupted in one round."""

    def __init__(
        self, name: str, *, packets: int = 3, raise_in_round: int = -1, error: BaseException | None = None
    ) -> None:
        self.seeds: list[int] = []
        self.packets = packets
        self.raise_in_round = raise_in_round
        self.error = error
        self.campaign = Campaign(name, "for the tests of the runner", self.run_round, counted=("packets",))

    def run_round(self, seed: int) -> Mapping[str, int]:
        if self.error is not None and len(self.seeds) == self.raise_in_round:
            raise self.error
        self.seeds.append(seed)
        return {"packets": self.packets}


class SteppingClock:
    """Moves on by one second with every reading, so that each round takes one second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    (root / "file").write_text("one")
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.com"]
    for arguments in (["init", "-q"], ["add", "file"], [*identity, "commit", "-qm", "one"]):
        subprocess.run([require_tool("git"), *arguments], cwd=root, check=True)
    return root


def run(campaigns: list[Campaign], root: Path, *, minutes: float = 0.0, seed: int = 7) -> list[dict[str, object]]:
    """Runs one soak and returns the lines of the ledger, also when it fails."""
    ledger = root / "soak" / "ledger.jsonl"
    try:
        soak(
            campaigns,
            root=root,
            state_folder=root / ".state",
            ledger=ledger,
            seed=seed,
            minutes=minutes,
            clock=SteppingClock(),
            say=lambda _: None,
        )
    finally:
        lines = [json.loads(line) for line in ledger.read_text().splitlines()] if ledger.exists() else []
    return lines


def test_time_is_shared_and_used_up() -> None:
    first, second = RecordingCampaign("first"), RecordingCampaign("second")
    progress = Progress("commit", 7)
    kept: list[float] = []
    failure = run_rounds(
        [first.campaign, second.campaign],
        progress,
        seconds=6,
        keep=lambda state: kept.append(state.seconds),
        clock=SteppingClock(),
        say=lambda _: None,
    )
    assert failure is None
    assert (progress.of("first").rounds, progress.of("second").rounds) == (3, 3)
    assert kept == [1, 2, 3, 4, 5, 6]
    assert first.seeds == [round_seed(7, "first", number) for number in range(3)]


def test_every_campaign_gets_a_round_however_short_the_time(repository: Path) -> None:
    campaigns = [RecordingCampaign(name) for name in ("first", "second", "third")]
    (line,) = run([each.campaign for each in campaigns], repository, minutes=0.0)
    assert [len(each.seeds) for each in campaigns] == [1, 1, 1]
    assert line["passed"] is True
    assert line["commit"] == commit_of(repository)
    assert line["seed"] == 7


def test_an_interrupted_run_goes_on_with_the_next_round(repository: Path) -> None:
    campaign = RecordingCampaign("one", raise_in_round=2, error=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run([campaign.campaign], repository, minutes=0.1)
    campaign.error = None
    (line,) = run([campaign.campaign], repository, minutes=0.1)
    assert campaign.seeds == [round_seed(7, "one", number) for number in range(6)]
    assert line["resumed"] == 1
    assert line["campaigns"] == {"one": {"rounds": 6, "seconds": 6.0, "counts": {"packets": 18}}}
    assert list((repository / ".state").iterdir()) == []


def test_a_failed_round_is_in_the_ledger_with_the_seed_that_repeats_it(repository: Path) -> None:
    campaign = RecordingCampaign("one", raise_in_round=0, error=AssertionError("doubled packet"))
    with pytest.raises(SoakError, match=f"ROUND_SEED={round_seed(7, 'one', 0)}"):
        run([campaign.campaign], repository)
    (line,) = [json.loads(text) for text in (repository / "soak" / "ledger.jsonl").read_text().splitlines()]
    assert line["passed"] is False
    assert line["failure"]["round_seed"] == round_seed(7, "one", 0)
    assert "doubled packet" in line["failure"]["error"]


def test_a_run_that_counts_nothing_fails(repository: Path) -> None:
    with pytest.raises(SoakError, match="one: packets"):
        run([RecordingCampaign("one", packets=0).campaign], repository)
    assert '"passed": false' in (repository / "soak" / "ledger.jsonl").read_text()


def test_an_empty_table_fails(repository: Path) -> None:
    with pytest.raises(SoakError, match="nothing would be tested"):
        run([], repository)


def test_two_campaigns_of_one_name_are_refused(repository: Path) -> None:
    with pytest.raises(SoakError, match="same name"):
        run([RecordingCampaign("one").campaign, RecordingCampaign("one").campaign], repository)


def test_a_campaign_must_count_something() -> None:
    with pytest.raises(ValueError, match="counts nothing"):
        Campaign("one", "x", lambda seed: {}, counted=())


def test_changes_of_the_tree_are_named_but_not_those_of_the_ledger(repository: Path) -> None:
    clean = commit_of(repository)
    assert "+changes" not in clean
    run([RecordingCampaign("one").campaign], repository)
    subprocess.run([require_tool("git"), "add", "soak/ledger.jsonl"], cwd=repository, check=True)
    assert commit_of(repository) == clean
    (repository / "file").write_text("two")
    assert commit_of(repository) == f"{clean}+changes"


def test_state_of_another_commit_is_never_continued(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    saved.save(path, Progress("one", 7))
    with pytest.raises(ValueError, match="belongs to commit one"):
        saved.load(path, "two", 7)
