"""Filters that clients poll: new blocks, new transactions, logs."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from piebridge.evm_chain.rpc_chain import RpcChain
from piebridge.evm_chain.rpc_errors import LIMIT_EXCEEDED, SERVER_ERROR, RpcError
from piebridge.evm_chain.rpc_format import Document, hexadecimal
from piebridge.evm_chain.rpc_parameters import LogFilter
from piebridge.evm_chain.transaction import SignedTransaction

FILTERS_MAX = 1_000
"""Filters at a time."""
IDLE_SECONDS_MAX = 300.0
"""A filter that nobody has polled for so long is forgotten."""
_TRANSACTIONS_MAX = 10_000


@dataclass(slots=True)
class _Filter:
    kind: str
    wanted: LogFilter | None
    next_number: int
    polled_at_seconds: float
    transactions: list[str] = field(default_factory=list)


class Filters:
    """The filters of one server."""

    def __init__(self, chain: RpcChain, monotonic: Callable[[], float]) -> None:
        """Watch a chain; ``monotonic`` gives seconds on any clock that never goes back."""
        self._chain = chain
        self._monotonic = monotonic
        self._filters: dict[str, _Filter] = {}
        chain.app.add_admission_listener(self._note_transaction)

    def add_log_filter(self, wanted: LogFilter) -> str:
        """Start a filter for logs; its identifier is returned."""
        return self._add("logs", wanted)

    def add_block_filter(self) -> str:
        """Start a filter for block hashes."""
        return self._add("blocks", None)

    def add_transaction_filter(self) -> str:
        """Start a filter for hashes of transactions that are new to the mempool."""
        return self._add("transactions", None)

    def remove(self, identifier: str) -> bool:
        """Forget a filter; whether there was one."""
        return self._filters.pop(identifier, None) is not None

    def changes(self, identifier: str) -> list[Document] | list[str]:
        """What is new since the last poll."""
        found = self._find(identifier)
        found.polled_at_seconds = self._monotonic()
        if found.kind == "transactions":
            hashes, found.transactions = found.transactions, []
            return hashes
        first, last = found.next_number, self._chain.head.header.number
        if found.kind == "blocks":
            found.next_number = last + 1
            return [hexadecimal(self._chain.header(number).hash) for number in range(first, last + 1)]
        assert found.wanted is not None
        first, last = self._bounds(found.wanted, first, last)
        logs = self._chain.logs_between(found.wanted, first, last)
        found.next_number = max(found.next_number, last + 1)
        return logs

    def logs(self, identifier: str) -> list[Document]:
        """All logs of a log filter."""
        found = self._find(identifier)
        if found.wanted is None:
            raise RpcError(SERVER_ERROR, "filter is not a log filter")
        found.polled_at_seconds = self._monotonic()
        return self._chain.logs(found.wanted)

    def _bounds(self, wanted: LogFilter, first: int, last: int) -> tuple[int, int]:
        if isinstance(wanted.first, int):
            first = max(first, wanted.first)
        if isinstance(wanted.last, int):
            last = min(last, wanted.last)
        return first, last

    def _add(self, kind: str, wanted: LogFilter | None) -> str:
        now = self._monotonic()
        idle = [key for key, item in self._filters.items() if now - item.polled_at_seconds > IDLE_SECONDS_MAX]
        for key in idle:
            del self._filters[key]
        if len(self._filters) >= FILTERS_MAX:
            raise RpcError(LIMIT_EXCEEDED, f"there are {FILTERS_MAX} filters already: uninstall some")
        identifier = hex(secrets.randbits(128))
        self._filters[identifier] = _Filter(kind, wanted, self._chain.head.header.number + 1, now)
        return identifier

    def _find(self, identifier: str) -> _Filter:
        found = self._filters.get(identifier)
        if found is None:
            raise RpcError(SERVER_ERROR, "filter not found")
        return found

    def _note_transaction(self, transaction: SignedTransaction) -> None:
        for item in list(self._filters.values()):
            if item.kind == "transactions" and len(item.transactions) < _TRANSACTIONS_MAX:
                item.transactions.append(hexadecimal(transaction.hash))
