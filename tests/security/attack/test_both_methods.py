"""A member verified by light client and notaries: whoever holds one of the two must not decide anything alone."""

import pytest

from piebridge.crypto.quorum import select_quorum
from piebridge.crypto.signature import address_of_private_key, sign_recoverable
from piebridge.protocol_stack import commitment
from piebridge.protocol_stack.authentication import BothAuthentication, NotaryAuthentication
from piebridge.protocol_stack.governor_relay_bodies import ClientKind, CloseChain, RegisterChain
from piebridge.protocol_stack.notary_statement import NotarySet, NotaryStatement, SlotValue
from piebridge.protocol_stack.packet import Packet
from piebridge.protocol_stack.relay_messages import HubRange, HubSlots
from piebridge.protocol_stack.transaction.atp import RecordState
from piebridge.protocol_stack.verification.base import Method
from piebridge.relay.app import transactions
from piebridge.relay.app.admission import Code
from testkit.hub_model import HubModel
from testkit.relay_world import RelayWorld, two_chains
from testkit.source_chain import private_key

KEYS = [private_key(f"notary {number}") for number in range(4)]
NOTARIES = NotarySet(1, 3, tuple(address_of_private_key(key) for key in KEYS))


def build() -> tuple[RelayWorld, HubModel]:
    world, hub = two_chains(), HubModel(30)
    client = (ClientKind.COMETBFT, Method.BOTH, 0, 10, 1_000_000, hub.checkpoint(), NOTARIES)
    world.govern(RegisterChain(30, hub.address, 1, *client))
    world.hubs[30] = hub
    return world, hub


def state(
    hub: HubModel,
    slot: bytes,
    *,
    ahead: int = 0,
    time_seconds: int | None = None,
    block_hash: bytes | None = None,
) -> NotaryAuthentication:
    """What notaries say of the newest block, of another one of its number, or of one ahead of it with its values."""
    block = hub.chain.blocks[-1]
    value = SlotValue(slot, block.values.get(slot, 0).to_bytes(32, "big"))
    time_seconds = block.time_seconds if time_seconds is None else time_seconds
    statement = NotaryStatement(hub.address, block.number + ahead, block_hash or block.hash, time_seconds, (value,))
    digest = statement.digest(1, 30, 1)
    signatures = {address_of_private_key(key): sign_recoverable(digest, key) for key in KEYS}
    return NotaryAuthentication(NOTARIES, select_quorum(NOTARIES.signers, signatures), statement)


def record_state(world: RelayWorld, packet: Packet) -> RecordState:
    record = transactions.find(world.view, packet.header)
    assert record is not None
    return record.state


def test_the_light_client_alone_cannot_say_that_a_packet_expired() -> None:
    """It would abort at the source what the destination still executes: both are paid."""
    world, hub = build()
    packet = world.hubs[10].request(30)
    world.carry_from(world.hubs[10], relay=1)
    assert record_state(world, packet) is RecordState.OPEN
    name = hub.status_name(10, 1, 0, 1)
    now = hub.chain.now_seconds
    # This block, dated ahead, is that of whoever stole the keys of the chain's validators.
    hub.chain.close_block(seconds=10_000)
    world.catch_up(hub)
    world.follow(hub)
    late = hub.chain.prove([name.slot], hub.chain.height)
    mixed = HubSlots(
        30,
        BothAuthentication(late, state(hub, name.slot, ahead=1, time_seconds=now + 1, block_hash=b"\x01" * 32)),
        (name,),
    )
    assert world.submit(mixed)[0].code == Code.OK, "the values are equal: it says nothing, and is no lie"
    assert record_state(world, packet) is RecordState.OPEN, "aborted by the light client's clock alone"
    control = HubSlots(30, BothAuthentication(late, state(hub, name.slot)), (name,))
    assert world.submit(control)[0].code == Code.OK
    assert record_state(world, packet) is RecordState.ABORT


@pytest.mark.parametrize("what", ["hash", "time"])
def test_methods_that_know_two_blocks_of_one_number_prove_nothing_together(what: str) -> None:
    """One of the two lies, or the chain has forked: equal values are no excuse."""
    world, hub = build()
    packet = hub.send_free(20)
    hub.chain.close_block()
    world.catch_up(hub)
    world.follow(hub)
    slot, block = commitment.chain_slot(1, 0), hub.chain.blocks[-1]
    other = (
        state(hub, slot, block_hash=bytes([block.hash[0] ^ 1]) + block.hash[1:])
        if what == "hash"
        else state(hub, slot, time_seconds=block.time_seconds + 1)
    )
    split = HubRange(30, 0, BothAuthentication(hub.head_proof(0), other), hub.range(0))
    assert world.submit(split)[0].code == Code.INVALID
    assert world.view.packet(packet.packet_id) is None
    assert world.view.progress(30).notary_block == 0
    agreed = HubRange(30, 0, BothAuthentication(hub.head_proof(0), state(hub, slot)), hub.range(0))
    assert world.submit(agreed)[0].code == Code.OK
    assert world.view.packet(packet.packet_id) is not None


def test_of_a_closed_registration_both_methods_stop_at_the_closing_height() -> None:
    world, hub = build()
    hub.chain.close_block()
    hub.send_free(20)
    hub.chain.close_block()
    world.catch_up(hub)
    world.follow(hub)
    proof, closing = hub.head_proof(0), hub.chain.blocks[-1].number
    slot = commitment.chain_slot(1, 0)
    control = state(hub, slot)
    world.govern(CloseChain(30, closing))
    hub.chain.close_block()
    later = HubRange(30, 0, BothAuthentication(proof, state(hub, slot)), hub.range(0))
    assert world.submit(later)[0].code == Code.REFUSED
    assert world.submit(HubRange(30, 0, BothAuthentication(proof, control), hub.range(0)))[0].code == Code.OK
