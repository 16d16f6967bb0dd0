"""What validators sign, and what they never sign (security row O5)."""

import pytest

from piebridge.abci.messages import CODE_OK, QueryRequest
from piebridge.crypto.errors import VerificationError
from piebridge.crypto.signature import recover_address
from piebridge.protocol_stack.endorsement import EndorsementAnswer
from piebridge.protocol_stack.governor_relay_bodies import Freeze
from piebridge.protocol_stack.relay_queries import EndorseQuery
from piebridge.protocol_stack.signing import endorsement_digest
from piebridge.relay.endorsement import EndorsementSigner, EquivocationRefusedError, ValidatorQueries
from testkit.relay_world import MemorySignedValues, RelayWorld, two_chains, validator_set
from testkit.source_chain import private_key


@pytest.fixture
def world() -> RelayWorld:
    world = two_chains()
    world.hubs[10].send_free(20)
    world.carry_from(world.hubs[10])
    return world


def ask(world: RelayWorld, name: str, number: int, destination: int = 20) -> EndorsementAnswer | str:
    request = QueryRequest(EndorseQuery.PATH, EndorseQuery(destination, number).encode())
    answer = world.validators[name](request)
    return EndorsementAnswer.decode(answer.value) if answer.code == CODE_OK else answer.log


def test_every_validator_signs_the_committed_value_under_its_own_set_epoch(world: RelayWorld) -> None:
    head = world.view.outbox_head(20)
    assert head is not None
    for index, name in enumerate(("v0", "v1", "v2", "v3")):
        answer = ask(world, name, 1)
        assert isinstance(answer, EndorsementAnswer)
        assert (answer.epoch, answer.index, answer.value) == (1, index, head.value)
        digest = endorsement_digest(1, 1, 20, 1, 1, head.value)
        assert recover_address(digest, answer.signature) == answer.address
        assert answer.address == validator_set().validators[index].endorsement_address


def test_nothing_is_signed_that_is_not_committed(world: RelayWorld) -> None:
    assert isinstance(ask(world, "v0", 2), str)
    hub = world.hubs[10]
    hub.send_free(20)
    hub.chain.close_block()
    world.catch_up(hub)
    world.follow(hub)
    world.finalize(world.sign(hub.range_message()))
    assert isinstance(ask(world, "v0", 2), str), "executed, not committed"
    world.application.commit()
    assert isinstance(ask(world, "v0", 2), EndorsementAnswer)


def test_unknown_destination_and_bad_request_are_refused(world: RelayWorld) -> None:
    assert isinstance(ask(world, "v0", 1, destination=99), str)
    assert world.validators["v0"](QueryRequest(EndorseQuery.PATH, b"\x00")).code == 1


def test_frozen_relay_chain_endorses_nothing(world: RelayWorld) -> None:
    world.govern(Freeze())
    assert isinstance(ask(world, "v0", 1), str)


def test_key_outside_of_the_set_does_not_sign(world: RelayWorld) -> None:
    world.hire(["outsider"])
    assert isinstance(ask(world, "outsider", 1), str)


def test_after_a_set_change_the_new_set_signs_earlier_entries_again_and_the_old_one_not(world: RelayWorld) -> None:
    world.hire(["v4"])
    old = world.envelope(world.hubs[20])
    world.govern(validator_set(2, ("v0", "v1", "v2", "v4")))
    answer = ask(world, "v4", 1)
    assert isinstance(answer, EndorsementAnswer)
    assert (answer.epoch, answer.index) == (2, 3)
    again = ask(world, "v0", 1)
    assert isinstance(again, EndorsementAnswer)
    assert again.epoch == 2, "the same value under a later epoch is no contradiction"
    assert isinstance(ask(world, "v3", 1), str)
    hub = world.hubs[20]
    hub.accepted_sets = {world.current_set.set_hash(1, 1)}
    with pytest.raises(VerificationError):
        hub.receive(old)
    world.carry_to(hub)
    assert len(hub.executed) == 1


def test_second_value_for_one_entry_is_never_signed(world: RelayWorld) -> None:
    memory = MemorySignedValues()
    signer = EndorsementSigner(private_key("v0 endorsement"), memory)
    first = signer.sign(1, 1, 20, 1, 5, b"\x01" * 32)
    assert signer.sign(1, 1, 20, 1, 5, b"\x01" * 32) == first
    signer.sign(1, 1, 20, 2, 5, b"\x01" * 32)
    restarted = EndorsementSigner(private_key("v0 endorsement"), memory)
    for epoch in (1, 2, 3):
        with pytest.raises(EquivocationRefusedError):
            restarted.sign(1, 1, 20, epoch, 5, b"\x02" * 32)
    for place in ((2, 1, 20, 5), (1, 2, 20, 5), (1, 1, 21, 5), (1, 1, 20, 6)):
        domain, relay, destination, number = place
        restarted.sign(domain, relay, destination, 1, number, b"\x02" * 32)


def test_value_is_written_down_before_it_is_signed_away() -> None:
    class FailingMemory(MemorySignedValues):
        def put(self, key: bytes, value: bytes) -> None:
            raise OSError("disk full")

    signer = EndorsementSigner(private_key("v0 endorsement"), FailingMemory())
    with pytest.raises(OSError, match="disk full"):
        signer.sign(1, 1, 20, 1, 5, b"\x01" * 32)


def test_node_whose_state_contradicts_what_its_key_signed_serves_nothing(
    world: RelayWorld, caplog: pytest.LogCaptureFixture
) -> None:
    memory = MemorySignedValues()
    signer = EndorsementSigner(private_key("v0 endorsement"), memory)
    signer.sign(1, 1, 20, 1, 1, b"\x01" * 32)
    queries = ValidatorQueries(world.application, signer)
    answer = queries(QueryRequest(EndorseQuery.PATH, EndorseQuery(20, 1).encode()))
    assert answer.code == 1
    assert answer.value == b""
    assert "has signed" in caplog.text


def test_other_queries_reach_the_application(world: RelayWorld) -> None:
    assert world.validators["v0"](QueryRequest("/status")) == world.application.query(QueryRequest("/status"))
