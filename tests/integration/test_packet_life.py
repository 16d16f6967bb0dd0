"""The life of a packet through real contracts and real relay chains, in one process under a virtual clock."""

import pytest

from piebridge.contracts.loader import load
from piebridge.protocol_stack.receipts import ReceiptCode
from piebridge.protocol_stack.verdicts import Verdict
from testkit.world.evm import Call
from testkit.world.hub import DOMAIN, SUPPLY
from testkit.world.world import World


@pytest.fixture
def world() -> World:
    return World.build()


def refused_transfer(world: World) -> Call:
    """A transfer to an account that the destination's token refuses: the token itself."""
    hub, now = world.hubs[1], world.now
    recipient = "0x" + world.hubs[2].token.hex()
    data = load("BridgeToken").function_data("transferRemote", DOMAIN, 2, 11, recipient, 500, now + 600, now + 900)
    return Call(hub.token, data, "alice")


def test_a_token_transfer_is_executed_and_its_transaction_commits(world: World) -> None:
    source, destination = world.hubs[1], world.hubs[2]
    packet = world.send_token(1, 2, 1_000)
    assert world.in_circulation() == SUPPLY - 1_000
    world.record(1, 11, bound=True)
    world.deliver(11, 2)
    assert destination.balance("bob") == 1_000
    assert destination.status(packet.lane, 1) == Verdict.COMMIT
    world.record(2, 11, bound=True)
    world.deliver(11, 1)
    assert source.own_status(11, 1) == Verdict.COMMIT
    assert world.in_circulation() == SUPPLY
    assert not world.settle(1, packet).succeeded


def test_a_refused_transfer_is_refunded(world: World) -> None:
    source, destination = world.hubs[1], world.hubs[2]
    before = source.balance("alice")
    hub = world.hubs[1]
    packet = world.sent(1, refused_transfer(world))
    world.round_trip(1, 2, 11, bound=True)
    assert destination.status(packet.lane, 1) == Verdict.ABORT
    assert hub.own_status(11, 1) == Verdict.ABORT
    assert world.settle(1, packet).succeeded
    assert source.balance("alice") == before
    assert world.in_circulation() == SUPPLY
    assert not world.settle(1, packet).succeeded


def test_an_expired_transfer_is_refunded(world: World) -> None:
    before = world.hubs[1].balance("alice")
    packet = world.send_token(1, 2, 700, lifetime_seconds=600)
    world.record(1, 11, bound=True)
    world.advance(601)
    world.deliver(11, 2)
    assert world.hubs[2].balance("bob") == 0
    assert world.hubs[2].status(packet.lane, 1) == Verdict.ABORT
    world.record(2, 11, bound=True)
    world.deliver(11, 1)
    assert world.settle(1, packet).succeeded
    assert world.hubs[1].balance("alice") == before


def test_a_transfer_that_reaches_the_relay_chain_late_is_aborted_and_entombed(world: World) -> None:
    before = world.hubs[1].balance("alice")
    packet = world.send_token(1, 2, 700, lifetime_seconds=600)
    world.advance(1_300)
    world.record(1, 11, bound=True)
    world.deliver(11, 1)
    world.deliver(11, 2)
    assert world.hubs[1].own_status(11, 1) == Verdict.ABORT
    assert world.hubs[2].status(packet.lane, 1) == Verdict.ABORT
    assert world.settle(1, packet).succeeded
    assert world.hubs[1].balance("alice") == before


def test_a_record_is_notarised_and_its_receipt_comes_home(world: World) -> None:
    key, value = b"\x01" * 32, b"\x02" * 32
    packet = world.notarise(1, 2, key, value)
    world.record(1, 11)
    world.deliver(11, 2)
    assert world.hubs[2].read("recordOf", key, contract="RecordNotary")[:2] == (value, 1)
    world.record(2, 11)
    outcome = world.deliver(11, 1)
    (confirmed,) = [log for log in outcome.logs if log.address == world.hubs[1].notary]
    assert confirmed.topics[1] == packet.packet_id
    assert int.from_bytes(confirmed.data[:32], "big") == ReceiptCode.EXECUTED


def test_many_packets_of_many_blocks_travel_in_one_batch(world: World) -> None:
    packets = [world.send_token(1, 2, 10 + i) for i in range(12)]
    assert world.record(1, 11, bound=True) == 12
    world.deliver(11, 2)
    assert world.hubs[2].balance("bob") == sum(10 + i for i in range(12))
    world.record(2, 11, bound=True)
    world.deliver(11, 1)
    assert {world.hubs[1].own_status(11, i + 1) for i in range(12)} == {Verdict.COMMIT}
    assert len({packet.packet_id for packet in packets}) == 12
    assert world.in_circulation() == SUPPLY
