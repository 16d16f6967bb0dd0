"""A newcomer follows docs/guide/domains.md: every command in its code blocks is run, in order, and must succeed."""

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from piebridge.cli.local_network.plan import Wishes
from testkit.command_line import CommandLine, command
from testkit.ports import free_port_base

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "domains.md"
CHANGES = ("join", "leave", "scale", "dissolve", "authorise")
STARTED_WITHIN_SECONDS = 400.0


def commands_of_the_guide() -> list[str]:
    """Return the command lines of all shell blocks, without comments."""
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    lines = [re.sub(r"\s+#.*", "", line).strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


class Newcomer:
    """Types what stands in the guide; only ports are moved out of the way of others."""

    def __init__(self, folder: Path) -> None:
        self.shell = CommandLine(folder)
        self.base = free_port_base(Wishes())
        self.agents: list[subprocess.Popen[bytes]] = []

    def type(self, line: str) -> str:
        """Run a line and return what it printed."""
        words = line.removesuffix(" &").split()
        assert words.pop(0) == "piebridge"
        if words[1] == "up":
            words += ["--port-base", str(self.base + (40 if words[0] == "management" else 0))]
        words = [str(self.base + 60 + int(word) - 21_100) if re.fullmatch(r"211\d\d", word) else word for word in words]
        if line.endswith(" &"):
            with (self.shell.folder / f"agent-{len(self.agents)}.log").open("wb") as log:
                self.agents.append(
                    subprocess.Popen(
                        command(*words), cwd=self.shell.folder, env=self.environment(), stdout=log, stderr=log
                    )
                )
            return ""
        outcome = self.shell.run(*words)
        assert outcome.exit_code == 0, f"{line}\n{outcome.output}\n{outcome.errors}"
        return outcome.output

    def environment(self) -> dict[str, str]:
        import os

        from piebridge.cli import processes

        return {**os.environ, **processes.own_environment()}

    def leave(self) -> None:
        """End everything that was started, whatever happened before."""
        for agent in self.agents:
            agent.terminate()
        for agent in self.agents:
            try:
                agent.wait(30)
            except subprocess.TimeoutExpired:
                agent.kill()
                agent.wait(10)
        for group in ("management", "network"):
            self.shell.run(group, "down")


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    person = Newcomer(tmp_path)
    try:
        yield person
    finally:
        person.leave()


@pytest.mark.real_chain
@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_every_command_of_the_guide_works_up_to_a_relay_chain_of_drawn_nodes(newcomer: Newcomer) -> None:
    lines = commands_of_the_guide()
    end = lines.index("piebridge management down")
    for line in lines[:end]:
        newcomer.type(line)
    deadline = time.monotonic() + STARTED_WITHIN_SECONDS
    while "waits for the governors" not in (told := newcomer.type("piebridge domain status 1")):
        assert time.monotonic() < deadline, told
        time.sleep(2)
    (domain,) = newcomer.shell.run("domain", "status", 1, "--json").json()
    assert domain["by_request"]["state"] == "executing"
    details = newcomer.shell.run("domain", "show", 1, "--json").json()
    (relay,) = details["relay_chain_details"]
    assert relay["genesis_sha256"] is not None
    assert {node["operator"] for node in relay["nodes"]} == {1, 2, 3, 4}
    for line in lines[end:]:
        newcomer.type(line)


def test_the_guide_names_every_command_of_domains_and_nodes() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    from piebridge.cli import domain, node

    for group, app in (("domain", domain.app), ("node", node.app)):
        for registered in app.registered_commands:
            assert registered.callback is not None
            name = registered.name or registered.callback.__name__
            assert f"{group} {name}" in text or f"`{name}`" in text, f"{group} {name} is not in the guide"
