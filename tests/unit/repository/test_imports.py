"""What the code imports is declared: what is only there because another package needs it can leave any day."""

import ast
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[3]
OWN = {"piebridge", "testkit", "soak", "bench"}
LOCAL = {path.stem for folder in ("tests", "scripts", "contracts") for path in (ROOT / folder).rglob("*.py")}
"""Modules of the tests and scripts (those beside the contracts too), importable by their bare names."""


def imported(files: Iterable[Path]) -> dict[str, Path]:
    """Top-level name of everything imported that is neither standard library nor ours -> a file that imports it."""
    found: dict[str, Path] = {}
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            else:
                continue
            found |= {name.partition(".")[0]: path.relative_to(ROOT) for name in names}
    return {name: path for name, path in found.items() if name not in sys.stdlib_module_names and name not in OWN}


def undeclared(names: dict[str, Path], declared: set[str]) -> dict[str, Path]:
    distributions = packages_distributions()
    return {
        name: path
        for name, path in names.items()
        if not declared & {canonicalize_name(each) for each in distributions.get(name, [])}
    }


def runtime_requirements() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}


def dev_requirements() -> set[str]:
    lines = (line.partition("#")[0].strip() for line in (ROOT / "requirements" / "dev.in").read_text().splitlines())
    return {canonicalize_name(Requirement(line).name) for line in lines if line}


def test_the_product_imports_only_what_it_declares() -> None:
    names = imported(ROOT.glob("*/piebridge/**/*.py"))
    assert undeclared(names, runtime_requirements()) == {}, "add it to pyproject.toml and run make lock"


def test_tests_and_tools_import_only_what_is_declared() -> None:
    files = [path for folder in ("tests", "bench", "scripts") for path in (ROOT / folder).rglob("*.py")]
    names = {name: path for name, path in imported(files).items() if name not in LOCAL}
    assert undeclared(names, runtime_requirements() | dev_requirements()) == {}, (
        "add it to requirements/dev.in and run make lock"
    )


def test_an_undeclared_import_is_found() -> None:
    assert undeclared({"pytest": Path("x")}, set()) == {"pytest": Path("x")}
    assert undeclared({"pytest": Path("x")}, {"pytest"}) == {}
