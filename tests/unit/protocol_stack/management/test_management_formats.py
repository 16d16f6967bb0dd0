"""Requests, decisions and offers: their layout as the page states it, and what does not fit together is refused."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import pytest

from piebridge.crypto.hash import keccak256
from piebridge.crypto.signature import address_of
from piebridge.protocol_stack.endorsement import EndorsementMethod
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.governor_relay_bodies import GatewayQuota, Gateways, Parameters
from piebridge.protocol_stack.management.decision import Decision, decision_hash
from piebridge.protocol_stack.management.digests import (
    OfferKey,
    RepresentativeKind,
    governor_management_digest,
    representative_digest,
)
from piebridge.protocol_stack.management.offer import NodeOffer
from piebridge.protocol_stack.management.parameters import Consensus, DomainParameters
from piebridge.protocol_stack.management.request import DomainRequest
from piebridge.protocol_stack.management.request_bodies import (
    Dissolve,
    Form,
    RequestKind,
    ScaleDown,
    decode_request_body,
)
from piebridge.protocol_stack.management.tags import (
    TAG_DECISION,
    TAG_DOMAIN_REQUEST,
    TAG_GOVERNOR_MANAGEMENT,
    TAG_NODE_OFFER,
    TAG_REPRESENTATIVE,
    ManagementContract,
    Place,
)
from piebridge.protocol_stack.verification.base import Method
from testkit import management_samples
from testkit.samples import Samples, key_address

T = TypeVar("T")

PLACE = Place(77, b"\x11" * 20)
PARAMETERS = DomainParameters(
    Consensus.COMETBFT,
    1_000,
    4_194_304,
    2,
    4,
    3,
    EndorsementMethod.SIGNATURES,
    50,
    86_400,
    600,
    Parameters(8_192, 3_600, 10),
    60,
    7_200,
)


def number(value: int, length: int) -> bytes:
    return value.to_bytes(length, "big")


def sample(draw: Callable[[Samples], T], wanted: Callable[[T], bool]) -> T:
    samples = Samples(11)
    while not wanted(value := draw(samples)):
        pass
    return value


def some_form(samples: Samples) -> Form:
    form = management_samples.body(samples, RequestKind.FORM)
    assert isinstance(form, Form)
    return form


# --- parameters


def test_parameters_lie_at_the_offsets_of_the_page() -> None:
    data = PARAMETERS.encode()
    assert len(data) == 46
    fields = (1, 1, 4, 4, 1, 1, 1, 1, 4, 4, 4, 4, 4, 4, 4, 4)
    values = (1, 1, 1_000, 4_194_304, 2, 4, 3, 1, 50, 86_400, 600, 8_192, 3_600, 10, 60, 7_200)
    assert data == b"".join(number(value, length) for value, length in zip(values, fields, strict=True))
    assert PARAMETERS.caps.encode() == data[26:38]
    assert PARAMETERS.safe


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"block_interval_milliseconds": 0}, ErrorCode.DOMAIN_PARAMETER),
        ({"block_bytes_max": 65_535}, ErrorCode.DOMAIN_PARAMETER),
        ({"block_bytes_max": 104_857_601}, ErrorCode.DOMAIN_PARAMETER),
        ({"relay_chains": 0}, ErrorCode.DOMAIN_PARAMETER),
        ({"relay_chains": 17}, ErrorCode.DOMAIN_PARAMETER),
        ({"seats": 0, "threshold": 0}, ErrorCode.DOMAIN_PARAMETER),
        ({"seats": 33}, ErrorCode.DOMAIN_PARAMETER),
        ({"threshold": 0}, ErrorCode.DOMAIN_PARAMETER),
        ({"threshold": 5}, ErrorCode.DOMAIN_PARAMETER),
        ({"endorsement": EndorsementMethod.THRESHOLD}, ErrorCode.DOMAIN_PARAMETER),
        ({"capacity_min": 0}, ErrorCode.DOMAIN_PARAMETER),
        ({"caps": Parameters(0, 1, 1)}, ErrorCode.DOMAIN_PARAMETER),
        ({"delta_min_seconds": 7_201}, ErrorCode.DOMAIN_PARAMETER),
    ],
)
def test_parameters_that_are_not_accepted(changes: dict[str, Any], code: ErrorCode) -> None:
    with pytest.raises(FormatError) as refused:
        replace(PARAMETERS, **changes).encode()
    assert refused.value.code is code


def test_only_a_byzantine_quorum_is_safe() -> None:
    assert not replace(PARAMETERS, seats=1, threshold=1).safe
    assert not replace(PARAMETERS, threshold=2).safe
    assert replace(PARAMETERS, seats=2, threshold=2).safe


# --- requests


def test_the_request_id_is_bound_to_its_registry() -> None:
    request = DomainRequest(3, 2, 1_900_000_000, 9, ScaleDown(8))
    data = b"\x01\x05" + number(3, 4) + number(2, 4) + number(1_900_000_000, 8) + number(9, 8) + number(8, 4)
    assert request.encode() == data
    assert request.request_id(PLACE) == keccak256(TAG_DOMAIN_REQUEST + number(77, 8) + b"\x11" * 20 + data)
    assert request.request_id(Place(78, PLACE.contract)) != request.request_id(PLACE)
    assert replace(request, salt=10).request_id(PLACE) != request.request_id(PLACE)


@pytest.mark.parametrize("kind", RequestKind)
def test_domain_and_basis_are_zero_in_form_only(kind: RequestKind) -> None:
    given = management_samples.request(Samples(5), kind)
    assert given.kind is kind
    forms = kind is RequestKind.FORM
    for bad in (replace(given, domain=int(forms)), replace(given, basis=int(forms))):
        with pytest.raises(FormatError) as refused:
            bad.encode()
        assert refused.value.code is ErrorCode.REQUEST


def test_bodies_that_break_a_rule_are_refused_both_ways() -> None:
    form = sample(some_form, lambda body: len(body.chains) > 1 and len(body.gateways.quotas) > 1)
    quotas = form.gateways.quotas
    for bad in (
        replace(form, chains=()),
        replace(form, chains=form.chains[::-1]),
        replace(form, chains=(form.chains[0], form.chains[0])),
        replace(form, gateways=Gateways(quotas[::-1])),
        replace(form, gateways=Gateways((GatewayQuota(key_address(1), 0),))),
    ):
        with pytest.raises(FormatError):
            bad.encode()
    data = form.encode()
    with pytest.raises(FormatError):
        decode_request_body(RequestKind.FORM, data[:46] + b"\x00" + data[-2:])
    with pytest.raises(FormatError):
        decode_request_body(12, b"")
    with pytest.raises(FormatError):
        decode_request_body(RequestKind.LEAVE, number(1, 4) + b"\x02")
    with pytest.raises(FormatError):
        decode_request_body(RequestKind.DISSOLVE, b"\x00")


def test_a_form_is_safe_with_two_chains_depth_and_quorums_only() -> None:
    def wanted(body: Form) -> bool:
        return len(body.chains) > 1 and body.safe

    form = sample(some_form, wanted)
    assert not replace(form, chains=form.chains[:1]).safe
    assert not replace(form, parameters=replace(form.parameters, seats=1, threshold=1)).safe

    def is_deep_by(body: Form, method: Method) -> bool:
        return body.safe and all(chain.method is method and chain.depth > 0 for chain in body.chains)

    for method in Method:
        deep = sample(some_form, partial(is_deep_by, method=method))
        shallow = tuple(replace(chain, depth=0) for chain in deep.chains)
        assert replace(deep, chains=shallow).safe is (method is not Method.NOTARY)


# --- decisions


def test_the_record_lies_as_the_page_states() -> None:
    given = replace(
        management_samples.decision(Samples(6), RequestKind.DISSOLVE), parameters=PARAMETERS, registry=PLACE
    )
    data = given.encode()
    assert data == (
        b"\x01\x08\x01"
        + number(77, 8)
        + b"\x11" * 20
        + given.request_id
        + number(given.domain, 4)
        + number(given.number, 4)
        + number(given.time_seconds, 8)
        + given.governor_key
        + number(given.governor_key_epoch, 4)
        + PARAMETERS.encode()
        + b"\x00\x00\x00\x00\x00"
    )
    assert given.hash == decision_hash(data) == keccak256(TAG_DECISION + data)


def test_relay_chains_lie_as_the_page_states() -> None:
    given = management_samples.decision(Samples(7), RequestKind.SCALE_UP)
    relay = given.relays[0]
    seat = relay.seats[0]
    head = number(relay.relay, 4) + number(1, 4) + number(relay.threshold, 1) + number(len(relay.seats), 1)
    first = number(seat.node, 8) + number(seat.operator, 4) + seat.consensus_key + seat.endorsement_address
    assert number(len(given.relays), 1) + head + first in given.encode()
    assert given.relay_of(seat.node) == relay
    assert given.relay_of(10**9) is None
    assert relay.validator_set.validators[0].consensus_key == seat.consensus_key


def forming() -> Decision:
    decision = sample(
        lambda samples: management_samples.decision(samples, RequestKind.FORM),
        lambda given: len(given.relays) == 2 and len(given.relays[0].seats) > 1,
    )
    return decision


def spoiled() -> dict[str, Decision]:
    given = forming()
    first, second = given.relays
    twice = (first.seats[0], replace(first.seats[1], node=first.seats[0].node), *first.seats[2:])
    replacing = management_samples.decision(Samples(9), RequestKind.REPLACE)
    dissolving = replace(given, body=Dissolve(), relays=(), policy=None)
    assert dissolving.encode()
    return {
        "a policy is missing": replace(given, policy=None),
        "a policy too many": replace(dissolving, policy=given.policy),
        "other parameters": replace(given, parameters=replace(given.parameters, overlap_seconds=1 << 31)),
        "formed twice": replace(given, number=2),
        "number 0": replace(given, number=0),
        "domain 0": replace(given, domain=0),
        "key epoch 0": replace(given, governor_key_epoch=0),
        "no group key": replace(given, governor_key=bytes(33)),
        "a relay chain is missing": replace(given, relays=(first,)),
        "order of relay chains": replace(given, relays=(second, first)),
        "one relay chain twice": replace(given, relays=(first, replace(second, relay=first.relay))),
        "a node in two relay chains": replace(given, relays=(first, replace(second, seats=first.seats))),
        "a node with two seats": replace(given, relays=(replace(first, seats=twice), second)),
        "another threshold": replace(
            given, relays=(replace(first, threshold=1 + first.threshold % len(first.seats)), second)
        ),
        "a seat too few": replace(given, relays=(replace(first, seats=first.seats[:-1], threshold=1), second)),
        "a later set epoch": replace(given, relays=(replace(first, set_epoch=2), second)),
        "first epoch again": replace(replacing, relays=(replace(replacing.relays[0], set_epoch=1),)),
        "another relay chain": replace(replacing, relays=(replace(replacing.relays[0], relay=10**9),)),
        "relay chains with dissolve": replace(dissolving, relays=given.relays),
        "not safe": replace(given, dev=False, parameters=replace(given.parameters, threshold=1)),
    }


@pytest.mark.parametrize("name", spoiled())
def test_parts_of_a_decision_that_do_not_fit(name: str) -> None:
    with pytest.raises(FormatError):
        spoiled()[name].encode()


def test_one_operator_with_a_quorum_is_for_dev_and_single_operator_only() -> None:
    def wanted(given: Decision) -> bool:
        safe = given.body.safe and given.parameters.safe
        return safe and len(given.relays[0].seats) == 3 and given.parameters.consensus is Consensus.COMETBFT

    given = sample(lambda samples: management_samples.decision(samples, RequestKind.FORM), wanted)

    def with_operators(decision: Decision, operators: tuple[int, ...]) -> Decision:
        relays = tuple(
            replace(
                relay,
                seats=tuple(replace(seat, operator=o) for seat, o in zip(relay.seats, operators, strict=True)),
            )
            for relay in decision.relays
        )
        return replace(decision, relays=relays)

    assert with_operators(given, (1, 1, 1)).encode()
    assert with_operators(replace(given, dev=False), (1, 2, 1)).encode()
    with pytest.raises(FormatError):
        with_operators(replace(given, dev=False), (1, 1, 1)).encode()
    parameters = replace(given.parameters, consensus=Consensus.SINGLE_OPERATOR)
    assert isinstance(given.body, Form)
    single = replace(given, dev=False, parameters=parameters, body=replace(given.body, parameters=parameters))
    assert with_operators(single, (1, 1, 1)).encode()


# --- offers and digests


def test_an_offer_lies_as_the_page_states() -> None:
    given = management_samples.offer(Samples(3))
    peer = given.peer.p2p_id + given.peer.address.encode()
    assert given.encode() == (
        given.consensus_key
        + given.endorsement_address
        + given.agent
        + number(given.capacity, 4)
        + number(given.available_from, 8)
        + number(given.available_until, 8)
        + number(len(peer), 1)
        + peer
        + number(len(given.endpoint), 1)
        + given.endpoint.encode()
    )
    assert str(given.peer) == f"{given.peer.p2p_id.hex()}@{given.peer.address}"


@pytest.mark.parametrize(
    "changes",
    [
        {"consensus_key": bytes(33)},
        {"endorsement_address": bytes(20)},
        {"capacity": 0},
        {"available_until": 0},
        {"endpoint": "x" * 129},
        {"endpoint": "http://a b"},
        {"endpoint": "http://\u00e4"},
        {"endpoint": "\ud800"},
    ],
)
def test_offers_that_are_not_accepted(changes: dict[str, Any]) -> None:
    given = management_samples.offer(Samples(3))
    with pytest.raises(FormatError):
        replace(given, **changes).encode()


def test_the_two_keys_of_an_offer_differ() -> None:
    given = management_samples.offer(Samples(3))
    with pytest.raises(FormatError):
        replace(given, endorsement_address=address_of(given.consensus_key)).encode()


def test_peers_have_an_id_and_3_to_64_characters() -> None:
    given = management_samples.offer(Samples(3))
    for address in ("", "ab", "x" * 65, "a\n:1"):
        with pytest.raises(FormatError):
            replace(given, peer=replace(given.peer, address=address)).encode()
    data = replace(given, peer=replace(given.peer, address="a:1")).encode()
    assert NodeOffer.decode(data).peer.address == "a:1"


def test_digests_have_the_prefix_of_everything_that_is_signed() -> None:
    request_id, decided = b"\x22" * 32, b"\x33" * 32
    prefix = TAG_REPRESENTATIVE + number(4, 4) + number(5, 4) + number(6, 4)
    body = number(77, 8) + b"\x11" * 20 + request_id
    confirm = representative_digest(PLACE, 4, 5, 6, RepresentativeKind.CONFIRM, request_id, decided)
    assert confirm == keccak256(prefix + b"\x03" + body + decided)
    approve = representative_digest(PLACE, 4, 5, 6, RepresentativeKind.APPROVE, request_id)
    assert approve == keccak256(prefix + b"\x01" + body + bytes(32))
    for kind in RepresentativeKind:
        with pytest.raises(FormatError):
            representative_digest(
                PLACE, 4, 5, 6, kind, request_id, bytes(32) if kind is RepresentativeKind.CONFIRM else decided
            )
    offer = management_samples.offer(Samples(3))
    for key in OfferKey:
        assert offer.digest(PLACE, 9, key) == keccak256(
            TAG_NODE_OFFER
            + bytes(4)
            + number(9, 4)
            + bytes(4)
            + number(key, 1)
            + number(77, 8)
            + b"\x11" * 20
            + offer.consensus_key
            + offer.endorsement_address
        )
    governed = governor_management_digest(PLACE, ManagementContract.REGISTRY, 1, 2, 3, 4, b"body")
    assert governed == keccak256(
        TAG_GOVERNOR_MANAGEMENT
        + number(1, 4)
        + number(3, 4)
        + number(2, 4)
        + b"\x03"
        + number(77, 8)
        + b"\x11" * 20
        + number(4, 8)
        + b"body"
    )
