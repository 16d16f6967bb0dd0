"""A governor's secrets on disk: each key share in a keystore file, seeds and nonces sealed in a SQLite file.

Every write is durable when :meth:`GovernorStore.write` returns; a process that ends in between has made it or not. The
folder must never be restored from a backup while the governor takes part in a ceremony, and needs no backup of nonces:
whoever has lost them is absent from one attempt.
"""

import os
import secrets as random_bytes
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, assert_never

from Crypto.Cipher import AES

from piebridge.crypto import keystore
from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.hash import HASH_LENGTH, sha256
from piebridge.crypto.keystore import KeyPurpose
from piebridge.crypto.threshold.ciphersuite import SCALAR_LENGTH, decode_scalar, encode_scalar
from piebridge.crypto.threshold.shares import KeyShare
from piebridge.crypto.threshold.signing import SigningNonces
from piebridge.failpoints import reach
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
from piebridge.management_chain.governor.secrets import NonceRecord, Secrets, UsedNonces

STORAGE_KEY_FILE: Final = "storage-key.json"
"""Keystore of the key that seals rows."""
DATABASE_FILE: Final = "governor.sqlite"
"""Seeds and nonces."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS seeds (ceremony INTEGER PRIMARY KEY, sealed BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS nonces (
    ceremony INTEGER NOT NULL,
    round INTEGER NOT NULL,
    used INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (ceremony, round)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shares (
    key_epoch INTEGER NOT NULL,
    share_epoch INTEGER NOT NULL,
    ceremony INTEGER NOT NULL,
    identifier INTEGER NOT NULL,
    group_key BLOB NOT NULL,
    PRIMARY KEY (key_epoch, share_epoch, ceremony)
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 1;
"""
_SCHEMA_VERSION: Final = 1
_SEAL_PURPOSE: Final = b"PIEBRIDGE/GOVERNOR_STORAGE/v1"
_NONCE_LENGTH: Final = 12
_TAG_LENGTH: Final = 16


class GovernorStore:
    """The open folder of one governor."""

    def __init__(self, directory: Path, passphrase: str, *, dev: bool = False) -> None:
        """Open the folder, or make it.

        Args:
            directory: the folder; nobody else may use it.
            passphrase: of all keystore files in it.
            dev: use and accept light scrypt.

        Raises:
            KeystoreError: a keystore file cannot be opened.
            ConfigurationError: the folder or the database cannot be used, is damaged, or is open elsewhere.
        """
        self._directory, self._passphrase, self._dev = directory, passphrase, dev
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"folder {directory} of the governor cannot be made: {error}") from error
        key_file = directory / STORAGE_KEY_FILE
        if not key_file.exists():
            if (directory / DATABASE_FILE).exists():
                raise ConfigurationError(
                    f"{key_file} is missing: without it {DATABASE_FILE} cannot be read; restore it"
                )
            keystore.generate(key_file, KeyPurpose.GOVERNOR_STORAGE, passphrase, dev=dev)
        self._key = sha256(_SEAL_PURPOSE + keystore.load(key_file, KeyPurpose.GOVERNOR_STORAGE, passphrase, dev=dev))
        self._connection = _open(directory / DATABASE_FILE)

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def load(self) -> Secrets:
        """Return all that is kept.

        Raises:
            KeystoreError: the file of a share cannot be opened.
            ConfigurationError: a row was changed, or the database fails.
        """
        with self._typed_errors():
            seeds = {
                ceremony: self._unseal(sealed, _seed_row(ceremony))
                for ceremony, sealed in self._connection.execute("SELECT ceremony, sealed FROM seeds")
            }
            nonces: dict[tuple[int, int], NonceRecord] = {
                (ceremony, number): _read_nonces(self._unseal(sealed, _nonce_row(ceremony, number, used)), used)
                for ceremony, number, used, sealed in self._connection.execute(
                    "SELECT ceremony, round, used, sealed FROM nonces"
                )
            }
            rows = self._connection.execute(
                "SELECT key_epoch, share_epoch, ceremony, identifier, group_key FROM shares"
            ).fetchall()
        shares = {}
        for key_epoch, share_epoch, ceremony, identifier, group_key in rows:
            name = ShareName(key_epoch, share_epoch, ceremony)
            shares[name] = KeyShare(identifier, self._load_share(name), group_key)
        with self._typed_errors():
            for path in self._directory.glob("share-*.json"):
                if path not in {self._share_file(name) for name in shares}:
                    _erase(path)  # the process ended while it was made, or while it was erased
        return Secrets(seeds, nonces, shares)

    def write(self, effect: StoreEffect) -> None:
        """Carry out a change; it is on disk when this returns.

        Raises:
            ConfigurationError: the disk is full or fails. The governor must stop.
        """
        reach("governor.store.before_write")
        with self._typed_errors():
            self._write(effect)
        reach("governor.store.after_write")

    def _write(self, effect: StoreEffect) -> None:
        match effect:
            case KeepSeed(ceremony, seed):
                sealed = self._seal(seed, _seed_row(ceremony))
                self._execute("INSERT INTO seeds VALUES (?, ?)", ceremony, sealed)
            case KeepNonces(ceremony, number, nonces):
                plaintext = encode_scalar(nonces.hiding) + encode_scalar(nonces.binding)
                sealed = self._seal(plaintext, _nonce_row(ceremony, number, False))
                self._execute("INSERT INTO nonces VALUES (?, ?, 0, ?)", ceremony, number, sealed)
            case UseNonces(ceremony, number, session, z):
                sealed = self._seal(session + z, _nonce_row(ceremony, number, True))
                changed = self._execute(
                    "UPDATE nonces SET used = 1, sealed = ? WHERE ceremony = ? AND round = ? AND used = 0",
                    sealed,
                    ceremony,
                    number,
                )
                if changed != 1:
                    raise ConfigurationError(
                        f"nonces of ceremony {ceremony}, round {number} are not in {self._directory}, or were used: "
                        "another process uses this folder; end it"
                    )
            case KeepShare(name, share):
                self._keep_share(name, share)
            case EraseShare(name):
                # The row first: a file without a row is erased at the next start, one half erased could not be opened.
                self._delete_share_row(name)
                _erase(self._share_file(name))
            case ForgetCeremony(ceremony):
                with self._connection:
                    self._connection.execute("BEGIN IMMEDIATE")
                    self._connection.execute("DELETE FROM seeds WHERE ceremony = ?", (ceremony,))
                    self._connection.execute("DELETE FROM nonces WHERE ceremony = ?", (ceremony,))
            case _:
                assert_never(effect)

    def _keep_share(self, name: ShareName, share: KeyShare) -> None:
        path = self._share_file(name)
        keystore.save(path, encode_scalar(share.secret), KeyPurpose.GOVERNOR, self._passphrase, dev=self._dev)
        self._execute(
            "INSERT INTO shares VALUES (?, ?, ?, ?, ?)",
            name.key_epoch,
            name.share_epoch,
            name.ceremony,
            share.identifier,
            share.group_public_key,
        )

    def _load_share(self, name: ShareName) -> int:
        path = self._share_file(name)
        return decode_scalar(keystore.load(path, KeyPurpose.GOVERNOR, self._passphrase, dev=self._dev))

    def _delete_share_row(self, name: ShareName) -> None:
        self._execute(
            "DELETE FROM shares WHERE key_epoch = ? AND share_epoch = ? AND ceremony = ?",
            name.key_epoch,
            name.share_epoch,
            name.ceremony,
        )

    def _share_file(self, name: ShareName) -> Path:
        return self._directory / f"share-{name.key_epoch}-{name.share_epoch}-{name.ceremony}.json"

    def _execute(self, statement: str, *values: int | bytes) -> int:
        return self._connection.execute(statement, values).rowcount

    def _seal(self, plaintext: bytes, row: bytes) -> bytes:
        nonce = random_bytes.token_bytes(_NONCE_LENGTH)
        cipher = AES.new(self._key, AES.MODE_GCM, nonce=nonce)
        cipher.update(row)
        ciphertext, tag = cipher.encrypt_and_digest(plaintext)
        return nonce + ciphertext + tag

    def _unseal(self, sealed: bytes, row: bytes) -> bytes:
        cipher = AES.new(self._key, AES.MODE_GCM, nonce=sealed[:_NONCE_LENGTH])
        cipher.update(row)
        try:
            return cipher.decrypt_and_verify(sealed[_NONCE_LENGTH:-_TAG_LENGTH], sealed[-_TAG_LENGTH:])
        except ValueError as error:
            raise ConfigurationError(
                f"{self._directory / DATABASE_FILE} holds a row that was changed or is of another governor "
                f"({row.decode()}); move the file away: this governor is absent from what is under way, and goes on"
            ) from error

    @contextmanager
    def _typed_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise ConfigurationError(
                f"the governor's store in {self._directory} fails: {error}; make room if the disk is full, "
                "and start again"
            ) from error


def _open(path: Path) -> sqlite3.Connection:
    try:
        path.touch(mode=0o600)
        connection = sqlite3.connect(path, isolation_level=None, timeout=1)
    except (sqlite3.Error, OSError) as error:
        raise ConfigurationError(f"the governor's database {path} cannot be opened: {error}") from error
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = EXTRA")
        connection.execute("PRAGMA secure_delete = ON")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, _SCHEMA_VERSION):
            raise sqlite3.DatabaseError(f"schema version {version}, this program knows {_SCHEMA_VERSION}")
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        connection.executescript(_SCHEMA)
    except sqlite3.Error as error:
        connection.close()
        raise ConfigurationError(
            f"the governor's database {path} cannot be used: {error}; end the process that has it open, or, if it is "
            "damaged, move it away: this governor is then absent from what is under way, and goes on"
        ) from error
    return connection


def _seed_row(ceremony: int) -> bytes:
    return b"seed of ceremony %d" % ceremony


def _nonce_row(ceremony: int, number: int, used: int) -> bytes:
    return b"nonces of ceremony %d, round %d, used %d" % (ceremony, number, used)


def _read_nonces(plaintext: bytes, used: int) -> NonceRecord:
    first, second = plaintext[:HASH_LENGTH], plaintext[HASH_LENGTH:]
    if used:
        return UsedNonces(first, second)
    assert len(first) == len(second) == SCALAR_LENGTH, "sealed by this program"
    return SigningNonces(decode_scalar(first), decode_scalar(second))


def _erase(path: Path) -> None:
    """Write over a file and delete it: the best that can be done on a file system that may keep old blocks."""
    try:
        with path.open("r+b") as file:
            file.write(bytes(path.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
    except FileNotFoundError:
        return
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
