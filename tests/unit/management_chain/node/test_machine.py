"""What an agent decides: seats that are its own and decisions that are final start something, nothing else does."""

from dataclasses import replace
from pathlib import Path

import pytest

from piebridge.crypto.signature import public_key_of
from piebridge.management_chain.node.keys import OwnNode
from piebridge.management_chain.node.launch import LaunchSettings
from piebridge.management_chain.node.machine import (
    RESTART_SPACING_SECONDS,
    RETRY_SECONDS_MAX,
    Accept,
    AgentMachine,
    Archive,
    Build,
    NoteReport,
    Report,
    Restart,
    Start,
    Stop,
)
from piebridge.management_chain.node.ports import ChainFacts, Observed
from piebridge.management_chain.node.unit import Phase, Unit
from piebridge.protocol_stack.management.decision import DecidedRelay, Decision, Seat
from piebridge.protocol_stack.management.offer import Peer
from piebridge.protocol_stack.management.parameters import Consensus
from piebridge.protocol_stack.management.request_bodies import (
    ChangeParameters,
    Dissolve,
    Replace,
    RequestBody,
    ScaleDown,
)
from piebridge.protocol_stack.management.storage import RequestState
from piebridge.protocol_stack.routing import RoutingPolicy, SlotRange
from testkit.node_agent_world import OWN_NODE, RELAY, dissolving, facts_of, forming
from testkit.samples import key_address, private_key

HOMES = Path("/homes")
NOW = 1_000.0


def own_node(number: int = 501) -> OwnNode:
    return OwnNode(
        Path(f"/node-{number}"),
        public_key_of(private_key(number)),
        key_address(number + 10_000),
        f"{number:040x}",
        21_000 + number,
        22_000 + number,
    )


OWN = own_node()
FORMED = forming(OWN)
UNIT = Unit(RELAY, (OWN_NODE,), FORMED.encode(), FORMED.encode())
READY = {UNIT.name: Observed(running=True, ready=True)}


def machine(*nodes: OwnNode) -> AgentMachine:
    return AgentMachine(nodes or (OWN,), HOMES)


def facts(state: RequestState = RequestState.CONFIRMED, *more: tuple[Decision, RequestState]) -> ChainFacts:
    return facts_of([(FORMED, state), *more])


def later(body: RequestBody) -> Decision:
    """The next decision of the domain."""
    relays: tuple[DecidedRelay, ...] = ()
    if isinstance(body, Replace):
        seats = tuple(seat for seat in FORMED.relays[0].seats if seat.node != body.outgoing)
        relays = (DecidedRelay(body.relay, 2, body.threshold, seats),)
    policy = RoutingPolicy(2, (SlotRange(9, 0, 1_024),)) if isinstance(body, ScaleDown) else None
    parameters = body.parameters if isinstance(body, ChangeParameters) else FORMED.parameters
    return replace(
        FORMED,
        request_id=b"\x0e" * 32,
        number=2,
        body=body,
        parameters=parameters,
        relays=relays,
        policy=policy,
    )


def test_a_seat_of_ones_own_is_taken_on_once() -> None:
    assert machine().steps(facts(), [], {}, NOW) == [Accept(UNIT)]
    assert machine().steps(facts(), [UNIT], {}, NOW) == [Build(UNIT)]
    archived = UNIT.at(Phase.ARCHIVED)
    assert machine().steps(facts(), [archived], {}, NOW) == []


def test_what_is_not_final_or_not_ours_starts_nothing() -> None:
    assert machine().steps(ChainFacts((), {}, {}, {}), [], {}, NOW) == []
    for dead in (RequestState.REFUSED, RequestState.EXPIRED):
        assert machine().steps(facts(dead), [], {}, NOW) == []
    assert machine(own_node(502)).steps(facts(), [], {}, NOW) == []
    # Our consensus key with somebody else's endorsement address is not our seat: that set would be told a wrong key.
    half = replace(OWN, endorsement_address=key_address(1))
    assert machine(half).steps(facts(), [], {}, NOW) == []


def test_a_domain_that_has_ended_is_not_begun() -> None:
    assert machine().steps(facts(RequestState.DONE, (dissolving(FORMED), RequestState.DONE)), [], {}, NOW) == []
    going = facts(RequestState.DONE, (dissolving(FORMED), RequestState.EXECUTING))
    assert machine().steps(going, [], {}, NOW) == [Accept(UNIT)]


def test_the_life_of_a_unit() -> None:
    agent = machine()
    built = UNIT.at(Phase.BUILT)
    (start,) = agent.steps(facts(), [built], {}, NOW)
    assert isinstance(start, Start)
    running = UNIT.at(Phase.RUNNING)
    seen = {UNIT.name: Observed(running=True, ready=False, spec=start.spec)}
    assert agent.steps(facts(), [running], seen, NOW) == []
    seen = {UNIT.name: Observed(running=True, ready=True, spec=start.spec)}
    assert agent.steps(facts(), [running], seen, NOW) == [Report(running, OWN_NODE)]
    assert agent.steps(facts(), [running.with_report(OWN_NODE)], seen, NOW) == []
    for after in (RequestState.EXECUTING, RequestState.DONE):
        assert agent.steps(facts(after), [running], seen, NOW) == [NoteReport(running)]
    gone = agent.steps(facts(), [running], {}, NOW)
    assert [type(step) for step in gone] == [Start]


def test_it_is_started_by_the_command_with_the_peers_of_the_market() -> None:
    (start,) = machine().steps(facts(), [UNIT.at(Phase.BUILT)], {}, NOW)
    assert isinstance(start, Start)
    assert len(start.spec.peers) == 3
    assert all(peer.endswith(f":{20_000 + node}") for peer, node in zip(start.spec.peers, (100, 102, 103), strict=True))
    line = start.spec.arguments(LaunchSettings(("piebridge",), Path("/secret"), dev=True))
    assert line[:4] == ["piebridge", "chain", "run", "relay"]
    assert line.count("--peer") == 3
    for option, value in (
        ("--engine", "cometbft"),
        ("--home", f"/homes/{UNIT.name}"),
        ("--genesis", f"/homes/{UNIT.name}/config/genesis.json"),
        ("--validator-key", "/node-501/consensus.json"),
        ("--endorsement-key", "/node-501/endorsement.json"),
        ("--p2p-key", "/node-501/p2p.json"),
        ("--block-interval", "0.500"),
        ("--passphrase-file", "/secret"),
    ):
        assert line[line.index(option) + 1] == value
    nobody = replace(facts(), peers={})
    assert machine().steps(nobody, [UNIT.at(Phase.BUILT)], {}, NOW) == []


def test_another_genesis_hash_on_the_chain_stops_it() -> None:
    other = replace(facts(), genesis_hashes={RELAY: b"\x01" * 32})
    assert machine().steps(other, [UNIT.at(Phase.BUILT)], {}, NOW) == [Archive(UNIT.at(Phase.BUILT))]
    assert machine().steps(other, [UNIT.at(Phase.RUNNING)], READY, NOW) == [Stop(UNIT.at(Phase.RUNNING))]
    same = replace(facts(), genesis_hashes={RELAY: UNIT.genesis_hash})
    assert [type(step) for step in machine().steps(same, [UNIT.at(Phase.BUILT)], {}, NOW)] == [Start]


@pytest.mark.parametrize(
    "body",
    [ScaleDown(RELAY), Replace(RELAY, OWN_NODE, False, 3, 0), Dissolve()],
    ids=["scaled down", "replaced", "dissolved"],
)
def test_what_ends_a_unit(body: RequestBody) -> None:
    ending = later(body)
    running = UNIT.at(Phase.RUNNING)
    for state in (RequestState.CONFIRMED, RequestState.EXECUTING):
        assert Stop(running) not in machine().steps(facts(RequestState.DONE, (ending, state)), [running], READY, NOW)
    done = facts(RequestState.DONE, (ending, RequestState.DONE))
    assert machine().steps(done, [running], READY, NOW) == [Stop(running)]
    ended = running.at(Phase.ENDING)
    assert machine().steps(done, [ended], READY, NOW) == [Stop(ended)]
    assert machine().steps(done, [ended], {}, NOW) == [Archive(ended)]


def test_others_that_end_do_not_end_it() -> None:
    running = UNIT.at(Phase.RUNNING).with_report(OWN_NODE)
    for body in (ScaleDown(RELAY + 1), Replace(RELAY, 100, False, 3, 0), Replace(RELAY + 1, OWN_NODE, False, 3, 0)):
        done = facts(RequestState.DONE, (later(body), RequestState.DONE))
        assert machine().steps(done, [running], READY, NOW) == []
    elsewhere = replace(dissolving(FORMED), domain=FORMED.domain + 1)
    done = facts(RequestState.DONE, (elsewhere, RequestState.DONE))
    assert machine().steps(done, [running], READY, NOW) == []


def test_a_newcomer_joins_with_the_genesis_of_the_chain_that_runs() -> None:
    formed = forming(None)
    seats = formed.relays[0].seats
    newcomer = Seat(OWN_NODE, 9, OWN.consensus_key, OWN.endorsement_address)
    replacing = replace(
        formed,
        request_id=b"\x0f" * 32,
        number=2,
        body=Replace(RELAY, seats[0].node, True, 3, 60),
        relays=(DecidedRelay(RELAY, 2, 3, (*seats[1:], newcomer)),),
        policy=None,
    )
    seen = facts_of([(formed, RequestState.DONE), (replacing, RequestState.CONFIRMED)])
    (step,) = machine().steps(seen, [], {}, NOW)
    assert isinstance(step, Accept)
    assert step.unit.replaces
    assert step.unit.genesis == Unit(RELAY, (seats[0].node,), formed.encode(), formed.encode()).genesis
    alone = facts_of([(replacing, RequestState.CONFIRMED)])
    assert machine().steps(alone, [], {}, NOW) == []


def test_a_single_operator_runs_all_seats_in_one_process() -> None:
    given = forming(None, consensus=Consensus.SINGLE_OPERATOR)
    nodes = [own_node(600 + place) for place in range(4)]
    seats = tuple(
        Seat(700 + place, 1, node.consensus_key, node.endorsement_address) for place, node in enumerate(nodes)
    )
    given = replace(given, relays=(replace(given.relays[0], seats=seats),))
    seen = facts_of([(given, RequestState.CONFIRMED)])
    (step,) = machine(*nodes).steps(seen, [], {}, NOW)
    assert isinstance(step, Accept)
    assert step.unit.nodes == (700, 701, 702, 703)
    (start,) = machine(*nodes).steps(seen, [step.unit.at(Phase.BUILT)], {}, NOW)
    assert isinstance(start, Start)
    line = start.spec.arguments(LaunchSettings(("piebridge",), Path("/secret")))
    keys = [line[at + 1] for at, word in enumerate(line) if word == "--validator-key"]
    assert keys == [f"/node-{600 + place}/consensus.json" for place in range(4)]
    assert "--engine" not in line
    assert machine(*nodes[:3]).steps(seen, [], {}, NOW) == []


def test_a_change_is_taken_up_by_one_validator_after_the_other() -> None:
    running = UNIT.at(Phase.RUNNING).with_report(OWN_NODE)
    agent = machine()
    (start,) = agent.steps(facts(), [UNIT.at(Phase.BUILT)], {}, NOW)
    assert isinstance(start, Start)
    seen = {UNIT.name: Observed(running=True, ready=True, spec=start.spec)}
    parameters = replace(FORMED.parameters, block_interval_milliseconds=900)
    changing = later(ChangeParameters(parameters))
    executing = facts(RequestState.DONE, (changing, RequestState.EXECUTING))
    assert agent.steps(executing, [running], seen, NOW) == []
    changed = facts(RequestState.DONE, (changing, RequestState.DONE))
    assert agent.steps(changed, [running], seen, NOW) == []
    assert agent.steps(changed, [running], seen, NOW + RESTART_SPACING_SECONDS - 1) == []
    assert agent.steps(changed, [running], seen, NOW + RESTART_SPACING_SECONDS) == [Restart(running)]
    (again,) = agent.steps(changed, [running], {}, NOW + RESTART_SPACING_SECONDS)
    assert isinstance(again, Start)
    assert again.spec.block_interval_milliseconds == 900
    moved = replace(facts(), peers={**facts().peers, 100: Peer(b"\x01" * 20, "elsewhere:1")})
    assert agent.steps(moved, [running], seen, 5 * NOW) == []
    assert agent.steps(moved, [running], seen, 5 * NOW + RESTART_SPACING_SECONDS) == [Restart(running)]


def test_what_fails_is_tried_again_less_and_less_often() -> None:
    agent = machine()
    now, pauses = NOW, []
    for _ in range(12):
        assert agent.steps(facts(), [UNIT], {}, now) == [Build(UNIT)]
        pauses.append(agent.failed(UNIT, now))
        assert agent.steps(facts(), [UNIT], {}, now + pauses[-1] - 0.01) == []
        now += pauses[-1]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (1.0, RETRY_SECONDS_MAX)
    # One that serves is well again.
    agent.steps(facts(), [UNIT.at(Phase.RUNNING)], READY, now)
    assert agent.failed(UNIT, now) == 1.0
