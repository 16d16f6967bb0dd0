"""The component roots are listed in eight settings; a root missing in one of them fails in ways hard to read."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
SETTINGS: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
TOOLS = SETTINGS["tool"]
WHEEL = TOOLS["hatch"]["build"]["targets"]["wheel"]

BESIDE_THE_ROOTS = {".", "tests", "bench", "scripts"}
"""Folders with code that is not part of the product; a setting may list them beside the roots."""


def roots() -> set[str]:
    return {path.parent.parent.parent.name for path in ROOT.glob("*/piebridge/*/__init__.py")}


def layers() -> list[str]:
    packages = next(contract for contract in TOOLS["importlinter"]["contracts"] if contract["id"] == "packages")
    return [name.strip() for layer in packages["layers"] for name in layer.split("|")]


def test_there_are_roots_to_compare() -> None:
    assert len(roots()) >= 11


def test_each_root_holds_the_package_of_its_name() -> None:
    held = {(path.parent.parent.parent.name, path.parent.name) for path in ROOT.glob("*/piebridge/*/__init__.py")}
    assert held == {(root, root) for root in roots()}


def test_no_root_makes_piebridge_an_ordinary_package() -> None:
    assert list(ROOT.glob("*/piebridge/__init__.py")) == []


def test_each_package_is_marked_as_typed() -> None:
    assert {path.parent.name for path in ROOT.glob("*/piebridge/*/py.typed")} == roots()


@pytest.mark.parametrize(
    ("setting", "listed"),
    [
        ("hatch only-include", [path.removesuffix("/piebridge") for path in WHEEL["only-include"]]),
        ("hatch sources", WHEEL["sources"]),
        ("hatch dev-mode-dirs", WHEEL["dev-mode-dirs"]),
        ("mypy files", TOOLS["mypy"]["files"]),
        ("mypy mypy_path", TOOLS["mypy"]["mypy_path"].split(":")),
        ("ruff src", TOOLS["ruff"]["src"]),
        ("pytest pythonpath", TOOLS["pytest"]["ini_options"]["pythonpath"]),
        ("import-linter layers", layers()),
    ],
)
def test_setting_lists_every_root_once(setting: str, listed: list[str]) -> None:
    assert len(listed) == len(set(listed)), f"{setting} lists a root twice"
    assert set(listed) - BESIDE_THE_ROOTS == roots(), f"{setting} does not match the folders"
