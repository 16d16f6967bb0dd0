"""Small files that are there whole or not at all, also after a power failure."""

import os
from pathlib import Path

from piebridge.crypto.errors import ConfigurationError

_PRIVATE = 0o600


def write_durably(path: Path, content: bytes) -> None:
    """Write a file of its owner's in place of the one before; when this returns it is on the disk.

    Raises:
        ConfigurationError: it cannot be written.
    """
    temporary = path.with_name(f"{path.name}.new")
    try:
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error}") from error


def read_if_there(path: Path) -> bytes | None:
    """Return the content of a file; None where there is none.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
