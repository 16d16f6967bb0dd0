"""Finds the CometBFT program and checks that it is one that knows our keys."""

import mmap
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Final

from piebridge.abci.cometbft.errors import CometBftMissingError

VARIABLE: Final = "PIEBRIDGE_COMETBFT"
"""Environment variable that names the program, before any search."""
OLDEST: Final = (0, 40)
"""Key type ``secp256k1eth`` comes with v0.40."""
_HINT = "`make cometbft` builds it, or set PIEBRIDGE_COMETBFT to the program"
_MODULE = re.compile(rb"\nmod\tgithub\.com/cometbft/cometbft(?:/v\d+)?\t([^\t\n]{1,64})[\t\n]")


def find_cometbft() -> Path:
    """Return the program: as the environment says, from this Python's environment, PATH or ``.cache/bin`` above.

    Raises:
        CometBftMissingError: there is none, or it is too old.
    """
    found = _find()
    check_version(found)
    return found


def check_version(path: Path) -> None:
    """Check that a program is CometBFT of v0.40 or later.

    Its own word is of no use (v0.40.0 calls itself 0.39.0), so the module version that Go wrote into it is read. A
    program built from a working tree tells none, and is trusted.

    Raises:
        CometBftMissingError: it is something else, or too old.
    """
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            match = _MODULE.search(content)
            version = None if match is None else match[1].decode("ascii", "replace")
    except (OSError, ValueError) as error:
        raise CometBftMissingError(f"{path} cannot be read: {error}; {_HINT}") from error
    if version is None:
        raise CometBftMissingError(f"{path} is not CometBFT; {_HINT}")
    numbers = re.match(r"v(\d+)\.(\d+)\.", version)
    if numbers is not None and (int(numbers[1]), int(numbers[2])) < OLDEST:
        raise CometBftMissingError(
            f"{path} is CometBFT {version}; v{OLDEST[0]}.{OLDEST[1]} or later is needed; {_HINT}"
        )


def _find() -> Path:
    named = os.environ.get(VARIABLE)
    if named:
        if not _is_program(Path(named)):
            raise CometBftMissingError(f"{VARIABLE}={named} is no program; {_HINT}")
        return Path(named)
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    if found := shutil.which("cometbft", path=search):
        return Path(found)
    for folder in Path(__file__).resolve().parents:
        candidate = folder / ".cache" / "bin" / "cometbft"
        if _is_program(candidate):
            return candidate
    raise CometBftMissingError(f"CometBFT was not found: --engine cometbft needs it; {_HINT}")


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
