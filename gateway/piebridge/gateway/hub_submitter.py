"""Transactions to a hub: one owner of the nonce of a key on a chain, fees, rebroadcast, replacement, receipts.

Several transactions can be under way at once; each waits for its own receipt. What a transaction did is not concluded
from its receipt: the forwarder looks at the hub's storage afterwards.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from piebridge.chains.endpoint import Fees, ParachainEndpoint, Receipt
from piebridge.chains.errors import AlreadyKnownError, CallRevertedError, NonceError
from piebridge.crypto.errors import PermanentChainError, TransientChainError
from piebridge.failpoints import reach
from piebridge.gateway.pulse import Pulse
from piebridge.gateway.telemetry import Counters

_LOG = logging.getLogger(__name__)

_REPLACEMENT_PERCENT = 125
"""Nodes demand at least 110 % of both fees for a replacement (geth) or 112.5 % (anvil, reth)."""
_NONCE_TRIES = 4


PRIORITY_FEE_MAX_WEI = 100 * 10**9
"""Most that is given to whoever makes the block. A node advises what it likes, and it may be his."""
FEE_MAX_WEI = 10_000 * 10**9
"""Most that is paid for a unit of gas. A chain that really wants more is waited for."""
_NONCE_MAX = (1 << 64) - 2
"""Largest nonce of a transaction (EIP-2681)."""


class OutOfGasError(PermanentChainError):
    """A transaction used up its gas limit."""


@dataclass(frozen=True, slots=True)
class SubmitterTimes:
    """Times of a submitter, seconds."""

    poll_seconds: float = 0.5
    """Longest pause between two looks for a receipt of a hub transaction; a new block ends it."""
    relay_poll_seconds: float = 0.5
    """Longest pause between two looks for the result of a relay transaction; a new block ends it."""
    rebroadcast_seconds: float = 5.0
    """After this, the same bytes are sent again."""
    replace_seconds: float = 15.0
    """After this, the same call is sent with the same nonce and higher fees; again after the same time."""
    give_up_seconds: float = 75.0
    """After this, nobody waits any more; below the forwarder's time-out for effects."""


@dataclass(slots=True)
class _Flight:
    """A transaction under way, with all its replacements."""

    nonce: int
    data: bytes
    gas: int
    fees: Fees
    raw: bytes
    hashes: list[bytes] = field(default_factory=list)


class HubAccount(Protocol):
    """Signs transactions: a local account of eth-account, or whoever stands in for one."""

    @property
    def address(self) -> str:
        """Checksummed address."""
        ...

    def sign_transaction(self, transaction_dict: dict[str, Any]) -> Any:  # noqa: ANN401 - eth-account's own type
        """Sign a transaction; the answer has ``raw_transaction`` and ``hash``."""
        ...


class HubSubmitter:
    """Owns the nonce of one key on one chain. There must be no other user of that key."""

    def __init__(
        self,
        endpoint: ParachainEndpoint,
        account: HubAccount,
        evm_chain_id: int,
        counters: Counters,
        *,
        times: SubmitterTimes | None = None,
        clock: Callable[[], float] = time.monotonic,
        pulse: Pulse | None = None,
    ) -> None:
        """Use a key on a chain.

        Args:
            endpoint: the chain.
            account: the gateway key's account.
            evm_chain_id: signed into every transaction (EIP-155).
            counters: where to count.
            times: waiting times.
            clock: seconds, never running backwards.
            pulse: tells of new blocks, so that a receipt is not looked for at intervals alone.
        """
        self._pulse = pulse or Pulse()
        self._endpoint = endpoint
        self._account = account
        self._evm_chain_id = evm_chain_id
        self._counters = counters
        self._times = times or SubmitterTimes()
        self._clock = clock
        self._sending = asyncio.Lock()
        self._next_nonce: int | None = None
        self._nonces_under_way: set[int] = set()

    @property
    def address(self) -> bytes:
        """Address of the key, 20 bytes."""
        return bytes.fromhex(self._account.address[2:])

    async def submit(self, data: bytes, gas: int, sent: Callable[[], None] = lambda: None) -> Receipt:
        """Send a call of the hub and wait until it is in a block.

        Args:
            data: call data.
            gas: gas limit.
            sent: called when the node has it; what is sent then comes behind it.

        Raises:
            CallRevertedError: it reverted; the message says why, as far as the node tells.
            OutOfGasError: the gas limit was too low.
            TransientChainError: it is in no block after the longest wait, or its nonce was used by something else.
        """
        flight = await self._send_new(data, gas)
        sent()
        try:
            receipt = await self._wait(flight)
        except TransientChainError:
            self._next_nonce = None  # whatever happened, the node knows better
            raise
        finally:
            self._nonces_under_way.discard(flight.nonce)
        reach("gateway.hub.after_receipt")
        self._counters.add("hub_transactions", chain=self._endpoint.name, succeeded=receipt.succeeded)
        self._counters.add("hub_gas_used", receipt.gas_used, chain=self._endpoint.name)
        if not receipt.succeeded:
            await self._diagnose(flight, receipt)
        return receipt

    async def _send_new(self, data: bytes, gas: int) -> _Flight:
        async with self._sending:
            last: NonceError | None = None
            for _ in range(_NONCE_TRIES):
                nonce = await self._take_nonce()
                flight = self._sign(nonce, data, gas, await self._fees())
                try:
                    await self._broadcast(flight)
                except NonceError as error:
                    _LOG.info("nonce %d was not the next one", nonce, extra={"chain": self._endpoint.name})
                    self._next_nonce = None
                    last = error
                    await asyncio.sleep(self._times.poll_seconds)
                    continue
                except PermanentChainError:
                    self._next_nonce = None
                    raise
                self._next_nonce = nonce + 1
                self._nonces_under_way.add(nonce)
                return flight
            raise TransientChainError(f"{self._endpoint.name}: no nonce was taken") from last

    async def _take_nonce(self) -> int:
        if self._next_nonce is None:
            nonce = await self._endpoint.nonce(self.address, pending=True)
            if not 0 <= nonce <= _NONCE_MAX:
                raise TransientChainError(f"{self._endpoint.name}: the node names {nonce} as nonce, which none can be")
            self._next_nonce = nonce
        return self._next_nonce

    async def _fees(self) -> Fees:
        """Return what the node advises, within what a gateway ever pays."""
        advised = await self._endpoint.fees()
        fees = _within_limits(advised)
        if fees != advised:
            _LOG.warning(
                "the node advises %d wei of priority fee and %d wei in all; at most %d and %d are paid",
                advised.max_priority_fee_per_gas,
                advised.max_fee_per_gas,
                PRIORITY_FEE_MAX_WEI,
                FEE_MAX_WEI,
                extra={"chain": self._endpoint.name},
            )
        return fees

    async def _broadcast(self, flight: _Flight) -> None:
        """Hand over the newest version; an outage is no reason to stop, for the bytes may have arrived."""
        reach("gateway.hub.before_send")
        try:
            await self._endpoint.send(flight.raw)
            reach("gateway.hub.after_send")
        except AlreadyKnownError:
            pass
        except NonceError:
            raise
        except TransientChainError as error:
            _LOG.warning("sending failed, will be repeated: %s", error, extra={"chain": self._endpoint.name})

    async def _wait(self, flight: _Flight) -> Receipt:
        started = last_sent = last_priced = self._clock()
        while True:
            await self._pulse.wait(self._times.poll_seconds)
            now = self._clock()
            try:
                receipt = await self._find_receipt(flight)
                if receipt is not None:
                    return receipt
                if now - started >= self._times.give_up_seconds:
                    raise _GaveUpError(
                        f"{self._endpoint.name}: transaction 0x{flight.hashes[-1].hex()} (nonce {flight.nonce}) is in "
                        f"no block after {self._times.give_up_seconds} s"
                    )
                if now - last_priced >= self._times.replace_seconds:
                    last_priced = last_sent = now
                    await self._replace(flight)
                elif now - last_sent >= self._times.rebroadcast_seconds:
                    last_sent = now
                    await self._check_gap(flight)
                    await self._broadcast(flight)
            except NonceError:
                await self._check_overtaken(flight)
            except _GaveUpError:
                raise
            except TransientChainError as error:
                if now - started >= self._times.give_up_seconds:
                    raise
                _LOG.warning("waiting for a receipt: %s", error, extra={"chain": self._endpoint.name})

    async def _find_receipt(self, flight: _Flight) -> Receipt | None:
        for transaction_hash in reversed(flight.hashes):
            receipt = await self._endpoint.receipt(transaction_hash)
            if receipt is None:
                continue
            if receipt.transaction_hash != transaction_hash or receipt.gas_used > flight.gas:
                raise TransientChainError(
                    f"{self._endpoint.name}: the receipt of 0x{transaction_hash.hex()} is of "
                    f"0x{receipt.transaction_hash.hex()} and {receipt.gas_used} gas, which cannot be"
                )
            return receipt
        return None

    async def _check_overtaken(self, flight: _Flight) -> None:
        """Find out who used the nonce: one of our versions, whose receipt must then appear, or a stranger."""
        if await self._endpoint.nonce(self.address) <= flight.nonce:
            return
        for _ in range(5):
            if await self._find_receipt(flight) is not None:
                return
            await asyncio.sleep(self._times.poll_seconds)
        raise _GaveUpError(
            f"{self._endpoint.name}: nonce {flight.nonce} of 0x{self.address.hex()} was used by another transaction: "
            "does another process use this key?"
        )

    async def _check_gap(self, flight: _Flight) -> None:
        """Find out whether the chain waits for a nonce that nobody will use: its block was reorganised away."""
        wanted = await self._endpoint.nonce(self.address, pending=True)
        if wanted < min(self._nonces_under_way, default=flight.nonce):
            raise _GaveUpError(
                f"{self._endpoint.name}: the node waits for nonce {wanted} of 0x{self.address.hex()}, which was used "
                f"before nonce {flight.nonce}: a reorganisation took that transaction out of the chain"
            )

    async def _replace(self, flight: _Flight) -> None:
        current, before = await self._fees(), flight.fees
        fees = _within_limits(
            Fees(
                max(current.max_fee_per_gas, before.max_fee_per_gas * _REPLACEMENT_PERCENT // 100 + 1),
                max(
                    current.max_priority_fee_per_gas, before.max_priority_fee_per_gas * _REPLACEMENT_PERCENT // 100 + 1
                ),
            )
        )
        if fees == before:  # more is not paid: the same bytes once more
            await self._broadcast(flight)
            return
        replacement = self._sign(flight.nonce, flight.data, flight.gas, fees)
        flight.fees, flight.raw = fees, replacement.raw
        flight.hashes += replacement.hashes
        self._counters.add("hub_replacements", chain=self._endpoint.name)
        await self._broadcast(flight)

    def _sign(self, nonce: int, data: bytes, gas: int, fees: Fees) -> _Flight:
        signed = self._account.sign_transaction(
            {
                "type": 2,
                "chainId": self._evm_chain_id,
                "nonce": nonce,
                "to": self._endpoint.hub_address,
                "value": 0,
                "data": data,
                "gas": gas,
                "maxFeePerGas": fees.max_fee_per_gas,
                "maxPriorityFeePerGas": fees.max_priority_fee_per_gas,
            }
        )
        return _Flight(nonce, data, gas, fees, bytes(signed.raw_transaction), [bytes(signed.hash)])

    async def _diagnose(self, flight: _Flight, receipt: Receipt) -> None:
        where = f"{self._endpoint.name}: transaction 0x{receipt.transaction_hash.hex()}"
        try:
            await self._endpoint.call(flight.data, sender=self.address, gas=flight.gas)
        except CallRevertedError as error:
            raise CallRevertedError(f"{where} reverted: {error}", error.data) from error
        if receipt.gas_used * 64 >= flight.gas * 63:
            raise OutOfGasError(f"{where} used up its gas limit of {flight.gas}")
        raise CallRevertedError(f"{where} reverted, but the same call succeeds now: chain state has moved on")


class _GaveUpError(TransientChainError):
    """Waiting has come to its end."""


def _within_limits(fees: Fees) -> Fees:
    total = min(fees.max_fee_per_gas, FEE_MAX_WEI)
    return Fees(total, min(fees.max_priority_fee_per_gas, PRIORITY_FEE_MAX_WEI, total))
