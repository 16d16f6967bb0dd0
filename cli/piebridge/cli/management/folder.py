"""The folder of a management chain: made, checked and emptied with care for what else may lie there."""

import shutil
from pathlib import Path

from piebridge.cli.local_network import journal
from piebridge.cli.management import management_file
from piebridge.crypto.errors import ConfigurationError

_CONTENTS = ("keys", "chain", "logs")


def holds_chain(directory: Path) -> bool:
    """Tell whether a folder holds a management chain that was once up."""
    return (directory / management_file.FILE_NAME).is_file()


def is_ours(directory: Path) -> bool:
    """Tell whether a folder holds a management chain, or what is left of a start that was interrupted."""
    names = {entry.name for entry in directory.iterdir()} if directory.is_dir() else set()
    marks = {management_file.FILE_NAME, journal.FILE_NAME}
    return bool(names & marks) and not names & {"network.json"}


def prepare(directory: Path, *, replace_old: bool) -> None:
    """Make the folder of a new management chain.

    Args:
        directory: the folder.
        replace_old: delete a management chain that lies there and does not run.

    Raises:
        ConfigurationError: one runs or lies there, or the folder holds something else.
    """
    require_idle(directory)
    if is_ours(directory):
        if holds_chain(directory) and not replace_old:
            raise ConfigurationError(
                f"{directory} holds a management chain already, which {management_file.FILE_NAME} describes: give "
                "another folder with --dir"
            )
        if not replace_old:
            raise ConfigurationError(
                f"{directory} holds what is left of a start that did not come to its end; nothing of it runs. Begin "
                "anew with --replace, or give another folder with --dir"
            )
        delete(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise ConfigurationError(
                f"{directory} is not empty and holds no management chain: give another folder with --dir"
            )
        directory.chmod(0o700)
    except OSError as error:
        raise ConfigurationError(f"folder {directory} cannot be used: {error.strerror}") from error


def require_idle(directory: Path) -> None:
    """Check that no management chain runs in a folder.

    Raises:
        ConfigurationError: one does.
    """
    if journal.running_in(directory):
        raise ConfigurationError(
            f"a management chain runs in {directory}: end it with `piebridge management down --dir {directory}`, or "
            "give another folder with --dir (and another --port-base)"
        )


def delete(directory: Path) -> None:
    """Delete a management chain that does not run, and nothing else that lies in its folder."""
    for name in _CONTENTS:
        shutil.rmtree(directory / name, ignore_errors=True)
    for name in (management_file.FILE_NAME, journal.FILE_NAME):
        (directory / name).unlink(missing_ok=True)
