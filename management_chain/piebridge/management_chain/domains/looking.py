"""Gathers the facts that decide where requests and domains stand."""

from piebridge.crypto.errors import ConfigurationError
from piebridge.management_chain.chain.contracts import ContractName
from piebridge.management_chain.client.reader import ManagementReader
from piebridge.management_chain.client.views import RequestState, RequestView
from piebridge.management_chain.domains.standing import RequestFacts, Standing, draws_nodes, request_standing
from piebridge.protocol_stack.governor_relay_bodies import GatewayQuota, Gateways
from piebridge.protocol_stack.management.request import DomainRequest
from piebridge.protocol_stack.management.request_bodies import Replace

_ZERO_HASH = bytes(32)


async def find_request(reader: ManagementReader, text: str | None) -> tuple[bytes, DomainRequest]:
    """Return a request by its id or the beginning of that, with what it asks for.

    Args:
        reader: the chain.
        text: the id; None for the only request that is under way.

    Raises:
        ConfigurationError: there is none, or several begin so.
    """
    wanted = (text or "").removeprefix("0x").lower()
    if not wanted:
        return await _only_request(reader)
    found = [item for item in await reader.requests() if item[0].hex().startswith(wanted)]
    if len(found) != 1:
        many = ", ".join(f"0x{request_id.hex()[:12]}" for request_id, _ in found[:8])
        raise ConfigurationError(
            f"no request begins with {text!r}; `piebridge domain list` shows all"
            if not found
            else f"{len(found)} requests begin with {text!r}: {many}; give more of it"
        )
    return found[0]


async def _only_request(reader: ManagementReader) -> tuple[bytes, DomainRequest]:
    open_requests = [item for item in await reader.requests() if not (await reader.request(item[0])).state.ended]
    if len(open_requests) != 1:
        many = ", ".join(f"0x{request_id.hex()[:8]}" for request_id, _ in open_requests[:8])
        raise ConfigurationError(
            f"{len(open_requests)} requests are under way ({many}): name one with --request"
            if open_requests
            else "no request is under way; `piebridge domain list --all` shows those that have ended"
        )
    return open_requests[0]


async def look_at_request(reader: ManagementReader, request_id: bytes, content: DomainRequest) -> RequestFacts:
    """Return everything that decides where a request is."""
    view = await reader.request(request_id)
    head, now = await reader.head()
    domain = await reader.domain(view.domain or content.domain) if view.domain or content.domain else None
    missing: dict[int, tuple[int, ...]] = {}
    differing: dict[int, int] = {}
    if view.state is RequestState.CONFIRMED:
        missing, differing = await _reports(reader, view)
    body = content.body
    return RequestFacts(
        view=view,
        now=now,
        head=head,
        basis=content.basis,
        domain=domain,
        draws=draws_nodes(content.kind, replaces_with_newcomer=isinstance(body, Replace) and body.draws_newcomer),
        missing_reports=missing,
        differing_reports=differing,
    )


async def standing_of(reader: ManagementReader, request_id: bytes, content: DomainRequest) -> Standing:
    """Return where a request is, what it waits for and who must act."""
    return request_standing(await look_at_request(reader, request_id, content))


async def operators_on_offer(reader: ManagementReader, capacity_min: int) -> int:
    """Return how many operators have a node on offer that is strong enough now."""
    nodes = [await reader.node(number) for number in await reader.offered_nodes()]
    return len({node.operator for node in nodes if node.capacity >= capacity_min})


async def authorised_gateways(reader: ManagementReader, domain: int) -> Gateways:
    """Return all gateways that are authorised in a domain, addresses ascending."""
    events = await reader.events(ContractName.REGISTRY, "GatewayAuthorised", [domain.to_bytes(32, "big")])
    quotas = {bytes.fromhex(event.arguments["gateway"][2:]): int(event.arguments["quota"]) for event in events}
    return Gateways(tuple(GatewayQuota(address, quota) for address, quota in sorted(quotas.items()) if quota))


async def _reports(reader: ManagementReader, view: RequestView) -> tuple[dict[int, tuple[int, ...]], dict[int, int]]:
    """Return who has not reported a genesis yet, and how many different ones were reported, by relay chain."""
    missing: dict[int, tuple[int, ...]] = {}
    differing: dict[int, int] = {}
    for relay in (await reader.decision(view)).relays:
        reported = {
            seat.node: await reader.genesis_report(view.request_id, relay.relay, seat.node) for seat in relay.seats
        }
        hashes = {value for value in reported.values() if value != _ZERO_HASH}
        differing[relay.relay] = len(hashes)
        silent = tuple(node for node, value in reported.items() if value == _ZERO_HASH)
        if silent:
            missing[relay.relay] = silent
    return missing, differing
