"""Nodes of an EVM chain: application and Ethereum RPC in one process, blocks by one of two engines.

:class:`EvmNode` holds all validators of a chain on the embedded engine, :class:`EvmValidator` is one validator with a
CometBFT node of its own.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

from piebridge.abci.cometbft.config import NodeSettings
from piebridge.abci.cometbft.errors import NodeRpcError
from piebridge.abci.cometbft.unit import CometBftUnit
from piebridge.abci.embedded.errors import MempoolError
from piebridge.abci.embedded.genesis import GenesisDocument, build_genesis
from piebridge.abci.embedded.keys import ValidatorKey
from piebridge.abci.embedded.node import EmbeddedNode
from piebridge.cometbft.keys import PublicKey
from piebridge.evm_chain.app import EvmApplication
from piebridge.evm_chain.genesis import parse_genesis
from piebridge.evm_chain.rpc import CALL_GAS_MAX, EthRpcServer
from piebridge.evm_chain.rpc_methods import BroadcastResult
from piebridge.evm_chain.store import KeyValueStore, MemoryStore, RocksStore

_NANOSECONDS = 1_000_000_000
_MEMPOOL_REFUSED = 1


def evm_genesis_document(
    cometbft_chain_id: str, genesis_time_ns: int, validator_public_keys: Sequence[PublicKey], app_state: bytes
) -> GenesisDocument:
    """Make a CometBFT genesis document of an EVM chain.

    Args:
        cometbft_chain_id: chain id of the CometBFT chain, 1 to 50 characters; not the EVM's.
        genesis_time_ns: time of the first block.
        validator_public_keys: validators of the first height.
        app_state: made by ``evm_genesis``.

    Raises:
        ConfigurationError: a value is out of range.
    """
    parse_genesis(app_state)
    return build_genesis(cometbft_chain_id, genesis_time_ns, validator_public_keys, orjson.loads(app_state))


class EvmNode:
    """Runs an EVM chain for one operator. Killed at any moment it goes on where its last Commit was."""

    def __init__(
        self,
        home: Path | None,
        genesis: GenesisDocument,
        validator_keys: Sequence[ValidatorKey],
        rpc_ports: Sequence[int],
        eth_port: int,
        *,
        host: str = "127.0.0.1",
        block_interval_seconds: float = 1.0,
        create_empty_blocks: bool = False,
        create_empty_blocks_interval_seconds: float = 5.0,
        call_gas_max: int = CALL_GAS_MAX,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Open the chain; nothing runs before ``start``. To be called on the event loop that it runs on.

        Args:
            home: directory of the node, kept to its owner; None keeps everything in memory.
            genesis: made by ``evm_genesis_document``.
            validator_keys: keys that vote.
            rpc_ports: ports of CometBFT's RPC, one for each key; 0 lets the system choose.
            eth_port: port of the Ethereum RPC, HTTP and WebSocket; 0 lets the system choose.
            host: address to listen on.
            block_interval_seconds: least time between two blocks. There is at most one EVM block a second anyway.
            create_empty_blocks: make CometBFT blocks although nothing waits.
            create_empty_blocks_interval_seconds: make one at least this often, so that time goes on; 0 never.
            call_gas_max: gas of one eth_call.
            now_ns: clock, nanoseconds since the Unix epoch.

        Raises:
            ConfigurationError: the genesis or the home cannot be used.
            EngineError: engine and application do not belong together.
        """
        self._store = _open_store(home)
        try:
            self.app = EvmApplication(self._store)
            """The application."""
            self.node = EmbeddedNode(
                self.app,
                genesis,
                validator_keys,
                None if home is None else home / "engine",
                rpc_ports,
                block_interval_seconds=block_interval_seconds,
                create_empty_blocks=create_empty_blocks,
                create_empty_blocks_interval_seconds=create_empty_blocks_interval_seconds,
                rpc_host=host,
                now_ns=now_ns,
            )
            """The engine with CometBFT's RPC."""
        except BaseException:
            self._store.close()
            raise
        self._host, self._eth_port = host, eth_port
        self._call_gas_max, self._now_ns = call_gas_max, now_ns
        self._eth: EthRpcServer | None = None
        self.eth_address = ""
        """``http://host:port`` of the Ethereum RPC, once started; ``ws://`` is served there too."""

    @property
    def rpc_addresses(self) -> tuple[str, ...]:
        """``http://host:port`` of CometBFT's RPC of each key, once started."""
        return self.node.rpc_addresses

    async def start(self) -> None:
        """Open all ports and begin to make blocks.

        Raises:
            OSError: a port is not free; nothing runs then.
        """
        self._eth = EthRpcServer(
            self.app,
            self._broadcast,
            call_gas_max=self._call_gas_max,
            clock=lambda: self._now_ns() / _NANOSECONDS,
        )
        try:
            port = await self._eth.start(self._host, self._eth_port)
            await self.node.start()
        except BaseException:
            await self.stop()
            raise
        self.eth_address = f"http://{self._host}:{port}"

    async def wait(self) -> None:
        """Wait until the node is stopped.

        Raises:
            EngineError: or whatever stopped the engine.
        """
        await self.node.wait()

    async def stop(self) -> None:
        """Close ports, stop making blocks, close the stores."""
        if self._eth is not None:
            await self._eth.stop()
        await self.node.stop()
        self._store.close()

    async def _broadcast(self, tx: bytes) -> BroadcastResult:
        try:
            response = self.node.engine.submit_tx(tx)
        except MempoolError as error:
            return BroadcastResult(_MEMPOOL_REFUSED, str(error))
        self.node.wake()
        return BroadcastResult(response.code, response.log)


class EvmValidator:
    """One validator of an EVM chain: application and Ethereum RPC in this process, CometBFT in a child process.

    Killed at any moment it goes on where its last Commit was.
    """

    def __init__(
        self,
        home: Path,
        genesis: GenesisDocument,
        validator_key: ValidatorKey,
        node_key_seed: bytes,
        eth_port: int,
        settings: NodeSettings,
        *,
        host: str = "127.0.0.1",
        call_gas_max: int = CALL_GAS_MAX,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Open the validator; nothing runs before ``start``. To be called on the event loop that it runs on.

        Args:
            home: directory of the validator, its owner's: ``data`` for the application, ``cometbft`` for the node.
            genesis: made by ``evm_genesis_document``.
            validator_key: consensus key.
            node_key_seed: identity of the node among its peers, 32 bytes.
            eth_port: port of the Ethereum RPC, HTTP and WebSocket; 0 lets the system choose.
            settings: ports, peers, times of the node.
            host: address of the Ethereum RPC.
            call_gas_max: gas of one eth_call.
            now_ns: clock, nanoseconds since the Unix epoch; for the RPC, never for blocks.

        Raises:
            ConfigurationError: genesis, keys, storage or CometBFT cannot be used.
        """
        self._store = _open_store(home / "data")
        try:
            self.app = EvmApplication(self._store)
            """The application."""
            self.unit = CometBftUnit(self.app, genesis, validator_key, node_key_seed, home / "cometbft", settings)
            """Application and node together."""
        except BaseException:
            self._store.close()
            raise
        self._host, self._eth_port = host, eth_port
        self._call_gas_max, self._now_ns = call_gas_max, now_ns
        self._eth: EthRpcServer | None = None
        self.eth_address = ""
        """``http://host:port`` of the Ethereum RPC, once started; ``ws://`` is served there too."""

    async def start(self) -> None:
        """Start the node, then the Ethereum RPC, which needs a chain that has begun.

        Raises:
            NodeExitedError: the node ended.
            NodeNotReadyError: it does not answer in time.
            OSError: the port of the Ethereum RPC is not free.
        """
        await self.unit.start()
        self._eth = EthRpcServer(
            self.app, self._broadcast, call_gas_max=self._call_gas_max, clock=lambda: self._now_ns() / _NANOSECONDS
        )
        port = await self._eth.start(self._host, self._eth_port)
        self.eth_address = f"http://{self._host}:{port}"

    async def wait(self) -> None:
        """Wait until the validator is stopped, or raise what ended it."""
        await self.unit.wait()

    async def stop(self) -> None:
        """Close ports, stop the node, close the store."""
        if self._eth is not None:
            await self._eth.stop()
        await self.unit.stop()
        self._store.close()

    async def _broadcast(self, tx: bytes) -> BroadcastResult:
        try:
            answer = await self.unit.rpc.broadcast(tx)
        except NodeRpcError as error:
            return BroadcastResult(_MEMPOOL_REFUSED, str(error))
        return BroadcastResult(answer.code, answer.log)


def _open_store(home: Path | None) -> KeyValueStore:
    if home is None:
        return MemoryStore()
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    return RocksStore(home / "evm")
