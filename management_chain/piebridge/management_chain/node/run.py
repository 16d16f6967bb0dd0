"""Puts an agent together: what ``piebridge node run`` calls."""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from piebridge.crypto.errors import ConfigurationError
from piebridge.management_chain.follower.follower import ManagementFollower
from piebridge.management_chain.follower.node import ManagementNode, NodeAddresses
from piebridge.management_chain.follower.trust import Trust, TrustRoot
from piebridge.management_chain.node.agent import POLL_SECONDS, NodeAgent
from piebridge.management_chain.node.chain import LiveManagementChain
from piebridge.management_chain.node.keys import OwnNode
from piebridge.management_chain.node.launch import LaunchSettings
from piebridge.management_chain.node.processes import LocalProcesses
from piebridge.protocol_stack.management.tags import Place


@dataclass(frozen=True, slots=True)
class ManagementAccess:
    """The management chain and how it is reached."""

    nodes: tuple[NodeAddresses, ...]
    """Its nodes, two at least outside ``--dev``."""
    root: TrustRoot
    """Header from which the light client starts."""
    registry: Place
    """DomainRegistry."""
    board: bytes
    """Address of the GovernorBoard, 20 bytes."""
    market: bytes
    """Address of the NodeMarket, 20 bytes."""
    first_block: int = 0
    """First EVM block with the contracts."""


def make_follower(access: ManagementAccess, folder: Path) -> ManagementFollower:
    """Follow the management chain from a folder that keeps what is trusted.

    Raises:
        ConfigurationError: the folder cannot be used, or is of another chain.
    """
    if not access.nodes:
        raise ConfigurationError("no node of the management chain is named: give its RPC addresses")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be made: {error}") from error
    return ManagementFollower(
        Trust(access.root, folder / "trusted.json"),
        [ManagementNode(addresses) for addresses in access.nodes],
        registry=access.registry,
        board=access.board,
        now_ns=time.time_ns,
    )


def make_agent(
    folder: Path,
    nodes: Sequence[OwnNode],
    access: ManagementAccess,
    launch: LaunchSettings,
    private_key: bytes,
    *,
    poll_seconds: float = POLL_SECONDS,
) -> NodeAgent:
    """Put an agent together; nothing runs before its ``start``. To be called on the event loop that it runs on.

    Args:
        folder: of the agent alone: what is trusted, units, chains, archive, logs of processes.
        nodes: its nodes, see :func:`piebridge.management_chain.node.keys.load_node`.
        access: the management chain.
        launch: how relay chains are started.
        private_key: of the account that reports, 32 bytes.
        poll_seconds: how often to look.

    Raises:
        ConfigurationError: the folder cannot be used, or another agent has it; too few addresses.
    """
    if len(access.nodes) < 2 and not launch.dev:
        raise ConfigurationError(
            "an agent needs RPC addresses of two nodes of the management chain at least: one alone can keep decisions "
            "back for ever; give a second one, or --dev"
        )
    if not nodes:
        raise ConfigurationError("the agent has no nodes: `piebridge node offer` makes one")
    follower = make_follower(access, folder)
    chain = LiveManagementChain(
        follower,
        [addresses.eth_url for addresses in access.nodes],
        access.market,
        private_key,
        first_block=access.first_block,
    )
    processes = LocalProcesses(folder / "processes", launch, own_environment())
    return NodeAgent(folder, nodes, chain, processes, poll_seconds=poll_seconds)


def own_command() -> tuple[str, ...]:
    """Return the command that stands for ``piebridge`` in this very installation."""
    return (sys.executable, "-m", "piebridge.cli")


def own_environment() -> dict[str, str]:
    """Return variables with which a child runs the very same PieBridge as this process."""
    import piebridge

    roots = [str(Path(path).parent) for path in piebridge.__path__]
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path not in roots]
    return {"PYTHONPATH": os.pathsep.join([*roots, *others]), "PYTHONUNBUFFERED": "1"}
