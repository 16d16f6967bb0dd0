"""Where a request and its domain are in their lives, what they wait for, who must act. Pure: facts in, words out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from piebridge.management_chain.client.views import DomainState, DomainView, RequestState, RequestView
from piebridge.protocol_stack.management.draw import first_draw_block
from piebridge.protocol_stack.management.request_bodies import RequestKind

_PLAIN = {
    RequestKind.FORM: "a new domain",
    RequestKind.JOIN: "parachains join",
    RequestKind.LEAVE: "a parachain leaves",
    RequestKind.SCALE_UP: "more relay chains",
    RequestKind.SCALE_DOWN: "one relay chain less",
    RequestKind.REPLACE: "another validator",
    RequestKind.PARAMETERS: "other parameters",
    RequestKind.DISSOLVE: "the end of the domain",
    RequestKind.GATEWAYS: "gateways",
    RequestKind.POLICY: "another routing policy",
    RequestKind.RENEW: "another verification of a member",
}
_DRAWN = frozenset({RequestKind.FORM, RequestKind.SCALE_UP})


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What decides where a request is."""

    view: RequestView
    """As the registry says."""
    now: int
    """Time of the newest block, Unix seconds."""
    head: int
    """Number of the newest block."""
    basis: int = 0
    """Number of decisions for which the request was made."""
    domain: DomainView | None = None
    """The domain; None while it has none."""
    draws: bool = True
    """Whether nodes are drawn for it."""
    missing_reports: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """Nodes that have not reported the genesis of their relay chain, by relay chain."""
    differing_reports: Mapping[int, int] = field(default_factory=dict)
    """Number of different genesis hashes that were reported, by relay chain."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where something is, in words."""

    where: str
    """What has happened."""
    waits_for: str
    """What has to happen next; empty where nothing has."""
    who: tuple[str, ...]
    """Who must act; empty where nobody has to."""
    command: str
    """What they type, with their own names filled in by them; empty where nothing is typed."""
    stuck: bool = False
    """Whether it can never go on by itself."""


def kind_in_words(kind: int) -> str:
    """Return what a request asks for, for people."""
    return _PLAIN[RequestKind(kind)]


def request_standing(facts: RequestFacts) -> Standing:
    """Return where a request is, what it waits for, and who must act."""
    view = facts.view
    if view.state is RequestState.NONE:
        return Standing("there is no such request", "", (), "")
    short = f"0x{view.request_id.hex()[:8]}"
    if not view.state.ended and view.state is not RequestState.EXECUTING and facts.now >= view.expires:
        return Standing(
            "its time is over",
            "somebody who says so: reserved nodes are free again then",
            ("anybody",),
            f"piebridge domain advance --request {short} --as ACCOUNT",
            stuck=True,
        )
    if view.state in (RequestState.FILED, RequestState.COSIGNED) and _is_stale(facts):
        return Standing(
            "stale: the domain has changed since it was made",
            "a new request; this one can only be rejected or expire",
            _representatives(view.parties),
            f"piebridge domain approve --reject --request {short} --registration N --as ACCOUNT",
            stuck=True,
        )
    return _STANDINGS[view.state](facts, short)


def domain_standing(domain: DomainView, request: Standing | None) -> Standing:
    """Return where a domain is.

    Args:
        domain: as the registry says.
        request: where the request is that makes or changes it, if there is one.
    """
    words = {
        DomainState.NONE: "there is no such domain",
        DomainState.FORMING: "forming",
        DomainState.RUNNING: "running",
        DomainState.CHANGING: "running, and being changed",
        DomainState.DISSOLVING: "dissolving: what is on its way is finished, nothing new is sent",
        DomainState.DISSOLVED: "dissolved",
        DomainState.ABANDONED: "abandoned: it never came into being",
    }
    if request is None or domain.state in (
        DomainState.NONE,
        DomainState.RUNNING,
        DomainState.DISSOLVED,
        DomainState.ABANDONED,
    ):
        return Standing(words[domain.state], "", (), "")
    return Standing(
        f"{words[domain.state]}; {request.where}", request.waits_for, request.who, request.command, request.stuck
    )


def _is_stale(facts: RequestFacts) -> bool:
    return facts.domain is not None and facts.domain.decisions != facts.basis


def _filed(facts: RequestFacts, short: str) -> Standing:
    missing = tuple(party for party in facts.view.parties if party not in facts.view.cosigned)
    return Standing(
        f"filed; {len(facts.view.cosigned)} of {len(facts.view.parties)} parachains have approved",
        f"the approval of {_count(missing, 'parachain')}",
        _representatives(missing),
        f"piebridge domain approve --request {short} --registration N --as ACCOUNT",
    )


def _cosigned(facts: RequestFacts, short: str) -> Standing:
    return Standing(
        "approved by all parachains concerned",
        "closing: " + ("the nodes that can be drawn are fixed then" if facts.draws else "the decision is made then"),
        ("anybody",),
        f"piebridge domain advance --request {short} --as ACCOUNT",
    )


def _closed(facts: RequestFacts, short: str) -> Standing:
    first = first_draw_block(facts.view.closed_in_block)
    left = first - 1 - facts.head
    return Standing(
        f"closed in block {facts.view.closed_in_block}",
        f"{left} more block(s) before the draw: an idle chain makes none, the command sends what it takes"
        if left > 0
        else "the draw of the nodes",
        ("anybody",),
        f"piebridge domain advance --request {short} --as ACCOUNT",
    )


def _drawn(facts: RequestFacts, short: str) -> Standing:
    missing = tuple(party for party in facts.view.parties if party not in facts.view.confirmed)
    return Standing(
        f"drawn; {len(facts.view.confirmed)} of {len(facts.view.parties)} parachains have confirmed the nodes",
        f"the confirmation of {_count(missing, 'parachain')}",
        _representatives(missing),
        f"piebridge domain approve --request {short} --registration N --as ACCOUNT",
    )


def _confirmed(facts: RequestFacts, short: str) -> Standing:
    differing = {relay: count for relay, count in facts.differing_reports.items() if count > 1}
    missing = tuple(node for nodes in facts.missing_reports.values() for node in nodes)
    if differing:
        return Standing(
            "decided for good; but nodes report different genesis documents of "
            + ", ".join(f"relay chain {relay} ({count})" for relay, count in differing.items()),
            "nothing that could come: it expires, and is asked for anew with other nodes",
            ("anybody, once it has expired",),
            f"piebridge domain advance --request {short} --as ACCOUNT",
            stuck=True,
        )
    return Standing(
        "decided for good",
        f"the report of {_count(missing, 'node')}: their agents make keys and genesis and start",
        tuple(f"agent of node {node}" for node in missing),
        "piebridge node run",
    )


def _executing(facts: RequestFacts, _short: str) -> Standing:
    return Standing(
        f"being carried out ({kind_in_words(facts.view.kind)})",
        "the governors: every hub and relay chain concerned confirms their messages, then they say that it is done",
        ("governors",),
        "piebridge governor run",
    )


def _done(facts: RequestFacts, _short: str) -> Standing:
    return Standing(f"done ({kind_in_words(facts.view.kind)})", "", (), "")


def _refused(_facts: RequestFacts, _short: str) -> Standing:
    return Standing("refused: a party rejected it, the draw failed, or the governors dropped it", "", (), "")


def _expired(_facts: RequestFacts, _short: str) -> Standing:
    return Standing("expired", "", (), "")


_STANDINGS = {
    RequestState.FILED: _filed,
    RequestState.COSIGNED: _cosigned,
    RequestState.CLOSED: _closed,
    RequestState.DRAWN: _drawn,
    RequestState.CONFIRMED: _confirmed,
    RequestState.EXECUTING: _executing,
    RequestState.DONE: _done,
    RequestState.REFUSED: _refused,
    RequestState.EXPIRED: _expired,
}


def _representatives(registrations: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(f"representative of parachain {registration}" for registration in registrations)


def _count(items: tuple[int, ...], noun: str) -> str:
    return f"{noun} {items[0]}" if len(items) == 1 else f"{len(items)} {noun}s ({', '.join(map(str, items))})"


def draws_nodes(kind: int, *, replaces_with_newcomer: bool = False) -> bool:
    """Return whether nodes are drawn for a kind of request."""
    return RequestKind(kind) in _DRAWN or (RequestKind(kind) is RequestKind.REPLACE and replaces_with_newcomer)
