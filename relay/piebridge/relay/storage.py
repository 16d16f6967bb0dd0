"""Backends on disk: SQLite files in the directory of one relay chain. IO; the application sees only the port."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from piebridge.crypto.errors import ConfigurationError
from piebridge.failpoints import reach

_KEYS_PER_STATEMENT = 500
"""Parameters of one statement; SQLite takes 32 766 since 3.32, 999 before."""


class SqliteBackend:
    """A key-value table whose writes are atomic and durable when they return (``synchronous=FULL``)."""

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises:
            ConfigurationError: the file cannot be opened as such a table.
        """
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
        row = self._connection.execute("SELECT value FROM pairs WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Return the values of those of the ``keys`` that are there."""
        found: dict[bytes, bytes] = {}
        for start in range(0, len(keys), _KEYS_PER_STATEMENT):
            part = keys[start : start + _KEYS_PER_STATEMENT]
            marks = ",".join("?" * len(part))
            found.update(self._connection.execute(f"SELECT key, value FROM pairs WHERE key IN ({marks})", part))
        return found

    def items(self, prefix: bytes) -> Iterable[tuple[bytes, bytes]]:
        """Return all pairs whose key starts with ``prefix`` (not empty, last byte below 255), in order of the keys."""
        end = prefix[:-1] + bytes([prefix[-1] + 1])
        rows = self._connection.execute(
            "SELECT key, value FROM pairs WHERE key >= ? AND key < ? ORDER BY key", (prefix, end)
        )
        return ((bytes(key), bytes(value)) for key, value in rows)

    def write(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Apply all changes or none; durable when it returns."""
        cursor = self._connection.cursor()
        reach("relay.storage.before_write")
        cursor.execute("BEGIN IMMEDIATE")
        try:
            cursor.executemany(
                "INSERT INTO pairs (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                [(key, value) for key, value in changes.items() if value is not None],
            )
            cursor.executemany(
                "DELETE FROM pairs WHERE key = ?", [(k,) for k, value in changes.items() if value is None]
            )
            reach("relay.storage.before_commit")
            cursor.execute("COMMIT")
        except BaseException:
            cursor.execute("ROLLBACK")
            raise
        reach("relay.storage.after_write")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class SqliteSignedValues:
    """What an endorsement key has signed, in a file of its own that belongs to the key."""

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises:
            ConfigurationError: the file cannot be opened.
        """
        self._backend = SqliteBackend(path)

    def get(self, key: bytes) -> bytes | None:
        """Return what was put under ``key``, or None."""
        return self._backend.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        """Write a value; durable when it returns."""
        reach("relay.endorsement.before_write")
        self._backend.write({key: value})
        reach("relay.endorsement.after_write")

    def close(self) -> None:
        """Close the file."""
        self._backend.close()
