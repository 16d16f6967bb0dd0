import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from piebridge.cli import entry, main, network_file, processes
from piebridge.cli.local_network.describe import describe
from piebridge.cli.local_network.keys import NetworkKeys
from piebridge.cli.local_network.plan import Wishes, make_plan
from piebridge.cli.packet import Sender
from piebridge.cli.view import artifact
from piebridge.crypto.errors import ConfigurationError
from piebridge.protocol_stack.application import APPLICATIONS

runner = CliRunner()

GROUPS = (
    "demo",
    "management",
    "domain",
    "network",
    "token",
    "packet",
    "oracle",
    "node",
    "keys",
    "chain",
    "gateway",
    "notary",
)


def commands() -> list[list[str]]:
    """Return every command as its words, by walking through the whole application."""
    found = []

    def walk(command: object, words: list[str]) -> None:
        children = getattr(command, "commands", None)
        if children is None:
            found.append(words)
            return
        for name, child in children.items():
            if not child.hidden:
                walk(child, [*words, name])

    walk(typer.main.get_command(main.build()), [])
    return found


COMMANDS = commands()


def test_the_commands_that_the_documentation_names_are_there() -> None:
    for words in (
        "network up",
        "network status",
        "network down",
        "token send",
        "token balance",
        "packet send",
        "packet list",
        "packet show",
        "packet trace",
        "keys generate",
        "chain run evm",
        "chain run relay",
        "chain node-id",
        "network restart",
        "gateway run",
        "gateway authorise",
        "notary run",
        "management up",
        "management status",
        "management down",
        "management deploy",
        "management admit",
        *(
            f"domain {word}"
            for word in (
                [
                    "template",
                    "lint",
                    "register",
                    "request",
                    "approve",
                    "advance",
                    "status",
                    "list",
                    "show",
                    "join",
                    "leave",
                    "scale",
                    "dissolve",
                ]
            )
        ),
        *(f"node {word}" for word in ("offer", "run", "withdraw", "status", "measure")),
        "oracle",
        "demo",
    ):
        assert words.split() in COMMANDS


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_and_each_of_its_options(words: list[str]) -> None:
    result = runner.invoke(main.build(words[0]), [*words, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert result.exit_code == 0
    command = typer.main.get_command(main.build())
    for word in words:
        command = command.commands[word]  # type: ignore[attr-defined]
    assert command.help
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{' '.join(words)} {parameter.name} has no help"


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_command_takes_a_secret_as_the_value_of_an_option(words: list[str]) -> None:
    result = runner.invoke(main.build(words[0]), [*words, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    options = set(re.findall(r"--[a-z-]+", result.output))
    assert not options & {"--passphrase", "--password", "--private-key", "--secret", "--mnemonic", "--seed"}


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_that_is_loaded_alone_is_the_same_as_among_all(group: str) -> None:
    alone = runner.invoke(main.build(group), [group, "--help"])
    among_all = runner.invoke(main.build(), [group, "--help"])
    assert alone.exit_code == 0
    assert alone.output == among_all.output


@pytest.mark.parametrize("word", [None, "nonsense", "--help"])
def test_any_other_word_loads_everything(word: str | None) -> None:
    assert set(typer.main.get_command(main.build(word)).commands) == set(GROUPS)  # type: ignore[attr-defined]


def test_an_expected_error_is_one_line_without_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ConfigurationError("[red]the port[/] is taken; choose another")

    assert main.run(fail) == main.EXIT_FAILED
    assert capsys.readouterr().err == "error: [red]the port[/] is taken; choose another\n"


def test_ctrl_c_has_its_own_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    assert main.run(interrupted) == entry.EXIT_INTERRUPTED


def test_a_bug_is_not_swallowed() -> None:
    def bug() -> None:
        raise AssertionError("an invariant is broken")

    with pytest.raises(AssertionError):
        main.run(bug)


def test_the_version_is_told() -> None:
    result = runner.invoke(main.build("network"), ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("piebridge")


def test_applications_have_one_name_in_files_commands_and_packets() -> None:
    names = [application.name for application in APPLICATIONS]
    chain = network_file.schema()["properties"]["chains"]["items"]["properties"]
    assert chain["applications"]["items"]["properties"]["name"]["enum"] == names
    assert {sender.value for sender in Sender} <= set(names)
    assert len({artifact(name).name for name in names}) == len(names)


@pytest.mark.parametrize("where", ["build", "run"])
def test_ctrl_c_before_the_command_has_begun_is_no_traceback(
    where: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, where, interrupted)
    with pytest.raises(SystemExit) as left:
        entry.main()
    assert left.value.code == entry.EXIT_INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"


def test_ctrl_c_that_typer_has_caught_is_told_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    def leave() -> None:
        raise SystemExit(entry.EXIT_INTERRUPTED)

    with pytest.raises(SystemExit):
        main.run(leave)
    assert capsys.readouterr().err == "interrupted\n"


def test_the_version_needs_no_group() -> None:
    code = (
        "import sys; sys.argv = ['piebridge', '--version']\n"
        "from piebridge.cli import entry\n"
        "try:\n    entry.main()\n"
        "finally:\n    assert 'piebridge.cli.view' not in sys.modules and 'aiohttp' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=processes.own_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("piebridge")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("token send --from chain-1 --to chain-2 --amount 1 --timeout 5", "give --wait as well"),
        ("packet send --from chain-1 --to chain-2 --timeout 5", "give --wait as well"),
        ("network register 2 chain-1=0x5FbDB2315678afecb367f032d93F642f64180aa3", "2 is the token"),
    ],
)
def test_wishes_that_would_do_nothing_or_harm_are_refused_before_any_chain_is_asked(
    words: str, what: str, tmp_path: Path
) -> None:
    plan = make_plan(Wishes())
    keys = NetworkKeys({key.name: number.to_bytes(32, "big") for number, key in enumerate(plan.keys, start=1)})
    network_file.save(describe(plan, keys, {1: (1, bytes(32))}, [], created_at=1_700_000_000), tmp_path)
    result = runner.invoke(main.build(words.split()[0]), [*words.split(), "--dir", str(tmp_path)])
    assert isinstance(result.exception, ConfigurationError)
    assert what in str(result.exception)


def test_a_life_beyond_what_a_packet_can_name_is_refused_as_an_option() -> None:
    words = "token send --from chain-1 --to chain-2 --amount 1 --expires-in 99999999999999"
    assert runner.invoke(main.build("token"), words.split()).exit_code == 2


def test_an_unknown_name_is_a_kind_of_its_own_for_machines(tmp_path: Path) -> None:
    plan = make_plan(Wishes())
    keys = NetworkKeys({key.name: number.to_bytes(32, "big") for number, key in enumerate(plan.keys, start=1)})
    network = describe(plan, keys, {1: (1, bytes(32))}, [], created_at=1_700_000_000)
    for ask in (network.chain, network.account, network.chains[0].application):
        with pytest.raises(network_file.UnknownNameError):
            ask("nobody")
