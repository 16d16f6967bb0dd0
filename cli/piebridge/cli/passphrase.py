"""Passphrases: asked for, read from a file or an open descriptor; never from command line or environment."""

import getpass
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from piebridge.crypto.errors import ConfigurationError

_LENGTH_MAX = 4_096

FileOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        help="File with the passphrase (its first line). Only its owner may be able to read it.",
        show_default=False,
    ),
]
"""Option of every command that opens a keystore."""

DescriptorOption = Annotated[
    int | None,
    typer.Option(
        "--passphrase-fd",
        help="Number of an open file descriptor to read the passphrase from, for example: 3 with 3<file.",
        show_default=False,
        min=0,
    ),
]
"""Option of every command that opens a keystore."""


def read(file: Path | None, descriptor: int | None, *, prompt: str, confirm: bool = False) -> str:
    """Return a passphrase from the place that the user named, or ask for it.

    Args:
        file: file with the passphrase in its first line.
        descriptor: open file descriptor, in place of a file.
        prompt: question to a person where neither is given.
        confirm: ask twice, for a passphrase that is new.

    Raises:
        ConfigurationError: both places are named, one cannot be read, or nobody can be asked.
    """
    if file is not None and descriptor is not None:
        raise ConfigurationError("--passphrase-file and --passphrase-fd exclude each other: give one")
    if file is not None:
        return _from_file(file)
    if descriptor is not None:
        return _from_descriptor(descriptor)
    return _ask(prompt, confirm=confirm)


def _from_file(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            if os.fstat(stream.fileno()).st_mode & 0o077:
                raise ConfigurationError(f"passphrase file {path}: other users may read it; run: chmod 600 {path}")
            return _first_line(stream.read(_LENGTH_MAX + 1), f"passphrase file {path}")
    except OSError as error:
        raise ConfigurationError(f"passphrase file {path} cannot be read: {error.strerror}") from error


def _from_descriptor(descriptor: int) -> str:
    try:
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return _first_line(stream.read(_LENGTH_MAX + 1), f"descriptor {descriptor}")
    except OSError as error:
        raise ConfigurationError(
            f"passphrase cannot be read from descriptor {descriptor}: {error.strerror}; "
            f"open it in the shell, for example: {descriptor}<file"
        ) from error


def _first_line(data: bytes, where: str) -> str:
    line = data.split(b"\n", 1)[0].rstrip(b"\r")
    if len(line) > _LENGTH_MAX:
        raise ConfigurationError(f"{where}: a passphrase has at most {_LENGTH_MAX} bytes")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{where}: the passphrase is not UTF-8") from error


def _ask(prompt: str, *, confirm: bool) -> str:
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "a passphrase is needed and there is no terminal to ask on: give --passphrase-file or --passphrase-fd"
        )
    passphrase = getpass.getpass(f"{prompt}: ")
    if confirm and getpass.getpass("Once more: ") != passphrase:
        raise ConfigurationError("the two passphrases differ; nothing was written")
    return passphrase
