"""The running CometBFT program."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from piebridge.abci.cometbft import leash
from piebridge.abci.cometbft.errors import CometBftMissingError
from piebridge.abci.cometbft.home import NodeHome

STOP_TIMEOUT_SECONDS = 8.0
"""How long a node may take to end in good order before it is killed."""


class NodeProcess:
    """One run of the program. Whatever happens to this process, the program does not outlive it."""

    def __init__(self, program: Path, home: NodeHome, environment: Mapping[str, str] | None = None) -> None:
        """Describe a run; nothing starts before :meth:`start`.

        Args:
            program: path of CometBFT.
            home: folder of the node, in which it also runs.
            environment: variables added to this process's own.
        """
        self._program, self._home = program, home
        self._environment = dict(environment or {})
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Process id, None before the start."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start the program, its output going to the log in its home.

        Raises:
            CometBftMissingError: it cannot be started.
        """
        self._home.rotate_log()
        home = str(self._home.path)
        try:
            with self._home.log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-I", "-S", leash.__file__, str(os.getpid())),
                    *(str(self._program.resolve()), "start", "--home", home),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=asyncio.subprocess.STDOUT,
                    cwd=home,
                    env={**os.environ, **self._environment},
                )
        except OSError as error:
            raise CometBftMissingError(f"{self._program} cannot be started: {error}") from error

    async def wait(self) -> int:
        """Wait for its end and return its exit code, negative for a signal."""
        assert self._process is not None, "the node was not started"
        return await self._process.wait()

    async def stop(self, timeout_seconds: float = STOP_TIMEOUT_SECONDS) -> bool:
        """End it: in good order, or by force after the time-out. Returns whether it ended in good order."""
        process = self._process
        if process is None or process.returncode is not None:
            return True
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), timeout_seconds)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            return False
        return True
