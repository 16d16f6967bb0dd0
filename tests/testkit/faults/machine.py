"""Faults of the machines under a network of real processes: disks that are full, cables that are cut."""

import asyncio
import contextlib
import random
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from piebridge.cli import network_file
from testkit.campaign.processes_of_network import CampaignNetwork
from testkit.campaign.scene import Scene
from testkit.faults.disk import small_disk
from testkit.faults.namespaces import Namespace, namespace, network_file_for

DISK_MEGABYTES = 64
STOP_SECONDS = 40.0
"""How long a process may take to find out that its disk is full."""
PACKETS = 30
"""Sent before and during each fault."""
CUTS = ("relay", "parachains", "all")
"""What a gateway is cut off from; from `all` every gateway is."""

_DATA = {"relay": "relays/{}/data", "parachain": "chains/{}/data"}


async def fill_disk(begun: Scene, name: str) -> None:
    """Fill the disk of a process with packets under way; it must stop with a reason, and go on once there is room.

    Args:
        begun: a scene, whose `check_all` is left to the caller.
        name: a gateway, relay chain or embedded parachain.

    Raises:
        AssertionError: the process does not stop, says nothing that helps, or does not go on.
    """
    network = begun.network
    await begun.traffic.send(PACKETS)
    network.kill(name)
    with small_disk(data_folder(network, name), DISK_MEGABYTES) as disk:
        network.start(name)
        await begun.chains_answer()
        if network.entry(name).role == "gateway":
            await network.serves(name)
        await begun.traffic.send(PACKETS)
        disk.fill()
        if network.entry(name).role != "parachain":
            await begun.traffic.send(PACKETS)
        status = await network.ends(name, STOP_SECONDS)
        words = network.log(name)
        assert status == 1, f"{name} ended with {status}: {words}"
        last = words.splitlines()[-1]
        assert last.startswith("error: "), f"the last word is no reason: {words}"
        assert "disk is full" in last, f"{name} does not say what to do: {last}"
        assert begun.pending.known > 0, "no packet was under way"
        begun.in_flight.append(begun.pending.known)
        disk.free()
        network.start(name)
        await begun.chains_answer()
        await begun.settle()
        network.kill(name)
    network.start(name)
    await begun.chains_answer()


def data_folder(network: CampaignNetwork, name: str) -> Path:
    """Where a process keeps what it needs after a restart."""
    role = network.entry(name).role
    return network.directory / _DATA[role].format(name) if role in _DATA else network.gateway_data(name)


async def cut_cables(begun: Scene, cuts: Sequence[str], seconds: float, randomness: random.Random) -> dict[str, int]:
    """Put each gateway into a network namespace of its own, and cut their cables, one kind of cut after the other.

    Args:
        begun: a scene, whose `check_all` is left to the caller.
        cuts: of `CUTS`.
        seconds: how long each cable stays cut.
        randomness: draws whose cable.

    Returns:
        How many network packets each kind of cut has dropped.

    Raises:
        AssertionError: gateways that are cut off carried something.
    """
    network, names = begun.network, begun.network.names("gateway")
    relay_ports = [_port(item.rpc_url) for relay in network.network.relay_chains for item in relay.validators]
    chain_ports = [_port(chain.rpc_url) for chain in network.network.chains]
    chain_ports += [_port(url) for chain in network.network.chains for url in chain.cometbft_rpc_urls]
    ports = {"relay": relay_ports, "parachains": chain_ports, "all": relay_ports + chain_ports}
    dropped = dict.fromkeys(cuts, 0)
    async with contextlib.AsyncExitStack() as stack:
        spaces: dict[str, Namespace] = {}
        for name in names:
            spaces[name] = await stack.enter_async_context(namespace(ports["all"]))
            _move_into(network, name, spaces[name], ports["all"])
        await begun.traffic.send(PACKETS)
        for kind in cuts:
            victims = names if kind == "all" else randomness.sample(names, 1)
            for name in victims:
                spaces[name].cut(ports[kind])
            await begun.traffic.send(PACKETS)
            await asyncio.sleep(seconds)
            begun.in_flight.append(len(await begun.traffic.send(PACKETS)))
            assert kind != "all" or len(await begun.pending.look()) >= PACKETS, "packets crossed a cut cable"
            dropped[kind] += sum(spaces[name].heal() for name in victims)
        await begun.settle()
        for name in names:  # out again, before the cables go
            network.kill(name)
            network.start(name)
    return dropped


def _move_into(network: CampaignNetwork, name: str, space: Namespace, ports: Sequence[int]) -> None:
    """Kill a gateway and start it inside a namespace, with the addresses that hold there."""
    network.kill(name)
    file = network.directory / network_file.FILE_NAME
    elsewhere = network_file_for(file, space.host, ports, name)
    network.start(name, wrapper=space.wrapper, replacing={str(file): str(elsewhere)})


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port
