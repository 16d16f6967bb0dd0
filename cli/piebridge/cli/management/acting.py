"""Acting on a management chain: as whom, through which node, and what the contracts answered."""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from piebridge.chains.errors import CallRevertedError
from piebridge.chains.jsonrpc import JsonRpcClient
from piebridge.cli import passphrase
from piebridge.cli.management.management_file import ManagementFile
from piebridge.cli.wallet import Call, Wallet
from piebridge.contracts.loader import Event
from piebridge.crypto import keystore
from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.keystore import KeyPurpose
from piebridge.crypto.threshold.signing import sign_single
from piebridge.management_chain.chain.contracts import ContractName, artifact, number_of
from piebridge.management_chain.client.errors import refusal
from piebridge.management_chain.client.reader import ManagementReader
from piebridge.protocol_stack.management.governor_message import ManagementMessage


@dataclass(frozen=True, slots=True)
class Secret:
    """Where the passphrase of a keystore comes from; a person is asked if nothing is named."""

    file: Path | None = None
    """File with it in the first line."""
    descriptor: int | None = None
    """Open file descriptor."""


class Session:
    """One account at one management chain."""

    def __init__(self, file: ManagementFile, directory: Path, reader: ManagementReader, private_key: bytes) -> None:
        """Act with a key; see :func:`open_management`."""
        self.file = file
        self.reader = reader
        self.directory = directory
        self.private_key = private_key
        self._wallet = Wallet(reader.client, private_key, file.evm_chain_id)

    @property
    def address(self) -> bytes:
        """Address of the account, 20 bytes."""
        return self._wallet.address

    async def send(self, name: ContractName, function: str, *arguments: object, value: int = 0) -> list[Event]:
        """Call a function of a contract in a transaction, wait for its block, and return the contract's events.

        Raises:
            ContractRefusedError: the contract refuses, and says why.
            ChainError: the node does.
        """
        return await self.send_all([(name, function, arguments, value)])

    async def send_all(self, calls: Sequence[tuple[ContractName, str, Sequence[object], int]]) -> list[Event]:
        """Send several calls that do not depend on each other, in one go; see :meth:`send`."""
        what = ", ".join(dict.fromkeys(f"{name}.{function}" for name, function, _, _ in calls))
        contracts = self.file.contracts
        prepared = [
            Call(artifact(name).function_data(function, *arguments), contracts.address(name), value=value)
            for name, function, arguments, value in calls
        ]
        try:
            receipts = await self._wallet.execute(prepared)
        except CallRevertedError as error:
            raise refusal(what, error.data) from error
        events = []
        for receipt in receipts:
            for log in receipt["logs"]:
                name_of_log = contracts.name_of(bytes.fromhex(log["address"][2:]))
                if name_of_log is None:
                    continue
                event = artifact(name_of_log).decode_event(
                    [bytes.fromhex(topic[2:]) for topic in log["topics"]], bytes.fromhex(log["data"][2:])
                )
                if event is not None:
                    events.append(event)
        return events

    def address_of(self, text: str) -> bytes:
        """Return the address of a local account, or the one that is written there.

        Raises:
            ConfigurationError: it is neither.
        """
        for account in self.file.accounts:
            if text == account.name:
                return bytes.fromhex(account.address[2:])
        return parse_address(text, [account.name for account in self.file.accounts])


@asynccontextmanager
async def open_management(
    file: ManagementFile, directory: Path, *, account: str, secret: Secret | None = None
) -> AsyncIterator[Session]:
    """Open a management chain to act on it as an account.

    Args:
        file: its description.
        directory: folder of that, or the file itself.
        account: name of a local account, or path of a keystore.
        secret: where the keystore's passphrase is.

    Raises:
        ConfigurationError: there is no such account.
        KeystoreError: its keystore cannot be opened.
        ChainError: the chain does not answer, or is another one.
    """
    private_key = account_key(file, directory, account, secret or Secret())
    async with open_reader(file) as reader:
        yield Session(file, directory, reader, private_key)


@asynccontextmanager
async def open_reader(file: ManagementFile) -> AsyncIterator[ManagementReader]:
    """Open a management chain to read it.

    Raises:
        ChainError: the chain does not answer, or is another one.
    """
    async with JsonRpcClient(file.rpc_urls[0]) as client:
        reader = ManagementReader(client, file.contracts, file.deployed_in_block)
        await reader.check()
        yield reader


def folder_of(directory: Path) -> Path:
    """Return the folder to which the paths of a management file are relative."""
    return directory.parent if directory.is_file() else directory


def account_key(file: ManagementFile, directory: Path, account: str, secret: Secret) -> bytes:
    """Open the key of an account, 32 bytes.

    Raises:
        ConfigurationError: there is no such account.
        KeystoreError: its keystore cannot be opened.
    """
    entry = next((entry for entry in file.accounts if account == entry.name), None)
    path = Path(account) if entry is None else folder_of(directory) / entry.key_file
    if not path.is_file():
        known = ", ".join(entry.name for entry in file.accounts) or "none is local"
        raise ConfigurationError(
            f"--as {account}: there is no such account ({known}) and no such keystore; "
            "`piebridge keys generate NAME.json --purpose user` makes one"
        )
    words = account_passphrase(file, directory, account, secret)
    return keystore.load(path, KeyPurpose.USER, words, dev=file.dev)


def account_passphrase(file: ManagementFile, directory: Path, account: str, secret: Secret) -> str:
    """Return the passphrase of an account's keystore; those of a node that it offers have the same."""
    entry = next((entry for entry in file.accounts if account == entry.name), None)
    if entry is not None and entry.password_file is not None:
        return passphrase.read(folder_of(directory) / entry.password_file, None, prompt="")
    return passphrase.read(secret.file, secret.descriptor, prompt=f"Passphrase of {account}")


def account_passphrase_file(file: ManagementFile, directory: Path, account: str, named: Path | None) -> Path:
    """Return the file with the passphrase of an account, for processes that are started and cannot ask.

    Raises:
        ConfigurationError: none is known.
    """
    entry = next((entry for entry in file.accounts if account == entry.name), None)
    if entry is not None and entry.password_file is not None:
        return folder_of(directory) / entry.password_file
    if named is None:
        raise ConfigurationError(
            "--passphrase-file is missing: validators are started when nobody is there to be asked for a passphrase"
        )
    return named


async def governed_by_us(session: Session, name: ContractName, domain: int, kind: int, body: bytes) -> None:
    """Sign a governor message by the local key of a --dev chain, and have it executed.

    Raises:
        ConfigurationError: the chain is governed elsewhere.
        ContractRefusedError: the contract does not execute it, and says why.
    """
    file = session.file
    if file.governor_key_file is None:
        raise ConfigurationError(
            "this chain is governed elsewhere: its governors have to sign this together (`piebridge governor`)"
        )
    folder = folder_of(session.directory)
    password = next((entry.password_file for entry in file.accounts if entry.password_file), None)
    words = passphrase.read(folder / password if password else None, None, prompt="Passphrase of the governor key")
    key = keystore.load(folder / file.governor_key_file, KeyPurpose.GOVERNOR, words, dev=file.dev)
    governors = await session.reader.governors()
    counter = await session.reader.counter(name, domain) + 1
    message = ManagementMessage(
        file.contracts.place(name), number_of(name), domain, governors.epoch, kind, counter, body
    )
    secret = int.from_bytes(key, "big")
    signed = message.signed(lambda digest: sign_single(secret, digest, secrets.token_bytes(32)))
    for event in await session.send(name, "governor", signed.encode()):
        if event.name == "GovernorMessageHandled" and not event.arguments["done"]:
            raise refusal(
                f"{name} did not execute governor message {message.counter}", bytes(event.arguments["reason"])
            )


def addresses_of(texts: Sequence[str]) -> tuple[bytes, ...]:
    """Return addresses that are written as such.

    Raises:
        ConfigurationError: one is none.
    """
    return tuple(parse_address(text, []) for text in texts)


def parse_address(text: str, names: Sequence[str]) -> bytes:
    """Return an address that is written as such, 20 bytes.

    Raises:
        ConfigurationError: it is none; the message lists the names that would do as well.
    """
    try:
        value = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        value = b""
    if len(value) != 20:
        hint = f", nor one of {', '.join(names)}" if names else ""
        raise ConfigurationError(f"{text!r} is no address (0x and 40 hexadecimal digits){hint}")
    return value
