"""The adapters of parachains against the conformance suite, and the suite against broken adapters."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from piebridge.chains.conformance import DOMAIN as SUITE_DOMAIN
from piebridge.chains.conformance import ChainUnderTest, check_endpoint
from piebridge.chains.endpoint import Block, Fees, HubEntry, Receipt
from piebridge.chains.errors import CallRevertedError
from piebridge.chains.evm import EvmEndpoint
from piebridge.chains.jsonrpc import JsonRpcClient
from piebridge.chains.memory import MemoryCall, MemoryChain, MemoryEndpoint
from piebridge.crypto.errors import TransientChainError
from piebridge.crypto.hash import keccak256
from piebridge.crypto.signature import address_of_private_key
from testkit.anvil import ANVIL_CHAIN_ID, ANVIL_KEY, running_anvil
from testkit.lying_proxy import LyingProxy
from testkit.mini_hub import creation_data, signed_call, write_data

HUB = bytes(range(20))
KEY = keccak256(b"conformance")
FEES = Fees(3_000_000_000, 1_000_000_000)


def slot(value: int) -> bytes:
    return value.to_bytes(32, "big")


# --- memory -----------------------------------------------------------------------------------------------------------


def mini_hub(call: MemoryCall) -> bytes:
    """The contract of the suite, in Python."""
    if not call.data:
        raise CallRevertedError("execution reverted")
    key, value, number = (int.from_bytes(call.data[at : at + 32], "big") for at in (0, 32, 64))
    call.storage[key] = value
    call.entries.append(HubEntry(SUITE_DOMAIN, 0, number, call.block_number, 1, call.data[96:]))
    return b""


class MemoryUnderTest:
    can_reorganise = True
    can_be_silenced = True

    def __init__(self, endpoint_class: type[MemoryEndpoint] = MemoryEndpoint) -> None:
        self.chain = MemoryChain(mini_hub, hub_address=HUB)
        self.endpoint = endpoint_class(self.chain)
        self.account = address_of_private_key(KEY)

    def sign(self, nonce: int, data: bytes) -> bytes:
        return signed_call(KEY, 1, nonce, HUB, data, FEES)

    def write(self, key: int, value: int, number: int, content: bytes) -> bytes:
        return slot(key) + slot(value) + slot(number) + content

    def revert(self) -> bytes:
        return b""

    async def make_blocks(self, count: int) -> None:
        self.chain.mine(count)

    async def reorganise(self, depth: int) -> None:
        self.chain.reorganise(depth)

    async def silence(self, *, silent: bool) -> None:
        self.endpoint.hanging = silent


async def test_memory_endpoint_conforms() -> None:
    await check_endpoint(MemoryUnderTest())


class ForgetsOrder(MemoryEndpoint):
    async def outbox_entries(self, domain: int, first_block: int, last_block: int) -> list[HubEntry]:
        return (await super().outbox_entries(domain, first_block, last_block))[::-1]


class ForgetsDomain(MemoryEndpoint):
    async def outbox_entries(self, domain: int, first_block: int, last_block: int) -> list[HubEntry]:
        return await super().outbox_entries(SUITE_DOMAIN, first_block, last_block)


class ForgetsDepth(MemoryEndpoint):
    async def final_block(self, depth: int) -> Block:
        return await self.latest_block() if depth < 100 else await self.block(0)


class ForgetsOlderBlocks(MemoryEndpoint):
    async def block(self, number: int) -> Block:
        return replace(await super().block(number), hash=bytes(32))


class ForgetsReverts(MemoryEndpoint):
    async def receipt(self, transaction_hash: bytes) -> Receipt | None:
        receipt = await super().receipt(transaction_hash)
        return None if receipt is None else replace(receipt, succeeded=True)


class ForgetsErrors(MemoryEndpoint):
    async def call(self, data: bytes, *, sender: bytes, gas: int) -> bytes:
        try:
            return await super().call(data, sender=sender, gas=gas)
        except CallRevertedError as error:
            raise TransientChainError(str(error)) from error


class ForgetsNewState(MemoryEndpoint):
    async def storage(self, slots: Sequence[bytes], block_number: int | None = None) -> list[bytes]:
        return await super().storage(slots, 0)


class ForgetsWhichBranch(MemoryEndpoint):
    """Serves blocks from a cache by number, as an adapter does that knows of no reorganisations."""

    def __init__(self, chain: MemoryChain) -> None:
        super().__init__(chain)
        self._cache: dict[int, Block] = {}

    async def block(self, number: int) -> Block:
        if number not in self._cache:
            self._cache[number] = await super().block(number)
        return self._cache[number]


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (ForgetsOrder, "out of order"),
        (ForgetsDomain, "another domain"),
        (ForgetsDepth, "not deep enough"),
        (ForgetsOlderBlocks, "does not hash|parent hash"),
        (ForgetsReverts, "says it succeeded"),
        (ForgetsErrors, "a call that reverts"),
        (ForgetsNewState, "told and proven"),
        (ForgetsWhichBranch, "reorganised block is served"),
    ],
)
async def test_the_suite_finds_broken_adapters(broken: type[MemoryEndpoint], rule: str) -> None:
    with pytest.raises(AssertionError, match=rule):
        await check_endpoint(MemoryUnderTest(broken))


# --- anvil ------------------------------------------------------------------------------------------------------------


class AnvilUnderTest:
    can_reorganise = True
    can_be_silenced = True

    def __init__(self, proxy: LyingProxy, node: JsonRpcClient, hub: bytes) -> None:
        self.endpoint = EvmEndpoint(
            name="anvil", rpc_url=proxy.url, hub_address=hub, evm_chain_id=ANVIL_CHAIN_ID, timeout_seconds=2
        )
        self.account = address_of_private_key(ANVIL_KEY)
        self._proxy, self._node, self._hub = proxy, node, hub

    def sign(self, nonce: int, data: bytes) -> bytes:
        return signed_call(ANVIL_KEY, ANVIL_CHAIN_ID, nonce, self._hub, data, FEES)

    def write(self, key: int, value: int, number: int, content: bytes) -> bytes:
        return write_data(slot(key), slot(value), domain=SUITE_DOMAIN, number=number, content=content)

    def revert(self) -> bytes:
        return b""

    async def make_blocks(self, count: int) -> None:
        await self._node.call("anvil_mine", [hex(count)])

    async def reorganise(self, depth: int) -> None:
        await self._node.call("anvil_reorg", [depth, []])

    async def silence(self, *, silent: bool) -> None:
        self._proxy.hang(silent)


@asynccontextmanager
async def anvil_under_test() -> AsyncIterator[ChainUnderTest]:
    async with running_anvil() as url, JsonRpcClient(url) as node, LyingProxy(url) as proxy:
        raw = signed_call(ANVIL_KEY, ANVIL_CHAIN_ID, 0, b"", creation_data(), FEES, 500_000)
        sent = await node.call("eth_sendRawTransaction", ["0x" + raw.hex()])
        await node.call("anvil_mine", ["0x1"])
        receipt = await node.call("eth_getTransactionReceipt", [sent])
        assert isinstance(receipt, dict)
        yield AnvilUnderTest(proxy, node, bytes.fromhex(receipt["contractAddress"][2:]))


@pytest.mark.real_chain
async def test_evm_endpoint_conforms_on_anvil() -> None:
    async with anvil_under_test() as chain:
        await check_endpoint(chain)


# --- EVM-on-ABCI ------------------------------------------------------------------------------------------------------


class OurChainUnderTest:
    can_reorganise = False
    can_be_silenced = True

    def __init__(self, proxy: LyingProxy, hub: bytes, chain_id: int, private_key: bytes) -> None:
        self.endpoint = EvmEndpoint(
            name="ours", rpc_url=proxy.url, hub_address=hub, evm_chain_id=chain_id, timeout_seconds=2
        )
        self.account = address_of_private_key(private_key)
        self._proxy, self._hub, self._chain_id, self._private_key = proxy, hub, chain_id, private_key
        self._nonce = 1_000_000

    def sign(self, nonce: int, data: bytes) -> bytes:
        return signed_call(self._private_key, self._chain_id, nonce, self._hub, data, FEES)

    def write(self, key: int, value: int, number: int, content: bytes) -> bytes:
        return write_data(slot(key), slot(value), domain=SUITE_DOMAIN, number=number, content=content)

    def revert(self) -> bytes:
        return b""

    async def make_blocks(self, count: int) -> None:
        """Blocks make themselves as long as there are transactions; time has only to pass."""
        await asyncio.sleep(1.1)

    async def reorganise(self, depth: int) -> None:
        raise AssertionError("a chain with instant finality is never reorganised")

    async def silence(self, *, silent: bool) -> None:
        self._proxy.hang(silent)


@pytest.mark.real_chain
@pytest.mark.slow
async def test_evm_endpoint_conforms_on_our_own_chain() -> None:
    from testkit.gateway_network import GatewayNetwork, key

    async with GatewayNetwork(parachains=1, validators=2) as network:
        chain = network.chains[1]
        created = await chain.run("bob", b"", creation_data(), gas=500_000)
        hub = bytes.fromhex(created["contractAddress"][2:])
        async with LyingProxy(chain.rpc_url) as proxy:
            await check_endpoint(OurChainUnderTest(proxy, hub, chain.evm_chain_id, key("bob")))
