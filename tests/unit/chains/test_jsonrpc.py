"""What can go wrong between here and a node, and as which error it is told."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from piebridge.chains.errors import AlreadyKnownError, CallRevertedError, MissingStateError, NonceError
from piebridge.chains.jsonrpc import JsonRpcClient, Subscription
from piebridge.crypto.errors import ConfigurationError, PermanentChainError, TransientChainError

Json = Any
"""What a JSON document holds."""
Answer = Callable[[Json], web.Response]


@asynccontextmanager
async def node(answer: Answer) -> AsyncIterator[str]:
    async def handle(request: web.Request) -> web.Response:
        return answer(await request.json())

    application = web.Application()
    application.router.add_post("/", handle)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def error_of(answer: Answer) -> Exception:
    async with node(answer) as url, JsonRpcClient(url) as client:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the class is what is looked at
            await client.call("method", [])
    return caught.value


def refusal(code: int, message: str, data: object = None) -> Answer:
    error = {"code": code, "message": message} | ({} if data is None else {"data": data})
    return lambda request: web.json_response({"jsonrpc": "2.0", "id": request["id"], "error": error})


@pytest.mark.parametrize(
    ("code", "message", "data", "kind"),
    [
        (3, "execution reverted", "0x08c379a0", CallRevertedError),
        (-32000, "execution reverted: no", None, CallRevertedError),
        (-32000, "nonce too low: next nonce 5, tx nonce 4", None, NonceError),
        (-32003, "nonce too low", None, NonceError),
        (-32000, "replacement transaction underpriced", None, NonceError),
        (-32000, "already known", None, AlreadyKnownError),
        (-32603, "Internal error", "tx already exists in cache", AlreadyKnownError),
        (-32000, "header not found", None, MissingStateError),
        (-32000, "missing trie node 0abc (path ) state is not available", None, MissingStateError),
        (
            -32603,
            "Internal error",
            "height 9 must be less than or equal to the current blockchain height 8",
            MissingStateError,
        ),
        (-32005, "limit exceeded", None, TransientChainError),
        (-32603, "Internal error", None, TransientChainError),
        (-32601, "the method eth_foo does not exist", None, PermanentChainError),
        (-32602, "invalid argument 0", None, PermanentChainError),
        (-32000, "insufficient funds for gas * price + value", None, PermanentChainError),
    ],
)
async def test_errors_of_nodes_become_ours(code: int, message: str, data: object, kind: type[Exception]) -> None:
    error = await error_of(refusal(code, message, data))
    assert type(error) is kind
    assert message.split(":")[0] in str(error)


async def test_revert_data_is_kept() -> None:
    error = await error_of(refusal(3, "execution reverted", "0x08c379a0ff"))
    assert isinstance(error, CallRevertedError)
    assert error.data == bytes.fromhex("08c379a0ff")


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: web.Response(text="<html>502</html>", status=502),
        lambda _: web.Response(text=""),
        lambda _: web.json_response([]),
        lambda _: web.json_response({"jsonrpc": "2.0", "id": 999_999, "result": "0x1"}),
        lambda request: web.json_response({"jsonrpc": "2.0", "id": request["id"]}),
        lambda request: web.json_response({"jsonrpc": "2.0", "id": request["id"], "error": "text"}),
    ],
    ids=["bad gateway", "empty", "a list", "to another request", "neither result nor error", "error is no object"],
)
async def test_answers_that_are_none_are_outages(answer: Answer) -> None:
    assert type(await error_of(answer)) is TransientChainError


async def test_a_page_that_says_not_found_is_no_outage() -> None:
    assert type(await error_of(lambda _: web.Response(text="no", status=404))) is PermanentChainError


async def test_an_unreachable_node_is_an_outage() -> None:
    async with JsonRpcClient("http://127.0.0.1:1") as client:
        with pytest.raises(TransientChainError):
            await client.call("method", [])


async def test_results_of_a_batch_stand_in_the_order_of_its_calls() -> None:
    def answer(request: Json) -> web.Response:
        assert len(request) <= 3
        return web.json_response([{"jsonrpc": "2.0", "id": c["id"], "result": c["params"][0]} for c in request[::-1]])

    async with node(answer) as url, JsonRpcClient(url, batch_calls_max=3) as client:
        assert await client.batch([("echo", [number]) for number in range(8) if number != 7] + [("echo", [7])] * 2) == [
            *range(7),
            7,
            7,
        ]


async def test_an_error_in_a_batch_is_that_calls_result() -> None:
    def answer(request: Json) -> web.Response:
        first, second = request
        good = {"jsonrpc": "2.0", "id": first["id"], "result": 1}
        bad = {"jsonrpc": "2.0", "id": second["id"], "error": {"code": -32601, "message": "not found"}}
        return web.json_response([bad, good])

    async with node(answer) as url, JsonRpcClient(url) as client:
        good, bad = await client.batch_results([("a", []), ("b", [])])
        assert good == 1
        assert isinstance(bad, PermanentChainError)
        with pytest.raises(PermanentChainError):
            await client.batch([("a", []), ("b", [])])


async def test_a_batch_of_one_is_sent_as_one_call() -> None:
    def answer(request: Json) -> web.Response:
        assert isinstance(request, dict)
        return web.json_response({"jsonrpc": "2.0", "id": request["id"], "result": 5})

    async with node(answer) as url, JsonRpcClient(url) as client:
        assert await client.batch([("a", [])]) == [5]
        assert await client.batch([]) == []


def test_addresses_of_another_scheme_are_refused() -> None:
    with pytest.raises(ConfigurationError):
        JsonRpcClient("ws://127.0.0.1:1")
    with pytest.raises(ConfigurationError):
        Subscription("http://127.0.0.1:1", {})


async def test_a_subscription_survives_disconnections() -> None:
    connections = 0

    async def serve(request: web.Request) -> web.WebSocketResponse:
        nonlocal connections
        connections += 1
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        assert (await socket.receive_json())["method"] == "eth_subscribe"
        await socket.send_str("{}")
        await socket.close()
        return socket

    application = web.Application()
    application.router.add_get("/", serve)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        subscription = Subscription(
            f"ws://127.0.0.1:{runner.addresses[0][1]}",
            {"method": "eth_subscribe", "params": []},
            reconnect_seconds=0.01,
        )
        wakes = subscription.wakes()
        for _ in range(3):
            await anext(wakes)
        await wakes.aclose()  # type: ignore[attr-defined]
    finally:
        await runner.cleanup()
    assert connections == 3


async def test_a_subscription_goes_to_another_node_when_one_is_gone() -> None:
    served: list[str] = []

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        served.append(request.path)
        await socket.send_str("{}")
        await socket.close()
        return socket

    application = web.Application()
    application.router.add_get("/{name}", serve)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        address = f"ws://127.0.0.1:{runner.addresses[0][1]}"
        others = [f"{address}/second", f"{address}/third"]
        wakes = Subscription("ws://127.0.0.1:1", {"method": "x"}, others=others, reconnect_seconds=0.01).wakes()
        for _ in range(4):
            await anext(wakes)
        await wakes.aclose()  # type: ignore[attr-defined]
    finally:
        await runner.cleanup()
    assert served == ["/second", "/third", "/second", "/third"]


def test_every_address_of_a_subscription_is_checked() -> None:
    with pytest.raises(ConfigurationError):
        Subscription("ws://127.0.0.1:1", {}, others=["http://127.0.0.1:1"])
