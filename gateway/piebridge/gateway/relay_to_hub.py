"""Entries of a relay chain's outbox to a hub: a range, endorsed by k validators."""

import asyncio
from collections.abc import Callable

from piebridge.chains.errors import CallRevertedError
from piebridge.chains.evm.hub import receive_range_data
from piebridge.crypto.errors import PermanentChainError, TransientChainError, VerificationError
from piebridge.crypto.hash import keccak256
from piebridge.failpoints import reach
from piebridge.gateway.batching import GasModel, LearnedGas, reshaped
from piebridge.gateway.connections import Connections
from piebridge.gateway.endorsements import collect_endorsement
from piebridge.gateway.forwarder import Authenticate, Delivery, PathKey, Submit
from piebridge.gateway.hub_state import HubState
from piebridge.gateway.hub_submitter import OutOfGasError
from piebridge.gateway.slots import evidence_of
from piebridge.protocol_stack.codec import u32


class RelayToHubCarrier:
    """See the module's text."""

    def __init__(self, connections: Connections, hub_state: HubState, gas_model: GasModel) -> None:
        """Carry between these chains."""
        self._connections = connections
        self._hub_state = hub_state
        self._gas_model = gas_model
        self._learned: dict[int, LearnedGas] = {}
        self._turns: dict[int, asyncio.Lock] = {}

    async def check(self, path: PathKey, numbers: tuple[int, ...]) -> dict[int, Delivery]:
        """Say what the hub has. An entry that the relay chain keeps no more is done: the hub was proven to have it."""
        relay = self._connections.relays[path.relay]
        entries = await relay.reader.entries_by_number(path.registration, numbers)
        evidence = {
            number: pieces
            for number, entry in entries.items()
            if (pieces := evidence_of(entry, self._connections.domain, path.relay))
        }
        states = dict.fromkeys(numbers, Delivery.DONE)
        states |= await self._hub_state.deliveries(path.registration, path.relay, evidence)
        return states

    async def authenticate(self, effect: Authenticate) -> tuple[int, bytes]:
        """Collect the endorsement of the last wanted entry."""
        relay, path = self._connections.relays[effect.path.relay], effect.path
        reach("gateway.endorsement.before_collect")
        endorsement = await collect_endorsement(
            relay.endpoint, self._connections.domain, path.relay, path.registration, effect.at_least
        )
        reach("gateway.endorsement.after_collect")
        return effect.at_least, endorsement.value + endorsement.encoded

    async def submit(self, effect: Submit) -> None:
        """Send the range, behind those that were begun before it: hubs take ordered lanes in order only."""
        turn = _Turn(self._turns.setdefault(effect.path.registration, asyncio.Lock()))
        await turn.begin()
        try:
            await self._submit(effect, turn.end)
        finally:
            turn.end()

    async def _submit(self, effect: Submit, sent: Callable[[], None]) -> None:
        path = effect.path
        relay, hub = self._connections.relays[path.relay], self._connections.hubs[path.registration]
        value, endorsement = effect.evidence[:32], effect.evidence[32:]
        whole = await relay.reader.range(path.registration, effect.first, effect.last)
        chosen = reshaped(whole, dict(effect.forms))
        if chosen.fold().value != value:
            relay.reader.forget(path.registration)
            raise VerificationError(
                f"{path}: the relay chain's entries do not fold to the endorsed value", expected=value
            )
        envelope = u32(self._connections.domain) + u32(path.relay) + endorsement + chosen.encode()
        upper = self._gas_model.of_range(chosen, len(envelope))
        learned = self._learned.setdefault(path.registration, LearnedGas())
        gas = learned.limit(upper, self._gas_model.of_largest(chosen, len(envelope)))
        block_limit = (await hub.endpoint.latest_block()).gas_limit
        if block_limit and gas > block_limit:
            if len(effect.forms) > 1:
                raise PermanentChainError(f"{path}: the batch needs {gas} gas, a block has {block_limit}")
            gas = block_limit
        try:
            receipt = await hub.submitter.submit(receive_range_data(envelope), gas, sent)
        except (OutOfGasError, CallRevertedError) as error:
            if gas < upper and (isinstance(error, OutOfGasError) or error.data[:4] == _INSUFFICIENT_GAS):
                learned.forget()
                raise TransientChainError(f"{path}: {gas} gas was too little, the next try has {upper}") from error
            raise
        learned.learn(upper, receipt.gas_used)


class _Turn:
    """A place in a queue of senders; ended once, however often it is said."""

    def __init__(self, lock: asyncio.Lock) -> None:
        self._lock = lock
        self._is_mine = False

    async def begin(self) -> None:
        await self._lock.acquire()
        self._is_mine = True

    def end(self) -> None:
        if self._is_mine:
            self._is_mine = False
            self._lock.release()


_INSUFFICIENT_GAS = keccak256(b"InsufficientGas()")[:4]
