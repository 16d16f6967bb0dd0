"""``docs/security-tests.md`` names every row's tests, and names no test that does not exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""Repository."""
PAGE = (ROOT / "docs" / "security-tests.md").read_text(encoding="utf-8")
"""The page."""


def defined(folder: str) -> set[str]:
    """Names of all test functions below a folder."""
    files = (ROOT / folder).rglob("test_*.py")
    return {name for path in files for name in re.findall(r"def (test_\w+)\(", path.read_text(encoding="utf-8"))}


def test_the_page_names_only_tests_that_exist() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    missing = named - defined("tests")
    assert len(named) > 150
    assert not missing


def test_every_test_of_a_row_is_on_the_page() -> None:
    rows = {name for name in defined("tests/security") if re.match(r"test_(row|o)_?\d\d", name)}
    assert len(rows) > 100
    assert not {name for name in rows if f"`{name}`" not in PAGE}


def test_no_security_test_is_skipped() -> None:
    for path in (ROOT / "tests" / "security").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert (
            not re.search(r"pytest\.(skip|xfail|importorskip)\(|mark\.(skip|xfail)", text)
            or path.name == "test_table.py"
        )


def test_every_row_in_scope_has_a_line() -> None:
    rows = {int(number) for number in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    own = {int(number) for number in re.findall(r"^\| O(\d+) \|", PAGE, re.MULTILINE)}
    assert rows >= {*range(1, 22), *range(25, 30), 41, *range(43, 47 + 1)}
    assert own >= set(range(1, 16))
