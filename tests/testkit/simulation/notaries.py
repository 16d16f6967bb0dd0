"""Notaries: the shipped ones, each with two nodes of its own per chain, asked over the simulated network."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from piebridge.crypto.errors import TransientChainError
from piebridge.gateway.config import NotaryChainConfig, NotaryConfig
from piebridge.gateway.evidence import EvidenceLog
from piebridge.gateway.notary import Notary, NotaryRefusal, ReadChain
from piebridge.gateway.notary_client import NotaryClient
from piebridge.gateway.telemetry import Counters
from piebridge.protocol_stack.notary_statement import NotarySet, NotaryStatement
from testkit.simulation.endpoints import Node, SimulatedParachainEndpoint, Watch
from testkit.simulation.keys import DOMAIN, address, private_key
from testkit.simulation.network import Network

COUNT, THRESHOLD = 4, 3
_IN_MEMORY = Path(":memory:")


@dataclass
class NotaryProcess:
    """One notary. Its evidence log outlives it."""

    position: int
    nodes: dict[int, tuple[Node, ...]]
    depths: dict[int, int]
    network: Network
    down: bool = False

    def __post_init__(self) -> None:
        self.evidence = EvidenceLog(_IN_MEMORY)
        self.restart()

    @property
    def name(self) -> str:
        return f"notary-{self.position}"

    def restart(self) -> None:
        """Start it again, as its operator does after an alarm."""
        config = NotaryConfig(
            name=self.name,
            domain=DOMAIN,
            private_key=private_key(self.name),
            index=self.position,
            set_epoch=1,
            chains=tuple(
                NotaryChainConfig(
                    registration,
                    nodes[0].chain.evm_chain_id,
                    nodes[0].chain.hub.address,
                    tuple(node.name for node in nodes),
                    self.depths[registration],
                )
                for registration, nodes in self.nodes.items()
            ),
            data_directory=_IN_MEMORY,
            host="",
            port=0,
            endpoint_timeout_seconds=3.0,
        )
        chains = [
            ReadChain(
                chain,
                tuple(
                    SimulatedParachainEndpoint(self.name, node, self.network, Watch())
                    for node in self.nodes[chain.registration]
                ),
            )
            for chain in config.chains
        ]
        self.notary = Notary(config, chains, self.evidence, Counters())


def notary_set(names: list[str]) -> NotarySet:
    """Return the set that relay chains know."""
    return NotarySet(1, THRESHOLD, tuple(address(name) for name in names))


class SimulatedNotaryClient(NotaryClient):
    """Asks over the simulated network instead of by HTTP."""

    def __init__(self, client: str, notaries: list[NotaryProcess], network: Network, registration: int) -> None:
        super().__init__([notary.name for notary in notaries], domain=DOMAIN, registration=registration)
        self._client = client
        self._registered = registration
        self._notaries = {notary.name: notary for notary in notaries}
        self._network = network

    async def ask(self, url: str, statement: NotaryStatement) -> dict[str, Any]:
        process = self._notaries[url]

        def up() -> None:
            if process.down:
                raise TransientChainError(f"notary {url}: connection refused")

        await self._network.ask(self._client, url, up)
        try:
            async with asyncio.timeout(6.0):
                signed = await process.notary.statement(
                    DOMAIN,
                    self._registered,
                    statement.hub,
                    statement.block_number,
                    [item.slot for item in statement.slots],
                )
        except NotaryRefusal as refusal:
            raise TransientChainError(f"notary {url}: {refusal}") from refusal
        except TimeoutError as error:
            raise TransientChainError(f"notary {url} has not answered") from error
        return {"url": url, "epoch": signed.epoch, "index": signed.index, "signature": signed.signature.hex()}


NotaryClientMaker = Callable[[str, int], NotaryClient]
