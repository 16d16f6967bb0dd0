"""Ends a network: all of it, and for sure."""

from collections.abc import Sequence
from pathlib import Path

from piebridge.cli import processes
from piebridge.cli.local_network import journal
from piebridge.cli.network_file import ProcessEntry
from piebridge.crypto.errors import ConfigurationError

STOP_TIMEOUT_SECONDS = 10.0
"""How long processes may take to end by themselves before they are killed."""

_ORDER = {"gateway": 0, "broker": 1, "notary": 1, "relay": 2, "proxy": 3, "parachain": 4}


def in_order(entries: Sequence[ProcessEntry]) -> list[ProcessEntry]:
    """Return carriers first, so that they do not complain about chains that are gone."""
    return sorted(entries, key=lambda entry: _ORDER.get(entry.role, len(_ORDER)))


def end_all(directory: Path) -> tuple[list[ProcessEntry], list[ProcessEntry]]:
    """End every process of the network in a folder, whether its files name it or not.

    Returns:
        Those that were ended, and those of them that had to be killed.

    Raises:
        ConfigurationError: one runs on although it was killed; nothing may be deleted under it.
    """
    ended = journal.running_in(directory)
    killed = processes.stop(in_order(ended), STOP_TIMEOUT_SECONDS)
    # What is left now is nobody's child any more: no file named it, or its parent was killed.
    if strays := processes.belonging_to(directory):
        ended += strays
        killed += processes.stop(strays, STOP_TIMEOUT_SECONDS)
    if left := journal.everything_running_in(directory):
        raise ConfigurationError(
            f"of the network in {directory} these cannot be ended: "
            f"{', '.join(f'{item.name} (process {item.pid})' for item in left)}; nothing was deleted"
        )
    return ended, killed
