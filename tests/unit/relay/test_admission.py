"""Who may bring transactions, how often, and what a bad one costs (security row O13)."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from piebridge.abci.messages import CheckTxKind, FinalizeBlockRequest
from piebridge.crypto.hash import keccak256
from piebridge.crypto.signature import address_of_private_key, sign_recoverable
from piebridge.protocol_stack.governor_relay_bodies import GatewayQuota, Gateways, NoOp
from piebridge.protocol_stack.relay_messages import CarriedGovernorMessage, RelayTransaction, UpdateClient
from piebridge.relay.app import quotas
from piebridge.relay.app.admission import Code
from testkit.relay_world import GATEWAY, STRANGER, RelayWorld, two_chains
from testkit.source_chain import private_key

ADDRESS = address_of_private_key(GATEWAY)


@pytest.fixture
def world() -> RelayWorld:
    world = two_chains()
    hub = world.hubs[10]
    hub.send_free(20)
    hub.chain.close_block()
    world.catch_up(hub)
    world.follow(hub)
    # Begin a fresh window of quotas.
    while (world.height + 1) % quotas.WINDOW_HEIGHTS:
        world.run()
    return world


def used(world: RelayWorld, key: bytes = GATEWAY) -> int:
    return quotas.used(world.view, address_of_private_key(key), world.height)


def resigned(tx: bytes, key: bytes = GATEWAY, **changes: object) -> bytes:
    transaction = replace(RelayTransaction.decode(tx), **changes)  # type: ignore[arg-type]
    return transaction.signed(lambda digest: sign_recoverable(digest, key)).encode()


def valid(world: RelayWorld, key: bytes = GATEWAY) -> bytes:
    return world.sign(world.hubs[10].range_message(), key)


def invalid(world: RelayWorld, key: bytes = GATEWAY) -> bytes:
    message = world.hubs[10].range_message()
    return world.sign(replace(message, range=replace(message.range, start=b"\x01" * 32)), key)


def run(world: RelayWorld, *txs: bytes) -> list[Code]:
    return [Code(result.code) for result in world.run(*txs).tx_results]


CONTAINERS: dict[str, tuple[Callable[[RelayWorld, bytes], bytes], Code]] = {
    "empty": (lambda world, tx: b"", Code.DECODE),
    "unknown version": (lambda world, tx: b"\x02" + tx[1:], Code.DECODE),
    "unknown kind": (lambda world, tx: tx[:1] + b"\x05" + tx[2:], Code.DECODE),
    "cut off": (lambda world, tx: tx[:-1], Code.DECODE),
    "another domain": (lambda world, tx: resigned(tx, domain=2), Code.WRONG_CHAIN),
    "another relay chain": (lambda world, tx: resigned(tx, relay=2), Code.WRONG_CHAIN),
    "over": (lambda world, tx: resigned(tx, valid_until=world.height), Code.EXPIRED),
    "too far ahead": (lambda world, tx: resigned(tx, valid_until=world.height + 1_002), Code.EXPIRED),
}


@pytest.mark.parametrize("what", CONTAINERS)
def test_bad_container_is_not_looked_at_and_charged_to_nobody(world: RelayWorld, what: str) -> None:
    change, code = CONTAINERS[what]
    tx = change(world, valid(world))
    assert world.application.check_tx(tx, CheckTxKind.NEW).code == code
    assert run(world, tx) == [code]
    assert used(world) == 0


@pytest.mark.parametrize("ahead", [0, 1_000])
def test_validity_is_taken_at_both_ends(world: RelayWorld, ahead: int) -> None:
    assert run(world, resigned(valid(world), valid_until=world.height + 1 + ahead)) == [Code.OK]


def test_trailing_byte_makes_another_body_that_is_refused(world: RelayWorld) -> None:
    tx = valid(world)
    longer = RelayTransaction.decode(tx)
    forged = resigned(tx, body=longer.body + b"\x00")
    assert world.application.check_tx(forged, CheckTxKind.NEW).code == Code.INVALID
    assert run(world, forged) == [Code.INVALID]
    assert used(world) == 10


def test_signature_of_somebody_else_makes_another_sender(world: RelayWorld) -> None:
    tx = valid(world)
    other = RelayTransaction.decode(tx)
    forged = replace(other, salt=other.salt + 1).encode()
    run(world, forged)
    assert used(world) == 0


def test_transaction_is_executed_once(world: RelayWorld) -> None:
    tx = valid(world)
    assert run(world, tx, tx) == [Code.OK, Code.REPLAY]
    assert run(world, tx) == [Code.REPLAY]
    assert world.application.check_tx(tx, CheckTxKind.NEW).code == Code.REPLAY
    assert used(world) == 1


def test_failed_transaction_cannot_be_brought_again_to_burn_the_quota(world: RelayWorld) -> None:
    tx = invalid(world)
    assert run(world, tx, tx) == [Code.INVALID, Code.REPLAY]
    assert used(world) == 10


def test_replay_protection_is_forgotten_when_it_is_not_needed_any_more(world: RelayWorld) -> None:
    from piebridge.relay.app import keys

    tx = resigned(valid(world), valid_until=world.height + 1 + 1_000)
    transaction = RelayTransaction.decode(tx)
    replay_id, until = keccak256(transaction.digest + transaction.sender()), transaction.valid_until
    run(world, tx)
    executed_at = world.height

    def jump(height: int) -> None:
        request = FinalizeBlockRequest((), b"", height, world.time_ns + height, b"", b"")
        world.application.finalize_block(request)
        world.application.commit()

    jump(executed_at + 1_000)
    assert world.view.get(keys.replay(until, replay_id)) is not None
    jump(executed_at + 1_001)
    assert world.view.get(keys.replay(until, replay_id)) is None
    assert world.view.get(keys.replay_block(executed_at)) is None


def test_invalid_batch_costs_ten_and_one_that_brings_nothing_new_costs_one(world: RelayWorld) -> None:
    assert run(world, valid(world), valid(world)) == [Code.OK, Code.OK]
    assert used(world) == 2
    assert run(world, invalid(world)) == [Code.INVALID]
    assert used(world) == 12


def test_gateway_with_invalid_batches_loses_its_quota_until_the_next_window(world: RelayWorld) -> None:
    codes = run(world, *(invalid(world) for _ in range(11)))
    assert codes == [Code.INVALID] * 10 + [Code.QUOTA]
    assert run(world, valid(world)) == [Code.QUOTA]
    assert world.application.check_tx(valid(world), CheckTxKind.NEW).code == Code.QUOTA
    refused = valid(world)
    assert run(world, refused) == [Code.QUOTA]
    while (world.height + 1) % quotas.WINDOW_HEIGHTS:
        world.run()
    assert run(world, refused) == [Code.OK], "what the quota refused was not executed, so it is no replay"


def test_strangers_share_one_low_rate_that_no_gateway_uses_up(world: RelayWorld) -> None:
    others = [private_key(f"stranger {i}") for i in range(21)]
    codes = run(world, *(valid(world, key) for key in others))
    assert codes == [Code.OK] * 20 + [Code.QUOTA]
    assert run(world, valid(world, STRANGER)) == [Code.QUOTA]
    assert run(world, valid(world)) == [Code.OK], "gateways are not touched"


def test_no_gateway_can_crowd_out_strangers(world: RelayWorld) -> None:
    run(world, *(invalid(world) for _ in range(12)))
    assert run(world, valid(world, STRANGER)) == [Code.OK]


def test_gateway_that_is_removed_becomes_a_stranger(world: RelayWorld) -> None:
    world.govern(Gateways((GatewayQuota(ADDRESS, 0),)))
    assert quotas.limit(world.view, ADDRESS) == 20


def test_governor_message_needs_no_quota(world: RelayWorld) -> None:
    run(world, *(invalid(world) for _ in range(12)))
    before = used(world)
    assert run(world, world.sign(CarriedGovernorMessage(world.governor_message(NoOp())))) == [Code.OK]
    assert used(world) == before


def test_mempool_counts_what_waits_and_starts_again_after_a_block(world: RelayWorld) -> None:
    txs = [valid(world, STRANGER) for _ in range(21)]
    codes = [world.application.check_tx(tx, CheckTxKind.NEW).code for tx in txs]
    assert codes == [Code.OK] * 20 + [Code.QUOTA]
    world.run()
    assert world.application.check_tx(txs[20], CheckTxKind.NEW).code == Code.OK


def test_mempool_and_block_decode_alike(world: RelayWorld) -> None:
    tx = world.sign(UpdateClient(10, (b"\x00",)))
    assert world.application.check_tx(tx, CheckTxKind.NEW).code == Code.OK, "the light client's bytes are its business"
    assert run(world, tx) == [Code.INVALID]


def test_chain_that_has_not_started_refuses_transactions() -> None:
    from piebridge.relay.app.application import RelayApplication
    from piebridge.relay.app.state import MemoryBackend

    application = RelayApplication(MemoryBackend())
    assert application.check_tx(b"", CheckTxKind.NEW).code == Code.REFUSED
