"""A hostile gateway and a stranger in front of a relay chain: neither may spend what is another's."""

from dataclasses import replace

import pytest

from piebridge.abci.messages import CheckTxKind
from piebridge.crypto.signature import sign_recoverable
from piebridge.protocol_stack.governor_relay_bodies import Freeze, Pause, RelayBody, Unpause
from piebridge.protocol_stack.relay_messages import CarriedGovernorMessage, RelayTransaction
from piebridge.relay.app.admission import Code
from testkit.relay_world import STRANGER, RelayWorld, two_chains


def copied(tx: bytes, key: bytes) -> bytes:
    """The same content under another key."""
    original = RelayTransaction.decode(tx)
    return replace(original, signature=sign_recoverable(original.digest, key)).encode()


def test_a_copy_that_is_executed_too_early_does_not_use_up_the_original() -> None:
    """The gateway's range follows its header. A copy of the range, sent ahead, fails; the original must not."""
    world = two_chains()
    hub = world.hubs[10]
    packet = hub.send_free(20)
    hub.chain.close_block()
    world.catch_up(hub)
    client = world.view.client(10)
    assert client is not None
    update, carried = world.sign(hub.update_message(client.heights[-1])), world.sign(hub.range_message())
    assert [result.code for result in world.run(copied(carried, STRANGER)).tx_results] == [Code.REFUSED]
    assert [result.code for result in world.run(update, carried).tx_results] == [Code.OK, Code.OK]
    assert world.view.packet(packet.packet_id) is not None
    assert [result.code for result in world.run(carried).tx_results] == [Code.REPLAY], "the control"


@pytest.mark.parametrize("body", [Pause(), Freeze()], ids=["pause", "freeze"])
def test_a_message_that_changes_nothing_does_not_enter_the_mempool(body: RelayBody) -> None:
    """It is public, bound to no number, and costs no quota: it would be a free ticket to fill every block."""
    world: RelayWorld = two_chains()
    message = CarriedGovernorMessage(world.governor_message(body))
    first = world.sign(message, key=STRANGER)
    assert world.application.check_tx(first, CheckTxKind.NEW).code == Code.OK
    world.run(first)
    for _ in range(3):
        assert world.application.check_tx(world.sign(message, key=STRANGER), CheckTxKind.NEW).code == Code.REFUSED
    if isinstance(body, Pause):
        world.govern(Unpause())
        again = CarriedGovernorMessage(world.governor_message(Pause()))
        assert world.application.check_tx(world.sign(again, key=STRANGER), CheckTxKind.NEW).code == Code.OK
