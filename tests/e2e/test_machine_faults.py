"""Disks that are full and cables that are cut, under the processes of a real network with packets under way."""

import asyncio
import contextlib
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from piebridge.cli import network_file
from piebridge.cli.local_network.plan import ParachainKind
from testkit.campaign.processes_of_network import CampaignNetwork, start_network
from testkit.campaign.scene import Scene, scene
from testkit.faults.disk import small_disk
from testkit.faults.namespaces import Namespace, namespace, network_file_for

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

SEED = 20_261_122
PACKETS = 30
STOP_SECONDS = 40.0
"""How long a process may take to find out that its disk is full."""
CUT_SECONDS = 6.0
"""How long a cable stays cut."""


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CampaignNetwork]:
    network = asyncio.run(start_network(tmp_path_factory.mktemp("embedded") / "network", ParachainKind.EMBEDDED))
    yield network
    network.stop()


def data_folder(network: CampaignNetwork, name: str) -> Path:
    """Where a process keeps what it needs after a restart."""
    plan = {"relay-1": "relays/relay-1/data", "chain-1": "chains/chain-1/data"}
    return network.directory / plan[name] if name in plan else network.gateway_data(name)


@pytest.mark.parametrize("name", ["gateway-1", "relay-1", "chain-1"])
async def test_a_full_disk_stops_a_process_with_a_reason_and_it_goes_on_with_room(
    embedded: CampaignNetwork, name: str
) -> None:
    async with scene(embedded, SEED) as begun, begun.watched_blocks():
        await begun.traffic.send(PACKETS)
        embedded.kill(name)
        with small_disk(data_folder(embedded, name), megabytes=64) as disk:
            embedded.start(name)
            await begun.chains_answer()
            if name.startswith("gateway"):
                await embedded.serves(name)
            await begun.traffic.send(PACKETS)
            disk.fill()
            if name != "chain-1":
                await begun.traffic.send(PACKETS)
            status = await embedded.ends(name, STOP_SECONDS)
            words = embedded.log(name)
            assert status == 1, f"{name} ended with {status}: {words}"
            last = words.splitlines()[-1]
            assert last.startswith("error: "), f"the last word is no reason: {words}"
            assert "disk is full" in last, f"{name} does not say what to do: {last}"
            await count_work(begun)
            disk.free()
            embedded.start(name)
            await begun.chains_answer()
            await begun.settle()
            embedded.kill(name)
        embedded.start(name)
        await begun.chains_answer()
        print(await begun.check_all())


async def count_work(begun: Scene) -> None:
    """Count a fault that has hit work: packets are under way now, with the process down."""
    begun.in_flight.append(begun.pending.known)
    assert begun.pending.known > 0, "no packet was under way"


async def test_partitions_between_gateways_and_chains(embedded: CampaignNetwork) -> None:
    """Each gateway sits in a namespace of its own; its cable is cut toward the relay chain, the parachains, or all."""
    network, randomness = embedded.network, random.Random(SEED)
    relay_ports = [port_of(item.rpc_url) for relay in network.relay_chains for item in relay.validators]
    chain_ports = [port_of(chain.rpc_url) for chain in network.chains]
    chain_ports += [port_of(url) for chain in network.chains for url in chain.cometbft_rpc_urls]
    kinds = {"relay": relay_ports, "parachains": chain_ports, "all": relay_ports + chain_ports}
    names, dropped = embedded.names("gateway"), dict.fromkeys(kinds, 0)
    async with scene(embedded, SEED + 1) as begun, contextlib.AsyncExitStack() as stack:
        spaces: dict[str, Namespace] = {}
        for name in names:
            spaces[name] = await stack.enter_async_context(namespace(relay_ports + chain_ports))
            move_into(embedded, name, spaces[name], relay_ports + chain_ports)
        await begun.traffic.send(PACKETS)
        for kind, ports in kinds.items():
            victims = names if kind == "all" else randomness.sample(names, 1)
            for name in victims:
                spaces[name].cut(ports)
            await begun.traffic.send(PACKETS)
            await asyncio.sleep(CUT_SECONDS)
            assert kind != "all" or await begun.pending.look(), "packets were carried over a cut cable"
            begun.in_flight.append(len(await begun.traffic.send(PACKETS)))
            dropped[kind] += sum(spaces[name].heal() for name in victims)
        await begun.settle()
        for name in names:  # out again, before the cables go
            embedded.kill(name)
            embedded.start(name)
        print(await begun.check_all(), dropped)
    assert all(dropped.values()), f"cuts that met nothing: {dropped}"


def move_into(embedded: CampaignNetwork, name: str, space: Namespace, ports: Sequence[int]) -> None:
    """Kill a gateway and start it inside a namespace, with the addresses that hold there."""
    embedded.kill(name)
    file = embedded.directory / network_file.FILE_NAME
    elsewhere = network_file_for(file, space.host, ports, name)
    embedded.start(name, wrapper=space.wrapper, replacing={str(file): str(elsewhere)})


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port
