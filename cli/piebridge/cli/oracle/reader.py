"""Reads one chain over ``eth_*`` JSON-RPC, many answers in one request."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from piebridge.crypto.errors import PermanentChainError, TransientChainError

_TIMEOUT_SECONDS = 30.0
_LOG_WINDOW_BLOCKS = 2_000
_BATCH_REQUESTS = 200
"""Requests in one HTTP request; nodes of others often refuse more than 1 000, some more than 250."""


@dataclass(frozen=True, slots=True)
class Log:
    """A log of a contract."""

    address: str
    """Lower-case hex address of the contract that made it."""
    topics: tuple[bytes, ...]
    """Indexed values, 32 bytes each; the first is the event. May be empty."""
    data: bytes
    """The rest."""
    block_number: int
    """Block that holds it."""


class ChainReader:
    """One chain's endpoint."""

    def __init__(self, name: str, rpc_url: str) -> None:
        """Read from one endpoint.

        Args:
            name: of the chain, for messages.
            rpc_url: HTTP address of its ``eth_*`` JSON-RPC.
        """
        self.name = name
        self._rpc_url = rpc_url

    def newest_block(self) -> int:
        """Return the number of the newest block."""
        return int(self._ask("eth_blockNumber", [[]])[0], 16)

    def words(self, address: str, slots: Iterable[bytes], block: int) -> dict[bytes, int]:
        """Return the storage words of a contract, by slot, as of a block."""
        wanted = sorted(set(slots))
        answers = self._ask("eth_getStorageAt", [[address, "0x" + slot.hex(), hex(block)] for slot in wanted])
        return {slot: int(answer, 16) for slot, answer in zip(wanted, answers, strict=True)}

    def storage_root(self, address: str, block: int) -> bytes:
        """Return the root of the trie of a contract's whole storage as of a block."""
        answer = self._ask("eth_getProof", [[address, [], hex(block)]])[0]
        return bytes.fromhex(answer["storageHash"][2:])

    def call(self, address: str, data: bytes, block: int) -> bytes:
        """Return what a contract answers to a call as of a block."""
        answer = self._ask("eth_call", [[{"to": address, "data": "0x" + data.hex()}, hex(block)]])[0]
        return bytes.fromhex(answer[2:])

    def block_times(self, blocks: Iterable[int]) -> dict[int, int]:
        """Return the time stamps of blocks, Unix seconds."""
        wanted = sorted(set(blocks))
        answers = self._ask("eth_getBlockByNumber", [[hex(number), False] for number in wanted])
        return {number: int(answer["timestamp"], 16) for number, answer in zip(wanted, answers, strict=True)}

    def logs(self, addresses: Sequence[str], last_block: int) -> list[Log]:
        """Return all logs of some contracts from the first block to ``last_block``, in the order of the chain."""
        queries = [
            [
                {
                    "address": list(addresses),
                    "fromBlock": hex(first),
                    "toBlock": hex(min(first + _LOG_WINDOW_BLOCKS - 1, last_block)),
                }
            ]
            for first in range(0, last_block + 1, _LOG_WINDOW_BLOCKS)
        ]
        entries = [entry for answer in self._ask("eth_getLogs", queries) for entry in answer]
        entries.sort(key=lambda entry: (int(entry["blockNumber"], 16), int(entry["logIndex"], 16)))
        return [_log(entry) for entry in entries]

    def _ask(self, method: str, calls: Sequence[Sequence[Any]]) -> list[Any]:
        """Call one method with each of the given parameters and return the results in the same order.

        Raises:
            TransientChainError: the endpoint does not answer, or not in JSON.
            PermanentChainError: it refuses, or leaves an answer out.
        """
        results: list[Any] = []
        for start in range(0, len(calls), _BATCH_REQUESTS):
            part = calls[start : start + _BATCH_REQUESTS]
            answers = self._post(
                method,
                [
                    {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
                    for number, parameters in enumerate(part)
                ],
            )
            if not isinstance(answers, list):
                raise PermanentChainError(f"{self.name}: {self._rpc_url} takes no batches of requests: {answers}")
            by_number = {answer.get("id"): answer for answer in answers}
            for number in range(len(part)):
                answer = by_number.get(number, {"error": "no answer"})
                if answer.get("result") is None:
                    raise PermanentChainError(
                        f"{self.name}: {method} {part[number]} was refused: {answer.get('error', 'nothing there')}"
                    )
                results.append(answer["result"])
        return results

    def _post(self, method: str, document: object) -> Any:  # noqa: ANN401 - JSON has any shape
        body = json.dumps(document).encode()
        request = urllib.request.Request(self._rpc_url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
                return json.load(response)
        except (OSError, urllib.error.URLError, json.JSONDecodeError) as error:
            raise TransientChainError(f"{self.name}: {method} at {self._rpc_url} failed: {error}") from error


def _log(entry: dict[str, Any]) -> Log:
    return Log(
        address=entry["address"].lower(),
        topics=tuple(bytes.fromhex(topic[2:]) for topic in entry["topics"]),
        data=bytes.fromhex(entry["data"][2:]),
        block_number=int(entry["blockNumber"], 16),
    )
