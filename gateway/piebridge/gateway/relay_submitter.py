"""Transactions to a relay chain: signed, broadcast, and waited for until they are in a block or can never be."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable

from piebridge.chains.endpoint import RelayEndpoint, RelayTransactionResult
from piebridge.chains.errors import AlreadyKnownError, TransactionRefusedError
from piebridge.crypto.errors import TransientChainError
from piebridge.crypto.hash import sha256
from piebridge.failpoints import reach
from piebridge.gateway.pulse import Pulse
from piebridge.gateway.telemetry import Counters

_LOG = logging.getLogger(__name__)

SignTransaction = Callable[[int, bytes, int, int], bytes]
"""Kind, body, valid-until height, salt: the signed transaction."""

VALID_HEIGHTS = 200
"""For how many heights a transaction may be executed; at most 1 000."""


class RelaySubmitter:
    """Sends transactions of one gateway key to one relay chain. They need no order and no nonce."""

    def __init__(
        self,
        endpoint: RelayEndpoint,
        sign: SignTransaction,
        counters: Counters,
        *,
        pulse: Pulse | None = None,
        poll_seconds: float = 0.5,
        rebroadcast_seconds: float = 5.0,
        give_up_seconds: float = 75.0,
        clock: Callable[[], float] = time.monotonic,
        salt: Callable[[], int] = lambda: secrets.randbits(64),
    ) -> None:
        """Use a relay chain; pulse and times as for :class:`piebridge.gateway.hub_submitter.HubSubmitter`."""
        self._pulse = pulse or Pulse()
        self._endpoint = endpoint
        self._sign = sign
        self._counters = counters
        self._poll_seconds = poll_seconds
        self._rebroadcast_seconds = rebroadcast_seconds
        self._give_up_seconds = give_up_seconds
        self._clock = clock
        self._salt = salt
        self._sending = asyncio.Lock()

    async def submit(self, kind: int, body: bytes) -> RelayTransactionResult:
        """Send one transaction and wait until it is in a block.

        Raises:
            TransactionRefusedError: it was refused, at the door or in the block.
            TransientChainError: it is in no block after the longest wait.
        """
        return (await self.submit_all([(kind, body)]))[0]

    async def submit_all(self, transactions: list[tuple[int, bytes]]) -> list[RelayTransactionResult]:
        """Send transactions one behind the other, so that one block can take them in this order, and wait for all.

        Raises:
            TransactionRefusedError: one was refused; those behind it may have been executed all the same.
            TransientChainError: one is in no block after the longest wait.
        """
        async with self._sending:  # in the order in which they were asked for, so that ordered lanes stay in order
            valid_until = await self._endpoint.latest_height() + VALID_HEIGHTS
            signed = [self._sign(kind, body, valid_until, self._salt()) for kind, body in transactions]
            hashes = [await self._broadcast(transaction) for transaction in signed]
        results = []
        for transaction, transaction_hash, (kind, _) in zip(signed, hashes, transactions, strict=True):
            result = await self._wait(transaction, transaction_hash, valid_until)
            reach("gateway.relay.after_result")
            self._counters.add("relay_transactions", relay=self._endpoint.name, kind=kind, code=result.code)
            if result.code:
                raise TransactionRefusedError(
                    f"{self._endpoint.name}: transaction of kind {kind} failed in block {result.height} with code "
                    f"{result.code}: {result.log}",
                    result.code,
                    result.log,
                )
            results.append(result)
        return results

    async def _broadcast(self, transaction: bytes) -> bytes:
        reach("gateway.relay.before_broadcast")
        try:
            await self._endpoint.broadcast(transaction)
        except AlreadyKnownError:
            pass
        else:
            reach("gateway.relay.after_broadcast")
        return sha256(transaction)  # whatever the node calls it

    async def _wait(self, transaction: bytes, transaction_hash: bytes, valid_until: int) -> RelayTransactionResult:
        started = last_sent = self._clock()
        while True:
            result = await self._endpoint.transaction_result(transaction_hash)
            if result is not None:
                return result
            now = self._clock()
            if now - started >= self._give_up_seconds or await self._endpoint.latest_height() > valid_until:
                raise TransientChainError(
                    f"{self._endpoint.name}: transaction {transaction_hash.hex()} is in no block and no longer waited "
                    "for"
                )
            if now - last_sent >= self._rebroadcast_seconds:
                last_sent = now
                _LOG.info("rebroadcast", extra={"relay": self._endpoint.name, "transaction": transaction_hash.hex()})
                await self._broadcast(transaction)
            await self._pulse.wait(self._poll_seconds)
