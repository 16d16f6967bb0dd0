"""What every command that runs until it is told to stop has in common: log, signals, exit."""

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import uvloop

from piebridge.crypto.errors import ConfigurationError


class Service(Protocol):
    """Something that starts, runs and stops."""

    async def start(self) -> None:
        """Begin; returns once it serves."""

    async def wait(self) -> None:
        """Return when it has ended, or raise what ended it."""

    async def stop(self) -> None:
        """End in good order."""


ServiceT = TypeVar("ServiceT", bound=Service)


def serve(build: Callable[[], Awaitable[ServiceT]], announce: Callable[[ServiceT], str]) -> None:
    """Run a service until SIGTERM or SIGINT, or until it fails.

    Args:
        build: makes the service, on the event loop that it will run on.
        announce: says in one line where it serves, once it does.

    Raises:
        ConfigurationError: a port is taken.
        PieBridgeError: whatever ended the service.
    """
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    uvloop.run(_serve(build, announce))


async def _serve(build: Callable[[], Awaitable[ServiceT]], announce: Callable[[ServiceT], str]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    service = await build()
    try:
        await service.start()
    except OSError as error:
        raise ConfigurationError(
            f"a port cannot be opened: {error.strerror or error}; stop what uses it, or choose another"
        ) from error
    sys.stdout.write(announce(service) + "\n")
    sys.stdout.flush()
    running = asyncio.create_task(service.wait())
    told = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({running, told}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
    finally:
        told.cancel()
        await service.stop()
        running.cancel()
        await asyncio.gather(running, told, return_exceptions=True)
