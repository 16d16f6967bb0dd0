"""In every state of a request and of a domain it is told what is waited for and who must act."""

from dataclasses import replace

import pytest

from piebridge.management_chain.client.views import DomainState, DomainView, RequestState, RequestView
from piebridge.management_chain.domains.standing import (
    RequestFacts,
    domain_standing,
    draws_nodes,
    kind_in_words,
    request_standing,
)
from piebridge.protocol_stack.management.request_bodies import RequestKind

VIEW = RequestView(
    request_id=bytes.fromhex("ab" * 32),
    state=RequestState.FILED,
    kind=RequestKind.FORM,
    domain=0,
    expires=2_000,
    closed_in_block=0,
    parties=(1, 2, 3),
    cosigned=frozenset({2}),
    confirmed=frozenset(),
    candidates_hash=bytes(32),
    decision_hash=bytes(32),
)
DOMAIN = DomainView(7, DomainState.RUNNING, 4, 1, bytes(32), b"", (1, 2, 3), (1,))


def facts(state: RequestState, **changes: object) -> RequestFacts:
    view = replace(VIEW, state=state, closed_in_block=10, confirmed=frozenset({3}))
    return replace(RequestFacts(view=view, now=1_000, head=20), **changes)  # type: ignore[arg-type]


def test_filed_waits_for_those_who_have_not_approved() -> None:
    standing = request_standing(facts(RequestState.FILED))
    assert standing.where == "filed; 1 of 3 parachains have approved"
    assert standing.who == ("representative of parachain 1", "representative of parachain 3")
    assert standing.waits_for == "the approval of 2 parachains (1, 3)"
    assert standing.command == "piebridge domain approve --request 0xabababab --registration N --as ACCOUNT"


def test_cosigned_waits_for_anybody_who_closes() -> None:
    drawn = request_standing(facts(RequestState.COSIGNED))
    assert (drawn.who, drawn.command) == (("anybody",), "piebridge domain advance --request 0xabababab --as ACCOUNT")
    assert "can be drawn" in drawn.waits_for
    assert "decision is made" in request_standing(facts(RequestState.COSIGNED, draws=False)).waits_for


@pytest.mark.parametrize(
    ("head", "words"), [(10, "2 more block(s)"), (11, "1 more block(s)"), (12, "the draw of the nodes")]
)
def test_closed_counts_the_blocks_before_the_draw(head: int, words: str) -> None:
    assert words in request_standing(facts(RequestState.CLOSED, head=head)).waits_for


def test_drawn_waits_for_those_who_have_not_confirmed() -> None:
    standing = request_standing(facts(RequestState.DRAWN))
    assert standing.who == ("representative of parachain 1", "representative of parachain 2")
    assert "1 of 3 parachains have confirmed" in standing.where


def test_confirmed_waits_for_the_agents_that_have_not_reported() -> None:
    standing = request_standing(facts(RequestState.CONFIRMED, missing_reports={1: (5,), 2: (8, 9)}))
    assert standing.who == ("agent of node 5", "agent of node 8", "agent of node 9")
    assert "3 nodes (5, 8, 9)" in standing.waits_for
    assert not standing.stuck


def test_confirmed_is_stuck_where_genesis_documents_differ() -> None:
    standing = request_standing(
        facts(RequestState.CONFIRMED, missing_reports={1: (5,)}, differing_reports={1: 2, 2: 1})
    )
    assert standing.stuck
    assert "relay chain 1 (2)" in standing.where
    assert "relay chain 2" not in standing.where


def test_executing_waits_for_the_governors_and_no_longer_expires() -> None:
    standing = request_standing(facts(RequestState.EXECUTING, now=99_999))
    assert standing.who == ("governors",)
    assert "a new domain" in standing.where


@pytest.mark.parametrize("state", [RequestState.DONE, RequestState.REFUSED, RequestState.EXPIRED, RequestState.NONE])
def test_what_has_ended_waits_for_nobody(state: RequestState) -> None:
    standing = request_standing(facts(state, now=99_999))
    assert (standing.waits_for, standing.who, standing.command) == ("", (), "")
    assert standing.where


@pytest.mark.parametrize(
    "state",
    [RequestState.FILED, RequestState.COSIGNED, RequestState.CLOSED, RequestState.DRAWN, RequestState.CONFIRMED],
)
def test_every_state_before_executing_expires(state: RequestState) -> None:
    assert not request_standing(facts(state, now=1_999)).stuck
    standing = request_standing(facts(state, now=2_000))
    assert (standing.where, standing.stuck) == ("its time is over", True)


def test_a_request_for_an_older_state_of_the_domain_is_stale() -> None:
    view = replace(VIEW, kind=RequestKind.JOIN, domain=7)
    current = RequestFacts(view=view, now=0, head=0, basis=4, domain=DOMAIN)
    assert not request_standing(current).stuck
    assert "stale" in request_standing(replace(current, basis=3)).where


def test_a_domain_says_what_its_request_waits_for() -> None:
    request = request_standing(facts(RequestState.DRAWN))
    standing = domain_standing(replace(DOMAIN, state=DomainState.FORMING), request)
    assert standing.where.startswith("forming; drawn")
    assert standing.who == request.who
    assert domain_standing(DOMAIN, request).who == ()


@pytest.mark.parametrize("state", list(DomainState))
def test_every_state_of_a_domain_has_words(state: DomainState) -> None:
    assert domain_standing(replace(DOMAIN, state=state), None).where


@pytest.mark.parametrize("kind", list(RequestKind))
def test_every_kind_has_words(kind: RequestKind) -> None:
    assert kind_in_words(kind)
    assert draws_nodes(kind, replaces_with_newcomer=True) is (
        kind in (RequestKind.FORM, RequestKind.SCALE_UP, RequestKind.REPLACE)
    )
