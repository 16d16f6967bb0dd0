"""The ``piebridge`` command: one Typer application, a module for each group of commands."""

import sys
from collections.abc import Callable

import typer

from piebridge.cli import output
from piebridge.crypto.errors import PieBridgeError

EXIT_FAILED = 1
"""Exit code of a command that could not do its work."""
EXIT_INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def build() -> typer.Typer:
    """Put the command together; the one place that knows all groups."""
    from piebridge.cli import (
        chain,
        demo,
        gateway,
        keys,
        network,
        notary,
        oracle_command,
        packet,
        token,
    )

    app = typer.Typer(
        name="piebridge",
        help="Relay domains between blockchains: packets, receipts and transactions across chains.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
    )
    app.add_typer(network.app, name="network")
    app.add_typer(token.app, name="token")
    app.add_typer(packet.app, name="packet")
    app.add_typer(keys.app, name="keys")
    app.add_typer(chain.app, name="chain")
    app.add_typer(gateway.app, name="gateway")
    app.add_typer(notary.app, name="notary")
    app.command("oracle")(oracle_command.oracle)
    app.command("demo")(demo.demo)
    return app


def run(command: Callable[[], object]) -> int:
    """Run a command and turn what goes wrong into a message and an exit code.

    Typer itself answers wrong options (exit code 2) and Ctrl-C, by leaving the program.
    """
    try:
        command()
    except PieBridgeError as error:
        if "--json" in sys.argv:
            output.print_json(output.error_document(error))
        output.complain(f"error: {error}")
        return EXIT_FAILED
    except KeyboardInterrupt:
        output.complain("interrupted")
        return EXIT_INTERRUPTED
    return 0


def main() -> None:
    """Entry point of the ``piebridge`` script."""
    sys.exit(run(build()))
