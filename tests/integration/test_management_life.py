"""The contracts of the management chain against the codecs: a domain's life on the EVM, drawn and read in Python."""

import pytest

from piebridge.protocol_stack.management.decision import Decision
from piebridge.protocol_stack.management.draw import (
    DrawRules,
    decode_candidates,
    draw,
    draw_round,
    draw_seed,
    seed_block,
)
from piebridge.protocol_stack.management.genesis import genesis_document
from piebridge.protocol_stack.management.request_bodies import Dissolve, Replace, ScaleUp
from piebridge.protocol_stack.relay_genesis import genesis_hash
from testkit.management_world import ManagementWorld, Node

PARTIES = {"representative 1": 1, "representative 2": 2}


@pytest.fixture
def world() -> ManagementWorld:
    world = ManagementWorld()
    world.found_governors()
    for name in PARTIES:
        world.add_registration(name)
    return world


def test_a_domain_lives_as_the_codecs_say(world: ManagementWorld) -> None:
    nodes = [node for name in ("op a", "op b", "op c") for node in world.add_operator(name, 3)]
    form = world.form((1, 2), relay_chains=2)
    identifier = world.file(form, PARTIES)
    closed = world.close(form)
    closed_in_block = world.chain.number
    candidates = world.candidates_of(closed)
    offered = set(world.read("market", "offeredNodes")[0])
    outcome = world.draw(form, candidates)
    drawn_in_block = world.chain.number

    # Python draws the same nodes from the hash of the same block.
    number = draw_round(closed_in_block, drawn_in_block)
    header = world.chain.app.database.header(seed_block(closed_in_block, number))
    assert header is not None
    seed = draw_seed(world.place("registry"), identifier, number, header.hash)
    sets = draw(seed, decode_candidates(candidates), offered, DrawRules(2, 2, operator_seats_max=1))
    event = world.event(outcome, "registry", "DecisionMade")
    decision = Decision.decode(event["record"])
    assert [[seat.node for seat in relay.seats] for relay in decision.relays] == [
        [candidate.node for candidate in chosen] for chosen in sets
    ]
    assert decision.hash == event["decisionHash"]
    assert (decision.body, decision.number, decision.domain) == (form.body, 1, 1)
    assert decision.governor_key == world.governor.group_key

    world.confirm(form, decision.hash, PARTIES)
    _report(world, nodes, identifier, decision)
    assert world.read("registry", "requestOf", identifier)[0] == 6
    world.govern("registry", 1, 2, form.encode())
    assert world.read("registry", "domainOf", 1)[0] == 2

    _scale_up(world, nodes)
    _replace(world, nodes, decision)
    dissolve = world.request(1, Dissolve())
    world.file(dissolve, PARTIES)
    world.close(dissolve)
    world.govern("registry", 1, 2, dissolve.encode())
    assert world.read("registry", "domainOf", 1)[0] == 5
    assert {world.read("market", "stateOf", node.number)[0] for node in nodes} <= {1, 5}


def _report(world: ManagementWorld, nodes: list[Node], identifier: bytes, decision: Decision) -> None:
    for relay in decision.relays:
        value = genesis_hash(genesis_document(decision, relay.relay))
        for seat in relay.seats:
            agent = next(f"agent {node.name}" for node in nodes if node.number == seat.node)
            world.send(agent, "registry", "reportGenesis", identifier, relay.relay, seat.node, value)
        assert world.read("registry", "relayOf", relay.relay)[4] == value


def _scale_up(world: ManagementWorld, nodes: list[Node]) -> None:
    domain_form = world.form((1, 2))
    body = ScaleUp(1, domain_form.body.chains, domain_form.body.gateways)  # type: ignore[union-attr]
    request = world.request(1, body)
    identifier = world.file(request, PARTIES)
    outcome = world.draw(request, world.candidates_of(world.close(request)))
    decision = Decision.decode(world.event(outcome, "registry", "DecisionMade")["record"])
    assert decision.policy is not None
    assert [(item.relay, item.first, item.count) for item in decision.policy.ranges] == [
        (1, 0, 342),
        (2, 342, 341),
        (3, 683, 341),
    ]
    world.confirm(request, decision.hash, PARTIES)
    _report(world, nodes, identifier, decision)
    world.govern("registry", 1, 2, request.encode())
    assert world.read("registry", "domainOf", 1)[6] == (1, 2, 3)


def _replace(world: ManagementWorld, nodes: list[Node], formed: Decision) -> None:
    out = formed.relays[0].seats[0]
    request = world.request(1, Replace(1, out.node, True, 2, 0))
    identifier = world.file(request, PARTIES)
    outcome = world.draw(request, world.candidates_of(world.close(request)))
    decision = Decision.decode(world.event(outcome, "registry", "DecisionMade")["record"])
    (relay,) = decision.relays
    assert relay.set_epoch == 2
    assert relay.seats[0] == formed.relays[0].seats[1]
    newcomer = relay.seats[1]
    assert newcomer.operator != relay.seats[0].operator
    world.confirm(request, decision.hash, PARTIES)
    agent = next(f"agent {node.name}" for node in nodes if node.number == newcomer.node)
    genesis = world.read("registry", "relayOf", 1)[4]
    world.send(agent, "registry", "reportGenesis", identifier, 1, newcomer.node, genesis)
    world.govern("registry", 1, 2, request.encode())
    assert world.read("market", "stateOf", out.node)[0] == 5
