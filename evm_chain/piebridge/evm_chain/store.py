"""Key-value stores: RocksDB on disk, a dictionary in memory.

RocksDB, not SQLite: one synchronous write batch per Commit is atomic and an order of magnitude faster, point reads are
lock-free from any thread (``eth_call`` runs on workers), and keys are ordered for the log index. A store is only ever
added to, apart from the head, so a reader needs no snapshot: what the head it has read refers to never changes.
"""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from rocksdict import AccessType, Options, Rdict, WriteBatch, WriteOptions

from piebridge.crypto.errors import ConfigurationError
from piebridge.failpoints import reach

_LOG = logging.getLogger(__name__)


class KeyValueStore(Protocol):
    """Ordered map from bytes to bytes."""

    def get(self, key: bytes) -> bytes | None:
        """Value of a key, None where it has none. May be called from any thread."""

    def write(self, entries: Mapping[bytes, bytes]) -> None:
        """Store all entries or none; durable when it returns."""

    def keys(self, first: bytes, prefix: bytes) -> Iterator[bytes]:
        """Keys from ``first`` on that begin with ``prefix``, ascending. May be called from any thread."""

    def close(self) -> None:
        """Release files. The store may not be used any more."""


class MemoryStore:
    """A store that ends with the process. For tests and chains that nobody will miss."""

    def __init__(self) -> None:
        """Start empty."""
        self._entries: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """Value of a key."""
        return self._entries.get(key)

    def write(self, entries: Mapping[bytes, bytes]) -> None:
        """Store all entries."""
        self._entries |= entries

    def keys(self, first: bytes, prefix: bytes) -> Iterator[bytes]:
        """Keys from ``first`` on with ``prefix``, ascending."""
        return iter(sorted(key for key in list(self._entries) if key.startswith(prefix) and key >= first))

    def close(self) -> None:
        """Nothing to release."""


class RocksStore:
    """A store in a RocksDB directory. One process at a time."""

    def __init__(self, path: Path) -> None:
        """Open or create.

        Raises:
            ConfigurationError: the directory cannot be opened, most often because another process has it open.
        """
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        path.mkdir(parents=True, exist_ok=True)
        try:
            self._database = Rdict(str(path), options, access_type=AccessType.read_write())
        except Exception as error:  # rocksdict raises plain Exception
            raise ConfigurationError(f"cannot open the chain database {path}: {error}") from error
        self._durable = WriteOptions()
        self._durable.sync = True

    def get(self, key: bytes) -> bytes | None:
        """Value of a key."""
        try:
            value: bytes | None = self._database.get(key)
        except Exception as error:  # rocksdict raises plain Exception
            raise OSError(f"reading the chain database failed: {error}") from error
        return value

    def write(self, entries: Mapping[bytes, bytes]) -> None:
        """Store all entries in one synchronous batch."""
        batch = WriteBatch(raw_mode=True)
        for key, value in entries.items():
            batch.put(key, value)
        reach("evm.store.before_write")
        try:
            self._database.write(batch, self._durable)
        except Exception as error:  # rocksdict raises plain Exception
            raise OSError(f"writing the chain database failed: {error}") from error
        reach("evm.store.after_write")

    def keys(self, first: bytes, prefix: bytes) -> Iterator[bytes]:
        """Keys from ``first`` on with ``prefix``, ascending."""
        for key in self._database.keys(from_key=first):
            assert isinstance(key, bytes), "raw mode gives bytes"
            if not key.startswith(prefix):
                return
            yield key

    def close(self) -> None:
        """Close the files. All that was written is durable already; what fails here is told in the log only."""
        try:
            self._database.close()
        except Exception as error:  # rocksdict raises plain Exception
            _LOG.warning("closing the chain database failed: %s", error)
