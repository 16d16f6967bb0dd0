"""``piebridge network``: a whole network on this machine."""

import asyncio
import shlex
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from piebridge.cli import network_file, output, processes, progress
from piebridge.cli.local_network import addresses
from piebridge.cli.local_network.plan import PORT_BASE_DEFAULT, Engine, ParachainKind, Wishes
from piebridge.cli.network_file import DEFAULT_DIRECTORY, NetworkFile, ProcessEntry
from piebridge.crypto.errors import ConfigurationError

app = typer.Typer(
    no_args_is_help=True,
    help="Start, look at and end a whole network on this machine: parachains, relay chains, gateways. For development; "
    "its keys have no value.",
)

DirectoryOption = Annotated[Path, typer.Option("--dir", help="Folder of the network.")]
EngineOption = Annotated[
    Engine,
    typer.Option(
        "--engine",
        help="What makes the blocks of relay chains and EVM chains on ABCI. embedded: one process for a chain. "
        "cometbft: a CometBFT node for each validator.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]

_WATCH_SECONDS = 1.0


@app.command()
def up(
    parachains: Annotated[int, typer.Option("--parachains", help="Number of parachains.")] = 3,
    parachain_kind: Annotated[
        ParachainKind,
        typer.Option(
            "--parachain-kind",
            help="embedded: EVM chains on ABCI, verified by light client. anvil: Foundry's node, verified by notaries.",
        ),
    ] = ParachainKind.EMBEDDED,
    relay_chains: Annotated[int, typer.Option("--relay-chains", help="Number of relay chains of the domain.")] = 1,
    validators: Annotated[int, typer.Option("--validators", help="Validators of each relay chain.")] = 4,
    parachain_validators: Annotated[
        int,
        typer.Option("--parachain-validators", help="Validators of each embedded parachain, with --engine cometbft."),
    ] = 1,
    gateways: Annotated[int, typer.Option("--gateways", help="Number of gateways.")] = 2,
    anvil_depth: Annotated[
        int,
        typer.Option("--anvil-depth", help="Blocks that must stand on a block of an anvil chain before it counts."),
    ] = 1,
    engine: EngineOption = Engine.EMBEDDED,
    broker: Annotated[
        str | None,
        typer.Option(
            "--broker",
            help="Give the gateways workers behind a broker. redis: start one here. redis://HOST:PORT: use that one.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", help="Worker processes of each gateway, with --broker.")] = 1,
    directory: DirectoryOption = DEFAULT_DIRECTORY,
    port_base: Annotated[
        int, typer.Option("--port-base", help="First port; the others follow it. Below 32768.")
    ] = PORT_BASE_DEFAULT,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once the network is up, and leave it running.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Delete the network that lies in the folder, if it does not run.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Start a network, write its description to network.json, and run until Ctrl-C.

    Example: piebridge network up --parachains 3 --detach
    """
    from piebridge.cli.local_network import folder
    from piebridge.cli.local_network.up import up as start

    wishes = Wishes(
        parachains,
        parachain_kind,
        relay_chains,
        validators,
        gateways,
        port_base,
        engine,
        parachain_validators,
        broker,
        workers,
        anvil_depth,
    )
    signal.signal(signal.SIGTERM, _interrupt)
    before = folder.is_unfinished(directory)
    try:
        with progress.shown(silent=json) as shown:
            network = asyncio.run(start(wishes, directory.absolute(), shown, replace=replace))
    except BaseException:
        if not before and folder.is_unfinished(directory):
            output.complain(folder.hint_after_interruption(directory), style="none")
        raise
    if json:
        output.print_json(_status(network, directory))
    else:
        _print_where(network, directory, detached=detach)
    if not detach:
        _stay(network, directory, quiet=json)


@app.command()
def status(directory: DirectoryOption = DEFAULT_DIRECTORY, json: JsonOption = False) -> None:
    """Show what runs, where, and how high the chains are. Exit code 1 if something is down."""
    network = network_file.load(directory)
    document = _status(network, directory)
    heights = asyncio.run(_heights(network))
    for process in document["processes"]:
        process["height"] = heights.get(process["name"])
    if json:
        output.print_json(document)
    else:
        rows = [
            [
                str(item["name"]),
                str(item["role"]),
                "running" if item["running"] else "down",
                str(item["pid"]) if item["running"] else "-",
                "-" if item["height"] is None else str(item["height"]),
                str(item["address"]),
            ]
            for item in document["processes"]
        ]
        output.print_table(f"network in {directory}", ("name", "role", "state", "pid", "height", "address"), rows)
        down = [item["name"] for item in document["processes"] if not item["running"]]
        if down:
            output.complain(f"down: {', '.join(down)}; the logs are in {directory / 'logs'}")
    if not document["running"]:
        raise typer.Exit(1)


@app.command()
def down(
    directory: DirectoryOption = DEFAULT_DIRECTORY,
    delete: Annotated[bool, typer.Option("--delete", help="Delete its chains, keys and logs as well.")] = False,
    json: JsonOption = False,
) -> None:
    """End every process of a network. Its files stay unless --delete is given."""
    from piebridge.cli.local_network import ending, folder, journal

    if not folder.is_network(directory):
        network_file.load(directory)  # says what is missing and what to do
    for problem in journal.damaged_in(directory):
        output.complain(f"went by what else is known of its processes, because {problem}", style="yellow")
    running, killed = ending.end_all(directory)
    if delete:
        folder.delete(directory)
    if json:
        output.print_json(
            {"ended": [item.name for item in running], "killed": [item.name for item in killed], "deleted": delete}
        )
        return
    if running:
        output.say(f"ended {len(running)} processes: {', '.join(item.name for item in running)}")
    else:
        output.say(f"nothing of the network in {directory} runs")
    if killed:
        output.say(f"had to be killed: {', '.join(item.name for item in killed)}")


@app.command("start")
def start_again(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Names as `network status` shows them, for example gateway-1; all that are down if none."),
    ] = None,
    directory: DirectoryOption = DEFAULT_DIRECTORY,
    json: JsonOption = False,
) -> None:
    """Start processes again that have ended, and wait until they answer. They go on where they were.

    A network of anvil chains cannot: anvil keeps nothing. Begin a new one with `piebridge network up --replace`.
    """
    from piebridge.cli.local_network import going_on

    network = network_file.load(directory)
    by_name = _named(network, names)
    down = [name for name in names or by_name if not processes.is_running(by_name[name])]
    for name in down:
        _require_memory(network, directory, name)
    begun = asyncio.run(going_on.start([by_name[name] for name in down], network, directory.absolute()))
    if json:
        output.print_json([{"name": item.name, "pid": item.pid} for item in begun])
    elif begun:
        output.say(f"started {', '.join(item.name for item in begun)}; all of them answer")
    else:
        output.say("everything that was named runs already")


@app.command()
def restart(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Names as `network status` shows them; the relay chains' processes if none."),
    ] = None,
    directory: DirectoryOption = DEFAULT_DIRECTORY,
    json: JsonOption = False,
) -> None:
    """Stop processes and start them again one after the other, each once the one before has caught up.

    On the engine cometbft a relay chain makes blocks all the while.
    """
    from piebridge.cli.local_network import going_on
    from piebridge.cli.local_network.restart import caught_up

    network = network_file.load(directory)
    by_name = _named(network, names)
    chosen = names or [item.name for item in network.processes if item.role == "relay"]
    for name in chosen:
        _require_memory(network, directory, name)
    done = []
    for name in chosen:
        killed = processes.stop([by_name[name]])
        (by_name[name],) = asyncio.run(going_on.start([by_name[name]], network, directory.absolute()))
        network = network.with_processes(tuple(by_name.values()))
        asyncio.run(caught_up(network, by_name[name], directory.absolute()))
        done.append({"name": name, "pid": by_name[name].pid, "killed": bool(killed)})
        if not json:
            output.say(f"{name} runs again")
    if json:
        output.print_json(done)


@app.command()
def register(
    application: Annotated[int, typer.Argument(help="Application id, the same on all chains; 1 to 3 are taken.")],
    contracts: Annotated[list[str], typer.Argument(help="CHAIN=ADDRESS, for example chain-1=0x12...")],
    protocol: Annotated[
        list[str] | None,
        typer.Option("--protocol", help="Transaction protocol it may use: none, forward, atp; several are possible."),
    ] = None,
    directory: DirectoryOption = DEFAULT_DIRECTORY,
    json: JsonOption = False,
) -> None:
    """Register your application's contracts with the hubs, by the --dev governor key. See docs/guide/applications.md.

    Example: piebridge network register 100 chain-1=0x5FbD... chain-2=0x5FbD... --protocol none
    """
    from piebridge.cli.local_network.registration import register_application
    from piebridge.protocol_stack.governor_hub_bodies import Protocols

    network = network_file.load(directory)
    taken = {entry.id: entry.name for chain in network.chains for entry in chain.applications}
    if application in taken or application < 1:
        raise ConfigurationError(
            f"application id {application} cannot be used: "
            f"{', '.join(f'{number} is the {name}' for number, name in sorted(taken.items()))}; choose a higher one"
        )
    allowed = Protocols(0)
    for name in protocol or ["none"]:
        if name.upper() not in ("NONE", "FORWARD", "ATP"):
            raise ConfigurationError(f"no transaction protocol {name!r}; there are: none, forward, atp")
        allowed |= Protocols[name.upper()]
    addresses = dict(_contract_of(text, network) for text in contracts)
    done = asyncio.run(register_application(network, directory, application, addresses, allowed))
    if json:
        output.print_json({"application": application, "transactions": done})
    else:
        for name, transaction in done.items():
            output.say(f"application {application} is registered on {name}, transaction {transaction}")


def _named(network: NetworkFile, names: list[str] | None) -> dict[str, ProcessEntry]:
    """Return the processes of a network by name, once every name that was given is known to be one of them."""
    by_name = {item.name: item for item in network.processes}
    for name in names or []:
        if name not in by_name:
            raise ConfigurationError(f"no process {name!r}; the network has: {', '.join(by_name)}")
    return by_name


def _require_memory(network: NetworkFile, directory: Path, name: str) -> None:
    if any(chain.name == name and chain.kind == "anvil" for chain in network.chains):
        option = "" if directory == DEFAULT_DIRECTORY else f" --dir {shlex.quote(str(directory))}"
        raise ConfigurationError(
            f"{name} is an anvil chain, which keeps nothing and cannot go on: end what is left with "
            f"`piebridge network down{option}` and begin a new network with `piebridge network up --replace "
            f"--parachain-kind anvil{option}`"
        )


def _contract_of(text: str, network: NetworkFile) -> tuple[str, bytes]:
    name, separator, address = text.partition("=")
    try:
        decoded = bytes.fromhex(address.removeprefix("0x"))
    except ValueError:
        decoded = b""
    if not separator or len(decoded) != 20:
        raise ConfigurationError(f"{text!r} is not CHAIN=ADDRESS with a 20-byte address, for example chain-1=0x12...")
    return network.chain(name).name, decoded


@app.command(hidden=True)
def proxy(
    port: Annotated[int, typer.Option("--port", help="Port to listen on.")],
    target_port: Annotated[int, typer.Option("--target-port", help="Port to pass everything on to.")],
) -> None:
    """Pass a port on: the second endpoint of an anvil chain."""
    from piebridge.cli import serving
    from piebridge.cli.local_network.proxy import TcpProxy

    async def main() -> None:
        running = TcpProxy(port, target_port)
        await serving.serve(running, lambda: f"{running.address} passes on to port {target_port}")

    serving.run_until_told(main)


def _stay(network: NetworkFile, directory: Path, *, quiet: bool) -> None:
    """Wait for Ctrl-C, or until somebody has ended the network from elsewhere, then end everything that is left."""
    from piebridge.cli.local_network import ending

    if not quiet:
        output.say("Ctrl-C ends everything.")
    told: set[str] = set()
    try:
        while running := {item.name for item in network.processes if processes.is_running(item)}:
            for item in network.processes:
                if item.name not in running | told:
                    told.add(item.name)
                    output.complain(f"{item.name} has ended; its log is {item.log_file} in the network's folder")
            time.sleep(_WATCH_SECONDS)
        output.complain("every process of the network has ended")
    except KeyboardInterrupt:
        if not quiet:
            output.say("ending")
        ending.end_all(directory)


def _status(network: NetworkFile, directory: Path) -> dict[str, Any]:
    known = addresses.of_all(network)
    listed = [
        {
            "name": item.name,
            "role": item.role,
            "running": processes.is_running(item),
            "pid": item.pid,
            "address": known.get(item.name, ""),
            "log_file": str(directory / item.log_file),
        }
        for item in network.processes
    ]
    return {
        "directory": str(directory),
        "network_file": str(directory / network_file.FILE_NAME),
        "running": all(item["running"] for item in listed),
        "processes": listed,
    }


async def _heights(network: NetworkFile) -> dict[str, int | None]:
    from piebridge.chains.cometbft_rpc import CometBftRpc
    from piebridge.chains.jsonrpc import JsonRpcClient
    from piebridge.crypto.errors import ChainError

    async def parachain(url: str) -> int | None:
        async with JsonRpcClient(url, timeout_seconds=2.0) as client:
            try:
                return int(str(await client.call("eth_blockNumber")), 16)
            except ChainError:
                return None

    async def relay(url: str) -> int | None:
        rpc = CometBftRpc(url, timeout_seconds=2.0)
        try:
            return (await rpc.status()).height
        except ChainError:
            return None
        finally:
            await rpc.close()

    asked = {name: parachain(url) for name, url in addresses.of_parachain_nodes(network).items()}
    asked |= {name: relay(url) for name, url in addresses.of_relay_nodes(network).items()}
    return dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))


def _print_where(network: NetworkFile, directory: Path, *, detached: bool) -> None:
    rows = [
        [chain.name, str(chain.registration), str(chain.evm_chain_id), chain.rpc_url, chain.hub]
        for chain in network.chains
    ]
    output.print_table(None, ("parachain", "registration", "EVM chain id", "RPC", "hub"), rows)
    option = "" if directory == DEFAULT_DIRECTORY else f" --dir {shlex.quote(str(directory))}"
    output.say(f"everything a client needs: {directory / network_file.FILE_NAME}")
    output.say(f"logs:                      {directory / 'logs'}")
    output.say("")
    output.say("try it:")
    output.say(f"  piebridge token send --from chain-1 --to chain-2 --amount 5 --wait{option}")
    output.say(f"  piebridge packet list{option}")
    if detached:
        output.say(f"  piebridge network down{option}")
    sys.stdout.flush()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
