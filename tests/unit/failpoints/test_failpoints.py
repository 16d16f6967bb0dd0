"""Failpoints end a process at the step that was asked for, and the table names exactly the steps that there are."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from piebridge.crypto.errors import ConfigurationError
from piebridge.failpoints import _STEPS_OF_FLOWS, EXIT_STATUS, GATEWAY, POINTS, VARIABLE, arm, reach

ROOT = Path(__file__).resolve().parents[3]
SITES = re.compile(r'\b(?:reach|_fail_point)\(\s*(f?)"([^"]+)"')

PROGRAM = """
import atexit, os, sys
from piebridge.failpoints import arm, reach
arm(os.environ)
atexit.register(print, "left in good order", flush=True)
for number in range(5):
    reach("engine.after_commit")
    reach("evm.store.before_write")
    print(number, flush=True)
"""


def run(value: str) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), VARIABLE: value}
    return subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)


def call_sites() -> list[str]:
    roots = {path.parent.parent.parent for path in ROOT.glob("*/piebridge/*/__init__.py")} - {ROOT / "failpoints"}
    files = [path for root in sorted(roots) for path in root.rglob("*.py")]
    found = [match for path in files for match in SITES.findall(path.read_text())]
    names = [name for is_template, name in found if not is_template]
    for name in sorted({name for is_template, name in found if is_template}):  # each ends one kind of step or another
        names += [name.format(flow=flow, kind=kind) for flow, steps in _STEPS_OF_FLOWS.items() for kind in steps]
    return names


def test_the_process_ends_at_the_pass_that_was_asked_for() -> None:
    ended = run("engine.after_commit:3")
    assert (ended.returncode, ended.stdout) == (EXIT_STATUS, "0\n1\n")
    assert "ended at failpoint engine.after_commit" in ended.stderr
    assert run("evm.store.before_write").stdout == ""


def test_without_the_variable_nothing_happens() -> None:
    ended = run("")
    assert (ended.returncode, ended.stdout) == (0, "0\n1\n2\n3\n4\nleft in good order\n")


@pytest.mark.parametrize(
    "value",
    ["nowhere", ":2", *(f"engine.after_commit:{number}" for number in ("0", "", "-1", "²", "9999999999"))],
)
def test_what_is_no_point_is_refused(value: str) -> None:
    with pytest.raises(ConfigurationError, match=VARIABLE):
        arm({VARIABLE: value})


def test_a_point_that_is_not_armed_costs_less_than_a_microsecond() -> None:
    import timeit

    assert min(timeit.repeat(lambda: reach("gateway.hub.before_send"), number=10_000, repeat=5)) < 10_000 * 1e-6


def test_every_point_of_the_table_is_in_the_code_once_and_no_other() -> None:
    sites = call_sites()
    assert len(sites) == len(set(sites)), "a name stands at two steps"
    assert set(sites) == POINTS
    assert len(GATEWAY) == len(set(GATEWAY)) > 30
