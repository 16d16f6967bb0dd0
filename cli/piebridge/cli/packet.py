"""``piebridge packet``: send packets, list them, and see where each is and why it waits."""

import asyncio
import secrets
import string
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from piebridge.cli import output, rendering, sending
from piebridge.cli.accounts import account_key
from piebridge.cli.collect import collect
from piebridge.cli.facts import SentPacket
from piebridge.cli.network_file import DEFAULT_DIRECTORY
from piebridge.cli.trace import State, Trace, trace
from piebridge.cli.view import ChainView, NetworkView
from piebridge.cli.watch import Watch
from piebridge.crypto.errors import ConfigurationError

app = typer.Typer(
    no_args_is_help=True,
    help="Send packets, list them, look into their four layers, and find out where each is and what it waits for.",
)

DirectoryOption = Annotated[Path, typer.Option("--dir", help="Folder of the network.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
FromOption = Annotated[str, typer.Option("--from", help="Source chain: name or registration.", show_default=False)]
ToOption = Annotated[str, typer.Option("--to", help="Destination chain: name or registration.", show_default=False)]
AccountOption = Annotated[str, typer.Option("--account", help="Account of the network that signs and pays.")]
WaitOption = Annotated[
    bool, typer.Option("--wait", help="Wait until nothing more will happen to it, at most --timeout seconds.")
]
TimeoutOption = Annotated[
    int | None,
    typer.Option(
        "--timeout",
        min=1,
        help="Longest wait with --wait, seconds, 120 unless given; exit code 1 when it is over.",
        show_default=False,
    ),
]
IdArgument = Annotated[str, typer.Argument(help="Packet id, or its first digits.", show_default=False)]

DEFAULT_TIMEOUT_SECONDS = 120
_POLL_SECONDS = 0.5
_ID_DIGITS = 12
_WORD_DIGITS = 64


class Sender(StrEnum):
    """Applications through which `packet send` sends."""

    DOOR = "erc7786-door"
    RECORD_NOTARY = "record-notary"


@app.command()
def send(
    source: FromOption,
    destination: ToOption,
    application: Annotated[
        Sender,
        typer.Option("--application", help="erc7786-door: a message to a contract. record-notary: a key and a value."),
    ] = Sender.DOOR,
    recipient: Annotated[
        str | None,
        typer.Option(
            "--recipient",
            help="erc7786-door: the contract that takes the message, 0x... Default: the destination's message board.",
        ),
    ] = None,
    payload: Annotated[
        str, typer.Option("--payload", help="erc7786-door: the message, text or 0x and hexadecimal digits.")
    ] = "hello",
    key: Annotated[
        str | None,
        typer.Option("--key", help="record-notary: 0x and at most 64 hexadecimal digits. Default: random."),
    ] = None,
    value: Annotated[
        str | None,
        typer.Option("--value", help="record-notary: 0x and at most 64 hexadecimal digits, for example 0x2a."),
    ] = None,
    gas: Annotated[
        int | None,
        typer.Option(
            "--gas",
            min=1,
            max=2**32 - 1,
            help="erc7786-door: gas that the receiving contract is promised. Default: enough to store the message.",
            show_default=False,
        ),
    ] = None,
    expires_in: Annotated[
        int,
        typer.Option(
            "--expires-in",
            min=1,
            max=sending.EXPIRES_IN_SECONDS_MAX,
            help="record-notary: seconds until the destination refuses it.",
        ),
    ] = sending.DEFAULT_EXPIRES_IN_SECONDS,
    account: AccountOption = "alice",
    wait: WaitOption = False,
    timeout: TimeoutOption = None,
    directory: DirectoryOption = DEFAULT_DIRECTORY,
    json: JsonOption = False,
) -> None:
    """Send a packet: a message to a contract on another chain (ERC-7786), or a record.

    Examples:

    piebridge packet send --from chain-1 --to chain-2 --payload hello

    piebridge packet send --from chain-1 --to chain-3 --application record-notary --value 0x2a
    """
    seconds = waiting_time(timeout, wait=wait)

    async def run() -> None:
        async with NetworkView.open(directory) as view:
            chain, other = different_chains(view, source, destination)
            if application is Sender.DOOR:
                receiver = other.message_board if recipient is None else view.address(recipient)
                message = sending.Message(other.entry.evm_chain_id, receiver, _payload(payload), gas)
                call = sending.message_call(view, chain, message)
            else:
                if value is None:
                    raise ConfigurationError("a record needs --value, for example --value 0x2a")
                record_key = secrets.token_bytes(32) if key is None else _word("--key", key)
                expiry = sending.expiry_in(expires_in)
                call = sending.notarise_call(
                    view, chain, other.entry.registration, record_key, _word("--value", value), expiry
                )
            private_key = account_key(view.network, view.directory, view.network.account(account))
            (packet,) = await sending.send(chain, private_key, [call])
            await report_sent(view, packet, wait=wait, timeout_seconds=seconds, as_json=json)

    asyncio.run(run())


@app.command("list")
def list_packets(
    directory: DirectoryOption = DEFAULT_DIRECTORY,
    source: Annotated[str | None, typer.Option("--from", help="Only packets of this chain.")] = None,
    destination: Annotated[str | None, typer.Option("--to", help="Only packets to this chain.")] = None,
    pending: Annotated[
        bool, typer.Option("--pending", help="Only those to which something will still happen.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show at most the newest so many.")] = 50,
    json: JsonOption = False,
) -> None:
    """List packets, newest last, with where each of them is. docs/glossary.md says what the states mean."""

    async def run() -> list[dict[str, Any]]:
        async with NetworkView.open(directory) as view:
            packets = await view.sent_packets()
            if source is not None:
                packets = [item for item in packets if item.chain == view.chain(source).name]
            if destination is not None:
                wanted = view.chain(destination).entry.registration
                packets = [item for item in packets if item.packet.lane.destination == wanted]
            if pending:
                watch = Watch(view)
                watch.add(packets, time.monotonic())
                await watch.look()
                packets = watch.open
            times = {item.id: await view.chain(item.chain).block_time(item.block_number) for item in packets}
            packets.sort(key=lambda item: (times[item.id], item.block_number, item.entry_number))
            return [await _row(view, item) for item in packets[-limit:]]

    rows = asyncio.run(run())
    if json:
        output.print_json(rows)
    elif rows:
        _print_rows(rows)
    elif pending or source is not None or destination is not None:
        output.say("no such packet" + (" is under way: all have come to their end" if pending else ""))
    else:
        output.say("no packets; send one with: piebridge token send --from chain-1 --to chain-2 --amount 5")


@app.command()
def show(packet_id: IdArgument, directory: DirectoryOption = DEFAULT_DIRECTORY, json: JsonOption = False) -> None:
    """Show the bytes of a packet: every field of the four layers, and what it means."""

    async def run() -> None:
        async with NetworkView.open(directory) as view:
            packet = await view.find_packet(packet_id)
            fields = rendering.dissect(packet.packet, view.chain_name)
            if json:
                output.print_json(packet_document(packet, view.chain_name) | {"fields": field_documents(fields)})
            else:
                print_layers(packet, fields)

    asyncio.run(run())


@app.command("trace")
def trace_packet(
    packet_id: IdArgument, directory: DirectoryOption = DEFAULT_DIRECTORY, json: JsonOption = False
) -> None:
    """Show a packet's layers, every hop with block, time, gas and proof size, and what it waits for."""

    async def run() -> None:
        async with NetworkView.open(directory) as view:
            packet = await view.find_packet(packet_id)
            fields, found = rendering.dissect(packet.packet, view.chain_name), trace(await collect(view, packet))
            if json:
                document = packet_document(packet, view.chain_name) | trace_document(found)
                output.print_json(document | {"fields": field_documents(fields)})
            else:
                print_layers(packet, fields)
                print_trace(found)

    asyncio.run(run())


def waiting_time(timeout_seconds: int | None, *, wait: bool) -> int:
    """Return how long --wait waits, seconds.

    Raises:
        ConfigurationError: --timeout was given without --wait, and would do nothing.
    """
    if timeout_seconds is not None and not wait:
        raise ConfigurationError("--timeout is how long --wait waits: give --wait as well, or neither")
    return DEFAULT_TIMEOUT_SECONDS if timeout_seconds is None else timeout_seconds


async def report_sent(
    view: NetworkView, packet: SentPacket, *, wait: bool, timeout_seconds: int, as_json: bool
) -> None:
    """Tell what was sent and, if wanted, wait for its end.

    Raises:
        Exit: with code 1 where it ended without having been executed, or did not end in time.
    """
    if not as_json:
        output.say(f"sent packet {packet.id}")
        output.say(f"  transaction {packet.transaction} in block {packet.block_number} of {packet.chain}")
    if not wait:
        if as_json:
            output.print_json(packet_document(packet, view.chain_name))
        else:
            option = "" if view.directory == DEFAULT_DIRECTORY else f" --dir {view.directory}"
            output.say(f"  follow it: piebridge packet trace {packet.id[: _ID_DIGITS + 2]}{option}")
        return
    found = await wait_until_final(view, packet, timeout_seconds)
    if as_json:
        output.print_json(packet_document(packet, view.chain_name) | trace_document(found))
    else:
        print_trace(found)
    if found.state is not State.COMPLETED:
        raise typer.Exit(1)


async def wait_until_final(view: NetworkView, packet: SentPacket, timeout_seconds: float) -> Trace:
    """Return a packet's trace once nothing more will happen to it, or when time is up."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        found = trace(await collect(view, packet))
        if found.state.final or time.monotonic() > deadline:
            return found
        await asyncio.sleep(_POLL_SECONDS)


def different_chains(view: NetworkView, source: str, destination: str) -> tuple[ChainView, ChainView]:
    """Return the chains that --from and --to name.

    Raises:
        ConfigurationError: there is no such chain, or both are the same.
    """
    first, second = view.chain(source), view.chain(destination)
    if first is second:
        raise ConfigurationError(f"--from {source} and --to {destination} are the same chain: choose two")
    return first, second


def packet_document(sent: SentPacket, chain_name: Callable[[int], str]) -> dict[str, Any]:
    """Return a packet for machines: the same members in every command's answer.

    Args:
        sent: the packet.
        chain_name: gives the name of a chain by its registration.
    """
    transport = sent.packet.header.transport
    return {
        "id": sent.id,
        "from": sent.chain,
        "to": chain_name(transport.destination),
        "lane": {
            "domain": transport.domain,
            "source": transport.source,
            "destination": transport.destination,
            "relay": transport.relay,
            "channel": transport.channel,
        },
        "sequence": transport.sequence,
        "application": rendering.application_name(sent.packet.header.application.application),
        "block_on_source": sent.block_number,
        "transaction": sent.transaction,
        "bytes": f"0x{sent.packet.encode().hex()}",
    }


def trace_document(found: Trace) -> dict[str, Any]:
    """Return a trace for machines."""
    return {
        "state": found.state.value,
        "final": found.state.final,
        "hops": [
            {
                "chain": hop.place,
                "what": hop.what,
                "block": hop.block,
                "time": hop.time,
                "gas_used": hop.gas,
                "messages": hop.messages,
                "gas_per_message": hop.gas_per_message,
                "proof_bytes": hop.proof_bytes,
                "detail": hop.detail,
            }
            for hop in found.hops
        ],
        "waits": [{"reason": wait.reason.value, "text": wait.text} for wait in found.waits],
    }


def field_documents(fields: list[rendering.Field]) -> list[dict[str, Any]]:
    """Return a packet's fields for machines."""
    return [
        {
            "layer": field.layer,
            "offset": field.offset,
            "name": field.name,
            "bytes": f"0x{field.data.hex()}",
            "meaning": field.meaning,
        }
        for field in fields
    ]


def print_layers(packet: SentPacket, fields: list[rendering.Field]) -> None:
    """Print every field of a packet."""
    output.say(f"packet {packet.id}")
    layer = ""
    for field in fields:
        if field.layer != layer:
            layer = field.layer
            output.say(f"[bold]{layer}[/]")
        shown = rendering.shorten(field.data)
        output.say(f"  {field.offset:>4}  {field.name:<22} {shown:<18} {escape(field.meaning)}")


def print_trace(found: Trace) -> None:
    """Print a packet's hops and what it waits for."""
    rows = [
        [
            hop.place,
            hop.what,
            "-" if not hop.block else str(hop.block),
            rendering.moment(hop.time),
            "" if hop.gas_per_message is None else f"{hop.gas_per_message}",
            "" if hop.proof_bytes is None else f"{hop.proof_bytes}",
            hop.detail,
        ]
        for hop in found.hops
    ]
    columns = ("chain", "what", "block", "chain's clock", "gas", "proof bytes", "")
    output.print_table("the way so far", columns, rows)
    times = [hop.time for hop in found.hops if hop.time is not None]
    if times != sorted(times):
        output.say(
            "Each chain has a clock of its own, and a block bears the time at which its validators voted for the one "
            "before it: a later step can show an earlier time."
        )
    output.say(f"state: [bold]{found.state.value}[/]")
    for wait in found.waits:
        output.say(f"waits: [yellow]{wait.reason.value}[/] {escape(wait.text)}")


async def _row(view: NetworkView, sent: SentPacket) -> dict[str, Any]:
    facts = await collect(view, sent)
    return packet_document(sent, view.chain_name) | {"time": facts.source.sent.time} | trace_document(trace(facts))


def _print_rows(rows: list[dict[str, Any]]) -> None:
    columns = ("id", "sent", "from", "to", "seq", "application", "state", "waits for")
    table = [
        [
            row["id"][: _ID_DIGITS + 2],
            rendering.moment(row["time"]),
            row["from"],
            row["to"],
            str(row["sequence"]),
            row["application"],
            row["state"],
            ", ".join(wait["reason"] for wait in row["waits"]),
        ]
        for row in rows
    ]
    output.print_table(None, columns, table)


def _payload(text: str) -> bytes:
    if not text.startswith("0x"):
        return text.encode("utf-8")
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        raise ConfigurationError(f"--payload {text!r} begins with 0x but is not hexadecimal") from None


def _word(option: str, text: str) -> bytes:
    digits = text.removeprefix("0x")
    if not text.startswith("0x") or not 0 < len(digits) <= _WORD_DIGITS or set(digits) - set(string.hexdigits):
        raise ConfigurationError(
            f"{option} {text!r}: 0x and at most {_WORD_DIGITS} hexadecimal digits are expected, for example 0x2a"
        )
    return bytes.fromhex(digits.rjust(_WORD_DIGITS, "0"))
