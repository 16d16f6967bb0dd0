"""The life of a domain by its commands, on a management chain of its own: formed, changed, scaled, dissolved.

The agents' and governors' parts that need running relay chains are played here: reports are sent by the operators'
accounts, and the --dev governor key says that a decision was carried out.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from piebridge.cli.local_network.plan import Wishes
from piebridge.cli.management import management_file
from piebridge.cli.management.acting import governed_by_us, open_management
from piebridge.evm_chain.genesis import GenesisAccount, evm_genesis
from piebridge.management_chain.chain.contracts import ContractName
from piebridge.management_chain.domains.template import domain_template
from piebridge.protocol_stack.management.governor_message import RegistryOrder, executed_body
from testkit.command_line import CommandLine, Outcome
from testkit.evm_chain_node import running_node
from testkit.ports import free_port_base

HUB = b"\x4b" * 20
CHAIN_IDS = (92_001, 92_002)
REPRESENTATIVES = {1: "alice", 2: "bob"}
GENESIS_HASH = b"\x5a" * 32


@dataclass(frozen=True)
class World:
    """A management chain, and two parachains with something where their hubs should be."""

    shell: CommandLine
    management: Path
    domain_file: Path

    def run(self, *words: object) -> Any:  # noqa: ANN401 - whatever the command prints
        """Run a command that must succeed, and return its document."""
        outcome = self.attempt(*words)
        assert outcome.exit_code == 0, f"{words}\n{outcome.output}\n{outcome.errors}"
        return outcome.json()

    def attempt(self, *words: object) -> Outcome:
        return self.shell.run(*words, "--json")

    def carry_out(self, request: str) -> None:
        """Play the agents that start the relay chains, and the governors who open the domain on every hub."""
        asyncio.run(self._carry_out(bytes.fromhex(request[2:])))

    async def _carry_out(self, request_id: bytes) -> None:
        file = management_file.load(self.management)
        async with open_management(file, self.management, account="carol") as carol:
            view = await carol.reader.request(request_id)
            for relay in (await carol.reader.decision(view)).relays:
                for seat in relay.seats:
                    async with open_management(file, self.management, account=f"operator-{seat.operator}") as operator:
                        await operator.send(
                            ContractName.REGISTRY, "reportGenesis", request_id, relay.relay, seat.node, GENESIS_HASH
                        )
            domain = (await carol.reader.request(request_id)).domain
            body = executed_body(await carol.reader.request_content(request_id))
            await governed_by_us(carol, ContractName.REGISTRY, domain, RegistryOrder.EXECUTED, body)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("domains")
    shell = CommandLine(folder)
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(running_node(app_state=evm_genesis(chain_id, {HUB: GenesisAccount(code=b"\x00")})))
            for chain_id in CHAIN_IDS
        ]
        file = folder / "domain.toml"
        file.write_text(_domain_file([(item.eth_address, item.node.rpc_addresses) for item in nodes]))
        up = shell.run("management", "up", "--detach", "--operators", 8, "--port-base", free_port_base(Wishes()))
        assert up.exit_code == 0, up.errors
        try:
            yield World(shell, folder / "piebridge-management", file)
        finally:
            shell.run("management", "down")


def _domain_file(chains: list[tuple[str, tuple[str, ...]]]) -> str:
    template = domain_template()
    tables = [
        f'[[chain]]\nname = "chain-{number}"\nregistration = {number}\nverification = "spv"\ndepth = 0\n'
        f'rpc_urls = ["{eth}"]\ncometbft_rpc_urls = {json.dumps(rpc[:2])}\n\n'
        "[chain.light_client]\ntrusting_period_seconds = 1_209_600\n"
        for number, (eth, rpc) in enumerate(chains, 1)
    ]
    gateway = f'[[gateway]]\naddress = "0x{77:040x}"\n'
    return "\n".join([template[: template.index("\n[[chain]]")], *tables, gateway])


def approve(world: World, request: str, registrations: tuple[int, ...] = (1, 2)) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for registration in registrations:
        document = world.run(
            *("domain", "approve", "--request", request, "--registration", registration),
            *("--as", REPRESENTATIVES[registration]),
        )
    return document


@pytest.mark.real_chain
@pytest.mark.slow
def test_a_domain_is_formed_changed_scaled_and_dissolved_by_commands(world: World) -> None:
    assert world.run("domain", "status") == []

    # Operators
    stranger = world.attempt("node", "offer", "--home", "nodes/0", "--as", "operator-1", "--capacity", 500)
    assert "is no operator" in stranger.errors
    operators = [f"operator-{number}" for number in range(1, 9)]
    admitted = world.run("management", "admit", *operators)
    assert [item["operator"] for item in admitted] == list(range(1, 9))
    assert world.run("management", "admit", "operator-1")[0]["operator"] == 1
    poor = world.attempt("node", "offer", "--home", "nodes/1", "--as", "operator-1", "--capacity", 500)
    assert "--post-bond" in poor.errors
    for number, operator in enumerate(operators, 1):
        offered = world.run(
            *("node", "offer", "--home", f"nodes/{number}", "--as", operator, "--capacity", 500, "--post-bond")
        )
        assert (offered["node"], offered["state"]) == (number, "offered")
    withdrawn = world.run("node", "offer", "--home", "nodes/9", "--as", "operator-1", "--capacity", 1, "--post-bond")
    assert world.run("node", "withdraw", withdrawn["node"], "--as", "operator-1")["state"] == "withdrawn"
    theft = world.attempt("node", "withdraw", 2, "--as", "operator-1")
    assert "belongs to another operator" in theft.errors

    # Parachains
    for number, name in REPRESENTATIVES.items():
        assert world.run("domain", "register", "--as", name)["registration"] == number
    early = world.attempt("domain", "request", "--file", world.domain_file, "--registration", 1, "--as", "alice")
    assert "hub is not bound yet" in early.errors
    for number, name in REPRESENTATIVES.items():
        world.run(
            *("domain", "register", "--as", name, "--registration", number),
            *("--hub", f"0x{HUB.hex()}", "--hub-chain", CHAIN_IDS[number - 1]),
        )

    # The request
    wrong = world.attempt("domain", "request", "--file", world.domain_file, "--registration", 1, "--as", "bob")
    assert wrong.exit_code == 1
    filed = world.run("domain", "request", "--file", world.domain_file, "--registration", 1, "--as", "alice")
    assert (filed["state"], filed["who"]) == ("filed", ["representative of parachain 2"])
    assert "nothing that anybody could do" in world.attempt("domain", "advance", "--as", "carol").errors
    assert approve(world, filed["request"], (2,))["who"] == ["anybody"]
    drawn = world.run("domain", "advance", "--as", "carol")
    assert (drawn["state"], drawn["domain"]) == ("drawn", 1)
    pending = world.run("domain", "show", "--request", filed["request"])
    (relay,) = pending["relay_chain_details"]
    assert len({node["operator"] for node in relay["nodes"]}) == 4
    confirmed = approve(world, filed["request"])
    assert confirmed["state"] == "confirmed"
    assert sorted(confirmed["who"]) == sorted(f"agent of node {node['node']}" for node in relay["nodes"])
    world.carry_out(filed["request"])
    (status,) = world.run("domain", "status")
    assert (status["state"], status["waits_for"], status["members"]) == ("running", "", [1, 2])

    # One gateway more: no draw
    change = world.run(*("gateway", "authorise", 1, f"0x{78:040x}", "--quota", 9, "--registration", 1, "--as", "alice"))
    assert approve(world, change["request"], (2,))["state"] == "cosigned"
    assert world.run("domain", "advance", "--as", "carol")["state"] == "executing"
    busy = world.attempt("domain", "dissolve", 1, "--registration", 1, "--as", "alice")
    assert "one after the other" in busy.errors or "is being changed already" in busy.errors
    world.carry_out(change["request"])
    gateways = {item["address"]: item["quota"] for item in world.run("domain", "show", 1)["gateways"]}
    assert sorted(gateways.values()) == [9, 10_000]

    # Two relay chains, then one
    grown = world.run(
        *("domain", "scale", 1, "--to", 2, "--file", world.domain_file, "--registration", 1, "--as", "alice")
    )
    approve(world, grown["request"], (2,))
    assert world.run("domain", "advance", "--as", "carol")["state"] == "drawn"
    approve(world, grown["request"])
    world.carry_out(grown["request"])
    assert len(world.run("domain", "show", 1)["relay_chains"]) == 2
    shrunk = world.run("domain", "scale", 1, "--to", 1, "--registration", 2, "--as", "bob")
    assert shrunk["kind"] == "scale_down"
    rejected = world.run(
        "domain", "approve", "--reject", "--request", shrunk["request"], "--registration", 1, "--as", "alice"
    )
    assert rejected["state"] == "refused"

    # The end
    end = world.run("domain", "dissolve", 1, "--registration", 1, "--as", "alice")
    approve(world, end["request"], (2,))
    assert world.run("domain", "advance", "--as", "carol")["state"] == "executing"
    world.carry_out(end["request"])
    listing = world.run("domain", "list")
    assert ([item["state"] for item in listing["domains"]], listing["requests"]) == (["dissolved"], [])


@pytest.mark.real_chain
@pytest.mark.slow
def test_a_management_chain_that_was_stopped_goes_on_where_it_was(world: World) -> None:
    before = world.run("management", "status")
    assert world.run("management", "down")["ended"] == ["management"]
    assert world.shell.run("management", "status", "--json").exit_code == 1
    world.run("management", "up", "--detach")
    after = world.run("management", "status")
    assert after["running"]
    assert after["height"] >= before["height"]
    assert after["domains"] == before["domains"]
    assert "runs in" in world.attempt("management", "up", "--detach").errors
