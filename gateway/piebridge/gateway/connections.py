"""The chains of a domain, each with what is needed to read it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from piebridge.chains.endpoint import ParachainEndpoint, RelayEndpoint
from piebridge.crypto.errors import TransientChainError
from piebridge.gateway.config import ChainConfig, DomainConfig, RelayConfig
from piebridge.gateway.prover import Prover
from piebridge.gateway.pulse import Pulse
from piebridge.gateway.relay_reader import Registration, RelayReader
from piebridge.gateway.surroundings import Surroundings
from piebridge.protocol_stack.transport.outbox import Maker

_REGISTRATION_SECONDS = 10.0
"""How long an answer about a registration is believed; governor messages change them rarely."""


@dataclass
class HubConnection:
    """A parachain with its hub."""

    config: ChainConfig
    """Addresses."""
    endpoint: ParachainEndpoint
    """The chain."""
    pulse: Pulse = field(default_factory=Pulse)
    """Beats at each new block."""

    @property
    def registration(self) -> int:
        """Number of the hub."""
        return self.config.registration

    @property
    def maker(self) -> Maker:
        """Whose outboxes it has, as the protocol stack names it."""
        return Maker(self.config.registration)


@dataclass
class RelayConnection:
    """A relay chain."""

    config: RelayConfig
    """Addresses."""
    endpoint: RelayEndpoint
    """The chain."""
    reader: RelayReader
    """Typed queries."""
    pulse: Pulse = field(default_factory=Pulse)
    """Beats at each new block."""
    provers: dict[int, Prover] = field(default_factory=dict)
    """Proofs for this relay chain, by the registration of the hub."""
    clock: Callable[[], float] = time.monotonic
    """Seconds, never running backwards."""
    _registrations: dict[int, tuple[float, Registration | None]] = field(default_factory=dict)

    @property
    def relay(self) -> int:
        """Relay id."""
        return self.config.relay

    async def registration(self, registration: int) -> Registration | None:
        """Return how this relay chain knows a hub, at most ten seconds old; None if it does not."""
        kept = self._registrations.get(registration)
        now = self.clock()
        if kept is None or now - kept[0] > _REGISTRATION_SECONDS:
            kept = (now, await self.reader.registration(registration))
            self._registrations[registration] = kept
        return kept[1]

    async def known(self, registration: int) -> Registration:
        """Return how this relay chain knows a hub.

        Raises:
            TransientChainError: it does not (yet).
        """
        known = await self.registration(registration)
        if known is None:
            raise TransientChainError(f"{self.endpoint.name} does not know registration {registration} yet")
        return known


@dataclass
class Connections:
    """All chains of a domain."""

    domain: int
    """Relay domain."""
    hubs: dict[int, HubConnection]
    """Parachains by registration."""
    relays: dict[int, RelayConnection]
    """Relay chains by id."""

    async def close(self) -> None:
        """Close all connections."""
        for hub in self.hubs.values():
            await hub.endpoint.close()
        for relay in self.relays.values():
            await relay.endpoint.close()


def connect(config: DomainConfig, surroundings: Surroundings) -> Connections:
    """Return the chains of a domain; nothing is asked of them yet.

    Raises:
        ConfigurationError: an address is malformed.
    """
    hubs = {chain.registration: HubConnection(chain, surroundings.parachain(config, chain)) for chain in config.chains}
    relays = {relay.relay: _connect_relay(relay, config, hubs, surroundings) for relay in config.relays}
    return Connections(config.domain, hubs, relays)


def _connect_relay(
    relay: RelayConfig, config: DomainConfig, hubs: dict[int, HubConnection], surroundings: Surroundings
) -> RelayConnection:
    endpoint = surroundings.relay(config, relay)
    reader = RelayReader(endpoint)
    provers = {
        registration: Prover(
            registration=registration,
            endpoint=hub.endpoint,
            reader=reader,
            notaries=surroundings.notaries(config, registration),
        )
        for registration, hub in hubs.items()
    }
    return RelayConnection(relay, endpoint, reader, provers=provers, clock=surroundings.monotonic)
