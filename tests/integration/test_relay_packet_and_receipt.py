"""One packet and its receipt across a relay chain, all in one process; the hubs are models, the proofs are real."""

from piebridge.protocol_stack.receipts import ReceiptCode
from piebridge.protocol_stack.transaction.status import Status
from testkit.relay_world import two_chains


def test_a_free_packet_crosses_and_its_receipt_comes_home() -> None:
    world = two_chains()
    source, destination = world.hubs[10], world.hubs[20]
    packet = source.send_free(20, returns_data=True)

    world.carry_from(source)
    world.carry_to(destination)
    assert destination.executed == [packet.packet_id]

    world.carry_from(destination)
    world.carry_to(source)
    [home] = source.receipts_home
    assert (home.packet_id, home.code, home.returned) == (packet.packet_id, ReceiptCode.EXECUTED, b"returned")


def test_a_transaction_commits_at_its_origin() -> None:
    world = two_chains()
    source, destination = world.hubs[10], world.hubs[20]
    packet = source.request(20)

    world.carry_from(source, relay=1)
    world.carry_to(destination)
    world.carry_from(destination, relay=1)
    world.carry_to(source)

    assert destination.executed == [packet.packet_id]
    assert source.status(0, 1, 0, packet.header.transaction.nonce) is Status.COMMITTED
    assert destination.status(10, 1, 0, packet.sequence) is Status.COMMITTED
