"""Gas of whole transactions on anvil against the committed snapshot: no figure may rise by more than 3 %."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from testkit.toolchain import require_tool

pytestmark = pytest.mark.real_chain

CONTRACTS = Path(__file__).resolve().parents[2] / "contracts"


def test_no_figure_is_dearer_than_the_snapshot() -> None:
    anvil = require_tool("anvil")
    path = os.pathsep.join([str(Path(anvil).parent), os.environ.get("PATH", os.defpath)])
    done = subprocess.run(
        [sys.executable, str(CONTRACTS / "measure_gas.py")],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((CONTRACTS / "snapshots" / "gas.json").read_text())["figures"]
    assert all(name in done.stdout for name in figures)
    assert len(figures) >= 20
