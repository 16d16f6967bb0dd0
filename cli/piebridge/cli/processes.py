"""Processes of a local network: started, watched and ended, and never anybody else's.

A process is named by its id *and* its start time as the operating system tells it, so that a reused id is not mistaken
for ours. Every process that is started here, and whatever it starts itself, carries the folder of its network in an
environment variable: what still runs is found even where every file about it is lost.
"""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from piebridge.cli.network_file import ProcessEntry
from piebridge.crypto.errors import ConfigurationError

MARK = "PIEBRIDGE_NETWORK_FOLDER"
"""Environment variable with the real path of the folder of the network that a process belongs to."""
_STOP_POLL_SECONDS = 0.05


def start(
    name: str,
    role: str,
    command: Sequence[str],
    directory: Path,
    environment: Mapping[str, str] | None = None,
) -> ProcessEntry:
    """Start a process in a session of its own, its output going to ``logs/<name>.log`` of the network folder.

    Args:
        name: name in the network, unique.
        role: role of the network file's schema.
        command: program and arguments; may not hold a secret.
        directory: folder of the network.
        environment: variables added to this process's own.

    Raises:
        ConfigurationError: the program cannot be started.
    """
    log_path = directory / "logs" / f"{name}.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("ab") as log:
        try:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env={**os.environ, **(environment or {}), MARK: os.path.realpath(directory)},
                start_new_session=True,
            )
        except OSError as error:
            raise ConfigurationError(f"{name} cannot be started: {command[0]}: {error.strerror}") from error
    _CHILDREN[process.pid] = process
    return ProcessEntry(
        name=name,
        role=role,
        pid=process.pid,
        started_at=start_time(process.pid) or 0,
        command=tuple(command),
        log_file=str(log_path.relative_to(directory)),
    )


def own_environment() -> dict[str, str]:
    """Return variables with which a child runs the very same PieBridge as this process."""
    import piebridge

    roots = [str(Path(path).parent) for path in piebridge.__path__]
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path not in roots]
    return {"PYTHONPATH": os.pathsep.join([*roots, *others]), "PYTHONUNBUFFERED": "1"}


def start_again(process: ProcessEntry, directory: Path) -> ProcessEntry:
    """Start a process that has ended by the same command; one that runs without anybody's knowledge is taken over.

    Raises:
        ConfigurationError: it still runs, or its program cannot be started.
    """
    if is_running(process):
        raise ConfigurationError(f"{process.name} runs already, process {process.pid}")
    if (found := find(process, directory)) is not None:
        return found
    return start(process.name, process.role, process.command, directory, own_environment())


def find(process: ProcessEntry, directory: Path) -> ProcessEntry | None:
    """Return the process that runs by this command in the folder, under whatever id.

    Whoever starts a process can be killed before it has written the id down. (Not found so: a program that changes its
    own command line, such as redis-server.)
    """
    wanted, folder = b"".join(argument.encode() + b"\0" for argument in process.command), str(directory.resolve())
    for place in Path("/proc").glob("[0-9]*"):
        try:
            same = (place / "cmdline").read_bytes() == wanted and os.readlink(place / "cwd") == folder
        except OSError:  # it has ended, or is somebody else's
            continue
        if same and (started_at := start_time(int(place.name))) is not None:
            return replace(process, pid=int(place.name), started_at=started_at)
    return None


def is_running(process: ProcessEntry) -> bool:
    """Tell whether exactly this process still runs."""
    child = _CHILDREN.get(process.pid)
    if child is not None and child.poll() is not None:
        return False
    return process.started_at != 0 and start_time(process.pid) == process.started_at


def belonging_to(directory: Path) -> list[ProcessEntry]:
    """Return every running process of the network in a folder, by the mark that it carries and not by any file.

    A process of another user is never found. The names are those of the programs, the log files are unknown.
    """
    wanted = f"{MARK}={os.path.realpath(directory)}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if wanted not in (entry / "environ").read_bytes().split(b"\0"):
                continue
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
        except OSError:  # it has ended in the meantime, or is somebody else's
            continue
        began = start_time(int(entry.name))
        if began is not None:
            name = f"process {entry.name} ({' '.join(Path(word).name for word in words[:5])})"
            found.append(ProcessEntry(name, "unknown", int(entry.name), began, tuple(words), ""))
    return sorted(found, key=lambda item: (item.started_at, item.pid))


def exit_status(process: ProcessEntry) -> int | None:
    """Return how a child of this very process has ended: its exit code, or minus the signal; None if it has not."""
    child = _CHILDREN.get(process.pid)
    if child is None:
        return None
    if child.poll() is None and not is_running(process):
        # Its first thread is gone and others still end: the kernel tells its status only when all are.
        child.wait(_LAST_THREADS_SECONDS)
    return child.returncode


def stop(processes: Sequence[ProcessEntry], timeout_seconds: float = 10.0) -> list[ProcessEntry]:
    """Ask processes to end, wait, and kill those that do not. Returns those that had to be killed."""
    for process in processes:
        _signal(process, signal.SIGTERM)
    stubborn = _wait_until_gone(processes, timeout_seconds)
    for process in stubborn:
        _signal(process, signal.SIGKILL)
    _wait_until_gone(stubborn, timeout_seconds)
    return stubborn


def kill(process: ProcessEntry) -> None:
    """End a process at once, as a power failure would (SIGKILL), and wait until it is gone."""
    _signal(process, signal.SIGKILL)
    _wait_until_gone([process], 10.0)


def start_time(pid: int) -> int | None:
    """Return the start time of a running process in clock ticks since boot, or None where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    # The command name stands in parentheses and may hold anything; the state is the first field behind it.
    fields = stat.rpartition(")")[2].split()
    if fields[0] in ("Z", "X"):
        return None
    return int(fields[19])


def tail(directory: Path, process: ProcessEntry, lines: int = 15) -> str:
    """Return the last lines of a process's log, for error messages."""
    try:
        text = (directory / process.log_file).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return f"(no log: {error.strerror})"
    return "\n".join(text.splitlines()[-lines:])


_LAST_THREADS_SECONDS = 10.0
"""How long a process that is ending may take until all of its threads are gone."""
_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}
"""Children of this very process, kept so that they are reaped when they end."""


def _signal(process: ProcessEntry, number: signal.Signals) -> None:
    if not is_running(process):
        return
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return


def _wait_until_gone(processes: Sequence[ProcessEntry], timeout_seconds: float) -> list[ProcessEntry]:
    deadline = time.monotonic() + timeout_seconds
    remaining = [process for process in processes if is_running(process)]
    while remaining and time.monotonic() < deadline:
        time.sleep(_STOP_POLL_SECONDS)
        remaining = [process for process in remaining if is_running(process)]
    return remaining
