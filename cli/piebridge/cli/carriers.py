"""Asks those who carry and vouch for a packet: gateways, notaries, validators."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import aiohttp

from piebridge.chains.errors import TransactionRefusedError
from piebridge.cli.facts import GatewayFacts, PacketFacts, SignatureFacts, Signer
from piebridge.cli.view import REQUEST_TIMEOUT_SECONDS, ChainView, NetworkView
from piebridge.crypto.errors import ChainError
from piebridge.protocol_stack.commitment import chain_slot
from piebridge.protocol_stack.relay_queries import EndorseQuery

DELIVERY_GAS = 120_000
"""Gas that one delivery takes at least, about; a gateway that cannot pay it cannot deliver."""

_T = TypeVar("_T")


async def ask_gateways(view: NetworkView, source: ChainView, destination: ChainView | None) -> tuple[GatewayFacts, ...]:
    """Ask every gateway of the network file whether it works, and the chains what money it has."""

    async def ask(name: str, address: str, url: str | None) -> GatewayFacts:
        problem = await _http_problem(url) if url else "its address is not known"
        here = await _or_else(source.balance(address), 0)
        there = await _or_else(destination.balance(address), 0) if destination else 0
        return GatewayFacts(name, problem, here, there)

    gateways = view.network.gateways
    return tuple(await asyncio.gather(*(ask(item.name, item.address, item.status_url) for item in gateways)))


async def delivery_cost_wei(chain: ChainView) -> int:
    """Return what a gateway pays for one delivery on a chain, about; 0 where the chain does not tell."""
    price = await _or_else(chain.client.call("eth_gasPrice"), "0x0")
    return int(str(price), 16) * DELIVERY_GAS


async def ask_notaries(view: NetworkView, facts: PacketFacts) -> SignatureFacts | None:
    """Ask the notaries for the statement that the packet, or its receipt, waits for; None where it waits for none."""
    waiting = _unproven(view, facts)
    if waiting is None:
        return None
    chain, number, outbox = waiting
    request = {
        "domain": view.network.domain.id,
        "registration": chain.entry.registration,
        "hub": chain.entry.hub.lower(),
        "block_number": number,
        "slots": [chain_slot(view.network.domain.id, outbox).hex()],
    }
    notaries = [item for item in view.network.notaries if chain.entry.registration in item.chains]
    problems = await asyncio.gather(*(_notary_problem(f"{item.url}/v1/statement", request) for item in notaries))
    signers = [
        Signer(f"notary-{item.index}", item.address, problem) for item, problem in zip(notaries, problems, strict=True)
    ]
    return SignatureFacts(max((item.k for item in notaries), default=1), tuple(signers))


async def ask_validators(view: NetworkView, facts: PacketFacts) -> SignatureFacts | None:
    """Ask the validators to endorse the entry that the packet, or its answer, waits for; None where there is none."""
    recorder, transport = facts.recorder, facts.sent.packet.header.transport
    if recorder is None or facts.home.came is not None:
        return None
    if facts.destination.ended is None:
        destination, number = transport.destination, recorder.entry_number
    else:
        destination, number = transport.source, recorder.answer_entry
    if not number:
        return None
    relay = view.relays[recorder.relay]
    query = EndorseQuery(destination, number).encode()

    async def ask(index: int) -> Signer:
        entry = relay.entry.validators[index]
        try:
            await relay.nodes[index].abci_query(EndorseQuery.PATH, query)
        except TransactionRefusedError as error:
            return Signer(f"validator {index}", entry.endorsement_address, error.log)
        except ChainError as error:
            return Signer(f"validator {index}", entry.endorsement_address, f"does not answer: {error}")
        return Signer(f"validator {index}", entry.endorsement_address, None)

    signers = await asyncio.gather(*(ask(index) for index in range(len(relay.entry.validators))))
    return SignatureFacts(relay.entry.k, tuple(signers))


def _unproven(view: NetworkView, facts: PacketFacts) -> tuple[ChainView, int, int] | None:
    """Return chain, block and outbox that notaries must state next; None where none must, or it is not final yet."""
    recorder, transport = facts.recorder, facts.sent.packet.header.transport
    if recorder is None:
        chain: ChainView | None = view.chains[transport.source]
        number, head, outbox = facts.source.sent.number, facts.source.head, facts.sent.outbox_relay
    elif facts.destination.ended is not None and facts.home.wanted and facts.home.came is None:
        if recorder.answer_height is not None:
            return None
        chain = view.chains.get(transport.destination)
        number, head, outbox = facts.destination.ended.number, facts.destination.head, transport.relay
    else:
        return None
    if chain is None or chain.entry.verification != "notary" or head - number < chain.entry.finality_depth:
        return None
    # Where gateways ask, too: notaries do not sign of old blocks, and any later one proves the entry as well.
    return chain, head - chain.entry.finality_depth, outbox


async def _http_problem(url: str) -> str | None:
    """Return why a gateway does not work; an unhealthy one that answers still carries what it can."""
    try:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(f"{url}/health"):
            return None
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return f"{url} does not answer ({type(error).__name__})"


async def _notary_problem(url: str, request: dict[str, object]) -> str | None:
    try:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.post(url, json=request) as response:
            answer = await response.json(content_type=None)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        return f"does not answer ({type(error).__name__})"
    if not isinstance(answer, dict):
        return "answers no JSON object"
    refusal = answer.get("error")
    return f"{refusal.get('code')}: {refusal.get('message')}" if isinstance(refusal, dict) else None


async def _or_else(question: Awaitable[_T], default: _T) -> _T:
    try:
        return await question
    except ChainError:
        return default
