"""Which processes a network has started, written before anything can go wrong.

``network.json`` exists only when a network is up; a start that was killed half-way leaves this file, and ``network
down`` finds what to end.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from piebridge.cli import network_file, processes
from piebridge.cli.network_file import ProcessEntry
from piebridge.crypto.errors import ConfigurationError

FILE_NAME = "processes.json"
"""Name of the file in the network folder."""


class Journal:
    """The processes of a network that is being started."""

    def __init__(self, directory: Path) -> None:
        """Begin an empty list in a network folder."""
        self._directory = directory
        self.entries: list[ProcessEntry] = []
        """In the order in which they were started."""

    def start(
        self, name: str, role: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> ProcessEntry:
        """Start a process and remember it: first its command, then its id, so that no kill in between loses it.

        Raises:
            ConfigurationError: the program cannot be started.
        """
        self._write([*self.entries, ProcessEntry(name, role, 0, 0, tuple(command), f"logs/{name}.log")])
        entry = processes.start(name, role, command, self._directory, environment)
        self.add(entry)
        return entry

    def add(self, entry: ProcessEntry) -> None:
        """Remember a process for good."""
        self.entries.append(entry)
        self._write(self.entries)

    def _write(self, entries: Sequence[ProcessEntry]) -> None:
        path = self._directory / FILE_NAME
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps([asdict(item) for item in entries], indent=2), encoding="utf-8")
        temporary.replace(path)


def started_in(directory: Path) -> list[ProcessEntry]:
    """Return every process that a network in a folder has started, as far as its files tell.

    Raises:
        ConfigurationError: a file is there and cannot be read.
    """
    found: dict[tuple[int, int], ProcessEntry] = {}
    path = directory / FILE_NAME
    if path.exists():
        try:
            for item in json.loads(path.read_text(encoding="utf-8")):
                entry = ProcessEntry(**{**item, "command": tuple(item["command"])})
                found[entry.pid, entry.started_at] = entry
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ConfigurationError(f"{path} cannot be read: {error}") from error
    if (directory / network_file.FILE_NAME).exists():
        for entry in network_file.load(directory).processes:
            found[entry.pid, entry.started_at] = entry
    return list(found.values())


def running_in(directory: Path) -> list[ProcessEntry]:
    """Return those of them that still run, also under an id that nobody has lived to write down."""
    started = started_in(directory)
    running = {entry.name: entry for entry in started if processes.is_running(entry)}
    for entry in started:
        if entry.name not in running and (found := processes.find(entry, directory)) is not None:
            running[entry.name] = found
    return list(running.values())
