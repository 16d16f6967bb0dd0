"""Faults at system calls, by strace: a process is killed at its n-th call, or the call fails as on a full disk.

strace is a Debian package. Without it a test is skipped with the reason on a person's machine, and fails under CI.
"""

from collections.abc import Sequence

from testkit.toolchain import require_program

IO_CALLS = ("sendto", "pwrite64", "fsync", "fdatasync")
"""Steps at which bytes leave a process: into a connection, into a file, onto the disk."""

OFTEN = {"sendto": 8.5, "pwrite64": 6.0, "fsync": 2.0, "fdatasync": 4.0}
"""How often a gateway makes each call in some seconds of work, as a power of two."""


def _strace(injection: str, calls: Sequence[str]) -> list[str]:
    """Words before a command. `-D`: the command is the direct child and keeps its process id; strace watches it."""
    program = require_program("strace", "Debian: apt-get install strace")
    names = ",".join(calls)
    return [program, "-D", "-f", "-qqq", "-o", "/dev/null", "-e", f"trace={names}", "-e", f"inject={names}:{injection}"]


def killed_at(call: str, number: int) -> list[str]:
    """Wrapper for a command whose process is killed (SIGKILL) when it makes a system call for the n-th time."""
    return _strace(f"signal=KILL:when={number}", [call])


def failing_from(calls: Sequence[str], number: int, error: str = "ENOSPC") -> list[str]:
    """Wrapper for a command whose system calls fail with an error from the n-th on."""
    return _strace(f"error={error}:when={number}+", calls)
