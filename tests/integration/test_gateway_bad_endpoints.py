"""A gateway whose nodes are slow, hang, reset, lie or stand still: nothing wrong is accepted, and the flow goes on.

Every connection of the gateway passes a TCP proxy, every `eth_*` call a JSON-RPC proxy behind it. One network for all
faults; at the end balances of both chains tell whether anything was lost, doubled or invented.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from piebridge.gateway.service import Gateway
from testkit.faults.tcp_proxy import Fault, TcpFaultProxy
from testkit.gateway_network import TOKENS, GatewayNetwork, eventually
from testkit.lying_proxy import LyingProxy

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

COMMITTED = 2
FAULT_SECONDS = 2.0
"""How long a fault lasts with packets under way."""
HEAL_SECONDS = 40.0
"""Bound from the end of a fault until all packets have ended: longest pause between two tries, and a packet's road."""
TCP_FAULTS = [fault for fault in Fault if fault is not Fault.NONE]


@dataclass
class Setting:
    """A gateway behind proxies."""

    network: GatewayNetwork
    gateway: Gateway
    liars: dict[int, LyingProxy]
    """Before the `eth_*` node of each parachain."""
    of_chains: list[TcpFaultProxy]
    """Before everything that a parachain serves."""
    of_relay: list[TcpFaultProxy]
    """Before each validator of the relay chain."""
    sent: int = 0

    async def send(self) -> None:
        """Send one token from chain 1 to chain 2."""
        chain = self.network.chains[1]
        await chain.receipt(await chain.transfer(2, 1, relay=1))
        self.sent += 1

    async def all_ended(self) -> bool:
        chain = self.network.chains[1]
        return await chain.status(1, self.sent) == COMMITTED and await self.arrived() == self.sent

    async def arrived(self) -> int:
        return await self.network.chains[2].balance("bob")

    async def heals(self) -> None:
        """Wait for the end of all packets, then hold the chains to their balances."""
        await eventually(self.all_ended, timeout_seconds=HEAL_SECONDS)
        assert await self.network.chains[1].balance("alice") == TOKENS - self.sent
        for nonce in range(1, self.sent + 1):
            assert await self.network.chains[1].status(1, nonce) == COMMITTED


async def _through(stack: AsyncExitStack, url: str, made: list[TcpFaultProxy]) -> str:
    port = urlsplit(url).port
    assert port is not None
    proxy = await stack.enter_async_context(TcpFaultProxy(port))
    made.append(proxy)
    return proxy.url(url)


async def _behind_proxies(stack: AsyncExitStack, network: GatewayNetwork, directory: Path) -> Setting:
    honest = network.gateway_config(directory)
    liars: dict[int, LyingProxy] = {}
    of_chains: list[TcpFaultProxy] = []
    of_relay: list[TcpFaultProxy] = []
    chains = []
    for chain in honest.chains:
        liar = liars[chain.registration] = await stack.enter_async_context(LyingProxy(chain.rpc_url))
        chains.append(
            replace(
                chain,
                rpc_url=await _through(stack, liar.url, of_chains),
                websocket_url=None,
                cometbft_rpc_urls=tuple([await _through(stack, url, of_chains) for url in chain.cometbft_rpc_urls]),
            )
        )
    relays = []
    for relay in honest.relays:
        urls = [await _through(stack, url, of_relay) for url in relay.validator_rpc_urls]
        relays.append(replace(relay, validator_rpc_urls=tuple(urls)))
    gateway = Gateway(replace(honest, chains=tuple(chains), relays=tuple(relays), timeout_seconds=2.0))
    await gateway.start()
    stack.push_async_callback(gateway.stop)
    return Setting(network, gateway, liars, of_chains, of_relay)


def _without_logs(_method: str, _params: list[Any], result: Any) -> Any:  # noqa: ANN401 - JSON
    return []


def _other_digits(_method: str, _params: list[Any], result: Any) -> Any:  # noqa: ANN401 - JSON
    """Change the last hexadecimal digit of every long text in a result."""
    if isinstance(result, list):
        return [_other_digits("", [], item) for item in result]
    if isinstance(result, dict):
        return {name: _other_digits("", [], item) for name, item in result.items()}
    if isinstance(result, str) and len(result) >= 66:
        return result[:-1] + ("0" if result[-1] != "0" else "1")
    return result


def _nothing(_method: str, _params: list[Any], result: Any) -> Any:  # noqa: ANN401 - JSON
    return None


def _great(_method: str, _params: list[Any], result: Any) -> Any:  # noqa: ANN401 - JSON
    return hex(int(result, 16) + 1_000)


LIES: dict[str, tuple[str, Callable[[str, list[Any], Any], Any]]] = {
    "nonce too high": ("eth_getTransactionCount", _great),  # first: the gateway asks once
    "logs hidden": ("eth_getLogs", _without_logs),
    "logs changed": ("eth_getLogs", _other_digits),
    "storage changed": ("eth_getStorageAt", _other_digits),
    "proof changed": ("eth_getProof", _other_digits),
    "receipts hidden": ("eth_getTransactionReceipt", _nothing),
    "blocks changed": ("eth_getBlockByNumber", _other_digits),
}


async def test_tcp_faults_toward_parachains_and_relay_chain(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(GatewayNetwork())
        setting = await _behind_proxies(stack, network, tmp_path)
        await setting.send()
        await setting.heals()
        met = dict.fromkeys((str(fault) for fault in TCP_FAULTS), 0)
        for proxies in (setting.of_chains, setting.of_relay):
            for fault in TCP_FAULTS:
                before = sum(proxy.hits for proxy in proxies)
                await asyncio.gather(*(proxy.inject(fault) for proxy in proxies))
                await setting.send()
                await asyncio.sleep(FAULT_SECONDS)
                assert await setting.arrived() <= setting.sent
                await asyncio.gather(*(proxy.inject(Fault.NONE) for proxy in proxies))
                met[fault] += sum(proxy.hits for proxy in proxies) - before
        await setting.heals()
        print(met)
        assert all(met.values()), f"faults that met nothing: {met}"


async def test_lying_and_stale_nodes(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(GatewayNetwork())
        setting = await _behind_proxies(stack, network, tmp_path)
        told = {}
        for name, (method, edit) in LIES.items():
            before = sum(liar.lies for liar in setting.liars.values())
            for liar in setting.liars.values():
                liar.edit(method, edit)
            told[name] = await _lied_to(setting, before)
        for name in ("stale", "flapping", "HTTP 502"):
            before = sum(liar.lies for liar in setting.liars.values())
            for liar in setting.liars.values():
                if name == "stale":
                    await liar.freeze_latest()
                elif name == "flapping":
                    liar.flap()
                else:
                    liar.fail_http(502)
            told[name] = await _lied_to(setting, before)
        await setting.heals()
        print(told)
        assert all(told.values()), f"lies that nobody was told: {told}"


async def _lied_to(setting: Setting, before: int) -> int:
    """Have packets under way during a lie; return how often it was told."""
    await setting.send()

    async def told() -> bool:
        return sum(liar.lies for liar in setting.liars.values()) > before

    await eventually(told, timeout_seconds=HEAL_SECONDS)
    await asyncio.sleep(FAULT_SECONDS / 2)
    assert await setting.arrived() <= setting.sent
    for liar in setting.liars.values():
        liar.honest()
    return sum(liar.lies for liar in setting.liars.values()) - before
