"""How far each listener has read. A cache: without it, a listener begins at the first block."""

from dataclasses import dataclass

from piebridge.failpoints import reach
from piebridge.gateway.database import Connection


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in a chain."""

    number: int
    """Block that was read last."""
    hash: bytes
    """Its hash, 32 bytes: if the chain has another block there now, the cursor is of no use."""


class CursorStore:
    """Cursors by name, in the gateway's database."""

    def __init__(self, database: Connection) -> None:
        """Use an open database."""
        self._database = database

    def load(self, name: str) -> Cursor | None:
        """Return a cursor; None if there is none."""
        row = self._database.execute("SELECT number, hash FROM cursors WHERE name = ?", (name,)).fetchone()
        return None if row is None else Cursor(row[0], row[1])

    def save(self, name: str, cursor: Cursor) -> None:
        """Keep a cursor in place of the one before."""
        reach("gateway.cursor.before_save")
        self._database.execute(
            "INSERT OR REPLACE INTO cursors (name, number, hash, checksum) VALUES (?1, ?2, ?3, checksum(?1, ?2, ?3))",
            (name, cursor.number, cursor.hash),
        )
        reach("gateway.cursor.after_save")

    def drop(self, name: str) -> None:
        """Forget a cursor."""
        self._database.execute("DELETE FROM cursors WHERE name = ?", (name,))
