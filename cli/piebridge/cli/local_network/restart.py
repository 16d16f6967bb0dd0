"""Waits until a process of a network that was started again has its place back."""

import asyncio
import time
from pathlib import Path

from piebridge.chains.cometbft_rpc import CometBftRpc, NodeStatus
from piebridge.cli import processes
from piebridge.cli.network_file import NetworkFile, ProcessEntry
from piebridge.crypto.errors import ChainError, ConfigurationError

CAUGHT_UP_TIMEOUT_SECONDS = 60.0
"""How long a validator may take."""
_POLL_SECONDS = 0.2


async def caught_up(network: NetworkFile, process: ProcessEntry, directory: Path) -> None:
    """Wait until a chain's process is as high as its chain was when this was called; others need not be waited for.

    Raises:
        ConfigurationError: it ended, or does not get there in time.
    """
    own, others = _nodes(network, process.name)
    if not own:
        return
    clients = {url: CometBftRpc(url, timeout_seconds=2.0) for url in (*own, *others)}
    try:
        heights = await asyncio.gather(*(_status(clients[url]) for url in others))
        goal = max((status.height for status in heights if status is not None), default=0)
        deadline = time.monotonic() + CAUGHT_UP_TIMEOUT_SECONDS
        while not all([_is_there(await _status(clients[url]), goal) for url in own]):
            words = processes.tail(directory, process)
            if not processes.is_running(process):
                raise ConfigurationError(f"{process.name} ended after its restart; its log says:\n{words}")
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    f"{process.name} is not at height {goal} after {CAUGHT_UP_TIMEOUT_SECONDS:.0f} s; its log says:\n"
                    f"{words}"
                )
            await asyncio.sleep(_POLL_SECONDS)
    finally:
        for client in clients.values():
            await client.close()


def _is_there(status: NodeStatus | None, goal: int) -> bool:
    return status is not None and not status.catching_up and status.height >= goal


async def _status(client: CometBftRpc) -> NodeStatus | None:
    try:
        return await client.status()
    except ChainError:
        return None


def _nodes(network: NetworkFile, name: str) -> tuple[list[str], list[str]]:
    """Return the CometBFT RPCs of a process, and those of the other processes of its chain; none for other roles."""
    for relay in network.relay_chains:
        by_process = [(item.process or f"relay-{relay.id}", item.rpc_url) for item in relay.validators]
        if name in dict(by_process):
            return [url for owner, url in by_process if owner == name], [
                url for owner, url in by_process if owner != name
            ]
    for chain in network.chains:
        urls = chain.cometbft_rpc_urls
        names = [chain.name] if len(urls) == 1 else [f"{chain.name}-validator-{index}" for index in range(len(urls))]
        if name in names:
            own = names.index(name)
            return [urls[own]], [url for index, url in enumerate(urls) if index != own]
    return [], []
