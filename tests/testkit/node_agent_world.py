"""A world for the node agent in a folder: a management chain of files, and a command that pretends to be a relay chain.

Everything outlives the agent's process, so a test may kill it wherever it likes. Run as a program, it is that agent.
"""

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from piebridge.failpoints import arm
from piebridge.management_chain.follower.follower import FinalDecision
from piebridge.management_chain.node.agent import NodeAgent
from piebridge.management_chain.node.keys import OwnNode, load_node
from piebridge.management_chain.node.launch import LaunchSettings
from piebridge.management_chain.node.ports import ChainFacts
from piebridge.management_chain.node.processes import LocalProcesses
from piebridge.management_chain.node.unit import Phase
from piebridge.protocol_stack.governor_relay_bodies import Gateways
from piebridge.protocol_stack.management.decision import DecidedRelay, Decision, Seat
from piebridge.protocol_stack.management.offer import Peer
from piebridge.protocol_stack.management.parameters import Consensus
from piebridge.protocol_stack.management.request_bodies import Dissolve, Form
from piebridge.protocol_stack.management.storage import RequestState, RequestStatus
from piebridge.protocol_stack.routing import RoutingPolicy, SlotRange
from testkit import management_samples
from testkit.samples import Samples, governor_key

RELAY, DOMAIN, OWN_NODE = 7, 3, 11
TURNS_SECONDS = 30.0

_RELAY_CHAIN = """
import fcntl, json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
options = dict(zip(sys.argv[1:], sys.argv[2:]))
folder = os.path.dirname(os.path.dirname(os.path.dirname(options["--home"])))
held = open(os.path.join(folder, "exclusive"), "w")
try:
    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    open(os.path.join(folder, "two-at-once"), "w").close()
with open(options["--genesis"], "rb") as stream:
    document = stream.read()
with open(os.path.join(folder, "starts"), "a") as stream:
    stream.write(json.dumps([os.getpid(), document.decode()]) + "\\n")
status = {"sync_info": {"latest_block_height": "1", "latest_block_time": "2030-01-01T00:00:00Z", "catching_up": False},
          "node_info": {"network": json.loads(document)["chain_id"]}}
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": status}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
class Server(HTTPServer):
    allow_reuse_address = True
Server(("127.0.0.1", int(options["--rpc-port"])), Handler).serve_forever()
"""
"""Says where it serves, notes its start, and notes if another one runs at the same time."""


@dataclass
class World:
    """A folder with everything in it."""

    folder: Path

    @property
    def node(self) -> OwnNode:
        return load_node(self.folder / "node")

    # --- the management chain

    def write_facts(self, *decisions: tuple[Decision, RequestState]) -> None:
        document = [[decision.encode().hex(), int(state)] for decision, state in decisions]
        temporary = self.folder / "facts.new"
        temporary.write_text(json.dumps(document), encoding="utf-8")
        temporary.replace(self.folder / "facts.json")

    def read_facts(self) -> list[tuple[Decision, RequestState]]:
        document = json.loads((self.folder / "facts.json").read_text(encoding="utf-8"))
        return [(Decision.decode(bytes.fromhex(record)), RequestState(state)) for record, state in document]

    @property
    def reports(self) -> list[dict[str, Any]]:
        path = self.folder / "reports"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    # --- what the relay chain has seen

    @property
    def starts(self) -> list[tuple[int, bytes]]:
        path = self.folder / "starts"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [(pid, document.encode()) for pid, document in map(json.loads, lines)]

    @property
    def two_at_once(self) -> bool:
        return (self.folder / "two-at-once").exists()


def forming(own: OwnNode | None, *, consensus: Consensus = Consensus.COMETBFT) -> Decision:
    """A decision that forms a domain with one relay chain of four seats, the second of which is ``own``."""
    samples = Samples(41)
    seats = list(management_samples.seats(samples, 4, set()))
    seats = [replace(seat, node=100 + place, operator=place + 1) for place, seat in enumerate(seats)]
    if own is not None:
        seats[1] = Seat(OWN_NODE, 9, own.consensus_key, own.endorsement_address)
    parameters = replace(
        management_samples.parameters(samples, 4, 1), threshold=3, consensus=consensus, block_interval_milliseconds=500
    )
    return Decision(
        True,
        management_samples.place(samples),
        samples.hash(),
        DOMAIN,
        1,
        1_900_000_000,
        governor_key(),
        1,
        parameters,
        Form(parameters, management_samples.chains(samples), Gateways(())),
        (DecidedRelay(RELAY, 1, 3, tuple(seats)),),
        RoutingPolicy(1, (SlotRange(RELAY, 0, 1_024),)),
    )


def dissolving(formed: Decision) -> Decision:
    """The decision that ends that domain."""
    return replace(
        formed, request_id=b"\x0d" * 32, number=2, body=Dissolve(), relays=(), policy=None, time_seconds=1_900_001_000
    )


def facts_of(decisions: Sequence[tuple[Decision, RequestState]]) -> ChainFacts:
    """What a management chain with these decisions says; those that are dead are not final."""
    final, requests = [], {}
    for decision, state in decisions:
        status = RequestStatus(state, decision.kind, decision.domain, 1_900_009_000)
        requests[decision.request_id] = status
        if not state.dead:
            final.append(FinalDecision(decision, decision.encode(), status, 1))
    nodes = {seat.node for decision, _ in decisions for relay in decision.relays for seat in relay.seats}
    peers = {node: Peer(node.to_bytes(20, "big"), f"127.0.0.1:{20_000 + node}") for node in nodes}
    return ChainFacts(tuple(final), requests, {}, peers)


class FileManagementChain:
    """The management chain of a :class:`World`."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def facts(self, nodes: Sequence[bytes], units: Sequence[tuple[bytes, int]]) -> ChainFacts:
        return facts_of(self._world.read_facts())

    async def report_genesis(self, request_id: bytes, relay: int, node: int, genesis_hash: bytes) -> None:
        report = {"request": request_id.hex(), "relay": relay, "node": node, "hash": genesis_hash.hex()}
        if report in self._world.reports:
            return
        with (self._world.folder / "reports").open("a") as stream:
            stream.write(json.dumps(report) + "\n")

    async def close(self) -> None:
        """Nothing is open."""


def make_world(folder: Path) -> World:
    """Make the folder of a world with one node."""
    from piebridge.management_chain.node.keys import make_node

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    make_node(folder / "node", "", rpc_port=port, p2p_port=port + 1, dev=True)
    (folder / "passphrase").write_text("", encoding="utf-8")
    (folder / "relay_chain.py").write_text(_RELAY_CHAIN, encoding="utf-8")
    return World(folder)


async def _run(world: World, phase: Phase, reported: bool) -> int:
    settings = LaunchSettings(
        (sys.executable, "-I", "-S", str(world.folder / "relay_chain.py")), world.folder / "passphrase", dev=True
    )
    agent_folder = world.folder / "agent"
    agent_folder.mkdir(exist_ok=True)
    agent = NodeAgent(
        agent_folder,
        [world.node],
        FileManagementChain(world),
        LocalProcesses(agent_folder / "processes", settings),
        poll_seconds=0.05,
    )
    deadline = time.monotonic() + TURNS_SECONDS
    while time.monotonic() < deadline:
        if not await agent.turn():
            await asyncio.sleep(0.05)
        if any(unit.phase is phase and (unit.reported or not reported) for unit in agent.units):
            await agent.stop()
            return 0
    return 1


def main() -> None:
    """Run the agent of a world until its unit is in a phase: ``FOLDER PHASE [reported]``."""
    arm(os.environ)
    folder, phase, *more = sys.argv[1:]
    sys.exit(asyncio.run(_run(World(Path(folder)), Phase(phase), bool(more))))


if __name__ == "__main__":
    main()
