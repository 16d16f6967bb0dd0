import sqlite3
from pathlib import Path

import pytest

from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.keystore import WrongPassphraseError
from piebridge.crypto.threshold.shares import KeyShare, split
from piebridge.crypto.threshold.signing import SigningNonces
from piebridge.management_chain.governor.effects import (
    EraseShare,
    ForgetCeremony,
    KeepNonces,
    KeepSeed,
    KeepShare,
    ShareName,
    StoreEffect,
    UseNonces,
)
from piebridge.management_chain.governor.secrets import Secrets, UsedNonces
from piebridge.management_chain.governor.store import DATABASE_FILE, STORAGE_KEY_FILE, GovernorStore

_, [SHARE, OTHER] = split(0x1234567 << 200, [0x7654321 << 190], 2)
FIRST, SECOND = ShareName(1, 1, 4), ShareName(1, 2, 9)
EFFECTS: list[StoreEffect] = [
    KeepSeed(4, b"\x5e" * 32),
    KeepNonces(4, 4, SigningNonces(0xAAAA << 200, 0xBBBB << 200)),
    KeepShare(FIRST, SHARE),
    UseNonces(4, 4, b"\x11" * 32, b"\x22" * 32),
    KeepNonces(5, 1, SigningNonces(0xCCCC << 200, 0xDDDD << 200)),
    KeepShare(SECOND, OTHER),
    ForgetCeremony(4),
    EraseShare(FIRST),
]


def open_store(path: Path, passphrase: str = "secret") -> GovernorStore:
    return GovernorStore(path, passphrase, dev=True)


def test_after_each_write_a_restart_finds_the_same(tmp_path: Path) -> None:
    expected = Secrets()
    for effect in EFFECTS:
        store = open_store(tmp_path / "governor")
        assert store.load() == expected
        store.write(effect)
        expected.apply(effect)
        store.close()
    store = open_store(tmp_path / "governor")
    assert (
        store.load() == expected == Secrets({}, {(5, 1): SigningNonces(0xCCCC << 200, 0xDDDD << 200)}, {SECOND: OTHER})
    )
    store.close()


def test_nonces_are_used_once_whatever_the_process_believes(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.write(KeepNonces(4, 4, SigningNonces(5, 6)))
    store.write(UseNonces(4, 4, b"\x11" * 32, b"\x22" * 32))
    for place in ((4, 4), (4, 6)):
        with pytest.raises(ConfigurationError, match="were used"):
            store.write(UseNonces(*place, b"\x33" * 32, b"\x44" * 32))
    with pytest.raises(ConfigurationError):
        store.write(KeepNonces(4, 4, SigningNonces(7, 8)))
    assert store.load().nonces == {(4, 4): UsedNonces(b"\x11" * 32, b"\x22" * 32)}
    store.close()


def test_no_secret_is_readable_in_any_file_and_used_nonces_are_gone(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for effect in EFFECTS[:6]:
        store.write(effect)
    sealed_before = (tmp_path / DATABASE_FILE).read_bytes()
    store.write(UseNonces(5, 1, b"\x11" * 32, b"\x22" * 32))
    store.close()
    connection = sqlite3.connect(tmp_path / DATABASE_FILE)
    rows = [
        bytes(sealed) for (sealed,) in connection.execute("SELECT sealed FROM nonces UNION SELECT sealed FROM seeds")
    ]
    connection.close()
    after = (tmp_path / DATABASE_FILE).read_bytes()
    assert all(row in after for row in rows)
    assert sum(row in sealed_before for row in rows) == 2, "the row of the nonces that were used is another one"
    secrets = [b"\x5e" * 32, (0xAAAA << 200).to_bytes(32, "big"), (0xDDDD << 200).to_bytes(32, "big")]
    secrets += [share.secret.to_bytes(32, "big") for share in (SHARE, OTHER)]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 4
    for path in files:
        data = path.read_bytes()
        assert not path.stat().st_mode & 0o077
        for secret in secrets:
            assert secret not in data
            assert secret.hex().encode() not in data.lower()


def test_wrong_passphrase_missing_key_and_second_process_are_refused(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.write(EFFECTS[0])
    with pytest.raises(ConfigurationError, match="end the process"):
        open_store(tmp_path)
    store.close()
    with pytest.raises(WrongPassphraseError):
        open_store(tmp_path, "other")
    (tmp_path / STORAGE_KEY_FILE).unlink()
    with pytest.raises(ConfigurationError, match="is missing"):
        open_store(tmp_path)


def test_changed_or_exchanged_rows_are_noticed(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for effect in (*EFFECTS[:2], KeepNonces(4, 6, SigningNonces(1, 2))):
        store.write(effect)
    store.close()
    for statement in (
        "UPDATE nonces SET round = 8 WHERE round = 4",
        "UPDATE nonces SET used = 1 WHERE round = 6",
        "UPDATE seeds SET ceremony = 5",
        "UPDATE seeds SET sealed = zeroblob(60)",
        "UPDATE seeds SET sealed = zeroblob(3)",
    ):
        connection = sqlite3.connect(tmp_path / DATABASE_FILE, isolation_level=None)
        kept = connection.serialize()
        connection.execute(statement)
        connection.close()
        damaged = open_store(tmp_path)
        with pytest.raises(ConfigurationError, match="was changed"):
            damaged.load()
        damaged.close()
        (tmp_path / DATABASE_FILE).write_bytes(kept)
    open_store(tmp_path).close()


def test_damaged_database_says_what_to_do(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    (tmp_path / DATABASE_FILE).write_bytes(b"no database" * 100)
    with pytest.raises(ConfigurationError, match="move it away"):
        open_store(tmp_path)


def test_share_whose_making_or_erasing_was_cut_short_is_no_trap(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.write(KeepShare(FIRST, SHARE))
    store.close()
    [path] = tmp_path.glob("share-*.json")
    connection = sqlite3.connect(tmp_path / DATABASE_FILE, isolation_level=None)
    connection.execute("DELETE FROM shares")
    connection.close()
    path.write_bytes(bytes(100))
    store = open_store(tmp_path)
    assert store.load() == Secrets()
    assert not path.exists()
    store.write(KeepShare(FIRST, SHARE))
    assert store.load().shares == {FIRST: SHARE}
    with pytest.raises(ConfigurationError, match="exists already"):
        store.write(KeepShare(FIRST, KeyShare(1, 99, SHARE.group_public_key)))
    store.close()
