"""A mixed run of a relay chain, the same whenever it is made."""

from dataclasses import replace

from piebridge.protocol_stack import commitment
from piebridge.protocol_stack.commitment import SlotBase
from piebridge.protocol_stack.governor_relay_bodies import Pause, Unpause
from piebridge.protocol_stack.header import VerificationHeader
from piebridge.protocol_stack.relay_messages import SlotName
from piebridge.protocol_stack.verification.base import Method
from testkit.hub_model import Executed, HubModel
from testkit.relay_world import GATEWAY, STRANGER, RelayWorld, validator_set


def run_scenario() -> RelayWorld:
    """Packets both ways, commits, aborts of all sorts, slots, governor messages, failures, retention."""
    world = RelayWorld({number: HubModel(number) for number in (10, 20, 30)})
    one, two, three = world.hubs.values()
    two.handler = lambda packet: Executed(succeeded=packet.sequence % 2 == 0, returned=b"")
    for hub in (one, two, three):
        for other in (10, 20, 30):
            if other != hub.registration:
                hub.send_free(other)
                hub.request(other)
                hub.request(other, verification=VerificationHeader(Method.BOTH))
                hub.send_free(other, ordered=True, channel=7)
        hub.request(99)
    for hub in (one, two, three):
        world.carry_from(hub, 0)
        world.carry_from(hub, 1)
    for hub in (one, two, three):
        world.carry_to(hub)
    for hub in (one, two, three):
        world.carry_from(hub, 0, first=2)
        world.carry_from(hub, 1)
    world.govern(Pause())
    world.govern(Unpause())
    world.govern(validator_set(2, ("v0", "v1", "v2", "v4")))
    message = one.range_message(0)
    broken = replace(message, range=replace(message.range, start=b"\x01" * 32))
    world.run(*(world.sign(body, key) for body in (message, broken) for key in (GATEWAY, STRANGER)))
    names = [
        two.status_name(10, 1, 0, 1),
        two.status_name(0, 1, 0, 1),
        SlotName(SlotBase.SEEN, commitment.seen_key(1, 10, 0, 1)),
        SlotName(SlotBase.RECEIPTS, commitment.receipts_key(1, 10, 0, 0, 1)),
        SlotName(SlotBase.RECEIVE_LANE, commitment.lane_key(1, 10, 0, 7)),
    ]
    two.chain.close_block()
    world.catch_up(two)
    world.follow(two)
    world.must(two.slots_message(names))
    world.run(seconds=2_000)
    world.run(seconds=2_000)
    return world
