"""How far a relay chain has come, told by nodes of which some lie or are down."""

import asyncio
from dataclasses import dataclass

import pytest

from piebridge.chains.cometbft_rpc import NodeStatus
from piebridge.chains.relay import CometBftRelayEndpoint
from piebridge.crypto.errors import TransientChainError

DOWN = -1
SILENT = -2


@dataclass
class Node:
    """A node that says what the test wants."""

    height: int
    chain_id: str = "relay"

    async def status(self) -> NodeStatus:
        if self.height == DOWN:
            raise TransientChainError("connection refused")
        if self.height == SILENT:
            await asyncio.Event().wait()
        return NodeStatus(self.chain_id, self.height, self.height * 1_000_000_000, catching_up=False)


def endpoint(*nodes: Node) -> CometBftRelayEndpoint:
    made = CometBftRelayEndpoint(
        name="relay", chain_id="relay", validator_rpc_urls=[f"http://127.0.0.1:{1 + i}" for i in range(len(nodes))]
    )
    made._validators = list(nodes)  # type: ignore[arg-type]
    made._preferred = list(nodes)  # type: ignore[arg-type]
    return made


@pytest.mark.parametrize(
    ("heights", "expected"),
    [
        ((100,), {100}),
        ((100, 99), {100}),
        ((1_000_000, 100, 100, 99), {100}),
        ((100, 1_000_000, 99, 99), {99, 100}),
        ((0, 100, 100, 100), {100}),
        ((3, 100, 99, 98), {99, 98}),
        ((DOWN, 100, 99, 100), {100}),
        ((SILENT, 100, 99, 99), {99}),
        ((SILENT, 100, 1_000_000, 99), {100}),
        ((DOWN, DOWN, DOWN, 98), {98}),
        ((1_000_000, 1_000_000, 97, 98, 96, 98, 98), {98, 97}),
    ],
)
async def test_no_node_that_lies_is_believed(heights: tuple[int, ...], expected: set[int]) -> None:
    chain = endpoint(*map(Node, heights))
    assert await asyncio.wait_for(chain.latest_height(), 5) in expected
    assert await asyncio.wait_for(chain.latest_time(), 5) in expected


async def test_a_node_of_another_chain_has_no_say() -> None:
    chain = endpoint(Node(5_000, "other"), Node(5_000, "other"), Node(7), Node(7))
    assert await chain.latest_height() == 7


async def test_without_any_node_there_is_no_height() -> None:
    with pytest.raises(TransientChainError, match="no node answers"):
        await endpoint(Node(DOWN), Node(DOWN)).latest_height()
