"""Private keys at rest: Ethereum keystore version 3 (Web3 Secret Storage), with the purpose of each key.

This is the only module of the package that touches files and draws randomness. The passphrase comes as an argument;
callers read it from a file descriptor, never from the command line or the environment.

A file says what its key is for, in the member ``piebridge`` that other programs ignore, and is opened for that purpose
only. This guards against mixing files up, not against a thief: who can write the file and knows the passphrase has the
key.
"""

import json
import os
import secrets
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.signature import ADDRESS_LENGTH, GROUP_ORDER, PRIVATE_KEY_LENGTH, address_of_private_key

STANDARD_SCRYPT_N: Final = 262_144
"""Cost of a guess at a passphrase: about half a second and 256 MiB."""
LIGHT_SCRYPT_N: Final = 4_096
"""Cost under ``dev``: some milliseconds. Protects nothing of value."""

_SCRYPT_R: Final = 8
_SCRYPT_P: Final = 1
_VERSION: Final = 3
_EXTENSION_VERSION: Final = 1
_FILE_MODE: Final = 0o600
_FILE_SIZE_MAX: Final = 16_384


class KeyPurpose(StrEnum):
    """What a key is for. One key serves one purpose."""

    CONSENSUS = "consensus"
    """Votes of a validator."""
    ENDORSEMENT = "endorsement"
    """Endorsements of a relay chain's outboxes."""
    NOTARY = "notary"
    """Statements about a parachain."""
    GATEWAY = "gateway"
    """Account from which a gateway submits and pays."""
    GOVERNOR = "governor"
    """Governor key of a local network, or a share of one."""
    GOVERNOR_STORAGE = "governor-storage"
    """Seals what else a governor keeps: seeds and nonces of ceremonies under way."""
    P2P = "p2p"
    """Identity of a node among its peers."""
    USER = "user"
    """Account of a person or application."""


class KeystoreError(ConfigurationError):
    """A keystore file cannot be used. The message says which and what to do."""

    def __init__(self, path: Path, problem: str, hint: str) -> None:
        """Join file, problem and hint."""
        super().__init__(f"keystore {path}: {problem}; {hint}")
        self.path = path
        """The file."""
        self.hint = hint
        """What to do."""


class MalformedKeystoreError(KeystoreError):
    """The file is no keystore of the accepted form."""


class WrongPassphraseError(KeystoreError):
    """The passphrase is wrong, or ciphertext or MAC was changed: the two cannot be told apart."""


class WrongPurposeError(KeystoreError):
    """The key is for another purpose than the one it was to be used for."""


class InsecureKeystoreError(KeystoreError):
    """The file protects its key less than it must: light scrypt outside of ``dev``, or other users may read it."""


class KeystoreFileError(KeystoreError):
    """The file is missing, cannot be read or written, or exists already."""


@dataclass(frozen=True, slots=True)
class KeystoreInfo:
    """What a keystore tells without its passphrase. Not authenticated before :func:`load` has opened it."""

    address: bytes
    """Ethereum address of the key, 20 bytes."""
    purpose: KeyPurpose
    """What the key is for."""
    scrypt_n: int
    """Cost parameter of scrypt."""


def generate(path: Path, purpose: KeyPurpose, passphrase: str, *, dev: bool = False) -> bytes:
    """Draw a new private key, write its keystore, and return its 20-byte address.

    Raises:
        ConfigurationError: the passphrase is empty and ``dev`` is not set.
        KeystoreFileError: the file exists already or cannot be written.
    """
    private_key = _draw_private_key()
    save(path, private_key, purpose, passphrase, dev=dev)
    return address_of_private_key(private_key)


def save(path: Path, private_key: bytes, purpose: KeyPurpose, passphrase: str, *, dev: bool = False) -> None:
    """Write the keystore of a private key: all of it or nothing, readable by its owner alone, never over another file.

    Args:
        path: file to make; its directory must exist.
        private_key: 32 bytes, in 1..n-1 of secp256k1 (an ed25519 seed, too, must lie in that range).
        purpose: what the key is for.
        passphrase: encoded as UTF-8.
        dev: use light scrypt. Such a file is refused wherever ``dev`` is not set.

    Raises:
        ConfigurationError: the private key is out of range, or the passphrase is empty and ``dev`` is not set.
        KeystoreFileError: the file exists already or cannot be written.
    """
    if not passphrase and not dev:
        raise ConfigurationError(f"no passphrase for keystore {path}: an empty one protects nothing; give one")
    from eth_keyfile.keyfile import create_keyfile_json  # here, because the import takes most of a second

    address = address_of_private_key(private_key)
    document = create_keyfile_json(
        private_key,
        passphrase.encode(),
        version=_VERSION,
        kdf="scrypt",
        iterations=LIGHT_SCRYPT_N if dev else STANDARD_SCRYPT_N,
    )
    document["address"] = address.hex()
    document["piebridge"] = {"purpose": purpose.value, "version": _EXTENSION_VERSION}
    _write_new_file(path, json.dumps(document, indent=2, sort_keys=True).encode() + b"\n")


def load(path: Path, purpose: KeyPurpose, passphrase: str, *, dev: bool = False) -> bytes:
    """Return the private key (32 bytes) of a keystore.

    Args:
        path: the file.
        purpose: what the caller uses the key for.
        passphrase: as it was saved with.
        dev: accept light scrypt.

    Raises:
        KeystoreFileError: the file is missing or cannot be read.
        MalformedKeystoreError: the file is no keystore of the accepted form, or its address is not that of its key.
        WrongPurposeError: the key is for something else.
        InsecureKeystoreError: other users may read the file, or it has light scrypt and ``dev`` is not set.
        WrongPassphraseError: the passphrase is wrong, or the file was changed.
    """
    from eth_keyfile.exceptions import EthKeyfileValueError
    from eth_keyfile.keyfile import decode_keyfile_json

    document = _read_file(path)
    info = _describe(document)
    if info.purpose is not purpose:
        raise WrongPurposeError(
            path, f"its key is for {info.purpose}, not for {purpose}", "give the file of the right key, or make one"
        )
    if info.scrypt_n < STANDARD_SCRYPT_N and not dev:
        raise InsecureKeystoreError(
            path, "it was made under --dev, with light scrypt", "use it on a local network only, or make another key"
        )
    try:
        private_key = bytes(decode_keyfile_json(document, passphrase.encode()))
    except EthKeyfileValueError as error:
        raise WrongPassphraseError(
            path, "the passphrase is wrong or the file was changed", "try the passphrase again, else restore a backup"
        ) from error
    try:
        address = address_of_private_key(private_key)
    except ConfigurationError as error:
        raise _malformed(path, "it holds no secp256k1 key") from error
    if address != info.address:
        raise _malformed(path, f"its address is not that of its key, 0x{address.hex()}")
    return private_key


def describe(path: Path) -> KeystoreInfo:
    """Return what a keystore tells without its passphrase.

    Raises:
        KeystoreFileError: the file is missing or cannot be read.
        MalformedKeystoreError: the file is no keystore of the accepted form.
        InsecureKeystoreError: other users may read the file.
    """
    return _describe(_read_file(path))


def _hexadecimal(length: int) -> dict[str, object]:
    # The dollar sign alone would let a line break through behind the digits.
    return {"type": "string", "pattern": f"^[0-9a-f]{{{2 * length}}}$", "maxLength": 2 * length}


def _object(**members: object) -> dict[str, object]:
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


_SCHEMA: Final = _object(
    address=_hexadecimal(ADDRESS_LENGTH),
    crypto=_object(
        cipher={"const": "aes-128-ctr"},
        cipherparams=_object(iv=_hexadecimal(16)),
        ciphertext=_hexadecimal(PRIVATE_KEY_LENGTH),
        kdf={"const": "scrypt"},
        kdfparams=_object(
            dklen={"const": 32},
            n={"enum": [LIGHT_SCRYPT_N, STANDARD_SCRYPT_N]},
            p={"const": _SCRYPT_P},
            r={"const": _SCRYPT_R},
            salt=_hexadecimal(16),
        ),
        mac=_hexadecimal(32),
    ),
    id={"type": "string", "maxLength": 64},
    piebridge=_object(
        purpose={"enum": [purpose.value for purpose in KeyPurpose]}, version={"const": _EXTENSION_VERSION}
    ),
    version={"const": _VERSION},
)
"""JSON Schema of an accepted file, as :func:`save` writes it. Costs are listed: no changed file can exhaust memory."""


def _describe(document: dict[str, Any]) -> KeystoreInfo:
    return KeystoreInfo(
        address=bytes.fromhex(document["address"]),
        purpose=KeyPurpose(document["piebridge"]["purpose"]),
        scrypt_n=document["crypto"]["kdfparams"]["n"],
    )


def _malformed(path: Path, problem: str) -> MalformedKeystoreError:
    return MalformedKeystoreError(path, problem, "restore it from a backup, or make another key")


def _read_file(path: Path) -> dict[str, Any]:
    from jsonschema import ValidationError, validate

    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(_FILE_SIZE_MAX + 1)
    except OSError as error:
        raise KeystoreFileError(path, f"cannot be read ({error.strerror})", "check the path and its rights") from error
    if mode & 0o077:
        raise InsecureKeystoreError(path, "other users may read or change it", f"run: chmod 600 {path}")
    if len(data) > _FILE_SIZE_MAX:
        raise _malformed(path, f"it has more than {_FILE_SIZE_MAX} bytes")
    try:
        document: dict[str, Any] = json.loads(data)
        validate(document, _SCHEMA)
    except (ValueError, RecursionError) as error:
        raise _malformed(path, "it is not JSON") from error
    except ValidationError as error:
        raise _malformed(path, f"{error.json_path} is not as it must be") from error
    return document


def _write_new_file(path: Path, data: bytes) -> None:
    """Make a file with its whole content, or none; a link fails where a rename would replace an existing key."""
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), _FILE_MODE)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)
        finally:
            os.unlink(temporary)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except FileExistsError as error:
        raise KeystoreFileError(path, "exists already", "choose another name, or move the old key away") from error
    except OSError as error:
        raise KeystoreFileError(
            path, f"cannot be written ({error.strerror})", "check that the directory exists and is writable"
        ) from error


def _draw_private_key() -> bytes:
    while True:
        private_key = secrets.token_bytes(PRIVATE_KEY_LENGTH)
        if 0 < int.from_bytes(private_key, "big") < GROUP_ORDER:
            return private_key
