"""The agent itself, with a management chain and processes in memory."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from piebridge.crypto.errors import TransientChainError, VerificationError
from piebridge.management_chain.node.agent import NodeAgent
from piebridge.management_chain.node.keys import OwnNode, make_node
from piebridge.management_chain.node.launch import LaunchSpec
from piebridge.management_chain.node.ports import ChainFacts, Observed
from piebridge.management_chain.node.unit import Phase
from piebridge.protocol_stack.management.storage import RequestState
from testkit.node_agent_world import OWN_NODE, facts_of, forming


@dataclass
class Chain:
    """A management chain in memory."""

    answer: ChainFacts | Exception
    reports: list[int] = field(default_factory=list)
    refuses: bool = False

    async def facts(self, nodes: Sequence[bytes], units: Sequence[tuple[bytes, int]]) -> ChainFacts:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def report_genesis(self, request_id: bytes, relay: int, node: int, genesis_hash: bytes) -> None:
        if self.refuses:
            raise TransientChainError("not now")
        self.reports.append(node)

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class Processes:
    """Processes in memory."""

    running: dict[str, LaunchSpec] = field(default_factory=dict)
    starts: int = 0

    async def observe(self, name: str) -> Observed:
        spec = self.running.get(name)
        return Observed(running=spec is not None, ready=spec is not None, spec=spec)

    async def start(self, name: str, spec: LaunchSpec) -> None:
        assert name not in self.running
        self.running[name] = spec
        self.starts += 1

    async def stop(self, name: str) -> None:
        self.running.pop(name, None)


@pytest.fixture
def node(tmp_path: Path) -> OwnNode:
    return make_node(tmp_path / "node", "word", rpc_port=20_001, p2p_port=20_002, dev=True)


@pytest.fixture
async def parts(tmp_path: Path, node: OwnNode) -> AsyncIterator[tuple[NodeAgent, Chain, Processes]]:
    chain, processes = Chain(facts_of([(forming(node), RequestState.CONFIRMED)])), Processes()
    agent = NodeAgent(tmp_path / "agent", [node], chain, processes)
    yield agent, chain, processes
    await agent.stop()


async def turns(agent: NodeAgent) -> None:
    while await agent.turn():
        pass


async def test_from_decision_to_report(parts: tuple[NodeAgent, Chain, Processes]) -> None:
    agent, chain, processes = parts
    await turns(agent)
    (unit,) = agent.units
    assert (unit.phase, unit.reported) == (Phase.RUNNING, (OWN_NODE,))
    assert list(processes.running) == [unit.name]
    assert chain.reports == [OWN_NODE]


async def test_a_report_that_fails_stops_nothing_and_is_tried_again(
    parts: tuple[NodeAgent, Chain, Processes],
) -> None:
    agent, chain, processes = parts
    chain.refuses = True
    for _ in range(8):
        await agent.turn()
    assert len(processes.running) == 1
    assert chain.reports == []
    chain.refuses = False
    await turns(agent)
    assert chain.reports == [OWN_NODE]


@pytest.mark.parametrize("problem", [TransientChainError("away"), VerificationError("forked")])
async def test_while_the_management_chain_is_away_what_runs_goes_on(
    parts: tuple[NodeAgent, Chain, Processes], problem: Exception
) -> None:
    agent, chain, processes = parts
    await turns(agent)
    chain.answer = problem
    processes.running.clear()
    await turns(agent)
    assert len(processes.running) == 1
    assert processes.starts == 2


async def test_an_agent_that_starts_while_it_is_away_goes_on(
    parts: tuple[NodeAgent, Chain, Processes], tmp_path: Path, node: OwnNode
) -> None:
    agent, chain, processes = parts
    await turns(agent)
    (spec,) = processes.running.values()
    await agent.stop()
    chain.answer = TransientChainError("away")
    again = NodeAgent(tmp_path / "agent", [node], chain, processes)
    await turns(again)
    assert list(processes.running.values()) == [spec]
    await again.stop()
    # Somebody without units begins nothing.
    fresh = NodeAgent(tmp_path / "other", [node], chain, Processes())
    await turns(fresh)
    assert fresh.units == ()
    await fresh.stop()
