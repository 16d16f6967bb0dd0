"""The keys that a network file names: user accounts, and the governor key of a --dev network."""

from pathlib import Path

from piebridge.cli import passphrase
from piebridge.cli.network_file import AccountEntry, NetworkFile
from piebridge.crypto import keystore
from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.keystore import KeyPurpose


def account_key(network: NetworkFile, directory: Path, account: AccountEntry) -> bytes:
    """Open the key of a user account; its passphrase is asked for unless the network file names where it is.

    Args:
        network: the network.
        directory: its folder.
        account: one of its accounts.

    Raises:
        KeystoreError: the keystore cannot be opened.
        ConfigurationError: there is nobody to ask for the passphrase.
    """
    secret = _passphrase(directory, account.password_file, f"Passphrase of {account.name}")
    return keystore.load(directory / account.key_file, KeyPurpose.USER, secret, dev=network.dev)


def governor_key(network: NetworkFile, directory: Path) -> bytes:
    """Open the local governor key of a --dev network; it has the passphrase of the network's accounts.

    Raises:
        KeystoreError: the keystore cannot be opened.
        ConfigurationError: the network is governed elsewhere, or there is nobody to ask for the passphrase.
    """
    if network.domain.governor_key_file is None:
        raise ConfigurationError("this network is governed elsewhere: it has no local governor key to sign with")
    password_file = network.accounts[0].password_file if network.accounts else None
    secret = _passphrase(directory, password_file, "Passphrase of the governor key")
    return keystore.load(directory / network.domain.governor_key_file, KeyPurpose.GOVERNOR, secret, dev=network.dev)


def _passphrase(directory: Path, file: str | None, prompt: str) -> str:
    return passphrase.read(directory / file if file else None, None, prompt=prompt)
