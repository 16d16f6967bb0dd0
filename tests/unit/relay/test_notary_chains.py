"""Chains whose hubs notaries read, alone or beside a light client (security row O15)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from piebridge.crypto.quorum import select_quorum
from piebridge.crypto.signature import address_of_private_key, sign_recoverable
from piebridge.protocol_stack import commitment
from piebridge.protocol_stack.authentication import BothAuthentication, NotaryAuthentication
from piebridge.protocol_stack.governor_relay_bodies import ClientKind, NewCheckpoint, RegisterChain, SetNotaries
from piebridge.protocol_stack.header import VerificationHeader
from piebridge.protocol_stack.notary_statement import NotarySet, NotaryStatement, SlotValue
from piebridge.protocol_stack.packet import Packet
from piebridge.protocol_stack.relay_messages import HubRange
from piebridge.protocol_stack.verification.base import Method
from piebridge.relay.app.admission import Code
from testkit.hub_model import HubModel
from testkit.relay_world import RelayWorld, two_chains
from testkit.source_chain import private_key

NAMES = ("n0", "n1", "n2", "n3")


def notary_set(epoch: int = 1, names: Sequence[str] = NAMES, threshold: int = 3) -> NotarySet:
    return NotarySet(epoch, threshold, tuple(address_of_private_key(private_key(name)) for name in names))


def state(hub: HubModel, slots: Sequence[bytes], back: int = 0) -> NotaryStatement:
    """What a notary reads at the newest block, or some blocks before."""
    block = hub.chain.blocks[-1 - back]
    items = tuple(SlotValue(slot, block.values.get(slot, 0).to_bytes(32, "big")) for slot in sorted(slots))
    return NotaryStatement(hub.address, block.number, block.hash, block.time_seconds, items)


def signed(
    statement: NotaryStatement,
    *,
    signers: Sequence[str] = NAMES[:3],
    notaries: NotarySet | None = None,
    registration: int = 30,
    domain: int = 1,
    epoch: int = 1,
) -> NotaryAuthentication:
    notaries = notaries or notary_set()
    digest = statement.digest(domain, registration, epoch)
    signatures = {
        address_of_private_key(private_key(name)): sign_recoverable(digest, private_key(name)) for name in signers
    }
    return NotaryAuthentication(notaries, select_quorum(notaries.signers, signatures), statement)


@dataclass
class NotaryWorld:
    world: RelayWorld
    hub: HubModel
    slot: bytes

    def submit(self, authentication: NotaryAuthentication | BothAuthentication) -> Code:
        message = HubRange(30, 0, authentication, self.hub.range(0))
        return Code(self.world.submit(message)[0].code)

    def is_recorded(self, packet: Packet) -> bool:
        return self.world.view.packet(packet.packet_id) is not None


def build(method: Method, depth: int = 2, depth_max: int = 10) -> NotaryWorld:
    world, hub = two_chains(), HubModel(30)
    body = RegisterChain(
        30,
        hub.address,
        1,
        ClientKind.NONE if method is Method.NOTARY else ClientKind.COMETBFT,
        method,
        depth,
        depth_max,
        1_000_000,
        None if method is Method.NOTARY else hub.checkpoint(),
        notary_set(),
    )
    world.govern(body)
    world.hubs[30] = hub
    return NotaryWorld(world, hub, commitment.chain_slot(1, 0))


@pytest.fixture
def notaries() -> NotaryWorld:
    return build(Method.NOTARY)


def test_statement_of_k_notaries_carries_a_packet(notaries: NotaryWorld) -> None:
    packet = notaries.hub.send_free(20, verification=VerificationHeader(Method.NOTARY))
    notaries.hub.chain.close_block()
    assert notaries.submit(signed(state(notaries.hub, [notaries.slot]))) is Code.OK
    assert notaries.is_recorded(packet)


@pytest.mark.parametrize("what", ["domain", "registration", "epoch", "value", "hub", "slot", "set", "time", "number"])
def test_statement_about_something_else_is_refused(notaries: NotaryWorld, what: str) -> None:
    packet = notaries.hub.send_free(20)
    notaries.hub.chain.close_block()
    statement = state(notaries.hub, [notaries.slot])
    good = signed(statement)
    other_names = ("n0", "n1", "n2", "m3")
    forged = {
        "domain": signed(statement, domain=2),
        "registration": signed(statement, registration=10),
        "epoch": signed(statement, epoch=2),
        "value": replace(good, statement=replace(statement, slots=(SlotValue(notaries.slot, b"\x01" * 32),))),
        "hub": signed(replace(statement, hub=b"\x01" * 20)),
        "slot": signed(state(notaries.hub, [commitment.chain_slot(1, 1)])),
        "set": signed(statement, notaries=notary_set(names=other_names)),
        "time": replace(good, statement=replace(statement, block_time=statement.block_time + 1)),
        "number": replace(good, statement=replace(statement, block_number=statement.block_number + 1)),
    }[what]
    assert notaries.submit(forged) is Code.INVALID
    assert not notaries.is_recorded(packet)


def test_light_client_proof_for_a_chain_of_notaries_is_refused(notaries: NotaryWorld) -> None:
    notaries.hub.send_free(20)
    notaries.hub.chain.close_block()
    message = notaries.hub.range_message(0)
    assert notaries.world.submit(message)[0].code == Code.INVALID


def test_notaries_for_a_chain_with_a_light_client_are_refused() -> None:
    world = two_chains()
    hub = world.hubs[10]
    hub.send_free(20)
    hub.chain.close_block()
    statement = signed(state(hub, [commitment.chain_slot(1, 0)]), registration=10)
    assert world.submit(HubRange(10, 0, statement, hub.range(0)))[0].code == Code.INVALID


def test_demanded_depth_counts_from_the_registered_one(notaries: NotaryWorld) -> None:
    shallow = notaries.hub.send_free(20, verification=VerificationHeader(Method.NOTARY, depth=2))
    deep = notaries.hub.send_free(20, verification=VerificationHeader(Method.NOTARY, depth=4))
    for recorded in (False, False, True):
        notaries.hub.chain.close_block()
        assert notaries.submit(signed(state(notaries.hub, [notaries.slot]))) is Code.OK
        assert notaries.is_recorded(shallow)
        assert notaries.is_recorded(deep) is recorded


def test_demanded_epoch_is_met_by_a_newer_set(notaries: NotaryWorld) -> None:
    now = notaries.hub.send_free(20, verification=VerificationHeader(Method.NOTARY, oldest_set_epoch=1))
    later = notaries.hub.send_free(20, verification=VerificationHeader(Method.NOTARY, oldest_set_epoch=2))
    notaries.hub.chain.close_block()
    notaries.submit(signed(state(notaries.hub, [notaries.slot])))
    assert (notaries.is_recorded(now), notaries.is_recorded(later)) == (True, False)
    new = notary_set(2, ("n0", "n1", "n4", "n5"))
    notaries.world.govern(SetNotaries(30, new))
    assert notaries.submit(signed(state(notaries.hub, [notaries.slot]))) is Code.INVALID, "the old set is over"
    statement = signed(state(notaries.hub, [notaries.slot]), signers=("n1", "n4", "n5"), notaries=new, epoch=2)
    assert notaries.submit(statement) is Code.OK
    assert notaries.is_recorded(later)


def test_checkpoint_for_a_chain_without_light_client_is_refused(notaries: NotaryWorld) -> None:
    world = notaries.world
    world.govern(NewCheckpoint(30, notaries.hub.checkpoint()))
    assert world.view.client(30) is None


def test_both_methods_must_prove_the_same_value() -> None:
    world = build(Method.BOTH, depth=0)
    hub, slot = world.hub, world.slot
    packet = hub.send_free(20)
    hub.chain.close_block()
    world.world.catch_up(hub)
    world.world.follow(hub)
    statement = state(hub, [slot])
    lie = replace(statement, slots=(SlotValue(slot, b"\x01" * 32),))
    spv = hub.head_proof(0)
    assert world.submit(BothAuthentication(spv, signed(lie))) is Code.INVALID
    assert world.submit(signed(statement)) is Code.INVALID
    assert world.world.submit(HubRange(30, 0, spv, hub.range(0)))[0].code == Code.INVALID
    assert not world.is_recorded(packet)
    assert world.submit(BothAuthentication(spv, signed(statement))) is Code.OK
    assert world.is_recorded(packet)


def test_with_both_methods_the_lesser_depth_counts() -> None:
    world = build(Method.BOTH, depth=1)
    hub = world.hub
    packet = hub.send_free(20)
    hub.chain.close_block()
    at_packet = state(hub, [world.slot])
    world.world.catch_up(hub)
    world.world.follow(hub)
    assert world.submit(BothAuthentication(hub.head_proof(0), signed(at_packet))) is Code.OK
    assert not world.is_recorded(packet), "the light client has seen no block on top yet"
    hub.chain.close_block()
    world.world.catch_up(hub)
    world.world.follow(hub)
    assert world.submit(BothAuthentication(hub.head_proof(0), signed(state(hub, [world.slot])))) is Code.OK
    assert world.is_recorded(packet)
