"""Backends on disk: SQLite files in the directory of one relay chain. IO; the application sees only the port."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.hash import sha256
from piebridge.failpoints import reach

_CHECKSUM_BYTES = 32
_KEYS_PER_STATEMENT = 500
"""Parameters of one statement; SQLite takes 32 766 since 3.32, 999 before."""


class SqliteBackend:
    """A key-value table whose writes are atomic and durable when they return (``synchronous=FULL``)."""

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises:
            ConfigurationError: the file cannot be opened as such a table.
        """
        self._path = path
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS pairs (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
            )
        except sqlite3.Error as error:
            raise ConfigurationError(f"cannot open the relay chain's storage {path}: {error}") from error

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``, or None."""
        with self._guarded():
            row = self._connection.execute("SELECT value FROM pairs WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Return the values of those of the ``keys`` that are there."""
        found: dict[bytes, bytes] = {}
        for start in range(0, len(keys), _KEYS_PER_STATEMENT):
            part = keys[start : start + _KEYS_PER_STATEMENT]
            marks = ",".join("?" * len(part))
            with self._guarded():
                found.update(self._connection.execute(f"SELECT key, value FROM pairs WHERE key IN ({marks})", part))
        return found

    def items(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Return all pairs whose key starts with ``prefix`` (not empty, last byte below 255), in order of the keys."""
        end = prefix[:-1] + bytes([prefix[-1] + 1])
        with self._guarded():
            rows = self._connection.execute(
                "SELECT key, value FROM pairs WHERE key >= ? AND key < ? ORDER BY key", (prefix, end)
            )
            yield from ((bytes(key), bytes(value)) for key, value in rows)

    def write(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Apply all changes or none; durable when it returns.

        Raises:
            ConfigurationError: the disk is full or fails, or the file is damaged; nothing is written.
        """
        reach("relay.storage.before_write")
        # As a context manager the connection commits, or takes back whatever SQLite has not taken back by itself.
        with self._guarded(), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(
                "INSERT INTO pairs (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                [(key, value) for key, value in changes.items() if value is not None],
            )
            self._connection.executemany(
                "DELETE FROM pairs WHERE key = ?", [(k,) for k, value in changes.items() if value is None]
            )
            reach("relay.storage.before_commit")
        reach("relay.storage.after_write")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError:
            raise  # our own mistake, not the disk's
        except sqlite3.Error as error:
            raise ConfigurationError(
                f"the relay chain's storage {self._path} fails: {error}; make room if the disk is full, restore the "
                "file from a copy if it is damaged, and start again"
            ) from error


class SqliteSignedValues:
    """What an endorsement key has signed, in a file of its own that belongs to the key.

    Each value has a checksum behind it: nothing else would tell a bit that has flipped from two values signed for one.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises:
            ConfigurationError: the file cannot be opened.
        """
        self._path = path
        self._backend = SqliteBackend(path)

    def get(self, key: bytes) -> bytes | None:
        """Return what was put under ``key``, or None.

        Raises:
            ConfigurationError: the file is damaged.
        """
        stored = self._backend.get(key)
        if stored is None:
            return None
        value, checksum = stored[:-_CHECKSUM_BYTES], stored[-_CHECKSUM_BYTES:]
        if sha256(key + value) != checksum:
            raise ConfigurationError(
                f"the memory {self._path} of an endorsement key is damaged: stop using the key, or restore the file"
            )
        return value

    def put(self, key: bytes, value: bytes) -> None:
        """Write a value; durable when it returns."""
        reach("relay.endorsement.before_write")
        self._backend.write({key: value + sha256(key + value)})
        reach("relay.endorsement.after_write")

    def close(self) -> None:
        """Close the file."""
        self._backend.close()
