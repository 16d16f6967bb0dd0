"""From a domain file to the request that is filed: endpoints are asked, and must agree."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from piebridge.chains.cometbft_rpc import CometBftRpc
from piebridge.chains.jsonrpc import JsonRpcClient
from piebridge.crypto.errors import ConfigurationError, VerificationError
from piebridge.management_chain.client.reader import ManagementReader
from piebridge.management_chain.client.views import DomainState, DomainView, RegistrationView
from piebridge.management_chain.domains.domain_file import ChainWish, DomainFile, LightClientWish
from piebridge.protocol_stack.checkpoint import CometBftCheckpoint
from piebridge.protocol_stack.codec import ZERO_ADDRESS
from piebridge.protocol_stack.governor_relay_bodies import (
    ClientKind,
    GatewayQuota,
    Gateways,
    Parameters,
    RegisterChain,
)
from piebridge.protocol_stack.management.parameters import DomainParameters
from piebridge.protocol_stack.management.request import DomainRequest
from piebridge.protocol_stack.management.request_bodies import Form, RequestBody
from piebridge.protocol_stack.notary_statement import NotarySet


@dataclass(frozen=True, slots=True)
class Life:
    """How long a request lives, and what tells it from others."""

    now: int
    """Time of the newest block of the management chain, Unix seconds."""
    expires_in_seconds: int
    """From now on."""
    salt: int
    """Random, 64 bits."""


def parameters_of(file: DomainFile) -> DomainParameters:
    """Return the parameters that a file asks for.

    Raises:
        FormatError: they are not accepted.
    """
    return DomainParameters(
        consensus=file.consensus,
        block_interval_milliseconds=file.block_interval_milliseconds,
        block_bytes_max=file.block_bytes_max,
        relay_chains=file.relay_chains,
        seats=file.seats,
        threshold=file.threshold,
        endorsement=file.endorsement,
        capacity_min=file.least_capacity,
        term_min_seconds=file.least_term_seconds,
        overlap_seconds=file.overlap_seconds,
        caps=Parameters(file.max_body_bytes, file.retention_seconds, file.stranger_quota),
        delta_min_seconds=file.min_delta_seconds,
        delta_max_seconds=file.max_delta_seconds,
    )


def gateways_of(file: DomainFile) -> Gateways:
    """Return the gateways that a file names, addresses ascending."""
    ordered = sorted(file.gateways, key=lambda gateway: gateway.address)
    return Gateways(tuple(GatewayQuota(item.address, item.quota) for item in ordered))


async def form_body(file: DomainFile, reader: ManagementReader) -> Form:
    """Return what a file asks for.

    Raises:
        ConfigurationError: a registration is not ready, or an endpoint serves another chain.
        VerificationError: endpoints of one chain contradict each other.
        ChainError: one does not answer.
    """
    return Form(parameters_of(file), await register_chains(file.chains, reader), gateways_of(file))


async def register_chains(wishes: Sequence[ChainWish], reader: ManagementReader) -> tuple[RegisterChain, ...]:
    """Return the parachains as relay chains will have them, registrations ascending; errors as :func:`form_body`."""
    chains = await asyncio.gather(*(_register_chain(wish, reader) for wish in wishes))
    return tuple(sorted(chains, key=lambda chain: chain.registration))


def first_request(body: Form, life: Life) -> DomainRequest:
    """Return the request for a new domain."""
    return DomainRequest(0, 0, life.now + life.expires_in_seconds, life.salt, body)


def change_request(domain: DomainView, body: RequestBody, life: Life) -> DomainRequest:
    """Return the request that changes a domain as it is now.

    Raises:
        ConfigurationError: the domain does not run, or is being changed already.
    """
    if domain.state is DomainState.CHANGING:
        raise ConfigurationError(
            f"domain {domain.number} is being changed already, by request 0x{domain.changing_request.hex()[:8]}: one "
            f"after the other. `piebridge domain status {domain.number}` says what that one waits for"
        )
    if domain.state is not DomainState.RUNNING:
        raise ConfigurationError(f"domain {domain.number} does not run (state {domain.state.name.lower()})")
    return DomainRequest(domain.number, domain.decisions, life.now + life.expires_in_seconds, life.salt, body)


async def _register_chain(wish: ChainWish, reader: ManagementReader) -> RegisterChain:
    registration = await reader.registration(wish.registration)
    _check_registration(wish, registration)
    await _check_endpoints(wish, registration)
    client = wish.light_client
    return RegisterChain(
        registration=wish.registration,
        hub=registration.hub,
        evm_chain_id=registration.evm_chain_id,
        client_kind=ClientKind.NONE if client is None else ClientKind.COMETBFT,
        method=wish.verification,
        depth=wish.depth,
        depth_max=wish.depth_max,
        handler_gas_max=wish.handler_gas_max,
        checkpoint=None if client is None else await _checkpoint(wish, client),
        notaries=None
        if wish.notaries is None
        else NotarySet(
            wish.notaries.epoch, wish.notaries.threshold, tuple(member.address for member in wish.notaries.members)
        ),
    )


def _check_registration(wish: ChainWish, registration: RegistrationView) -> None:
    where = f"chain {wish.name!r}, registration {wish.registration}"
    if registration.representative == ZERO_ADDRESS:
        raise ConfigurationError(f"{where}: there is no such registration; `piebridge domain register` makes one")
    if registration.hub == ZERO_ADDRESS:
        raise ConfigurationError(
            f"{where}: its hub is not bound yet; deploy it with this number, then `piebridge domain register "
            f"--registration {wish.registration} --hub 0x... --hub-chain ID`"
        )
    if registration.closed:
        raise ConfigurationError(f"{where}: closed for ever; a new hub is a new registration")


async def _check_endpoints(wish: ChainWish, registration: RegistrationView) -> None:
    """Check that every endpoint serves the chain of the hub, and has code at its address."""
    for url in wish.rpc_urls:
        async with JsonRpcClient(url) as client:
            chain_id, code = await client.batch(
                [("eth_chainId", []), ("eth_getCode", [f"0x{registration.hub.hex()}", "latest"])]
            )
        if int(str(chain_id), 16) != registration.evm_chain_id:
            raise ConfigurationError(
                f"chain {wish.name!r}: {url} is EVM chain {int(str(chain_id), 16)}, but the hub is registered on "
                f"{registration.evm_chain_id}"
            )
        if code in (None, "0x"):
            raise ConfigurationError(f"chain {wish.name!r}: {url} knows no contract at 0x{registration.hub.hex()}")


async def _checkpoint(wish: ChainWish, client: LightClientWish) -> CometBftCheckpoint:
    """Return where the light client starts: one header, the same from every endpoint."""
    nodes = [CometBftRpc(url) for url in wish.cometbft_rpc_urls]
    try:
        statuses = await asyncio.gather(*(node.status() for node in nodes))
        height = client.height or min(status.height for status in statuses)
        headers = [signed.header for signed in await asyncio.gather(*(node.signed_header(height) for node in nodes))]
    finally:
        for node in nodes:
            await node.close()
    for url, header in zip(wish.cometbft_rpc_urls, headers, strict=True):
        if header.hash() != headers[0].hash():
            raise VerificationError(
                f"chain {wish.name!r}: {wish.cometbft_rpc_urls[0]} and {url} tell different headers of height "
                f"{height}: one of them lies or has forked. Nothing is filed; find out which",
                expected=headers[0].hash(),
                actual=header.hash(),
            )
    header = headers[0]
    return CometBftCheckpoint(
        trusting_period_seconds=client.trusting_period_seconds,
        clock_drift_seconds=client.clock_drift_seconds,
        chain_id=statuses[0].chain_id,
        height=header.height,
        header_hash=header.hash(),
        time_ns=header.time_ns,
        app_hash=header.app_hash,
        next_validators_hash=header.next_validators_hash,
    )
