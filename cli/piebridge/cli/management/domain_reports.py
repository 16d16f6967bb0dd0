"""What ``domain status``, ``list`` and ``show`` tell: documents for machines, and the same for people."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from eth_utils.address import to_checksum_address
from rich.markup import escape

from piebridge.cli import output
from piebridge.crypto.errors import ConfigurationError
from piebridge.management_chain.client.reader import ManagementReader
from piebridge.management_chain.client.views import DomainState, DomainView
from piebridge.management_chain.domains.looking import authorised_gateways, look_at_request
from piebridge.management_chain.domains.standing import Standing, domain_standing, kind_in_words, request_standing
from piebridge.protocol_stack.governor_relay_bodies import Gateways, RegisterChain
from piebridge.protocol_stack.management.parameters import DomainParameters
from piebridge.protocol_stack.management.request import DomainRequest
from piebridge.protocol_stack.management.request_bodies import Form, Join, Renew, ScaleUp

_ZERO_HASH = bytes(32)
_CHANGED = (DomainState.FORMING, DomainState.CHANGING, DomainState.DISSOLVING)


async def request_report(reader: ManagementReader, request_id: bytes, content: DomainRequest) -> dict[str, Any]:
    """Return where a request is."""
    facts = await look_at_request(reader, request_id, content)
    standing = request_standing(facts)
    return {
        "request": f"0x{request_id.hex()}",
        "kind": content.kind.name.lower(),
        "domain": facts.view.domain or content.domain or None,
        "state": facts.view.state.name.lower(),
        "expires": content.expires,
        "parties": list(facts.view.parties),
        "approved": sorted(facts.view.cosigned),
        "confirmed": sorted(facts.view.confirmed),
        **_standing(standing),
    }


async def domain_report(reader: ManagementReader, number: int) -> dict[str, Any]:
    """Return where a domain is.

    Raises:
        ConfigurationError: there is no such domain.
    """
    domain = await _domain(reader, number)
    request = None
    if domain.changing_request != _ZERO_HASH:
        content = await reader.request_content(domain.changing_request)
        request = await request_report(reader, domain.changing_request, content)
    return {**_domain_row(domain), **_standing(_domain_standing(domain, request)), "by_request": request}


async def everything_under_way(reader: ManagementReader) -> list[dict[str, Any]]:
    """Return where every domain is, and every request that has not ended and belongs to none of them."""
    counts = await reader.counts()
    domains = [await domain_report(reader, number) for number in range(1, counts.domains + 1)]
    told = {item["by_request"]["request"] for item in domains if item["by_request"]}
    requests = [
        await request_report(reader, request_id, content)
        for request_id, content in await reader.requests()
        if f"0x{request_id.hex()}" not in told
    ]
    return [*domains, *(item for item in requests if item["waits_for"])]


async def listing(reader: ManagementReader, *, all_requests: bool) -> dict[str, list[dict[str, Any]]]:
    """Return every domain, and the requests."""
    counts = await reader.counts()
    domains = [_domain_row(await reader.domain(number)) for number in range(1, counts.domains + 1)]
    requests = [await request_report(reader, request_id, content) for request_id, content in await reader.requests()]
    return {"domains": domains, "requests": [item for item in requests if all_requests or item["waits_for"]]}


async def domain_details(reader: ManagementReader, number: int) -> dict[str, Any]:
    """Return all of a domain.

    Raises:
        ConfigurationError: there is no such domain.
    """
    domain = await _domain(reader, number)
    numbers = domain.relays
    if domain.state is DomainState.FORMING and domain.changing_request != _ZERO_HASH:
        numbers = await reader.relays_of(domain.changing_request)  # the domain has them once it runs
    relays = [await reader.relay(relay) for relay in numbers]
    members = [await reader.registration(member) for member in domain.members]
    return {
        **await domain_report(reader, number),
        "parameters": _parameters(DomainParameters.decode(domain.parameters)) if domain.parameters else {},
        "parachains": [
            {
                "registration": item.number,
                "representative": to_checksum_address(item.representative),
                "evm_chain_id": item.evm_chain_id,
                "hub": to_checksum_address(item.hub),
            }
            for item in members
        ],
        "gateways": _gateways(await authorised_gateways(reader, number)),
        "relay_chain_details": [
            {
                "relay": item.number,
                "state": item.state.name.lower(),
                "set_epoch": item.set_epoch,
                "k": item.threshold,
                "nodes": [await _seat(reader, node) for node in item.nodes],
                "genesis_sha256": f"0x{item.genesis_hash.hex()}" if item.genesis_hash != _ZERO_HASH else None,
            }
            for item in relays
        ],
    }


async def request_details(reader: ManagementReader, request_id: bytes, content: DomainRequest) -> dict[str, Any]:
    """Return all of a request: what it asks for and, once they are drawn, the nodes."""
    body = content.body
    document = await request_report(reader, request_id, content)
    if isinstance(body, Form):
        document["parameters"] = _parameters(body.parameters)
    if isinstance(body, Form | Join | ScaleUp):
        document["parachains"] = [_chain(chain) for chain in body.chains]
    elif isinstance(body, Renew):
        document["parachains"] = [_chain(body.chain)]
    if isinstance(body, Form | ScaleUp):
        document["gateways"] = _gateways(body.gateways)
    view = await reader.request(request_id)
    if view.decision_hash != _ZERO_HASH:
        decision = await reader.decision(view)
        document["decision"] = f"0x{view.decision_hash.hex()}"
        document["relay_chain_details"] = [
            {
                "relay": relay.relay,
                "set_epoch": relay.set_epoch,
                "k": relay.threshold,
                "nodes": [await _seat(reader, seat.node) for seat in relay.seats],
            }
            for relay in decision.relays
        ]
    return document


def show(document: dict[str, Any]) -> None:
    """Print where a domain or a request is, for people."""
    if "request" in document:
        title = f"request {document['request'][:10]}, {kind_in_words_of(document['kind'])}"
    else:
        title = f"domain {document['domain']}"
    output.say(f"[bold]{title}[/]")
    output.say(f"  where     {escape(document['where'])}")
    if document["waits_for"]:
        output.say(f"  waits for {escape(document['waits_for'])}")
        output.say(f"  who       {escape(', '.join(document['who']))}")
        if document["command"]:
            output.say(f"  next      [bold]{escape(document['command'])}[/]")
    if "expires" in document and document["waits_for"]:
        output.say(f"  until     {_time(document['expires'])}")


def show_listing(document: dict[str, list[dict[str, Any]]]) -> None:
    """Print the domains and requests, for people."""
    domains, requests = document["domains"], document["requests"]
    if not domains and not requests:
        output.say("no domain and no request yet; begin with: [bold]piebridge domain template --out domain.toml[/]")
    if domains:
        output.print_table(
            "domains",
            ("domain", "state", "parachains", "relay chains", "decisions"),
            [
                [
                    str(item["domain"]),
                    item["state"],
                    ", ".join(map(str, item["members"])),
                    ", ".join(map(str, item["relay_chains"])),
                    str(item["decisions"]),
                ]
                for item in domains
            ],
        )
    if requests:
        output.print_table(
            "requests",
            ("request", "asks for", "domain", "state", "waits for"),
            [
                [
                    item["request"][:10],
                    kind_in_words_of(item["kind"]),
                    str(item["domain"] or "-"),
                    item["state"],
                    item["waits_for"] or "-",
                ]
                for item in requests
            ],
        )


def show_details(document: dict[str, Any]) -> None:
    """Print all of a domain or a request, for people."""
    show(document)
    for name, value in document.get("parameters", {}).items():
        output.say(f"  {name:<28} {value}")
    if chains := document.get("parachains"):
        columns = list(chains[0])
        output.print_table("parachains", columns, [[str(chain[column]) for column in columns] for chain in chains])
    if gateways := document.get("gateways"):
        output.print_table(
            "gateways", ("address", "quota"), [[item["address"], str(item["quota"])] for item in gateways]
        )
    for relay in document.get("relay_chain_details", ()):
        state = f", {relay['state']}" if "state" in relay else ""
        output.print_table(
            f"relay chain {relay['relay']}{state}: {relay['k']} of {len(relay['nodes'])}, set {relay['set_epoch']}",
            ("node", "operator", "reputation", "capacity", "endorsement key"),
            [
                [
                    str(item["node"]),
                    str(item["operator"]),
                    str(item["reputation"]),
                    str(item["capacity"]),
                    item["endorsement"],
                ]
                for item in relay["nodes"]
            ],
        )


def kind_in_words_of(name: str) -> str:
    """Return what a request of a kind asks for; the kind as documents have it."""
    from piebridge.protocol_stack.management.request_bodies import RequestKind

    return kind_in_words(RequestKind[name.upper()])


async def _domain(reader: ManagementReader, number: int) -> DomainView:
    domain = await reader.domain(number)
    if domain.state is DomainState.NONE:
        raise ConfigurationError(f"there is no domain {number}; `piebridge domain list` shows all")
    return domain


def _domain_standing(domain: DomainView, request: dict[str, Any] | None) -> Standing:
    if request is None:
        return domain_standing(domain, None)
    return domain_standing(
        domain,
        Standing(
            request["where"], request["waits_for"], tuple(request["who"]), request["command"], stuck=request["stuck"]
        ),
    )


def _domain_row(domain: DomainView) -> dict[str, Any]:
    return {
        "domain": domain.number,
        "state": domain.state.name.lower(),
        "members": list(domain.members),
        "relay_chains": list(domain.relays),
        "decisions": domain.decisions,
        "policy_epoch": domain.policy_epoch,
    }


def _standing(standing: Standing) -> dict[str, Any]:
    return {**asdict(standing), "who": list(standing.who)}


def _parameters(parameters: DomainParameters) -> dict[str, Any]:
    document = asdict(parameters)
    caps = document.pop("caps")
    return {
        **document,
        "consensus": parameters.consensus.name.lower().replace("_", "-"),
        "endorsement": parameters.endorsement.name.lower(),
        **caps,
    }


def _chain(chain: RegisterChain) -> dict[str, Any]:
    notaries = chain.notaries
    return {
        "registration": chain.registration,
        "hub": to_checksum_address(chain.hub),
        "evm_chain_id": chain.evm_chain_id,
        "verification": chain.method.name.lower(),
        "depth": chain.depth,
        "checkpoint": chain.checkpoint.height if chain.checkpoint else None,
        "notaries": f"{notaries.threshold} of {len(notaries.members)}" if notaries else None,
    }


def _gateways(gateways: Gateways) -> list[dict[str, Any]]:
    return [{"address": to_checksum_address(item.address), "quota": item.quota} for item in gateways.quotas]


async def _seat(reader: ManagementReader, number: int) -> dict[str, Any]:
    node = await reader.node(number)
    return {
        "node": number,
        "operator": node.operator,
        "state": node.state.name.lower(),
        "reputation": node.reputation,
        "capacity": node.capacity,
        "endorsement": to_checksum_address(node.endorsement),
        "endpoint": node.endpoint,
    }


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
