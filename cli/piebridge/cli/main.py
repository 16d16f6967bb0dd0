"""The ``piebridge`` command: one Typer application, a module for each group of commands."""

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module, metadata
from typing import Annotated

import typer

from piebridge import failpoints
from piebridge.cli import output
from piebridge.cli.entry import EXIT_INTERRUPTED
from piebridge.crypto.errors import PieBridgeError, TransientChainError

EXIT_FAILED = 1
"""Exit code of a command that could not do its work."""

_GROUPS = {
    "demo": "piebridge.cli.demo",
    "management": "piebridge.cli.management_command",
    "domain": "piebridge.cli.domain",
    "network": "piebridge.cli.network",
    "token": "piebridge.cli.token",
    "packet": "piebridge.cli.packet",
    "oracle": "piebridge.cli.oracle_command",
    "node": "piebridge.cli.node",
    "keys": "piebridge.cli.keys",
    "chain": "piebridge.cli.chain",
    "gateway": "piebridge.cli.gateway",
    "notary": "piebridge.cli.notary",
}
"""Every word behind ``piebridge`` and the module that knows it: by a Typer ``app`` or a function of that name."""


_WITHOUT_GROUPS = "--version"
"""First word with which no group is needed, so that none is imported."""


def build(word: str | None = None) -> typer.Typer:
    """Put the command together.

    Args:
        word: the only group that will be used, so that a chain's start does not wait for the imports of the demo;
            all groups if it is none of them.
    """
    app = typer.Typer(
        name="piebridge",
        help="Relay domains between blockchains: packets, receipts and transactions across chains.\n\n"
        "Start with `piebridge demo`, or with `piebridge network up --detach` and `piebridge token send --help`.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
    )

    # A callback, so that a group stays a word of its own where it is the only one; its text would replace the help.
    @app.callback()
    def before_every_command(
        version: Annotated[
            bool, typer.Option("--version", help="Print the version and leave.", is_eager=True, callback=_tell_version)
        ] = False,
    ) -> None:
        pass

    for name, path in _GROUPS.items():
        if word == _WITHOUT_GROUPS or (word in _GROUPS and name != word):
            continue
        module = import_module(path)
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(getattr(module, name))
    return app


def _tell_version(wanted: bool) -> None:
    if wanted:
        try:
            output.say(f"piebridge {metadata.version('piebridge')}")
        except metadata.PackageNotFoundError:
            output.say("piebridge, run from its sources without having been installed")
        raise typer.Exit


def run(command: Callable[[], object]) -> int:
    """Run a command and turn what goes wrong into a message and an exit code.

    Typer itself answers wrong options (exit code 2) and Ctrl-C, by leaving the program.
    """
    try:
        failpoints.arm(os.environ)
        command()
    except PieBridgeError as error:
        if "--json" in sys.argv:
            output.print_json(output.error_document(error))
        output.complain(f"error: {error}")
        if isinstance(error, TransientChainError):
            output.complain(
                "is the network up? `piebridge network status` tells; `piebridge network start` goes on with it (one "
                "of anvil chains cannot go on: `piebridge network up --replace`)"
            )
        return EXIT_FAILED
    except KeyboardInterrupt:
        output.complain("interrupted")
        return EXIT_INTERRUPTED
    except SystemExit as leaving:  # so Typer leaves after Ctrl-C, without a word
        if leaving.code == EXIT_INTERRUPTED:
            output.complain("interrupted")
        raise
    return 0


def run_arguments(arguments: Sequence[str]) -> int:
    """Run the command that the arguments of the program name; return its exit code."""
    return run(build(arguments[0] if arguments else None))


def main() -> None:
    """Entry point of scripts that were installed before there was ``piebridge.cli.entry``."""
    sys.exit(run_arguments(sys.argv[1:]))
