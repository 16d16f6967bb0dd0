"""The end of a network: everything that belongs to it, whatever its files still tell."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from piebridge.cli import main, network_file, processes
from piebridge.cli.local_network import ending, folder, journal
from piebridge.cli.local_network.describe import describe
from piebridge.cli.local_network.keys import NetworkKeys
from piebridge.cli.local_network.plan import Wishes, make_plan
from piebridge.cli.network_file import NetworkFile, ProcessEntry
from piebridge.crypto.errors import ConfigurationError

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


def network_of(directory: Path, *entries: ProcessEntry) -> NetworkFile:
    """Write the file of a network whose processes are these, and what else its folder holds."""
    plan = make_plan(Wishes())
    keys = NetworkKeys({key.name: number.to_bytes(32, "big") for number, key in enumerate(plan.keys, start=1)})
    network = describe(plan, keys, {1: (1, bytes(32))}, list(entries), created_at=1_700_000_000)
    network_file.save(network, directory)
    return network


def begin(directory: Path, name: str = "chain-1") -> ProcessEntry:
    return processes.start(name, "parachain", SLEEPER, directory)


def down(directory: Path, *options: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main.build("network"), ["network", "down", "--dir", str(directory), *options])
    return result.exit_code, result.stdout, result.stderr


def test_down_with_delete_ends_a_process_that_no_file_names(tmp_path: Path) -> None:
    process = begin(tmp_path)
    journal.Journal(tmp_path).add(replace(process, started_at=process.started_at - 1))
    try:
        code, out, _ = down(tmp_path, "--delete")
        assert not processes.is_running(process), "its files are deleted and it runs on"
        assert (code, list(tmp_path.iterdir())) == (0, [])
        assert "ended 1 processes" in out
    finally:
        processes.kill(process)


def test_a_process_of_another_network_is_left_alone(tmp_path: Path) -> None:
    network_of(tmp_path)
    other = begin(tmp_path / "other")
    try:
        assert processes.belonging_to(tmp_path) == []
        down(tmp_path, "--delete")
        assert processes.is_running(other)
    finally:
        processes.kill(other)


def test_children_of_a_process_carry_its_mark_and_a_mention_of_the_folder_is_none(tmp_path: Path) -> None:
    code = f"import subprocess, sys; subprocess.run({SLEEPER!r})"
    process = processes.start("chain-1", "parachain", [sys.executable, "-c", code], tmp_path / "a")
    mention = processes.start("x", "relay", [*SLEEPER, str(tmp_path / "a" / "network.json")], tmp_path / "b")
    try:
        while len(found := processes.belonging_to(tmp_path / "a")) < 2:
            assert processes.is_running(process)
        assert {item.pid for item in found} >= {process.pid}
        assert mention.pid not in {item.pid for item in found}
        processes.kill(process)
        assert len(ending.end_all(tmp_path / "a")[0]) == 1, "a child whose parent was killed"
        assert processes.belonging_to(tmp_path / "a") == []
    finally:
        processes.kill(mention)


def test_the_journal_names_what_was_started_again(tmp_path: Path) -> None:
    first = begin(tmp_path)
    journal.Journal(tmp_path).add(first)
    processes.kill(first)
    again = processes.start_again(first, tmp_path)
    try:
        journal.started_again(tmp_path, again)
        assert journal.started_in(tmp_path) == [again], "what has ended is not kept for ever"
        assert journal.running_in(tmp_path) == [again]
    finally:
        processes.kill(again)


@pytest.mark.parametrize("damaged", ["network.json", "processes.json"])
def test_down_goes_by_the_other_file_where_one_is_damaged(tmp_path: Path, damaged: str) -> None:
    process = begin(tmp_path)
    try:
        network_of(tmp_path, process)
        journal.Journal(tmp_path).add(process)
        whole = (tmp_path / damaged).read_text()
        (tmp_path / damaged).write_text(whole[: len(whole) // 2])
        code, out, err = down(tmp_path)
        assert not processes.is_running(process)
        assert code == 0
        assert "ended 1 processes: chain-1" in out
        assert damaged in err
    finally:
        processes.kill(process)


def test_a_damaged_network_file_names_the_way_out(tmp_path: Path) -> None:
    network_of(tmp_path)
    path = tmp_path / "network.json"
    path.write_text(path.read_text()[:1000])
    with pytest.raises(ConfigurationError, match=rf"cannot be read.*network down --dir {tmp_path}.*up --replace"):
        network_file.load(tmp_path)
    path.write_text("{}")
    with pytest.raises(ConfigurationError, match=r"no network file of version 1.*network down --dir"):
        network_file.load(tmp_path)


def test_nothing_is_deleted_under_a_process_that_cannot_be_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = begin(tmp_path)
    journal.Journal(tmp_path).add(process)
    try:
        monkeypatch.setattr(processes, "stop", lambda entries, timeout_seconds=0.0: [])
        with pytest.raises(ConfigurationError, match=r"cannot be ended: chain-1 .*nothing was deleted"):
            ending.end_all(tmp_path)
    finally:
        processes.kill(process)


def test_a_running_network_without_files_is_not_replaced(tmp_path: Path) -> None:
    process = begin(tmp_path)
    try:
        with pytest.raises(ConfigurationError, match="a network runs in"):
            folder.prepare(tmp_path, replace_old=True)
    finally:
        processes.kill(process)
        shutil.rmtree(tmp_path / "logs")


def test_the_folder_of_a_redis_is_deleted_with_its_network(tmp_path: Path) -> None:
    network_of(tmp_path)
    (tmp_path / "redis").mkdir()
    assert down(tmp_path, "--delete")[0] == 0
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "redis").mkdir()  # as earlier versions left it
    folder.prepare(tmp_path, replace_old=True)
    assert list(tmp_path.iterdir()) == []
