"""A light client or a notary set that was broken and replaced: nothing that rests on its word counts any more."""

from dataclasses import replace

from piebridge.crypto.quorum import select_quorum
from piebridge.crypto.signature import address_of_private_key, sign_recoverable
from piebridge.protocol_stack import commitment
from piebridge.protocol_stack.authentication import KeptAuthentication, NotaryAuthentication
from piebridge.protocol_stack.governor_relay_bodies import ClientKind, NewCheckpoint, RegisterChain, SetNotaries
from piebridge.protocol_stack.header import VerificationHeader
from piebridge.protocol_stack.notary_statement import NotarySet, NotaryStatement, SlotValue
from piebridge.protocol_stack.relay_messages import HubRange
from piebridge.protocol_stack.verification.base import Method
from piebridge.relay.app.admission import Code
from testkit.hub_model import HubModel
from testkit.relay_world import RelayWorld, two_chains
from testkit.source_chain import private_key

DEPTH = 3


def notary_keys(epoch: int) -> list[bytes]:
    return [private_key(f"notary {number} of {epoch}") for number in range(4)]


def notary_set(epoch: int) -> NotarySet:
    return NotarySet(epoch, 3, tuple(address_of_private_key(key) for key in notary_keys(epoch)))


def statement(hub: HubModel, epoch: int, *, block_number: int | None = None) -> NotaryAuthentication:
    block, slot, notaries = hub.chain.blocks[-1], commitment.chain_slot(1, 0), notary_set(epoch)
    value = SlotValue(slot, block.values.get(slot, 0).to_bytes(32, "big"))
    number = block.number if block_number is None else block_number
    said = NotaryStatement(hub.address, number, block.hash, block.time_seconds, (value,))
    digest = said.digest(1, 30, epoch)
    signatures = {address_of_private_key(key): sign_recoverable(digest, key) for key in notary_keys(epoch)}
    return NotaryAuthentication(notaries, select_quorum(notaries.signers, signatures), said)


def is_recorded(world: RelayWorld, packet_id: bytes) -> bool:
    return world.view.packet(packet_id) is not None


def test_a_new_checkpoint_forgets_how_far_the_old_client_said_the_chain_had_gone() -> None:
    """A client that was shown forged headers far ahead would let every demanded depth be met for ever."""
    world = two_chains()
    hub = world.hubs[10]
    for _ in range(20):  # the forged future
        hub.chain.close_block()
    world.catch_up(hub)
    world.follow(hub)
    hub.send_free(20)
    world.carry_from(hub)
    assert world.view.progress(10).spv_block == hub.chain.blocks[-1].number
    # The governors' checkpoint lies before it, and the true chain goes on from there.
    honest = HubModel(10)
    honest.send_free(20)  # its sequence is taken by what the forged history brought
    packet = honest.send_free(20, verification=VerificationHeader(Method.SPV, depth=DEPTH))
    honest.chain.close_block()
    world.govern(NewCheckpoint(10, honest.checkpoint(honest.chain.height)))
    assert (world.view.progress(10).spv_block, world.view.progress(10).trust_epoch) == (0, 1)
    world.hubs[10] = honest
    for blocks_above in range(DEPTH + 1):
        world.must(honest.range_message(0))
        assert is_recorded(world, packet.packet_id) is (blocks_above >= DEPTH), blocks_above
        honest.chain.close_block()
        world.catch_up(honest)
        world.follow(honest)


def test_a_value_that_the_old_client_authenticated_does_not_serve_again() -> None:
    """It may be of the history that never was: kept as bare entries, opened once the client is trusted again."""
    world = two_chains()
    hub = world.hubs[10]
    packet = hub.send_free(20, b"forged")
    world.carry_from(hub, bare=[1])
    kept = HubRange(10, 0, KeptAuthentication(), hub.range(0))
    world.govern(NewCheckpoint(10, hub.checkpoint(hub.chain.height)))
    assert world.submit(kept)[0].code == Code.REFUSED
    assert not is_recorded(world, packet.packet_id)
    world.must(replace(kept, authentication=hub.head_proof(0)))
    assert is_recorded(world, packet.packet_id)
    world.must(kept)


def test_new_notaries_forget_what_the_old_ones_said() -> None:
    world, hub = two_chains(), HubModel(30)
    rules = (ClientKind.NONE, Method.NOTARY, 0, 10, 1_000_000, None, notary_set(1))
    world.govern(RegisterChain(30, hub.address, 1, *rules))
    world.hubs[30] = hub
    packet = hub.send_free(20, verification=VerificationHeader(Method.NOTARY, depth=DEPTH))
    hub.chain.close_block()
    # Keys of three notaries were stolen: they name a block of the far future, with the entries left bare.
    forged = HubRange(30, 0, statement(hub, 1, block_number=1 << 40), hub.range(0, bare=[1]))
    world.must(forged)
    assert world.view.progress(30).notary_block == 1 << 40
    world.govern(SetNotaries(30, notary_set(2)))
    assert world.view.progress(30).notary_block == 0
    assert world.submit(HubRange(30, 0, KeptAuthentication(), hub.range(0)))[0].code == Code.REFUSED
    for blocks_above in range(DEPTH + 1):
        world.must(HubRange(30, 0, statement(hub, 2), hub.range(0)))
        assert is_recorded(world, packet.packet_id) is (blocks_above >= DEPTH), blocks_above
        hub.chain.close_block()
