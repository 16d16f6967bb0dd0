"""Homes of relay chains: built whole or not at all, and put away when their chain has ended."""

import os
import shutil
from pathlib import Path

from piebridge.crypto.errors import ConfigurationError
from piebridge.failpoints import reach
from piebridge.management_chain.durable_file import read_if_there, sync_folder, write_durably


def build_home(home: Path, genesis: bytes) -> None:
    """Make the folder of a validator with its genesis document; it exists afterwards, whether it did before or not.

    Args:
        home: the folder; those above it exist.
        genesis: genesis document.

    Raises:
        ConfigurationError: it is there and of another chain, or cannot be written.
    """
    document = home / "config" / "genesis.json"
    if home.exists():
        if read_if_there(document) != genesis:
            raise ConfigurationError(f"{home} is there and of another chain: move it away")
        return
    begun = home.with_name(f"{home.name}.new")
    try:
        shutil.rmtree(begun, ignore_errors=True)
        (begun / "config").mkdir(mode=0o700, parents=True)
        begun.chmod(0o700)
        reach("node.home.before_write")
        write_durably(begun / "config" / document.name, genesis)
        sync_folder(begun)
        reach("node.home.before_rename")
        begun.rename(home)
        sync_folder(home.parent)
        reach("node.home.after_rename")
    except OSError as error:
        raise ConfigurationError(f"{home} cannot be built: {error}") from error


def archive_home(home: Path, archive: Path) -> Path | None:
    """Put a home away, blocks and all; None if there is none.

    Args:
        home: the folder; nothing runs in it.
        archive: folder of what was put away; made where it is missing.

    Raises:
        ConfigurationError: it cannot be moved.
    """
    if not home.exists():
        return None
    try:
        archive.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = archive / home.name
        if target.exists():
            raise ConfigurationError(f"{target} is there already: move it away, so that {home} can be put there")
        reach("node.archive.before_rename")
        os.rename(home, target)
        sync_folder(archive)
        sync_folder(home.parent)
        reach("node.archive.after_rename")
    except OSError as error:
        raise ConfigurationError(f"{home} cannot be put into {archive}: {error}") from error
    return target
