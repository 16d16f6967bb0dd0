import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from piebridge.cli import processes
from piebridge.cli.network_file import ProcessEntry
from piebridge.crypto.errors import ConfigurationError

SLEEPER = [sys.executable, "-c", "import time; print('awake', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('awake', flush=True); time.sleep(60)",
]


def start(directory: Path, command: list[str], name: str = "sleeper") -> ProcessEntry:
    log = directory / "logs" / f"{name}.log"
    before = log.read_text() if log.exists() else ""
    process = processes.start(name, "gateway", command, directory)
    deadline = time.monotonic() + 10
    while log.read_text() == before and time.monotonic() < deadline:
        time.sleep(0.02)
    return process


def test_a_process_is_started_named_and_ended(tmp_path: Path) -> None:
    process = start(tmp_path, SLEEPER)
    assert processes.is_running(process)
    assert process.command == tuple(SLEEPER)
    assert process.log_file == "logs/sleeper.log"
    assert os.getsid(process.pid) == process.pid, "Ctrl-C of the terminal must not reach it"
    assert processes.stop([process]) == []
    assert not processes.is_running(process)


def test_a_process_that_ignores_the_request_is_killed_and_told(tmp_path: Path) -> None:
    process = start(tmp_path, STUBBORN)
    assert processes.stop([process], timeout_seconds=0.3) == [process]
    assert not processes.is_running(process)


def test_a_killed_process_is_gone_when_kill_returns(tmp_path: Path) -> None:
    process = start(tmp_path, STUBBORN)
    processes.kill(process)
    assert not processes.is_running(process)


def test_a_reused_process_id_is_never_taken_for_ours(tmp_path: Path) -> None:
    process = start(tmp_path, SLEEPER)
    somebody_else = replace(process, started_at=process.started_at - 1)
    assert not processes.is_running(somebody_else)
    processes.stop([somebody_else])
    processes.kill(somebody_else)
    assert processes.is_running(process), "the signal went to another process of the same id"
    processes.stop([process])


def test_a_process_that_ended_before_its_start_time_was_read_does_not_run() -> None:
    assert not processes.is_running(ProcessEntry("x", "gateway", os.getpid(), 0, ("x",), "logs/x.log"))


def test_a_zombie_does_not_run(tmp_path: Path) -> None:
    process = start(tmp_path, SLEEPER)
    os.kill(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while processes.start_time(process.pid) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert processes.start_time(process.pid) is None
    assert not processes.is_running(process)


def test_a_program_that_does_not_exist_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ghost cannot be started: /no/such/program"):
        processes.start("ghost", "gateway", ["/no/such/program"], tmp_path)


def test_the_log_of_a_process_survives_its_second_start(tmp_path: Path) -> None:
    processes.stop([start(tmp_path, SLEEPER)])
    processes.stop([start(tmp_path, SLEEPER)])
    assert (tmp_path / "logs" / "sleeper.log").read_text() == "awake\nawake\n"


def test_start_again_runs_the_same_command_and_refuses_while_it_runs(tmp_path: Path) -> None:
    process = start(tmp_path, SLEEPER)
    with pytest.raises(ConfigurationError, match="sleeper runs already"):
        processes.start_again(process, tmp_path)
    processes.kill(process)
    again = processes.start_again(process, tmp_path)
    assert processes.is_running(again)
    assert again.command == process.command
    assert (again.pid, again.started_at) != (process.pid, process.started_at)
    processes.stop([again])


def test_a_missing_log_is_said_instead_of_shown(tmp_path: Path) -> None:
    entry = ProcessEntry("x", "gateway", 1, 1, ("x",), "logs/x.log")
    assert processes.tail(tmp_path, entry) == "(no log: No such file or directory)"


def test_children_run_the_same_piebridge() -> None:
    roots = processes.own_environment()["PYTHONPATH"].split(os.pathsep)
    assert any((Path(root) / "piebridge" / "cli").is_dir() for root in roots)
    assert any((Path(root) / "piebridge" / "crypto").is_dir() for root in roots)
