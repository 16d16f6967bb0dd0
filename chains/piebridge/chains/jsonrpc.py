"""JSON-RPC 2.0 over HTTP with batches, and subscriptions over WebSocket that survive disconnection.

One place translates everything that can go wrong between here and a node into the errors of
:mod:`piebridge.chains.errors`; nothing above ever sees an exception of the HTTP library. Every request has a deadline.

Source: JSON-RPC 2.0 specification; EIP-1474 and the clients' own messages for the error codes of Ethereum nodes.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any, NoReturn

import aiohttp
import orjson

from piebridge.chains.errors import AlreadyKnownError, CallRevertedError, MissingStateError, NonceError
from piebridge.crypto.errors import ChainError, ConfigurationError, PermanentChainError, TransientChainError

DEFAULT_TIMEOUT_SECONDS = 10.0
"""Deadline of a request, connection and answer together."""
RESPONSE_BYTES_MAX = 64 << 20
"""Largest answer that is read; a node must not be able to fill our memory."""
BATCH_CALLS_MAX = 100
"""Calls sent in one HTTP request unless a client is told otherwise; more are cut into several."""

Call = tuple[str, Sequence[Any] | Mapping[str, Any]]
"""Method and parameters."""

_METHOD_NOT_FOUND = -32601
_INVALID_PARAMS = -32602
_REVERTED = 3

_NONCE = ("nonce too low", "nonce too high", "replacement transaction underpriced", "invalid nonce", "nonce is not")
_KNOWN = ("already known", "already imported", "known transaction", "tx already exists in cache")
_MISSING = (
    "header not found",
    "block not found",
    "unknown block",
    "missing trie node",
    "state not available",
    "historical state",
    "must be less than or equal to the current blockchain height",
    "is not available",
    "blockoutofrange",
    "block out of range",
)
_BUSY = (
    "timeout",
    "timed out",
    "too many requests",
    "limit exceeded",
    "busy",
    "mempool is full",
    "txpool is full",
    "try again",
)
_REVERTS = ("execution reverted", "vm exception", "revert")


class JsonRpcClient:
    """Client of one node. Safe for concurrent use within one event loop."""

    def __init__(
        self, url: str, *, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS, batch_calls_max: int = BATCH_CALLS_MAX
    ) -> None:
        """Remember where the node is; the connection is opened by the first request.

        Args:
            url: address of the node.
            timeout_seconds: deadline of a request.
            batch_calls_max: calls that the node takes in one request.

        Raises:
            ConfigurationError: not an ``http`` or ``https`` address.
        """
        if not url.startswith(("http://", "https://")):
            raise ConfigurationError(f"RPC address {url!r} must start with http:// or https://")
        self.url = url
        self._batch_calls_max = batch_calls_max
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None
        self._next_id = 0

    async def __aenter__(self) -> "JsonRpcClient":
        """Return the client itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections; the client can be used again."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def call(self, method: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> object:
        """Return the result of one call.

        Raises:
            TransientChainError: no answer in time, no connection, an answer that is not JSON-RPC, a busy node.
            PermanentChainError: the node refused the call.
        """
        request = self._request(method, params)
        return self._result(await self._post(request), request)

    async def batch(self, calls: Sequence[Call]) -> list[object]:
        """Return the results of several calls, in their order, all of them or none.

        Raises:
            TransientChainError: as :meth:`call`.
            PermanentChainError: the node refused one of the calls.
        """
        results = await self.batch_results(calls)
        for result in results:
            if isinstance(result, ChainError):
                raise result
        return results

    async def batch_results(self, calls: Sequence[Call]) -> list[object]:
        """Return for each call its result, or the :class:`ChainError` with which the node answered that call.

        Raises:
            TransientChainError: the batch as a whole failed.
        """
        step = self._batch_calls_max
        parts = await asyncio.gather(*(self._batch(calls[at : at + step]) for at in range(0, len(calls), step)))
        return [result for part in parts for result in part]

    async def _batch(self, calls: Sequence[Call]) -> list[object]:
        requests = [self._request(method, params) for method, params in calls]
        # CometBFT answers a batch of one by an object, so one call is sent as one.
        answers = await self._post(requests) if len(requests) > 1 else [await self._post(requests[0])]
        if not isinstance(answers, list):
            if isinstance(answers, dict) and "error" in answers:
                _raise_error(answers["error"], f"{self.url}: batch of {len(calls)} calls")
            raise TransientChainError(f"{self.url}: a batch was not answered by a list")
        # A node may send anything as an id; what is no number answers none of ours, and a list would not even be a key.
        by_id = {answer["id"]: answer for answer in answers if isinstance(answer, dict) and _has_number(answer)}
        results: list[object] = []
        for request in requests:
            try:
                results.append(self._result(by_id.get(request["id"]), request))
            except ChainError as error:
                results.append(error)
        return results

    def _request(self, method: str, params: Sequence[Any] | Mapping[str, Any]) -> dict[str, Any]:
        self._next_id += 1
        plain = dict(params) if isinstance(params, Mapping) else list(params)
        return {"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": plain}

    def _result(self, answer: object, request: Mapping[str, Any]) -> object:
        where = f"{self.url}: {request['method']}"
        if not isinstance(answer, dict) or answer.get("id") != request["id"]:
            if isinstance(answer, dict) and answer.get("error") is not None:
                _raise_error(answer["error"], where)
            raise TransientChainError(f"{where}: the answer is not one to this request")
        if answer.get("error") is not None:
            _raise_error(answer["error"], where)
        if "result" not in answer:
            raise TransientChainError(f"{where}: the answer has neither result nor error")
        return answer["result"]

    async def _post(self, body: object) -> object:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        try:
            async with self._session.post(
                self.url, data=orjson.dumps(body), headers={"Content-Type": "application/json"}
            ) as response:
                content = await _read_limited(response)
                status = response.status
        except TimeoutError as error:
            raise TransientChainError(f"{self.url}: no answer within {self._timeout.total} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise TransientChainError(f"{self.url}: {type(error).__name__}: {error}") from error
        try:
            answer: object = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            kind = PermanentChainError if status in (401, 403, 404, 405) else TransientChainError
            raise kind(f"{self.url}: HTTP {status}, and the answer is not JSON") from error
        return answer


class Subscription:
    """Wakes its reader whenever a node says that something happened, and after every reconnection.

    What a subscription tells is never relied on: it only says when to look. So a lost connection costs nothing but
    time, and the reader looks by itself at intervals as well.
    """

    def __init__(
        self,
        url: str,
        request: Mapping[str, Any],
        *,
        others: Sequence[str] = (),
        reconnect_seconds: float = 1.0,
        heartbeat_seconds: float = 20.0,
    ) -> None:
        """Remember what to subscribe to.

        Args:
            url: ``ws`` or ``wss`` address.
            request: method and params of the subscribing call.
            others: addresses of other nodes of the same chain, taken in turn when a connection ends or is refused.
            reconnect_seconds: pause before a new connection.
            heartbeat_seconds: interval of pings; a connection that leaves one unanswered is dropped.

        Raises:
            ConfigurationError: the address has another scheme.
        """
        self._urls = (url, *others)
        for address in self._urls:
            if not address.startswith(("ws://", "wss://")):
                raise ConfigurationError(f"subscription address {address!r} must start with ws:// or wss://")
        self._request = {"jsonrpc": "2.0", "id": 1, **request}
        self._reconnect_seconds = reconnect_seconds
        self._heartbeat_seconds = heartbeat_seconds

    async def wakes(self) -> AsyncIterator[None]:
        """Yield at each notification and each (re)connection, for ever; ends only by cancellation."""
        for url in itertools.cycle(self._urls):
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with (
                    aiohttp.ClientSession() as session,
                    session.ws_connect(url, heartbeat=self._heartbeat_seconds, timeout=_WS_TIMEOUT) as socket,
                ):
                    await socket.send_str(orjson.dumps(self._request).decode())
                    async for message in socket:
                        if message.type is not aiohttp.WSMsgType.TEXT:
                            break
                        yield None
            await asyncio.sleep(self._reconnect_seconds)


_WS_TIMEOUT = aiohttp.ClientWSTimeout(ws_close=5.0)


async def _read_limited(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        content += chunk
        if len(content) > RESPONSE_BYTES_MAX:
            raise TransientChainError(f"{response.url}: an answer of more than {RESPONSE_BYTES_MAX} bytes")
    return bytes(content)


def _has_number(answer: Mapping[str, Any]) -> bool:
    return type(answer.get("id")) is int


def _raise_error(error: object, where: str) -> NoReturn:
    """Raise what a JSON-RPC error object means; the only place that reads error codes and messages of nodes."""
    if not isinstance(error, dict):
        raise TransientChainError(f"{where}: {error!r}")
    code, data = error.get("code"), error.get("data")
    message = f"{where}: {error.get('message', '')}"
    if isinstance(data, str) and not data.startswith("0x"):
        message = f"{message} {data}"
    lowered = message.removeprefix(where).lower()
    if code == _REVERTED or any(phrase in lowered for phrase in _REVERTS):
        raise CallRevertedError(message, _revert_data(data))
    if any(phrase in lowered for phrase in _KNOWN):
        raise AlreadyKnownError(message)
    if any(phrase in lowered for phrase in _NONCE):
        raise NonceError(message)
    if any(phrase in lowered for phrase in _MISSING):
        raise MissingStateError(message)
    if any(phrase in lowered for phrase in _BUSY) or code in (-32603, -32005, 429):
        raise TransientChainError(message)
    raise PermanentChainError(message)


def _revert_data(data: object) -> bytes:
    if isinstance(data, dict):  # some nodes wrap it
        data = data.get("data")
    if isinstance(data, str) and data.startswith("0x"):
        with contextlib.suppress(ValueError):
            return bytes.fromhex(data[2:])
    return b""
