"""An anvil node for tests, as PieBridge starts it, and a contract that behaves like a hub toward endpoints."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from piebridge.chains.jsonrpc import JsonRpcClient
from piebridge.crypto.errors import TransientChainError
from testkit.toolchain import require_tool

ANVIL_KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
"""First funded account of anvil's well-known mnemonic."""
ANVIL_CHAIN_ID = 31_337


@asynccontextmanager
async def running_anvil(
    *, block_time_seconds: float | None = None, chain_id: int = ANVIL_CHAIN_ID
) -> AsyncIterator[str]:
    """Start anvil on a free port; yield its address. Without a block time it mines on demand."""
    program = require_tool("anvil")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    arguments = ["--port", str(port), "--order", "fifo", "--slots-in-an-epoch", "1", "--hardfork", "prague", "--silent"]
    arguments += ["--chain-id", str(chain_id)]
    if block_time_seconds is not None:
        arguments += ["--block-time", str(block_time_seconds)]
    process = await asyncio.create_subprocess_exec(
        program, *arguments, stdout=asyncio.subprocess.DEVNULL, env={**os.environ, "NO_COLOR": "1"}
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with JsonRpcClient(url) as client:
            await _wait_until_ready(client)
        yield url
    finally:
        process.terminate()
        await process.wait()


async def _wait_until_ready(client: JsonRpcClient) -> None:
    for _ in range(200):
        try:
            await client.call("eth_chainId", [])
        except TransientChainError:
            await asyncio.sleep(0.05)
        else:
            return
    raise AssertionError("anvil does not answer")
