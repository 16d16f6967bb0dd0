"""`piebridge network start`: it returns once what it has started answers."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from piebridge.cli import network_file, processes, serving
from piebridge.cli.local_network import addresses, going_on, journal
from piebridge.cli.local_network.describe import describe
from piebridge.cli.local_network.keys import NetworkKeys
from piebridge.cli.local_network.plan import Wishes, make_plan
from piebridge.cli.network_file import NetworkFile, ProcessEntry
from piebridge.crypto.errors import ConfigurationError

SERVES = f"import time; time.sleep(0.5); print('{serving.READY}x', flush=True); time.sleep(60)"


def network_of(directory: Path, *codes: tuple[str, str, str]) -> NetworkFile:
    """Write the file of a network that is down, whose processes would run some Python code."""
    plan = make_plan(Wishes())
    keys = NetworkKeys({key.name: number.to_bytes(32, "big") for number, key in enumerate(plan.keys, start=1)})
    entries = [
        ProcessEntry(name, role, 2**22 + number, 1, (sys.executable, "-c", code), f"logs/{name}.log")
        for number, (name, role, code) in enumerate(codes)
    ]
    network = describe(plan, keys, {1: (1, bytes(32))}, entries, created_at=1_700_000_000)
    directory.mkdir(exist_ok=True)
    (directory / "logs").mkdir()
    network_file.save(network, directory)
    return network


async def test_a_start_returns_when_the_process_says_that_it_serves_and_is_written_down(tmp_path: Path) -> None:
    network = network_of(tmp_path, ("chain-1-proxy", "proxy", SERVES))
    (tmp_path / "logs" / "chain-1-proxy.log").write_text(f"{serving.READY}what an earlier one said\n")
    (begun,) = await going_on.start(network.processes, network, tmp_path)
    try:
        assert (tmp_path / begun.log_file).read_text().count(serving.READY) == 2, "an old line was taken for the new"
        assert processes.is_running(begun)
        assert network_file.load(tmp_path).processes == (begun,)
        (tmp_path / "network.json").unlink()
        assert journal.running_in(tmp_path) == [begun]
    finally:
        processes.kill(begun)


async def test_a_process_that_ends_at_once_is_an_error_with_its_own_last_words(tmp_path: Path) -> None:
    network = network_of(tmp_path, ("gateway-1", "gateway", "print('error: the disk is full'); raise SystemExit(1)"))
    (tmp_path / "logs" / "gateway-1.log").write_text("all is well\n")
    with pytest.raises(ConfigurationError, match=r"gateway-1 ended while it started.*\nerror: the disk is full$"):
        await going_on.start(network.processes, network, tmp_path)


async def test_a_process_that_says_that_it_serves_and_does_not_answer_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(going_on, "ANSWER_TIMEOUT_SECONDS", 1.5)
    network = network_of(tmp_path, ("chain-1", "parachain", SERVES))
    deaf = replace(network.chains[0], rpc_url="http://127.0.0.1:9", rpc_urls=("http://127.0.0.1:9",))
    network = replace(network, chains=(deaf, *network.chains[1:]))
    try:
        with pytest.raises(ConfigurationError, match=r"chain-1 runs but does not answer .*127\.0\.0\.1:9"):
            await going_on.start(network.processes, network, tmp_path)
    finally:
        processes.stop(journal.running_in(tmp_path))


async def test_carriers_are_started_when_the_chains_answer(tmp_path: Path) -> None:
    code = f"import pathlib, time; pathlib.Path('chains-serve').touch(); {SERVES}"
    after = f"import pathlib; assert pathlib.Path('chains-serve').exists(); {SERVES}"
    network = network_of(tmp_path, ("notary-9", "notary", after), ("chain-1-proxy", "proxy", f"{code}"))
    try:
        begun = await going_on.start(network.processes, network, tmp_path)
        assert [item.name for item in begun] == ["notary-9", "chain-1-proxy"]
    finally:
        processes.stop(journal.running_in(tmp_path))


def test_every_process_has_an_address(tmp_path: Path) -> None:
    network = network_of(tmp_path, ("redis", "broker", "pass"))
    redis = replace(network.processes[0], command=("redis-server", "--bind", "127.0.0.1", "--port", "6400"))
    found = addresses.of_all(network.with_processes((redis,)))
    assert found["redis"] == "redis://127.0.0.1:6400"
    assert set(found) >= {"chain-1", "relay-1", "gateway-1"}
