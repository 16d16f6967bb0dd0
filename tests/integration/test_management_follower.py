"""The follower against a chain that is real and nodes that lie: they can keep things back, and forge nothing."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from eth_abi.abi import encode

from piebridge.chains.cometbft_rpc import CometBftRpc
from piebridge.chains.jsonrpc import JsonRpcClient
from piebridge.cometbft.verification import TrustExpiredError
from piebridge.crypto.errors import ConfigurationError, TransientChainError
from piebridge.crypto.hash import keccak256
from piebridge.management_chain.follower.follower import ManagementFollower
from piebridge.management_chain.follower.node import DECISION_MADE, ManagementNode, NodeAddresses
from piebridge.management_chain.follower.trust import ForkError, Trust, TrustRoot
from piebridge.protocol_stack.management.decision import Decision, decision_hash
from piebridge.protocol_stack.management.request_bodies import RequestKind
from piebridge.protocol_stack.management.storage import (
    RequestState,
    RequestStatus,
    decision_slot,
    genesis_slot,
    key_epoch_slot,
    key_hash_slot,
    request_slot,
)
from piebridge.protocol_stack.management.tags import Place
from testkit import management_samples, mini_registry
from testkit.evm_chain_driver import ALICE, BOB, CHAIN_ID, GENESIS_SECONDS, genesis_state
from testkit.evm_chain_node import RunningNode, running_node
from testkit.lying_proxy import LyingProxy
from testkit.mini_registry import BOARD, REGISTRY
from testkit.samples import Samples

T = TypeVar("T")
NOW_NS = (GENESIS_SECONDS + 3_600) * 10**9
PLACE = Place(CHAIN_ID, REGISTRY)
WAIT_SECONDS = 20.0


def decision(kind: RequestKind = RequestKind.FORM, seed: int = 31) -> Decision:
    return replace(management_samples.decision(Samples(seed), kind), registry=PLACE)


def status_word(decided: Decision, state: RequestState) -> bytes:
    return RequestStatus(state, decided.kind, decided.domain, 1_900_000_000).encode()


async def until(ask: Callable[[], Awaitable[T]], wanted: Callable[[T], bool]) -> T:
    while not wanted(answer := await ask()):  # noqa: ASYNC110 - a chain is waited for
        await asyncio.sleep(0.02)
    return answer


@dataclass
class Chain:
    """A chain with the two contracts, and an account that tells them what to do."""

    running: RunningNode
    user: Any = ALICE
    nonces: Iterator[int] = field(default_factory=itertools.count)

    @property
    def addresses(self) -> NodeAddresses:
        return NodeAddresses(self.running.node.rpc_addresses[0], self.running.eth_address)

    async def tell(self, contract: bytes, *calls: bytes) -> None:
        """Send calls and wait until a header proves them."""
        rpc = CometBftRpc(self.addresses.cometbft_url)
        try:
            async with JsonRpcClient(self.running.eth_address) as client, asyncio.timeout(WAIT_SECONDS):
                for data in calls:
                    raw = self.user.sign(nonce=next(self.nonces), to=contract, data=data, gas=1_000_000)
                    sent = await client.call("eth_sendRawTransaction", ["0x" + raw.hex()])
                receipt = await until(lambda: client.call("eth_getTransactionReceipt", [sent]), bool)
                assert isinstance(receipt, dict)
                assert receipt["status"] == "0x1"
                height = int(str(await client.call("piebridge_cometbftHeight", [receipt["blockNumber"]])), 16)
                await until(rpc.status, lambda status: status.height > height)
        finally:
            await rpc.close()

    async def decide(self, decided: Decision, state: RequestState = RequestState.CONFIRMED) -> None:
        slot = decision_slot(decided.request_id)
        await self.tell(
            REGISTRY,
            mini_registry.write(request_slot(decided.request_id), status_word(decided, state)),
            mini_registry.announce(decided, slot, decided.hash),
        )

    async def root(self) -> TrustRoot:
        rpc = CometBftRpc(self.addresses.cometbft_url)
        header = (await rpc.signed_header(1)).header
        await rpc.close()
        return TrustRoot(header.chain_id, 1, header.hash())


@pytest.fixture
def chain() -> Iterator[Chain]:
    with running_node(app_state=genesis_state(alloc=mini_registry.accounts())) as node:
        yield Chain(node)


@asynccontextmanager
async def following(
    root: TrustRoot, folder: Path, *nodes: NodeAddresses, now_ns: int = NOW_NS
) -> AsyncIterator[ManagementFollower]:
    follower = ManagementFollower(
        Trust(root, folder / "trusted.json"),
        [ManagementNode(node, timeout_seconds=2.0) for node in nodes],
        registry=PLACE,
        board=BOARD,
        now_ns=lambda: now_ns,
    )
    try:
        yield follower
    finally:
        await follower.close()


async def seen(chain: Chain, folder: Path) -> list[Decision]:
    async with following(await chain.root(), folder, chain.addresses) as follower:
        return [final.decision for final in await (await follower.view()).decisions()]


async def test_a_final_decision_is_seen_with_its_state_and_the_genesis_hash(chain: Chain, tmp_path: Path) -> None:
    decided = decision()
    relay = decided.relays[0].relay
    await chain.decide(decided)
    async with following(await chain.root(), tmp_path, chain.addresses) as follower:
        view = await follower.view()
        (found,) = await view.decisions()
        assert found == await view.decision_of(decided.request_id)
        assert (found.decision, found.record) == (decided, decided.encode())
        assert found.status.state is RequestState.CONFIRMED
        assert await view.genesis_hash_of(relay) is None
        await chain.tell(
            REGISTRY,
            mini_registry.write(genesis_slot(relay), b"\x07" * 32),
            mini_registry.write(request_slot(decided.request_id), status_word(decided, RequestState.EXECUTING)),
        )
        later = await follower.view()
        assert later.block_number > view.block_number
        assert await later.genesis_hash_of(relay) == b"\x07" * 32
        status = await later.status_of(decided.request_id)
        assert status is not None
        assert status.state is RequestState.EXECUTING
        # The earlier view still shows the earlier state.
        assert await view.genesis_hash_of(relay) is None


async def test_the_governor_key_is_proven(chain: Chain, tmp_path: Path) -> None:
    async with following(await chain.root(), tmp_path, chain.addresses) as follower:
        assert await (await follower.view()).governor_key_hash() is None
        await chain.tell(
            BOARD,
            mini_registry.write(key_epoch_slot(), (2).to_bytes(32, "big")),
            mini_registry.write(key_hash_slot(2), b"\x09" * 32),
        )
        view = await follower.view()
        assert await view.governor_key_hash() == (2, b"\x09" * 32)
        assert await view.is_governor_key(2, b"\x09" * 32)
        assert not await view.is_governor_key(1, b"\x09" * 32)


async def test_what_is_announced_but_not_final_is_not_seen(chain: Chain, tmp_path: Path) -> None:
    unfinal, other = decision(), decision(seed=32)
    slot = decision_slot(unfinal.request_id)
    await chain.tell(
        REGISTRY,
        mini_registry.write(request_slot(unfinal.request_id), status_word(unfinal, RequestState.DRAWN)),
        mini_registry.write(request_slot(other.request_id), status_word(other, RequestState.CONFIRMED)),
        mini_registry.announce(unfinal, slot, bytes(32)),
        mini_registry.announce(other, decision_slot(other.request_id), keccak256(b"another record")),
    )
    async with following(await chain.root(), tmp_path, chain.addresses) as follower:
        view = await follower.view()
        assert await view.decisions() == []
        assert await view.decision_of(unfinal.request_id) is None
        with pytest.raises(TransientChainError):
            await view.decision_of(other.request_id)


async def test_a_decision_that_dies_is_not_seen_any_more(chain: Chain, tmp_path: Path) -> None:
    decided = decision()
    await chain.decide(decided)
    async with following(await chain.root(), tmp_path, chain.addresses) as follower:
        assert len(await (await follower.view()).decisions()) == 1
        await chain.tell(
            REGISTRY,
            mini_registry.write(decision_slot(decided.request_id), bytes(32)),
            mini_registry.write(request_slot(decided.request_id), status_word(decided, RequestState.EXPIRED)),
        )
        view = await follower.view()
        assert await view.decisions() == []
        status = await view.status_of(decided.request_id)
        assert status is not None
        assert status.state.dead


async def test_a_decision_of_another_registry_is_not_seen(chain: Chain, tmp_path: Path) -> None:
    foreign = replace(decision(), registry=Place(CHAIN_ID, b"\x55" * 20))
    await chain.decide(foreign)
    elsewhere = replace(decision(), registry=Place(CHAIN_ID + 1, REGISTRY), request_id=b"\x66" * 32)
    await chain.decide(elsewhere)
    assert await seen(chain, tmp_path) == []


async def test_one_record_that_nobody_can_read_does_not_hide_the_others(chain: Chain, tmp_path: Path) -> None:
    decided, unreadable = decision(), decision(seed=32)
    record = b"\x02" + unreadable.encode()[1:]
    await chain.tell(
        REGISTRY,
        mini_registry.announce(unreadable, decision_slot(unreadable.request_id), decision_hash(record), record=record),
    )
    await chain.decide(decided)
    assert await seen(chain, tmp_path) == [decided]


def invented(decided: Decision) -> list[dict[str, Any]]:
    topics = [DECISION_MADE, decided.request_id, decided.domain.to_bytes(32, "big"), decided.hash]
    return [
        {
            "address": "0x" + REGISTRY.hex(),
            "topics": ["0x" + topic.hex() for topic in topics],
            "data": "0x" + encode(["bytes"], [decided.encode()]).hex(),
            "blockNumber": "0x1",
        }
    ]


async def test_a_node_that_invents_a_decision_starts_nothing(chain: Chain, tmp_path: Path) -> None:
    """Neither one of a request that does not exist, nor another one of a request that was decided."""
    decided = decision()
    await chain.decide(decided)
    for forged in (decision(seed=32), replace(decided, domain=decided.domain ^ 1)):
        async with LyingProxy(chain.running.eth_address) as liar:
            liar.edit("eth_getLogs", lambda *_, forged=forged: invented(forged))
            lying = NodeAddresses(chain.addresses.cometbft_url, liar.url)
            async with following(await chain.root(), tmp_path, lying) as follower:
                assert await (await follower.view()).decisions() == []
            assert liar.lies


def forge_slot(value: bytes) -> Any:  # noqa: ANN401
    def edit(_method: str, _params: list[Any], result: Any) -> Any:  # noqa: ANN401
        for item in result["storageProof"]:
            item["value"] = hex(int.from_bytes(value, "big"))
        return result

    return edit


async def test_a_node_that_forges_storage_is_passed_over(chain: Chain, tmp_path: Path) -> None:
    forged = decision()
    async with LyingProxy(chain.running.eth_address) as liar:
        liar.edit("eth_getLogs", lambda *_: invented(forged))
        liar.edit("eth_getProof", forge_slot(forged.hash))
        lying = NodeAddresses(chain.addresses.cometbft_url, liar.url)
        async with following(await chain.root(), tmp_path, lying) as follower:
            view = await follower.view()
            with pytest.raises(TransientChainError):
                await view.decisions()
        async with following(await chain.root(), tmp_path, lying, chain.addresses) as follower:
            assert await (await follower.view()).decisions() == []
        assert liar.lies


async def test_a_node_that_shows_another_block_is_passed_over(chain: Chain, tmp_path: Path) -> None:
    decided = decision()
    await chain.decide(decided)
    async with LyingProxy(chain.running.eth_address) as liar:
        async with JsonRpcClient(chain.running.eth_address) as client:
            other = await client.call("eth_getBlockByNumber", ["0x0", False])
        liar.edit("eth_getBlockByHash", lambda *_: other)
        lying = NodeAddresses(chain.addresses.cometbft_url, liar.url)
        async with following(await chain.root(), tmp_path, lying) as follower:
            with pytest.raises(TransientChainError):
                await follower.view()
        async with following(await chain.root(), tmp_path, lying, chain.addresses) as follower:
            assert len(await (await follower.view()).decisions()) == 1
        assert liar.lies


async def test_what_one_node_keeps_back_another_tells(chain: Chain, tmp_path: Path) -> None:
    await chain.decide(decision())
    async with LyingProxy(chain.running.eth_address) as liar:
        liar.edit("eth_getLogs", lambda *_: [])
        silent = NodeAddresses(chain.addresses.cometbft_url, liar.url)
        async with following(await chain.root(), tmp_path, silent, chain.addresses) as follower:
            assert len(await (await follower.view()).decisions()) == 1
        assert liar.lies


def far_ahead(_method: str, _params: list[Any], result: Any) -> Any:  # noqa: ANN401
    result["sync_info"]["latest_block_height"] = "1000000"
    return result


def other_app_hash(_method: str, _params: list[Any], result: Any) -> Any:  # noqa: ANN401
    result["signed_header"]["header"]["app_hash"] = "AB" * 32
    return result


@pytest.mark.parametrize(("method", "lie"), [("status", far_ahead), ("commit", other_app_hash)])
async def test_a_node_that_lies_about_headers_is_passed_over(
    chain: Chain,
    tmp_path: Path,
    method: str,
    lie: Any,  # noqa: ANN401
) -> None:
    await chain.decide(decision())
    async with LyingProxy(chain.addresses.cometbft_url) as liar:
        root = await chain.root()
        liar.edit(method, lie)
        lying = NodeAddresses(liar.url, chain.running.eth_address)
        async with following(root, tmp_path, lying, chain.addresses) as follower:
            assert len(await (await follower.view()).decisions()) == 1
        assert liar.lies


async def test_a_node_that_hangs_or_stands_still_does_not_hold_the_others_up(chain: Chain, tmp_path: Path) -> None:
    root = await chain.root()
    async with LyingProxy(chain.addresses.cometbft_url) as stale, LyingProxy(chain.running.eth_address) as hanging:
        rpc = CometBftRpc(chain.addresses.cometbft_url)
        height = (await rpc.status()).height
        await rpc.close()

        def stand_still(_method: str, _params: list[Any], result: Any) -> Any:  # noqa: ANN401
            result["sync_info"]["latest_block_height"] = str(height)
            return result

        stale.edit("status", stand_still)
        hanging.hang()
        await chain.decide(decision())
        old = NodeAddresses(stale.url, hanging.url)
        async with following(root, tmp_path, old, chain.addresses) as follower:
            assert len(await (await follower.view()).decisions()) == 1
        assert stale.lies
        assert hanging.lies


async def test_trust_outlives_the_process_and_ends_with_its_period(chain: Chain, tmp_path: Path) -> None:
    root = await chain.root()
    async with following(root, tmp_path, chain.addresses) as follower:
        reached = (await follower.view()).trusted
    # A root that nobody could confirm any more is not asked for a second time.
    other_root = replace(root, header_hash=b"\x01" * 32)
    async with following(other_root, tmp_path, chain.addresses) as follower:
        assert (await follower.view()).trusted.height_on_source >= reached.height_on_source
    await chain.decide(decision())
    late = reached.time_ns + 30 * 24 * 3600 * 10**9
    async with following(root, tmp_path, chain.addresses, now_ns=late) as follower:
        with pytest.raises(TrustExpiredError):
            await follower.view()


async def test_a_wrong_root_starts_nothing(chain: Chain, tmp_path: Path) -> None:
    root = replace(await chain.root(), header_hash=b"\x01" * 32)
    async with following(root, tmp_path, chain.addresses) as follower:
        with pytest.raises(TransientChainError):
            await follower.view()


async def test_another_chain_does_not_take_over_the_file(chain: Chain, tmp_path: Path) -> None:
    await seen(chain, tmp_path)
    with pytest.raises(ConfigurationError):
        Trust(replace(await chain.root(), chain_id="other"), tmp_path / "trusted.json")
    (tmp_path / "trusted.json").write_text("{}")
    with pytest.raises(ConfigurationError):
        Trust(await chain.root(), tmp_path / "trusted.json")


async def test_two_signed_headers_that_exclude_each_other_stop_everything(chain: Chain, tmp_path: Path) -> None:
    """The same validators run a second chain from the same genesis: whoever sees both believes neither."""
    with running_node(app_state=genesis_state(alloc=mini_registry.accounts())) as second:
        fork = Chain(second, BOB)
        await chain.decide(decision())
        await fork.decide(decision(seed=32))
        await chain.decide(decision(seed=33))
        await fork.decide(decision(seed=34))
        root = await chain.root()
        async with following(root, tmp_path, chain.addresses, fork.addresses) as follower:
            with pytest.raises(ForkError):
                await follower.view()
            with pytest.raises(ForkError):
                await follower.view()
        # It stays so after a restart, whoever is asked.
        async with following(root, tmp_path, chain.addresses) as follower:
            await chain.decide(decision(seed=35))
            with pytest.raises(ForkError):
                await follower.view()
