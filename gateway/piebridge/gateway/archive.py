"""The entries of hubs' outboxes with their messages.

Nodes prune logs; a range over old entries needs their heights and ids (40 bytes each), and a packet that waits needs
its bytes. Entries are stored only after they were folded, so each carries its chain value.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from piebridge.failpoints import reach
from piebridge.gateway.database import ENTRY_CHECKSUM, Connection, transaction
from piebridge.gateway.spans import spans
from piebridge.protocol_stack.header import HEADER_LENGTH
from piebridge.protocol_stack.identifiers import FREE_RELAY
from piebridge.protocol_stack.transport.outbox import Form

_SPAN = 1_000
"""Entries of one look into the database."""


@dataclass(frozen=True, slots=True)
class ArchivedEntry:
    """An entry of a hub's outbox."""

    number: int
    """Position in the outbox, from 1."""
    height: int
    """Block that made it."""
    form: int
    """Form of the content, formats.md section 5.1; 0 once the content was dropped."""
    content: bytes
    """The message in that form; empty once it was dropped."""
    message_id: bytes
    """32 bytes."""
    chain_value: bytes
    """``chain[number]``, 32 bytes."""
    done: bool = False
    """Whether a relay chain was seen to have it; a cache of chain state."""


class Archive:
    """Entries by registration, outbox and number, in the gateway's database."""

    def __init__(self, database: Connection) -> None:
        """Use an open database."""
        self._database = database

    def add(self, registration: int, outbox: int, entries: Iterable[ArchivedEntry]) -> None:
        """Store entries; one that is there already is left alone."""
        reach("gateway.archive.before_add")
        with transaction(self._database):
            self._database.executemany(
                "INSERT OR IGNORE INTO entries "
                "(registration, outbox, number, height, form, content, message_id, chain_value, checksum) "
                "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, checksum(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0))",
                [
                    (registration, outbox, e.number, e.height, e.form, e.content, e.message_id, e.chain_value)
                    for e in entries
                ],
            )
            reach("gateway.archive.before_commit")
        reach("gateway.archive.after_add")

    def head(self, registration: int, outbox: int) -> ArchivedEntry | None:
        """Return the newest entry of an outbox."""
        row = self._database.execute(
            f"{_SELECT} ORDER BY number DESC LIMIT 1",
            (registration, outbox),
        ).fetchone()
        return None if row is None else _entry(row)

    def get(self, registration: int, outbox: int, number: int) -> ArchivedEntry | None:
        """Return one entry."""
        row = self._database.execute(f"{_SELECT} AND number = ?", (registration, outbox, number)).fetchone()
        return None if row is None else _entry(row)

    def get_many(self, registration: int, outbox: int, numbers: Sequence[int]) -> list[ArchivedEntry]:
        """Return those of the entries that there are, in order."""
        wanted = set(numbers)
        found = (
            entry for first, last in spans(wanted, _SPAN) for entry in self.between(registration, outbox, first, last)
        )
        return [entry for entry in found if entry.number in wanted]

    def between(self, registration: int, outbox: int, first: int, last: int) -> list[ArchivedEntry]:
        """Return entries ``first`` to ``last``, as many as there are, in order."""
        rows = self._database.execute(
            f"{_SELECT} AND number BETWEEN ? AND ? ORDER BY number", (registration, outbox, first, last)
        )
        return [_entry(row) for row in rows]

    def undone(self, registration: int, outbox: int) -> list[ArchivedEntry]:
        """Return the entries that no relay chain was yet seen to have, in order."""
        # The second condition says nothing new; it lets the index of what is not settled be used.
        rows = self._database.execute(
            f"{_SELECT} AND done = 0 AND done != {_SETTLED} ORDER BY number", (registration, outbox)
        )
        return [_entry(row) for row in rows]

    def due(self, registration: int, outbox: int, now: int, after: int, count_max: int) -> list[ArchivedEntry]:
        """Return entries that are to be looked at again by now (Unix seconds), in order, from one number on."""
        rows = self._database.execute(
            f"{_SELECT} AND done != {_SETTLED} AND done BETWEEN {_SETTLED + 1} AND ? AND number > ? "
            "ORDER BY number LIMIT ?",
            (registration, outbox, now, after, count_max),
        )
        return [_entry(row) for row in rows]

    def free_header_of(self, packet_id: bytes) -> bytes | None:
        """Return the header of a packet of a free outbox, 136 bytes; None if there is none with this id."""
        row = self._database.execute(
            f"SELECT substr(content, 1, {HEADER_LENGTH}) FROM entries "
            f"WHERE message_id = ? AND outbox = {FREE_RELAY} AND form = {Form.PACKET:d}",
            (packet_id,),
        ).fetchone()
        return None if row is None else row[0]

    def outboxes(self, registration: int) -> list[int]:
        """Return the outboxes of a hub from which there are entries."""
        rows = self._database.execute(
            "SELECT DISTINCT outbox FROM entries WHERE registration = ? ORDER BY outbox", (registration,)
        )
        return [row[0] for row in rows]

    def mark_done(self, registration: int, outbox: int, numbers: Iterable[int], look_again_at: int = 0) -> None:
        """Note that a relay chain has entries.

        Args:
            registration: the hub.
            outbox: its outbox.
            numbers: entries.
            look_again_at: when to look whether they were forgotten since, Unix seconds; 0: never. Packets of bound
                outboxes are settled in any case: relay chains keep them until they are acknowledged.
        """
        reach("gateway.archive.before_mark_done")
        with transaction(self._database):
            self._database.executemany(
                f"UPDATE entries SET done = {_DONE}, checksum = {ENTRY_CHECKSUM.replace('done', _DONE)} "
                "WHERE registration = ?2 AND outbox = ?3 AND number = ?4",
                [(look_again_at or _SETTLED, registration, outbox, number) for number in numbers],
            )

    def drop_from(self, registration: int, outbox: int, number: int) -> None:
        """Forget all entries from ``number`` on: the chain turned out to be another."""
        self._database.execute(
            "DELETE FROM entries WHERE registration = ? AND outbox = ? AND number >= ?", (registration, outbox, number)
        )

    def drop_all(self, registration: int) -> None:
        """Forget everything of a hub."""
        self._database.execute("DELETE FROM entries WHERE registration = ?", (registration,))


_SETTLED = 1
"""In the column ``done``: nothing is to be done any more. 0: everything is; else: when to look again."""
_DONE = f"CASE WHEN outbox != {FREE_RELAY} AND form = {Form.PACKET:d} THEN {_SETTLED} ELSE ?1 END"

_SELECT = (
    "SELECT number, height, form, content, message_id, chain_value, done FROM entries "
    "WHERE registration = ? AND outbox = ?"
)


def _entry(row: tuple[int, int, int, bytes, bytes, bytes, int]) -> ArchivedEntry:
    return ArchivedEntry(*row[:6], done=bool(row[6]))
