"""Everything a gateway has from outside itself: clocks, randomness, its database, endpoints of chains, notaries.

One object, so that whoever runs a gateway elsewhere than on a real machine (a simulation on a virtual clock) gives it
other surroundings and changes nothing else.
"""

import secrets
import time

from piebridge.chains.endpoint import ParachainEndpoint, RelayEndpoint
from piebridge.chains.evm import EvmEndpoint
from piebridge.chains.relay import CometBftRelayEndpoint
from piebridge.gateway.config import ChainConfig, DomainConfig, GatewayConfig, RelayConfig
from piebridge.gateway.database import Connection, open_database
from piebridge.gateway.hub_submitter import HubAccount, SubmitterTimes
from piebridge.gateway.notary_client import NotaryClient


class Surroundings:
    """Those of a process on a real machine."""

    submitter_times = SubmitterTimes()
    """Waiting times of submitters, to hubs and to relay chains."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        return time.monotonic()

    def unix_time(self) -> float:
        """Return seconds since the Unix epoch."""
        return time.time()

    def salt(self) -> int:
        """Return 64 random bits that make a relay transaction another one than its twin."""
        return secrets.randbits(64)

    def database(self, config: GatewayConfig) -> Connection:
        """Open the gateway's database."""
        return open_database(config.database)

    def account(self, private_key: bytes) -> HubAccount:
        """Return what signs transactions to hubs."""
        from eth_account import Account  # two thirds of what a worker would import, and workers sign nothing

        account: HubAccount = Account.from_key(private_key)
        return account

    def parachain(self, config: DomainConfig, chain: ChainConfig) -> ParachainEndpoint:
        """Return an endpoint of a parachain."""
        return EvmEndpoint(
            name=chain.name,
            rpc_url=chain.rpc_url,
            hub_address=chain.hub_address,
            evm_chain_id=chain.evm_chain_id,
            websocket_url=chain.websocket_url,
            cometbft_rpc_urls=chain.cometbft_rpc_urls,
            timeout_seconds=config.timeout_seconds,
        )

    def relay(self, config: DomainConfig, relay: RelayConfig) -> RelayEndpoint:
        """Return an endpoint of a relay chain."""
        return CometBftRelayEndpoint(
            name=relay.name,
            chain_id=relay.chain_id,
            validator_rpc_urls=relay.validator_rpc_urls,
            timeout_seconds=config.timeout_seconds,
        )

    def notaries(self, config: DomainConfig, registration: int) -> NotaryClient:
        """Return who asks the notaries of a hub."""
        return NotaryClient(
            [notary.url for notary in config.notaries if registration in notary.registrations],
            domain=config.domain,
            registration=registration,
            timeout_seconds=config.timeout_seconds,
        )
