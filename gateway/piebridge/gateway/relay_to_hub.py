"""Entries of a relay chain's outbox to a hub: a range, endorsed by k validators or by the chain's commit."""

from piebridge.chains.errors import CallRevertedError
from piebridge.chains.evm.hub import receive_range_data
from piebridge.crypto.errors import ConfigurationError, PermanentChainError, TransientChainError, VerificationError
from piebridge.crypto.hash import keccak256
from piebridge.gateway.batching import GasModel, LearnedGas, reshaped
from piebridge.gateway.commits import CommittedState, collect_commit
from piebridge.gateway.connections import Connections
from piebridge.gateway.endorsements import collect_endorsement
from piebridge.gateway.forwarder import Authenticate, Delivery, PathKey, Submit
from piebridge.gateway.hub_state import HubState
from piebridge.gateway.hub_submitter import OutOfGasError
from piebridge.gateway.slots import evidence_of
from piebridge.protocol_stack.codec import u32
from piebridge.protocol_stack.endorsement import EndorsementMethod


class RelayToHubCarrier:
    """See the module's text."""

    def __init__(self, connections: Connections, hub_state: HubState, gas_model: GasModel) -> None:
        """Carry between these chains."""
        self._connections = connections
        self._hub_state = hub_state
        self._gas_model = gas_model
        self._learned: dict[int, LearnedGas] = {}

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
        """Collect the endorsement of the last wanted entry, or a commit that proves the newest one."""
        relay, path = self._connections.relays[effect.path.relay], effect.path
        if relay.config.endorsement is EndorsementMethod.COMMIT:
            if not isinstance(relay.endpoint, CommittedState):
                raise ConfigurationError(f"{relay.endpoint.name} cannot be read for commits")
            number, commit = await collect_commit(
                relay.endpoint, self._connections.domain, path.relay, path.registration, effect.at_least
            )
            return number, commit.value + commit.encoded
        endorsement = await collect_endorsement(
            relay.endpoint, self._connections.domain, path.relay, path.registration, effect.at_least
        )
        return effect.at_least, endorsement.value + endorsement.encoded

    async def submit(self, effect: Submit) -> None:
        """Send the range."""
        path = effect.path
        relay, hub = self._connections.relays[path.relay], self._connections.hubs[path.registration]
        value, endorsement = effect.evidence[:32], effect.evidence[32:]
        whole = await relay.reader.range(path.registration, effect.first, effect.last)
        chosen = reshaped(whole, dict(effect.forms))
        if chosen.fold().value != value:
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
            receipt = await hub.submitter.submit(receive_range_data(envelope), gas)
        except (OutOfGasError, CallRevertedError) as error:
            if gas < upper and (isinstance(error, OutOfGasError) or error.data[:4] == _INSUFFICIENT_GAS):
                learned.forget()
                raise TransientChainError(f"{path}: {gas} gas was too little, the next try has {upper}") from error
            raise
        learned.learn(upper, receipt.gas_used)


_INSUFFICIENT_GAS = keccak256(b"InsufficientGas()")[:4]
