"""What every command that runs until it is told to stop has in common: log, signals, exit."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import uvloop

from piebridge.crypto.errors import ConfigurationError

READY = "ready: "
"""How the line begins that a program prints once it serves; whoever started it may rely on it."""


class Service(Protocol):
    """Something that starts, runs and stops."""

    async def start(self) -> None:
        """Begin; returns once it serves."""

    async def wait(self) -> None:
        """Return when it has ended, or raise what ended it."""

    async def stop(self) -> None:
        """End in good order."""


def run_until_told(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a program until SIGTERM or SIGINT, which cancel it, or until it ends or fails by itself.

    Args:
        main: the program; called on the event loop that it runs on.

    Raises:
        ConfigurationError: a port is taken.
        PieBridgeError: whatever ended the program.
    """
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    uvloop.run(_until_told(main))


async def serve(service: Service, announce: Callable[[], str]) -> None:
    """Start a service, say in one line where it serves, and wait for its end; cancelled, it stops in good order."""
    try:
        try:
            await service.start()
        except OSError as error:
            raise ConfigurationError(
                f"a port cannot be opened: {error.strerror or error}; stop what uses it, or choose another"
            ) from error
        say(f"{READY}{announce()}")
        try:
            await service.wait()
        except OSError as error:
            raise ConfigurationError(
                f"stopped, because its files cannot be read or written: {error}; make room if the disk is full, and "
                "start again"
            ) from error
    finally:
        await service.stop()


def say(line: str) -> None:
    """Print a line at once, also into a log file."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _until_told(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    program = asyncio.create_task(main())
    told = asyncio.create_task(stopping.wait())
    await asyncio.wait({program, told}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if program.done():
        await program
        return
    program.cancel()
    (outcome,) = await asyncio.gather(program, return_exceptions=True)
    if isinstance(outcome, Exception):
        raise outcome
