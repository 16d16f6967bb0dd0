"""The folder of a network: made, checked and emptied with care for what else may lie there."""

import os
import shlex
import shutil
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from piebridge.cli import network_file
from piebridge.cli.local_network import journal
from piebridge.cli.local_network.plan import HOST, REDIS_NAME, Wishes, make_plan
from piebridge.crypto.errors import ConfigurationError

PORT_BASES = range(24_000, 32_000, 100)
"""Where free ports are looked for when the user does not care."""

_CONTENTS = ("keys", "chains", "relays", "gateways", "notaries", REDIS_NAME, "logs")
_HALF_WRITTEN = ("network.tmp", "processes.tmp")


def prepare(directory: Path, *, replace_old: bool) -> None:
    """Make the folder of a new network.

    Args:
        directory: the folder.
        replace_old: delete a network that lies there and does not run.

    Raises:
        ConfigurationError: a network runs or lies there, or the folder holds something else.
    """
    require_idle(directory)
    if is_network(directory):
        if not replace_old and is_unfinished(directory):
            raise ConfigurationError(hint_after_interruption(directory))
        if not replace_old:
            raise ConfigurationError(
                f"{directory} holds a network that is down: go on with it by `piebridge network start`, start anew "
                "with --replace, which deletes its chains and keys, or give another folder with --dir"
            )
        delete(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise ConfigurationError(f"{directory} is not empty and holds no network: give another folder with --dir")
        directory.chmod(0o700)
    except OSError as error:
        raise ConfigurationError(f"folder {directory} cannot be used: {error.strerror}") from error


def require_idle(directory: Path) -> None:
    """Check that no network runs in a folder.

    Raises:
        ConfigurationError: one does.
    """
    if journal.everything_running_in(directory):
        raise ConfigurationError(
            f"a network runs in {directory}: end it with `piebridge network down --dir {directory}`, or give another "
            "folder with --dir (and another --port-base)"
        )


def is_network(directory: Path) -> bool:
    """Tell whether a folder holds a network, running or not, or what is left of a start that was interrupted."""
    names = {entry.name for entry in directory.iterdir()} if directory.is_dir() else set()
    marks = {network_file.FILE_NAME, journal.FILE_NAME, *_HALF_WRITTEN}
    return bool(names & marks) or (bool(names) and names <= {*_CONTENTS, *marks})


def is_unfinished(directory: Path) -> bool:
    """Tell whether a folder holds what is left of a start that did not come to its end, of which nothing runs."""
    finished = (directory / network_file.FILE_NAME).exists()
    return is_network(directory) and not finished and not journal.everything_running_in(directory)


def hint_after_interruption(directory: Path) -> str:
    """Return what to do with what is left of a start that did not come to its end."""
    option = f" --dir {shlex.quote(str(directory))}"
    return (
        f"{directory} holds logs and keys of a start that did not come to its end; nothing of it runs. Begin anew with "
        f"`piebridge network up --replace{option}`, or delete it with `piebridge network down --delete{option}`"
    )


def delete(directory: Path) -> None:
    """Delete a network that does not run, and nothing else that lies in its folder."""
    for name in _CONTENTS:
        shutil.rmtree(directory / name, ignore_errors=True)
    for name in (network_file.FILE_NAME, journal.FILE_NAME, *_HALF_WRITTEN):
        (directory / name).unlink(missing_ok=True)


def probe_ports(ports: Mapping[int, str]) -> None:
    """Check that ports are free.

    Args:
        ports: what listens there, by port.

    Raises:
        ConfigurationError: one is taken.
    """
    for port, user in ports.items():
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                raise ConfigurationError(
                    f"port {port} ({user}) is not free: {error.strerror}; stop what uses it, or choose another "
                    "--port-base"
                ) from error


def find_free_ports(wishes: Wishes, candidates: Sequence[int] = PORT_BASES) -> int:
    """Return a port base of some with which every port of a network is free now.

    The search begins at another place in every process, so that two that start together seldom want the same.

    Raises:
        ConfigurationError: there is none.
    """
    begin = os.getpid() % len(candidates) if candidates else 0
    for candidate in (*candidates[begin:], *candidates[:begin]):
        try:
            probe_ports(make_plan(replace(wishes, port_base=candidate)).ports)
        except ConfigurationError:
            continue
        return candidate
    raise ConfigurationError("no free ports were found: give --port-base")
