"""A relay chain of four CometBFT validators in four processes, and EVM chains on CometBFT: used, killed, compared.

One network for all tests of this file, which therefore each leave it whole. `CAMPAIGN_SEED` replays what is drawn.
"""

import asyncio
import base64
import contextlib
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from piebridge.abci.embedded.engine import EmbeddedEngine
from piebridge.cli import network_file, processes
from piebridge.cli.local_network.plan import Engine, ParachainKind
from piebridge.cometbft.json_format import header_from_json
from piebridge.evm_chain.app import EvmApplication
from piebridge.evm_chain.store import MemoryStore
from piebridge.failpoints import ABCI, EXIT_STATUS, RELAY, VARIABLE
from piebridge.protocol_stack.commitment import endorsed_head_key
from piebridge.protocol_stack.endorsement import EndorsementAnswer
from piebridge.protocol_stack.transport.outbox import OutboxHead
from piebridge.relay.app.application import RelayApplication
from piebridge.relay.app.state import MemoryBackend
from testkit.campaign.processes_of_network import CampaignNetwork, start_network
from testkit.campaign.scene import Scene, scene
from testkit.cometbft_chains import Node, assert_same_state, caught_up, genesis_of, replay, within
from testkit.command_line import CommandLine, processes_that_mention
from testkit.light_proxy import Json, altering_rpc, light_proxy
from testkit.toolchain import require_tool

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

VALIDATORS = [f"relay-1-validator-{index}" for index in range(4)]
BLOCKS_TO_RESUME_MAX = 10
PACKETS = 12


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CampaignNetwork]:
    require_tool("cometbft")
    directory = tmp_path_factory.mktemp("cometbft") / "network"
    started = asyncio.run(start_network(directory, ParachainKind.EMBEDDED, engine=Engine.COMETBFT))
    yield started
    started.stop()
    assert processes_that_mention(directory) == []


@pytest.fixture(scope="module")
def seed() -> int:
    number = int(os.environ.get("CAMPAIGN_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"replay: CAMPAIGN_SEED={number} python -m pytest -s tests/e2e/test_cometbft_network.py")
    return number


@asynccontextmanager
async def relay_nodes(network: CampaignNetwork) -> AsyncIterator[list[Node]]:
    (relay,) = network.network.relay_chains
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        yield [Node(validator.rpc_url, session) for validator in relay.validators]


async def traced(network: CampaignNetwork, packet_id: str) -> Json:
    """What `packet trace` says."""
    line = CommandLine(network.directory.parent)
    arguments = ("packet", "trace", packet_id, "--json", "--dir", network.directory)
    outcome = await asyncio.to_thread(line.run, *arguments)
    assert outcome.exit_code == 0, outcome.errors
    found: Json = outcome.json()
    return found


def node_log(network: CampaignNetwork, index: int) -> Path:
    return network.directory / f"relays/relay-1/validator-{index}/cometbft/node.log"


def test_the_network_file_names_every_process_and_address(network: CampaignNetwork) -> None:
    described = network_file.load(network.directory)
    (relay,) = described.relay_chains
    assert (relay.engine, relay.n, relay.k) == ("cometbft", 4, 3)
    assert [validator.process for validator in relay.validators] == VALIDATORS
    assert len({validator.rpc_url for validator in relay.validators}) == 4
    assert {chain.engine for chain in described.chains} == {"cometbft"}
    pids = [entry.pid for entry in described.processes if entry.name in VALIDATORS]
    assert len(set(pids)) == 4
    outcome = CommandLine(network.directory.parent).run("network", "status", "--json", "--dir", network.directory)
    listed = {item["name"]: item for item in outcome.json()["processes"]}
    assert outcome.exit_code == 0
    assert all(listed[name]["height"] >= 1 for name in (*VALIDATORS, "chain-1", "chain-2"))


def test_keys_and_sockets_are_their_owners_only(network: CampaignNetwork) -> None:
    for home in network.directory.glob("relays/relay-1/validator-*/cometbft"):
        assert home.stat().st_mode & 0o077 == 0
        for name in ("abci.sock", "config/priv_validator_key.json", "config/node_key.json"):
            assert (home / name).stat().st_mode & 0o077 == 0, name


def test_everything_listens_on_this_machine_only(network: CampaignNetwork) -> None:
    own = {entry.pid for entry in network.network.processes}
    nodes = {child for pid in own for child in children_of(pid)}
    assert len(nodes) == 6, "a CometBFT node for each validator"
    addresses = listening_addresses(own | nodes)
    assert len(addresses) >= 6 * 2 + 2 + 2, "RPC and P2P of each node, eth_* of each chain, status of each gateway"
    assert set(addresses) == {"0100007F"}


async def test_cometbfts_light_client_verifies_what_the_relay_chain_endorses(
    network: CampaignNetwork, seed: int, tmp_path: Path
) -> None:
    """From another program's view: headers of four validators, and a proof that came through the ABCI socket."""
    (relay,) = network.network.relay_chains
    urls = [validator.rpc_url for validator in relay.validators]
    async with scene(network, seed) as begun, relay_nodes(network) as nodes:
        await begun.traffic.send(PACKETS)
        begun.in_flight.append(len(await begun.work()))
        await begun.check_all()
        trusted = bytes.fromhex(relay.trusted_hash[2:])
        async with light_proxy(tmp_path, relay.chain_id, urls[0], urls[1:3], relay.trusted_height, trusted) as client:
            height = await nodes[0].height()
            assert height is not None
            for number in range(2, height):
                header = (await client.ask("commit", height=str(number)))["signed_header"]["header"]
                assert header_from_json(header) == await nodes[3].header(number)
            key = endorsed_head_key(network.network.chains[0].registration)
            answer = (await client.ask("abci_query", path="/store/endorsed/key", data=key.hex()))["response"]
            assert OutboxHead.decode(base64.b64decode(answer["value"])).number > 0


async def test_packets_go_on_with_one_validator_down_whichever_it_is(network: CampaignNetwork, seed: int) -> None:
    async with scene(network, seed) as begun, relay_nodes(network) as nodes:
        for index in (0, 3):
            await begun.traffic.send(PACKETS)
            assert await begun.kill([VALIDATORS[index]])
            assert await nodes[index].height() is None
            packets = await begun.traffic.send(PACKETS)
            await begun.settle()
            assert (await traced(network, packets[0].id))["waits"] == []
            network.start(VALIDATORS[index])
            await caught_up(nodes)
        await begun.check_all()
        await assert_same_state(nodes)


async def test_with_two_of_four_down_it_stops_loses_nothing_and_resumes(network: CampaignNetwork, seed: int) -> None:
    async with scene(network, seed + 1) as begun, relay_nodes(network) as nodes:
        await begun.traffic.send(PACKETS)
        assert await begun.kill([VALIDATORS[1], VALIDATORS[2]])
        await asyncio.sleep(2)  # what was decided already is committed
        stopped = await nodes[0].height()
        assert stopped is not None
        waiting = {packet.id for packet in await begun.traffic.send(PACKETS)}
        await asyncio.sleep(6)  # longer than the interval of empty blocks
        assert await nodes[0].height() == await nodes[3].height() == stopped, "two of four have decided a block"
        assert waiting <= await begun.pending.look(), "a packet was executed without a relay chain"
        (wait,) = (await traced(network, min(waiting)))["waits"]
        assert wait["reason"] == "relay-unreachable"
        assert "2 of 4 validators run, 3 must; down: relay-1-validator-1, relay-1-validator-2" in wait["text"]
        for index in (1, 2):
            network.start(VALIDATORS[index])
        await caught_up(nodes)
        await begun.settle()
        await begun.check_all()
        first = stopped + 1
        while not await nodes[0].transactions(first):
            first += 1
        assert first - stopped <= BLOCKS_TO_RESUME_MAX, f"stopped at {stopped}, worked again at {first}"
        await assert_same_state(nodes)


async def test_a_killed_node_is_started_again_by_its_supervisor(network: CampaignNetwork, seed: int) -> None:
    """Only CometBFT dies; the process that the network knows lives on and heals it."""
    async with scene(network, seed + 2) as begun, relay_nodes(network) as nodes:
        await begun.traffic.send(PACKETS)
        entry = network.entry(VALIDATORS[2])
        (child,) = children_of(entry.pid)
        assert await begun.fault(lambda: os.kill(child, signal.SIGKILL))

        async def healed() -> bool:
            return (await nodes[2].height() or 0) > 0 and bool(set(children_of(entry.pid)) - {child})

        await within(30, "the node is started again", healed)
        assert network.is_running(VALIDATORS[2])
        assert "ended by signal 9 unasked" in network.log(VALIDATORS[2])
        await begun.check_all()
        await assert_same_state(nodes)


async def test_a_rolling_restart_stops_nothing(network: CampaignNetwork, seed: int) -> None:
    line = CommandLine(network.directory.parent)
    async with scene(network, seed + 3) as begun, relay_nodes(network) as nodes:
        await begun.traffic.send(PACKETS)
        before = {name: network.entry(name).pid for name in VALIDATORS}
        begun.in_flight.append(len(await begun.work()))
        restarting = asyncio.create_task(
            asyncio.to_thread(line.run, "network", "restart", "--json", "--dir", network.directory)
        )
        while not restarting.done():
            await begun.traffic.send(2)
            answering = [height for height in [await node.height() for node in nodes] if height is not None]
            assert len(answering) >= 3, "more than one validator is down"
        outcome = await restarting
        assert outcome.exit_code == 0, outcome.errors
        assert [item["name"] for item in outcome.json()] == VALIDATORS
        assert not any(item["killed"] for item in outcome.json())
        network.read_again()
        assert all(network.entry(name).pid != before[name] for name in VALIDATORS)
        await begun.check_all()
        await assert_same_state(nodes)


async def test_packets_go_on_while_a_validator_hangs(network: CampaignNetwork, seed: int) -> None:
    """Its ports are open, connections are taken, and no answer ever comes: worse than being down."""
    pid = network.entry(VALIDATORS[0]).pid
    hanging = [pid, *children_of(pid)]
    async with scene(network, seed + 7) as begun, relay_nodes(network) as nodes:
        await begun.traffic.send(PACKETS)
        try:
            for process in hanging:
                os.kill(process, signal.SIGSTOP)
            begun.in_flight.append(len(await begun.work()))
            await begun.traffic.send(PACKETS)
            await begun.settle()
        finally:
            for process in hanging:
                os.kill(process, signal.SIGCONT)
        await caught_up(nodes)
        await begun.check_all()
        await assert_same_state(nodes)


async def test_validators_that_lie_about_their_signature_are_outvoted(network: CampaignNetwork, seed: int) -> None:
    lies = 0

    async def lie(method: str, params: Json, result: Json) -> Json:
        """Another value, and a signature that is nobody's."""
        nonlocal lies
        if method == "abci_query" and params.get("path") == "/endorse" and result["response"].get("value"):
            lies += 1
            result["response"]["value"] = spoiled(result["response"]["value"])
        return result

    (relay,) = network.network.relay_chains
    honest = relay.validators[1].rpc_url
    async with altering_rpc(honest, lie) as liar, scene(network, seed + 4) as begun:
        gateways = network.names("gateway")
        await begun.traffic.send(PACKETS)
        assert await begun.kill(gateways)
        path = network.directory / network_file.FILE_NAME
        whole = path.read_text()
        path.write_text(whole.replace(honest, liar))
        try:
            for name in gateways:
                network.start(name, keep_file=True)
            await begun.traffic.send(PACKETS)
            await begun.settle()
            assert lies > 0, "nobody asked the liar"
        finally:
            for name in gateways:
                network.kill(name)
            path.write_text(whole)
            for name in gateways:
                network.start(name)
        await begun.check_all()


def spoiled(value: str) -> str:
    answer = EndorsementAnswer.decode(base64.b64decode(value))
    wrong = bytes([answer.value[0] ^ 1]) + answer.value[1:]
    return base64.b64encode(
        EndorsementAnswer(answer.epoch, answer.index, answer.address, wrong, answer.signature).encode()
    ).decode()


FAIL_INDEXES = range(15)
"""A height has eleven passages of CometBFT's ten call sites, a block that is fetched at the start has four of them."""


async def end_and_come_back(begun: Scene, nodes: list[Node], name: str, environment: dict[str, str]) -> tuple[int, str]:
    """Let a validator die on purpose with packets under way, and bring it back; returns exit code and last words."""
    network = begun.network
    network.kill(name)
    network.start(name, environment={"PIEBRIDGE_RESTARTS": "0", **environment})
    deadline = time.monotonic() + 30
    while (status := await network.ends(name, 1.0)) is None:
        await begun.traffic.send(2)
        assert time.monotonic() < deadline, f"{name} did not reach {environment}"
    begun.in_flight.append(max(1, len(await begun.pending.look())))
    words = network.log(name)
    network.start(name)
    await caught_up(nodes)
    return status, words


async def test_a_validator_dies_at_each_fail_point_of_cometbft(network: CampaignNetwork, seed: int) -> None:
    async with scene(network, seed + 5) as begun, relay_nodes(network) as nodes:
        for index in FAIL_INDEXES:
            size = node_log(network, 3).stat().st_size
            status, words = await end_and_come_back(begun, nodes, VALIDATORS[3], {"FAIL_TEST_INDEX": str(index)})
            assert status == 1, words
            assert "exit code 1 unasked" in words, words
            assert f"*** fail-test {index} ***".encode() in node_log(network, 3).read_bytes()[size:]
        await begun.check_all()
        await assert_same_state(nodes)


async def test_a_validator_dies_at_each_failpoint_of_its_application(network: CampaignNetwork, seed: int) -> None:
    points = [name for name in ABCI if name != "abci.after_init_chain"]
    points += [name for name in RELAY if name.startswith("relay.storage")]
    async with scene(network, seed + 6) as begun, relay_nodes(network) as nodes:
        for point in points:
            status, words = await end_and_come_back(begun, nodes, VALIDATORS[1], {VARIABLE: f"{point}:2"})
            assert status == EXIT_STATUS, words
            assert f"ended at failpoint {point}" in words, words
        await begun.check_all()
        await assert_same_state(nodes)


async def test_the_embedded_engine_makes_the_same_blocks_of_the_relay_chain(
    network: CampaignNetwork, seed: int
) -> None:
    """Among the last of the tests that use the network: the more has happened, the more is compared.

    For its own part it sees to blocks of a later round, in whose votes one of four is absent.
    """
    async with scene(network, seed + 8) as begun, relay_nodes(network) as nodes:
        network.kill(VALIDATORS[3])
        seen = await nodes[0].height() or 1

        async def a_round_failed() -> bool:
            nonlocal seen
            await begun.traffic.send(2)
            newest = await nodes[0].height() or seen
            rounds = [(await nodes[0].block(number)).last_commit.round for number in range(seen + 1, newest + 1)]
            seen = newest
            return any(rounds)

        await within(60, "a round without its proposer", a_round_failed)
        network.start(VALIDATORS[3])
        await caught_up(nodes)
        await begun.settle()
    genesis = genesis_of((network.directory / "relays/relay-1/config/genesis.json").read_bytes())
    async with relay_nodes(network) as nodes:
        engine = EmbeddedEngine(RelayApplication(MemoryBackend()), genesis, [])
        height = await replay(nodes[0], engine)
        assert sum(len(engine.block(number).block.txs) for number in range(1, height + 1)) > 4
        assert any(engine.block(number).seen_commit.round for number in range(1, height + 1)), "no round failed"
        engine.close()


@pytest.mark.parametrize("name", ["chain-1", "chain-2"])
async def test_the_embedded_engine_makes_the_same_blocks_of_an_evm_chain(network: CampaignNetwork, name: str) -> None:
    genesis = genesis_of((network.directory / f"chains/{name}/config/genesis.json").read_bytes())
    (url,) = network.network.chain(name).cometbft_rpc_urls
    async with aiohttp.ClientSession() as session:
        application = EvmApplication(MemoryStore())
        engine = EmbeddedEngine(application, genesis, [])
        height = await replay(Node(url, session), engine)
        head = application.database.head
        assert head is not None
        assert head.header.number >= 3
        assert head.cometbft_height == height
        engine.close()


def listening_addresses(pids: set[int]) -> list[str]:
    """Addresses, as the kernel writes them, on which processes listen for TCP."""
    inodes = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                inodes.add(os.readlink(descriptor))
    rows = [row.split() for table in ("tcp", "tcp6") for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
    return [row[1].split(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes]


def children_of(pid: int) -> list[int]:
    return [
        int(child)
        for thread in Path(f"/proc/{pid}/task").iterdir()
        for child in (thread / "children").read_text().split()
        if processes.start_time(int(child)) is not None
    ]
