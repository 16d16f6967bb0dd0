"""``piebridge demo``: a whole network in less than a minute, and proof that it kept its promises."""

import asyncio
import shutil
import signal
import tempfile
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from piebridge.cli import output, progress
from piebridge.cli.local_network.plan import Engine, ParachainKind, Wishes

if TYPE_CHECKING:
    from piebridge.cli.demo_report import Report


def demo(
    parachain_kind: Annotated[
        ParachainKind,
        typer.Option(
            "--parachain-kind",
            help="embedded: EVM chains on ABCI, verified by light client. anvil: Foundry's node, verified by notaries.",
        ),
    ] = ParachainKind.EMBEDDED,
    engine: Annotated[
        Engine,
        typer.Option(
            "--engine",
            help="What makes the blocks of relay chains and EVM chains on ABCI. embedded: one process for a chain. "
            "cometbft: a CometBFT node for each validator.",
        ),
    ] = Engine.EMBEDDED,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the network running and its files in place.")] = False,
    port_base: Annotated[
        int | None, typer.Option("--port-base", help="First port. Default: the first free one.", show_default=False)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document in place of tables.")] = False,
) -> None:
    """Move tokens between three chains, see refused and expired transfers come back, let an oracle check everything.

    Three parachains, one relay chain with four validators, two gateways; everything runs on this machine and is
    gone afterwards. Exit code 0 only if everything happened as it should and the oracle agrees.
    """
    wishes = _wishes(parachain_kind, engine, port_base)
    if not json:  # at once: what follows is imported first
        output.say(
            "A relay domain on this machine: chains, gateways, packets, and an oracle. It takes 20 seconds to a minute."
        )
    directory = Path(tempfile.mkdtemp(prefix="piebridge-demo-"))
    signal.signal(signal.SIGTERM, _interrupt)
    ended_well = False
    try:
        with progress.shown(silent=json) as shown:
            report = asyncio.run(_run(wishes, directory, shown))
        if json:
            output.print_json(report.document())
        else:
            report.print()
        ended_well = report.successful
    except KeyboardInterrupt:
        ended_well = True  # whoever interrupts does not want to look for the reason
        raise
    finally:
        _leave(directory, keep_running=keep and ended_well, keep_files=not ended_well)
    if not report.successful:
        raise typer.Exit(1)


async def _run(wishes: Wishes, directory: Path, shown: progress.Progress) -> "Report":
    from piebridge.cli.demo_scenario import Scenario
    from piebridge.cli.local_network.up import up

    scenario = Scenario(directory, shown)
    network = await up(wishes, directory, shown)
    return await scenario.play(network)


def _wishes(kind: ParachainKind, engine: Engine, port_base: int | None) -> Wishes:
    from piebridge.cli.local_network import folder

    wishes = Wishes(parachain_kind=kind, engine=engine)
    return replace(wishes, port_base=folder.find_free_ports(wishes) if port_base is None else port_base)


def _leave(directory: Path, *, keep_running: bool, keep_files: bool) -> None:
    """Leave the machine as it was, but for what the user wants to keep or needs to find out what went wrong."""
    from piebridge.cli.local_network import ending

    if keep_running:
        output.complain(f"the network runs on: piebridge network status --dir {directory}", style="none")
        output.complain(f"end it with: piebridge network down --delete --dir {directory}", style="none")
        return
    ending.end_all(directory)
    if keep_files:
        output.complain(f"the logs of the failed demo are in {directory / 'logs'}")
    else:
        shutil.rmtree(directory, ignore_errors=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
