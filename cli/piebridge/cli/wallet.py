"""Transactions of one account on one EVM chain: signed here, sent together, waited for."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import rlp  # type: ignore[import-untyped]
from eth_utils.address import to_checksum_address

from piebridge.chains.errors import AlreadyKnownError, NonceError
from piebridge.chains.jsonrpc import JsonRpcClient
from piebridge.crypto.errors import ChainError, PermanentChainError, TransientChainError
from piebridge.crypto.hash import keccak256
from piebridge.crypto.signature import address_of_private_key

_POLL_SECONDS = 0.1
_PRIORITY_FEE_WEI = 1_000_000_000
_GAS_MARGIN_PERCENT = 125
_NONCE_ATTEMPTS = 5
_TAKEN = (NonceError, AlreadyKnownError)
"""Errors that say that another user of the key was faster. Nothing is ever handed in twice from here, so that a
transaction which is known already is the very same wish of somebody else."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a transaction does."""

    data: bytes
    """Call data, or creation code with constructor arguments."""
    to: bytes | None = None
    """Contract, 20 bytes; None creates one."""
    gas: int | None = None
    """Gas limit; None estimates it."""
    value: int = 0
    """Wei."""


class Wallet:
    """One account on one chain. Where somebody else uses its key as well, it signs anew by a later nonce."""

    def __init__(self, client: JsonRpcClient, private_key: bytes, evm_chain_id: int) -> None:
        """Use a key on a chain.

        Args:
            client: the chain's eth_* JSON-RPC.
            private_key: 32 bytes.
            evm_chain_id: signed into every transaction (EIP-155).
        """
        self._client = client
        self._private_key = private_key
        self._evm_chain_id = evm_chain_id
        self.address = address_of_private_key(private_key)
        """Address of the account, 20 bytes."""

    async def send(self, calls: Sequence[Call]) -> list[bytes]:
        """Sign and hand in calls with successive nonces; return the hashes of their transactions.

        Raises:
            PermanentChainError: the node refuses one, its gas estimation reverts, or other users of the key were
                always faster.
            TransientChainError: the node does not answer.
        """
        if not calls:
            return []
        limits = await self._gas_limits(calls)
        for _ in range(_NONCE_ATTEMPTS):
            nonce, fee = await self._nonce_and_fee()
            raw = [
                self._sign(call, nonce + offset, limit, fee)
                for offset, (call, limit) in enumerate(zip(calls, limits, strict=True))
            ]
            answers = await self._client.batch_results([("eth_sendRawTransaction", [_hex(item)]) for item in raw])
            # Where a part was taken, a second attempt would send that part twice.
            if not all(isinstance(answer, _TAKEN) for answer in answers):
                break
            await asyncio.sleep(random.uniform(0, _POLL_SECONDS))
        for answer in answers:
            if isinstance(answer, _TAKEN):
                raise PermanentChainError(
                    f"{self._client.url}: another transaction of {to_checksum_address(self.address)} was faster, again "
                    f"and again ({answer}): let its other users come to their end, then send again"
                ) from answer
            if isinstance(answer, ChainError):
                raise answer
        return [bytes.fromhex(str(item)[2:]) for item in answers]

    async def wait(self, hashes: Sequence[bytes], *, timeout_seconds: float = 60.0) -> list[dict[str, Any]]:
        """Return the receipts of transactions, in their order, once all are in blocks; reverted ones too.

        Raises:
            TransientChainError: one is in no block in time.
        """
        receipts: dict[bytes, dict[str, Any]] = {}
        deadline = time.monotonic() + timeout_seconds
        while missing := [item for item in hashes if item not in receipts]:
            answers = await self._client.batch([("eth_getTransactionReceipt", [_hex(item)]) for item in missing])
            receipts |= {
                item: answer
                for item, answer in zip(missing, answers, strict=True)
                if isinstance(answer, dict) and answer.get("blockNumber") is not None
            }
            if len(receipts) == len(set(hashes)):
                break
            if time.monotonic() > deadline:
                raise TransientChainError(
                    f"{self._client.url}: {len(hashes) - len(receipts)} of {len(hashes)} transactions are in no block "
                    f"after {timeout_seconds:.0f} s, the first is {_hex(missing[0])}"
                )
            await asyncio.sleep(_POLL_SECONDS)
        return [receipts[item] for item in hashes]

    async def execute(self, calls: Sequence[Call], *, timeout_seconds: float = 60.0) -> list[dict[str, Any]]:
        """Send calls, wait, and return their receipts.

        Raises:
            PermanentChainError: one of them reverted.
            TransientChainError: as :meth:`wait`.
        """
        receipts = await self.wait(await self.send(calls), timeout_seconds=timeout_seconds)
        for number, receipt in enumerate(receipts):
            if int(receipt["status"], 16) != 1:
                raise PermanentChainError(
                    f"{self._client.url}: transaction {receipt['transactionHash']} (number {number + 1} of "
                    f"{len(calls)}) reverted after {int(receipt['gasUsed'], 16)} gas"
                )
        return receipts

    async def _nonce_and_fee(self) -> tuple[int, int]:
        nonce, block = await self._client.batch(
            [("eth_getTransactionCount", [_hex(self.address), "pending"]), ("eth_getBlockByNumber", ["latest", False])]
        )
        if not isinstance(nonce, str) or not isinstance(block, dict):
            raise TransientChainError(f"{self._client.url}: no nonce or no block")
        return int(nonce, 16), 2 * int(block.get("baseFeePerGas") or "0x0", 16) + _PRIORITY_FEE_WEI

    async def _gas_limits(self, calls: Sequence[Call]) -> list[int]:
        unknown = [call for call in calls if call.gas is None]
        requests = [("eth_estimateGas", [self._request(call)]) for call in unknown]
        answers = iter(await self._client.batch(requests) if requests else [])
        return [
            call.gas if call.gas is not None else int(str(next(answers)), 16) * _GAS_MARGIN_PERCENT // 100
            for call in calls
        ]

    def _request(self, call: Call) -> dict[str, str]:
        request = {"from": _hex(self.address), "data": _hex(call.data), "value": hex(call.value)}
        return request | ({} if call.to is None else {"to": _hex(call.to)})

    def _sign(self, call: Call, nonce: int, gas: int, fee: int) -> bytes:
        from eth_account import Account  # here, because the import takes most of a second

        transaction: dict[str, Any] = {
            "type": 2,
            "chainId": self._evm_chain_id,
            "nonce": nonce,
            "gas": gas,
            "maxFeePerGas": fee,
            "maxPriorityFeePerGas": _PRIORITY_FEE_WEI,
            "value": call.value,
            "data": _hex(call.data),
        }
        if call.to is not None:
            transaction["to"] = to_checksum_address(call.to)
        return bytes(Account.sign_transaction(transaction, self._private_key).raw_transaction)


def contract_address(creator: bytes, nonce: int) -> bytes:
    """Return the address of the contract that an account creates with a nonce (Yellow Paper, equation 88)."""
    return keccak256(rlp.encode([creator, nonce]))[12:]


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
