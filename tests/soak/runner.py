"""Runs campaigns in turn until the time is used up, and adds a line to the ledger for each run that came to an end."""

import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from soak import progress as saved
from soak.campaign import Campaign, round_seed
from soak.progress import Progress


class SoakError(Exception):
    """A run that proves nothing or found a fault; the text says which."""


@dataclass(frozen=True, slots=True)
class RoundFailure:
    """A round whose check failed."""

    campaign: str
    """Name of the campaign."""

    number: int
    """Number of the round within it, from 0."""

    seed: int
    """Seed that repeats this round alone: `--campaign NAME --round-seed SEED`."""

    error: BaseException
    """What was raised."""

    def as_json(self) -> dict[str, object]:
        """Returns the failure as plain data for the ledger."""
        return {
            "campaign": self.campaign,
            "round": self.number,
            "round_seed": self.seed,
            "error": repr(self.error)[:2000],
        }


def commit_of(root: Path) -> str:
    """Returns the commit that is checked out, with `+changes` after it if tracked files differ from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()

    # The ledger itself changes with every run and decides nothing.
    changes = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)soak/ledger.jsonl")
    return git("rev-parse", "HEAD") + ("+changes" if changes else "")


def run_rounds(
    campaigns: Sequence[Campaign],
    progress: Progress,
    *,
    seconds: float,
    keep: Callable[[Progress], None],
    clock: Callable[[], float] = time.monotonic,
    say: Callable[[str], None] = print,
) -> RoundFailure | None:
    """Runs rounds, always of the campaign that has had the least time, until `seconds` are used up or a round fails.

    Every campaign gets at least one round, however short the time.

    Args:
        campaigns: the table.
        progress: what was done before; updated in place.
        seconds: time for all rounds together, that of earlier parts of the same run included.
        keep: called after every round to make the progress durable.
        clock: monotonic seconds.
        say: where lines of progress go.

    Returns:
        The first failure, or None.
    """
    while True:
        campaign = min(campaigns, key=lambda each: (progress.of(each.name).rounds > 0, progress.of(each.name).seconds))
        done = progress.of(campaign.name)
        if done.rounds > 0 and progress.seconds >= seconds:
            return None
        seed = round_seed(progress.seed, campaign.name, done.rounds)
        started = clock()
        try:
            counts = campaign.run_round(seed)
        except Exception as error:  # whatever a check raises is its finding; it is reported and ends the run
            return RoundFailure(campaign.name, done.rounds, seed, error)
        done.add(counts, clock() - started)
        keep(progress)
        say(f"soak: {campaign.name} round {done.rounds}: {_listed(counts)}; {progress.seconds:.0f} of {seconds:.0f} s")


def executed_nothing(campaigns: Sequence[Campaign], progress: Progress) -> list[str]:
    """Returns what was counted as zero, as `campaign: count`; such a run proves nothing."""
    return [
        f"{campaign.name}: {name}"
        for campaign in campaigns
        for name in campaign.counted
        if progress.of(campaign.name).counts.get(name, 0) <= 0
    ]


def ledger_line(progress: Progress, failure: RoundFailure | None, *, idle: Sequence[str], ended: datetime) -> str:
    """Returns the line of the ledger for a run that came to an end: JSON, keys sorted, no line break inside."""
    return json.dumps(
        {
            "version": 1,
            "commit": progress.commit,
            "seed": progress.seed,
            "ended": ended.isoformat(timespec="seconds"),
            "seconds": round(progress.seconds, 1),
            "resumed": progress.resumed,
            "passed": failure is None and not idle,
            "campaigns": {
                name: {"rounds": each.rounds, "seconds": round(each.seconds, 1), "counts": each.counts}
                for name, each in progress.campaigns.items()
            },
            "failure": failure.as_json() if failure else None,
            "executed_nothing": list(idle),
            "machine": {"python": platform.python_version(), "system": platform.system(), "cpus": os.cpu_count()},
        },
        sort_keys=True,
    )


def soak(
    campaigns: Sequence[Campaign],
    *,
    root: Path,
    state_folder: Path,
    ledger: Path,
    seed: int,
    minutes: float,
    clock: Callable[[], float] = time.monotonic,
    say: Callable[[str], None] = print,
) -> None:
    """Runs or resumes one soak run and adds its line to the ledger.

    An interrupted run (signal, crash of the machine) leaves its state and no line; the same command goes on from there.

    Raises:
        SoakError: there is no campaign, a round failed, or something that must be counted was counted zero times.
    """
    if not campaigns:
        raise SoakError("the table in tests/soak/campaigns.py is empty: nothing would be tested")
    if len({campaign.name for campaign in campaigns}) != len(campaigns):
        raise SoakError("two campaigns have the same name: their counts would be mixed")
    commit = commit_of(root)
    path = saved.state_file(state_folder, commit, seed)
    progress = saved.load(path, commit, seed)
    if progress.resumed:
        say(f"soak: resuming seed {seed} after {progress.seconds:.0f} s")
    failure = run_rounds(
        campaigns, progress, seconds=minutes * 60, keep=lambda state: saved.save(path, state), clock=clock, say=say
    )
    idle = [] if failure else executed_nothing(campaigns, progress)
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with ledger.open("a") as handle:
        handle.write(ledger_line(progress, failure, idle=idle, ended=datetime.now(UTC)) + "\n")
    path.unlink(missing_ok=True)
    if failure:
        again = f"make soak CAMPAIGN={failure.campaign} ROUND_SEED={failure.seed}"
        raise SoakError(f"{failure.campaign} round {failure.number} failed; repeat it with: {again}") from failure.error
    if idle:
        raise SoakError(f"executed nothing, so nothing was tested: {', '.join(idle)}")
    say(f"soak: passed, {progress.seconds:.0f} s; one line added to {ledger.name}")


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing counted"
