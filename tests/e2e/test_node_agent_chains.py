"""The node agent starts real relay chains by their command, on CometBFT and on the embedded engine."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from piebridge.chains.cometbft_rpc import CometBftRpc
from piebridge.management_chain.node.agent import NodeAgent
from piebridge.management_chain.node.keys import OwnNode, make_node
from piebridge.management_chain.node.launch import LaunchSettings
from piebridge.management_chain.node.ports import ChainFacts
from piebridge.management_chain.node.processes import LocalProcesses
from piebridge.management_chain.node.run import own_command, own_environment
from piebridge.management_chain.node.unit import Phase
from piebridge.protocol_stack.management.decision import Decision, Seat
from piebridge.protocol_stack.management.offer import Peer
from piebridge.protocol_stack.management.parameters import Consensus
from piebridge.protocol_stack.management.request_bodies import Form
from piebridge.protocol_stack.management.storage import RequestState
from testkit import node_agent_world
from testkit.node_agent_world import FileManagementChain, World, dissolving, forming
from testkit.toolchain import require_tool

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

SEATS = 4
PASSPHRASE = "of tests"
READY_SECONDS = 90.0


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def make_nodes(folder: Path) -> list[OwnNode]:
    ports = free_ports(2 * SEATS)
    return [
        make_node(folder / f"node-{place}", PASSPHRASE, rpc_port=ports[place], p2p_port=ports[SEATS + place], dev=True)
        for place in range(SEATS)
    ]


def decided(nodes: list[OwnNode], consensus: Consensus) -> Decision:
    given = forming(None, consensus=consensus)
    seats = tuple(Seat(place + 1, 1, node.consensus_key, node.endorsement_address) for place, node in enumerate(nodes))
    parameters = replace(given.parameters, block_bytes_max=65_536)
    assert isinstance(given.body, Form)
    body = replace(given.body, parameters=parameters)
    relays = (replace(given.relays[0], seats=seats),)
    return replace(given, parameters=parameters, body=body, relays=relays, time_seconds=1_700_000_000)


class KnownPeers(FileManagementChain):
    """The management chain of files, on whose market the nodes of this test are."""

    def __init__(self, world: World, nodes: list[OwnNode]) -> None:
        super().__init__(world)
        self._peers = {
            place + 1: Peer(bytes.fromhex(node.peer_id), f"127.0.0.1:{node.p2p_port}")
            for place, node in enumerate(nodes)
        }

    async def facts(self, nodes: object, units: object) -> ChainFacts:
        return replace(node_agent_world.facts_of(self._world.read_facts()), peers=self._peers)


@asynccontextmanager
async def agents(world: World, nodes: list[OwnNode], groups: list[list[OwnNode]]) -> AsyncIterator[list[NodeAgent]]:
    passphrase = world.folder / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_text(PASSPHRASE, encoding="utf-8")
    settings = LaunchSettings(own_command(), passphrase, dev=True, timing="local")
    running = []
    try:
        for number, group in enumerate(groups):
            folder = world.folder / f"agent-{number}"
            processes = LocalProcesses(folder / "processes", settings, own_environment())
            agent = NodeAgent(folder, group, KnownPeers(world, nodes), processes, poll_seconds=0.1)
            await agent.start()
            running.append(agent)
        yield running
    finally:
        await asyncio.gather(*(agent.stop() for agent in running))


async def until(condition: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(READY_SECONDS):
            while not condition():  # noqa: ASYNC110 - other processes are waited for
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(f"{what}: not within {READY_SECONDS} s")


async def height_of(node: OwnNode) -> int:
    rpc = CometBftRpc(f"http://127.0.0.1:{node.rpc_port}")
    try:
        return (await rpc.status()).height
    finally:
        await rpc.close()


@pytest.mark.parametrize("consensus", Consensus)
async def test_a_decision_becomes_a_running_chain_and_ends_in_the_archive(tmp_path: Path, consensus: Consensus) -> None:
    if consensus is Consensus.COMETBFT:
        require_tool("cometbft")
    world, nodes = World(tmp_path), make_nodes(tmp_path)
    formed = decided(nodes, consensus)
    world.write_facts((formed, RequestState.CONFIRMED))
    groups = [[node] for node in nodes] if consensus is Consensus.COMETBFT else [nodes]
    async with agents(world, nodes, groups) as running:
        await until(lambda: len(world.reports) == SEATS, "genesis reports of all seats")
        assert len({report["hash"] for report in world.reports}) == 1
        assert {report["node"] for report in world.reports} == set(range(1, SEATS + 1))
        before = [await height_of(node) for node in nodes]
        async with asyncio.timeout(READY_SECONDS):
            while min([await height_of(node) for node in nodes]) <= max(before):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.2)
        world.write_facts((formed, RequestState.DONE), (dissolving(formed), RequestState.DONE))
        await until(
            lambda: all(unit.phase is Phase.ARCHIVED for agent in running for unit in agent.units), "archived units"
        )
        assert all(len(agent.units) == 1 for agent in running)
    for number in range(len(groups)):
        assert len(list((tmp_path / f"agent-{number}" / "archive").iterdir())) == 1
