"""Reads one chain over ``eth_*`` JSON-RPC, many answers in one request.

The node may be anybody's: whatever it answers, the outcome is a value of the type that is told, or a ``ChainError``.
"""

import binascii
import http.client
import json
import re
import reprlib
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from piebridge.crypto.errors import PermanentChainError, TransientChainError

_TIMEOUT_SECONDS = 30.0
_LOG_WINDOW_BLOCKS = 2_000
_BATCH_REQUESTS = 200
"""Requests in one HTTP request; nodes of others often refuse more than 1 000, some more than 250."""
_ANSWER_MAX_BYTES = 256 * 1024 * 1024
_BLOCKS_MAX = 1 << 32
"""No chain has more blocks, and nobody could look through them all."""
_TOPICS_MAX = 4
_WORD_BYTES = 32
_NUMBER = re.compile("0x[0-9a-fA-F]{1,64}")


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
        return self._number(self._ask("eth_blockNumber", [[]])[0], "block number", _BLOCKS_MAX)

    def words(self, address: str, slots: Iterable[bytes], block: int) -> dict[bytes, int]:
        """Return the storage words of a contract, by slot, as of a block."""
        wanted = sorted(set(slots))
        answers = self._ask("eth_getStorageAt", [[address, "0x" + slot.hex(), hex(block)] for slot in wanted])
        return {slot: self._number(answer, "storage word") for slot, answer in zip(wanted, answers, strict=True)}

    def storage_root(self, address: str, block: int) -> bytes:
        """Return the root of the trie of a contract's whole storage as of a block."""
        answer = self._ask("eth_getProof", [[address, [], hex(block)]])[0]
        return self._octets(self._member(answer, "storageHash"), "storage root", _WORD_BYTES)

    def call(self, address: str, data: bytes, block: int) -> bytes:
        """Return what a contract answers to a call as of a block."""
        answer = self._ask("eth_call", [[{"to": address, "data": "0x" + data.hex()}, hex(block)]])[0]
        return self._octets(answer, "answer of a call")

    def block_times(self, blocks: Iterable[int]) -> dict[int, int]:
        """Return the time stamps of blocks, Unix seconds."""
        wanted = sorted(set(blocks))
        answers = self._ask("eth_getBlockByNumber", [[hex(number), False] for number in wanted])
        times = (self._number(self._member(answer, "timestamp"), "time", 1 << 64) for answer in answers)
        return dict(zip(wanted, times, strict=True))

    def logs(self, addresses: Sequence[str], last_block: int) -> list[Log]:
        """Return all logs of some contracts from the first block to ``last_block``, in the order of the chain."""
        windows = [
            range(first, min(first + _LOG_WINDOW_BLOCKS, last_block + 1))
            for first in range(0, last_block + 1, _LOG_WINDOW_BLOCKS)
        ]
        queries = [
            [{"address": list(addresses), "fromBlock": hex(window[0]), "toBlock": hex(window[-1])}]
            for window in windows
        ]
        found = []
        for window, answer in zip(windows, self._ask("eth_getLogs", queries), strict=True):
            if not isinstance(answer, list):
                raise self._nonsense(answer, "list of logs")
            found += [self._log(entry, window) for entry in answer]
        return [log for _, log in sorted(found, key=lambda item: item[0])]

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
            by_number = {
                answer["id"]: answer
                for answer in answers
                if isinstance(answer, dict) and isinstance(answer.get("id"), int)
            }
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
                answer = response.read(_ANSWER_MAX_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            raise TransientChainError(f"{self.name}: {method} at {self._rpc_url} failed: {error}") from error
        if len(answer) > _ANSWER_MAX_BYTES:
            raise PermanentChainError(f"{self.name}: {method} at {self._rpc_url}: more than {_ANSWER_MAX_BYTES} bytes")
        try:
            return json.loads(answer)
        except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, or nested beyond measure
            raise TransientChainError(f"{self.name}: {method} at {self._rpc_url} is no JSON: {error}") from error

    def _member(self, answer: object, name: str) -> object:
        if not isinstance(answer, dict) or name not in answer:
            raise self._nonsense(answer, f"object with {name}")
        return answer[name]

    def _number(self, value: object, what: str, limit: int = 1 << 256) -> int:
        if not isinstance(value, str) or not _NUMBER.fullmatch(value) or int(value, 16) >= limit:
            raise self._nonsense(value, what)
        return int(value, 16)

    def _octets(self, value: object, what: str, length: int | None = None) -> bytes:
        try:
            if not isinstance(value, str) or not value.startswith("0x"):
                raise ValueError
            data = binascii.unhexlify(value[2:])
        except ValueError:
            raise self._nonsense(value, what) from None
        if length is not None and len(data) != length:
            raise self._nonsense(value, what)
        return data

    def _log(self, entry: object, blocks: range) -> tuple[tuple[int, int], Log]:
        """Return a log with its place in the chain."""
        topics = self._member(entry, "topics")
        if not isinstance(topics, list) or len(topics) > _TOPICS_MAX:
            raise self._nonsense(topics, "list of topics")
        number = self._number(self._member(entry, "blockNumber"), "block number", _BLOCKS_MAX)
        if number not in blocks:
            raise self._nonsense(number, f"block from {blocks[0]} to {blocks[-1]}")
        log = Log(
            address="0x" + self._octets(self._member(entry, "address"), "address", 20).hex(),
            topics=tuple(self._octets(topic, "topic", _WORD_BYTES) for topic in topics),
            data=self._octets(self._member(entry, "data"), "data of a log"),
            block_number=number,
        )
        return (number, self._number(self._member(entry, "logIndex"), "log index")), log

    def _nonsense(self, value: object, what: str) -> PermanentChainError:
        return PermanentChainError(f"{self.name}: {self._rpc_url} answers {reprlib.repr(value)}, which is no {what}")
