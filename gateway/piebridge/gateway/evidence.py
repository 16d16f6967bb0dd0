"""What a notary has signed: it must never sign two truths, not even after a crash.

Unlike the gateway's database this one must be kept. A statement is written before its signature leaves the process.

Strangers choose blocks and slots, so what is kept is bounded: of each chain the newest blocks, and of a block so many
slots. What lies below is not signed any more, so nothing that was forgotten can be contradicted. Nobody needs it: an
entry however old is proven by the newest head of its outbox.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from piebridge.crypto.errors import ConfigurationError, ProtocolError, VerificationError
from piebridge.failpoints import reach
from piebridge.protocol_stack.notary_statement import NotaryStatement

_SCHEMA = """
CREATE TABLE IF NOT EXISTS blocks (
    registration INTEGER NOT NULL,
    number INTEGER NOT NULL,
    hash BLOB NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (registration, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS slots (
    registration INTEGER NOT NULL,
    number INTEGER NOT NULL,
    slot BLOB NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (registration, number, slot)
) STRICT, WITHOUT ROWID;
"""


BLOCKS_KEPT = 4_096
"""Numbers of blocks below the newest signed one of which a notary still signs."""
SLOTS_PER_BLOCK_MAX = 4_096
"""Different slots of one block that are signed."""


class BeyondEvidenceError(ProtocolError):
    """A statement is not signed because what would forbid it is not kept. No contradiction, and no reason to stop."""


class EvidenceLog:
    """Blocks and slot values that this notary has vouched for."""

    def __init__(
        self, path: Path, *, blocks_kept: int = BLOCKS_KEPT, slots_per_block_max: int = SLOTS_PER_BLOCK_MAX
    ) -> None:
        """Open or create the log.

        Args:
            path: its file.
            blocks_kept: numbers of blocks below the newest signed one that are kept, of each chain.
            slots_per_block_max: different slots of one block that are kept.

        Raises:
            ConfigurationError: the file is damaged. A notary must not go on without knowing what it has signed.
        """
        self._blocks_kept, self._slots_per_block_max = blocks_kept, slots_per_block_max
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._connection = sqlite3.connect(path, isolation_level=None)
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(_SCHEMA)
            (verdict,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise ConfigurationError(
                f"evidence log {path} cannot be used: {error}; restore it from a backup"
            ) from error
        if verdict != "ok":
            self._connection.close()
            raise ConfigurationError(f"evidence log {path} is damaged: {verdict}; restore it from a backup")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def write(self, registration: int, statement: NotaryStatement) -> None:
        """Write a statement that is about to be signed; it is on disk when this returns.

        Raises:
            VerificationError: it contradicts one that was signed before. Nothing is written.
            BeyondEvidenceError: its block is too old, or too many slots of it were signed. Nothing is written.
            ConfigurationError: the disk is full or fails. Nothing is written.
        """
        reach("notary.evidence.before_write")
        # As a context manager the connection commits, or takes back whatever SQLite has not taken back by itself.
        with self._guarded(), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._check_age(registration, statement.block_number)
            self._check_block(registration, statement)
            self._connection.execute(
                "INSERT OR IGNORE INTO blocks VALUES (?, ?, ?, ?)",
                (registration, statement.block_number, statement.block_hash, statement.block_time),
            )
            for item in statement.slots:
                self._check_slot(registration, statement.block_number, item.slot, item.value)
                self._connection.execute(
                    "INSERT OR IGNORE INTO slots VALUES (?, ?, ?, ?)",
                    (registration, statement.block_number, item.slot, item.value),
                )
            self._check_room(registration, statement.block_number)
            self._forget(registration)
            reach("notary.evidence.before_commit")
        reach("notary.evidence.after_write")

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise ConfigurationError(
                f"evidence log {self._path} cannot be written: {error}; make room if the disk is full, restore it from "
                "a backup if it is damaged"
            ) from error

    def _check_block(self, registration: int, statement: NotaryStatement) -> None:
        row = self._connection.execute(
            "SELECT hash, time FROM blocks WHERE registration = ? AND number = ?",
            (registration, statement.block_number),
        ).fetchone()
        if row is not None and row != (statement.block_hash, statement.block_time):
            raise VerificationError(
                f"another block {statement.block_number} of registration {registration} was signed before",
                expected=row[0],
                actual=statement.block_hash,
            )

    def _check_age(self, registration: int, number: int) -> None:
        newest = self._newest(registration)
        if newest is not None and number < newest - self._blocks_kept:
            raise BeyondEvidenceError(
                f"block {number} of registration {registration} is too old, {newest} was signed: name a newer one"
            )

    def _check_room(self, registration: int, number: int) -> None:
        query = "SELECT count(*) FROM slots WHERE registration = ? AND number = ?"
        (count,) = self._connection.execute(query, (registration, number)).fetchone()
        if count > self._slots_per_block_max:
            raise BeyondEvidenceError(
                f"{self._slots_per_block_max} slots of block {number} of registration {registration} were signed: name "
                "a newer block"
            )

    def _forget(self, registration: int) -> None:
        newest = self._newest(registration)
        assert newest is not None, "a block was just written"
        for table in ("blocks", "slots"):
            self._connection.execute(
                f"DELETE FROM {table} WHERE registration = ? AND number < ?",
                (registration, newest - self._blocks_kept),
            )

    def _newest(self, registration: int) -> int | None:
        query = "SELECT max(number) FROM blocks WHERE registration = ?"
        (newest,) = self._connection.execute(query, (registration,)).fetchone()
        return None if newest is None else int(newest)

    def _check_slot(self, registration: int, number: int, slot: bytes, value: bytes) -> None:
        row = self._connection.execute(
            "SELECT value FROM slots WHERE registration = ? AND number = ? AND slot = ?",
            (registration, number, slot),
        ).fetchone()
        if row is not None and row[0] != value:
            raise VerificationError(
                f"another value of slot 0x{slot.hex()} of registration {registration} was signed before",
                expected=row[0],
                actual=value,
            )
