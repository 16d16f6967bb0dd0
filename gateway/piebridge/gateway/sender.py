"""Signs and sends what is prepared: the one owner of the gateway's key, of its nonces and of what it learns about gas.

There is one sender in a gateway, whatever the number of workers that prepare batches for it. So a nonce has one owner
without any lock between processes, and a task that runs twice or dies half-way can never leave a transaction behind.
"""

import asyncio
from collections.abc import Callable

from piebridge.chains.errors import CallRevertedError
from piebridge.crypto.errors import ChainError, PermanentChainError, TransientChainError
from piebridge.crypto.hash import keccak256
from piebridge.crypto.signature import sign_recoverable
from piebridge.gateway.batching import LearnedGas
from piebridge.gateway.config import GatewayConfig
from piebridge.gateway.connections import Connections
from piebridge.gateway.forwarder import Flow, PathKey, Submit
from piebridge.gateway.hub_submitter import HubSubmitter, OutOfGasError
from piebridge.gateway.prepared import HubCall, Prepared
from piebridge.gateway.relay_submitter import RelaySubmitter
from piebridge.gateway.surroundings import Surroundings
from piebridge.gateway.telemetry import Counters
from piebridge.protocol_stack.relay_messages import RelayTransaction, TransactionKind

_NEWS_LENGTH = 4
_UPDATES_KEPT = 32
"""Updates of light clients that are remembered, for each relay chain: those of the last seconds."""


class Sender:
    """Sends to all chains of a gateway."""

    def __init__(
        self, config: GatewayConfig, connections: Connections, counters: Counters, surroundings: Surroundings
    ) -> None:
        """Take the gateway's key to its chains. Nobody else may send with it."""
        self._connections = connections
        self._counters = counters
        self._updates: dict[int, dict[tuple[int, bytes], None]] = {relay: {} for relay in connections.relays}
        self._learned = {registration: LearnedGas() for registration in connections.hubs}
        self._hubs = {
            registration: HubSubmitter(
                hub.endpoint,
                surroundings.account(config.private_key),
                hub.config.evm_chain_id,
                counters,
                times=surroundings.submitter_times,
                clock=surroundings.monotonic,
                pulse=hub.pulse,
            )
            for registration, hub in connections.hubs.items()
        }
        self._relays = {
            relay: RelaySubmitter(
                connection.endpoint,
                _signer(config, relay),
                counters,
                pulse=connection.pulse,
                poll_seconds=surroundings.submitter_times.relay_poll_seconds,
                rebroadcast_seconds=surroundings.submitter_times.rebroadcast_seconds,
                give_up_seconds=surroundings.submitter_times.give_up_seconds,
                clock=surroundings.monotonic,
                salt=surroundings.salt,
            )
            for relay, connection in connections.relays.items()
        }

    async def send(self, effect: Submit, prepared: Prepared, sent: Callable[[], None] = lambda: None) -> None:
        """Send a batch and wait until it is in a block.

        Args:
            effect: the batch.
            prepared: its transactions.
            sent: called once the far end's node has it; what is sent then comes behind it.

        Raises:
            ChainError: the first failure; of several calls the others have ended too by then, well or not.
        """
        path = effect.path
        if prepared.relay_transactions:
            sent()  # the submitter itself keeps the order in which it is called
            await self.submit_to_relay(path.relay, list(prepared.relay_transactions))
        if path.flow is Flow.RELAY_TO_HUB:
            for call in prepared.hub_calls:
                await self._send_range(path, call, sent, carried=len(effect.forms))
        else:
            calls = [self._send_call(path, call) for call in prepared.hub_calls]
            failures = [error for error in await asyncio.gather(*calls, return_exceptions=True) if error is not None]
            if failures:
                raise failures[0]

    async def submit_to_relay(self, relay: int, transactions: list[tuple[int, bytes]]) -> None:
        """Send transactions to a relay chain, one behind the other.

        Raises:
            TransactionRefusedError: one was refused.
            TransientChainError: one is in no block after the longest wait.
        """
        wanted = self._without_known_updates(relay, transactions)
        try:
            results = await self._relays[relay].submit_all(wanted)
        except ChainError:
            for item in wanted:
                self._updates[relay].pop(item, None)
            raise
        for (kind, _), result in zip(wanted, results, strict=True):
            if len(result.data) == _NEWS_LENGTH and not int.from_bytes(result.data, "big"):
                self._counters.add("redundant_transactions", chain=f"relay-{relay}", kind=kind)

    def _without_known_updates(self, relay: int, transactions: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        """Leave out updates of light clients that went before: paths of one hub need the same one at the same time."""
        known = self._updates[relay]
        wanted = []
        for item in transactions:
            if item[0] != TransactionKind.UPDATE_CLIENT:
                wanted.append(item)
            elif item not in known:
                wanted.append(item)
                known[item] = None
                if len(known) > _UPDATES_KEPT:
                    del known[next(iter(known))]
        return wanted

    async def _send_range(self, path: PathKey, call: HubCall, sent: Callable[[], None], *, carried: int) -> None:
        hub, learned = self._connections.hubs[path.registration], self._learned[path.registration]
        gas = learned.limit(call.gas_upper, call.gas_least)
        block_limit = (await hub.endpoint.latest_block()).gas_limit
        if block_limit and gas > block_limit:
            if carried > 1:
                raise PermanentChainError(f"{path}: the batch needs {gas} gas, a block has {block_limit}")
            gas = block_limit
        try:
            gas_used = await self._submit_to_hub(path, call.data, gas, sent)
        except (OutOfGasError, CallRevertedError) as error:
            if gas < call.gas_upper and (isinstance(error, OutOfGasError) or error.data[:4] == _INSUFFICIENT_GAS):
                learned.forget()
                raise TransientChainError(f"{path}: {gas} gas was too little, the next try has {call.gas_upper}") from (
                    error
                )
            raise
        learned.learn(call.gas_upper, gas_used)

    async def _send_call(self, path: PathKey, call: HubCall) -> None:
        await self._submit_to_hub(path, call.data, call.gas_upper)

    async def _submit_to_hub(
        self, path: PathKey, data: bytes, gas: int, sent: Callable[[], None] = lambda: None
    ) -> int:
        return (await self._hubs[path.registration].submit(data, gas, sent)).gas_used


def _signer(config: GatewayConfig, relay: int) -> Callable[[int, bytes, int, int], bytes]:
    def sign(kind: int, body: bytes, valid_until: int, salt: int) -> bytes:
        transaction = RelayTransaction(TransactionKind(kind), config.domain, relay, valid_until, salt, body)
        return transaction.signed(lambda digest: sign_recoverable(digest, config.private_key)).encode()

    return sign


_INSUFFICIENT_GAS = keccak256(b"InsufficientGas()")[:4]
