"""Live progress of long commands: a spinner on a terminal, plain lines elsewhere, nothing where machines listen."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.markup import escape


class Progress(Protocol):
    """Where a long command tells what it does."""

    def working(self, text: str) -> None:
        """Say what is going on now."""

    def done(self, text: str) -> None:
        """Say what is finished."""


class ConsoleProgress:
    """Progress for people."""

    def __init__(self, console: Console | None = None) -> None:
        """Begin to count time."""
        self._console = console or Console(stderr=True, highlight=False)
        self._began = time.monotonic()
        self._status = self._console.status("") if self._console.is_terminal else None

    def working(self, text: str) -> None:
        """Turn the spinner; plain output waits for what is finished."""
        if self._status is not None:
            self._status.update(escape(text))
            self._status.start()

    def done(self, text: str) -> None:
        """Print a line with the seconds since the beginning."""
        mark = "[green]✓[/]" if self._console.is_terminal else " "
        self._console.print(f"{time.monotonic() - self._began:6.1f} s {mark} {escape(text)}", soft_wrap=True)

    def close(self) -> None:
        """Stop the spinner."""
        if self._status is not None:
            self._status.stop()


class SilentProgress:
    """Progress for nobody."""

    def working(self, text: str) -> None:
        """Say nothing."""

    def done(self, text: str) -> None:
        """Say nothing."""


@contextmanager
def shown(*, silent: bool = False) -> Iterator[Progress]:
    """Give a progress for the time of a command."""
    if silent:
        yield SilentProgress()
        return
    progress = ConsoleProgress()
    try:
        yield progress
    finally:
        progress.close()
