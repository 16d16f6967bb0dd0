"""The asyncio shell around the engine: clock, block interval, one RPC port for each validator key."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from piebridge.abci.application import Application
from piebridge.abci.embedded.engine import EmbeddedEngine, QueryHandler
from piebridge.abci.embedded.errors import EngineError, NoQuorumError
from piebridge.abci.embedded.genesis import GenesisDocument
from piebridge.abci.embedded.keys import ValidatorKey
from piebridge.abci.embedded.mempool import MempoolLimits
from piebridge.abci.embedded.rpc import RpcLimits, RpcServer
from piebridge.abci.embedded.rpc_methods import RpcMethods

_NO_QUORUM_PAUSE_SECONDS = 0.1

_log = logging.getLogger(__name__)


class EmbeddedNode:
    """Runs a chain: makes blocks by the clock and serves the RPC.

    A block is made when transactions wait, when the last block changed the state (so that a header proves it), when
    ``create_empty_blocks`` is set, or when nothing happened for ``create_empty_blocks_interval_seconds``; never sooner
    than ``block_interval_seconds`` after the block before. These are CometBFT's ``timeout_commit`` and settings of the
    same names.
    """

    def __init__(
        self,
        application: Application,
        genesis: GenesisDocument,
        validator_keys: Sequence[ValidatorKey],
        home: Path | None,
        rpc_ports: Sequence[int],
        query_handlers: Sequence[QueryHandler] | None = None,
        *,
        block_interval_seconds: float = 1.0,
        create_empty_blocks: bool = False,
        create_empty_blocks_interval_seconds: float = 5.0,
        rpc_host: str = "127.0.0.1",
        rpc_limits: RpcLimits | None = None,
        mempool_limits: MempoolLimits | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Open the chain (restart handshake included); nothing runs before :meth:`start`.

        Args:
            application: The application; called from the event loop's thread only.
            genesis: What the chain starts with.
            validator_keys: Keys that vote.
            home: Directory for the blocks; None keeps them in memory.
            rpc_ports: One for each key, in order; 0 lets the system choose.
            query_handlers: One for each key, in order; the application answers for all where None.
            block_interval_seconds: Least time between two blocks.
            create_empty_blocks: Make blocks although nothing waits.
            create_empty_blocks_interval_seconds: Make one at least this often; 0 never.
            rpc_host: Address to listen on.
            rpc_limits: Bounds of the RPC.
            mempool_limits: Bounds of the mempool.
            now_ns: Clock of the validators, nanoseconds since the Unix epoch.

        Raises:
            EngineError: the chain cannot be opened; the text says why.
        """
        if len(rpc_ports) != len(validator_keys):
            raise EngineError(f"{len(rpc_ports)} RPC ports for {len(validator_keys)} validator keys")
        self.engine = EmbeddedEngine(
            application,
            genesis,
            validator_keys,
            home=home,
            query_handlers=query_handlers,
            mempool_limits=mempool_limits,
        )
        self.rpc_addresses: tuple[str, ...] = ()
        """``http://host:port`` of each validator's RPC, once started."""
        self._host, self._ports = rpc_host, tuple(rpc_ports)
        self._now_ns = now_ns
        self._block_interval_seconds = block_interval_seconds
        self._create_empty_blocks = create_empty_blocks
        self._empty_interval_seconds = create_empty_blocks_interval_seconds
        self._wake = asyncio.Event()
        self._producer: asyncio.Task[None] | None = None
        limits = rpc_limits or RpcLimits()
        self._servers = tuple(
            RpcServer(
                self.engine,
                index,
                RpcMethods(self.engine, index, self._wake.set, limits.broadcast_timeout_seconds),
                limits,
            )
            for index in range(len(validator_keys))
        )

    async def start(self) -> None:
        """Open the RPC ports and begin to make blocks.

        Raises:
            OSError: a port is not free; nothing runs then.
        """
        bound: list[int] = []
        try:
            for server, port in zip(self._servers, self._ports, strict=True):
                bound.append(await server.start(self._host, port))
        except BaseException:
            await self.stop()
            raise
        self.rpc_addresses = tuple(f"http://{self._host}:{port}" for port in bound)
        self._producer = asyncio.create_task(self._produce(), name=f"blocks of {self.engine.genesis.chain_id}")

    async def wait(self) -> None:
        """Wait until the node is stopped.

        Raises:
            EngineError: or whatever stopped the engine; the chain stands until it is started again.
        """
        if self._producer is not None:
            try:
                await asyncio.shield(self._producer)
            except asyncio.CancelledError:
                if not self._producer.cancelled():
                    raise

    async def stop(self) -> None:
        """Stop making blocks, close the ports and the store. A block in the making is finished first."""
        if self._producer is not None:
            self._producer.cancel()
            await asyncio.gather(self._producer, return_exceptions=True)
        for server in self._servers:
            await server.stop()
        self.engine.close()

    def wake(self) -> None:
        """Look again whether a block is due; for callers that submit to the engine directly."""
        self._wake.set()

    async def _produce(self) -> None:
        loop = asyncio.get_running_loop()
        last = loop.time() - self._block_interval_seconds
        while True:
            await asyncio.sleep(max(0.0, last + self._block_interval_seconds - loop.time()))
            await self._due(last)
            try:
                self.engine.make_block(self._now_ns())
            except NoQuorumError as error:
                # As on CometBFT the chain stands until validators come back.
                _log.warning("no quorum: %s", error)
                await asyncio.sleep(_NO_QUORUM_PAUSE_SECONDS)
            except BaseException:
                _log.critical("the engine has halted", exc_info=True)
                raise
            last = loop.time()

    async def _due(self, last: float) -> None:
        """Wait until a block is due."""
        loop = asyncio.get_running_loop()
        while not (self._create_empty_blocks or len(self.engine.mempool) or self.engine.proof_block_needed):
            self._wake.clear()
            timeout = None
            if self._empty_interval_seconds:
                timeout = last + self._empty_interval_seconds - loop.time()
                if timeout <= 0:
                    return
            try:
                await asyncio.wait_for(self._wake.wait(), timeout)
            except TimeoutError:
                return
