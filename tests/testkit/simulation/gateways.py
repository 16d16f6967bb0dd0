"""Gateway processes: the shipped gateway, in surroundings without files, sockets and clocks. It can be killed."""

import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from piebridge.chains.endpoint import ParachainEndpoint, RelayEndpoint
from piebridge.gateway import database
from piebridge.gateway.config import ChainConfig, DomainConfig, GatewayConfig, RelayConfig
from piebridge.gateway.forwarder import BatchLimits, Flow, ForwarderSettings
from piebridge.gateway.hub_submitter import HubAccount, SubmitterTimes
from piebridge.gateway.notary_client import NotaryClient
from piebridge.gateway.service import Gateway
from piebridge.gateway.surroundings import Surroundings
from testkit.simulation.clock import VirtualLoop
from testkit.simulation.keys import DOMAIN, address, private_key
from testkit.simulation.parachain import START_SECONDS, SimulatedAccount, SimulatedChain
from testkit.simulation.relay import SimulatedRelay

if TYPE_CHECKING:
    import asyncio

FORWARDER = ForwarderSettings(
    limits=(
        (Flow.HUB_TO_RELAY, BatchLimits(8, 300_000, 1 << 62, 0.2)),
        (Flow.RELAY_TO_HUB, BatchLimits(8, 100_000, 25_000_000, 0.2)),
        (Flow.SETTLE, BatchLimits(20, 100_000, 1 << 62, 0.0)),
        (Flow.ACKNOWLEDGE, BatchLimits(1_000, 1 << 30, 1 << 62, 6.0)),
    ),
    effect_timeout_seconds=25.0,
    recheck_seconds=12.0,
    acknowledge_after_seconds=8.0,
    expiry_margin_seconds=3.0,
    first_retry_seconds=0.5,
    last_retry_seconds=8.0,
)
TIMES = SubmitterTimes(
    poll_seconds=1.0, relay_poll_seconds=0.7, rebroadcast_seconds=3.0, replace_seconds=7.0, give_up_seconds=20.0
)


class SimulatedSurroundings(Surroundings):
    """Those of a process in a simulation."""

    submitter_times = TIMES

    def __init__(
        self,
        loop: VirtualLoop,
        randomness: random.Random,
        connection: Callable[[], sqlite3.Connection],
        parachain: Callable[[int], ParachainEndpoint],
        relay: Callable[[int], RelayEndpoint],
        notaries: Callable[[int], NotaryClient],
    ) -> None:
        self._loop = loop
        self._random = randomness
        self._connection = connection
        self._parachain, self._relay, self._notaries = parachain, relay, notaries

    def monotonic(self) -> float:
        return self._loop.now

    def unix_time(self) -> float:
        return START_SECONDS + self._loop.now

    def salt(self) -> int:
        return self._random.getrandbits(64)

    def database(self, config: GatewayConfig) -> sqlite3.Connection:
        return self._connection()

    def account(self, private_key: bytes) -> HubAccount:
        return SimulatedAccount(_address_of(private_key))

    def parachain(self, config: DomainConfig, chain: ChainConfig) -> ParachainEndpoint:
        return self._parachain(chain.registration)

    def relay(self, config: DomainConfig, relay: RelayConfig) -> RelayEndpoint:
        return self._relay(relay.relay)

    def notaries(self, config: DomainConfig, registration: int) -> NotaryClient:
        return self._notaries(registration)


_ADDRESSES: dict[bytes, bytes] = {}


def _address_of(key: bytes) -> bytes:
    return _ADDRESSES[key]


class GatewayProcess:
    """One gateway with its database, which outlives it, mostly."""

    def __init__(
        self,
        index: int,
        count: int,
        chains: list[SimulatedChain],
        relays: list[SimulatedRelay],
        loop: VirtualLoop,
        randomness: random.Random,
        parachain: Callable[[str, int], ParachainEndpoint],
        relay: Callable[[str, int], RelayEndpoint],
        notaries: Callable[[str, int], NotaryClient],
    ) -> None:
        self.name = f"gateway-{index}"
        key = private_key(self.name)
        _ADDRESSES[key] = address(self.name)
        self.config = GatewayConfig(
            name=self.name,
            domain=DOMAIN,
            private_key=key,
            data_directory=Path(),
            chains=tuple(
                ChainConfig(chain.name, chain.registration, chain.evm_chain_id, chain.hub.address, "")
                for chain in chains
            ),
            relays=tuple(RelayConfig(item.relay, item.genesis.chain_id, ("",)) for item in relays),
            takeover_blocks=2,
            reconcile_seconds=10.0,
            look_again_seconds=12.0,
            poll_seconds=4.0,
            timeout_seconds=2.0,
            forwarder=FORWARDER,
        )
        self.disk = b""
        """What is on disk once the process is dead."""
        self.old_disk = b""
        """A copy of the database from earlier."""
        self._connection: sqlite3.Connection | None = None
        self._surroundings = SimulatedSurroundings(
            loop,
            randomness,
            self._open,
            lambda registration: parachain(self.name, registration),
            lambda number: relay(self.name, number),
            lambda registration: notaries(self.name, registration),
        )
        self.gateway: Gateway | None = None
        self.running: asyncio.Task[None] | None = None
        """The process itself."""

    async def start(self) -> None:
        """Start it, from what is on disk."""
        gateway = Gateway(self.config, surroundings=self._surroundings)
        await gateway.start()
        self.gateway, self.running = (
            gateway,
            gateway._running,
        )  # a start that is broken off is none

    def kill(self) -> None:
        """Kill it at this very moment: nothing of it runs any more, messages on their way stay on their way."""
        gateway, self.gateway = self.gateway, None
        if gateway is None or self._connection is None:
            return
        self.disk = self._connection.serialize()
        # A transaction that is open now would be rolled back; there is none, for they open and close without a pause.
        assert self.running is not None, "it was started"
        self.running.cancel()
        self._connection = None

    def copy_disk(self) -> None:
        """Make the copy that somebody may put back later."""
        if self._connection is not None:
            self.old_disk = self._connection.serialize()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        if self.disk:
            connection.deserialize(self.disk)
        database.prepare(connection)
        self._connection = connection
        return connection
