"""Application and CometBFT node as one unit: they start together, and neither goes on without the other.

The application lives in this process, the node in a child. The application is there first, because a node that finds
none waits three seconds between two attempts. If the node ends unasked (also with code 0, which is how a node ends that
lost its application) or the application fails, the unit is broken and is stopped as a whole; whoever runs it may start
a new one, which goes on from the last Commit by ABCI's handshake.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path

from piebridge.abci.application import Application
from piebridge.abci.cometbft.binary import find_cometbft
from piebridge.abci.cometbft.config import NodeSettings
from piebridge.abci.cometbft.errors import NodeExitedError, NodeNotReadyError, NodeRpcError
from piebridge.abci.cometbft.home import HomeLock, NodeHome
from piebridge.abci.cometbft.process import NodeProcess
from piebridge.abci.cometbft.rpc import NodeRpc
from piebridge.abci.embedded.genesis import GenesisDocument
from piebridge.abci.embedded.keys import ValidatorKey
from piebridge.abci.server.dispatch import Dispatcher, QueryHandler
from piebridge.abci.server.server import AbciServer

_POLL_SECONDS = 0.05
_TELL_SECONDS = 10.0
"""How often a unit says that its node is still not there."""

_log = logging.getLogger(__name__)


class CometBftUnit:
    """One validator: the application of this process and its CometBFT node."""

    def __init__(
        self,
        application: Application,
        genesis: GenesisDocument,
        key: ValidatorKey,
        node_key_seed: bytes,
        home: Path,
        settings: NodeSettings,
        *,
        query_handler: QueryHandler | None = None,
        program: Path | None = None,
        environment: Mapping[str, str] | None = None,
        ready_timeout_seconds: float | None = None,
    ) -> None:
        """Write the node's home; nothing runs before :meth:`start`.

        Args:
            application: the application; called from the event loop's thread only.
            genesis: what the chain starts with.
            key: consensus key of this validator.
            node_key_seed: identity of the node among its peers, 32 bytes.
            home: folder of the node.
            settings: ports, peers, times.
            query_handler: answers Query; the application does where None.
            program: CometBFT; searched for where None.
            environment: variables for the node, added to this process's own.
            ready_timeout_seconds: how long the node may take until its RPC answers; None: as long as it lives, it may
                have many blocks to replay first.

        Raises:
            CometBftMissingError: there is no program.
            ConfigurationError: the home cannot be used.
        """
        self._program = program or find_cometbft()
        self._home = NodeHome(home)
        self._lock = HomeLock(home)
        try:
            self._home.write(settings, genesis, key, node_key_seed)
        except BaseException:
            self._lock.release()
            raise
        self._genesis = genesis
        self._server = AbciServer(Dispatcher(application, query_handler))
        self._environment = dict(environment or {})
        self._ready_timeout_seconds = ready_timeout_seconds
        self._process: NodeProcess | None = None
        self._stopping = False
        self.rpc_address = settings.own_rpc_address
        """CometBFT's RPC."""
        self.rpc = NodeRpc(self.rpc_address)
        """A client of it."""

    @property
    def node_pid(self) -> int | None:
        """Process id of the node, None before the start."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Listen, start the node, and return once its RPC answers. The chain may still wait for other validators.

        Raises:
            NodeExitedError: the node ended.
            NodeNotReadyError: it does not answer in time.
            ApplicationFailedError: the application raised an error.
        """
        await self._server.listen_unix(self._home.socket)
        self._process = NodeProcess(self._program, self._home, self._environment)
        await self._process.start()
        ready = asyncio.create_task(self._ready())
        broken = asyncio.create_task(self._broken())
        try:
            await asyncio.wait({ready, broken}, return_when=asyncio.FIRST_COMPLETED)
            await (ready if ready.done() else broken)
        finally:
            await _cancelled(ready, broken)

    async def wait(self) -> None:
        """Wait until the unit is stopped.

        Raises:
            NodeExitedError: the node ended unasked.
            ApplicationFailedError: the application raised an error.
            IncompatibleNodeError: the node speaks another version of ABCI.
        """
        await self._broken()

    async def stop(self) -> None:
        """Stop the node, then the server. A block in the making is finished or forgotten, never half of it."""
        self._stopping = True
        if self._process is not None and not await self._process.stop():
            _log.warning("node %s did not end in good order and was killed", self._home.path)
        await self._server.stop()
        await self.rpc.close()
        self._lock.release()

    async def _broken(self) -> None:
        """Wait for the first of the two to fail."""
        assert self._process is not None, "the unit was not started"
        exited = asyncio.create_task(self._process.wait())
        failed = asyncio.create_task(self._server.failed())
        try:
            done, _ = await asyncio.wait({exited, failed}, return_when=asyncio.FIRST_COMPLETED)
            if failed in done:
                # The node ends because of it, so this is the reason to tell.
                await failed
            if not self._stopping:
                raise NodeExitedError(f"CometBFT node {self._home.path}", exited.result(), self._home.log_tail())
        finally:
            await _cancelled(exited, failed)

    async def _ready(self) -> None:
        loop = asyncio.get_running_loop()
        began = told = loop.time()
        while True:
            try:
                status = await self.rpc.status()
            except NodeRpcError as error:
                problem = str(error)
            else:
                if status.chain_id == self._genesis.chain_id:
                    return
                problem = f"{self.rpc_address} is a node of chain {status.chain_id!r}"
            waited = loop.time() - began
            if self._ready_timeout_seconds is not None and waited > self._ready_timeout_seconds:
                raise NodeNotReadyError(
                    f"CometBFT node {self._home.path} does not answer after {waited:.0f} s ({problem}); its log ends:\n"
                    f"{self._home.log_tail()}"
                )
            if loop.time() - told > _TELL_SECONDS:
                told = loop.time()
                _log.warning("CometBFT node %s does not answer after %.0f s: %s", self._home.path, waited, problem)
            await asyncio.sleep(_POLL_SECONDS)


async def _cancelled(*tasks: asyncio.Task[object] | asyncio.Task[None] | asyncio.Task[int]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task
