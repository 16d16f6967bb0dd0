"""The gateway's SQLite file: opened, checked, and thrown away when it is broken.

Nothing in it is needed for safety, and everything in it can be read again from the chains as far back as their nodes
keep logs. So a damaged file is moved aside and a new one begun, with a warning.
"""

import logging
import sqlite3
from pathlib import Path

_LOG = logging.getLogger(__name__)

SCHEMA = """
CREATE TABLE IF NOT EXISTS cursors (
    name TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    hash BLOB NOT NULL
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
    PRIMARY KEY (registration, outbox, number)
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 1;
"""
_SCHEMA_VERSION = 1


def open_database(path: Path) -> sqlite3.Connection:
    """Open or create the file; a broken one, or one of another version, is moved aside.

    Raises:
        sqlite3.OperationalError: the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _open(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        aside = path.with_suffix(".broken")
        _LOG.warning("gateway database %s is broken (%s): moved to %s and begun anew", path, error, aside)
        path.replace(aside)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return _open(path)


def _open(path: Path) -> sqlite3.Connection:
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
        connection.executescript(SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection
