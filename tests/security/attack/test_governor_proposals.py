"""A proposer fills blocks with governor messages: they cost no quota, so what is wrong with one must keep it out."""

from dataclasses import replace

import pytest

from piebridge.abci.messages import CheckTxKind, PrepareProposalRequest, ProcessProposalRequest
from piebridge.protocol_stack.governor_relay_bodies import NoOp, Pause
from piebridge.protocol_stack.relay_messages import CarriedGovernorMessage
from piebridge.relay.app.admission import Code
from testkit.relay_world import STRANGER, RelayWorld, two_chains
from testkit.source_chain import private_key


def proposal(world: RelayWorld, *txs: bytes) -> ProcessProposalRequest:
    return ProcessProposalRequest(
        txs=txs, height=world.height + 1, time_ns=world.time_ns, hash=bytes(32), proposer_address=bytes(20)
    )


def prepared(world: RelayWorld, *txs: bytes) -> tuple[bytes, ...]:
    request = PrepareProposalRequest(
        max_tx_bytes=1 << 20, txs=txs, height=world.height + 1, time_ns=world.time_ns, proposer_address=bytes(20)
    )
    return world.application.prepare_proposal(request)


def test_a_governor_message_that_nobody_signed_makes_a_proposal_invalid() -> None:
    """Sixteen thousand of them fit a block, each a threshold verification for every validator, paid by no one."""
    world = two_chains()
    message = world.governor_message(NoOp())
    forged = CarriedGovernorMessage(replace(message, signature=message.signature[:-1] + b"\x01"))
    tx = world.sign(forged, key=STRANGER)
    assert world.application.check_tx(tx, CheckTxKind.NEW).code == Code.INVALID
    assert not world.application.process_proposal(proposal(world, tx))
    assert prepared(world, tx) == ()
    good = world.sign(CarriedGovernorMessage(message), key=STRANGER)
    assert world.application.process_proposal(proposal(world, good)), "the control"
    assert prepared(world, good) == (good,)


@pytest.mark.parametrize("body", [NoOp(), Pause()], ids=["ordered", "unordered"])
def test_a_message_that_waits_is_no_ticket_for_copies(body: NoOp | Pause) -> None:
    """Before its block anybody can put it into containers of many keys; they would fail at the strangers' cost."""
    world = two_chains()
    message = CarriedGovernorMessage(world.governor_message(body))
    copies = [world.sign(message, key=private_key(f"copy {i}")) for i in range(12)]
    assert not world.application.process_proposal(proposal(world, *copies))
    assert prepared(world, *copies) == (copies[0],)
    results = world.run(*prepared(world, *copies)).tx_results
    assert [result.code for result in results] == [Code.OK]
    assert world.application.check_tx(copies[1], CheckTxKind.RECHECK).code == Code.REFUSED
