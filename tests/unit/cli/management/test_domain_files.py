"""`domain template` and `domain lint`, which need no chain."""

import json
from pathlib import Path

from typer.testing import CliRunner

from piebridge.cli import main
from piebridge.cli.management.measuring import measure
from piebridge.management_chain.domains.template import domain_template

runner = CliRunner()


def run(*words: str) -> tuple[int, str]:
    result = runner.invoke(main.build("domain"), ["domain", *words])
    return result.exit_code, result.output


def test_the_template_is_printed_and_written_and_never_overwrites(tmp_path: Path) -> None:
    assert run("template") == (0, domain_template())
    path = tmp_path / "domain.toml"
    assert run("template", "--out", str(path))[0] == 0
    assert path.read_text() == domain_template()
    path.write_text("mine")
    assert run("template", "--out", str(path))[0] != 0
    assert path.read_text() == "mine"


def test_lint_fails_with_every_reason_and_tells_machines_too(tmp_path: Path) -> None:
    path = tmp_path / "domain.toml"
    path.write_text(domain_template())
    code, text = run("lint", str(path))
    assert code == 1
    assert "fill-in" in text
    code, document = run("lint", str(path), "--json")
    assert code == 1
    assert {item["rule"] for item in json.loads(document)["findings"]} == {"fill-in"}


def test_measure_counts_packets_that_the_relay_application_has_recorded() -> None:
    measured = measure(0.05)
    assert measured.packets > 0
    assert measured.packets % measured.packets_per_batch == 0
    assert measured.packets_per_second == int(measured.packets / measured.seconds)
