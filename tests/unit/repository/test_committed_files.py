"""What is committed works on any machine: no file names a place of one machine or the address of a package registry."""

import re
import subprocess
from pathlib import Path

import pytest

from testkit.toolchain import require_tool

ROOT = Path(__file__).resolve().parents[3]

MACHINE_PATH = re.compile(r"(?<![\w.~:$}-])/(?:home|Users|root|work(?:space)?|builds)/[\w.]")
"""A path under a home or a build folder, at the start of a word; inside a longer one it is something else."""

REGISTRIES = tuple(
    ".".join(parts) for parts in [("pypi", "org"), ("pythonhosted", "org"), ("registry", "npmjs"), ("proxy", "golang")]
)
"""Put together here, so that this file does not name them itself."""


def committed_files() -> list[Path]:
    names = subprocess.run(
        [require_tool("git"), "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for path in committed_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture or other binary file
        if pattern.search(text):
            found += [
                f"{path.relative_to(ROOT)}:{number}: {line[:160]}"
                for number, line in enumerate(text.splitlines(), start=1)
                if pattern.search(line)
            ]
    return found


def test_git_lists_this_file() -> None:
    assert ROOT / "pyproject.toml" in committed_files()


def test_no_file_names_a_place_of_one_machine() -> None:
    assert lines_with(MACHINE_PATH) == []


def test_no_file_names_this_folder() -> None:
    assert lines_with(re.compile(re.escape(str(ROOT)))) == []


def test_no_file_names_a_package_registry() -> None:
    assert lines_with(re.compile("|".join(map(re.escape, REGISTRIES)))) == []


@pytest.mark.parametrize("text", ["cd /home/" + "ann/x", '"/Users/' + 'ann"', "see /root/" + ".x", "(/work/" + "main)"])
def test_places_of_a_machine_are_recognised(text: str) -> None:
    assert MACHINE_PATH.search(text)


@pytest.mark.parametrize(
    "text", ["https://example.com/home/" + "x", "docs/work/" + "x", "./root/" + "x", "$HOME/work/" + "x"]
)
def test_other_paths_are_left_alone(text: str) -> None:
    assert not MACHINE_PATH.search(text)
