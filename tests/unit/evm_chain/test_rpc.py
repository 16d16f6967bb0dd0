"""The RPC server beside what conformance tests show: bounds, bad input, notifications, work off the loop."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from piebridge.evm_chain import rpc, rpc_chain, rpc_filters, rpc_subscriptions, rpc_websocket
from piebridge.evm_chain.genesis import GenesisAccount
from piebridge.evm_chain.rpc import EthRpcServer
from piebridge.evm_chain.rpc_chain import RpcChain
from piebridge.evm_chain.rpc_errors import RpcError
from piebridge.evm_chain.rpc_filters import Filters
from piebridge.evm_chain.rpc_methods import BroadcastResult
from piebridge.evm_chain.rpc_parameters import log_filter
from testkit.evm_chain_driver import ALICE, Driver, genesis_state

LOGGER = b"\x70" * 20
"""Emits one log with its first calldata word as topic."""
SPINNER = b"\x71" * 20
"""Loops until its gas is used up."""


class Served:
    """A driver whose mempool the server fills."""

    def __init__(self) -> None:
        self.driver = Driver(
            app_state=genesis_state(
                alloc={
                    LOGGER: GenesisAccount(code=bytes.fromhex("5f355f5fa100")),
                    SPINNER: GenesisAccount(code=bytes.fromhex("5b5f56")),
                }
            )
        )
        self.server = EthRpcServer(self.driver.app, self.broadcast, clock=lambda: self.driver.seconds)
        self.url = ""

    async def broadcast(self, tx: bytes) -> BroadcastResult:
        response = self.driver.send(tx)
        return BroadcastResult(response.code, response.log)

    async def answer(self, body: object) -> Any:  # noqa: ANN401
        encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await self.server._answer(encoded, None)
        return None if answer is None else json.loads(answer)

    async def ask(self, method: str, *params: object) -> Any:  # noqa: ANN401
        return await self.answer({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})

    def log(self, nonce: int, topic: int) -> bytes:
        return ALICE.sign(nonce=nonce, to=LOGGER, data=topic.to_bytes(32, "big"))


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    made = Served()
    made.url = f"http://127.0.0.1:{await made.server.start('127.0.0.1', 0)}"
    yield made
    await made.server.stop()


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(
        ["0x", "0x0", "0x1", "0x" + "11" * 20, "0x" + "11" * 32, "0x" + "f" * 64, "latest", "pending", "", "x"]
    )
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["from", "to", "gas", "gasPrice", "value", "data", "input", "accessList", "address", "topics", "fromBlock",
             "toBlock", "blockHash", "blockNumber", "storageKeys", "balance", "nonce", "code", "state", "stateDiff"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_parameters_make_an_internal_error(data: st.DataObject) -> None:
    async def attempt() -> None:
        served = Served()
        try:
            method = data.draw(st.sampled_from(sorted(served.server._methods)))
            answer = await served.ask(method, *data.draw(st.lists(values, max_size=4)))
            assert answer.get("error", {}).get("code") != -32603, (method, answer)
        finally:
            await served.server.stop()

    asyncio.run(attempt())


async def test_notifications_get_no_answer(served: Served) -> None:
    assert await served.answer({"jsonrpc": "2.0", "method": "eth_chainId"}) is None
    assert await served.answer([{"jsonrpc": "2.0", "method": "eth_chainId"}]) is None
    mixed = await served.answer([{"method": "eth_chainId"}, {"id": 3, "method": "eth_chainId"}])
    assert [answer["id"] for answer in mixed] == [3]


async def test_batches_are_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "BATCH_MAX", 2)
    request = {"id": 1, "method": "eth_chainId"}
    assert len(await served.answer([request] * 2)) == 2
    assert (await served.answer([request] * 3))["error"]["code"] == -32005


async def test_deeply_nested_json_is_a_parse_error(served: Served) -> None:
    assert (await served.answer(b"[" * 1_000_000))["error"]["code"] == -32700


async def test_fault_of_a_method_is_logged_and_tells_nothing(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(rpc_chain.RpcChain, "reader", broken)
    answer = await served.ask("eth_getBalance", "0x" + "11" * 20)
    assert answer["error"] == {"code": -32603, "message": "internal error"}
    assert "secret" in caplog.text


async def test_http_takes_posts_and_websocket_upgrades_only(served: Served) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(served.url) as response:
            assert response.status == 405
        async with session.post(
            served.url, data=b'{"id": 1, "method": "eth_subscribe", "params": ["newHeads"]}'
        ) as answer:
            error = (await answer.json())["error"]
            assert error["code"] == -32601
            assert "WebSocket" in error["message"]


async def test_long_calls_do_not_hold_up_the_loop(served: Served) -> None:
    long_call = {"to": "0x" + SPINNER.hex(), "gas": hex(3_000_000)}
    spinning = asyncio.create_task(served.ask("eth_call", long_call, "latest"))
    await asyncio.sleep(0.05)
    assert not spinning.done()
    served.driver.send(ALICE.sign())
    served.driver.make_block()
    assert (await served.ask("eth_blockNumber"))["result"] == "0x1"
    assert not spinning.done(), "the block must not have waited for the call"
    assert (await spinning)["error"]["message"] == "out of gas"


async def test_waiting_work_is_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "_WORKER_QUEUE_MAX", 3)
    calls = [served.ask("eth_call", {"to": "0x" + SPINNER.hex(), "gas": hex(300_000)}, "latest") for _ in range(6)]
    codes = sorted(answer["error"]["code"] for answer in await asyncio.gather(*calls))
    assert codes == [-32005] * 3 + [-32000] * 3


async def test_gas_of_calls_is_capped(served: Served) -> None:
    gas = "0x5a5f5260205ff3"
    overrides = {"0x" + "cc" * 20: {"code": gas}}
    call = {"to": "0x" + "cc" * 20, "gas": hex(2**60)}
    left = int((await served.ask("eth_call", call, "latest", overrides))["result"], 16)
    assert rpc.CALL_GAS_MAX - 22_000 < left < rpc.CALL_GAS_MAX


async def test_log_searches_are_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for nonce in range(6):
        served.driver.run(served.log(nonce, nonce % 2))
    everything = {"fromBlock": "0x0"}
    assert len((await served.ask("eth_getLogs", everything))["result"]) == 6
    monkeypatch.setattr(rpc_chain, "LOGS_MAX", 5)
    assert (await served.ask("eth_getLogs", everything))["error"]["code"] == -32005
    monkeypatch.setattr(rpc_chain, "LOGS_MAX", 10)
    monkeypatch.setattr(rpc_chain, "LOG_BLOCKS_MAX", 3)
    assert (await served.ask("eth_getLogs", everything))["error"]["code"] == -32005
    rare = everything | {"topics": ["0x" + "00" * 32]}
    found = (await served.ask("eth_getLogs", rare))["result"]
    assert [log["blockNumber"] for log in found] == ["0x1", "0x3", "0x5"], "the index must leave out the other blocks"
    assert (await served.ask("eth_getLogs", {"fromBlock": "0x5", "toBlock": "0x2"}))["error"]["code"] == -32602


async def test_topic_that_begins_like_an_address_is_not_taken_for_it(served: Served) -> None:
    topic = int.from_bytes(LOGGER + (1).to_bytes(8, "big") + bytes(4), "big")  # sorts between blocks 1 and 2
    for nonce in range(3):
        served.driver.run(served.log(nonce, topic))
    found = await served.ask("eth_getLogs", {"fromBlock": "0x0", "address": "0x" + LOGGER.hex()})
    assert len(found["result"]) == 3


async def test_idle_filters_are_forgotten_and_their_number_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    driver = Driver()
    filters = Filters(RpcChain(driver.app, lambda: driver.seconds), lambda: now)
    kept, lost = filters.add_block_filter(), filters.add_log_filter(log_filter({}))
    now = rpc_filters.IDLE_SECONDS_MAX
    assert filters.changes(kept) == []
    now += 1
    filters.add_block_filter()
    assert filters.changes(kept) == []
    with pytest.raises(RpcError, match="filter not found"):
        filters.changes(lost)
    monkeypatch.setattr(rpc_filters, "FILTERS_MAX", 2)
    with pytest.raises(RpcError, match="uninstall some"):
        filters.add_block_filter()


async def test_transaction_filter_reports_what_waits(served: Served) -> None:
    identifier = (await served.ask("eth_newPendingTransactionFilter"))["result"]
    sent = (await served.ask("eth_sendRawTransaction", "0x" + ALICE.sign().hex()))["result"]
    assert (await served.ask("eth_getTransactionByHash", sent))["result"]["blockHash"] is None
    assert (await served.ask("eth_getBlockByNumber", "pending", False))["result"]["transactions"] == [sent]
    assert (await served.ask("eth_getFilterChanges", identifier))["result"] == [sent]
    assert (await served.ask("eth_getFilterChanges", identifier))["result"] == []
    known = await served.ask("eth_sendRawTransaction", "0x" + ALICE.sign().hex())
    assert known["error"]["message"] == "already known"


async def test_subscriptions_of_a_connection_are_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc_subscriptions, "SUBSCRIPTIONS_MAX", 1)
    async with aiohttp.ClientSession() as session, session.ws_connect(served.url) as socket:
        codes = []
        for name in ("syncing", "newHeads", "newHeads"):
            await socket.send_json({"id": 1, "method": "eth_subscribe", "params": [name]})
            codes.append((await socket.receive_json()).get("error", {}).get("code"))
        assert codes == [-32602, None, -32005]


async def test_client_that_does_not_read_is_cut_off(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc_websocket, "WAITING_BYTES_MAX", 3_000)
    async with aiohttp.ClientSession() as session, session.ws_connect(served.url) as socket:
        await socket.send_json({"id": 1, "method": "eth_subscribe", "params": ["newHeads"]})
        await socket.receive_json()
        for nonce in range(5):  # all within one turn of the loop, so nothing is sent between
            served.driver.run(served.log(nonce, 1))
        async with asyncio.timeout(5):
            while (await socket.receive()).type not in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                pass
