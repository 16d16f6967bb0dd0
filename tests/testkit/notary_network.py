"""Two anvil chains verified by four notaries, everything but the anvils in this process."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from piebridge.gateway.config import NotaryChainConfig, NotaryConfig
from piebridge.gateway.notary_service import NotaryService
from testkit.anvil import running_anvil
from testkit.gateway_network import DOMAIN, GatewayNetwork, key
from testkit.lying_proxy import LyingProxy

NAMES = ("notary 0", "notary 1", "notary 2", "notary 3")


class NotaryNetwork:
    """Two anvil chains, four notaries, each with a proxy as its own second node of every chain."""

    def __init__(self, network: GatewayNetwork) -> None:
        self.network = network
        self.proxies: dict[tuple[int, int], LyingProxy] = {}
        """By notary and registration."""
        self.notaries: list[NotaryService] = []


@asynccontextmanager
async def notary_network(
    directory: Path, *, depth: int = 1, block_time_seconds: float = 0.5
) -> AsyncIterator[NotaryNetwork]:
    """Start everything but a gateway.

    Args:
        directory: for the notaries' logs.
        depth: finality depth of both chains.
        block_time_seconds: pause between two blocks of an anvil.
    """
    async with AsyncExitStack() as stack:
        urls = [
            await stack.enter_async_context(running_anvil(block_time_seconds=block_time_seconds, chain_id=chain_id))
            for chain_id in (41_001, 41_002)
        ]
        network = await stack.enter_async_context(
            GatewayNetwork(parachains=0, anvil_urls=tuple(urls), notary_names=NAMES, anvil_depth=depth)
        )
        setting = NotaryNetwork(network)
        for index, name in enumerate(NAMES):
            chains = []
            for chain in network.chains.values():
                proxy = await stack.enter_async_context(LyingProxy(chain.rpc_url))
                setting.proxies[index, chain.registration] = proxy
                chains.append(
                    NotaryChainConfig(
                        chain.registration, chain.evm_chain_id, chain.hub, (chain.rpc_url, proxy.url), chain.depth
                    )
                )
            config = NotaryConfig(
                name, DOMAIN, key(name), index, 1, tuple(chains), directory / name, "127.0.0.1", 0, 2.0
            )
            service = NotaryService(config)
            await service.start()
            stack.push_async_callback(service.stop)
            setting.notaries.append(service)
            network.notary_urls.append(service.url)
        yield setting
