"""The demo with a bug in its token: everything looks well to hubs, relay chain and gateways; the oracle must say no."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from piebridge.cli import demo_scenario
from piebridge.cli.local_network import deploy
from piebridge.cli.main import build
from piebridge.contracts.loader import Artifact, load
from testkit.planted import compile_planted_token

BATCH = 2
"""Transfers from each chain to each other: fewer than in the demo, so that the tests take less time."""
TRANSFERS = 6 * BATCH
"""Transfers that are executed."""


@pytest.mark.real_chain
@pytest.mark.slow
@pytest.mark.parametrize(
    ("bug", "invariants", "least"),
    [
        ("double_mint", {"I1"}, 3),  # a wrong account on each chain, and the sum of all
        ("lost_refund", {"I1", "I4"}, 3),  # two refunds that never came, and the sum
        ("receipt_without_effect", {"I1", "I6"}, TRANSFERS + 1),  # each transfer, and the sum
    ],
)
def test_the_oracle_finds_a_planted_bug(
    bug: str, invariants: set[str], least: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    token = compile_planted_token(bug, tmp_path, monkeypatch)

    def load_planted(name: str) -> Artifact:
        return token if name == "BridgeToken" else load(name)

    monkeypatch.setattr(deploy, "load", load_planted)
    monkeypatch.setattr(demo_scenario, "BATCH", BATCH)
    result = CliRunner().invoke(build(), ["demo", "--json"])
    assert result.exit_code == 1, result.output
    report = json.loads(result.stdout)
    oracle = report["oracle"]
    assert {item["invariant"] for item in oracle["violations"]} == invariants
    assert len(oracle["violations"]) >= least
    assert oracle["executed"] >= TRANSFERS
    assert report["faults"] == [], "nobody but the oracle noticed: this is what it is for"
