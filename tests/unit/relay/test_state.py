import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from piebridge.crypto.errors import ConfigurationError
from piebridge.relay.app.state import Backend, MemoryBackend, Overlay, RelayState, roll_back
from piebridge.relay.storage import SqliteBackend, SqliteSignedValues


@pytest.fixture(params=["memory", "sqlite"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    sqlite = SqliteBackend(tmp_path / "state.sqlite")
    yield MemoryBackend() if request.param == "memory" else sqlite
    sqlite.close()


def commit(state: RelayState, height: int, changes: dict[bytes, bytes | None]) -> bytes:
    app_hash = state.stage(height, changes)
    state.commit()
    return app_hash


def test_staged_version_touches_nothing_before_its_commit(backend: Backend) -> None:
    state = RelayState(backend)
    before = state.app_hash
    app_hash = state.stage(1, {b"sa": b"1", b"eb": b"2"})
    assert (state.height, state.app_hash, state.get(b"sa")) == (0, before, None)
    assert list(backend.items(b"s")) == []
    assert RelayState(backend).height == 0
    state.commit()
    assert (state.height, state.app_hash, state.get(b"sa")) == (1, app_hash, b"1")


def test_state_opens_exactly_at_its_last_commit(backend: Backend) -> None:
    state = RelayState(backend)
    commit(state, 1, {b"sa": b"1", b"sb": b"", b"ec": b"3"})
    app_hash = commit(state, 2, {b"sa": None, b"sb": b"2"})
    state.stage(3, {b"sb": b"lost"})
    reopened = RelayState(backend)
    assert (reopened.height, reopened.app_hash) == (2, app_hash)
    assert (reopened.get(b"sa"), reopened.get(b"sb"), reopened.get(b"ec")) == (None, b"2", b"3")


def test_app_hash_depends_on_the_values_alone(backend: Backend) -> None:
    state, other = RelayState(backend), RelayState(MemoryBackend())
    commit(state, 1, {b"sa": b"1", b"sb": b"2"})
    commit(state, 2, {b"sc": b"3", b"ed": b"4"})
    commit(other, 1, {b"ed": b"4", b"sc": b"3", b"sa": b"0", b"se": b"5"})
    commit(other, 2, {b"se": None, b"sb": b"2", b"sa": b"1"})
    assert state.app_hash == other.app_hash


@pytest.mark.parametrize("key", [b"sa", b"ea"])
def test_both_stores_are_in_the_app_hash(key: bytes) -> None:
    states = [RelayState(MemoryBackend()) for _ in range(2)]
    assert commit(states[0], 1, {key: b"1"}) != commit(states[1], 1, {key: b"2"})


def test_second_stage_replaces_the_first(backend: Backend) -> None:
    state = RelayState(backend)
    state.stage(1, {b"sa": b"1"})
    commit(state, 1, {b"sb": b"2"})
    assert state.get(b"sa") is None


def test_damaged_storage_is_refused(backend: Backend) -> None:
    commit(RelayState(backend), 1, {b"sa": b"1"})
    backend.write({b"sa": b"2"})
    with pytest.raises(ConfigurationError, match="damaged"):
        RelayState(backend)


def test_one_previous_version_can_be_restored(backend: Backend) -> None:
    state = RelayState(backend)
    first = commit(state, 1, {b"sa": b"1", b"sb": b"", b"ec": b"3"})
    commit(state, 2, {b"sa": None, b"sb": b"2", b"sd": b"4", b"ec": None})
    assert roll_back(backend) == 1
    reopened = RelayState(backend)
    assert (reopened.height, reopened.app_hash) == (1, first)
    assert [reopened.get(key) for key in (b"sa", b"sb", b"sd", b"ec")] == [b"1", b"", None, b"3"]
    with pytest.raises(ConfigurationError, match="one previous version"):
        roll_back(backend)
    commit(reopened, 2, {b"sa": b"9"})
    assert roll_back(backend) == 1


def test_overlay_hides_and_deletes_and_is_thrown_away() -> None:
    below = Overlay(RelayState(MemoryBackend()))
    below.set(b"a", b"1")
    child = below.child()
    child.set(b"a", None)
    child.set(b"b", b"2")
    assert (child.get(b"a"), child.get(b"b"), below.get(b"a"), below.get(b"b")) == (None, b"2", b"1", None)
    below.absorb(child)
    assert (below.get(b"a"), below.get(b"b")) == (None, b"2")


def test_sqlite_write_is_all_or_nothing(tmp_path: Path) -> None:
    backend = SqliteBackend(tmp_path / "state.sqlite")
    backend.write({b"a": b"1"})
    with pytest.raises(sqlite3.Error, match="type"):
        backend.write({b"a": b"2", b"b": object()})  # type: ignore[dict-item]
    assert backend.get(b"a") == b"1"
    backend.close()


def test_sqlite_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.raises(ConfigurationError, match="cannot open"):
        SqliteBackend(tmp_path / "state.sqlite")


def test_signed_values_outlive_the_process(tmp_path: Path) -> None:
    first = SqliteSignedValues(tmp_path / "signed.sqlite")
    first.put(b"key", b"value")
    first.close()
    second = SqliteSignedValues(tmp_path / "signed.sqlite")
    assert (second.get(b"key"), second.get(b"other")) == (b"value", None)
    second.close()
