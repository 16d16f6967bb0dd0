"""Transactions that wait for a block. Pure apart from the application it asks; forgotten at a restart, as CometBFT's.

Source: ``mempool/clist_mempool.go``, ``mempool/cache.go``, ``mempool/errors.go`` of CometBFT v0.40.0.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from piebridge.abci.application import Application
from piebridge.abci.embedded.errors import MempoolError
from piebridge.abci.messages import CODE_OK, CheckTxKind, CheckTxResponse, ExecTxResult
from piebridge.cometbft.block import transaction_hash
from piebridge.cometbft.encoding import message_field


@dataclass(frozen=True, slots=True)
class MempoolLimits:
    """Bounds of the mempool; CometBFT's defaults."""

    max_txs: int = 5_000
    """Transactions that may wait."""
    max_total_bytes: int = 67_108_864
    """Their sum, bytes."""
    max_tx_bytes: int = 1_048_576
    """Largest single transaction, bytes."""
    cache_size: int = 10_000
    """Hashes remembered, so that a transaction does not come twice."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    tx: bytes
    gas_wanted: int


class Mempool:
    """First in, first out; each transaction once."""

    def __init__(self, application: Application, limits: MempoolLimits | None = None) -> None:
        """Create an empty mempool."""
        self._application = application
        self._limits = limits or MempoolLimits()
        self._waiting: OrderedDict[bytes, _Waiting] = OrderedDict()
        self._cache: OrderedDict[bytes, None] = OrderedDict()
        self._total_bytes = 0
        self._room_bytes = self._limits.max_tx_bytes
        self._max_gas = -1

    def bound_by_block(self, room_bytes: int, max_gas: int) -> None:
        """Refuse from now on what fits into no block: it would stay at the head of the queue for ever.

        Args:
            room_bytes: Room for encoded transactions in a block.
            max_gas: Room for the gas wanted; -1 is unlimited.
        """
        self._room_bytes, self._max_gas = room_bytes, max_gas

    def __len__(self) -> int:
        """Count the transactions that wait."""
        return len(self._waiting)

    @property
    def total_bytes(self) -> int:
        """Sum of their lengths."""
        return self._total_bytes

    def submit(self, tx: bytes) -> CheckTxResponse:
        """Ask the application and keep the transaction if it accepts.

        Raises:
            MempoolError: too large or too dear for any block, known already, or no room.
        """
        limits = self._limits
        encoded_length = len(message_field(1, tx))
        if encoded_length > self._room_bytes:
            raise MempoolError(f"tx pre check: tx size is too big: {encoded_length}, max: {self._room_bytes}")
        if len(tx) > limits.max_tx_bytes:
            raise MempoolError(f"Tx too large. Max size is {limits.max_tx_bytes}, but got {len(tx)}")
        if len(self._waiting) >= limits.max_txs or self._total_bytes + len(tx) > limits.max_total_bytes:
            raise MempoolError(
                f"mempool is full: number of txs {len(self._waiting)} (max: {limits.max_txs}), "
                f"total txs bytes {self._total_bytes} (max: {limits.max_total_bytes})"
            )
        key = transaction_hash(tx)
        if key in self._cache:
            self._cache.move_to_end(key)
            raise MempoolError("tx already exists in cache")
        response = self._application.check_tx(tx, CheckTxKind.NEW)
        if response.code == CODE_OK:
            if not self._fits(tx, response.gas_wanted):
                raise MempoolError(f"gas wanted {response.gas_wanted} is greater than max gas {self._max_gas}")
            self._remember(key)
            self._waiting[key] = _Waiting(tx, response.gas_wanted)
            self._total_bytes += len(tx)
        return response

    def reap(self, max_bytes: int, max_gas: int) -> tuple[bytes, ...]:
        """Return the transactions that fit into a block, in order; they stay until they are committed.

        Args:
            max_bytes: Room for the encoded transactions, tag and length of each included.
            max_gas: Room for the gas wanted; -1 is unlimited.
        """
        chosen: list[bytes] = []
        used_bytes = used_gas = 0
        for waiting in self._waiting.values():
            used_bytes += len(message_field(1, waiting.tx))
            used_gas += waiting.gas_wanted
            if used_bytes > max_bytes or (max_gas >= 0 and used_gas > max_gas):
                break
            chosen.append(waiting.tx)
        return tuple(chosen)

    def first(self, count: int) -> tuple[bytes, ...]:
        """Return the first ``count`` transactions."""
        return tuple(waiting.tx for _, waiting in zip(range(count), self._waiting.values(), strict=False))

    def update(self, txs: Sequence[bytes], results: Sequence[ExecTxResult]) -> None:
        """Drop what a block committed, and ask the application again about the rest."""
        for tx, result in zip(txs, results, strict=True):
            key = transaction_hash(tx)
            if result.code == CODE_OK:
                self._remember(key)
            else:
                self._cache.pop(key, None)  # it may become valid later
            self._drop(key)
        for key, waiting in list(self._waiting.items()):
            response = self._application.check_tx(waiting.tx, CheckTxKind.RECHECK)
            if response.code != CODE_OK or not self._fits(waiting.tx, response.gas_wanted):
                self._drop(key)
                self._cache.pop(key, None)

    def _fits(self, tx: bytes, gas_wanted: int) -> bool:
        return len(message_field(1, tx)) <= self._room_bytes and (self._max_gas < 0 or gas_wanted <= self._max_gas)

    def _drop(self, key: bytes) -> None:
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            self._total_bytes -= len(waiting.tx)

    def _remember(self, key: bytes) -> None:
        self._cache[key] = None
        self._cache.move_to_end(key)
        while len(self._cache) > self._limits.cache_size:
            self._cache.popitem(last=False)
