import re

import pytest
import typer
from typer.testing import CliRunner

from piebridge.cli import main, network_file
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

    assert main.run(interrupted) == main.EXIT_INTERRUPTED


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
