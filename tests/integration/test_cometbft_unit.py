"""Application and node as one unit: with programs that misbehave in every way, and with CometBFT itself."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from piebridge.abci.application import Application
from piebridge.abci.cometbft.config import NodeSettings, config_toml
from piebridge.abci.cometbft.errors import CometBftMissingError, NodeExitedError, NodeNotReadyError
from piebridge.abci.cometbft.unit import CometBftUnit
from piebridge.abci.embedded.genesis import build_genesis
from piebridge.abci.messages import CommitResponse
from piebridge.abci.server.errors import ApplicationFailedError
from piebridge.abci.testing import RecordingApplication
from piebridge.cli import processes
from piebridge.cli.local_network import folder
from piebridge.cli.local_network.plan import Wishes
from piebridge.crypto.errors import ConfigurationError
from testkit.command_line import processes_that_mention
from testkit.key_value_application import KeyValueApplication, app_hash_of
from testkit.toolchain import require_tool
from testkit.validators import validator_keys

pytestmark = pytest.mark.real_chain

KEY = validator_keys(1)[0]
SEED = bytes(range(32))


def settings() -> NodeSettings:
    port = folder.find_free_ports(Wishes())
    return NodeSettings("node", port, port + 1, block_interval_seconds=0.05)


def unit(home: Path, application: Application, program: Path, seconds: float | None = 30.0) -> CometBftUnit:
    genesis = build_genesis("unit-1", time.time_ns(), [KEY.public_key], {})
    document = home / "config" / "genesis.json"
    if document.exists():
        genesis = type(genesis).from_json(document.read_bytes())
    return CometBftUnit(
        application, genesis, KEY, SEED, home, settings(), program=program, ready_timeout_seconds=seconds
    )


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@asynccontextmanager
async def running(home: Path, application: Application) -> AsyncIterator[CometBftUnit]:
    started = unit(home, application, require_tool("cometbft"))
    try:
        await started.start()
        yield started
    finally:
        await started.stop()


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.02)


# Programs that are not CometBFT


@pytest.mark.parametrize(("text", "code"), [("exit 0", 0), ("echo so be it; exit 3", 3), ("kill -9 $$", -9)])
async def test_a_node_that_ends_is_a_fault_whatever_its_exit_code(tmp_path: Path, text: str, code: int) -> None:
    started = unit(tmp_path, KeyValueApplication(), script(tmp_path / "cometbft", text))
    with pytest.raises(NodeExitedError) as caught:
        await started.start()
    await started.stop()
    assert caught.value.exit_code == code
    assert ("so be it" in str(caught.value)) == ("so be it" in text)


async def test_a_node_that_never_answers_is_told_of_in_time(tmp_path: Path) -> None:
    started = unit(tmp_path, KeyValueApplication(), script(tmp_path / "cometbft", "exec sleep 60"), seconds=0.5)
    with pytest.raises(NodeNotReadyError, match="does not answer"):
        await started.start()
    await started.stop()
    assert processes_that_mention(tmp_path) == []


async def test_a_program_that_cannot_run_is_told_of(tmp_path: Path) -> None:
    started = unit(tmp_path, KeyValueApplication(), script(tmp_path / "cometbft", "exit 0"))
    (tmp_path / "cometbft").chmod(0o644)
    with pytest.raises((NodeExitedError, CometBftMissingError)) as caught:
        await started.start()
    await started.stop()
    assert "ermission" in str(caught.value)


async def test_a_node_that_does_not_listen_to_sigterm_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("piebridge.abci.cometbft.process.STOP_TIMEOUT_SECONDS", 0.3)
    program = script(tmp_path / "cometbft", "trap '' TERM\necho deaf\nwhile :; do sleep 1; done")
    started = unit(tmp_path, KeyValueApplication(), program, seconds=1.0)
    with pytest.raises(NodeNotReadyError, match="deaf"):
        await started.start()
    pid = started.node_pid
    assert pid is not None
    assert await started._process.stop(0.3) is False  # type: ignore[union-attr]
    await started.stop()
    assert processes.start_time(pid) is None


OWNER = """
import asyncio, sys
from pathlib import Path
from piebridge.abci.cometbft.home import NodeHome
from piebridge.abci.cometbft.process import NodeProcess

async def main():
    process = NodeProcess(Path(sys.argv[1]), NodeHome(Path(sys.argv[2])))
    await process.start()
    print(process.pid, flush=True)
    await process.wait()

asyncio.run(main())
"""


def test_a_node_does_not_outlive_its_owner_that_is_killed(tmp_path: Path) -> None:
    program = script(tmp_path / "cometbft", "trap '' TERM HUP\nwhile :; do sleep 0.2; done")
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(program), str(tmp_path)],
        env={**os.environ, **processes.own_environment()},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    time.sleep(0.5)  # the leash has become the program
    assert processes.start_time(pid) is not None
    owner.send_signal(signal.SIGKILL)
    owner.wait(10)
    owner.stdout.close()
    deadline = time.monotonic() + 5
    try:
        while processes.start_time(pid) is not None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert processes.start_time(pid) is None, "the node runs on without its application"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


# CometBFT


def test_every_setting_is_one_that_cometbft_has(tmp_path: Path) -> None:
    """CometBFT passes over keys that it does not know, so a slip of the pen would go unseen."""
    program = require_tool("cometbft")
    subprocess.run([program, "init", "--home", tmp_path], check=True, capture_output=True, timeout=60)
    known = tomllib.loads((tmp_path / "config" / "config.toml").read_text())
    for name, value in tomllib.loads(config_toml(settings())).items():
        assert name in known
        if isinstance(value, dict):
            assert set(value) <= set(known[name]), name


async def test_a_chain_of_one_validator_goes_on_over_restarts(tmp_path: Path) -> None:
    first = RecordingApplication(KeyValueApplication(tmp_path / "state.json"))
    async with running(tmp_path / "node", first) as node:
        assert (await node.rpc.broadcast(b"a=1")).code == 0
        await until(lambda: first.inner.values == {"a": "1"})  # type: ignore[attr-defined]
        refused = await node.rpc.broadcast(b"nonsense")
        assert (refused.code, refused.log) == (1, "not key=value")
    first.check()
    second = RecordingApplication(KeyValueApplication(tmp_path / "state.json"))
    height = second.height
    async with running(tmp_path / "node", second) as node:
        assert (await node.rpc.broadcast(b"b=2")).code == 0
        await until(lambda: second.inner.values == {"a": "1", "b": "2"})  # type: ignore[attr-defined]
    second.check()
    assert second.inner.info().last_block_app_hash == app_hash_of({"a": "1", "b": "2"})
    assert ("init_chain", 0) not in second.calls
    assert second.height > height >= 1
    assert processes_that_mention(tmp_path) == []


async def test_a_killed_node_breaks_the_unit_and_the_next_one_goes_on(tmp_path: Path) -> None:
    application = KeyValueApplication(tmp_path / "state.json")
    async with running(tmp_path / "node", application) as node:
        assert (await node.rpc.broadcast(b"a=1")).code == 0
        await until(lambda: application.values == {"a": "1"})
        assert node.node_pid is not None
        os.kill(node.node_pid, signal.SIGKILL)
        with pytest.raises(NodeExitedError) as caught:
            await asyncio.wait_for(node.wait(), 10)
        assert caught.value.exit_code == -9
    again = KeyValueApplication(tmp_path / "state.json")
    async with running(tmp_path / "node", again) as node:
        assert (await node.rpc.broadcast(b"b=2")).code == 0
        await until(lambda: again.values == {"a": "1", "b": "2"})


async def test_a_failed_application_is_the_reason_that_is_told(tmp_path: Path) -> None:
    class FullDisk(KeyValueApplication):
        def commit(self) -> CommitResponse:
            raise OSError("no space left on device")

    async with running(tmp_path / "node", FullDisk()) as node:
        with pytest.raises(ApplicationFailedError, match="failed in commit: OSError: no space left"):
            await asyncio.wait_for(node.wait(), 20)
    assert processes_that_mention(tmp_path) == []


async def test_two_units_cannot_share_a_home(tmp_path: Path) -> None:
    async with running(tmp_path / "node", KeyValueApplication()) as node:
        with pytest.raises(ConfigurationError, match="in use by another process"):
            unit(tmp_path / "node", KeyValueApplication(), require_tool("cometbft"))
        assert (await node.rpc.broadcast(b"a=1")).code == 0
        assert (await node.rpc.status()).chain_id == "unit-1"
