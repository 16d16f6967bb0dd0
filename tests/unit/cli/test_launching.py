"""The start of a process of a network, as far as it needs no chain."""

import sys
from pathlib import Path

import pytest

from piebridge.cli import processes, serving
from piebridge.cli.local_network import launching
from piebridge.cli.local_network.launching import Launcher
from piebridge.cli.network_file import ProcessEntry
from piebridge.crypto.errors import ConfigurationError, TransientChainError


def start(directory: Path, code: str) -> tuple[Launcher, ProcessEntry]:
    return Launcher(directory), processes.start("chain-1", "parachain", [sys.executable, "-uc", code], directory)


async def stranger() -> str:
    """Answer at once, as a chain of somebody else on our port would."""
    return "an answer"


async def test_the_answer_of_a_stranger_on_our_port_is_never_taken_for_our_chain(tmp_path: Path) -> None:
    launcher, process = start(tmp_path, "print('error: a port cannot be opened: in use')")
    with pytest.raises(ConfigurationError, match="chain-1 ended while it started; its log says:\nerror: a port cannot"):
        await launcher.ready(process, stranger)


async def test_a_process_is_asked_once_it_has_said_that_it_serves(tmp_path: Path) -> None:
    code = f"import time; time.sleep(0.5); print('{serving.READY}chain serves'); time.sleep(60)"
    launcher, process = start(tmp_path, code)
    try:
        assert await launcher.ready(process, stranger) == "an answer"
        assert serving.READY in (tmp_path / process.log_file).read_text()
    finally:
        processes.stop([process])


async def test_a_process_that_never_answers_is_told_with_the_reason_and_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launching, "READY_TIMEOUT_SECONDS", 0.5)

    async def refused() -> str:
        raise TransientChainError("connection refused")

    launcher, process = start(tmp_path, f"import time; print('{serving.READY}or so'); time.sleep(60)")
    try:
        with pytest.raises(ConfigurationError, match=r"does not answer .* \(connection refused\).*\n.*or so"):
            await launcher.ready(process, refused)
    finally:
        processes.stop([process])
