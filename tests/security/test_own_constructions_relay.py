"""O5, O8, O9, O11 at a relay chain: endorsement, governor messages, genesis, registrations."""

from dataclasses import replace

import pytest

from piebridge.abci.messages import FinalizeBlockRequest, FinalizeBlockResponse, QueryRequest
from piebridge.crypto.errors import PieBridgeError, ProtocolError
from piebridge.crypto.hash import keccak256, sha256
from piebridge.protocol_stack.commitment import SlotBase, closed_slot, status_key
from piebridge.protocol_stack.governor_hub_bodies import Close, EndorserSet, RelayLifeCycle
from piebridge.protocol_stack.governor_messages import GovernorMessage, TargetKind
from piebridge.protocol_stack.governor_relay_bodies import (
    CloseChain,
    Freeze,
    LifeCycle,
    NoOp,
    Pause,
    RelayBody,
    Rotate,
    Unpause,
)
from piebridge.protocol_stack.relay_genesis import RelayGenesis
from piebridge.protocol_stack.relay_messages import CarriedGovernorMessage
from piebridge.protocol_stack.relay_queries import EndorseQuery
from piebridge.protocol_stack.verdicts import Verdict
from piebridge.relay.app.admission import Code
from piebridge.relay.endorsement import EndorsementSigner
from testkit.world.hub import DOMAIN, SUPPLY
from testkit.world.keys import NANOSECONDS, START_SECONDS, Governor, private_key
from testkit.world.relay_chain import MemorySignedValues, RelayChain
from testkit.world.world import World


@pytest.fixture
def world() -> World:
    return World.build()


# ---------------------------------------------------------------------------------------------------------------- O5


def test_o05_nothing_is_endorsed_before_it_is_committed(world: World) -> None:
    """A number that is not committed yet, 0, and an unknown destination have no signature."""
    chain = world.relays[11]
    world.send_token(1, 2, 5)
    for destination, number in ((2, 1), (2, 10**6), (99, 1), (1, 1)):
        assert chain.endorsements(destination, number) == []
    world.record(1, 11, bound=True)
    assert len(chain.endorsements(2, 1)) == 4
    assert chain.endorsements(2, 2) == []
    for data in (b"", bytes(12), bytes(11), EndorseQuery(2, 1).encode() + b"\x00"):
        assert chain.engine.query(0, QueryRequest(EndorseQuery.PATH, data)).code != 0


def test_o05_a_block_in_execution_is_not_endorsed(world: World) -> None:
    """Signatures are about committed state: FinalizeBlock alone is not enough on the embedded engine either."""
    chain = world.relays[11]
    world.send_token(1, 2, 5)
    message = chain.sign(world.range_message(1, 11, bound=True))
    seen: list[int] = []
    finalize = chain.app.finalize_block

    def spy(request: FinalizeBlockRequest) -> FinalizeBlockResponse:
        response = finalize(request)
        seen.append(len(chain.endorsements(2, 1)))
        return response

    chain.app.finalize_block = spy  # type: ignore[method-assign]
    assert chain.submit(message)[0] == Code.OK
    assert seen
    assert set(seen) == {0}
    assert len(chain.endorsements(2, 1)) == 4


def test_o05_a_key_never_signs_two_values_for_one_entry() -> None:
    """After a restart with another state, as after a rollback of the node: it refuses. The same value again is fine."""
    memory = MemorySignedValues()
    first = EndorsementSigner(private_key("endorser"), memory)
    signature = first.sign(7, 11, 2, 1, 5, b"\x01" * 32)
    after_restart = EndorsementSigner(private_key("endorser"), memory)
    assert after_restart.sign(7, 11, 2, 1, 5, b"\x01" * 32) == signature
    assert after_restart.sign(7, 11, 2, 2, 5, b"\x01" * 32) != signature
    for epoch in (1, 2):
        with pytest.raises(PieBridgeError):
            after_restart.sign(7, 11, 2, epoch, 5, b"\x02" * 32)
    after_restart.sign(7, 11, 2, 1, 6, b"\x02" * 32)
    after_restart.sign(7, 11, 3, 1, 5, b"\x02" * 32)
    after_restart.sign(7, 12, 2, 1, 5, b"\x02" * 32)


def test_o05_after_a_change_of_validators_the_new_set_endorses_what_was_not_delivered(world: World) -> None:
    """With an overlap at the hub and without one; entries of before are endorsed by the new keys."""
    chain, hub = world.relays[11], world.hubs[2]
    world.send_token(1, 2, 5)
    world.record(1, 11, bound=True)
    old_envelope = world.envelope(11, 2)
    new = chain.validator_set(epoch=2, generation=2)
    chain.govern(new)
    # The nodes still hold the old keys: they are no members any more and sign nothing.
    assert chain.endorsements(2, 1) == []
    for index, queries in enumerate(chain.validators):
        queries._signer = EndorsementSigner(private_key(chain.endorser(index, 2)), chain.memories[index])
    hub.govern(EndorserSet(11, 0, new.endorsers))
    before = hub.digest()
    (outcome,) = hub.receive(old_envelope)
    assert hub.error(outcome).startswith("UnknownSet")
    assert hub.digest() == before
    world.deliver(11, 2)
    assert hub.balance("bob") == 5


def test_o05_a_frozen_relay_chain_endorses_nothing(world: World) -> None:
    """Freeze holds off chain as well."""
    chain = world.relays[11]
    world.send_token(1, 2, 5)
    world.record(1, 11, bound=True)
    assert len(chain.endorsements(2, 1)) == 4
    chain.must(CarriedGovernorMessage(chain.message(Freeze())))
    assert chain.endorsements(2, 1) == []
    world.send_token(1, 2, 6)
    code, _, news = chain.submit(
        chain.sign(world.range_message_at(1, 11, world.hubs[1].chain.engine.height, bound=True))
    )
    assert (code, news) == (Code.REFUSED, 0)


# ---------------------------------------------------------------------------------------------------------------- O8


def forged_governor_messages(chain: RelayChain) -> dict[str, GovernorMessage]:
    """Messages that a relay chain must refuse without a trace."""
    honest, sign = chain.message(NoOp()), chain.governor.sign
    return {
        "another domain": replace(honest, domain=DOMAIN + 1).signed(sign),
        "another relay chain": replace(honest, target=12).signed(sign),
        "key epoch": replace(honest, key_epoch=2).signed(sign),
        "counter repeated": replace(honest, counter=honest.counter - 1).signed(sign),
        "counter skipped": replace(honest, counter=honest.counter + 1).signed(sign),
        "another key": honest.signed(Governor("somebody else").sign),
        "kind changed after signing": replace(honest, kind=Freeze.KIND, counter=1),
        "body changed after signing": replace(honest, kind=LifeCycle.KIND, body=b"\x03"),
        "signed as a message to a hub": replace(
            honest,
            signature=replace(honest, target_kind=TargetKind.HUB, contract=b"\x01" * 20).signed(sign).signature,
        ),
        "freeze of another life cycle": replace(honest, kind=Freeze.KIND, counter=2).signed(sign),
        "unpause without its number": replace(honest, kind=Unpause.KIND, counter=honest.counter + 5).signed(sign),
    }


def test_o08_forged_governor_messages_change_nothing_at_a_relay_chain(world: World) -> None:
    """Carried by anybody, so nothing but the governor's signature protects."""
    chain = world.relays[11]
    before = chain.content()
    for name, message in forged_governor_messages(chain).items():
        (result,) = chain.execute(chain.sign(CarriedGovernorMessage(message), sender="mallory"))
        assert result.code != 0, name
    assert chain.content() == before
    chain.govern(NoOp())


def test_o08_a_hub_message_of_equal_numbers_is_none_for_a_relay_chain(world: World) -> None:
    """Registration 1 and relay chain 1 could have equal numbers: the tags differ."""
    chain = world.relays[11]
    hub_message = world.hubs[1].message(Close())
    before = chain.content()
    (result,) = chain.execute(chain.sign(CarriedGovernorMessage(hub_message), sender="mallory"))
    assert result.code != 0
    assert chain.content() == before


def test_o08_a_message_that_cannot_be_executed_uses_up_its_number_at_a_relay_chain(world: World) -> None:
    """It never blocks the next."""
    chain = world.relays[11]
    counter = chain.view.relay.governor_counter
    for body in (CloseChain(99, 5), LifeCycle(RelayLifeCycle.TERMINATED), chain.validator_set(epoch=9)):
        chain.must(CarriedGovernorMessage(chain.message(body)))
    malformed = replace(chain.message(NoOp()), body=b"junk").signed(chain.governor.sign)
    chain.must(CarriedGovernorMessage(malformed))
    unknown = replace(chain.message(NoOp()), kind=99).signed(chain.governor.sign)
    chain.must(CarriedGovernorMessage(unknown))
    assert chain.view.relay.governor_counter == counter + 5
    assert chain.view.relay.life_cycle is RelayLifeCycle.ACTIVE
    chain.govern(NoOp())


@pytest.mark.parametrize("body", [Freeze(), Pause()], ids=["freeze", "pause"])
def test_o08_freeze_and_pause_are_idempotent_and_out_of_order(world: World, body: RelayBody) -> None:
    """Twice is the same state as once, and no other message has to come first."""
    chain = world.relays[11]
    counter = chain.view.relay.governor_counter
    message = chain.message(body)
    chain.must(CarriedGovernorMessage(message))
    after = chain.content()
    chain.submit(chain.sign(CarriedGovernorMessage(message), sender="mallory"))
    assert chain.content() == after
    assert chain.view.relay.governor_counter == counter


def test_o08_after_a_rotation_the_old_key_is_nobody_at_a_relay_chain(world: World) -> None:
    """Also for messages signed before."""
    chain = world.relays[11]
    signed_before = chain.message(NoOp())
    old, new = chain.governor, Governor("next governor")
    chain.govern(Rotate(new.group_key))
    again = replace(signed_before, counter=signed_before.counter + 1, key_epoch=2).signed(old.sign)
    before = chain.content()
    for message in (signed_before, again):
        (result,) = chain.execute(chain.sign(CarriedGovernorMessage(message), sender="mallory"))
        assert result.code != 0
    assert chain.content() == before
    chain.governor = new
    chain.govern(NoOp())


# ---------------------------------------------------------------------------------------------------------------- O9


def test_o09_genesis_is_a_function_of_the_decision(world: World) -> None:
    """The same decision gives the same bytes everywhere; any other decision gives others."""
    genesis = world.relays[11].genesis
    document = genesis.document(START_SECONDS * NANOSECONDS)
    assert RelayGenesis.parse(genesis.app_state_bytes()).document(START_SECONDS * NANOSECONDS) == document
    others = [
        replace(genesis, domain=DOMAIN + 1),
        replace(genesis, relay=12),
        replace(genesis, dev=True),
        replace(genesis, governor_key=Governor("other").group_key),
        replace(genesis, parameters=replace(genesis.parameters, max_body=1)),
        replace(genesis, validator_set=replace(genesis.validator_set, threshold=4)),
        replace(genesis, chains=genesis.chains[:1]),
    ]
    documents = {item.document(START_SECONDS * NANOSECONDS) for item in others}
    assert len(documents | {document, genesis.document(1)}) == len(others) + 2
    assert len({sha256(item) for item in documents}) == len(others)


def test_o09_unequal_power_and_weak_sets_are_no_genesis(world: World) -> None:
    """A document that says anything else than the decision is refused by every node at its start."""
    genesis = world.relays[11].genesis
    with pytest.raises(ProtocolError):
        replace(genesis, validator_set=replace(genesis.validator_set, threshold=2)).document(0)
    with pytest.raises(ProtocolError):
        replace(genesis, chains=tuple(reversed(genesis.chains))).document(0)
    for planted in (b" ", b"\n"):
        with pytest.raises(ProtocolError):
            RelayGenesis.parse(genesis.app_state_bytes() + planted)


# ---------------------------------------------------------------------------------------------------------------- O11


def test_o11_of_a_closed_registration_only_what_stood_at_its_closing_counts(world: World) -> None:
    """Heads proven at a block above the closing height have no effect, also entries that its hub dates back."""
    chain = world.relays[11]
    before_closing = world.send_token(1, 2, 5)
    message = world.range_message(1, 11, bound=True)
    closing_block = world.hubs[1].chain.number
    world.send_token(1, 2, 6)
    later = world.range_message(1, 11, bound=True)
    chain.govern(CloseChain(1, closing_block))
    content = chain.content()
    code, _, news = chain.submit(chain.sign(later))
    assert (code, news) == (Code.REFUSED, 0)
    assert chain.content() == content
    assert chain.submit(chain.sign(message))[0] == Code.OK
    assert chain.is_recorded(before_closing.lane, 1)
    assert not chain.is_recorded(before_closing.lane, 2)


def test_o11_a_transaction_toward_a_closed_hub_is_answered_by_its_storage(world: World) -> None:
    """00 at a block that proves the closed slot aborts: the source is refunded, the packet can never execute."""
    chain, source = world.relays[11], world.hubs[1]
    packet = world.send_token(1, 2, 5)
    world.record(1, 11, bound=True)
    world.hubs[2].govern(Close())
    name = (SlotBase.STATUS, status_key(DOMAIN, 1, 11, 0, 1))
    assert chain.must(world.prove_slots(2, 11, [name])) == 0
    assert chain.must(world.prove_slots(2, 11, [name, (SlotBase.CLOSED, bytes(32))])) > 0
    world.deliver(11, 1)
    assert source.own_status(11, 1) == Verdict.ABORT
    assert world.settle(1, packet).succeeded
    assert world.in_circulation() == SUPPLY
    assert not world.carry_to_hub(11, 2).succeeded
    assert closed_slot() == (8).to_bytes(32, "big")


def test_o11_absence_before_the_expiry_decides_nothing(world: World) -> None:
    """Status bits 00 of an open hub before execExpiry: the packet may still be executed, so nothing is refunded."""
    chain = world.relays[11]
    packet = world.send_token(1, 2, 5, lifetime_seconds=900)
    world.record(1, 11, bound=True)
    name = (SlotBase.STATUS, status_key(DOMAIN, 1, 11, 0, 1))
    assert chain.must(world.prove_slots(2, 11, [name])) == 0
    assert chain.head(1).number == 0
    world.advance(901)
    world.notarise(2, 1, b"\x01" * 32, keccak256(b"a block whose time is after the expiry"))
    assert chain.must(world.prove_slots(2, 11, [name])) > 0
    world.deliver(11, 1)
    assert world.settle(1, packet).succeeded
    world.deliver(11, 2)
    assert world.hubs[2].balance("bob") == 0
