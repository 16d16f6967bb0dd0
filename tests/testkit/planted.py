"""Contracts with a planted bug: the sources as they are, a patch of contracts/test/planted/, and the compiler.

Patches, not copies: a patch that no longer fits its source fails the test, a copy would quietly test last month's
contract.
"""

import importlib.util
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from piebridge.contracts.loader import Artifact, load
from testkit.toolchain import require_tool

CONTRACTS = Path(__file__).resolve().parents[2] / "contracts"
TOKEN_SOURCE = "src/apps/BridgeToken.sol"


def compile_planted_token(bug: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    """Returns the token with the bug of one patch.

    Args:
        bug: name of the patch.
        directory: an empty one, outside the repository.
        monkeypatch: tells the compiler's wrapper where solc is.
    """
    if "PIEBRIDGE_NODE_MODULES" not in os.environ:
        monkeypatch.setenv("PIEBRIDGE_NODE_MODULES", str(_solc_modules()))
    for name in ("src", "tools"):
        shutil.copytree(CONTRACTS / name, directory / name)
    for name in ("build.py", "foundry.toml"):
        shutil.copy(CONTRACTS / name, directory / name)
    patch = CONTRACTS / "test" / "planted" / f"{bug}.patch"
    outside = {**os.environ, "GIT_CEILING_DIRECTORIES": str(directory.parent)}
    subprocess.run([require_tool("git"), "apply", patch], cwd=directory, check=True, env=outside)
    assert (directory / TOKEN_SOURCE).read_text() != (CONTRACTS / TOKEN_SOURCE).read_text(), "the patch did nothing"
    compiled = _build_module(directory / "build.py").compile_contracts({"BridgeToken": TOKEN_SOURCE}, "cancun")
    honest = load("BridgeToken")
    planted = replace(honest, bytecode=bytes.fromhex(compiled["BridgeToken"]["creation_bytecode"][2:]))
    assert planted.bytecode != honest.bytecode, "the compiler made the same of it"
    return planted


def _solc_modules() -> Path:
    """The folder that holds solc for its wrapper, which would look for it beside itself."""
    beside = CONTRACTS.parent / "node_modules"
    return beside if (beside / "solc").is_dir() else require_tool("solcjs").resolve().parents[1]


def _build_module(path: Path) -> ModuleType:
    """The build script of the copy; it compiles what lies beside it."""
    specification = importlib.util.spec_from_file_location("planted_build", path)
    if specification is None or specification.loader is None:
        pytest.fail(f"cannot load {path}")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
