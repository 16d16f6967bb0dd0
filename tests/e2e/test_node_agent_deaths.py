"""A node agent that dies at each of its lasting steps: what was begun is ended once, and never twice."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from piebridge.failpoints import EXIT_STATUS, NODE, VARIABLE
from piebridge.management_chain.node.unit import Phase, UnitStore
from piebridge.protocol_stack.management.genesis import genesis_document
from piebridge.protocol_stack.management.storage import RequestState
from piebridge.protocol_stack.relay_genesis import genesis_hash
from testkit.node_agent_world import OWN_NODE, RELAY, World, dissolving, forming, make_world

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

FORMING = (
    *("node.unit.before_save:1", "node.unit.after_save:1"),  # accepted
    *("node.home.before_write", "node.home.before_rename", "node.home.after_rename"),
    *("node.unit.before_save:2", "node.unit.after_save:2"),  # built
    *("node.unit.before_save:3", "node.unit.after_save:3"),  # running
    *("node.process.before_start", "node.process.after_start"),
    *("node.report.before_send", "node.report.after_send"),
    *("node.unit.before_save:4", "node.unit.after_save:4"),  # reported
)
ENDING = (
    *("node.unit.before_save:1", "node.unit.after_save:1"),  # ending
    *("node.process.before_stop", "node.process.after_stop"),
    *("node.archive.before_rename", "node.archive.after_rename"),
    *("node.unit.before_save:2", "node.unit.after_save:2"),  # archived
)


def test_every_point_of_the_agent_is_swept() -> None:
    assert {point.partition(":")[0] for point in (*FORMING, *ENDING)} == set(NODE)


def run_agent(world: World, phase: Phase, *, reported: bool = False, failpoint: str = "") -> int:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop(VARIABLE, None)
    if failpoint:
        environment[VARIABLE] = failpoint
    arguments = [str(world.folder), phase.value, *(["reported"] if reported else [])]
    command = [sys.executable, "-m", "testkit.node_agent_world", *arguments]
    done = subprocess.run(command, env=environment, timeout=60, capture_output=True, text=True, check=False)
    assert done.returncode in (0, EXIT_STATUS), done.stderr
    return done.returncode


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = make_world(tmp_path)
    made.write_facts((forming(made.node), RequestState.CONFIRMED))
    return made


def check_formed(world: World) -> None:
    (unit,) = UnitStore(world.folder / "agent" / "units").load()
    assert (unit.relay, unit.nodes) == (RELAY, (OWN_NODE,))
    expected = genesis_document(forming(world.node), RELAY)
    assert world.starts
    assert {document for _, document in world.starts} == {expected}
    assert not world.two_at_once
    reported = [(item["node"], item["hash"]) for item in world.reports]
    assert reported == [(OWN_NODE, genesis_hash(expected).hex())]


@pytest.mark.parametrize("failpoint", FORMING)
def test_death_while_a_domain_is_formed(world: World, failpoint: str) -> None:
    assert run_agent(world, Phase.RUNNING, reported=True, failpoint=failpoint) == EXIT_STATUS
    assert run_agent(world, Phase.RUNNING, reported=True) == 0
    check_formed(world)


@pytest.mark.parametrize("failpoint", ENDING)
def test_death_while_a_domain_is_dissolved(world: World, failpoint: str) -> None:
    assert run_agent(world, Phase.RUNNING, reported=True) == 0
    check_formed(world)
    formed = forming(world.node)
    world.write_facts((formed, RequestState.DONE), (dissolving(formed), RequestState.DONE))
    assert run_agent(world, Phase.ARCHIVED, failpoint=failpoint) == EXIT_STATUS
    starts = len(world.starts)
    assert run_agent(world, Phase.ARCHIVED) == 0
    assert len(world.starts) == starts, "a chain that has ended was started again"
    assert list((world.folder / "agent" / "chains").iterdir()) == []
    (archived,) = (world.folder / "agent" / "archive").iterdir()
    assert (archived / "config" / "genesis.json").read_bytes() == genesis_document(formed, RELAY)


def test_a_decision_that_dies_after_the_start_ends_its_chain(world: World) -> None:
    assert run_agent(world, Phase.RUNNING, reported=True) == 0
    world.write_facts((forming(world.node), RequestState.EXPIRED))
    assert run_agent(world, Phase.ARCHIVED) == 0
    # And it stays dead, even if somebody should show the decision again.
    starts = len(world.starts)
    world.write_facts((forming(world.node), RequestState.CONFIRMED))
    assert run_agent(world, Phase.ARCHIVED) == 0
    assert len(world.starts) == starts
