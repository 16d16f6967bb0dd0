"""Which processes a network has started, written before anything can go wrong.

``network.json`` exists only when a network is up; a start that was killed half-way leaves this file, and ``network
down`` finds what to end. It holds every process that may still run, also those of ``network start`` and ``restart``, so
that it alone is enough where ``network.json`` is lost or damaged, and the other way round.
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
        _write(self._directory, [*self.entries, ProcessEntry(name, role, 0, 0, tuple(command), f"logs/{name}.log")])
        entry = processes.start(name, role, command, self._directory, environment)
        self.add(entry)
        return entry

    def add(self, entry: ProcessEntry) -> None:
        """Remember a process for good."""
        self.entries.append(entry)
        _write(self._directory, self.entries)


def started_again(directory: Path, entry: ProcessEntry) -> None:
    """Remember a process that was started again, beside all that still run."""
    _write(directory, [*running_in(directory), entry])


def started_in(directory: Path) -> list[ProcessEntry]:
    """Return every process that a network in a folder has started, as far as its files tell.

    A damaged file does not hide what the other tells: each is complete. :func:`damaged_in` names it.
    """
    found = {(entry.pid, entry.started_at): entry for entries, _ in _look(directory) for entry in entries}
    return list(found.values())


def damaged_in(directory: Path) -> list[str]:
    """Return what is wrong with those files that name processes, one sentence for each damaged one."""
    return [problem for _, problem in _look(directory) if problem]


def running_in(directory: Path) -> list[ProcessEntry]:
    """Return those of them that still run, also under an id that nobody has lived to write down."""
    started = started_in(directory)
    running = {entry.name: entry for entry in started if processes.is_running(entry)}
    for entry in started:
        if entry.name not in running and (found := processes.find(entry, directory)) is not None:
            running[entry.name] = found
    return list(running.values())


def everything_running_in(directory: Path) -> list[ProcessEntry]:
    """Return those, and then every other process that carries the network's mark.

    The others are children, which end with their parents, and what no file names any more.
    """
    named = running_in(directory)
    known = {entry.pid for entry in named}
    return [*named, *(entry for entry in processes.belonging_to(directory) if entry.pid not in known)]


def _look(directory: Path) -> list[tuple[list[ProcessEntry], str]]:
    """Return what each file tells, and what is wrong with it."""
    told: list[tuple[list[ProcessEntry], str]] = []
    for file, read in ((FILE_NAME, _read), (network_file.FILE_NAME, _read_network_file)):
        if (directory / file).exists():
            try:
                told.append((read(directory), ""))
            except ConfigurationError as error:
                told.append(([], str(error)))
    return told


def _read(directory: Path) -> list[ProcessEntry]:
    path = directory / FILE_NAME
    try:
        items = json.loads(path.read_text(encoding="utf-8"))
        return [ProcessEntry(**{**item, "command": tuple(item["command"])}) for item in items]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error


def _read_network_file(directory: Path) -> list[ProcessEntry]:
    return list(network_file.load(directory).processes)


def _write(directory: Path, entries: Sequence[ProcessEntry]) -> None:
    path = directory / FILE_NAME
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps([asdict(item) for item in entries], indent=2), encoding="utf-8")
    temporary.replace(path)
