"""A JSON-RPC proxy that lies, freezes, hangs or fails, for tests of whoever must not believe one node.

It stands in front of a real node (or another proxy) and forwards everything but what it was told to change. To lie to
one client only, give that client a proxy of its own.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import ClientSession, ClientTimeout, web

Edit = Callable[[str, list[Any], Any], Any]
"""Method, parameters, honest result: what the proxy answers."""


class LyingProxy:
    """Use as ``async with LyingProxy(node_url) as proxy:``, then give ``proxy.url`` to the victim."""

    def __init__(self, node_url: str, port: int = 0) -> None:
        """Stand in front of a node; honest until told otherwise."""
        self._node_url = node_url
        self._port = port
        self._edits: dict[str, Edit] = {}
        self._failing: dict[str, dict[str, Any]] = {}
        self._frozen: dict[str, Any] | None = None
        self._hanging = False
        self._http_status: int | None = None
        self._flapping = False
        self._flaps = 0
        self.calls: list[tuple[str, list[Any]]] = []
        """Every call that arrived."""
        self.lies = 0
        """Answers that were not the node's: a test of lies that told none has tested nothing."""
        self.url = ""

    async def __aenter__(self) -> "LyingProxy":
        self._released = asyncio.Event()
        self._session = ClientSession(timeout=ClientTimeout(total=30))
        application = web.Application()
        application.router.add_post("/", self._handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._released.set()
        await self._runner.cleanup()
        await self._session.close()

    def edit(self, method: str, edit: Edit) -> None:
        """Change the results of a method."""
        self._edits[method] = edit

    def fail(self, method: str, code: int, message: str) -> None:
        """Answer a method by a JSON-RPC error."""
        self._failing[method] = {"code": code, "message": message}

    def fail_http(self, status: int | None) -> None:
        """Answer everything by an HTTP status without JSON."""
        self._http_status = status

    def hang(self, hanging: bool = True) -> None:
        """Take requests and never answer."""
        self._hanging = hanging
        if not hanging:
            self._released.set()
            self._released = asyncio.Event()

    def flap(self, flapping: bool = True) -> None:
        """Refuse every other request by HTTP 503, as a node behind a sick load balancer does."""
        self._flapping = flapping

    async def freeze_latest(self) -> None:
        """From now on the newest block is the one that is newest now."""
        answer = await self._ask(
            {"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": ["latest", False]}
        )
        self._frozen = answer["result"]

    def honest(self) -> None:
        """Stop all lies."""
        self._edits.clear()
        self._failing.clear()
        self._frozen = None
        self._http_status = None
        self._flapping = False
        self.hang(False)

    async def _handle(self, request: web.Request) -> web.Response:
        body = await request.json()
        if self._flapping:
            self._flaps += 1
            if self._flaps % 2:
                self.lies += 1
                return web.Response(status=503, text="no healthy upstream")
        if self._hanging:
            self.lies += 1
            await self._released.wait()
            return web.Response(status=504)
        if self._http_status is not None:
            self.lies += 1
            return web.Response(status=self._http_status, text="<html>out of order</html>")
        if isinstance(body, list):
            return web.json_response([await self._answer(call) for call in body])
        return web.json_response(await self._answer(body))

    async def _answer(self, call: dict[str, Any]) -> dict[str, Any]:
        method, params = call["method"], call.get("params", [])
        self.calls.append((method, params))
        if method in self._failing:
            self.lies += 1
            return {"jsonrpc": "2.0", "id": call["id"], "error": self._failing[method]}
        if self._frozen is not None:
            if method == "eth_blockNumber":
                self.lies += 1
                return {"jsonrpc": "2.0", "id": call["id"], "result": self._frozen["number"]}
            if method == "eth_getBlockByNumber" and params and params[0] == "latest":
                self.lies += 1
                return {"jsonrpc": "2.0", "id": call["id"], "result": self._frozen}
        answer: dict[str, Any] = await self._ask(call)
        if method in self._edits and "result" in answer:
            edited = self._edits[method](method, params, json.loads(json.dumps(answer["result"])))
            self.lies += edited != answer["result"]
            answer["result"] = edited
        return answer

    async def _ask(self, call: Any) -> Any:  # noqa: ANN401 - JSON
        async with self._session.post(self._node_url, json=call) as response:
            return await response.json(content_type=None)
