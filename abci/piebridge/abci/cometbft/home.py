"""The folder of a CometBFT node: written at every start, with two files that are never written again.

``priv_validator_state.json`` is what keeps a validator from signing twice. It is made once, together with the key, and
from then on only the node changes it; where it is missing beside blocks, or beside another key, nothing starts.
"""

import fcntl
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from piebridge.abci.cometbft.config import (
    FIRST_VALIDATOR_STATE,
    SOCKET_NAME,
    NodeSettings,
    config_toml,
    node_key_json,
    validator_key_json,
)
from piebridge.abci.embedded.genesis import GenesisDocument
from piebridge.abci.embedded.keys import ValidatorKey
from piebridge.cometbft.json_format import hex_bytes
from piebridge.crypto.errors import ConfigurationError

_PRIVATE = 0o600


class HomeLock:
    """Holds a home for one process; the system gives it back when the process ends, however it ends."""

    def __init__(self, home: Path) -> None:
        """Take the home.

        Raises:
            ConfigurationError: another process has it, or it cannot be made.
        """
        path = home / "lock"
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, _PRIVATE)
        except OSError as error:
            raise ConfigurationError(f"CometBFT home {home} cannot be used: {error}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise ConfigurationError(
                f"CometBFT home {home} is in use by another process: two nodes with one key would sign twice"
            ) from error

    def release(self) -> None:
        """Give the home back; once is enough."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@dataclass(frozen=True, slots=True)
class NodeHome:
    """The folder of one node."""

    path: Path
    """The folder; CometBFT's ``--home``."""

    @property
    def socket(self) -> Path:
        """Unix socket on which the application listens."""
        return self.path / SOCKET_NAME

    @property
    def log(self) -> Path:
        """What the node prints."""
        return self.path / "node.log"

    @property
    def genesis(self) -> Path:
        """Genesis document."""
        return self.path / "config" / "genesis.json"

    @property
    def validator_key(self) -> Path:
        """Consensus key, in the clear, as the node needs it."""
        return self.path / "config" / "priv_validator_key.json"

    @property
    def validator_state(self) -> Path:
        """What the key has signed last."""
        return self.path / "data" / "priv_validator_state.json"

    @property
    def blocks(self) -> Path:
        """The node's block store."""
        return self.path / "data" / "blockstore.db"

    def write(self, settings: NodeSettings, genesis: GenesisDocument, key: ValidatorKey, node_key_seed: bytes) -> None:
        """Write everything that the node reads.

        Args:
            settings: what the node is to be; may change from start to start.
            genesis: the chain; the same at every start.
            key: consensus key; the same at every start.
            node_key_seed: identity among its peers, 32 bytes.

        Raises:
            ConfigurationError: the folder is of another chain or key, has lost what its key signed, or cannot be
                written.
        """
        try:
            for folder in (self.path, self.path / "config", self.path / "data"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                folder.chmod(0o700)
            self._bind_genesis(genesis)
            self._bind_key(key)
            _replace(self.path / "config" / "node_key.json", node_key_json(node_key_seed).encode())
            _replace(self.path / "config" / "config.toml", config_toml(settings).encode())
        except OSError as error:
            raise ConfigurationError(f"CometBFT home {self.path} cannot be written: {error}") from error

    def _bind_genesis(self, genesis: GenesisDocument) -> None:
        document = genesis.to_json()
        if self.genesis.exists() and self.genesis.read_bytes() != document:
            raise ConfigurationError(
                f"{self.genesis} is of another chain or another genesis document than {genesis.chain_id!r}: give the "
                "node another home"
            )
        _replace(self.genesis, document)

    def _bind_key(self, key: ValidatorKey) -> None:
        if self.validator_key.exists():
            address = _address_in(self.validator_key)
            if address != hex_bytes(key.address):
                raise ConfigurationError(
                    f"{self.validator_key} is the key of validator {address}, not {hex_bytes(key.address)}: each "
                    "validator has a home of its own"
                )
        if not self.validator_state.exists():
            if self.blocks.exists() or self.validator_key.exists():
                raise ConfigurationError(
                    f"{self.validator_state} is missing although the validator has run: without it the key could "
                    "sign a second block of a height. Restore it from a copy made after the node's last stop, or let "
                    "this validator be replaced by one with a new key"
                )
            _replace(self.validator_state, FIRST_VALIDATOR_STATE.encode())
        # After the state: a key never stands there without it.
        _replace(self.validator_key, validator_key_json(key).encode())

    def rotate_log(self, keep_bytes: int = 16_777_216) -> None:
        """Put a long log aside, in place of the one that was put aside before."""
        if self.log.exists() and self.log.stat().st_size > keep_bytes:
            self.log.replace(self.log.with_suffix(".log.1"))

    def log_tail(self, lines: int = 12, most_bytes: int = 16_384) -> str:
        """Return the last lines of the node's log, for error messages."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, self.log.stat().st_size - most_bytes))
                text = log.read().decode("utf-8", "replace")
        except OSError as error:
            return f"(no log: {error.strerror})"
        return "\n".join(text.splitlines()[-lines:])

    def delete(self) -> None:
        """Delete the folder with all blocks and the memory of what was signed. For tests and local networks."""
        shutil.rmtree(self.path, ignore_errors=True)


def _address_in(path: Path) -> str:
    try:
        return str(json.loads(path.read_bytes())["address"])
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path} is no validator key: {error!r}") from error


def _replace(path: Path, content: bytes) -> None:
    """Write a file of its owner's so that it is there whole or not at all, also after a power failure."""
    if path.exists() and path.read_bytes() == content:
        return
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
