"""A stranger's handler reverts with text for the terminal of whoever traces the packet."""

import io

import pytest
from eth_abi.abi import encode
from rich.console import Console

from piebridge.cli import output
from piebridge.cli.collect import _revert_reason

COMMANDS = "\x1b]0;title\x07\x1b[2Jgone\x9b31m\u202eright to left\x00 [/red] [bold]b[link=http://x]"


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, highlight=False, width=200, color_system=None)
    monkeypatch.setattr(output, "_CONSOLE", console)
    monkeypatch.setattr(output, "_ERRORS", console)
    return stream


def check(text: str) -> None:
    assert "gone" in text, "the control: it is told"
    assert "[/red] [bold]b[link=http://x]" in text, "shown as it is, not obeyed"
    assert not set(text) & set("\x1b\x07\x9b\x00\u202e")


def test_a_reason_in_a_table_commands_nothing(shown: io.StringIO) -> None:
    reason = _revert_reason(bytes.fromhex("08c379a0") + encode(["string"], [COMMANDS]), 200_000)
    output.print_table(None, ("what", ""), [["executed", reason]])
    check(shown.getvalue())


def test_an_error_commands_nothing(shown: io.StringIO) -> None:
    output.complain(f"error: {COMMANDS}", style="none")
    check(shown.getvalue())


def test_a_line_keeps_its_own_markup_and_no_control_character(shown: io.StringIO) -> None:
    output.say("[bold]state[/]: \x1b[2J\u202e")
    assert "state: \\u001b" in shown.getvalue()
    assert not set(shown.getvalue()) & set("\x1b\u202e")
