"""Governor messages are the only administration of a relay chain (security row O8)."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from piebridge.abci.messages import CODE_OK, CheckTxKind
from piebridge.crypto.signature import public_key_of
from piebridge.protocol_stack.governor_hub_bodies import RelayLifeCycle
from piebridge.protocol_stack.governor_messages import GovernorMessage, TargetKind
from piebridge.protocol_stack.governor_relay_bodies import (
    CloseChain,
    Freeze,
    GatewayQuota,
    Gateways,
    LifeCycle,
    NewCheckpoint,
    NoOp,
    Parameters,
    Pause,
    RegisterChain,
    RelayBody,
    Rotate,
    SetNotaries,
    Unpause,
    ValidatorSet,
)
from piebridge.protocol_stack.notary_statement import NotarySet
from piebridge.protocol_stack.relay_messages import CarriedGovernorMessage
from piebridge.relay.app.admission import Code
from testkit.hub_model import HubModel
from testkit.relay_world import STRANGER, RelayWorld, two_chains, validator_set
from testkit.source_chain import private_key


@pytest.fixture
def world() -> RelayWorld:
    return two_chains()


def send(world: RelayWorld, message: GovernorMessage, key: bytes = STRANGER) -> tuple[int, str | None]:
    """Carry a message by anybody; return the code and what the event says of it."""
    [result] = world.submit(CarriedGovernorMessage(message), key=key)
    done = [dict(event.attributes)["done"] for event in result.events if event.type == "governor_message"]
    return result.code, done[0] if done else None


def attempt(world: RelayWorld, body: RelayBody) -> str | None:
    code, done = send(world, world.governor_message(body))
    assert code == CODE_OK
    return done


WRONG: dict[str, Callable[[GovernorMessage], GovernorMessage]] = {
    "domain": lambda m: replace(m, domain=2),
    "relay chain": lambda m: replace(m, target=2),
    "key epoch": lambda m: replace(m, key_epoch=2),
    "counter repeated": lambda m: replace(m, counter=0),
    "counter skipped": lambda m: replace(m, counter=2),
    "a hub's message": lambda m: replace(m, target_kind=TargetKind.HUB, contract=b"\x01" * 20),
}


@pytest.mark.parametrize("what", WRONG)
def test_message_with_a_wrong_address_or_number_is_refused_and_changes_nothing(world: RelayWorld, what: str) -> None:
    before = world.view.relay
    code, _ = send(world, world.governor_message(NoOp(), change=WRONG[what]))
    assert code == Code.REFUSED
    assert world.view.relay == before


@pytest.mark.parametrize("what", ["body", "counter", "kind", "key"])
def test_signature_of_something_else_is_refused(world: RelayWorld, what: str) -> None:
    message = world.governor_message(LifeCycle(RelayLifeCycle.DRAINING))
    forged = {
        "body": replace(message, body=bytes([5])),
        "counter": replace(
            world.governor_message(LifeCycle(RelayLifeCycle.DRAINING), counter=7),
            counter=1,
        ),
        "kind": replace(message, kind=1),
        "key": world.governor_message(NoOp(), secret=12_345),
    }[what]
    code, _ = send(world, forged)
    assert code == Code.INVALID
    assert world.view.relay.governor_counter == 0
    assert world.view.relay.life_cycle is RelayLifeCycle.ACTIVE


def test_mempool_takes_a_governor_message_only_if_it_would_be_taken(world: RelayWorld) -> None:
    good = world.sign(CarriedGovernorMessage(world.governor_message(NoOp())), STRANGER)
    bad = world.sign(CarriedGovernorMessage(world.governor_message(NoOp(), secret=12_345)), STRANGER)
    early = world.sign(CarriedGovernorMessage(world.governor_message(NoOp(), counter=2)), STRANGER)
    codes = [world.application.check_tx(tx, CheckTxKind.NEW).code for tx in (good, bad, early)]
    assert codes == [Code.OK, Code.INVALID, Code.REFUSED]
    world.run(good)
    assert world.application.check_tx(good, CheckTxKind.RECHECK).code == Code.REPLAY


def test_message_is_carried_by_anybody_and_has_effect_once(world: RelayWorld) -> None:
    message = world.governor_message(NoOp())
    results = world.submit(CarriedGovernorMessage(message), CarriedGovernorMessage(message), key=STRANGER)
    assert [result.code for result in results] == [Code.OK, Code.REFUSED]
    assert world.view.relay.governor_counter == 1


def test_failing_message_uses_up_its_number_and_does_not_block_the_next(world: RelayWorld) -> None:
    assert attempt(world, CloseChain(99, 5)) == "false"
    assert world.view.relay.governor_counter == 1
    assert attempt(world, CloseChain(20, 5)) == "true"
    assert world.view.relay.governor_counter == 2


def test_undecodable_body_uses_up_its_number(world: RelayWorld) -> None:
    message = world.governor_message(NoOp(), change=lambda m: replace(m, body=b"\x01"))
    assert send(world, message) == (CODE_OK, "false")
    unknown = world.governor_message(NoOp(), change=lambda m: replace(m, kind=99))
    assert send(world, unknown) == (CODE_OK, "false")
    assert world.view.relay.governor_counter == 2


def test_freeze_and_pause_stand_outside_the_order_and_do_the_same_twice(world: RelayWorld) -> None:
    pause = world.governor_message(Pause())
    freeze = world.governor_message(Freeze())
    assert world.view.relay.governor_counter == 0
    for _ in range(2):
        assert send(world, freeze) == (CODE_OK, "true")
        assert send(world, pause) == (CODE_OK, "true")
    assert (world.view.relay.frozen, world.view.relay.paused) == (True, True)
    assert world.view.relay.governor_counter == 0


def test_pause_of_an_older_life_cycle_number_is_refused_after_unpause(world: RelayWorld) -> None:
    pause = world.governor_message(Pause())
    send(world, pause)
    world.govern(Unpause())
    assert not world.view.relay.paused
    assert send(world, pause)[0] == Code.REFUSED
    assert not world.view.relay.paused
    send(world, world.governor_message(Pause()))
    assert world.view.relay.paused


def test_registered_chain_takes_part_at_once(world: RelayWorld) -> None:
    hub = HubModel(30)
    assert attempt(world, hub.registration_message()) == "true"
    assert world.view.chains == (10, 20, 30)
    world.hubs[30] = hub
    packet = world.hubs[10].send_free(30)
    world.carry_from(world.hubs[10])
    hub.accepted_sets.add(validator_set().endorsers.set_hash(1, 1))
    world.carry_to(hub)
    assert hub.executed == [packet.packet_id]


def test_registration_is_never_given_out_twice(world: RelayWorld) -> None:
    assert attempt(world, world.hubs[20].registration_message()) == "false"
    world.govern(CloseChain(20, 1))
    assert attempt(world, world.hubs[20].registration_message()) == "false"


def test_closed_chain_is_not_closed_again_at_another_height(world: RelayWorld) -> None:
    assert attempt(world, CloseChain(20, 5)) == "true"
    assert attempt(world, CloseChain(20, 500)) == "false"
    chain = world.view.chain(20)
    assert chain is not None
    assert chain.closed_at == 5


def test_validator_set_changes_consensus_and_endorsement_together(world: RelayWorld) -> None:
    new = validator_set(2, ("v0", "v1", "v2", "v4", "v5"), threshold=4)
    response = world.run(world.sign(CarriedGovernorMessage(world.governor_message(new))))
    changes = {update.public_key: update.power for update in response.validator_updates}
    assert changes == {
        public_key_of(private_key("v3 consensus")): 0,
        public_key_of(private_key("v4 consensus")): 1,
        public_key_of(private_key("v5 consensus")): 1,
    }
    assert world.view.validators == new
    assert world.view.get(b"eset") == (2).to_bytes(4, "big") + new.endorsers.set_hash(1, 1)


def test_two_changes_in_one_block_give_each_key_one_update(world: RelayWorld) -> None:
    first = world.governor_message(validator_set(2, ("v0", "v1", "v2", "v4")))
    second = world.governor_message(validator_set(3), counter=2)
    txs = [world.sign(CarriedGovernorMessage(message)) for message in (first, second)]
    response = world.run(*txs)
    assert world.view.validators.epoch == 3
    assert response.validator_updates == ()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (validator_set(3), "epoch skipped"),
        (validator_set(1), "epoch repeated"),
        (validator_set(2, threshold=2), "k not above 2n/3"),
        (validator_set(2, ("v0",), threshold=1), "a set of one"),
    ],
)
def test_unsafe_or_misnumbered_validator_set_is_refused(world: RelayWorld, body: ValidatorSet, why: str) -> None:
    assert attempt(world, body) == "false", why
    assert world.view.validators == validator_set()


def test_set_of_one_is_accepted_by_a_dev_chain() -> None:
    world = two_chains(dev=True)
    assert attempt(world, validator_set(2, ("v0",), threshold=1)) == "true"


def test_gateways_are_authorised_changed_and_removed(world: RelayWorld) -> None:
    address = b"\x07" * 20
    for quota, expected in ((5, 5), (9, 9), (0, None)):
        world.govern(Gateways((GatewayQuota(address, quota),)))
        assert world.view.gateway_quota(address) == expected


def test_parameters_are_replaced(world: RelayWorld) -> None:
    world.govern(Parameters(100, 200, 300))
    relay = world.view.relay
    assert (relay.body_bytes_max, relay.retention_seconds, relay.stranger_quota) == (100, 200, 300)


def test_notaries_of_a_chain_without_notaries_are_refused(world: RelayWorld) -> None:
    notaries = NotarySet(1, 3, tuple(bytes([i]) * 20 for i in (1, 2, 3)))
    assert attempt(world, SetNotaries(10, notaries)) == "false"


def test_checkpoint_for_an_unknown_chain_is_refused(world: RelayWorld) -> None:
    assert attempt(world, NewCheckpoint(99, world.hubs[10].checkpoint())) == "false"


@pytest.mark.parametrize(
    ("steps", "done"),
    [
        ((RelayLifeCycle.DRAINING,), "true"),
        ((RelayLifeCycle.DRAINING, RelayLifeCycle.ACTIVE), "true"),
        ((RelayLifeCycle.DRAINING, RelayLifeCycle.TERMINATED), "true"),
        ((RelayLifeCycle.TERMINATED,), "false"),
        ((RelayLifeCycle.ACTIVE,), "false"),
        ((RelayLifeCycle.DRAINING, RelayLifeCycle.TERMINATED, RelayLifeCycle.ACTIVE), "false"),
    ],
)
def test_life_cycle_moves_on_step_by_step(world: RelayWorld, steps: tuple[RelayLifeCycle, ...], done: str) -> None:
    for step in steps[:-1]:
        world.govern(LifeCycle(step))
    assert attempt(world, LifeCycle(steps[-1])) == done


def test_frozen_chain_can_only_be_terminated(world: RelayWorld) -> None:
    world.govern(Freeze())
    assert attempt(world, LifeCycle(RelayLifeCycle.TERMINATED)) == "true"
    assert world.view.relay.life_cycle is RelayLifeCycle.TERMINATED


def test_rotated_key_signs_from_then_on_and_the_old_one_never_again(world: RelayWorld) -> None:
    new_secret = 424_242
    world.govern(Rotate(public_key_of(new_secret.to_bytes(32, "big"))))
    assert world.view.relay.key_epoch == 2
    old = world.governor_message(NoOp())
    assert send(world, old)[0] == Code.INVALID
    before = world.governor_message(NoOp(), key_epoch=1)
    assert send(world, before)[0] == Code.REFUSED
    assert send(world, world.governor_message(NoOp(), secret=new_secret)) == (CODE_OK, "true")


def test_body_classes_and_actions_are_the_same_list() -> None:
    from typing import get_args

    from piebridge.protocol_stack import governor_relay_bodies
    from piebridge.relay.app.handlers import governor

    assert set(governor._ACTIONS) == set(get_args(governor_relay_bodies.RelayBody))
    assert RegisterChain in governor._ACTIONS
