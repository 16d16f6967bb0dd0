import json
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from piebridge.cli import network_file, processes
from piebridge.cli.local_network import anvil, folder, journal
from piebridge.cli.local_network.describe import describe
from piebridge.cli.local_network.keys import NetworkKeys
from piebridge.cli.local_network.plan import HOST, Wishes, make_plan
from piebridge.crypto.errors import ConfigurationError


def test_a_taken_port_is_told_with_its_use() -> None:
    plan = make_plan(Wishes(port_base=folder.find_free_ports(Wishes())))
    port = plan.gateways[1].status_port
    with socket.create_server((HOST, port)):
        with pytest.raises(ConfigurationError, match=f"port {port} \\(status of gateway-2\\) is not free"):
            folder.probe_ports(plan.ports)
        base = folder.find_free_ports(Wishes(), [plan.wishes.port_base, plan.wishes.port_base + 100])
        assert base == plan.wishes.port_base + 100
    folder.probe_ports(plan.ports)


def test_no_free_ports_is_an_error_with_a_way_out() -> None:
    with pytest.raises(ConfigurationError, match="give --port-base"):
        folder.find_free_ports(Wishes(), [])


def test_a_new_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    made = tmp_path / "a" / "b"
    folder.prepare(made, replace_old=False)
    assert made.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("replace_old", [False, True])
def test_a_folder_with_other_things_is_refused_and_left_alone(tmp_path: Path, replace_old: bool) -> None:
    (tmp_path / "thesis.txt").write_text("three years")
    with pytest.raises(ConfigurationError, match="is not empty and holds no network"):
        folder.prepare(tmp_path, replace_old=replace_old)
    assert (tmp_path / "thesis.txt").read_text() == "three years"


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        folder.prepare(tmp_path / "file", replace_old=False)


def lie_down(directory: Path) -> None:
    """Make what a network that is down has left."""
    plan = make_plan(Wishes())
    keys = NetworkKeys({key.name: number.to_bytes(32, "big") for number, key in enumerate(plan.keys, start=1)})
    directory.mkdir(parents=True, exist_ok=True)
    network_file.save(describe(plan, keys, {1: (1, bytes(32))}, [], created_at=1_700_000_000), directory)
    for name in ("keys", "chains", "logs"):
        (directory / name).mkdir(parents=True)
        (directory / name / "content").write_text("x")
    (directory / "processes.json").write_text("[]")


def test_what_an_interrupted_start_left_counts_as_a_network_that_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "password").write_text("x")
    assert folder.is_network(tmp_path)
    with pytest.raises(ConfigurationError, match=r"Begin anew with `piebridge network up --replace"):
        folder.prepare(tmp_path, replace_old=False)
    folder.prepare(tmp_path, replace_old=True)
    assert not any(tmp_path.iterdir())


def test_a_network_that_is_down_is_replaced_only_when_asked_to(tmp_path: Path) -> None:
    lie_down(tmp_path)
    with pytest.raises(ConfigurationError, match="start anew with --replace"):
        folder.prepare(tmp_path, replace_old=False)
    assert (tmp_path / "keys" / "content").exists()
    folder.prepare(tmp_path, replace_old=True)
    assert list(tmp_path.iterdir()) == []


def test_deleting_a_network_leaves_what_is_not_its_own(tmp_path: Path) -> None:
    lie_down(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    folder.delete(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_running_network_is_never_replaced(tmp_path: Path) -> None:
    kept = journal.Journal(tmp_path)
    process = processes.start("chain-1", "parachain", [sys.executable, "-c", "import time; time.sleep(60)"], tmp_path)
    try:
        kept.add(process)
        assert journal.running_in(tmp_path) == [process]
        with pytest.raises(ConfigurationError, match=r"a network runs in .*`piebridge network down --dir"):
            folder.prepare(tmp_path, replace_old=True)
        assert (tmp_path / "processes.json").exists()
    finally:
        processes.kill(process)
    assert journal.running_in(tmp_path) == []
    assert journal.started_in(tmp_path) == [process]


def test_the_journal_is_written_before_the_next_process_starts(tmp_path: Path) -> None:
    kept = journal.Journal(tmp_path)
    for name in ("one", "two"):
        entry = processes.start(name, "relay", [sys.executable, "-c", ""], tmp_path)
        kept.add(entry)
        written = json.loads((tmp_path / "processes.json").read_text())
        assert written[-1] == json.loads(json.dumps(asdict(entry)))
    processes.stop(kept.entries)


def test_a_damaged_journal_is_named(tmp_path: Path) -> None:
    (tmp_path / "processes.json").write_text('[{"pid": 1}]')
    (problem,) = journal.damaged_in(tmp_path)
    assert "processes.json cannot be read" in problem
    assert journal.started_in(tmp_path) == []


def test_anvil_is_found_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "anvil"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "elsewhere" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert anvil.find_anvil() == program


def test_anvil_is_found_in_node_modules_of_a_folder_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "node_modules" / ".bin" / "anvil"
    program.parent.mkdir(parents=True)
    program.write_text("")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no" / "python"))
    monkeypatch.chdir(tmp_path / "deep" / "er")
    assert anvil.find_anvil() == program


def test_without_anvil_the_error_says_what_to_do(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from piebridge.cli.local_network import anvil\n"
        f"anvil.__file__ = {str(tmp_path / 'anvil.py')!r}\n"
        "sys.executable = '/nowhere/python'\n"
        "anvil.find_anvil()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**processes.own_environment(), "PATH": ""},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "anvil was not found" in done.stderr
    assert "npm ci" in done.stderr
