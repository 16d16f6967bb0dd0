"""Becomes another program that the kernel ends when the parent ends, however the parent ends.

Run as a script: ``python -I -S leash.py PARENT_PID PROGRAM ARGUMENT...``. A program of its own, because code between
fork and exec must not be Python in a process with threads. The order matters: first ask for the signal, then look
whether the parent is still there.

Source: ``prctl(2)``, PR_SET_PDEATHSIG; it survives ``execve`` of a program without set-user-id bits.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Bind this process to its parent's life and replace it."""
    parent, program, *rest = arguments
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != int(parent):
        return
    os.execv(program, [program, *rest])


if __name__ == "__main__":
    main(sys.argv[1:])
