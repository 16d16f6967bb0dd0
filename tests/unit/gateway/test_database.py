"""The gateway's file may be deleted while it is open, by whoever wants."""

from pathlib import Path

import pytest

from piebridge.gateway.archive import Archive, ArchivedEntry
from piebridge.gateway.cursors import Cursor, CursorStore
from piebridge.gateway.database import Database, open_database

ENTRY = ArchivedEntry(1, 5, 1, b"content", b"\x01" * 32, b"\x02" * 32)


def test_a_deleted_file_is_noticed_and_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sqlite3"
    database = open_database(path)
    cursors = CursorStore(database)
    cursors.save("hub/1", Cursor(5, b"\x05" * 32))
    assert not database.follow()
    for file in tmp_path.iterdir():
        file.unlink()
    assert database.follow()
    assert cursors.load("hub/1") is None
    cursors.save("hub/1", Cursor(6, b"\x06" * 32))
    database.close()
    assert CursorStore(open_database(path)).load("hub/1") == Cursor(6, b"\x06" * 32)


def test_a_reader_sees_what_the_gateway_writes_and_follows_it_to_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sqlite3"
    owner = open_database(path)
    reader = Database(path, read_only=True)
    Archive(owner).add(1, 0, [ENTRY])
    assert Archive(reader).get(1, 0, 1) == ENTRY
    for file in tmp_path.iterdir():
        file.unlink()
    assert owner.follow()
    assert reader.follow()
    assert Archive(reader).get(1, 0, 1) is None
    Archive(owner).add(1, 0, [ENTRY])
    assert Archive(reader).get(1, 0, 1) == ENTRY


def test_a_reader_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sqlite3"
    open_database(path).close()
    with pytest.raises(Exception, match="readonly"):
        CursorStore(Database(path, read_only=True)).drop("hub/1")
