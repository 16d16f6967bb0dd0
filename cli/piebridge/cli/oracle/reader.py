"""Reads parachains over ``eth_*`` JSON-RPC at one pinned block each, so that every answer is about the same state."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

import sha3  # type: ignore[import-untyped]

from piebridge.crypto.errors import PermanentChainError, TransientChainError

_TIMEOUT_SECONDS = 30.0
_LOG_WINDOW_BLOCKS = 2_000


def keccak(data: bytes) -> bytes:
    """Return keccak-256."""
    digest: bytes = sha3.keccak_256(data).digest()
    return digest


def mapping_slot(base: int, key: int) -> bytes:
    """Return the storage slot of ``mapping(uint256 => ...)`` number ``base`` at ``key``."""
    return keccak(key.to_bytes(32, "big") + base.to_bytes(32, "big"))


@dataclass(frozen=True, slots=True)
class Log:
    """A log of a contract."""

    address: str
    """Lower-case hex address of the contract that made it."""
    topics: tuple[bytes, ...]
    """Indexed values, 32 bytes each."""
    data: bytes
    """The rest."""
    block_number: int
    """Block that holds it."""


class ChainReader:
    """One parachain at one block."""

    def __init__(self, name: str, rpc_url: str) -> None:
        """Pin the newest block of a chain.

        Raises:
            TransientChainError: the endpoint does not answer.
        """
        self.name = name
        self._rpc_url = rpc_url
        self.block_number = int(self._call("eth_blockNumber", []), 16)

    def storage(self, address: str, slot: bytes) -> bytes:
        """Return the 32 bytes of a storage slot."""
        value = self._call("eth_getStorageAt", [address, "0x" + slot.hex(), hex(self.block_number)])
        return bytes.fromhex(value[2:]).rjust(32, b"\0")

    def call(self, address: str, data: bytes) -> bytes:
        """Return what a contract answers to a call."""
        answer = self._call("eth_call", [{"to": address, "data": "0x" + data.hex()}, hex(self.block_number)])
        return bytes.fromhex(answer[2:])

    def logs(self, addresses: list[str]) -> list[Log]:
        """Return all logs of some contracts from the first block on, in the order of the chain."""
        found: list[Log] = []
        for first in range(0, self.block_number + 1, _LOG_WINDOW_BLOCKS):
            last = min(first + _LOG_WINDOW_BLOCKS - 1, self.block_number)
            answer = self._call("eth_getLogs", [{"address": addresses, "fromBlock": hex(first), "toBlock": hex(last)}])
            found += [_log(entry) for entry in answer]
        return found

    def _call(self, method: str, parameters: list[Any]) -> Any:  # noqa: ANN401 - JSON-RPC results have any shape
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()
        request = urllib.request.Request(self._rpc_url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
                answer = json.load(response)
        except (OSError, urllib.error.URLError, json.JSONDecodeError) as error:
            raise TransientChainError(f"{self.name}: {method} at {self._rpc_url} failed: {error}") from error
        if "error" in answer:
            raise PermanentChainError(f"{self.name}: {method} was refused: {answer['error'].get('message')}")
        return answer["result"]


def _log(entry: dict[str, Any]) -> Log:
    return Log(
        address=entry["address"].lower(),
        topics=tuple(bytes.fromhex(topic[2:]) for topic in entry["topics"]),
        data=bytes.fromhex(entry["data"][2:]),
        block_number=int(entry["blockNumber"], 16),
    )
