"""A network as its user has it: up, packets, trace, down; and everything that can be asked of it in a wrong way."""

import ast
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from piebridge.cli import processes
from piebridge.cli.local_network import journal
from piebridge.protocol_stack.governor_hub_bodies import Pause, PauseScope, Unpause
from testkit.command_line import CommandLine, command, free_port_base, processes_that_mention
from testkit.local_governor import govern

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

CLIENT = Path(__file__).with_name("hundred_line_client.py")
CLIENT_LINES_MAX = 100
TOKEN = 2


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    line = CommandLine(tmp_path_factory.mktemp("network"))
    line.up()
    try:
        yield line
    finally:
        assert line.in_network("network", "down").exit_code == 0
        assert processes_that_mention(line.folder) == []


def balances(line: CommandLine, account: str) -> dict[str, float]:
    (row,) = line.in_network("token", "balance", "--account", account, "--json").json()
    assert row["account"] == account
    return {name: float(amount) for name, amount in row["balances"].items()}


def sent_id(line: CommandLine, *arguments: object) -> str:
    outcome = line.in_network("token", "send", "--from", "chain-1", "--to", "chain-2", "--json", *arguments)
    assert outcome.exit_code == 0, outcome.errors
    return str(outcome.json()["id"])


def wait_for(line: CommandLine, packet_id: str, state: str, timeout_seconds: float = 60.0) -> dict[str, Any]:
    deadline = time.monotonic() + timeout_seconds
    while True:
        found: dict[str, Any] = line.in_network("packet", "trace", packet_id, "--json").json()
        if found["state"] == state or time.monotonic() > deadline:
            assert found["state"] == state, found["waits"]
            return found


def test_status_tells_what_runs_and_how_high_it_is(running: CommandLine) -> None:
    outcome = running.in_network("network", "status", "--json")
    assert outcome.exit_code == 0
    listed = {item["name"]: item for item in outcome.json()["processes"]}
    assert set(listed) == {"chain-1", "chain-2", "chain-3", "relay-1", "gateway-1", "gateway-2"}
    assert all(item["running"] for item in listed.values())
    assert all(listed[name]["height"] >= 1 for name in ("chain-1", "chain-2", "chain-3", "relay-1"))


def test_everything_listens_on_this_machine_only(running: CommandLine) -> None:
    network = running.network()
    pids = {item.pid for item in network.processes}
    inodes = {}
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = os.readlink(descriptor)
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes[target[8:-1]] = pid
    listening = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for row in Path(table).read_text().splitlines()[1:]:
            fields = row.split()
            if fields[3] == "0A" and fields[9] in inodes:
                listening.append(fields[1].split(":")[0])
    assert len(listening) >= 12
    assert set(listening) == {"0100007F"}


def test_a_client_of_a_hundred_lines_sends_a_packet_and_verifies_its_execution(running: CommandLine) -> None:
    before = balances(running, "alice")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, str(CLIENT), str(running.network_folder / "network.json"), str(3 * 10**18)],
        env=environment,
        cwd=running.folder,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "executed"
    after = balances(running, "alice")
    assert (after["chain-1"], after["chain-2"]) == (before["chain-1"] - 3, before["chain-2"] + 3)


def test_that_client_has_a_hundred_lines_and_imports_no_piebridge() -> None:
    source = CLIENT.read_text()
    assert len(source.splitlines()) <= CLIENT_LINES_MAX
    imported = [
        name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    ]
    assert imported
    assert not any(name is None or name.startswith("piebridge") for name in imported)


def test_a_transfer_arrives_and_its_trace_shows_every_hop(running: CommandLine) -> None:
    before = balances(running, "bob")
    outcome = running.in_network(
        *("token", "send", "--from", "chain-1", "--to", "chain-2", "--amount", "2.5"),
        *("--recipient", "bob", "--wait", "--json"),
    )
    assert outcome.exit_code == 0, outcome.errors
    document = outcome.json()
    assert document["state"] == "completed"
    assert document["waits"] == []
    places = [hop["chain"] for hop in document["hops"]]
    assert places == ["chain-1", "relay-1", "chain-2", "relay-1", "chain-1"]
    assert all(hop["block"] > 0 and hop["time"] > 0 for hop in document["hops"])
    assert all(hop["gas_used"] > 20_000 for hop in document["hops"] if hop["chain"] != "relay-1")
    assert all(hop["proof_bytes"] > 100 for hop in document["hops"][1:])
    assert balances(running, "bob")["chain-2"] == before["chain-2"] + 2.5


def test_a_transfer_that_the_destination_refuses_is_refunded(running: CommandLine) -> None:
    token = running.network().chain("chain-2").application("token").address
    before = balances(running, "alice")
    outcome = running.in_network(
        *("token", "send", "--from", "chain-1", "--to", "chain-2", "--amount", "4"),
        *("--recipient", token, "--wait", "--json"),
    )
    assert outcome.exit_code == 1, "it did not arrive"
    document = outcome.json()
    assert document["state"] == "refunded"
    assert "InvalidRecipient" in document["hops"][2]["detail"]
    assert balances(running, "alice") == before


def test_a_record_is_notarised_on_another_chain(running: CommandLine) -> None:
    value = f"0x{secrets.token_hex(32)}"
    outcome = running.in_network(
        *("packet", "send", "--from", "chain-1", "--to", "chain-3", "--application", "record-notary"),
        *("--value", value, "--wait", "--json"),
    )
    assert outcome.exit_code == 0, outcome.errors
    shown = running.in_network("packet", "show", outcome.json()["id"][:12], "--json").json()
    fields = {(field["layer"], field["name"]): field for field in shown["fields"]}
    assert fields["body", "value"]["bytes"] == value
    assert fields["transaction", "protocol"]["meaning"] == "forward"


def test_a_message_reaches_the_message_board_of_another_chain_unless_told_otherwise(running: CommandLine) -> None:
    outcome = running.in_network(
        *("packet", "send", "--from", "chain-3", "--to", "chain-2", "--payload", "hello, world", "--wait", "--json"),
    )
    assert outcome.exit_code == 0, outcome.errors
    shown = running.in_network("packet", "show", outcome.json()["id"], "--json").json()
    fields = {item["name"]: item for item in shown["fields"] if item["layer"] == "body"}
    assert fields["payload"]["meaning"] == "'hello, world'"
    board = running.network().chain("chain-2").message_board
    assert board is not None
    assert board in fields["recipient"]["meaning"]


def test_every_command_names_the_same_things_by_the_same_keys(running: CommandLine) -> None:
    sent = running.in_network(
        *("packet", "send", "--from", "chain-1", "--to", "chain-3", "--application", "record-notary"),
        *("--value", "0x2a", "--wait", "--json"),
    ).json()
    (listed,) = [row for row in running.in_network("packet", "list", "--json").json() if row["id"] == sent["id"]]
    shown = running.in_network("packet", "show", sent["id"], "--json").json()
    traced = running.in_network("packet", "trace", sent["id"], "--json").json()
    assert (sent["from"], sent["to"], sent["application"]) == ("chain-1", "chain-3", "record-notary")
    assert {name: shown[name] for name in shown if name != "fields"}.items() <= sent.items()
    for document in (listed, traced):
        assert {name: document[name] for name in sent} == sent


def test_a_packet_waits_for_a_gateway_and_goes_on_when_one_is_back(running: CommandLine) -> None:
    for name in ("gateway-1", "gateway-2"):
        processes.kill(running.process(name))
    packet_id = sent_id(running, "--amount", "1")
    waiting = running.in_network("packet", "trace", packet_id[:14], "--json").json()
    assert (waiting["state"], [wait["reason"] for wait in waiting["waits"]]) == ("sent", ["gateway-down"])
    status = running.in_network("network", "status")
    assert status.exit_code == 1
    assert "down: gateway-1, gateway-2" in status.errors
    pending = running.in_network("packet", "list", "--pending", "--json").json()
    assert [row["id"] for row in pending] == [packet_id]
    assert [wait["reason"] for wait in pending[0]["waits"]] == ["gateway-down"]
    assert running.in_network("network", "start", "gateway-1", "gateway-2").exit_code == 0
    assert wait_for(running, packet_id, "completed")["waits"] == []
    assert running.in_network("network", "status").exit_code == 0
    assert "all have come to their end" in running.in_network("packet", "list", "--pending").output


async def test_a_packet_waits_for_a_paused_application(running: CommandLine) -> None:
    await govern(running, "chain-2", Pause(PauseScope.APPLICATION, TOKEN))
    packet_id = sent_id(running, "--amount", "1")
    found = wait_for(running, packet_id, "recorded")
    assert {"reason": "paused", "text": "at chain-2: application 2 is paused"} in found["waits"]
    await govern(running, "chain-2", Unpause(PauseScope.APPLICATION, TOKEN))
    wait_for(running, packet_id, "completed", timeout_seconds=90)


def test_an_abbreviated_id_must_be_unique_and_known(running: CommandLine) -> None:
    for wrong, words in (("0xzz", "is no packet id"), ("0x", "is no packet id"), ("f" * 40, "no packet's id begins")):
        outcome = running.in_network("packet", "trace", wrong)
        assert outcome.exit_code == 1
        assert words in outcome.errors
        assert "Traceback" not in outcome.errors


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--to", "chain-1", "--amount", "1"), "are the same chain"),
        (("--to", "chain-9", "--amount", "1"), "no chain 'chain-9'; the network has: chain-1"),
        (("--to", "chain-2", "--amount", "0"), "must be above 0"),
        (("--to", "chain-2", "--amount", "1e99"), "more than any token has"),
        (("--to", "chain-2", "--amount", "99999999"), "tokens on chain-1, not 99999999"),
        (("--to", "chain-2", "--amount", "1", "--account", "mallory"), "no account 'mallory'"),
        (("--to", "chain-2", "--amount", "1", "--recipient", "0x12"), "is no address"),
    ],
)
def test_wrong_wishes_are_told_in_one_sentence_and_nothing_is_sent(
    running: CommandLine, arguments: tuple[str, ...], words: str
) -> None:
    before = balances(running, "alice")
    outcome = running.in_network("token", "send", "--from", "chain-1", *arguments)
    assert outcome.exit_code == 1
    assert words in outcome.errors
    assert "Traceback" not in outcome.errors
    assert balances(running, "alice") == before


def test_a_second_network_in_the_same_folder_or_on_the_same_ports_is_refused(running: CommandLine) -> None:
    before = (running.network_folder / "network.json").read_bytes()
    outcome = running.in_network("network", "up", "--detach", "--replace", "--port-base", free_port_base())
    assert outcome.exit_code == 1
    assert "piebridge network down --dir" in outcome.errors
    taken = running.network().chain("chain-1").rpc_url.rsplit(":", 1)[1]
    outcome = running.run("network", "up", "--detach", "--dir", "elsewhere", "--port-base", taken)
    assert outcome.exit_code == 1
    assert f"port {taken} (RPC of chain-1) is not free" in outcome.errors
    assert not (running.folder / "elsewhere").exists()
    assert (running.network_folder / "network.json").read_bytes() == before
    assert running.in_network("network", "status").exit_code == 0


def test_the_oracle_finds_every_promise_kept(running: CommandLine) -> None:
    outcome = running.in_network("oracle", "--json")
    assert outcome.exit_code == 0
    document = outcome.json()
    assert document["clean"] is True
    assert document["executed"] >= 1
    assert int(document["balances"]) + int(document["in_flight"]) == int(document["supply"])


def start_up(line: CommandLine) -> "subprocess.Popen[bytes]":
    """Begin to start a network in the foreground and return once its first processes run."""
    with (line.folder / "up.log").open("wb") as log:
        process = _up_in_the_foreground(line, log)
    deadline = time.monotonic() + 60
    while len(journal.started_in(line.network_folder)) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.poll() is None, (line.folder / "up.log").read_text()
    return process


def _up_in_the_foreground(line: CommandLine, log: IO[bytes]) -> "subprocess.Popen[bytes]":
    # Tests that run in the background of a script are told to ignore SIGINT, and their children inherit that.
    heeding_interrupts = ["env", "--default-signal=INT"]
    wanted = command("network", "up", "--dir", line.network_folder, "--port-base", free_port_base())
    return subprocess.Popen(
        [*heeding_interrupts, *wanted],
        cwd=line.folder,
        env={**os.environ, **processes.own_environment(), "PYTHONFAULTHANDLER": "1"},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def ended(line: CommandLine, process: "subprocess.Popen[bytes]") -> int:
    """Return the exit code of a start; one that does not end tells where it hangs."""
    try:
        return process.wait(60)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        process.wait(10)
        processes.stop(journal.running_in(line.network_folder))
        raise AssertionError((line.folder / "up.log").read_text()) from None


def test_an_interrupted_start_leaves_nothing_running(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    up = start_up(line)
    up.send_signal(signal.SIGINT)
    assert ended(line, up) == 130
    assert journal.running_in(line.network_folder) == []
    assert processes_that_mention(tmp_path) == []
    assert not (line.network_folder / "network.json").exists()
    again = line.in_network("network", "up", "--detach", "--port-base", free_port_base())
    assert again.exit_code == 1
    assert "did not come to its end" in again.errors
    assert f"piebridge network up --replace --dir {line.network_folder}" in again.errors


def test_what_a_killed_start_left_is_ended_by_down(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    up = start_up(line)
    up.kill()
    up.wait(30)
    assert len(journal.running_in(line.network_folder)) >= 3
    refused = line.in_network("network", "up", "--detach", "--replace", "--port-base", free_port_base())
    assert "a network runs in" in refused.errors
    outcome = line.in_network("network", "down", "--delete", "--json")
    assert outcome.exit_code == 0
    assert len(outcome.json()["ended"]) >= 3
    assert processes_that_mention(tmp_path) == []
    assert list(line.network_folder.iterdir()) == []


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    line.network_folder.mkdir()
    (line.network_folder / "thesis.txt").write_text("three years of work")
    outcome = line.in_network("network", "up", "--detach", "--replace", "--port-base", free_port_base())
    assert outcome.exit_code == 1
    assert "is not empty and holds no network" in outcome.errors
    assert [path.name for path in line.network_folder.iterdir()] == ["thesis.txt"]


def test_the_commands_without_a_network_say_how_to_get_one(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    for arguments in (
        ("network", "status"),
        ("network", "down"),
        ("packet", "list"),
        ("token", "balance"),
        ("oracle",),
    ):
        outcome = line.in_network(*arguments)
        assert outcome.exit_code == 1
        assert "Start one with `piebridge network up`" in outcome.errors
        assert "Traceback" not in outcome.errors


def test_errors_are_documents_for_machines(tmp_path: Path) -> None:
    outcome = CommandLine(tmp_path).in_network("packet", "list", "--json")
    assert outcome.exit_code == 1
    assert outcome.json()["kind"] == "ConfigurationError"
