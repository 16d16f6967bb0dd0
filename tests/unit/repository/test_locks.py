"""The locks pin everything with hashes, agree with each other and with what was declared, and name no registry."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[3]
LOCKS = ("runtime", "dev")
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(\[[a-z,]+\])?==(?P<version>[^ ;\\]+)", re.MULTILINE)


def lock_text(name: str) -> str:
    return (ROOT / "requirements" / f"{name}.txt").read_text()


def pins(name: str) -> dict[str, str]:
    return {canonicalize_name(match["name"]): match["version"] for match in PIN.finditer(lock_text(name))}


def listed_requirements(name: str) -> list[Requirement]:
    lines = (line.partition("#")[0].strip() for line in (ROOT / "requirements" / f"{name}.in").read_text().splitlines())
    return [Requirement(line) for line in lines if line]


def declared() -> list[tuple[str, Requirement]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    runtime = [Requirement(line) for line in project["dependencies"]] + listed_requirements("build")
    return [("runtime", each) for each in runtime] + [("dev", each) for each in runtime + listed_requirements("dev")]


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_a_hash(name: str) -> None:
    blocks = re.split(r"^(?=[A-Za-z0-9])", lock_text(name), flags=re.MULTILINE)[1:]
    assert len(blocks) == len(pins(name)) > 20
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("name", LOCKS)
def test_python_lock_names_no_address(name: str) -> None:
    text = lock_text(name)
    assert "://" not in text
    assert re.findall(r"^-.*$|--(?:extra-)?index-url|--find-links|--trusted-host", text, flags=re.MULTILINE) == []


def test_dev_lock_repeats_the_runtime_lock() -> None:
    assert pins("runtime").items() <= pins("dev").items()


@pytest.mark.parametrize(("name", "requirement"), declared(), ids=lambda value: str(value))
def test_lock_satisfies_what_is_declared(name: str, requirement: Requirement) -> None:
    version = pins(name).get(canonicalize_name(requirement.name))
    assert version is not None, f"{requirement} is not in requirements/{name}.txt: run make lock"
    assert requirement.specifier.contains(version, prereleases=True), (
        f"requirements/{name}.txt pins {version}: run make lock"
    )


def test_npm_lock_has_integrity_and_no_address() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    installed = {path: entry for path, entry in packages.items() if path}
    assert installed
    assert [path for path, entry in installed.items() if not entry.get("integrity", "").startswith("sha512-")] == []
    assert [path for path, entry in installed.items() if "resolved" in entry] == []


def test_npm_lock_matches_the_package_file() -> None:
    package = json.loads((ROOT / "package.json").read_text())
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    wanted = package["devDependencies"] | package["optionalDependencies"]
    assert {name: locked[f"node_modules/{name}"]["version"] for name in wanted} == wanted
