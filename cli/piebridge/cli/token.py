"""``piebridge token``: move the example token of a network between chains."""

import asyncio
from typing import Annotated, Any

import typer

from piebridge.cli import output, sending
from piebridge.cli.accounts import account_key
from piebridge.cli.network_file import DEFAULT_DIRECTORY
from piebridge.cli.packet import (
    AccountOption,
    DirectoryOption,
    FromOption,
    JsonOption,
    TimeoutOption,
    ToOption,
    WaitOption,
    different_chains,
    report_sent,
    waiting_time,
)
from piebridge.cli.view import NetworkView, artifact
from piebridge.crypto.errors import ConfigurationError

app = typer.Typer(
    no_args_is_help=True,
    help="Move the example token between chains. A transfer that the destination refuses, or that expires, comes back.",
)


@app.command()
def send(
    source: FromOption,
    destination: ToOption,
    amount: Annotated[str, typer.Option("--amount", help="Tokens, for example 5 or 0.25.", show_default=False)],
    recipient: Annotated[
        str | None,
        typer.Option("--recipient", help="Account of the network, or 0x...; the sender itself unless given."),
    ] = None,
    account: AccountOption = "alice",
    expires_in: Annotated[
        int,
        typer.Option(
            "--expires-in", min=1, max=sending.EXPIRES_IN_SECONDS_MAX, help="Seconds until the destination refuses it."
        ),
    ] = sending.DEFAULT_EXPIRES_IN_SECONDS,
    wait: WaitOption = False,
    timeout: TimeoutOption = None,
    directory: DirectoryOption = DEFAULT_DIRECTORY,
    json: JsonOption = False,
) -> None:
    """Send tokens to another chain. With --wait, exit code 0 means that they arrived.

    Example: piebridge token send --from chain-1 --to chain-2 --amount 5 --recipient bob --wait
    """
    units, seconds = sending.parse_amount(amount), waiting_time(timeout, wait=wait)

    async def run() -> None:
        async with NetworkView.open(directory) as view:
            chain, other = different_chains(view, source, destination)
            sender = view.network.account(account)
            transfer = sending.Transfer(
                other.entry.registration,
                _recipient(view, recipient or account),
                units,
                sending.expiry_in(expires_in),
            )
            (balance,) = await chain.call(
                chain.application("token"), artifact("token"), "balanceOf", view.address(sender.name)
            )
            if balance < units:
                raise ConfigurationError(
                    f"{sender.name} has {sending.format_amount(balance)} tokens on {chain.name}, not {amount}"
                )
            private_key = account_key(view.network, view.directory, sender)
            (packet,) = await sending.send(chain, private_key, [await sending.transfer_call(view, chain, transfer)])
            await report_sent(view, packet, wait=wait, timeout_seconds=seconds, as_json=json)

    asyncio.run(run())


def _recipient(view: NetworkView, name: str) -> bytes:
    """Return the address that tokens go to.

    Raises:
        ConfigurationError: it is no address, or the zero address, which no token accepts.
    """
    address = view.address(name)
    if not any(address):
        raise ConfigurationError("--recipient is the zero address, which nobody has a key of: no token accepts it")
    return address


@app.command()
def balance(
    account: Annotated[
        str | None, typer.Option("--account", help="Account of the network, or 0x...; all accounts unless given.")
    ] = None,
    directory: DirectoryOption = DEFAULT_DIRECTORY,
    json: JsonOption = False,
) -> None:
    """Show what accounts hold on every chain."""

    async def run() -> list[dict[str, Any]]:
        async with NetworkView.open(directory) as view:
            names = [account] if account is not None else [item.name for item in view.network.accounts]
            rows = []
            for name in names:
                balances = {}
                for chain in view.chains.values():
                    (units,) = await chain.call(
                        chain.application("token"), artifact("token"), "balanceOf", view.address(name)
                    )
                    balances[chain.name] = sending.format_amount(units)
                rows.append({"account": name, "balances": balances})
            return rows

    rows = asyncio.run(run())
    if json:
        output.print_json(rows)
    else:
        columns = ("account", *rows[0]["balances"])
        output.print_table("tokens", columns, [[row["account"], *row["balances"].values()] for row in rows])
