"""``piebridge management``: the chain on which domains are formed, changed and governed."""

import asyncio
import signal
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from piebridge.chains.jsonrpc import JsonRpcClient
from piebridge.cli import output, passphrase, processes, progress
from piebridge.cli.local_network.plan import Engine, quorum
from piebridge.cli.management import management_file
from piebridge.cli.management.acting import addresses_of, governed_by_us, open_management
from piebridge.cli.management.management_file import DEFAULT_DIRECTORY, ManagementFile
from piebridge.cli.management.options import JsonOption, ManagementOption
from piebridge.cli.management.plan import EVM_CHAIN_ID_DEFAULT, PORT_BASE_DEFAULT, ManagementWishes
from piebridge.cli.network_file import ProcessEntry
from piebridge.crypto import keystore
from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.keystore import KeyPurpose
from piebridge.management_chain.chain.contracts import DAY_SECONDS, ContractName, ManagementRules
from piebridge.management_chain.chain.founders import Founders
from piebridge.protocol_stack.management.governor_message import MarketOrder, admit_body

app = typer.Typer(
    no_args_is_help=True,
    help="The management chain: parachain representatives ask it for domains, operators offer it nodes, governors sign "
    "what it decides. No single party controls it.\n\n"
    "Start with `piebridge management up --detach`; docs/guide/domains.md goes on from there.",
)

DirectoryOption = Annotated[Path, typer.Option("--dir", help="Folder of the management chain.")]
GovernorOption = Annotated[
    list[str] | None,
    typer.Option(
        "--governor",
        help="Account of a first governor, 0x...; once for each, in the order of their numbers. They make the governor "
        "key together (`piebridge governor init`).",
        show_default=False,
    ),
]
ThresholdOption = Annotated[
    int | None,
    typer.Option("--governor-threshold", help="k: governors that sign. Default: just more than two thirds of them."),
]

_STOP_TIMEOUT_SECONDS = 10.0
_WATCH_SECONDS = 1.0


@app.command()
def up(
    engine: Annotated[
        Engine,
        typer.Option(
            "--engine",
            help="embedded: one process, for one machine. cometbft: a CometBFT node for each of four validators.",
        ),
    ] = Engine.EMBEDDED,
    validators: Annotated[
        int | None, typer.Option("--validators", help="Validators. Default: 1 embedded, 4 with CometBFT.")
    ] = None,
    operators: Annotated[
        int, typer.Option("--operators", help="Local operator accounts with money, operator-1, operator-2 ...")
    ] = 4,
    governor: GovernorOption = None,
    governor_threshold: ThresholdOption = None,
    chain_id: Annotated[int, typer.Option("--chain-id", help="EVM chain id.")] = EVM_CHAIN_ID_DEFAULT,
    directory: DirectoryOption = DEFAULT_DIRECTORY,
    port_base: Annotated[
        int, typer.Option("--port-base", help="First port; the others follow it.")
    ] = PORT_BASE_DEFAULT,
    detach: Annotated[bool, typer.Option("--detach", help="Return once it is up, and leave it running.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Delete the management chain that lies in the folder, if it does not run.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Start a management chain on this machine, or go on with the one in the folder. For development (--dev rules).

    The contracts are in its genesis. Without --governor one local key governs it, from the first block on.

    Example: piebridge management up --detach
    """
    from piebridge.cli.management.up import up as start

    wishes = ManagementWishes(
        engine, validators, operators, addresses_of(governor or []), governor_threshold, chain_id, port_base
    )
    signal.signal(signal.SIGTERM, _interrupt)
    with progress.shown(silent=json) as shown:
        management = asyncio.run(start(wishes, directory.absolute(), shown, replace=replace))
    if json:
        output.print_json(management.document())
    else:
        option = "" if directory == DEFAULT_DIRECTORY else f" --management {directory}"
        output.say(f"management chain {management.evm_chain_id} answers at {', '.join(management.rpc_urls)}")
        output.say(
            f"its description is {directory / management_file.FILE_NAME}; "
            f"next: [bold]piebridge management status{option}[/]"
        )
    if not detach:
        _stay(management, quiet=json)


@app.command()
def status(management: ManagementOption = DEFAULT_DIRECTORY, json: JsonOption = False) -> None:
    """Show whether it runs, who governs it, and what is on it. Exit code 1 if a process of it is down."""
    file = management_file.load(management)
    document = asyncio.run(_status(file))
    if json:
        output.print_json(document)
    else:
        _show_status(document, management)
    if not document["running"]:
        raise typer.Exit(1)


@app.command()
def down(
    directory: DirectoryOption = DEFAULT_DIRECTORY,
    delete: Annotated[bool, typer.Option("--delete", help="Delete its blocks, keys and logs as well.")] = False,
    json: JsonOption = False,
) -> None:
    """End the processes of a management chain. `management up` goes on with it, unless --delete is given."""
    from piebridge.cli.local_network import journal
    from piebridge.cli.management import folder

    if not folder.is_ours(directory):
        management_file.load(directory)  # says what is missing and what to do
    running = journal.running_in(directory)
    if folder.holds_chain(directory):
        known = {item.pid for item in running}
        entries = management_file.load(directory).processes
        running += [item for item in entries if item.pid not in known and processes.is_running(item)]
    killed = processes.stop(running, _STOP_TIMEOUT_SECONDS)
    if delete:
        folder.delete(directory)
    if json:
        output.print_json(
            {"ended": [item.name for item in running], "killed": [item.name for item in killed], "deleted": delete}
        )
    elif running:
        output.say(f"ended {', '.join(item.name for item in running)}")
    else:
        output.say(f"nothing of the management chain in {directory} runs")


@app.command()
def deploy(
    rpc: Annotated[str, typer.Option("--rpc", help="eth_* JSON-RPC of the chain.", show_default=False)],
    key: Annotated[Path, typer.Option("--key", help="Keystore (purpose user) of the account that pays.")],
    governor: GovernorOption = None,
    governor_threshold: ThresholdOption = None,
    bond_per_node: Annotated[int, typer.Option("--bond-per-node", help="Bond of an operator for each node, wei.")] = 10
    ** 18,
    withdrawal_delay: Annotated[
        int, typer.Option("--withdrawal-delay", help="How long a bond that was taken back waits, seconds.")
    ] = 14 * DAY_SECONDS,
    period: Annotated[int, typer.Option("--period", help="Least time between two periods of uptime, seconds.")] = 3_600,
    directory: DirectoryOption = DEFAULT_DIRECTORY,
    dev: Annotated[bool, typer.Option("--dev", help="Accept small sets and light keys; for tests only.")] = False,
    passphrase_file: passphrase.FileOption = None,
    passphrase_fd: passphrase.DescriptorOption = None,
    json: JsonOption = False,
) -> None:
    """Deploy the contracts to any EVM chain and describe them in management.json. Whoever pays has no power afterwards.

    Example: piebridge management deploy --rpc https://rpc.example --key pays.json --governor 0x12... --governor 0x34...
    """
    from piebridge.cli.management import folder
    from piebridge.cli.management.deploying import Deployment
    from piebridge.cli.management.deploying import deploy as start

    accounts = addresses_of(governor or [])
    if not accounts:
        raise ConfigurationError("--governor is missing: the contracts name their first governors for ever, once each")
    rules = ManagementRules(
        Founders(governor_threshold or quorum(len(accounts)), accounts), dev, bond_per_node, withdrawal_delay, period
    )
    rules.check()
    secret = passphrase.read(passphrase_file, passphrase_fd, prompt=f"Passphrase of {key}")
    private_key = keystore.load(key, KeyPurpose.USER, secret, dev=dev)
    folder.prepare(directory, replace_old=False)
    with progress.shown(silent=json) as shown:
        management = asyncio.run(start(Deployment(rpc, private_key, rules), shown))
    path = management_file.save(management, directory)
    if json:
        output.print_json(management.document())
    else:
        output.say(f"the description is {path}: give it to representatives, operators and governors")


@app.command()
def admit(
    operators: Annotated[list[str], typer.Argument(help="Names of local accounts, or addresses.")],
    management: ManagementOption = DEFAULT_DIRECTORY,
    account: Annotated[str, typer.Option("--as", help="Account that carries the messages; it has no say.")] = "alice",
    json: JsonOption = False,
) -> None:
    """Let accounts be operators, who may offer nodes. By the local governor key of a --dev chain.

    Elsewhere the governors decide: this command is refused where no local key governs.

    Example: piebridge management admit operator-1 operator-2 operator-3 operator-4
    """
    file = management_file.load(management)

    async def main() -> list[dict[str, Any]]:
        async with open_management(file, management, account=account) as session:
            admitted = []
            for text in operators:
                address = session.address_of(text)
                if not await session.reader.operator_number(address):
                    await governed_by_us(session, ContractName.MARKET, 0, MarketOrder.ADMIT, admit_body(address))
                number = await session.reader.operator_number(address)
                admitted.append({"operator": number, "account": f"0x{address.hex()}", "name": text})
            return admitted

    with progress.shown(silent=json) as shown:
        shown.working("waiting for blocks")
        admitted = asyncio.run(main())
    if json:
        output.print_json(admitted)
    else:
        for item in admitted:
            output.say(f"operator {item['operator']}: {item['name']}")
        output.say("next: [bold]piebridge node offer --as OPERATOR --post-bond ...[/]")


async def _status(file: ManagementFile) -> dict[str, Any]:
    from piebridge.management_chain.client.reader import ManagementReader

    async with JsonRpcClient(file.rpc_urls[0]) as client:
        reader = ManagementReader(client, file.contracts, file.deployed_in_block)
        rows = [
            {"name": item.name, "pid": item.pid, "running": processes.is_running(item), "log_file": item.log_file}
            for item in file.processes
        ]
        running = all(row["running"] for row in rows)
        document: dict[str, Any] = {"name": file.name, "dev": file.dev, "processes": rows, "running": running}
        if rows and not any(row["running"] for row in rows):
            return document
        await reader.check()
        height, seconds = await reader.head()
        governors, counts = await reader.governors(), await reader.counts()
        offered = await reader.offered_nodes()
    return document | {
        "evm_chain_id": file.evm_chain_id,
        "engine": file.engine,
        "rpc_urls": list(file.rpc_urls),
        "height": height,
        "block_age_seconds": max(0, int(time.time()) - seconds),
        "governor_key": f"0x{governors.group_key.hex()}" if governors.epoch else None,
        "governor_key_epoch": governors.epoch,
        "governors": {"threshold": governors.threshold, "size": governors.size},
        "operators": counts.operators,
        "nodes": counts.nodes,
        "nodes_on_offer": len(offered),
        "registrations": counts.registrations,
        "domains": counts.domains,
        "relay_chains": counts.relays,
        "contracts": file.document()["contracts"],
    }


def _show_status(document: dict[str, Any], directory: Path) -> None:
    if document["processes"]:
        output.print_table(
            f"management chain of {directory}",
            ("process", "state", "pid", "log"),
            [
                [row["name"], "running" if row["running"] else "down", str(row["pid"]), row["log_file"]]
                for row in document["processes"]
            ],
        )
    if "height" not in document:
        output.complain(f"it is down: go on with it by `piebridge management up --dir {directory} --detach`")
        return
    governors = document["governors"]
    key = (
        f"key of epoch {document['governor_key_epoch']}, {governors['threshold']} of {governors['size']}"
        if document["governor_key"]
        else "no governor key yet: the governors have to make it before anything is decided"
    )
    rows = [
        ("chain", f"EVM chain {document['evm_chain_id']} at {', '.join(document['rpc_urls'])}"),
        ("engine", document["engine"] or "another EVM chain"),
        ("newest block", f"{document['height']}, {document['block_age_seconds']} s ago (an idle chain makes none)"),
        ("governors", key),
        ("operators", str(document["operators"])),
        ("nodes", f"{document['nodes']}, {document['nodes_on_offer']} on offer"),
        ("parachains", f"{document['registrations']} registered"),
        ("domains", f"{document['domains']}, with {document['relay_chains']} relay chains so far"),
    ]
    for name, value in rows:
        output.say(f"  {name:<13} {value}")


def _stay(management: ManagementFile, *, quiet: bool) -> None:
    """Wait for Ctrl-C, or until somebody has ended the chain from elsewhere, then end what is left."""
    if not quiet:
        output.say("Ctrl-C ends it; `management up` goes on with it.")
    try:
        while _running(management.processes):
            time.sleep(_WATCH_SECONDS)
        output.complain("the management chain has ended")
    except KeyboardInterrupt:
        if not quiet:
            output.say("ending")
    finally:
        processes.stop(management.processes, _STOP_TIMEOUT_SECONDS)


def _running(entries: tuple[ProcessEntry, ...]) -> list[ProcessEntry]:
    return [item for item in entries if processes.is_running(item)]


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
