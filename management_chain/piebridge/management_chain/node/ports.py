"""What an agent needs of the world: the management chain, and processes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from piebridge.management_chain.follower.follower import FinalDecision
from piebridge.management_chain.node.launch import LaunchSpec
from piebridge.protocol_stack.identifiers import RelayId
from piebridge.protocol_stack.management.offer import Peer
from piebridge.protocol_stack.management.storage import RequestStatus


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """What the management chain says now; everything but the peers is proven."""

    decisions: tuple[FinalDecision, ...]
    """Final decisions about domains in which this agent has or had a seat, the oldest first."""
    requests: Mapping[bytes, RequestStatus]
    """Where the requests of the agent's units are, whether their decisions still stand or not."""
    genesis_hashes: Mapping[RelayId, bytes]
    """Genesis hashes that stand."""
    peers: Mapping[int, Peer]
    """Where nodes are reached, as the market says through one node: worth nothing but for finding them."""


class ManagementChain(Protocol):
    """The management chain as an agent sees it."""

    async def facts(self, nodes: Sequence[bytes], units: Sequence[tuple[bytes, RelayId]]) -> ChainFacts:
        """Return what there is to know.

        Args:
            nodes: consensus keys of the agent's nodes, 33 bytes each.
            units: request id and relay chain of the agent's units.

        Raises:
            ChainError: no node helps; try again.
            VerificationError: trust is lost; the message says what to do.
        """

    async def report_genesis(self, request_id: bytes, relay: RelayId, node: int, genesis_hash: bytes) -> None:
        """State the genesis hash of a relay chain for a node, and return once it stands in a block.

        Stated before, nothing is sent.

        Raises:
            ChainError: it was not taken; try again, or find out why.
        """

    async def close(self) -> None:
        """Close all connections."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What is seen of a unit's process."""

    running: bool
    """Whether it runs."""
    ready: bool = False
    """Whether it serves its chain and has caught up with it."""
    spec: LaunchSpec | None = None
    """What it was started with, while it runs."""


class ChainProcesses(Protocol):
    """Processes of relay chains. None outlives the agent."""

    async def observe(self, name: str) -> Observed:
        """Tell how a process is."""

    async def start(self, name: str, spec: LaunchSpec) -> None:
        """Start a process.

        Raises:
            TransientChainError: an earlier process of this name still ends; try again.
            ConfigurationError: it cannot be started.
        """

    async def stop(self, name: str) -> None:
        """End a process in good order, or by force after a while; return once it is gone."""
