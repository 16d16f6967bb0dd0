"""Both stores behave alike."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from piebridge.evm_chain.store import KeyValueStore, MemoryStore, RocksStore


@pytest.fixture(params=["memory", "rocks"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyValueStore]:
    made: KeyValueStore = MemoryStore() if request.param == "memory" else RocksStore(tmp_path)
    yield made
    made.close()


def test_values(store: KeyValueStore) -> None:
    assert store.get(b"a") is None
    store.write({b"a": b"1", b"b": b""})
    store.write({b"a": b"2"})
    assert (store.get(b"a"), store.get(b"b")) == (b"2", b"")


def test_keys_ascend_from_the_first_and_end_with_the_prefix(store: KeyValueStore) -> None:
    store.write(dict.fromkeys([b"b", b"ab", b"aa", b"a", b"a\xff\xff", b"\x00"], b""))
    assert list(store.keys(b"a", b"a")) == [b"a", b"aa", b"ab", b"a\xff\xff"]
    assert list(store.keys(b"ab", b"a")) == [b"ab", b"a\xff\xff"]
    assert list(store.keys(b"c", b"c")) == []
