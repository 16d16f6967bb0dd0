"""The carrier of each flow, put together: alike in the gateway's own process and in its workers."""

from piebridge.gateway.acknowledgement import AcknowledgementCarrier
from piebridge.gateway.archive import Archive
from piebridge.gateway.batching import GasModel
from piebridge.gateway.carrier import Carriers
from piebridge.gateway.connections import Connections
from piebridge.gateway.forwarder import Flow
from piebridge.gateway.hub_state import HubState
from piebridge.gateway.hub_to_relay import CatchUp, HubToRelayCarrier
from piebridge.gateway.relay_to_hub import RelayToHubCarrier
from piebridge.gateway.settlement import SettlementCarrier
from piebridge.gateway.telemetry import Counters


def make_carriers(connections: Connections, archive: Archive, catch_up: CatchUp, counters: Counters) -> Carriers:
    """Return the carriers of all flows.

    Args:
        connections: chains to read.
        archive: entries of hubs' outboxes.
        catch_up: has the archive read on.
        counters: where to count.
    """
    hub_state = HubState(connections)
    return Carriers(
        {
            Flow.HUB_TO_RELAY: HubToRelayCarrier(connections, archive, catch_up),
            Flow.RELAY_TO_HUB: RelayToHubCarrier(connections, hub_state, GasModel()),
            Flow.SETTLE: SettlementCarrier(connections, archive, hub_state),
            Flow.ACKNOWLEDGE: AcknowledgementCarrier(connections),
        },
        counters,
    )
