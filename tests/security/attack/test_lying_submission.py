"""Nodes that lie to a gateway about nonces, fees and receipts: they cost it time, never more than its own limits."""

import pytest
from eth_account import Account

from piebridge.chains.endpoint import Fees, Receipt, RelayTransactionResult
from piebridge.chains.errors import AlreadyKnownError
from piebridge.chains.memory import MemoryCall, MemoryChain, MemoryEndpoint
from piebridge.crypto.errors import TransientChainError
from piebridge.crypto.hash import keccak256, sha256
from piebridge.gateway import hub_submitter
from piebridge.gateway.hub_submitter import HubSubmitter, SubmitterTimes
from piebridge.gateway.relay_submitter import RelaySubmitter
from piebridge.gateway.telemetry import Counters

HUB = bytes(range(20))
KEY = keccak256(b"submitter")
TIMES = SubmitterTimes(poll_seconds=0.01, rebroadcast_seconds=0.05, replace_seconds=0.1, give_up_seconds=0.5)


def contract(call: MemoryCall) -> bytes:
    call.storage[len(call.storage) + 1] = int.from_bytes(call.data, "big")
    return b""


class Honest(MemoryEndpoint):
    """Mines as soon as something is in the pool; remembers what it was given."""

    def __init__(self, chain: MemoryChain) -> None:
        super().__init__(chain)
        self.offered: list[bytes] = []

    async def send(self, raw_transaction: bytes) -> bytes:
        self.offered.append(raw_transaction)
        return await super().send(raw_transaction)

    async def receipt(self, transaction_hash: bytes) -> Receipt | None:
        self.chain.mine()
        return await super().receipt(transaction_hash)


def submitter_of(endpoint: MemoryEndpoint) -> HubSubmitter:
    return HubSubmitter(endpoint, Account.from_key(KEY), 1, Counters(), times=TIMES)


class LiesAboutNonces(Honest):
    lies: list[int]

    async def nonce(self, address: bytes, *, pending: bool = False) -> int:
        return self.lies.pop(0) if self.lies else await super().nonce(address, pending=pending)


@pytest.mark.parametrize("lie", [1 << 64, (1 << 256) - 1, -1])
async def test_an_impossible_nonce_is_refused_and_the_next_one_is_asked_for(lie: int) -> None:
    endpoint = LiesAboutNonces(MemoryChain(contract, hub_address=HUB))
    endpoint.lies = [lie]
    submitter = submitter_of(endpoint)
    with pytest.raises(TransientChainError, match="which none can be"):
        await submitter.submit(b"x", 100_000)
    assert endpoint.offered == []
    assert (await submitter.submit(b"x", 100_000)).succeeded


@pytest.mark.parametrize("lie", [7, (1 << 64) - 2])
async def test_a_nonce_far_ahead_costs_time_and_nothing_else(lie: int) -> None:
    endpoint = LiesAboutNonces(MemoryChain(contract, hub_address=HUB))
    endpoint.lies = [lie]
    submitter = submitter_of(endpoint)
    assert (await submitter.submit(b"x", 100_000)).succeeded
    assert len(endpoint.offered) == 2
    assert endpoint.chain.nonce(submitter.address, pending=True) == 1


class Greedy(Honest):
    """Advises fees of which its own owner would live well; mines nothing, so that there are replacements."""

    async def fees(self) -> Fees:
        return Fees(10**30, 10**29)

    async def receipt(self, transaction_hash: bytes) -> Receipt | None:
        return None


async def test_no_node_makes_a_gateway_pay_more_than_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    signed: list[Fees] = []
    honest_sign = HubSubmitter._sign

    def sign(self: HubSubmitter, nonce: int, data: bytes, gas: int, fees: Fees) -> hub_submitter._Flight:
        signed.append(fees)
        return honest_sign(self, nonce, data, gas, fees)

    monkeypatch.setattr(HubSubmitter, "_sign", sign)
    submitter = submitter_of(Greedy(MemoryChain(contract, hub_address=HUB)))
    with pytest.raises(TransientChainError, match="in no block"):
        await submitter.submit(b"x", 100_000)
    assert signed
    assert max(fees.max_priority_fee_per_gas for fees in signed) == hub_submitter.PRIORITY_FEE_MAX_WEI
    assert max(fees.max_fee_per_gas for fees in signed) == hub_submitter.FEE_MAX_WEI


async def test_replacements_stop_at_the_limits_and_go_on_with_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_submitter, "PRIORITY_FEE_MAX_WEI", 3)
    monkeypatch.setattr(hub_submitter, "FEE_MAX_WEI", 4)
    endpoint = Greedy(MemoryChain(contract, hub_address=HUB))
    submitter = submitter_of(endpoint)
    with pytest.raises(TransientChainError, match="in no block"):
        await submitter.submit(b"x", 100_000)
    assert len(endpoint.offered) > 2
    assert len(set(endpoint.offered)) == 1


class LiesAboutReceipts(Honest):
    lie: str

    async def receipt(self, transaction_hash: bytes) -> Receipt | None:
        true = await super().receipt(transaction_hash)
        if true is None or not self.lie:
            return true
        name = keccak256(b"another") if self.lie == "of another" else transaction_hash
        gas_used = 1 << 255 if self.lie == "impossible gas" else true.gas_used
        return Receipt(name, true.block_number, true.block_hash, succeeded=True, gas_used=gas_used)


@pytest.mark.parametrize("lie", ["of another", "impossible gas"])
async def test_a_receipt_that_cannot_be_is_no_receipt(lie: str) -> None:
    """Gas that was never used would teach the gateway limits at which everything fails."""
    endpoint = LiesAboutReceipts(MemoryChain(contract, hub_address=HUB))
    endpoint.lie = lie
    submitter = submitter_of(endpoint)
    with pytest.raises(TransientChainError):
        await submitter.submit(b"x", 100_000)
    endpoint.lie = ""
    assert (await submitter.submit(b"y", 100_000)).succeeded


class LyingRelay:
    """A relay node that gives transactions other names."""

    name = "relay-1"

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.known = False

    async def latest_height(self) -> int:
        return 10

    async def broadcast(self, transaction: bytes) -> bytes:
        if self.known:
            raise AlreadyKnownError("tx already exists in cache")
        return keccak256(b"the transaction of somebody else")

    async def transaction_result(self, transaction_hash: bytes) -> RelayTransactionResult | None:
        self.asked.append(transaction_hash)
        return RelayTransactionResult(11, 0, "")


@pytest.mark.parametrize("known", [False, True])
async def test_a_relay_node_cannot_pass_off_the_result_of_another_transaction(known: bool) -> None:
    node = LyingRelay()
    node.known = known
    submitter = RelaySubmitter(node, lambda *_: b"signed", Counters())  # type: ignore[arg-type]
    await submitter.submit(1, b"body")
    assert node.asked == [sha256(b"signed")]
