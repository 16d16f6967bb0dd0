"""A notary whose second node is stale, flaps, hangs, resets or lies does not sign; the flow goes on through the others.

Row 21 of the incidents: whoever goes on with the nodes that answer has given the attacker the choice of the nodes.
"""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from piebridge.gateway.config import NotaryChainConfig, NotaryConfig
from piebridge.gateway.notary_service import NotaryService
from piebridge.gateway.service import Gateway
from testkit.faults.tcp_proxy import Fault, TcpFaultProxy
from testkit.gateway_network import DOMAIN, GatewayNetwork, Parachain, eventually, key
from testkit.lying_proxy import LyingProxy
from testkit.notary_network import NAMES, NotaryNetwork, notary_network

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

VICTIM = 0
"""The notary whose node is bad."""
LIES = {"without proof", "another block"}
"""What stops a notary until it is started again; after the others it goes on by itself."""


def _other_hash(_method: str, _params: list[Any], result: Any) -> Any:  # noqa: ANN401 - JSON
    """A block of another time, which therefore hashes to something else."""
    return {**result, "timestamp": hex(int(result["timestamp"], 16) + 1)}


def _no_proof(_method: str, _params: list[Any], result: Any) -> Any:  # noqa: ANN401 - JSON
    return {**result, "storageProof": [{**item, "proof": []} for item in result["storageProof"]]}


class Bad:
    """What a bad node does, from now on until it is honest again."""

    def __init__(self, lying: LyingProxy, tcp: TcpFaultProxy) -> None:
        self.lying, self.tcp = lying, tcp

    async def stale(self) -> None:
        await self.lying.freeze_latest()

    async def flapping(self) -> None:
        self.lying.flap()

    async def another_block(self) -> None:
        self.lying.edit("eth_getBlockByNumber", _other_hash)

    async def without_proof(self) -> None:
        self.lying.edit("eth_getProof", _no_proof)

    async def hanging(self) -> None:
        await self.tcp.inject(Fault.HANG)

    async def half_open(self) -> None:
        await self.tcp.inject(Fault.HALF_OPEN)

    async def resetting(self) -> None:
        await self.tcp.inject(Fault.RESET)

    async def cut_off(self) -> None:
        await self.tcp.inject(Fault.CUT)

    async def honest(self) -> None:
        self.lying.honest()
        await self.tcp.inject(Fault.NONE)

    @property
    def met(self) -> int:
        return self.lying.lies + self.tcp.hits


async def test_a_bad_node_silences_its_notary_and_nobody_else(tmp_path: Path) -> None:
    async with notary_network(tmp_path) as setting, AsyncExitStack() as stack:
        network, (a, b) = setting.network, setting.network.chains.values()
        bad, start = await _victim_behind_proxies(stack, setting, tmp_path)
        victim = await start()
        gateway = Gateway(network.gateway_config(tmp_path / "gateway"))
        await gateway.start()
        stack.push_async_callback(gateway.stop)
        told, stopped, alarms = {}, [], 0.0
        await _wait_for(victim, a)
        kinds = {
            "stale": bad.stale,
            "flapping": bad.flapping,
            "hanging": bad.hanging,
            "half open": bad.half_open,
            "resetting": bad.resetting,
            "cut off": bad.cut_off,
            "without proof": bad.without_proof,
            "another block": bad.another_block,
        }
        for sent, (name, begin) in enumerate(kinds.items(), start=1):
            before, signed = bad.met, _signed(victim)
            await begin()
            await a.receipt(await a.transfer(b.registration, 1, relay=1))
            await eventually(partial(_has, b, sent), timeout_seconds=40)
            assert name == "flapping" or _signed(victim) == signed, f"signed what only one node said: {name}"
            told[name] = bad.met - before
            assert name in LIES or not victim.notary.stopped, f"stopped for good, because a node was {name}"
            alarms += victim.counters.total("notary_alarms")
            await bad.honest()
            if victim.notary.stopped:  # an operator has looked
                stopped.append(name)
                victim = await start()
        assert all(told.values()), f"faults that met nothing: {told}"
        assert set(stopped) == LIES
        assert alarms >= len(kinds) - 2
        assert not any(service.notary.stopped for service in setting.notaries[1:])


async def _victim_behind_proxies(
    stack: AsyncExitStack, setting: NotaryNetwork, directory: Path
) -> tuple[Bad, Callable[[], Awaitable[NotaryService]]]:
    """Put a lying proxy behind a faulty connection before chain 1; return both, and what starts the victim."""
    network: GatewayNetwork = setting.network
    first = network.chains[1]
    port = urlsplit(setting.proxies[VICTIM, 1].url).port
    assert port is not None
    tcp = await stack.enter_async_context(TcpFaultProxy(port))
    chains = []
    for chain in network.chains.values():
        second = tcp.url(chain.rpc_url) if chain is first else setting.proxies[VICTIM, chain.registration].url
        urls = (chain.rpc_url, second)
        chains.append(NotaryChainConfig(chain.registration, chain.evm_chain_id, chain.hub, urls, chain.depth))
    name = NAMES[VICTIM]
    config = NotaryConfig(name, DOMAIN, key(name), VICTIM, 1, tuple(chains), directory / "victim", "127.0.0.1", 0, 1.0)

    running: list[NotaryService] = []

    async def stop() -> None:
        while running:
            await running.pop().stop()

    async def start() -> NotaryService:
        """Start it, or start it again at the same address."""
        await stop()
        victim = NotaryService(replace(config, port=urlsplit(network.notary_urls[VICTIM]).port or 0))
        await victim.start()
        running.append(victim)
        network.notary_urls[VICTIM] = victim.url
        return victim

    network.notary_urls[VICTIM] = ""
    stack.push_async_callback(stop)
    return Bad(setting.proxies[VICTIM, 1], tcp), start


async def _wait_for(victim: NotaryService, chain: Parachain) -> None:
    async def answers() -> bool:
        return int(str(await chain.client.call("eth_blockNumber", [])), 16) > 2

    await eventually(answers)
    assert not victim.notary.stopped


async def _has(chain: Parachain, amount: int) -> bool:
    return await chain.balance("bob") == amount


def _signed(service: NotaryService) -> float:
    return service.counters.value("statements_signed", registration=1)
