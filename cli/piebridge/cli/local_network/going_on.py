"""Starts processes of a network again, and waits until each of them answers."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import aiohttp

from piebridge.chains.cometbft_rpc import CometBftRpc
from piebridge.chains.jsonrpc import JsonRpcClient
from piebridge.cli import network_file, processes, serving
from piebridge.cli.local_network import addresses, journal, redis_server
from piebridge.cli.network_file import NetworkFile, ProcessEntry
from piebridge.crypto.errors import ChainError, ConfigurationError, TransientChainError

ANSWER_TIMEOUT_SECONDS = 60.0
"""How long a process may take until it answers."""
_REQUEST_TIMEOUT_SECONDS = 2.0
_POLL_SECONDS = 0.1
_CHAINS = ("parachain", "relay", "proxy")

Ask = Callable[[], Awaitable[None]]


async def start(chosen: Sequence[ProcessEntry], network: NetworkFile, directory: Path) -> list[ProcessEntry]:
    """Start processes again and return them as they are now, once all of them answer: chains first, then carriers.

    Each is in the files of the network before the next one starts.

    Args:
        chosen: processes of the network that do not run.
        network: the network.
        directory: its folder, absolute.

    Raises:
        ConfigurationError: one still runs, cannot be started, ends at once, or does not answer in time.
    """
    begun = {}
    for group in (
        [item for item in chosen if item.role in _CHAINS],
        [item for item in chosen if item.role not in _CHAINS],
    ):
        offsets = {item.name: _size(directory / item.log_file) for item in group}
        for item in group:
            begun[item.name] = processes.start_again(item, directory)
            journal.started_again(directory, begun[item.name])
            now = tuple(begun.get(entry.name, entry) for entry in network.processes)
            network_file.save(network.with_processes(now), directory)
        await asyncio.gather(
            *(
                answers(begun[item.name], directory, offsets[item.name], _question(begun[item.name], network))
                for item in group
            )
        )
    return [begun[item.name] for item in chosen]


async def answers(process: ProcessEntry, directory: Path, log_offset: int, ask: Ask) -> None:
    """Wait until a process has said that it serves, and does.

    Args:
        process: the process.
        directory: folder of the network.
        log_offset: size of its log before it was started, bytes: what stands before was said by another one.
        ask: asks it something; raises ChainError if it does not answer.

    Raises:
        ConfigurationError: it ends, or does not answer in time; its last words are told.
    """
    announcement = redis_server.READY if process.role == "broker" else serving.READY
    deadline = time.monotonic() + ANSWER_TIMEOUT_SECONDS
    problem = "it has not said that it serves"
    while True:
        if announcement in _said(directory / process.log_file, log_offset):
            try:
                return await ask()
            except ChainError as error:
                problem = str(error)
        words = _said(directory / process.log_file, log_offset).splitlines()[-15:] or ["(nothing)"]
        if not processes.is_running(process):
            raise ConfigurationError(f"{process.name} ended while it started; its log says:\n" + "\n".join(words))
        if time.monotonic() > deadline:
            raise ConfigurationError(
                f"{process.name} runs but does not answer after {ANSWER_TIMEOUT_SECONDS:.0f} s ({problem}); its log "
                "says:\n" + "\n".join(words)
            )
        await asyncio.sleep(_POLL_SECONDS)


def _question(process: ProcessEntry, network: NetworkFile) -> Ask:
    """Return what a process is asked to see whether it serves."""
    name = process.name

    async def parachain() -> None:
        async with JsonRpcClient(parachains[name], timeout_seconds=_REQUEST_TIMEOUT_SECONDS) as client:
            await client.call("eth_blockNumber")

    async def relay() -> None:
        rpc = CometBftRpc(relays[name], timeout_seconds=_REQUEST_TIMEOUT_SECONDS)
        try:
            await rpc.status()
        finally:
            await rpc.close()

    async def carrier() -> None:
        timeout = aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT_SECONDS)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(f"{carriers[name]}/health"):
                return
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise TransientChainError(f"{carriers[name]}: {error or type(error).__name__}") from error

    async def nothing() -> None:
        """Its own word is enough."""

    parachains, relays = addresses.of_parachain_nodes(network), addresses.of_relay_nodes(network)
    carriers = addresses.of_carriers(network)
    for known, ask in ((parachains, parachain), (relays, relay), (carriers, carrier)):
        if name in known:
            return ask
    return nothing


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _said(path: Path, offset: int) -> str:
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            return stream.read().decode(errors="replace")
    except OSError as error:
        return f"(no log: {error.strerror})"
