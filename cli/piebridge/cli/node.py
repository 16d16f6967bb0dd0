"""``piebridge node``: offer nodes to the market, look after them, take them back."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from eth_utils.address import to_checksum_address

from piebridge.cli import output, passphrase, progress, serving
from piebridge.cli.chain import Timing
from piebridge.cli.management import filing, management_file
from piebridge.cli.management.acting import (
    Secret,
    Session,
    account_key,
    account_passphrase,
    account_passphrase_file,
    open_reader,
)
from piebridge.cli.management.management_file import DEFAULT_DIRECTORY, ManagementFile
from piebridge.cli.management.options import AccountOption, JsonOption, ManagementOption
from piebridge.cli.progress import Progress
from piebridge.crypto.errors import ConfigurationError
from piebridge.management_chain.chain.contracts import ContractName
from piebridge.management_chain.client.reader import ManagementReader
from piebridge.management_chain.client.views import NodeState, NodeView, OperatorView
from piebridge.management_chain.node.keys import FILE_NAME, OwnNode, load_node, make_node

if TYPE_CHECKING:
    from piebridge.management_chain.node.run import ManagementAccess

app = typer.Typer(
    no_args_is_help=True,
    help="Offer nodes to the market, from which the validators of relay chains are drawn; look after them; take them "
    "back.\n\nThe governors admit operators; each node needs a bond, which misbehaviour costs.",
)

NodeArgument = Annotated[int, typer.Argument(help="Number of the node.", min=1, show_default=False)]

_DAY_SECONDS = 24 * 3600
_T = TypeVar("_T")


@app.command()
def offer(
    home: Annotated[
        Path, typer.Option("--home", help="Folder of the node; fresh keys are made there.", show_default=False)
    ],
    account: AccountOption,
    capacity: Annotated[
        int | None,
        typer.Option("--capacity", help="Packets a second. Default: what `node measure` finds now.", min=1),
    ] = None,
    peer: Annotated[
        str | None, typer.Option("--peer", help="HOST:PORT at which other validators reach it. Default: this machine.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="URL of its RPC for gateways. Default: this machine.")
    ] = None,
    rpc_port: Annotated[int, typer.Option("--rpc-port", help="Port of CometBFT's RPC.", min=1, max=65_535)] = 26_657,
    p2p_port: Annotated[int, typer.Option("--p2p-port", help="Port for other validators.", min=1, max=65_535)] = 26_656,
    days: Annotated[float, typer.Option("--days", help="How long the node is there from now on.", min=0.01)] = 90.0,
    agent: Annotated[
        str | None,
        typer.Option("--agent", help="Account from which `node run` reports. Default: the operator's own."),
    ] = None,
    renew: Annotated[
        int | None, typer.Option("--renew", help="Number of a node whose seat has ended: offer that one again.")
    ] = None,
    post_bond: Annotated[bool, typer.Option("--post-bond", help="Post what is missing of the bond as well.")] = False,
    management: ManagementOption = DEFAULT_DIRECTORY,
    passphrase_file: passphrase.FileOption = None,
    passphrase_fd: passphrase.DescriptorOption = None,
    json: JsonOption = False,
) -> None:
    """Offer a node to the market, as an operator. Its keys are made fresh, for one relay chain only.

    Example: piebridge node offer --home node-1 --as operator-1 --post-bond
    """
    file = management_file.load(management)
    secret = Secret(passphrase_file, passphrase_fd)
    if capacity is None:
        capacity = _measured(silent=json)

    async def doing(session: Session, shown: Progress) -> NodeView:
        reader = session.reader
        number = await reader.operator_number(session.address)
        if not number:
            raise ConfigurationError(
                f"{to_checksum_address(session.address)} is no operator: the governors have to admit it first"
                + (f" (here: `piebridge management admit {account}`)" if file.governor_key_file else "")
            )
        await _have_bond(session, number, post=post_bond, needs_another=renew is None)
        shown.working("making keys")
        words = account_passphrase(file, management, account, secret)
        node = _own_node(home, words, rpc_port=rpc_port, p2p_port=p2p_port, dev=file.dev)
        now = int(time.time())
        made = node.offer(
            session.address if agent is None else session.address_of(agent),
            capacity,
            now,
            now + int(days * _DAY_SECONDS),
            peer or f"127.0.0.1:{node.p2p_port}",
            endpoint or f"http://127.0.0.1:{node.rpc_port}",
        )
        signatures = node.sign_offer(made, file.contracts.place(ContractName.MARKET), number, words, dev=file.dev)
        shown.working("waiting for the next block")
        if renew is None:
            events = await session.send(ContractName.MARKET, "offerNode", made.encode(), *signatures)
            found = next(int(event.arguments["node"]) for event in events if event.name == "NodeOffered")
        else:
            await session.send(ContractName.MARKET, "renewNode", renew, made.encode(), *signatures)
            found = renew
        return await reader.node(found)

    node = filing.act(doing, management, account, secret, silent=json)
    if json:
        output.print_json({**_document(node), "home": str(home)})
    else:
        output.say(
            f"node {node.number} is on offer: {node.capacity} packets/s, until {_date(node.available_until)}; its "
            f"keys are in {home}"
        )
        output.say("the next draw may choose it; then its agent starts the validator")


@app.command()
def run(
    home: Annotated[
        Path,
        typer.Option("--home", help="Folder of the agent alone: chains, logs.", show_default=False),
    ],
    node: Annotated[
        list[Path],
        typer.Option("--node", help="Folder of a node, as `offer` made it; once for each.", show_default=False),
    ],
    account: AccountOption,
    timing: Annotated[
        Timing, typer.Option("--timing", help="local: all validators in one place. wide: CometBFT's defaults.")
    ] = Timing.WIDE,
    management: ManagementOption = DEFAULT_DIRECTORY,
    passphrase_file: passphrase.FileOption = None,
) -> None:
    """Run the agent of nodes until SIGTERM or Ctrl-C: it starts their validators when they are drawn, and stops them.

    It follows the management chain by light client and believes only decisions that are proven and final. Killed at
    any moment, it goes on where it was.

    Example: piebridge node run --home agent-1 --node node-1 --as operator-1
    """
    from piebridge.management_chain.node.launch import LaunchSettings
    from piebridge.management_chain.node.run import make_agent, own_command

    file = management_file.load(management)
    words = account_passphrase_file(file, management, account, passphrase_file)
    launch = LaunchSettings(own_command(), words.absolute(), file.dev, timing.value)
    private_key = account_key(file, management, account, Secret(words))
    nodes = [load_node(folder.absolute()) for folder in node]

    async def main() -> None:
        agent = make_agent(home.absolute(), nodes, _access(file), launch, private_key)
        await serving.serve(agent, lambda: f"the agent of {len(nodes)} node(s) follows {file.cometbft_chain_id}")

    serving.run_until_told(main)


@app.command()
def withdraw(
    node: NodeArgument,
    account: AccountOption,
    leave: Annotated[
        bool, typer.Option("--leave", help="It has a seat: ask for a successor, and keep it running until then.")
    ] = False,
    exit_now: Annotated[
        bool, typer.Option("--exit", help="It has a seat: gone at once. Costs a quarter of its bond and half its name.")
    ] = False,
    management: ManagementOption = DEFAULT_DIRECTORY,
    passphrase_file: passphrase.FileOption = None,
    passphrase_fd: passphrase.DescriptorOption = None,
    json: JsonOption = False,
) -> None:
    """Take a node off the market. One that has a seat leaves it in order (--leave) or at once (--exit).

    Example: piebridge node withdraw 3 --as operator-1
    """
    if leave and exit_now:
        raise ConfigurationError("--leave and --exit exclude each other: in order, or at once")

    async def doing(session: Session, _shown: Progress) -> NodeView:
        view = await session.reader.node(node)
        seated = view.state in (NodeState.SEATED, NodeState.LEAVING)
        if seated and not (leave or exit_now):
            raise ConfigurationError(
                f"node {node} has a seat in relay chain {view.relay}: --leave asks for a successor and costs nothing, "
                "--exit goes at once and costs a quarter of its bond and half its reputation"
            )
        if not seated and (leave or exit_now):
            raise ConfigurationError(
                f"node {node} has no seat ({view.state.name.lower()}): leave out --leave and --exit"
            )
        function = "exitSeat" if exit_now else "leaveSeat" if leave else "withdrawNode"
        await session.send(ContractName.MARKET, function, node)
        return await session.reader.node(node)

    view = filing.act(doing, management, account, Secret(passphrase_file, passphrase_fd), silent=json)
    if json:
        output.print_json(_document(view))
    else:
        output.say(f"node {node} is {_words(view)}")


@app.command()
def status(
    node: Annotated[int | None, typer.Argument(help="Number of a node; all nodes if none.")] = None,
    management: ManagementOption = DEFAULT_DIRECTORY,
    json: JsonOption = False,
) -> None:
    """Show nodes of the market: whose they are, whether they have a seat, what their reputation is."""
    file = management_file.load(management)

    async def look(reader: ManagementReader) -> tuple[list[NodeView], dict[int, OperatorView]]:
        counts = await reader.counts()
        numbers = range(1, counts.nodes + 1) if node is None else [node]
        nodes = [await reader.node(number) for number in numbers]
        if node is not None and nodes[0].state is NodeState.NONE:
            raise ConfigurationError(f"there is no node {node}; the market has had {counts.nodes}")
        return nodes, {item.operator: await reader.operator(item.operator) for item in nodes}

    nodes, operators = asyncio.run(_reading(file, look))
    if json:
        output.print_json([{**_document(item), "bonded_wei": str(operators[item.operator].bonded)} for item in nodes])
    elif nodes:
        output.print_table(
            None,
            ("node", "operator", "state", "relay chain", "reputation", "packets/s", "served", "until", "endpoint"),
            [
                [
                    str(item.number),
                    f"{item.operator}{' (suspended)' if operators[item.operator].suspended else ''}",
                    _words(item),
                    str(item.relay or "-"),
                    str(item.reputation),
                    str(item.capacity),
                    str(item.served),
                    _date(item.available_until),
                    item.endpoint,
                ]
                for item in nodes
            ],
        )
    else:
        output.say("no node was ever offered here; begin with: [bold]piebridge node offer --help[/]")


@app.command()
def measure(
    seconds: Annotated[float, typer.Option("--seconds", help="How long to measure.", min=0.5, max=60)] = 3.0,
    json: JsonOption = False,
) -> None:
    """Measure how many packets a second this machine verifies: the relay application alone, one validator.

    What `node offer` states as capacity. Network and disk are not in it; run it while nothing else runs.
    """
    from piebridge.cli.management.measuring import measure as run

    with progress.shown(silent=json) as shown:
        shown.working(f"verifying packets for {seconds:.0f} s")
        measured = run(seconds)
    if json:
        output.print_json(asdict(measured))
    else:
        output.say(
            f"{measured.packets_per_second} packets/s ({measured.packets} packets in {measured.seconds:.1f} s, batches "
            f"of {measured.packets_per_batch}, {measured.notaries} notary signatures each)"
        )


def _access(file: ManagementFile) -> "ManagementAccess":
    """Return how an agent reaches the management chain.

    Raises:
        ConfigurationError: no light client can follow it.
    """
    from piebridge.management_chain.follower.node import NodeAddresses
    from piebridge.management_chain.follower.trust import TrustRoot
    from piebridge.management_chain.node.run import ManagementAccess

    if file.cometbft_chain_id is None or file.trusted_height is None or file.trusted_hash is None:
        raise ConfigurationError(
            f"{file.name} is another EVM chain, which agents cannot follow by light client: they need a "
            "management chain of its own (`piebridge management up`)"
        )
    eth_urls = file.rpc_urls if len(file.rpc_urls) == len(file.cometbft_rpc_urls) else file.rpc_urls[:1]
    return ManagementAccess(
        nodes=tuple(
            NodeAddresses(cometbft_url, eth_url)
            for cometbft_url, eth_url in zip(file.cometbft_rpc_urls, eth_urls, strict=False)
        ),
        root=TrustRoot(file.cometbft_chain_id, file.trusted_height, bytes.fromhex(file.trusted_hash[2:])),
        registry=file.contracts.place(ContractName.REGISTRY),
        board=file.contracts.address(ContractName.BOARD),
        market=file.contracts.address(ContractName.MARKET),
        first_block=file.deployed_in_block,
    )


def _measured(*, silent: bool) -> int:
    from piebridge.cli.management.measuring import measure as run

    with progress.shown(silent=silent) as shown:
        shown.working("measuring what this machine verifies")
        measured = run(3.0)
        shown.done(f"this machine verifies {measured.packets_per_second} packets a second")
    return max(1, measured.packets_per_second)


async def _have_bond(session: Session, operator: int, *, post: bool, needs_another: bool) -> None:
    """Check that the bond covers one node more, and post what is missing if the user wants that.

    Raises:
        ConfigurationError: it does not, and nothing shall be posted.
    """
    view, each = await session.reader.operator(operator), await session.reader.bond_per_node()
    missing = each * (view.nodes + needs_another) - view.bonded
    if missing <= 0:
        return
    if not post:
        raise ConfigurationError(
            f"the bond of operator {operator} is {missing} wei short of {each} for each node: add --post-bond"
        )
    await session.send(ContractName.MARKET, "postBond", value=missing)


def _own_node(home: Path, words: str, *, rpc_port: int, p2p_port: int, dev: bool) -> OwnNode:
    """Return the node of a folder, made now if there is none: an offer that failed is made again with its keys."""
    if (home / FILE_NAME).is_file():
        return load_node(home)
    return make_node(home, words, rpc_port=rpc_port, p2p_port=p2p_port, dev=dev)


async def _reading(file: ManagementFile, look: Callable[[ManagementReader], Coroutine[Any, Any, _T]]) -> _T:
    async with open_reader(file) as reader:
        return await look(reader)


def _document(node: NodeView) -> dict[str, Any]:
    return {
        "node": node.number,
        "operator": node.operator,
        "state": node.state.name.lower(),
        "relay": node.relay or None,
        "reputation": node.reputation,
        "served_periods": node.served,
        "absences": node.absences,
        "capacity": node.capacity,
        "available_from": node.available_from,
        "available_until": node.available_until,
        "last_seen": node.last_seen,
        "consensus_key": f"0x{node.consensus_key.hex()}",
        "endorsement": to_checksum_address(node.endorsement) if node.endorsement else None,
        "agent": to_checksum_address(node.agent),
        "endpoint": node.endpoint,
    }


def _words(node: NodeView) -> str:
    return {
        NodeState.NONE: "unknown",
        NodeState.OFFERED: "on offer",
        NodeState.RESERVED: "drawn",
        NodeState.SEATED: "validator",
        NodeState.LEAVING: "leaving",
        NodeState.SPENT: "free, needs new keys",
        NodeState.WITHDRAWN: "withdrawn",
        NodeState.CONVICTED: "convicted",
    }[node.state]


def _date(seconds: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
