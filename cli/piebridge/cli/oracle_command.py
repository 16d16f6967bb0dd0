"""``piebridge oracle``: did the network keep its promises?"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from piebridge.cli import network_file, output, sending
from piebridge.cli.network_file import DEFAULT_DIRECTORY, NetworkFile
from piebridge.cli.oracle.invariants import Applications, Verdict
from piebridge.cli.oracle.look import look
from piebridge.cli.oracle.reading import ChainAddresses
from piebridge.protocol_stack.application.door import DOOR
from piebridge.protocol_stack.application.record_notary import RECORD_NOTARY
from piebridge.protocol_stack.application.token import TOKEN


def oracle(
    directory: Annotated[Path, typer.Option("--dir", help="Folder of the network.")] = DEFAULT_DIRECTORY,
    message_board: Annotated[
        list[str] | None,
        typer.Option("--message-board", help="Message board whose ERC-7786 messages to check; repeatable."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Check from chain state alone that no value was made or lost and every packet took effect at most once.

    It decodes everything by its own hand and uses no code of hubs, relay chains or gateways. Exit code 1 where a
    promise is broken, or nothing was there to check.
    """
    verdict = examine(network_file.load(directory), message_board or ())
    if json:
        output.print_json(verdict_document(verdict))
    else:
        print_verdict(verdict)
    if not verdict.clean:
        raise typer.Exit(1)


def examine(network: NetworkFile, recipients: Sequence[str] = ()) -> Verdict:
    """Read every parachain and check the invariants over all of them.

    Args:
        network: the network.
        recipients: message boards whose ERC-7786 messages are checked, besides those of the network file; others are
            taken on trust.

    Raises:
        ChainError: a chain does not answer.
    """

    chains = [
        ChainAddresses(
            name=chain.name,
            registration=chain.registration,
            rpc_url=chain.rpc_url,
            hub=chain.hub,
            token=chain.application("token").address,
            record_notary=chain.application("record-notary").address,
            boards=tuple(sorted({*recipients, *([chain.message_board] if chain.message_board else [])})),
        )
        for chain in network.chains
    ]
    relays = [0, *(relay.id for relay in network.relay_chains)]
    applications = Applications(token=TOKEN, record_notary=RECORD_NOTARY, door=DOOR)
    return look(chains, [(network.domain.id, relay) for relay in relays], applications)


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """Return what the oracle found for machines; amounts as decimal strings, they exceed what JSON readers keep."""
    return {
        "clean": verdict.clean,
        "sent": verdict.sent,
        "executed": verdict.executed,
        "aborted": verdict.aborted,
        "pending": [f"0x{packet_id.hex()}" for packet_id in verdict.pending],
        "unjudged": [f"0x{packet_id.hex()}" for packet_id in verdict.unjudged],
        "supply": str(verdict.supply),
        "balances": str(verdict.balances),
        "in_flight": str(verdict.in_flight),
        "violations": [
            {"invariant": item.invariant, "chain": item.chain, "what": item.what} for item in verdict.violations
        ],
    }


def print_verdict(verdict: Verdict) -> None:
    """Print what the oracle found for people."""
    output.say(
        f"packets: {verdict.sent} sent, {verdict.executed} executed, {verdict.aborted} not executed, "
        f"{len(verdict.pending)} under way"
        + (f", {len(verdict.unjudged)} that the oracle cannot judge" if verdict.unjudged else "")
    )
    output.say(
        f"tokens:  {sending.format_amount(verdict.balances)} in accounts + "
        f"{sending.format_amount(verdict.in_flight)} in flight, supply {sending.format_amount(verdict.supply)}"
    )
    for item in verdict.violations:
        output.complain(f"{item.invariant} broken on {item.chain}: {item.what}")
    if verdict.clean:
        output.say("[green]oracle: every promise was kept[/]")
    elif not verdict.violations:
        output.complain("oracle: nothing was executed, so nothing was checked")
