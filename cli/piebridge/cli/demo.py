"""``piebridge demo``: a whole network in about a minute, and proof that it kept its promises."""

import asyncio
import shutil
import signal
import tempfile
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from piebridge.cli import output, processes, progress
from piebridge.cli.demo_report import Report
from piebridge.cli.local_network.plan import ParachainKind, Wishes


def demo(
    parachain_kind: Annotated[
        ParachainKind,
        typer.Option(
            "--parachain-kind",
            help="embedded: EVM chains on ABCI, verified by light client. anvil: Foundry's node, verified by notaries.",
        ),
    ] = ParachainKind.EMBEDDED,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the network running and its files in place.")] = False,
    port_base: Annotated[
        int | None, typer.Option("--port-base", help="First port. Default: the first free one.", show_default=False)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document in place of tables.")] = False,
) -> None:
    """Move tokens between three chains, see refused and expired transfers come back, let an oracle check everything.

    Three parachains, one relay chain with four validator keys, two gateways; everything runs on this machine and is
    gone afterwards. Exit code 0 only if everything happened as it should and the oracle agrees.
    """
    wishes = _wishes(parachain_kind, port_base)
    directory = Path(tempfile.mkdtemp(prefix="piebridge-demo-"))
    signal.signal(signal.SIGTERM, _interrupt)
    kept = False
    try:
        with progress.shown(silent=json) as shown:
            report = asyncio.run(_run(wishes, directory, shown))
        kept = keep
        if json:
            output.print_json(report.document())
        else:
            report.print()
        if keep and not json:
            output.say(f"the network runs on: piebridge network status --dir {directory}")
            output.say(f"end it with:         piebridge network down --delete --dir {directory}")
    finally:
        if not kept:
            _tear_down(directory)
    if not report.successful:
        raise typer.Exit(1)


async def _run(wishes: Wishes, directory: Path, shown: progress.Progress) -> Report:
    from piebridge.cli.demo_scenario import Scenario
    from piebridge.cli.local_network.up import up

    scenario = Scenario(directory, shown)
    network = await up(wishes, directory, shown)
    return await scenario.play(network)


def _wishes(kind: ParachainKind, port_base: int | None) -> Wishes:
    from piebridge.cli.local_network import folder

    wishes = Wishes(parachain_kind=kind)
    return replace(wishes, port_base=folder.find_free_ports(wishes) if port_base is None else port_base)


def _tear_down(directory: Path) -> None:
    from piebridge.cli.local_network import journal

    processes.stop(journal.running_in(directory))
    shutil.rmtree(directory, ignore_errors=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
