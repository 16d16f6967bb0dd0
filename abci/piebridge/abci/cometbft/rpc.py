"""What a unit asks of its own node. Clients of chains use :mod:`piebridge.chains` instead."""

import base64
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from piebridge.abci.cometbft.errors import NodeRpcError


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """Where the own node is."""

    chain_id: str
    """Its chain."""
    height: int
    """Newest block, 0 before the first."""
    catching_up: bool
    """Whether it still fetches blocks that others have; until then it takes no transactions."""


@dataclass(frozen=True, slots=True)
class BroadcastAnswer:
    """What CheckTx said of a transaction."""

    code: int
    """0 accepts."""
    log: str
    """Reason for people."""


class NodeRpc:
    """A client of one node on this machine."""

    def __init__(self, url: str, timeout_seconds: float = 5.0) -> None:
        """Remember the address; the first call connects."""
        self._url = url
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def status(self) -> NodeStatus:
        """Ask where the node is.

        Raises:
            NodeRpcError: it does not answer.
        """
        result = await self._call("status", {})
        try:
            sync = result["sync_info"]
            return NodeStatus(
                str(result["node_info"]["network"]), int(sync["latest_block_height"]), bool(sync["catching_up"])
            )
        except (KeyError, TypeError, ValueError) as error:
            raise NodeRpcError(f"{self._url}: malformed status: {error!r}") from error

    async def broadcast(self, tx: bytes) -> BroadcastAnswer:
        """Offer a transaction to the node's mempool and wait for CheckTx.

        Raises:
            NodeRpcError: the node does not answer or does not take it: known already, too large, no room, catching up.
        """
        result = await self._call("broadcast_tx_sync", {"tx": base64.b64encode(tx).decode()})
        try:
            return BroadcastAnswer(int(result["code"]), str(result["log"]))
        except (KeyError, TypeError, ValueError) as error:
            raise NodeRpcError(f"{self._url}: malformed answer to a broadcast: {error!r}") from error

    async def _call(self, method: str, params: dict[str, str]) -> Any:  # noqa: ANN401 - JSON
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        headers = {"Content-Type": "application/json"}
        try:
            async with self._session.post(self._url, data=body, headers=headers) as response:
                answer = orjson.loads(await response.read())
        except (aiohttp.ClientError, OSError, TimeoutError, orjson.JSONDecodeError) as error:
            raise NodeRpcError(f"{self._url}: {type(error).__name__}: {error}") from error
        if not isinstance(answer, dict):
            raise NodeRpcError(f"{self._url}: answer to {method} is not JSON-RPC")
        if error_member := answer.get("error"):
            text = error_member.get("data") or error_member.get("message") if isinstance(error_member, dict) else ""
            raise NodeRpcError(str(text))
        return answer.get("result")
