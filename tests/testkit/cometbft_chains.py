"""Chains on CometBFT as tests look at them: heights, app hashes of every node, blocks as they were decided."""

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from piebridge.abci.embedded.engine import EmbeddedEngine
from piebridge.abci.embedded.genesis import GenesisDocument
from piebridge.cometbft.commit import Commit
from piebridge.cometbft.header import Header
from piebridge.cometbft.json_format import commit_from_json, header_from_json
from testkit.light_proxy import Json, RpcClient

_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class DecidedBlock:
    """A block as a node stores it."""

    header: Header
    txs: tuple[bytes, ...]
    last_commit: Commit
    results: Json
    """What ``/block_results`` answers."""


class Node:
    """CometBFT's RPC of one node."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._rpc = RpcClient(url, session)

    async def height(self) -> int | None:
        """Newest block; None while the node is down or fetches blocks."""
        try:
            sync = (await self._rpc.ask("status"))["sync_info"]
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None
        return None if sync["catching_up"] else int(sync["latest_block_height"])

    async def application(self) -> tuple[int, bytes]:
        """Height and app hash that the node's application tells."""
        answer = (await self._rpc.ask("abci_info"))["response"]
        return int(answer.get("last_block_height", 0)), base64.b64decode(answer.get("last_block_app_hash", ""))

    async def header(self, height: int) -> Header:
        """Header of a height."""
        return header_from_json((await self._rpc.ask("header", height=str(height)))["header"])

    async def transactions(self, height: int) -> int:
        """How many transactions a block has."""
        block = (await self._rpc.ask("block", height=str(height)))["block"]
        return len(block["data"]["txs"] or ())

    async def block(self, height: int) -> DecidedBlock:
        """A block with its results."""
        block = (await self._rpc.ask("block", height=str(height)))["block"]
        return DecidedBlock(
            header_from_json(block["header"]),
            tuple(base64.b64decode(tx) for tx in block["data"]["txs"] or ()),
            commit_from_json(block["last_commit"]) if height > 1 else Commit(),
            await self._rpc.ask("block_results", height=str(height)),
        )

    async def validator_height(self) -> Any:  # noqa: ANN401 - JSON
        """The consensus state, for messages of failed tests."""
        return await self._rpc.ask("dump_consensus_state")


async def within(seconds: float, what: str, condition: Callable[[], Awaitable[bool]]) -> float:
    """Wait until a condition holds and return how long it took.

    Raises:
        AssertionError: it does not in time.
    """
    began = time.monotonic()
    while not await condition():
        assert time.monotonic() - began < seconds, f"{what}: not within {seconds:.0f} s"
        await asyncio.sleep(_POLL_SECONDS)
    return time.monotonic() - began


async def caught_up(nodes: Sequence[Node], seconds: float = 60.0) -> int:
    """Wait until all nodes take transactions and are within one block of each other; return the lowest height."""
    heights: list[int | None] = []

    async def even() -> bool:
        heights[:] = await asyncio.gather(*(node.height() for node in nodes))
        known = [height for height in heights if height is not None]
        return len(known) == len(nodes) and max(known) - min(known) <= 1

    await within(seconds, "all nodes have caught up", even)
    return min(height for height in heights if height is not None)


async def assert_same_state(nodes: Sequence[Node]) -> int:
    """Hold the state of every node's own application against the next header; return a height that all have reached.

    CometBFT compares app hashes too and halts where they differ; this asks the applications themselves.
    """
    lowest = await caught_up(nodes)
    told = await asyncio.gather(*(node.application() for node in nodes))
    highest = max(height for height, _ in told)

    async def proven() -> bool:
        return (await nodes[0].height() or 0) > highest  # empty blocks come at an interval, so this one will

    await within(30, f"a header proves the state of {highest}", proven)
    for node, (height, app_hash) in zip(nodes, told, strict=True):
        header = await nodes[0].header(height + 1)
        assert header.app_hash == app_hash, f"{node.url} has another state at {height}"
    return lowest


async def replay(node: Node, engine: EmbeddedEngine) -> int:
    """Let the embedded engine execute every block of a CometBFT chain and compare all that both say of it.

    Returns the last height. ``replay_block`` itself refuses votes for any other header than the engine's own.
    """
    height = await node.height()
    assert height is not None
    below = await node.block(1)
    for number in range(2, height + 1):
        above = await node.block(number)
        stored = engine.replay_block(below.txs, below.header.proposer_address, above.last_commit)
        assert stored.block.header == below.header
        assert stored.block.header.hash() == above.header.last_block_id.hash
        assert engine.state.app_hash == above.header.app_hash, number - 1
        assert engine.state.last_results_hash == above.header.last_results_hash
        assert engine.state.validators.hash() == above.header.validators_hash
        assert stored.response.app_hash == base64.b64decode(below.results["app_hash"] or "")
        results = below.results["txs_results"] or []
        assert [(result.code, result.data) for result in stored.response.tx_results] == [
            (item["code"], base64.b64decode(item["data"] or "")) for item in results
        ]
        below = above
    return height - 1


def genesis_of(path_text: bytes) -> GenesisDocument:
    """Read a genesis document, whose bytes are the same for both engines."""
    document = GenesisDocument.from_json(path_text)
    assert document.to_json() == path_text
    return document
