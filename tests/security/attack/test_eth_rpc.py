"""The eth_* JSON-RPC before strangers: hostile JSON, huge parameters, endless subscriptions, clients that do not read.

The server shares its event loop with the engine of the chain: whatever holds it up, stops the chain.
"""

import asyncio
import contextlib
import io
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from piebridge.evm_chain import rpc, rpc_subscriptions, rpc_websocket
from piebridge.evm_chain.genesis import GenesisAccount
from piebridge.evm_chain.rpc import EthRpcServer
from piebridge.evm_chain.rpc_methods import BroadcastResult
from testkit.evm_chain_driver import ALICE, Driver, genesis_state

LOGGER = b"\x70" * 20
"""Emits one log with its first calldata word as topic."""
SPINNER = b"\x71" * 20
"""Loops until its gas is used up."""
TURN_SECONDS_MAX = 0.5
"""Most processor time that anything may take of the event loop at a stretch."""


ANSWER_SECONDS_MAX = 5.0
"""Longest time that one request may keep a worker; generous, too."""


class Served:
    """A chain with its server; blocks are made by hand."""

    def __init__(self) -> None:
        accounts = {
            LOGGER: GenesisAccount(code=bytes.fromhex("5f355f5fa100")),
            SPINNER: GenesisAccount(code=bytes.fromhex("5b5f56")),
        }
        self.driver = Driver(app_state=genesis_state(alloc=accounts))
        self.server = EthRpcServer(self.driver.app, self._broadcast, clock=lambda: self.driver.seconds)
        self.url = ""
        self._nonce = 0

    async def _broadcast(self, tx: bytes) -> BroadcastResult:
        response = self.driver.send(tx)
        return BroadcastResult(response.code, response.log)

    async def answer(self, body: bytes) -> Any:  # noqa: ANN401
        answer = await self.server._answer(body, None)
        return None if answer is None else json.loads(answer)

    async def ask(self, method: str, *params: object) -> Any:  # noqa: ANN401
        return await self.answer(json.dumps({"id": 1, "method": method, "params": params}).encode())

    def make_block(self, logs: int = 1) -> None:
        for _ in range(logs):
            self.driver.send(ALICE.sign(nonce=self._nonce, to=LOGGER, data=bytes(32)))
            self._nonce += 1
        self.driver.make_block()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    made = Served()
    made.url = f"http://127.0.0.1:{await made.server.start('127.0.0.1', 0)}"
    yield made
    await made.server.stop()


class Watchdog:
    """Measures how much processor time the thread of the event loop ever took between two turns of it.

    Not the time on the wall: other programs of a busy machine are not what is tested.
    """

    def __init__(self) -> None:
        self.longest_seconds = 0.0
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.002)
            self.longest_seconds = max(self.longest_seconds, time.thread_time() - before)

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"\xff\xfe", -32700),
        (b'{"id": 1, "method": "eth_chainId"', -32700),
        (b'{"id": NaN, "method": "eth_chainId"}', -32700),
        (b'{"id": 1, "method": "\\ud800"}', -32700),
        (b'{"a":' * 100_000, -32700),
        (b"null", -32600),
        (b"[]", -32600),
        (b"3", -32600),
        (b'{"id": 1}', -32600),
        (b'{"id": 1, "method": 3}', -32600),
        (b'{"id": {}, "method": "eth_chainId"}', -32600),
        (b'{"id": [1], "method": "eth_chainId"}', -32600),
        (b'{"id": 1, "method": "eth_chainId", "params": {"a": 1}}', -32602),
        (b'{"id": 1, "method": "eth_chainId", "params": [1, 2, 3]}', -32602),
        (b'{"id": 1, "method": "__class__"}', -32601),
        (b'{"id": 1, "method": "' + b"x" * 1_000_000 + b'"}', -32601),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_hostile_json_gets_a_short_error_and_no_more(served: Served, body: bytes, code: int) -> None:
    answer = await served.answer(body)
    assert answer["error"]["code"] == code
    assert len(json.dumps(answer)) < 500
    assert (await served.ask("eth_blockNumber"))["result"] == "0x0"


@pytest.mark.parametrize("identifier", ["1e999", "123456789012345678901234567890", "true", '"' + "i" * 1_000 + '"'])
async def test_odd_identifiers_are_answered(served: Served, identifier: str) -> None:
    answer = await served.answer(b'{"id": ' + identifier.encode() + b', "method": "eth_chainId"}')
    assert "result" in answer or answer["error"]["code"] == -32700


HUGE = "0x" + "ab" * 2_000_000
NESTED: Any = "latest"
for _ in range(900):
    NESTED = {"blockNumber": NESTED}


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("web3_sha3", [HUGE]),
        ("web3_sha3", [HUGE + "zz"]),
        ("web3_sha3", ["0x" + "a b " * 500_000]),
        ("eth_sendRawTransaction", [HUGE]),
        ("eth_getBalance", [HUGE]),
        ("eth_getBalance", ["0x" + "11" * 20, HUGE]),
        ("eth_getBalance", ["0x" + "11" * 20, ["a"] * 300_000]),
        ("eth_getBalance", ["0x" + "11" * 20, NESTED]),
        ("eth_call", [{"to": "0x" + "11" * 20, "data": HUGE}]),
        ("eth_call", [{"accessList": [{"address": "0x" + "11" * 20, "storageKeys": ["0x" + "22" * 32] * 50_000}]}]),
        ("eth_call", [{}, "latest", {f"0x{number:040x}": {"balance": "0x1"} for number in range(40_000)}]),
        ("eth_getLogs", [{"topics": [["0x" + "22" * 32] * 1_000] * 4}]),
        ("eth_getLogs", [{"topics": [["0x" + "22" * 32] * 60_000]}]),
        ("eth_getProof", ["0x" + "11" * 20, ["0x1"] * 200_000, "latest"]),
        ("eth_feeHistory", ["0x" + "f" * 64, "latest", [50] * 100]),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else "",
)
async def test_huge_parameters_hold_nobody_up(served: Served, method: str, params: list[object]) -> None:
    body = json.dumps({"id": 1, "method": method, "params": params}).encode()
    assert len(body) < rpc.REQUEST_MAX_BYTES
    watchdog, before = Watchdog(), time.monotonic()
    async with aiohttp.ClientSession() as session, session.post(served.url, data=io.BytesIO(body)) as response:
        answer = await response.json()
    await watchdog.end()
    assert answer.get("error", {}).get("code") != -32603, answer
    assert time.monotonic() - before < ANSWER_SECONDS_MAX
    assert watchdog.longest_seconds < TURN_SECONDS_MAX
    served.make_block()
    assert (await served.ask("eth_blockNumber"))["result"] == "0x1"


async def test_a_request_beyond_the_limit_is_not_read(served: Served) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.post(served.url, data=io.BytesIO(bytes(rpc.REQUEST_MAX_BYTES + 1))) as response:
            assert response.status == 413
        async with session.ws_connect(served.url) as socket:
            with contextlib.suppress(ConnectionError):  # the server does not wait for all of it
                await socket.send_bytes(b"x" * (rpc.REQUEST_MAX_BYTES + 1))
            over = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
            assert (await socket.receive()).type in over


async def test_a_batch_of_long_calls_does_not_keep_the_workers_for_hours(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rpc, "BATCH_SECONDS_MAX", 0.5)
    call = {"method": "eth_call", "params": [{"to": "0x" + SPINNER.hex(), "gas": hex(300_000)}, "latest"]}
    batch = [{"id": number, **call} for number in range(rpc.BATCH_MAX)]
    before = time.monotonic()
    answers = await served.answer(json.dumps(batch).encode())
    assert time.monotonic() - before < 10
    assert [answer["id"] for answer in answers] == list(range(rpc.BATCH_MAX))
    codes = [answer["error"]["code"] for answer in answers]
    assert codes[0] == -32000, "the first was begun"
    assert codes[-1] == -32005, "the last was not"


async def test_the_answer_of_a_batch_does_not_fill_the_memory(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "ANSWER_MAX_BYTES", 10_000)
    request = {"method": "eth_getBlockByNumber", "params": ["latest", True]}
    answers = await served.answer(json.dumps([{"id": number, **request} for number in range(200)]).encode())
    assert len(answers) == 200
    assert "result" in answers[0]
    assert answers[-1]["error"]["code"] == -32005


async def subscribe(socket: aiohttp.ClientWebSocketResponse, count: int, kind: object, *more: object) -> int:
    """Ask for that many subscriptions at once; return how many were given."""
    request = {"method": "eth_subscribe", "params": [kind, *more]}
    for first in range(0, count, rpc.BATCH_MAX):
        ids = range(first, min(first + rpc.BATCH_MAX, count))
        await socket.send_json([{"id": number, **request} for number in ids])
    given = 0
    for _ in range(0, count, rpc.BATCH_MAX):
        given += sum("result" in item for item in json.loads((await socket.receive()).data))
    return given


@pytest.mark.slow
async def test_a_hundred_thousand_subscriptions_are_refused_and_blocks_go_on(served: Served) -> None:
    """Each costs the event loop of the engine something at every block."""
    wanted = {"address": ["0x" + "11" * 20] * 10, "topics": [["0x" + "22" * 32] * 10]}
    watchdog = Watchdog()
    async with aiohttp.ClientSession() as session:
        sockets = [await session.ws_connect(served.url) for _ in range(20)]
        kinds = [("logs", wanted), ("newHeads",)]
        given = [await subscribe(socket, 5_000, *kinds[number % 2]) for number, socket in enumerate(sockets)]
        assert sum(given) == rpc_subscriptions.SUBSCRIPTIONS_TOTAL_MAX
        assert max(given) == rpc_subscriptions.SUBSCRIPTIONS_MAX
        await watchdog.end()
        watchdog = Watchdog()
        served.make_block(logs=50)
        async with asyncio.timeout(20):
            for socket in sockets[1:16:2]:
                for _ in range(rpc_subscriptions.SUBSCRIPTIONS_MAX):
                    notice = json.loads((await socket.receive()).data)
                    assert notice["params"]["result"]["number"] == "0x1"
        await watchdog.end()
        assert watchdog.longest_seconds < TURN_SECONDS_MAX
        for socket in sockets:
            await socket.close()
        last = await session.ws_connect(served.url)
        assert await subscribe(last, 10, "newHeads") == 10, "what is over makes room"
        await last.close()


async def test_websockets_without_end_are_refused(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "WEBSOCKETS_MAX", 5)
    async with aiohttp.ClientSession() as session:
        sockets = [await session.ws_connect(served.url) for _ in range(5)]
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(served.url)
        assert refused.value.status == 503
        assert (await served.ask("eth_blockNumber"))["result"] == "0x0"
        await sockets[0].close()
        sockets.append(await session.ws_connect(served.url))
        for socket in sockets:
            await socket.close()


async def test_a_client_that_never_reads_is_cut_off_and_the_others_are_served(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rpc_websocket, "WAITING_BYTES_MAX", 200_000)
    async with aiohttp.ClientSession() as session:
        reader_, writer = await asyncio.open_connection("127.0.0.1", int(served.url.rsplit(":", 1)[1]), limit=1_024)
        writer.write(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        await reader_.readuntil(b"\r\n\r\n")
        for number in range(rpc_subscriptions.SUBSCRIPTIONS_MAX):
            text = json.dumps({"id": number, "method": "eth_subscribe", "params": ["newHeads"]}).encode()
            writer.write(b"\x81" + bytes([0x80 | len(text)]) + bytes(4) + text)
        await writer.drain()
        good = await session.ws_connect(served.url)
        assert await subscribe(good, 1, "newHeads") == 1
        publisher = served.server._publisher
        blocks = 0
        async with asyncio.timeout(60):
            while publisher.connection_count == 2:
                served.make_block()
                blocks += 1
                notice = json.loads((await good.receive()).data)
                assert int(notice["params"]["result"]["number"], 16) == blocks
        assert publisher.connection_count == 1
        writer.close()
        await good.close()


async def test_half_a_request_holds_nobody_up(served: Served) -> None:
    port = int(served.url.rsplit(":", 1)[1])
    slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]
    for _, writer in slow:
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
        await writer.drain()
    request = b'{"id": 1, "method": "eth_blockNumber"}'
    async with (
        asyncio.timeout(5),
        aiohttp.ClientSession() as session,
        session.post(served.url, data=request) as response,
    ):
        assert (await response.json())["result"] == "0x0"
    for _, writer in slow:
        writer.close()
