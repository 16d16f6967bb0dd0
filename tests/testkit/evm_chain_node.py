"""An EVM chain on the embedded engine in a thread of the test process, for clients that block."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from piebridge.abci.embedded.keys import ValidatorKey
from piebridge.evm_chain.node import EvmNode, evm_genesis_document
from testkit.evm_chain_driver import GENESIS_SECONDS, genesis_state

T = TypeVar("T")

VALIDATOR_KEYS = tuple(ValidatorKey(bytes([index]) * 32) for index in range(1, 5))
"""Validators of the chains of tests."""


class SteppingClock:
    """A clock that goes on by a second each time it is read: every CometBFT block may then carry an EVM block."""

    def __init__(self) -> None:
        """Start a little after genesis."""
        self._now_ns = (GENESIS_SECONDS + 10) * 10**9

    def skip(self, seconds: int) -> None:
        """Go on by some seconds."""
        self._now_ns += seconds * 10**9

    def __call__(self) -> int:
        """Nanoseconds since the Unix epoch."""
        self._now_ns += 10**9
        return self._now_ns


class RunningNode:
    """A node that runs on its own thread."""

    def __init__(self, node: EvmNode, loop: asyncio.AbstractEventLoop) -> None:
        """Wrap a started node."""
        self.node = node
        self.loop = loop

    @property
    def eth_address(self) -> str:
        """HTTP address of the Ethereum RPC."""
        return self.node.eth_address

    def run(self, function: Callable[[], T]) -> T:
        """Run a function on the node's thread."""

        async def call() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(30)


@contextmanager
def running_node(
    home: Path | None = None,
    app_state: bytes | None = None,
    *,
    now_ns: Callable[[], int] | None = None,
    block_interval_seconds: float = 0.02,
) -> Iterator[RunningNode]:
    """Start a node and stop it at the end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="evm-node")
    thread.start()
    keys = [key.public_key for key in VALIDATOR_KEYS]
    document = evm_genesis_document("evm-test", GENESIS_SECONDS * 10**9, keys, app_state or genesis_state())

    async def start() -> EvmNode:
        node = EvmNode(
            home,
            document,
            VALIDATOR_KEYS,
            [0] * len(VALIDATOR_KEYS),
            0,
            now_ns=now_ns or SteppingClock(),
            block_interval_seconds=block_interval_seconds,
        )
        await node.start()
        return node

    try:
        node = asyncio.run_coroutine_threadsafe(start(), loop).result(60)
        try:
            yield RunningNode(node, loop)
        finally:
            asyncio.run_coroutine_threadsafe(node.stop(), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()
