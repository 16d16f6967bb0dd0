"""Runs the piebridge command as a person does: as a process of its own, in a folder of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from piebridge.cli import network_file, processes
from piebridge.cli.local_network.plan import Engine, ParachainKind, Wishes
from piebridge.cli.network_file import NetworkFile, ProcessEntry
from testkit import ports


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command did."""

    exit_code: int
    """0 for success."""
    output: str
    """What it printed for its user."""
    errors: str
    """What it complained about."""

    def json(self) -> Any:  # noqa: ANN401 - whatever the command prints
        """Return the document that it printed."""
        return json.loads(self.output)


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The command in one working folder."""

    folder: Path
    """Where it runs; its network lies in ``network`` below."""
    environment: dict[str, str] = field(default_factory=dict)
    """Variables beyond those of this process."""

    @property
    def network_folder(self) -> Path:
        """Folder of the network."""
        return self.folder / "network"

    def run(self, *arguments: object, timeout_seconds: float = 180) -> Outcome:
        """Run a command and wait for its end."""
        done = subprocess.run(
            command(*arguments),
            cwd=self.folder,
            env={**os.environ, **processes.own_environment(), **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def in_network(self, *arguments: object) -> Outcome:
        """Run a command on the network of this folder."""
        return self.run(*arguments, "--dir", self.network_folder)

    def up(self, *options: object) -> NetworkFile:
        """Start a network on free ports and leave it running."""
        outcome = self.in_network("network", "up", "--detach", "--port-base", free_port_base(), *options)
        assert outcome.exit_code == 0, outcome.errors
        return self.network()

    def network(self) -> NetworkFile:
        """Read the network file."""
        return network_file.load(self.network_folder)

    def process(self, name: str) -> ProcessEntry:
        """Return a process of the network."""
        return next(item for item in self.network().processes if item.name == name)


def command(*arguments: object) -> list[str]:
    """Return the command line of a piebridge command."""
    return [sys.executable, "-m", "piebridge.cli", *(str(argument) for argument in arguments)]


def free_port_base(kind: ParachainKind = ParachainKind.EMBEDDED, engine: Engine = Engine.EMBEDDED) -> int:
    """Return a port base that is free now."""
    return ports.free_port_base(Wishes(parachain_kind=kind, engine=engine))


def processes_that_mention(path: Path) -> list[int]:
    """Return the ids of processes of this machine whose command line names a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(path).encode() in line and processes.start_time(int(entry.name)) is not None:
                found.append(int(entry.name))
    return found
