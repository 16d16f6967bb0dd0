"""Keys of a local network: drawn, written as keystores under one passphrase, and held while the network starts."""

import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from piebridge.cli.local_network.plan import PASSWORD_FILE, KeyPlan
from piebridge.crypto import keystore
from piebridge.crypto.signature import address_of_private_key
from piebridge.crypto.threshold.ciphersuite import base_times, encode_element


@dataclass(frozen=True, slots=True)
class NetworkKeys:
    """The private keys of a network that is being made."""

    by_name: dict[str, bytes] = field(repr=False)
    """Private keys, 32 bytes each, by the name in the plan."""

    def private(self, key: KeyPlan) -> bytes:
        """Return a private key, 32 bytes."""
        return self.by_name[key.name]

    def address(self, key: KeyPlan) -> bytes:
        """Return the address of a key, 20 bytes."""
        return address_of_private_key(self.by_name[key.name])

    def group_key(self, governor: KeyPlan) -> bytes:
        """Return the FROST group key of the governor, 33 bytes."""
        return encode_element(base_times(int.from_bytes(self.by_name[governor.name], "big")))


def make_keys(keys: Iterable[KeyPlan], directory: Path) -> NetworkKeys:
    """Draw keys and write the keystores and their passphrase file.

    Raises:
        KeystoreFileError: a file exists already or cannot be written.
    """
    (directory / "keys").mkdir(mode=0o700, exist_ok=True)
    passphrase = secrets.token_hex(16)
    _write_passphrase(directory / PASSWORD_FILE, passphrase)
    made = {}
    for key in keys:
        path = directory / key.file
        keystore.generate(path, key.purpose, passphrase, dev=True)
        made[key.name] = keystore.load(path, key.purpose, passphrase, dev=True)
    return NetworkKeys(made)


def _write_passphrase(path: Path, passphrase: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(f"{passphrase}\n")
