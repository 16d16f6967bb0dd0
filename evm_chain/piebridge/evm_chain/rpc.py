"""The server of the ``eth_*`` JSON-RPC: HTTP POST and WebSocket on one port.

Methods that simulate or read much run on a few worker threads from committed data, so that the engine, which shares the
event loop, keeps making blocks; how many may wait is bounded.
"""

import asyncio
import inspect
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from piebridge.evm_chain.app import EvmApplication
from piebridge.evm_chain.rpc_chain import RpcChain
from piebridge.evm_chain.rpc_errors import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    LIMIT_EXCEEDED,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    RpcError,
)
from piebridge.evm_chain.rpc_filters import Filters
from piebridge.evm_chain.rpc_format import Document
from piebridge.evm_chain.rpc_methods import Broadcast, EthMethods, Method
from piebridge.evm_chain.rpc_subscriptions import Connection, Publisher
from piebridge.evm_chain.rpc_websocket import Outgoing

CALL_GAS_MAX = 60_000_000
"""Gas of one eth_call or eth_estimateGas where the caller does not choose otherwise."""
BATCH_MAX = 1_000
"""Requests of one batch."""
BATCH_SECONDS_MAX = 20.0
"""After so long the rest of a batch is not begun: its client may be gone, and others wait."""
ANSWER_MAX_BYTES = 64 * 1024 * 1024
"""After so much the rest of a batch is not begun."""
REQUEST_MAX_BYTES = 5 * 1024 * 1024
"""Largest request."""
WEBSOCKETS_MAX = 1_024
"""WebSocket connections at a time."""
_WORKERS = 2
_WORKER_QUEUE_MAX = 256

_logger = logging.getLogger(__name__)


class EthRpcServer:
    """Serves one application."""

    def __init__(
        self,
        app: EvmApplication,
        broadcast: Broadcast,
        *,
        call_gas_max: int = CALL_GAS_MAX,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Make a server; ``start`` opens its port. To be called on the event loop that serves.

        Args:
            app: the application.
            broadcast: gives a transaction to the engine's mempool.
            call_gas_max: gas of one simulation.
            clock: seconds since the Unix epoch, for the time of the ``pending`` block.
        """
        chain = RpcChain(app, clock)
        self._methods: Mapping[str, Method] = EthMethods(
            chain, Filters(chain, time.monotonic), broadcast, call_gas_max
        ).table()
        self._publisher = Publisher(chain, asyncio.get_running_loop())
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="eth-rpc")
        self._working = 0
        self._runner: web.AppRunner | None = None
        self._sockets: set[web.WebSocketResponse] = set()

    async def start(self, host: str, port: int) -> int:
        """Open the port and return its number (that which the system chose where ``port`` is 0)."""
        application = web.Application(client_max_size=REQUEST_MAX_BYTES)
        application.router.add_route("*", "/", self._serve)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        address = self._runner.addresses[0]
        return int(address[1])

    async def stop(self) -> None:
        """Close connections and the port."""
        for socket in list(self._sockets):
            await socket.close(code=1001, message=b"server is stopping")
        await self._publisher.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await asyncio.to_thread(self._workers.shutdown, wait=True, cancel_futures=True)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET" and request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._serve_websocket(request)
        if request.method != "POST":
            return web.Response(status=405, text="JSON-RPC: POST, or a WebSocket", headers={"Allow": "POST, GET"})
        answer = await self._answer(await request.read(), None)
        return web.Response(body=answer or b"", content_type="application/json")

    async def _serve_websocket(self, request: web.Request) -> web.StreamResponse:
        if self._publisher.connection_count >= WEBSOCKETS_MAX:
            return web.Response(status=503, text=f"this node serves at most {WEBSOCKETS_MAX} WebSockets")
        socket = web.WebSocketResponse(max_msg_size=REQUEST_MAX_BYTES, heartbeat=30.0)
        await socket.prepare(request)
        outgoing = Outgoing()

        def abort() -> None:
            _logger.warning("closing a WebSocket that does not take its notifications in time")
            self._publisher.remove(connection)
            if request.transport is not None:
                request.transport.abort()

        def send(document: Document) -> None:
            if not outgoing.put(orjson.dumps(document)):
                abort()

        connection = Connection(send, abort, self._publisher.has_room)
        self._publisher.add(connection)
        self._sockets.add(socket)
        sender = asyncio.create_task(outgoing.send_all(socket))
        try:
            async for message in socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    body = message.data.encode() if isinstance(message.data, str) else message.data
                    answer = await self._answer(body, connection)
                    if answer is not None:
                        await outgoing.put_when_there_is_room(answer)
        finally:
            self._publisher.remove(connection)
            self._sockets.discard(socket)
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
        return socket

    async def _answer(self, body: bytes, connection: Connection | None) -> bytes | None:
        """Answer a request or a batch; None where nothing is to be sent (notifications)."""
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            return orjson.dumps(_error_answer(None, RpcError(PARSE_ERROR, f"parse error: {error}")))
        if not isinstance(document, list):
            return await self._answer_one(document, connection)
        if not document:
            return orjson.dumps(_error_answer(None, RpcError(INVALID_REQUEST, "empty batch")))
        if len(document) > BATCH_MAX:
            return orjson.dumps(_error_answer(None, RpcError(LIMIT_EXCEEDED, f"batch of more than {BATCH_MAX}")))
        return await self._answer_batch(document, connection)

    async def _answer_batch(self, requests: list[object], connection: Connection | None) -> bytes | None:
        answers, size, deadline = list[bytes](), 0, time.monotonic() + BATCH_SECONDS_MAX
        for item in requests:
            refused = size > ANSWER_MAX_BYTES or time.monotonic() > deadline
            answer = _refuse_rest(item) if refused else await self._answer_one(item, connection)
            if answer is not None:
                answers.append(answer)
                size += len(answer)
        return b"[" + b",".join(answers) + b"]" if answers else None

    async def _answer_one(self, request: object, connection: Connection | None) -> bytes | None:
        """Answer one request; None where it is a notification."""
        answer = await self._document_of(request, connection)
        return None if answer is None else orjson.dumps(answer)

    async def _document_of(self, request: object, connection: Connection | None) -> Document | None:
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _error_answer(None, RpcError(INVALID_REQUEST, "invalid request: a method is missing"))
        identifier = request.get("id")
        if not isinstance(identifier, str | int | float | None):
            return _error_answer(None, RpcError(INVALID_REQUEST, "invalid request: id is no string or number"))
        try:
            result = await self._call(request["method"], request.get("params", []), connection)
            answer: Document = {"jsonrpc": "2.0", "id": identifier, "result": result}
        except RpcError as error:
            answer = _error_answer(identifier, error)
        except Exception:
            _logger.exception("JSON-RPC method %s failed", request["method"])
            answer = _error_answer(identifier, RpcError(INTERNAL_ERROR, "internal error"))
        return answer if "id" in request else None

    async def _call(self, name: str, params: object, connection: Connection | None) -> Any:  # noqa: ANN401
        if params is None:
            params = []
        if not isinstance(params, list):
            raise RpcError(INVALID_PARAMS, "params must be a list")
        method = self._method(name, connection)
        if not method.required <= len(params) <= method.required + method.optional:
            raise RpcError(
                INVALID_PARAMS,
                f"{name} takes {method.required} to {method.required + method.optional} parameters, got {len(params)}",
            )
        while len(params) > method.required and params[-1] is None:  # a null stands for a parameter left out
            params = params[:-1]
        if method.heavy:
            return await self._work(method, params)
        result = method.run(*params)
        return await result if inspect.isawaitable(result) else result

    async def _work(self, method: Method, params: list[Any]) -> Any:  # noqa: ANN401
        if self._working >= _WORKER_QUEUE_MAX:
            raise RpcError(LIMIT_EXCEEDED, "too many requests under way: try again")
        self._working += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._workers, method.run, *params)
        finally:
            self._working -= 1

    def _method(self, name: str, connection: Connection | None) -> Method:
        if connection is not None and name == "eth_subscribe":
            return Method(connection.subscribe, 1, 1)
        if connection is not None and name == "eth_unsubscribe":
            return Method(connection.unsubscribe, 1)
        method = self._methods.get(name)
        if method is None:
            hint = ": subscriptions need a WebSocket" if name in ("eth_subscribe", "eth_unsubscribe") else ""
            raise RpcError(METHOD_NOT_FOUND, f"the method {name[:80]} does not exist/is not available{hint}")
        return method


def _refuse_rest(request: object) -> bytes | None:
    """Answer what is not begun any more, unless it is a notification or has no usable id."""
    identifier = request.get("id") if isinstance(request, dict) else None
    if not isinstance(identifier, str | int | float):
        return None
    error = RpcError(LIMIT_EXCEEDED, "the batch takes too long, or its answer is too large: ask for less at a time")
    return orjson.dumps(_error_answer(identifier, error))


def _error_answer(identifier: str | float | None, error: RpcError) -> Document:
    return {"jsonrpc": "2.0", "id": identifier, "error": error.document()}
