"""Nodes of a relay chain: the only place of this package that opens files and ports.

Two shells around the same application: :class:`RelayNode` holds all validators of a chain on the embedded engine,
:class:`RelayValidator` is one validator with a CometBFT node of its own.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from piebridge.abci.cometbft.config import NodeSettings
from piebridge.abci.cometbft.unit import CometBftUnit
from piebridge.abci.embedded.genesis import GenesisDocument
from piebridge.abci.embedded.keys import ValidatorKey
from piebridge.abci.embedded.node import EmbeddedNode
from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.signature import address_of_private_key
from piebridge.relay.app.application import RelayApplication
from piebridge.relay.endorsement import EndorsementSigner, ValidatorQueries
from piebridge.relay.storage import SqliteBackend, SqliteSignedValues

_STATE_FILE = "state.sqlite"

DEFAULT_BLOCK_INTERVAL_SECONDS = 0.5


class RelayNode:
    """Runs a relay chain for one operator. Killed at any moment it goes on where its last Commit was."""

    def __init__(
        self,
        home: Path,
        genesis: GenesisDocument,
        validator_keys: Sequence[ValidatorKey],
        endorsement_keys: Sequence[bytes],
        rpc_ports: Sequence[int],
        *,
        host: str = "127.0.0.1",
        block_interval_seconds: float = DEFAULT_BLOCK_INTERVAL_SECONDS,
        create_empty_blocks: bool = False,
        create_empty_blocks_interval_seconds: float = 5.0,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Open the chain; nothing runs before :meth:`start`. To be called on the event loop that it runs on.

        Args:
            home: directory of the node, kept to its owner.
            genesis: made by ``piebridge.protocol_stack.relay_genesis``.
            validator_keys: consensus keys that vote.
            endorsement_keys: 32-byte keys, one for each validator, in the same order.
            rpc_ports: ports of CometBFT's RPC, one for each validator; 0 lets the system choose.
            host: address to listen on.
            block_interval_seconds: least time between two blocks.
            create_empty_blocks: make blocks although nothing waits.
            create_empty_blocks_interval_seconds: make one at least this often, so that time goes on; 0 never.
            now_ns: clock, nanoseconds since the Unix epoch.

        Raises:
            ConfigurationError: genesis, keys or storage cannot be used.
            EngineError: engine and application do not belong together.
        """
        if len(endorsement_keys) != len(validator_keys):
            raise ConfigurationError(
                f"{len(endorsement_keys)} endorsement keys for {len(validator_keys)} validators: give each one"
            )
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._backend = SqliteBackend(home / _STATE_FILE)
        self._memories: list[SqliteSignedValues] = []
        try:
            self.application = RelayApplication(self._backend)
            """The application."""
            self.node = EmbeddedNode(
                self.application,
                genesis,
                validator_keys,
                home / "engine",
                rpc_ports,
                [self._queries(home, key) for key in endorsement_keys],
                block_interval_seconds=block_interval_seconds,
                create_empty_blocks=create_empty_blocks,
                create_empty_blocks_interval_seconds=create_empty_blocks_interval_seconds,
                rpc_host=host,
                now_ns=now_ns,
            )
            """The engine with CometBFT's RPC."""
        except BaseException:
            self._close()
            raise

    @property
    def rpc_addresses(self) -> tuple[str, ...]:
        """``http://host:port`` of each validator's RPC, once started."""
        return self.node.rpc_addresses

    async def start(self) -> None:
        """Open the ports and begin to make blocks.

        Raises:
            OSError: a port is not free; nothing runs then.
        """
        await self.node.start()

    async def wait(self) -> None:
        """Wait until the node is stopped, or raise what stopped it."""
        await self.node.wait()

    async def stop(self) -> None:
        """Stop in good order."""
        await self.node.stop()
        self._close()

    def _queries(self, home: Path, endorsement_key: bytes) -> ValidatorQueries:
        memory = _open_memory(home, endorsement_key)
        self._memories.append(memory)
        return ValidatorQueries(self.application, EndorsementSigner(endorsement_key, memory))

    def _close(self) -> None:
        for memory in self._memories:
            memory.close()
        self._backend.close()


class RelayValidator:
    """One validator of a relay chain: the application in this process, CometBFT in a child process.

    Killed at any moment it goes on where its last Commit was.
    """

    def __init__(
        self,
        home: Path,
        genesis: GenesisDocument,
        validator_key: ValidatorKey,
        endorsement_key: bytes,
        node_key_seed: bytes,
        settings: NodeSettings,
    ) -> None:
        """Open the validator; nothing runs before :meth:`start`. To be called on the event loop that it runs on.

        Args:
            home: directory of the validator, its owner's: ``data`` for the application, ``cometbft`` for the node.
            genesis: made by ``piebridge.protocol_stack.relay_genesis``.
            validator_key: consensus key.
            endorsement_key: endorses outboxes, 32 bytes.
            node_key_seed: identity of the node among its peers, 32 bytes.
            settings: ports, peers, times of the node.

        Raises:
            ConfigurationError: genesis, keys, storage or CometBFT cannot be used.
        """
        data = home / "data"
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._backend = SqliteBackend(data / _STATE_FILE)
        self._memory: SqliteSignedValues | None = None
        try:
            self._memory = _open_memory(data, endorsement_key)
            self.application = RelayApplication(self._backend)
            """The application."""
            self.unit = CometBftUnit(
                self.application,
                genesis,
                validator_key,
                node_key_seed,
                home / "cometbft",
                settings,
                query_handler=ValidatorQueries(self.application, EndorsementSigner(endorsement_key, self._memory)),
            )
            """Application and node together."""
        except BaseException:
            self._close()
            raise

    async def start(self) -> None:
        """Start the node and return once its RPC answers.

        Raises:
            NodeExitedError: the node ended.
            NodeNotReadyError: it does not answer in time.
        """
        await self.unit.start()

    async def wait(self) -> None:
        """Wait until the validator is stopped, or raise what ended it."""
        await self.unit.wait()

    async def stop(self) -> None:
        """Stop in good order."""
        await self.unit.stop()
        self._close()

    def _close(self) -> None:
        if self._memory is not None:
            self._memory.close()
        self._backend.close()


def _open_memory(folder: Path, endorsement_key: bytes) -> SqliteSignedValues:
    # The memory belongs to the key: two keys, or one key moved to another place of the set, never share or lose it.
    return SqliteSignedValues(folder / f"endorsements-{address_of_private_key(endorsement_key).hex()}.sqlite")
