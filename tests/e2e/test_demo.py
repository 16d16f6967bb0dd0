"""`make demo`, on both kinds of parachains and both engines: everything happens, in time, and nothing stays behind."""

from pathlib import Path

import pytest

from piebridge.cli.local_network import anvil
from piebridge.cli.local_network.plan import Engine, ParachainKind
from piebridge.crypto.errors import ConfigurationError
from testkit.command_line import CommandLine, free_port_base, processes_that_mention
from testkit.toolchain import require_tool

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

SECONDS_MAX = 120
FIRST_ACKNOWLEDGED_SECONDS_MAX = {Engine.EMBEDDED: 30, Engine.COMETBFT: 60}
SHAPES = [
    (ParachainKind.EMBEDDED, Engine.EMBEDDED),
    (ParachainKind.ANVIL, Engine.EMBEDDED),
    (ParachainKind.ANVIL, Engine.COMETBFT),
]
"""EVM chains on CometBFT: test_cometbft_network.py."""


@pytest.mark.parametrize(("kind", "engine"), SHAPES)
def test_the_demo_keeps_its_promises(tmp_path: Path, kind: ParachainKind, engine: Engine) -> None:
    environment = {"TMPDIR": str(tmp_path)}
    if kind is ParachainKind.ANVIL:
        environment["PATH"] = _path_with_anvil()
    if engine is Engine.COMETBFT:
        environment["PIEBRIDGE_COMETBFT"] = str(require_tool("cometbft"))
    line = CommandLine(tmp_path, environment)
    shape = ("--parachain-kind", kind, "--engine", engine, "--port-base", free_port_base(kind, engine))
    outcome = line.run("demo", "--json", *shape)
    assert outcome.exit_code == 0, outcome.errors + outcome.output[-2_000:]
    report = outcome.json()
    assert report["successful"] is True
    assert report["faults"] == []
    assert report["seconds"] <= SECONDS_MAX
    assert report["seconds_until_first_acknowledged"] <= FIRST_ACKNOWLEDGED_SECONDS_MAX[engine]

    packets = report["packets"]
    by_kind: dict[str, list[str]] = {}
    for packet in packets:
        by_kind.setdefault(packet["what"], []).append(packet["state"])
    assert set(by_kind["transfer"]) == {"completed"}
    assert len(by_kind["transfer"]) >= 10
    assert by_kind["refused transfer"] == ["refunded"]
    assert by_kind["expired transfer"] == ["refunded"]
    assert by_kind["notarisation"] == ["completed"]
    assert by_kind["ERC-7786 message"] == ["completed"]
    expired = next(packet for packet in packets if packet["what"] == "expired transfer")
    assert expired["hops"][2]["what"] == "expired"
    assert all(packet["latency_seconds"] > 0 for packet in packets)
    assert all(packet["gas"]["send"] > 20_000 and packet["gas"]["deliver"] > 0 for packet in packets)

    oracle = report["oracle"]
    assert oracle["clean"] is True
    assert (oracle["pending"], oracle["violations"], oracle["in_flight"]) == ([], [], "0")
    assert (oracle["sent"], oracle["aborted"]) == (len(packets), 2)
    assert oracle["balances"] == oracle["supply"]

    assert list(tmp_path.iterdir()) == []
    assert processes_that_mention(tmp_path) == []


def _path_with_anvil() -> str:
    import os

    try:
        return os.pathsep.join([str(anvil.find_anvil().parent), os.environ["PATH"]])
    except ConfigurationError:
        return os.pathsep.join([str(require_tool("anvil").parent), os.environ["PATH"]])
