"""Networks of other shapes: anvil chains with notaries, several relay chains."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from piebridge.cli import processes
from piebridge.cli.local_network import anvil
from piebridge.crypto.errors import ConfigurationError
from testkit.command_line import CommandLine, processes_that_mention
from testkit.toolchain import require_tool

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]


@pytest.fixture(scope="module")
def with_notaries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    try:
        program = anvil.find_anvil()
    except ConfigurationError:
        program = require_tool("anvil")
    path = os.pathsep.join([str(program.parent), os.environ["PATH"]])
    line = CommandLine(tmp_path_factory.mktemp("anvil"), {"PATH": path})
    line.up("--parachain-kind", "anvil", "--parachains", 2, "--gateways", 1)
    try:
        yield line
    finally:
        assert line.in_network("network", "down").exit_code == 0
        assert processes_that_mention(line.folder) == []


def test_a_packet_of_an_anvil_chain_waits_until_enough_notaries_sign(with_notaries: CommandLine) -> None:
    line = with_notaries
    for name in ("notary-1", "notary-3"):
        processes.kill(line.process(name))
    sent = line.in_network("token", "send", "--from", "chain-1", "--to", "chain-2", "--amount", "1", "--json")
    assert sent.exit_code == 0, sent.errors
    packet_id = sent.json()["id"]
    found = line.in_network("packet", "trace", packet_id, "--json").json()
    while [wait["reason"] for wait in found["waits"]] == ["not-final"]:
        found = line.in_network("packet", "trace", packet_id, "--json").json()
    assert found["state"] == "sent"
    (wait,) = found["waits"]
    assert wait["reason"] == "too-few-signatures"
    assert wait["text"].startswith("2 of 3 signatures that chain-1's outbox needs of the notaries")
    assert "notary-1" in wait["text"]
    assert "notary-3" in wait["text"]
    assert "notary-0" not in wait["text"]
    assert line.in_network("network", "start", "notary-3").exit_code == 0
    waited = line.in_network(
        *("token", "send", "--from", "chain-1", "--to", "chain-2", "--amount", "2", "--wait", "--json")
    )
    assert waited.json()["state"] == "completed", waited.output
    listed = {row["id"]: row["state"] for row in line.in_network("packet", "list", "--json").json()}
    assert listed[packet_id] == "completed"
    assert line.in_network("network", "start", "notary-1").exit_code == 0
    assert line.in_network("oracle").exit_code == 0


def test_an_anvil_chain_is_not_started_again_as_if_it_had_kept_its_state(with_notaries: CommandLine) -> None:
    processes.kill(with_notaries.process("chain-1"))
    outcome = with_notaries.in_network("network", "start", "chain-1")
    assert outcome.exit_code == 1, outcome.output
    assert "keeps nothing" in outcome.errors


def test_two_relay_chains_share_the_transactions_and_every_free_packet_arrives_once(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    network = line.up("--relay-chains", 2, "--parachains", 2, "--gateways", 1)
    try:
        assert [relay.chain_id for relay in network.relay_chains] == ["piebridge-1-1", "piebridge-1-2"]
        bound = set()
        for source, destination in (("chain-1", "chain-2"), ("chain-2", "chain-1")):
            outcome = line.in_network(
                *("token", "send", "--from", source, "--to", destination, "--amount", "1", "--wait", "--json")
            )
            assert outcome.exit_code == 0, outcome.errors + outcome.output
            document = outcome.json()
            relay = f"relay-{document['lane']['relay']}"
            assert {hop["chain"] for hop in document["hops"]} == {source, destination, relay}
            bound.add(relay)
        for number in range(3):
            outcome = line.in_network(
                *("packet", "send", "--from", "chain-1", "--to", "chain-2", "--application", "record-notary"),
                *("--value", f"0x{number:064x}", "--wait", "--json"),
            )
            assert outcome.exit_code == 0, outcome.errors + outcome.output
            assert outcome.json()["lane"]["relay"] == 0
        verdict = line.in_network("oracle", "--json")
        assert verdict.exit_code == 0
        assert (verdict.json()["executed"], verdict.json()["aborted"]) == (5, 0)
    finally:
        line.in_network("network", "down")
    assert processes_that_mention(line.folder) == []
