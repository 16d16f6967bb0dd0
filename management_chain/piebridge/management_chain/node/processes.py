"""Processes of relay chains on this machine, started by the command that a person would type.

A process is bound to the agent's life by the kernel, and holds the lock of its unit for as long as it lives: an agent
that was killed and started again waits until the process before is gone, so there are never two of one unit.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from piebridge.abci.cometbft import leash
from piebridge.chains.cometbft_rpc import CometBftRpc
from piebridge.crypto.errors import ChainError, ConfigurationError, TransientChainError
from piebridge.management_chain.node.launch import LaunchSettings, LaunchSpec
from piebridge.management_chain.node.ports import Observed

STOP_TIMEOUT_SECONDS: Final = 20.0
"""How long a process may take until it is killed."""
_STATUS_TIMEOUT_SECONDS: Final = 3.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Running:
    process: asyncio.subprocess.Process
    spec: LaunchSpec
    rpc: CometBftRpc
    was_ready: bool = False


class LocalProcesses:
    """Starts, watches and ends processes; see :class:`~piebridge.management_chain.node.ports.ChainProcesses`."""

    def __init__(self, folder: Path, settings: LaunchSettings, environment: Mapping[str, str] | None = None) -> None:
        """Run processes.

        Args:
            folder: for locks and logs; made where it is missing.
            settings: what is the same for all of them.
            environment: variables added to this process's own.
        """
        self._folder, self._settings, self._environment = folder, settings, dict(environment or {})
        self._running: dict[str, _Running] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def log_of(self, name: str) -> Path:
        """Return where the output of a process goes."""
        return self._folder / f"{name}.log"

    async def observe(self, name: str) -> Observed:
        """Tell whether a process runs, and whether it serves its chain."""
        running = self._running.get(name)
        if running is None:
            return Observed(running=False)
        if running.process.returncode is not None:
            _log.error(
                "%s ended with %d; its log %s ends:\n%s",
                name,
                running.process.returncode,
                self.log_of(name),
                self._tail(name),
            )
            await self._forget(name)
            return Observed(running=False)
        try:
            status = await running.rpc.status()
        except ChainError:
            return Observed(running=True, spec=running.spec)
        ready = status.chain_id == running.spec.chain_id and not status.catching_up
        if ready and not running.was_ready:
            running.was_ready = True
            _log.info("%s serves %s at height %d", running.spec.rpc_url, status.chain_id, status.height)
        return Observed(running=True, ready=ready, spec=running.spec)

    async def start(self, name: str, spec: LaunchSpec) -> None:
        """Start a process under the lock of its unit."""
        lock = self._take_lock(name)
        try:
            with self.log_of(name).open("ab") as log:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-I", "-S", leash.__file__, str(os.getpid())),
                    *spec.arguments(self._settings),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=asyncio.subprocess.STDOUT,
                    env={**os.environ, **self._environment},
                    pass_fds=(lock,),
                )
        except OSError as error:
            raise ConfigurationError(f"{name} cannot be started: {error}") from error
        finally:
            os.close(lock)  # the process has its own; it gives the lock back when it ends, however it ends
        rpc = CometBftRpc(spec.rpc_url, timeout_seconds=_STATUS_TIMEOUT_SECONDS)
        self._running[name] = _Running(process, spec, rpc)
        _log.info("%s started, process %d", name, process.pid)

    async def stop(self, name: str) -> None:
        """End a process, and wait until its unit's lock is free."""
        running = self._running.get(name)
        if running is not None:
            await _end(running.process)
            await self._forget(name)
        # A process of the agent before this one, which the kernel is ending.
        os.close(self._take_lock(name))

    async def close(self) -> None:
        """End all processes."""
        await asyncio.gather(*(_end(running.process) for running in self._running.values()))
        for name in list(self._running):
            await self._forget(name)

    async def _forget(self, name: str) -> None:
        await self._running.pop(name).rpc.close()

    def _take_lock(self, name: str) -> int:
        try:
            descriptor = os.open(self._folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigurationError(f"{self._folder} cannot be used: {error}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise TransientChainError(f"{name}: an earlier process of it has not ended yet") from error
        return descriptor

    def _tail(self, name: str, lines: int = 12) -> str:
        try:
            text = self.log_of(name).read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            return f"(no log: {error.strerror})"
        return "\n".join(text.splitlines()[-lines:])


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOP_TIMEOUT_SECONDS)
    except TimeoutError:
        _log.warning("process %d did not end in good order and is killed", process.pid)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
