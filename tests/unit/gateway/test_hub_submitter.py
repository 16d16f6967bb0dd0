"""The owner of a nonce, on a chain in memory that drops, delays and refuses."""

import asyncio

import pytest
from eth_account import Account

from piebridge.chains.endpoint import Fees, Receipt
from piebridge.chains.errors import CallRevertedError, NonceError
from piebridge.chains.memory import MemoryCall, MemoryChain, MemoryEndpoint
from piebridge.crypto.errors import TransientChainError
from piebridge.crypto.hash import keccak256
from piebridge.gateway.hub_submitter import HubSubmitter, OutOfGasError, SubmitterTimes
from piebridge.gateway.telemetry import Counters
from testkit.mini_hub import signed_call

HUB = bytes(range(20))
KEY = keccak256(b"submitter")
TIMES = SubmitterTimes(poll_seconds=0.01, rebroadcast_seconds=0.05, replace_seconds=0.2, give_up_seconds=1.0)


def contract(call: MemoryCall) -> bytes:
    if call.data == b"revert":
        raise CallRevertedError("execution reverted: as asked")
    call.storage[len(call.storage) + 1] = int.from_bytes(call.data, "big")
    return b""


class Mining(MemoryEndpoint):
    """Mines as soon as something is in the pool."""

    async def receipt(self, transaction_hash: bytes) -> Receipt | None:
        self.chain.mine()
        return await super().receipt(transaction_hash)


def setting(endpoint_class: type[MemoryEndpoint] = Mining) -> tuple[MemoryEndpoint, HubSubmitter, Counters]:
    endpoint, counters = endpoint_class(MemoryChain(contract, hub_address=HUB)), Counters()
    return endpoint, HubSubmitter(endpoint, Account.from_key(KEY), 1, counters, times=TIMES), counters


async def test_many_transactions_at_once_take_nonces_in_order() -> None:
    endpoint, submitter, _ = setting()
    receipts = await asyncio.gather(*(submitter.submit(b"%d" % number, 100_000) for number in range(20)))
    assert all(receipt.succeeded for receipt in receipts)
    assert len({receipt.transaction_hash for receipt in receipts}) == 20
    assert endpoint.chain.nonce(submitter.address, pending=True) == 20


async def test_a_revert_is_told_with_its_reason() -> None:
    _, submitter, counters = setting()
    with pytest.raises(CallRevertedError, match="as asked"):
        await submitter.submit(b"revert", 100_000)
    assert counters.value("hub_transactions", chain="memory", succeeded=False) == 1


class RunsDry(Mining):
    async def receipt(self, transaction_hash: bytes) -> Receipt | None:
        receipt = await super().receipt(transaction_hash)
        if receipt is None:
            return None
        return Receipt(
            receipt.transaction_hash, receipt.block_number, receipt.block_hash, succeeded=False, gas_used=100_000
        )


async def test_a_transaction_that_ran_out_of_gas_is_told_from_a_revert() -> None:
    _, submitter, _ = setting(RunsDry)
    with pytest.raises(OutOfGasError):
        await submitter.submit(b"x", 100_000)


class Forgets(MemoryEndpoint):
    """Drops the first transactions that it takes; mines the others."""

    drops = 1

    async def send(self, raw_transaction: bytes) -> bytes:
        transaction_hash = await super().send(raw_transaction)
        if self.drops:
            self.drops -= 1
            self.chain._pool.clear()
        else:
            self.chain.mine()
        return transaction_hash


async def test_a_transaction_that_a_node_has_lost_is_sent_again() -> None:
    _, submitter, counters = setting(Forgets)
    receipt = await submitter.submit(b"x", 100_000)
    assert receipt.succeeded
    assert counters.total("hub_replacements") == 0, "the same bytes were enough"


class WantsMore(MemoryEndpoint):
    """Mines nothing that pays less than it wants."""

    def __init__(self, chain: MemoryChain) -> None:
        super().__init__(chain)
        self.seen: list[bytes] = []

    async def send(self, raw_transaction: bytes) -> bytes:
        if raw_transaction not in self.seen:
            self.seen.append(raw_transaction)
        self.chain._pool.clear()
        transaction_hash = await super().send(raw_transaction)
        if len(self.seen) >= 3:
            self.chain.mine()
        return transaction_hash


async def test_a_transaction_that_waits_is_replaced_with_higher_fees() -> None:
    endpoint, submitter, counters = setting(WantsMore)
    receipt = await submitter.submit(b"x", 100_000)
    assert receipt.succeeded
    assert counters.total("hub_replacements") == 2
    assert endpoint.chain.nonce(submitter.address, pending=False) == 1, "all versions have one nonce"


class Unreachable(Mining):
    outage = 3

    async def send(self, raw_transaction: bytes) -> bytes:
        if self.outage:
            self.outage -= 1
            raise TransientChainError("connection reset")
        return await super().send(raw_transaction)


async def test_an_outage_while_sending_is_waited_out() -> None:
    _, submitter, _ = setting(Unreachable)
    assert (await submitter.submit(b"x", 100_000)).succeeded


async def test_a_transaction_that_nobody_mines_is_given_up_and_the_next_one_asks_for_its_nonce() -> None:
    endpoint, submitter, _ = setting(MemoryEndpoint)
    with pytest.raises(TransientChainError, match="in no block"):
        await submitter.submit(b"x", 100_000)
    endpoint.chain._pool.clear()
    waiting = asyncio.create_task(submitter.submit(b"y", 100_000))
    await asyncio.sleep(0.05)
    endpoint.chain.mine()
    assert (await waiting).succeeded


async def test_another_user_of_the_key_is_noticed() -> None:
    endpoint, submitter, _ = setting(MemoryEndpoint)
    waiting = asyncio.create_task(submitter.submit(b"x", 100_000))
    await asyncio.sleep(0.02)
    endpoint.chain._pool.clear()
    endpoint.chain.submit(signed_call(KEY, 1, 0, HUB, b"stranger", Fees(2, 1)))
    endpoint.chain.mine()
    with pytest.raises(TransientChainError, match="another transaction"):
        await waiting


async def test_a_nonce_that_somebody_else_used_before_is_read_anew() -> None:
    endpoint, submitter, _ = setting()
    await submitter.submit(b"x", 100_000)
    endpoint.chain.submit(signed_call(KEY, 1, 1, HUB, b"stranger", Fees(2, 1)))
    endpoint.chain.mine()
    assert (await submitter.submit(b"y", 100_000)).succeeded
    assert endpoint.chain.nonce(submitter.address, pending=False) == 3


class QueuesBehindGaps(MemoryEndpoint):
    """Takes transactions with later nonces, which wait, as geth's and anvil's do."""

    async def send(self, raw_transaction: bytes) -> bytes:
        try:
            return await super().send(raw_transaction)
        except NonceError:
            return keccak256(raw_transaction)


async def test_nonces_that_a_reorganisation_has_freed_are_used_again_soon() -> None:
    endpoint, submitter, _ = setting(QueuesBehindGaps)
    first = asyncio.create_task(submitter.submit(b"x", 100_000))
    await asyncio.sleep(0.02)
    endpoint.chain.mine()
    assert (await first).succeeded
    endpoint.chain.reorganise(1)
    second = asyncio.create_task(submitter.submit(b"y", 100_000))
    with pytest.raises(TransientChainError, match="reorganisation"):
        async with asyncio.timeout(TIMES.give_up_seconds / 2):
            await second
    third = asyncio.create_task(submitter.submit(b"z", 100_000))
    await asyncio.sleep(0.05)
    endpoint.chain.mine()
    assert (await third).succeeded
