"""Entries of a relay chain's outbox to a hub: a range, endorsed by k validators or by the chain's commit."""

from piebridge.chains.evm.hub import receive_range_data
from piebridge.crypto.errors import ConfigurationError, VerificationError
from piebridge.failpoints import reach
from piebridge.gateway.batching import GasModel, reshaped
from piebridge.gateway.commits import CommittedState, collect_commit
from piebridge.gateway.connections import Connections
from piebridge.gateway.endorsements import collect_endorsement
from piebridge.gateway.forwarder import Authenticate, Delivery, PathKey, Submit
from piebridge.gateway.hub_state import HubState
from piebridge.gateway.prepared import HubCall, Prepared
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

    async def check(self, path: PathKey, numbers: tuple[int, ...]) -> dict[int, Delivery]:
        """Say what the hub has. Of an entry that the relay chain shows no more nothing is left to bring.

        The hub was proven to have it, or the relay chain gave up waiting for that; :mod:`piebridge.gateway.later_look`
        tells these two apart.
        """
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
        reach("gateway.endorsement.before_collect")
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
        reach("gateway.endorsement.after_collect")
        return effect.at_least, endorsement.value + endorsement.encoded

    async def prepare(self, effect: Submit) -> Prepared:
        """Put the range together, with bounds on its gas."""
        path = effect.path
        relay = self._connections.relays[path.relay]
        value, endorsement = effect.evidence[:32], effect.evidence[32:]
        whole = await relay.reader.range(path.registration, effect.first, effect.last)
        chosen = reshaped(whole, dict(effect.forms))
        if chosen.fold().value != value:
            relay.reader.forget(path.registration)
            raise VerificationError(
                f"{path}: the relay chain's entries do not fold to the endorsed value", expected=value
            )
        envelope = u32(self._connections.domain) + u32(path.relay) + endorsement + chosen.encode()
        call = HubCall(
            receive_range_data(envelope),
            gas_upper=self._gas_model.of_range(chosen, len(envelope)),
            gas_least=self._gas_model.of_largest(chosen, len(envelope)),
        )
        return Prepared(hub_calls=(call,))
