"""``piebridge keys``: private keys in Ethereum keystores (version 3), each for one purpose."""

import os
import re
import sys
from pathlib import Path
from typing import Annotated

import typer
from eth_utils.address import to_checksum_address

from piebridge.cli import output, passphrase
from piebridge.crypto import keystore
from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.keystore import KeyPurpose, KeystoreInfo

app = typer.Typer(
    no_args_is_help=True,
    help="Make, list and inspect keystore files. One key has one purpose; the passphrase is asked for, or read from a "
    "file or descriptor, never taken from the command line.",
)

_PRIVATE_KEY = re.compile(r"(?:0x)?[0-9a-fA-F]{64}")

FileArgument = Annotated[Path, typer.Argument(help="Keystore file.", show_default=False)]
PurposeOption = Annotated[
    KeyPurpose, typer.Option("--purpose", help="What the key is for; it is refused for anything else.")
]
DevOption = Annotated[
    bool, typer.Option("--dev", help="Light encryption, quick to open. For keys of no value only, on a local network.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@app.command()
def generate(
    file: FileArgument,
    purpose: PurposeOption,
    passphrase_file: passphrase.FileOption = None,
    passphrase_fd: passphrase.DescriptorOption = None,
    dev: DevOption = False,
    json: JsonOption = False,
) -> None:
    """Draw a new private key and write its keystore. An existing file is never overwritten.

    Example: piebridge keys generate alice.json --purpose user
    """
    secret = passphrase.read(passphrase_file, passphrase_fd, prompt=f"New passphrase for {file}", confirm=True)
    keystore.generate(file, purpose, secret, dev=dev)
    _show(file, keystore.describe(file), as_json=json, headline="made")


@app.command("import")
def import_key(
    file: FileArgument,
    purpose: PurposeOption,
    private_key_file: Annotated[
        Path | None,
        typer.Option("--private-key-file", help="File with the key: 64 hexadecimal digits. Default: standard input."),
    ] = None,
    passphrase_file: passphrase.FileOption = None,
    passphrase_fd: passphrase.DescriptorOption = None,
    dev: DevOption = False,
    json: JsonOption = False,
) -> None:
    """Encrypt a private key that exists already. It is read from a file or from standard input.

    Example: piebridge keys import bob.json --purpose user --private-key-file bob.hex
    """
    private_key = _read_private_key(private_key_file)
    secret = passphrase.read(passphrase_file, passphrase_fd, prompt=f"New passphrase for {file}", confirm=True)
    keystore.save(file, private_key, purpose, secret, dev=dev)
    _show(file, keystore.describe(file), as_json=json, headline="imported")


@app.command("list")
def list_keys(
    directory: Annotated[Path, typer.Argument(help="Folder with keystore files.")] = Path(),
    json: JsonOption = False,
) -> None:
    """List the keystores of a folder; files that are none are left out, damaged ones are named."""
    if not directory.is_dir():
        raise ConfigurationError(f"{directory} is no folder; name the one that holds the keystores")
    documents: list[dict[str, str]] = []
    for path in sorted(directory.glob("*.json")):
        try:
            documents.append(_document(path, keystore.describe(path)))
        except keystore.KeystoreError as error:
            if _looks_like_keystore(path):
                problem = "damaged" if isinstance(error, keystore.MalformedKeystoreError) else error.hint
                documents.append({"file": str(path), "address": "", "purpose": problem, "encryption": ""})
    if json:
        output.print_json(documents)
    elif documents:
        rows = [[Path(row["file"]).name, row["purpose"], row["address"], row["encryption"]] for row in documents]
        output.print_table(None, ("file", "purpose", "address", "encryption"), rows)
    else:
        output.say(f"no keystore in {directory}; make one with: piebridge keys generate NAME.json --purpose user")


@app.command()
def show(file: FileArgument, json: JsonOption = False) -> None:
    """Show purpose and address of a keystore, without its passphrase."""
    _show(file, keystore.describe(file), as_json=json)


@app.command("export-address")
def export_address(file: FileArgument, json: JsonOption = False) -> None:
    """Print nothing but the address (EIP-55), for scripts."""
    address = to_checksum_address(keystore.describe(file).address)
    if json:
        output.print_json({"address": address})
    else:
        sys.stdout.write(f"{address}\n")


def _document(file: Path, info: KeystoreInfo) -> dict[str, str]:
    light = info.scrypt_n < keystore.STANDARD_SCRYPT_N
    return {
        "file": str(file),
        "address": to_checksum_address(info.address),
        "purpose": info.purpose.value,
        "encryption": "light (--dev)" if light else "standard",
    }


def _looks_like_keystore(path: Path) -> bool:
    try:
        return '"crypto"' in path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True  # whatever it is, the user should hear that it cannot be read


def _show(file: Path, info: KeystoreInfo, *, as_json: bool, headline: str = "") -> None:
    document = _document(file, info)
    if as_json:
        output.print_json(document)
        return
    if headline:
        output.say(f"{headline} {file}")
    for name in ("purpose", "address", "encryption"):
        output.say(f"  {name:<11} {document[name]}")


def _read_private_key(file: Path | None) -> bytes:
    if file is None:
        where, text = "standard input", sys.stdin.readline()
    else:
        where = str(file)
        try:
            with file.open(encoding="utf-8") as stream:
                if os.fstat(stream.fileno()).st_mode & 0o077:
                    raise ConfigurationError(f"{file}: other users may read this private key; run: chmod 600 {file}")
                text = stream.readline()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"private key file {file} cannot be read: {error}") from error
    if not _PRIVATE_KEY.fullmatch(text.strip()):
        raise ConfigurationError(f"{where} holds no private key: 64 hexadecimal digits are expected")
    return bytes.fromhex(text.strip().removeprefix("0x"))
