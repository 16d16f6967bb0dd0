"""The codecs of the management chain against the vectors that the contracts are held to."""

import json
from pathlib import Path
from typing import Any

import pytest

from piebridge.protocol_stack.errors import FormatError
from piebridge.protocol_stack.management.decision import Decision
from piebridge.protocol_stack.management.draw import DrawRules, decode_candidates, draw
from piebridge.protocol_stack.management.genesis import genesis_document
from piebridge.protocol_stack.management.offer import NodeOffer
from piebridge.protocol_stack.management.request import DomainRequest
from piebridge.protocol_stack.management.tags import Place
from piebridge.protocol_stack.relay_genesis import genesis_hash
from testkit import management_vectors

VECTORS = Path(__file__).resolve().parents[3] / "vectors"


def vectors(name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text(encoding="ascii"))
    return value


def raw(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def test_requests_are_read_back_and_have_their_ids() -> None:
    for item in vectors("management_digests")["requests"]:
        request = DomainRequest.decode(raw(item["request"]))
        assert request.encode() == raw(item["request"])
        assert (request.kind, request.domain, request.expires) == (item["kind"], item["domain"], int(item["expires"]))
        place = Place(int(item["chain_id"]), raw(item["registry"]))
        assert request.request_id(place) == raw(item["request_id"])


def test_offers_are_read_back() -> None:
    for item in vectors("management_digests")["offers"]:
        assert NodeOffer.decode(raw(item["offer"])).encode() == raw(item["offer"])


def test_draws_give_the_nodes_that_the_contracts_draw() -> None:
    failed = 0
    for item in vectors("management_draws")["draws"]:
        candidates = decode_candidates(raw(item["candidates"]))
        offered = {candidate.node for candidate in candidates} - set(item["not_offered"])
        limit = item["limit"] - 1 if item["limit"] else None
        rules = DrawRules(item["sets"], item["seats"], item["single_operator"], limit, tuple(item["staying"]))
        if not item["nodes"]:
            failed += 1
            with pytest.raises(FormatError):
                draw(raw(item["seed"]), candidates, offered, rules)
            continue
        drawn = draw(raw(item["seed"]), candidates, offered, rules)
        assert [candidate.node for chosen in drawn for candidate in chosen] == item["nodes"]
    assert 0 < failed < vectors("management_draws")["draws_count"]


def test_decisions_are_read_back_and_make_their_genesis() -> None:
    for item in vectors("management_decisions")["decisions"]:
        decision = Decision.decode(raw(item["record"]))
        assert decision.encode() == raw(item["record"])
        assert decision.hash == raw(item["decision_hash"])
        for relay, expected in zip(item["relays"], item["genesis_hashes"], strict=True):
            assert genesis_hash(genesis_document(decision, relay)) == raw(expected)


def test_every_cell_of_the_tables_of_states_is_there() -> None:
    sizes = {"OFFER |": (8, 10), "COSIGN |": (10, 13), "DECIDE ": (7, 7)}
    for first, (rows, columns) in sizes.items():
        inputs, states = management_vectors.table(first)
        assert [number for number, _, _ in states] == list(range(rows))
        assert len(inputs) == columns
        assert all(len(cells) == columns for _, _, cells in states)
        words = {word for _, word, _ in states}
        assert {cell for _, _, cells in states for cell in cells} - {""} <= words
