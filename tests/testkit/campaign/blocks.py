"""Remembers the blocks that chains have shown: a chain that was killed may not show another block of a height."""

import asyncio
from collections.abc import Awaitable, Sequence

from piebridge.cli.view import ChainView, NetworkView, RelayView
from piebridge.crypto.errors import ChainError


class BlockWitness:
    """What was seen of every chain of a network."""

    def __init__(self, view: NetworkView) -> None:
        """Nothing was seen yet."""
        self._view = view
        self._hashes: dict[str, dict[int, str]] = {}
        self._newest_of_node: dict[tuple[str, int], int] = {}

    def height(self, name: str) -> int:
        """Highest block that was seen of a chain."""
        return max(self._hashes[name])

    async def look(self) -> None:
        """Look at all blocks of all chains, the old ones as well.

        Raises:
            AssertionError: a chain shows another block at a height than before, lacks one, or its validators disagree.
            ChainError: a chain does not answer.
        """
        await asyncio.gather(
            *(self._look_at_parachain(chain) for chain in self._view.chains.values()),
            *(self._look_at_relay(relay) for relay in self._view.relays.values()),
        )

    async def look_at_tips(self) -> None:
        """Look at the newest block of every chain only, quickly: what a chain shows last it is most likely to forget.

        Raises:
            AssertionError: a chain shows another block at a height than before, or lacks one.
            ChainError: a chain does not answer.
        """
        await asyncio.gather(
            *(self._look_at_parachain_tip(chain) for chain in self._view.chains.values()),
            *(self._look_at_relay_tip(relay) for relay in self._view.relays.values()),
        )

    async def _look_at_parachain_tip(self, chain: ChainView) -> None:
        newest = self._newest(chain.name)
        block = await chain.client.call("eth_getBlockByNumber", ["latest", False])
        assert isinstance(block, dict)
        self._compare(chain.name, {int(block["number"], 16): str(block["hash"])}, newest)

    async def _look_at_relay_tip(self, relay: RelayView) -> None:
        async def look(index: int) -> None:
            newest, node = self._newest_of_node.get((relay.name, index), 0), relay.nodes[index]
            header = (await node.signed_header((await node.status()).height)).header
            self._compare(relay.name, {header.height: header.hash().hex()}, newest, index)

        await _those_that_answer([look(index) for index in range(len(relay.nodes))])

    async def _look_at_parachain(self, chain: ChainView) -> None:
        newest = self._newest(chain.name)
        head, _ = await chain.head()
        calls = [("eth_getBlockByNumber", [hex(number), False]) for number in range(head + 1)]
        shown: dict[int, str] = {}
        for number, block in enumerate(await chain.client.batch(calls)):
            assert isinstance(block, dict), f"{chain.name} is at {head} and has no block {number}"
            shown[number] = str(block["hash"])
        self._compare(chain.name, shown, newest)

    async def _look_at_relay(self, relay: RelayView) -> None:
        await _those_that_answer([self._look_at_node(relay, index) for index in range(len(relay.nodes))])

    async def _look_at_node(self, relay: RelayView, index: int) -> None:
        node = relay.nodes[index]
        newest = self._newest_of_node.get((relay.name, index), 0)
        head = (await node.status()).height
        # Each header names the one before it: the newest known and all after it tell of all before them.
        shown = {}
        for height in range(max(newest, 1), head + 1):
            header = (await node.signed_header(height)).header
            shown[height] = header.hash().hex()
            if height - 1 in shown:
                assert header.last_block_id.hash.hex() == shown[height - 1], f"{relay.name} breaks at {height}"
        self._compare(relay.name, shown, newest, index)

    def _newest(self, name: str) -> int:
        return max(self._hashes.get(name, ()), default=0)

    def _compare(self, name: str, shown: dict[int, str], newest_before: int, node: int = 0) -> None:
        """Hold what a chain shows against what was known when it was asked; other looks may have seen more since."""
        known = self._hashes.setdefault(name, {})
        missing = newest_before - max(shown, default=0)
        assert missing <= 0, f"{name} has lost its last {missing} blocks"
        self._newest_of_node[name, node] = max((newest_before, *shown))
        for height, block_hash in shown.items():
            assert known.setdefault(height, block_hash) == block_hash, f"{name} shows a second block at {height}"


async def _those_that_answer(looks: Sequence[Awaitable[None]]) -> None:
    """Look at all nodes of a chain; those that are down are passed over, as long as one answers."""
    outcomes = await asyncio.gather(*looks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, ChainError):
            raise outcome
    if all(isinstance(outcome, ChainError) for outcome in outcomes):
        raise next(outcome for outcome in outcomes if outcome is not None)
