"""``cometbft light``, CometBFT's own light client, against nodes under test; and a node's RPC that alters answers."""

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from testkit.toolchain import require_tool

Json = dict[str, Any]

_START_SECONDS = 20.0
_TRUSTING_PERIOD = "876000h"  # a hundred years: chains of tests may live at any date


class RefusedAnswerError(Exception):
    """An RPC answered with an error."""


@dataclass(slots=True)
class RpcClient:
    """Asks one JSON-RPC address."""

    address: str
    session: aiohttp.ClientSession
    _ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def ask(self, method: str, **params: Any) -> Json:  # noqa: ANN401 - JSON
        """Return the result of a call.

        Raises:
            RefusedAnswerError: the answer is an error.
        """
        call = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        async with self.session.post(self.address, json=call) as response:
            answer = await response.json(content_type=None)
        if "error" in answer:
            raise RefusedAnswerError(str(answer["error"]))
        result: Json = answer["result"]
        return result


@asynccontextmanager
async def light_proxy(
    home: Path, chain_id: str, primary: str, witnesses: Sequence[str], height: int, header_hash: bytes
) -> AsyncIterator[RpcClient]:
    """Run ``cometbft light`` from a trusted header on; yields a client of its verified RPC.

    Args:
        home: directory of its database and its log.
        chain_id: chain.
        primary: ``http://host:port`` of the RPC that it asks.
        witnesses: those that it compares with.
        height: height of the trusted header.
        header_hash: its hash.

    Raises:
        RefusedAnswerError: it ended instead of starting; the text is its log.
    """
    program = require_tool("cometbft")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    log_path = home / "light.log"
    arguments = [
        *("light", chain_id, "--primary", primary, "--witnesses", ",".join(witnesses)),
        *("--height", str(height), "--hash", header_hash.hex(), "--trusting-period", _TRUSTING_PERIOD),
        *("--home-dir", str(home / "light"), "--laddr", f"tcp://127.0.0.1:{port}"),
    ]
    with log_path.open("wb") as log:
        process = await asyncio.create_subprocess_exec(program, *arguments, stdout=log, stderr=log)
    try:
        await _wait_for_port(process, port, log_path)
        async with aiohttp.ClientSession() as session:
            yield RpcClient(f"http://127.0.0.1:{port}/", session)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _wait_for_port(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    deadline = asyncio.get_running_loop().time() + _START_SECONDS
    while process.returncode is None and asyncio.get_running_loop().time() < deadline:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
            continue
        writer.close()
        await writer.wait_closed()
        return
    raise RefusedAnswerError(await asyncio.to_thread(log.read_text))


Alter = Callable[[str, Json, Json], Awaitable[Json]]
"""Takes method, parameters and the result of the honest node; returns what is answered instead."""


@asynccontextmanager
async def altering_rpc(honest: str, alter: Alter) -> AsyncIterator[str]:
    """Serve the RPC of a node with altered results; yields its address."""
    async with aiohttp.ClientSession() as session:

        async def post(request: web.Request) -> web.Response:
            call = await request.json()
            async with session.post(honest, json=call) as response:
                answer = await response.json()
            if "result" in answer:
                answer["result"] = await alter(call["method"], call.get("params") or {}, answer["result"])
            return web.json_response(answer)

        async def websocket(request: web.Request) -> web.WebSocketResponse:
            """Stay open: the light client connects at its start, and nobody subscribes."""
            connection = web.WebSocketResponse()
            await connection.prepare(request)
            async for _ in connection:
                pass
            return connection

        application = web.Application()
        application.router.add_post("/", post)
        application.router.add_get("/websocket", websocket)
        runner = web.AppRunner(application, shutdown_timeout=1.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()
