"""CometBFT's RPC server: JSON-RPC over POST, URI over GET, WebSocket with subscriptions. One server for each validator.

Errors go as CometBFT's do: JSON-RPC answers errors of methods with HTTP 200 and an ``error`` member, a body that is not
JSON with 500, a body that is too large with 400; a URI call answers errors with 500.

Source: ``rpc/jsonrpc/server`` and ``rpc/jsonrpc/types`` of CometBFT v0.40.0.
"""

import asyncio
import inspect
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from aiohttp import WSMsgType, web

from piebridge.abci.embedded.engine import EmbeddedEngine
from piebridge.abci.embedded.events import Query, QueryError, events_of
from piebridge.abci.embedded.rpc_json import Json
from piebridge.abci.embedded.rpc_methods import Method, MethodError, RpcMethods
from piebridge.abci.embedded.rpc_parameters import (
    ParameterError,
    arguments_from_json,
    arguments_from_uri,
)
from piebridge.abci.embedded.store import StoredBlock
from piebridge.crypto.errors import PieBridgeError

_PARSE_ERROR = (-32700, "Parse error. Invalid JSON")
_INVALID_REQUEST = (-32600, "Invalid Request")
_METHOD_NOT_FOUND = (-32601, "Method not found")
_INVALID_PARAMS = (-32602, "Invalid params")
_INTERNAL_ERROR = (-32603, "Internal error")
_SERVER_ERROR = (-32000, "Server error")

_URI_CALL_ID = -1
_WEBSOCKET_HEARTBEAT_SECONDS = 27.0

_log = logging.getLogger(__name__)

RequestId = str | int


@dataclass(frozen=True, slots=True)
class RpcLimits:
    """Bounds of the RPC; CometBFT's defaults."""

    max_body_bytes: int = 1_000_000
    """Largest request, bytes."""
    max_batch_size: int = 10
    """Requests in one batch; 0 is unlimited."""
    max_subscription_clients: int = 100
    """WebSocket connections with subscriptions."""
    max_subscriptions_per_client: int = 5
    """Subscriptions of one connection."""
    subscription_buffer_size: int = 200
    """Answers and events that may wait for a slow client."""
    broadcast_timeout_seconds: float = 10.0
    """How long ``broadcast_tx_commit`` waits for a block."""


class RpcServer:
    """The RPC of one validator."""

    def __init__(
        self, engine: EmbeddedEngine, validator_index: int, methods: RpcMethods, limits: RpcLimits | None = None
    ) -> None:
        """Answer for validator ``validator_index`` of ``engine``."""
        self._engine = engine
        self._methods = methods
        self._limits = limits or RpcLimits()
        self._connections: set[_WebSocketConnection] = set()
        self._runner: web.AppRunner | None = None
        self._index = validator_index
        engine.on_block.append(self._publish)

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port (which the system chooses for port 0).

        Raises:
            OSError: the port is not free.
        """
        application = web.Application(client_max_size=self._limits.max_body_bytes)
        application.router.add_post("/", self._post)
        application.router.add_get("/", self._list_methods)
        application.router.add_get("/websocket", self._websocket)
        application.router.add_get("/{method}", self._get)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        try:
            await site.start()
        except BaseException:
            await self._runner.cleanup()
            raise
        bound: int = self._runner.addresses[0][1]
        self._methods.rpc_address = f"tcp://{host}:{bound}"
        return bound

    async def stop(self) -> None:
        """Close all connections and stop listening."""
        for connection in tuple(self._connections):
            await connection.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _post(self, request: web.Request) -> web.Response:
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            error = _error(None, _INVALID_REQUEST, "error reading request body: http: request body too large")
            return _response(error, status=400)
        if not body:
            return await self._list_methods(request)
        try:
            parsed = orjson.loads(body)
            batch = [_Call.parse(item) for item in (parsed if isinstance(parsed, list) else [parsed])]
        except (orjson.JSONDecodeError, ParameterError) as error:
            return _response(_error(None, _PARSE_ERROR, f"error unmarshaling request: {error}"), status=500)
        limit = self._limits.max_batch_size
        if isinstance(parsed, list) and limit and len(batch) > limit:
            text = f"batch request exceeds maximum ({limit}) allowed number of requests"
            return _response(_error(None, _INVALID_REQUEST, text))
        answers = [await self._answer(call) for call in batch if call is not None]
        if not answers:
            return web.Response()
        return _response(answers[0] if len(answers) == 1 else answers)

    async def _get(self, request: web.Request) -> web.Response:
        method = self._methods.table.get(request.match_info["method"])
        if method is None:
            if request.match_info["method"] in ("subscribe", "unsubscribe", "unsubscribe_all"):
                return _response(_error(_URI_CALL_ID, _METHOD_NOT_FOUND, ""), status=404)
            return web.Response(status=404, text="404 page not found\n")
        try:
            arguments = arguments_from_uri(method.parameters, request.query)
        except ParameterError as error:
            text = f"error converting http params to arguments: {error}"
            return _response(_error(_URI_CALL_ID, _INVALID_PARAMS, text), status=500)
        answer = await self._call(_URI_CALL_ID, method, arguments)
        return _response(answer, status=500 if "error" in answer else 200)

    async def _list_methods(self, request: web.Request) -> web.Response:
        lines = [
            f"//{name}?" + "&".join(f"{parameter.name}=_" for parameter in method.parameters)
            for name, method in sorted(self._methods.table.items())
        ]
        return web.Response(text="Available endpoints:\n" + "\n".join(lines) + "\n")

    async def _answer(self, call: "_Call") -> Json:
        method = self._methods.table.get(call.method)
        if method is None:
            return _error(call.id, _METHOD_NOT_FOUND, "")
        try:
            arguments = arguments_from_json(method.parameters, call.params)
        except ParameterError as error:
            return _error(call.id, _INVALID_PARAMS, f"error converting json params to arguments: {error}")
        return await self._call(call.id, method, arguments)

    async def _call(self, request_id: RequestId, method: Method, arguments: Sequence[object]) -> Json:
        try:
            if self._engine.halted is not None:
                raise MethodError(f"the engine has halted: {self._engine.halted!r}")
            result = method.call(*arguments)
            answer = await result if inspect.isawaitable(result) else result
        except (MethodError, PieBridgeError) as error:
            return _error(request_id, _INTERNAL_ERROR, str(error))
        except Exception as error:
            # An application that raises in Query must not take the server down; CometBFT answers its panics so too.
            _log.exception("RPC method failed", extra={"validator_index": self._index})
            return _error(request_id, _INTERNAL_ERROR, f"{type(error).__name__}: {error}")
        return {"jsonrpc": "2.0", "id": request_id, "result": answer}

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(
            heartbeat=_WEBSOCKET_HEARTBEAT_SECONDS, max_msg_size=self._limits.max_body_bytes, compress=False
        )
        await socket.prepare(request)
        connection = _WebSocketConnection(socket, self._limits.subscription_buffer_size)
        self._connections.add(connection)
        writer = asyncio.create_task(connection.write())
        try:
            async for message in socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    await connection.queue.put(await self._answer_message(connection, message.data))
        finally:
            self._connections.discard(connection)
            writer.cancel()
        return socket

    async def _answer_message(self, connection: "_WebSocketConnection", data: str | bytes) -> Json | None:
        try:
            call = _Call.parse(orjson.loads(data))
        except (orjson.JSONDecodeError, ParameterError) as error:
            return _error(None, _PARSE_ERROR, f"error unmarshaling request: {error}")
        if call is None:
            return None
        if call.method not in ("subscribe", "unsubscribe", "unsubscribe_all"):
            return await self._answer(call)
        try:
            self._change_subscription(connection, call)
        except (MethodError, QueryError, ParameterError) as error:
            return _error(call.id, _INTERNAL_ERROR, str(error))
        return {"jsonrpc": "2.0", "id": call.id, "result": {}}

    def _change_subscription(self, connection: "_WebSocketConnection", call: "_Call") -> None:
        subscriptions = connection.subscriptions
        if call.method == "unsubscribe_all":
            if not subscriptions:
                raise MethodError("subscription not found")
            subscriptions.clear()
            return
        text = _query_text(call.params)
        if call.method == "unsubscribe":
            if subscriptions.pop(text, None) is None:
                raise MethodError("subscription not found")
            return
        clients = sum(bool(other.subscriptions) for other in self._connections)
        if not subscriptions and clients >= self._limits.max_subscription_clients:
            raise MethodError(f"max_subscription_clients {self._limits.max_subscription_clients} reached")
        if len(subscriptions) >= self._limits.max_subscriptions_per_client:
            raise MethodError(f"max_subscriptions_per_client {self._limits.max_subscriptions_per_client} reached")
        if text in subscriptions:
            raise MethodError("already subscribed")
        subscriptions[text] = (call.id, Query.parse(text))

    def _publish(self, stored: StoredBlock) -> None:
        connections = [connection for connection in self._connections if connection.subscriptions]
        if not connections:
            return
        for event in events_of(stored):
            data: Json | None = None
            for connection in connections:
                for request_id, query in tuple(connection.subscriptions.values()):
                    if not query.matches(event.attributes):
                        continue
                    data = data or event.data()
                    connection.push(
                        request_id, query.text, {"query": query.text, "data": data, "events": event.attributes}
                    )


@dataclass(eq=False, slots=True)
class _WebSocketConnection:
    """A WebSocket client: what it subscribed to, and what waits to be sent."""

    socket: web.WebSocketResponse
    buffer_size: int
    subscriptions: dict[str, tuple[RequestId, Query]] = field(default_factory=dict)
    queue: asyncio.Queue[Json | None] = field(init=False)

    def __post_init__(self) -> None:
        self.queue = asyncio.Queue(self.buffer_size)

    def push(self, request_id: RequestId, query_text: str, result: Json) -> None:
        """Queue an event; a client that does not keep up loses the subscription and is told so."""
        if self.queue.qsize() < self.buffer_size - 1:
            self.queue.put_nowait({"jsonrpc": "2.0", "id": request_id, "result": result})
            return
        self.subscriptions.pop(query_text, None)
        if not self.queue.full():
            self.queue.put_nowait(_error(request_id, _SERVER_ERROR, "subscription was canceled (reason: slow client)"))

    async def write(self) -> None:
        """Send what is queued until the connection closes."""
        while not self.socket.closed:
            answer = await self.queue.get()
            if answer is not None:
                try:
                    await self.socket.send_str(orjson.dumps(answer).decode())
                except ConnectionError:
                    return  # the reader sees the end of the connection too and removes it

    async def close(self) -> None:
        """Close the connection."""
        await self.socket.close()


@dataclass(frozen=True, slots=True)
class _Call:
    """A JSON-RPC request."""

    id: RequestId
    method: str
    params: object

    @classmethod
    def parse(cls, value: object) -> "_Call | None":
        """Read a request; None for a notification, which gets no answer.

        Raises:
            ParameterError: not a request.
        """
        if not isinstance(value, Mapping):
            raise ParameterError("a request is a JSON object")
        request_id, method = value.get("id"), value.get("method", "")
        if request_id is None:
            return None
        if isinstance(request_id, float) and request_id.is_integer() and abs(request_id) < 2**53:
            request_id = int(request_id)
        if isinstance(request_id, bool) or not isinstance(request_id, str | int):
            raise ParameterError(f"json-rpc ID ({request_id!r}) is of unknown type")
        if not isinstance(method, str):
            raise ParameterError("method is not a string")
        return cls(request_id, method, value.get("params"))


def _query_text(params: object) -> str:
    value = params.get("query") if isinstance(params, Mapping) else params
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str):
        raise ParameterError("error converting json params to arguments: query must be a string")
    return value


def _error(request_id: RequestId | None, kind: tuple[int, str], data: str) -> Json:
    code, message = kind
    error: Json = {"code": code, "message": message}
    if data:
        error["data"] = data
    answer: Json = {"jsonrpc": "2.0"}
    if request_id is not None:
        answer["id"] = request_id
    return {**answer, "error": error}


def _response(answer: Json | list[Json], *, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(answer), status=status, content_type="application/json")
