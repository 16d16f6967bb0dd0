"""What an agent sees and says of the real contracts, over RPC: proven decisions, peers, reports that stand once."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from piebridge.chains.cometbft_rpc import CometBftRpc
from piebridge.crypto.errors import PermanentChainError
from piebridge.management_chain.follower.follower import ManagementFollower
from piebridge.management_chain.follower.node import ManagementNode, NodeAddresses
from piebridge.management_chain.follower.trust import Trust, TrustRoot
from piebridge.management_chain.node.chain import LiveManagementChain
from piebridge.protocol_stack.management.decision import Decision, Seat
from piebridge.protocol_stack.management.genesis import genesis_document
from piebridge.protocol_stack.management.storage import RequestState
from piebridge.protocol_stack.relay_genesis import genesis_hash
from testkit.evm_chain_node import RunningNode, running_node
from testkit.live_management import LiveManagementWorld, genesis_state
from testkit.world.keys import START_SECONDS, private_key

pytestmark = pytest.mark.slow

PARTIES = {"representative 1": 1, "representative 2": 2}
NOW_NS = (START_SECONDS + 24 * 3_600) * 10**9


@pytest.fixture
def running() -> Iterator[RunningNode]:
    with running_node(app_state=genesis_state()) as node:
        yield node


async def root_of(address: str) -> TrustRoot:
    rpc = CometBftRpc(address)
    header = (await rpc.signed_header(1)).header
    await rpc.close()
    return TrustRoot(header.chain_id, 1, header.hash())


async def seen_by(world: LiveManagementWorld, running: RunningNode, folder: Path, agent: str) -> LiveManagementChain:
    addresses = [NodeAddresses(url, running.eth_address) for url in running.node.rpc_addresses[:2]]
    follower = ManagementFollower(
        Trust(await root_of(addresses[0].cometbft_url), folder / "trusted.json"),
        [ManagementNode(item) for item in addresses],
        registry=world.place("registry"),
        board=world.addresses["board"],
        now_ns=lambda: NOW_NS,
    )
    urls = [item.eth_url for item in addresses]
    return LiveManagementChain(follower, urls, world.addresses["market"], private_key(agent))


def test_an_agent_and_the_contracts(running: RunningNode, tmp_path: Path) -> None:
    world = LiveManagementWorld(running)
    world.found_governors()
    for name in PARTIES:
        world.add_registration(name)
    nodes = {node.number: node for name in ("op a", "op b") for node in world.add_operator(name, 1)}
    form = world.form((1, 2))
    identifier = world.file(form, PARTIES)
    outcome = world.draw(form, world.candidates_of(world.close(form)))
    decision = Decision.decode(world.event(outcome, "registry", "DecisionMade")["record"])
    (relay,) = decision.relays
    keys = [seat.consensus_key for seat in relay.seats]
    value = genesis_hash(genesis_document(decision, relay.relay))
    unit = [(identifier, relay.relay)]
    for node in nodes.values():
        world.fund(f"agent {node.name}")

    with asyncio.Runner() as runner:
        first, second = (
            runner.run(seen_by(world, running, _folder(tmp_path, seat), f"agent {nodes[seat.node].name}"))
            for seat in relay.seats
        )
        # Drawn and not confirmed: nothing to do.
        facts = runner.run(first.facts(keys[:1], []))
        assert facts.decisions == ()

        world.confirm(form, decision.hash, PARTIES)
        facts = runner.run(first.facts(keys[:1], []))
        (final,) = facts.decisions
        assert (final.decision, final.status.state) == (decision, RequestState.CONFIRMED)
        assert set(facts.peers) == set(nodes)
        assert str(facts.peers[relay.seats[0].node]).endswith("@127.0.0.1:26656")
        # Somebody else's key is in no set.
        assert runner.run(first.facts([b"\x02" * 33], [])).decisions == ()

        mine, other = (seat.node for seat in relay.seats)
        runner.run(first.report_genesis(identifier, relay.relay, mine, value))
        runner.run(first.report_genesis(identifier, relay.relay, mine, value))
        with pytest.raises(PermanentChainError):
            runner.run(first.report_genesis(identifier, relay.relay, mine, b"\x01" * 32))
        with pytest.raises(PermanentChainError):
            runner.run(first.report_genesis(identifier, relay.relay, other, value))  # another agent's node
        assert runner.run(first.facts(keys[:1], unit)).genesis_hashes == {}
        runner.run(second.report_genesis(identifier, relay.relay, other, value))
        world.send("carrier", "registry", "tick")
        facts = runner.run(first.facts(keys[:1], unit))
        assert facts.genesis_hashes == {relay.relay: value}
        assert facts.requests[identifier].state is RequestState.EXECUTING
        for chain in (first, second):
            runner.run(chain.close())


def _folder(root: Path, seat: Seat) -> Path:
    folder = root / str(seat.node)
    folder.mkdir()
    return folder
