"""What a soak run has done so far, kept in a file after every round: an interrupted run goes on where it stopped."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class CampaignProgress:
    """Rounds and counts of one campaign within a run."""

    rounds: int = 0
    """Rounds completed; also the number of the next one."""

    seconds: float = 0.0
    """Time spent in completed rounds."""

    counts: dict[str, int] = field(default_factory=dict)
    """What the rounds executed, added up."""

    def add(self, counts: Mapping[str, int], seconds: float) -> None:
        """Adds one completed round."""
        self.rounds += 1
        self.seconds += seconds
        for name, count in counts.items():
            self.counts[name] = self.counts.get(name, 0) + count


@dataclass(slots=True)
class Progress:
    """State of one run, named by commit and seed."""

    commit: str
    """Full git commit id, with `+changes` after it if the tree had uncommitted changes."""

    seed: int
    """Seed of the run, from which every round's seed follows."""

    resumed: int = 0
    """How often the run was taken up again after an interruption."""

    campaigns: dict[str, CampaignProgress] = field(default_factory=dict)
    """Campaign name -> its progress."""

    def of(self, campaign: str) -> CampaignProgress:
        """Returns the progress of one campaign, empty at first."""
        return self.campaigns.setdefault(campaign, CampaignProgress())

    @property
    def seconds(self) -> float:
        """Time spent in completed rounds of all campaigns, over all resumptions."""
        return sum(each.seconds for each in self.campaigns.values())

    def as_json(self) -> dict[str, Any]:
        """Returns the state as plain data."""
        return asdict(self)


def state_file(folder: Path, commit: str, seed: int) -> Path:
    """Returns where the state of a run is kept: one file for each commit and seed."""
    return folder / f"{commit[:16]}{'-changes' if commit.endswith('+changes') else ''}-{seed}.json"


def load(path: Path, commit: str, seed: int) -> Progress:
    """Returns the state of an interrupted run of this commit and seed, or a fresh one."""
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        return Progress(commit, seed)
    campaigns = {name: CampaignProgress(**each) for name, each in data["campaigns"].items()}
    if data["commit"] != commit or data["seed"] != seed:
        raise ValueError(f"{path.name} belongs to commit {data['commit']}, seed {data['seed']}: delete it")
    return Progress(commit, seed, data["resumed"] + 1, campaigns)


def save(path: Path, progress: Progress) -> None:
    """Writes the state, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    with temporary.open("w") as handle:
        json.dump(progress.as_json(), handle)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(path)
