"""The gateway's SQLite file: opened, checked, and thrown away when it is broken.

Nothing in it is needed for safety, and everything in it can be read again from the chains as far back as their nodes
keep logs. So a damaged file is moved aside and a new one begun, with a warning. SQLite finds damage in the structure of
the file only; each row therefore carries a checksum, to which the file is held when it is opened: for an entry that
reads as delivered, or a cursor that has moved on, this gateway would never do anything any more.
"""

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

from piebridge.crypto.errors import ConfigurationError

_LOG = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS cursors (
    name TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    hash BLOB NOT NULL,
    checksum BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
    registration INTEGER NOT NULL,
    outbox INTEGER NOT NULL,
    number INTEGER NOT NULL,
    height INTEGER NOT NULL,
    form INTEGER NOT NULL,
    content BLOB NOT NULL,
    message_id BLOB NOT NULL,
    chain_value BLOB NOT NULL,
    done INTEGER NOT NULL DEFAULT 0,
    checksum BLOB NOT NULL,
    PRIMARY KEY (registration, outbox, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entries_not_settled ON entries (registration, outbox, done, number) WHERE done != 1;
CREATE INDEX IF NOT EXISTS entries_by_message ON entries (message_id);
PRAGMA user_version = 3;
"""
_SCHEMA_VERSION = 3
_CHECKSUM_BYTES = 8

CURSOR_CHECKSUM = "checksum(name, number, hash)"
"""SQL over a row of `cursors`: what its checksum must be."""
ENTRY_CHECKSUM = "checksum(registration, outbox, number, height, form, content, message_id, chain_value, done)"
"""SQL over a row of `entries`: what its checksum must be."""


class Connection(Protocol):
    """What archive and cursors need of a database; ``sqlite3.Connection`` is one too."""

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> sqlite3.Cursor:
        """Execute one statement."""
        ...

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> sqlite3.Cursor:
        """Execute one statement for many rows."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class Database:
    """An open file. Whoever deletes or replaces it gets a new one at the next :meth:`follow`."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open the file; one that does not exist is made.

        Args:
            path: the file.
            read_only: open what another process keeps, and change nothing.

        Raises:
            sqlite3.DatabaseError: it is broken, or of another version.
            sqlite3.OperationalError: the folder cannot be written; read-only: there is no file.
        """
        self._path = path
        self._read_only = read_only
        self._connection = _open_to_read(path) if read_only else _open(path)
        self._identity = _identity(path)

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> sqlite3.Cursor:
        """Execute one statement."""
        return self._connection.execute(statement, values)

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> sqlite3.Cursor:
        """Execute one statement for many rows."""
        return self._connection.executemany(statement, rows)

    def follow(self) -> bool:
        """Open the file anew if another one, or none, stands in its place; return whether that was so.

        Raises:
            sqlite3.DatabaseError: the other one is broken.
            sqlite3.OperationalError: it cannot be opened.
        """
        if _identity(self._path) == self._identity:
            return False
        self._connection.close()
        # A log that belongs to a file that is gone must not be taken for that of the new one.
        if not self._read_only and not self._path.exists():
            _delete_logs(self._path)
        self._connection = _open_to_read(self._path) if self._read_only else _open(self._path)
        self._identity = _identity(self._path)
        return True

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def open_database(path: Path) -> Database:
    """Open or create the file; a broken one, or one of another version, is moved aside.

    Raises:
        ConfigurationError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return Database(path)
    except (sqlite3.OperationalError, OSError) as error:
        raise ConfigurationError(
            f"the gateway's database {path} cannot be opened: {error}; make room if the disk is full, give it a folder "
            "that it may write"
        ) from error
    except sqlite3.DatabaseError as error:
        aside = path.with_suffix(".broken")
        _LOG.warning("gateway database %s is broken (%s): moved to %s and begun anew", path, error, aside)
        path.replace(aside)
        _delete_logs(path)
        return Database(path)


@contextmanager
def transaction(database: Connection) -> Iterator[None]:
    """Do several statements as one: all of them, or none if anything goes wrong in between."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        database.execute("ROLLBACK")
        raise


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _delete_logs(path: Path) -> None:
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _open_to_read(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != _SCHEMA_VERSION:
            raise sqlite3.DatabaseError(f"schema version {version}, this program knows {_SCHEMA_VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def typed_database_errors(directory: Path) -> Iterator[None]:
    """Turn what SQLite raised in some task of a program into an error that says what to do.

    Raises:
        ConfigurationError: the database cannot be read or written any more.
    """
    try:
        yield
    except ExceptionGroup as group:
        if (failed := group.subgroup(sqlite3.DatabaseError)) is None:
            raise
        first: BaseException = failed
        while isinstance(first, ExceptionGroup):
            first = first.exceptions[0]
        raise ConfigurationError(
            f"stopped, because the gateway's database in {directory} fails: {first}; make room if the disk is full, "
            "and start again"
        ) from group


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables where there are none, and the SQL function `checksum`, which every write of a row calls."""
    connection.create_function("checksum", -1, _checksum, deterministic=True)
    connection.executescript(_SCHEMA)


def _checksum(*values: object) -> bytes:
    return blake2b(repr(values).encode(), digest_size=_CHECKSUM_BYTES).digest()


def _check_rows(connection: sqlite3.Connection) -> None:
    for table, checksum in (("cursors", CURSOR_CHECKSUM), ("entries", ENTRY_CHECKSUM)):
        (wrong,) = connection.execute(f"SELECT count(*) FROM {table} WHERE checksum != {checksum}").fetchone()
        if wrong:
            raise sqlite3.DatabaseError(f"{wrong} row(s) of {table} are not what was written")


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, _SCHEMA_VERSION):
            raise sqlite3.DatabaseError(f"schema version {version}, this program knows {_SCHEMA_VERSION}")
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        prepare(connection)
        _check_rows(connection)
    except BaseException:
        connection.close()
        raise
    return connection
