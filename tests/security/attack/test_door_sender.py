"""A hostile member chain at the ERC-7786 door: its hub's outbox says anything, but it may speak for itself alone."""

import pytest

from piebridge.protocol_stack.application.door import DOOR, MESSAGE, DoorMessage, InteroperableAddress
from piebridge.protocol_stack.packet import Packet
from testkit.world.bench import CHAIN_ID, ELSEWHERE, THERE, HubBench
from testkit.world.keys import address_of
from testkit.world.packets import packet

EVM_CHAIN_OF = {THERE: CHAIN_ID + 1, ELSEWHERE: CHAIN_ID + 2}
"""EVM chain ids that the hub under test knows its peers by."""


def message(bench: HubBench, source: int, claimed_chain: int) -> Packet:
    """A message from the hub ``source`` whose body says that an account of ``claimed_chain`` sent it."""
    body = DoorMessage(
        InteroperableAddress(claimed_chain, address_of("treasury")),
        InteroperableAddress(CHAIN_ID, bench.hub.board),
        b"pay mallory",
    )
    return packet(source=source, application=DOOR, function=MESSAGE, gas=500_000, body=body.encode())


def posted(bench: HubBench, item: Packet) -> bool:
    """Whether the recipient has got the message."""
    sender, _ = bench.hub.read("messageOf", item.packet_id, contract="MessageBoard")
    return bool(sender)


@pytest.mark.parametrize("source", EVM_CHAIN_OF)
def test_the_door_delivers_what_a_chain_says_for_its_own_accounts(bench: HubBench, source: int) -> None:
    item = message(bench, source, EVM_CHAIN_OF[source])
    bench.accepted(bench.relay.envelope_of(item))
    assert posted(bench, item)


@pytest.mark.parametrize("claimed", [1, CHAIN_ID, CHAIN_ID + 2, CHAIN_ID + 3, 2**64 + CHAIN_ID + 1])
def test_a_member_chain_cannot_send_in_the_name_of_an_account_of_another_chain(bench: HubBench, claimed: int) -> None:
    """The recipient sees nothing but the sender in the body: the door must hold it against the proven source."""
    item = message(bench, THERE, claimed)
    bench.accepted(bench.relay.envelope_of(item))
    assert not posted(bench, item), "a message in the name of a foreign account was delivered"
