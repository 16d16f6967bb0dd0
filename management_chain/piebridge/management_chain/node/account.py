"""The account with which an agent reports: one transaction at a time, handed to every node, until it is in a block."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from eth_account import Account

from piebridge.chains.errors import AlreadyKnownError
from piebridge.chains.jsonrpc import JsonRpcClient
from piebridge.crypto.errors import ChainError, PermanentChainError, TransientChainError
from piebridge.crypto.signature import address_of_private_key

_POLL_SECONDS: Final = 0.25
_PRIORITY_FEE_WEI: Final = 1_000_000_000
_GAS_MARGIN_PERCENT: Final = 150


class AgentAccount:
    """One account, used by one agent only."""

    def __init__(self, clients: Sequence[JsonRpcClient], private_key: bytes, chain_id: int) -> None:
        """Send with a key.

        Args:
            clients: ``eth_*`` of the management chain's nodes; whoever made them closes them.
            private_key: 32 bytes.
            chain_id: EIP-155.
        """
        self._clients, self._private_key, self._chain_id = tuple(clients), private_key, chain_id
        self.address: Final = address_of_private_key(private_key)
        """20 bytes."""

    async def execute(self, contract: bytes, data: bytes, *, timeout_seconds: float = 30.0) -> None:
        """Send a call and return once some node has it in a block.

        Raises:
            PermanentChainError: it reverts.
            TransientChainError: no node takes it, or it is in no block in time.
        """
        problems: list[ChainError] = []
        for client in self._clients:
            try:
                raw = await self._sign(client, contract, data)
            except ChainError as error:
                problems.append(error)
                continue
            await self._hand_in(raw)
            await self._wait(client, raw, timeout_seconds)
            return
        refused = all(isinstance(problem, PermanentChainError) for problem in problems)
        kind = PermanentChainError if refused else TransientChainError
        raise kind(f"no node takes a report: {'; '.join(map(str, problems))}")

    async def _sign(self, client: JsonRpcClient, contract: bytes, data: bytes) -> "_Signed":
        sender = "0x" + self.address.hex()
        call = {"from": sender, "to": "0x" + contract.hex(), "data": "0x" + data.hex()}
        nonce, block, gas = await client.batch(
            [
                ("eth_getTransactionCount", [sender, "latest"]),
                ("eth_getBlockByNumber", ["latest", False]),
                ("eth_estimateGas", [call]),
            ]
        )
        if not (isinstance(nonce, str) and isinstance(gas, str) and isinstance(block, dict)):
            raise TransientChainError(f"{client.url}: no nonce, gas or block")
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": self._chain_id,
            "nonce": int(nonce, 16),
            "to": contract,
            "value": 0,
            "data": data,
            "gas": int(gas, 16) * _GAS_MARGIN_PERCENT // 100,
            "maxFeePerGas": 2 * int(str(block.get("baseFeePerGas") or "0x0"), 16) + _PRIORITY_FEE_WEI,
            "maxPriorityFeePerGas": _PRIORITY_FEE_WEI,
        }
        signed = Account.sign_transaction(fields, self._private_key)
        return _Signed(bytes(signed.raw_transaction), bytes(signed.hash))

    async def _hand_in(self, raw: "_Signed") -> None:
        problems: list[ChainError] = []
        for client in self._clients:
            try:
                await client.call("eth_sendRawTransaction", ["0x" + raw.bytes.hex()])
            except AlreadyKnownError:
                continue
            except ChainError as error:
                problems.append(error)
        if len(problems) == len(self._clients):
            raise problems[0]

    async def _wait(self, client: JsonRpcClient, raw: "_Signed", timeout_seconds: float) -> None:
        try:
            async with asyncio.timeout(timeout_seconds):
                while True:
                    receipt = await client.call("eth_getTransactionReceipt", ["0x" + raw.hash.hex()])
                    if isinstance(receipt, dict) and receipt.get("blockNumber") is not None:
                        break
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError as error:
            raise TransientChainError(
                f"{client.url}: transaction 0x{raw.hash.hex()} is in no block after {timeout_seconds:.0f} s"
            ) from error
        if receipt.get("status") != "0x1":
            raise PermanentChainError(f"{client.url}: transaction 0x{raw.hash.hex()} reverted")


class _Signed:
    __slots__ = ("bytes", "hash")

    def __init__(self, raw: bytes, digest: bytes) -> None:
        self.bytes, self.hash = raw, digest
