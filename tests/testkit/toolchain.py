"""Finds the programs that a test starts (anvil, forge, node, redis-server ...), or says in one line what is missing."""

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest

CACHE = Path(__file__).resolve().parents[2] / ".cache"
"""What the set-up keeps between runs."""


class MissingToolError(Exception):
    """A program that a test needs is not installed."""


def find_tool(name: str) -> Path | None:
    """Returns the path of a program: from the running interpreter's environment, else from PATH, else None."""
    found = shutil.which(
        name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    )
    return Path(found) if found else None


def require_tool(name: str) -> Path:
    """Returns the path of a program that a test cannot do without.

    Without it the test is skipped on a person's machine; with CI=true it fails: a check that did not run is no pass.
    """
    found = find_tool(name)
    if found is not None:
        return found
    _lack(f"{name} is missing: `make test` installs it if the registries answer and have a package for this platform")


def require_program(name: str, remedy: str) -> str:
    """Returns the path of a program that the machine has to bring along, or treats it as missing tools are treated.

    Args:
        name: the program.
        remedy: how to get it.
    """
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]))
    if found is None:
        _lack(f"{name} is missing. {remedy}")
    return found


def require_root(what_for: str) -> None:
    """Treats a test that is not run by root as one whose tool is missing."""
    if os.geteuid() != 0:
        _lack(f"{what_for} needs root")


def require_cached(name: str) -> Path:
    """Returns a folder that the set-up has put into .cache; missing, it is treated as a missing program is."""
    folder = CACHE / name
    if not folder.is_dir():
        _lack(f"{folder.relative_to(CACHE.parent)} is missing: `make test` brings it in if the registries answer")
    return folder


def _lack(line: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        raise MissingToolError(line)
    pytest.skip(line)
