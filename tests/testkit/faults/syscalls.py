"""Deaths at system calls, by strace: a process is killed at its n-th call.

strace is a Debian package. Without it a test is skipped with the reason on a person's machine, and fails under CI.
"""

from collections.abc import Sequence

from testkit.toolchain import require_program

OFTEN = {
    "gateway": {"write": 8.5, "pwrite64": 5.0},
    "relay": {"pwrite64": 6.5, "fdatasync": 3.0, "write": 7.0},
}
"""Steps at which bytes leave a process: into a connection (`write`: uvloop uses no `sendto`), into a file, onto the
disk; for each role with how often it makes the call in some seconds of work, as a power of two. A gateway's database
leaves syncing to SQLite's checkpoints: `fdatasync` is seldom there."""


def _strace(injection: str, calls: Sequence[str]) -> list[str]:
    """Words before a command. `-D`: the command is the direct child and keeps its process id; strace watches it."""
    program = require_program("strace", "Debian: apt-get install strace")
    names = ",".join(calls)
    return [program, "-D", "-f", "-qqq", "-o", "/dev/null", "-e", f"trace={names}", "-e", f"inject={names}:{injection}"]


def killed_at(call: str, number: int) -> list[str]:
    """Wrapper for a command whose process is killed (SIGKILL) when it makes a system call for the n-th time."""
    return _strace(f"signal=KILL:when={number}", [call])
