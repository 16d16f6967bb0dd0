import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from piebridge.crypto import keystore
from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.keystore import KeyPurpose, KeystoreError
from piebridge.crypto.signature import GROUP_ORDER, address_of_private_key

PRIVATE_KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
PASSPHRASE = "correct horse, ünïcode"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "key.json"
    keystore.save(path, PRIVATE_KEY, KeyPurpose.NOTARY, PASSPHRASE, dev=True)
    return path


def load(path: Path, purpose: KeyPurpose = KeyPurpose.NOTARY, passphrase: str = PASSPHRASE) -> bytes:
    return keystore.load(path, purpose, passphrase, dev=True)


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_round_trip(file: Path) -> None:
    assert load(file) == PRIVATE_KEY
    info = keystore.describe(file)
    assert info.address == address_of_private_key(PRIVATE_KEY)
    assert info.purpose is KeyPurpose.NOTARY
    assert info.scrypt_n == keystore.LIGHT_SCRYPT_N


@pytest.mark.slow
def test_standard_scrypt_outside_of_dev(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    address = keystore.generate(path, KeyPurpose.USER, PASSPHRASE)
    assert keystore.describe(path).scrypt_n == keystore.STANDARD_SCRYPT_N
    private_key = keystore.load(path, KeyPurpose.USER, PASSPHRASE)
    assert address_of_private_key(private_key) == address


def test_eth_account_opens_our_file(file: Path) -> None:
    from eth_account import Account

    document = json.loads(file.read_text())
    assert bytes(Account.decrypt(document, PASSPHRASE)) == PRIVATE_KEY


def test_generated_keys_and_salts_differ(tmp_path: Path) -> None:
    documents = []
    for name in ("a", "b"):
        keystore.generate(tmp_path / name, KeyPurpose.GATEWAY, "", dev=True)
        documents.append(json.loads((tmp_path / name).read_text()))
    first, second = documents
    assert first["address"] != second["address"]
    assert first["crypto"]["kdfparams"]["salt"] != second["crypto"]["kdfparams"]["salt"]
    assert first["crypto"]["cipherparams"]["iv"] != second["crypto"]["cipherparams"]["iv"]


def test_file_is_its_owners_alone_and_complete(file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["key.json"]
    assert PRIVATE_KEY.hex() not in file.read_text()


def test_existing_key_is_never_replaced(file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(keystore.KeystoreFileError, match="exists already"):
        keystore.save(file, b"\x01" * 32, KeyPurpose.NOTARY, PASSPHRASE, dev=True)
    assert file.read_bytes() == before
    assert len(list(file.parent.iterdir())) == 1


def test_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(keystore.KeystoreFileError, match="No space left"):
        keystore.save(tmp_path / "key.json", PRIVATE_KEY, KeyPurpose.NOTARY, PASSPHRASE, dev=True)
    assert list(tmp_path.iterdir()) == []


def test_missing_directory_and_file(tmp_path: Path) -> None:
    with pytest.raises(keystore.KeystoreFileError, match="directory"):
        keystore.save(tmp_path / "no" / "key", PRIVATE_KEY, KeyPurpose.NOTARY, PASSPHRASE, dev=True)
    with pytest.raises(keystore.KeystoreFileError, match="No such file"):
        load(tmp_path / "key")
    with pytest.raises(keystore.KeystoreFileError, match="directory"):
        load(tmp_path)


def test_wrong_passphrase(file: Path) -> None:
    for wrong in ("", PASSPHRASE + " ", PASSPHRASE.upper()):
        with pytest.raises(keystore.WrongPassphraseError, match="try the passphrase again"):
            load(file, passphrase=wrong)


@pytest.mark.parametrize("purpose", [purpose for purpose in KeyPurpose if purpose is not KeyPurpose.NOTARY])
def test_key_serves_its_purpose_alone(file: Path, purpose: KeyPurpose) -> None:
    with pytest.raises(keystore.WrongPurposeError, match=f"for notary, not for {purpose}"):
        load(file, purpose)


def test_light_scrypt_is_refused_outside_of_dev(file: Path) -> None:
    with pytest.raises(keystore.InsecureKeystoreError, match="light scrypt"):
        keystore.load(file, KeyPurpose.NOTARY, PASSPHRASE)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_file_that_others_may_read_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(keystore.InsecureKeystoreError, match="chmod 600"):
        load(file)
    with pytest.raises(keystore.InsecureKeystoreError, match="chmod 600"):
        keystore.describe(file)


def flip_last_digit(text: str) -> str:
    return text[:-1] + f"{int(text[-1], 16) ^ 1:x}"


@pytest.mark.parametrize("member", ["mac", "ciphertext", "salt"])
def test_tampered_file_is_refused(file: Path, member: str) -> None:
    def tamper(document: dict[str, Any]) -> None:
        crypto = document["crypto"]
        part = crypto["kdfparams"] if member == "salt" else crypto
        part[member] = flip_last_digit(part[member])

    rewrite(file, tamper)
    with pytest.raises(keystore.WrongPassphraseError):
        load(file)


def test_initialisation_vector_and_address_that_do_not_fit_are_refused(file: Path) -> None:
    # The MAC does not cover them; the address of the decrypted key shows the change.
    original = file.read_text()
    rewrite(file, lambda d: d["crypto"]["cipherparams"].update(iv=flip_last_digit(d["crypto"]["cipherparams"]["iv"])))
    with pytest.raises(keystore.MalformedKeystoreError, match=r"address|secp256k1"):
        load(file)
    file.write_text(original)
    rewrite(file, lambda d: d.update(address=flip_last_digit(d["address"])))
    with pytest.raises(keystore.MalformedKeystoreError, match="address"):
        load(file)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("another version", lambda d: d.update(version=4)),
        ("no purpose", lambda d: d.pop("piebridge")),
        ("unknown purpose", lambda d: d["piebridge"].update(purpose="everything")),
        ("unknown extension version", lambda d: d["piebridge"].update(version=2)),
        ("unknown member", lambda d: d.update(more=1)),
        ("no crypto", lambda d: d.pop("crypto")),
        ("no MAC", lambda d: d["crypto"].pop("mac")),
        ("another cipher", lambda d: d["crypto"].update(cipher="aes-256-ctr")),
        ("another derivation", lambda d: d["crypto"].update(kdf="pbkdf2")),
        ("huge cost", lambda d: d["crypto"]["kdfparams"].update(n=2**40)),
        ("little cost", lambda d: d["crypto"]["kdfparams"].update(n=2)),
        ("other block size", lambda d: d["crypto"]["kdfparams"].update(r=1)),
        ("other parallelism", lambda d: d["crypto"]["kdfparams"].update(p=1000)),
        ("other key length", lambda d: d["crypto"]["kdfparams"].update(dklen=16)),
        ("cost as text", lambda d: d["crypto"]["kdfparams"].update(n="4096")),
        ("short ciphertext", lambda d: d["crypto"].update(ciphertext="00")),
        ("no hexadecimal", lambda d: d["crypto"].update(mac="z" * 64)),
        ("line break after a value", lambda d: d["crypto"].update(mac=d["crypto"]["mac"][:-1] + "\n")),
        ("line break behind a value", lambda d: d["crypto"].update(mac=d["crypto"]["mac"] + "\n")),
        ("short address", lambda d: d.update(address="00")),
        ("address as number", lambda d: d.update(address=0)),
    ],
)
def test_other_forms_are_refused(file: Path, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    rewrite(file, change)
    with pytest.raises(keystore.MalformedKeystoreError, match="restore it"):
        load(file)
    assert name


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 10_000, b" " * 20_000, b"1e999"])
def test_files_that_are_no_keystore_are_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(keystore.MalformedKeystoreError):
        load(file)


@pytest.mark.parametrize("key", [bytes(32), b"\x01" * 31, GROUP_ORDER.to_bytes(32, "big")])
def test_keys_out_of_range_are_not_saved(tmp_path: Path, key: bytes) -> None:
    with pytest.raises(ConfigurationError, match="private key"):
        keystore.save(tmp_path / "key.json", key, KeyPurpose.USER, PASSPHRASE, dev=True)
    assert list(tmp_path.iterdir()) == []


def test_empty_passphrase_is_for_dev_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="passphrase"):
        keystore.save(tmp_path / "key.json", PRIVATE_KEY, KeyPurpose.USER, "")
    assert list(tmp_path.iterdir()) == []


def test_every_error_names_file_and_remedy(file: Path) -> None:
    with pytest.raises(KeystoreError) as caught:
        load(file, passphrase="wrong")
    assert caught.value.path == file
    assert str(file) in str(caught.value)
    assert caught.value.hint in str(caught.value)
