"""kill -9 between the start of a process and the note of its id: `network down` finds it all the same."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from piebridge.cli import processes
from piebridge.cli.local_network import folder, journal
from piebridge.crypto.errors import ConfigurationError

COMMAND = [sys.executable, "-c", "import time; time.sleep(60)"]
KILLED = """
import os, signal, sys
from pathlib import Path
from piebridge.cli.local_network.journal import Journal
kept = Journal(Path({directory!r}))
kept.add = lambda entry: (print(entry.pid, flush=True), os.kill(os.getpid(), signal.SIGKILL))
kept.start("chain-1", "parachain", {command!r})
"""


@pytest.fixture
def orphan(tmp_path: Path) -> Iterator[int]:
    """A process whose starter was killed before it could write the id down."""
    script = KILLED.format(directory=str(tmp_path), command=COMMAND)
    starter = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=False)
    assert starter.returncode == -signal.SIGKILL
    pid = int(starter.stdout)
    yield pid
    if processes.start_time(pid) is not None:
        os.kill(pid, signal.SIGKILL)


def test_an_orphan_is_found_and_ended(orphan: int, tmp_path: Path) -> None:
    assert [entry.pid for entry in journal.running_in(tmp_path)] == [orphan]
    with pytest.raises(ConfigurationError, match="a network runs in"):
        folder.prepare(tmp_path, replace_old=True)
    processes.stop(journal.running_in(tmp_path))
    assert processes.start_time(orphan) is None
    assert journal.running_in(tmp_path) == []


def test_a_second_start_takes_an_orphan_over(orphan: int, tmp_path: Path) -> None:
    """`network restart` stops, starts and writes network.json: the id that stands there is that of the old process."""
    (pending,) = journal.started_in(tmp_path)
    again = processes.start_again(replace(pending, pid=orphan, started_at=1), tmp_path)
    assert again.pid == orphan, "a second one would fight with it for port and folder"
    assert processes.is_running(again)


def test_the_same_command_in_another_folder_is_another_process(orphan: int, tmp_path: Path) -> None:
    (pending,) = journal.started_in(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert processes.find(pending, elsewhere) is None
    assert processes.find(replace(pending, command=(*COMMAND, "x")), tmp_path) is None
