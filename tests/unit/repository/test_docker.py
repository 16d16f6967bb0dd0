"""The images and compose files, as far as that can be checked without a container engine."""

import json
import re
import runpy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from piebridge.cli import main

ROOT = Path(__file__).resolve().parents[3]
DOCKER = ROOT / "docker"
FILES = sorted(path for path in DOCKER.glob("*.json") if path.name != "compose.schema.json")
SERVICES = [(path, name) for path in FILES for name in json.loads(path.read_text())["services"]]


def compose(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def test_there_is_a_file_for_each_part_that_operators_run() -> None:
    assert [path.name for path in FILES] == ["evm-node.json", "gateway.json", "relay-validator.json"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_compose_file_has_its_form(path: Path) -> None:
    schema = json.loads((DOCKER / "compose.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(compose(path))


@pytest.mark.parametrize(("path", "name"), SERVICES)
def test_everything_that_a_service_names_is_declared(path: Path, name: str) -> None:
    document = compose(path)
    service = document["services"][name]
    assert set(service.get("secrets", [])) <= set(document.get("secrets", {}))
    assert set(service.get("networks", [])) <= set(document.get("networks", {}))
    named = {volume.split(":")[0] for volume in service.get("volumes", []) if not volume.startswith(".")}
    assert named <= set(document.get("volumes", {}))
    assert set(service.get("depends_on", {})) <= set(document["services"])
    used = {part for part in service["command"] if part.startswith("/run/secrets/")}
    assert used == {f"/run/secrets/{secret}" for secret in service.get("secrets", [])}
    if "build" in service:
        assert (DOCKER / service["build"]["context"] / service["build"]["dockerfile"]).resolve().is_file()


@pytest.mark.parametrize(("path", "name"), [item for item in SERVICES if item[1] != "redis"])
def test_the_command_line_knows_every_option(path: Path, name: str) -> None:
    command = [_without_variables(part) for part in compose(path)["services"][name]["command"]]
    app = main.build(command[0])
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0, result.output
    refused = CliRunner().invoke(app, [*command, "--no-such-option", "--help"])
    assert refused.exit_code != 0, "this test would take any option"


def test_redis_is_reached_by_its_gateway_alone() -> None:
    document = compose(DOCKER / "gateway.json")
    redis = document["services"]["redis"]
    assert "ports" not in redis
    assert redis["networks"] == ["broker"]
    assert document["networks"]["broker"] == {"internal": True}


def test_the_image_is_made_from_what_is_there_and_pinned_as_everywhere() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    sources = [part for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE) for part in line.split()[:-1]]
    assert all((ROOT / source).exists() for source in sources), sources
    packages = {path.parent.name for path in ROOT.glob("*/piebridge")}
    assert packages <= {source.split("/")[0] for source in sources}, "a package is missing in the image"
    set_up = runpy.run_path(str(ROOT / "scripts" / "set_up.py"), run_name="set_up")
    assert f"ARG COMETBFT_VERSION={set_up['COMETBFT_VERSION']}\n" in text
    assert "--require-hashes" in text
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["piebridge"]


def _without_variables(part: str) -> str:
    default = re.fullmatch(r"\$\{[A-Z_0-9]+:-(.*)\}", part)
    return default[1] if default else re.sub(r"\$\{[^}]*\}", "value", part)
