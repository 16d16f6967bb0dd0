"""The light clients of a relay chain in its state."""

from bisect import bisect_left, insort
from dataclasses import replace

from piebridge.protocol_stack.verification.light_clients.cometbft import (
    KEPT_HEIGHTS_MAX,
    ClientParameters,
    ConsensusState,
    is_misbehaviour,
)
from piebridge.relay.app import keys
from piebridge.relay.app.records import ClientRecord
from piebridge.relay.app.store import Store, View


def start(store: Store, registration: int, parameters: ClientParameters, state: ConsensusState) -> None:
    """Start a client, or start it afresh, at a checkpoint that the governors vouch for."""
    old = store.client(registration)
    for height in old.heights if old is not None else ():
        store.set(keys.consensus(registration, height), None)
    store.set_consensus(registration, state)
    store.set_client(registration, ClientRecord(parameters, frozen=False, heights=(state.height_on_source,)))


def contradicts(view: View, registration: int, client: ClientRecord, state: ConsensusState) -> bool:
    """Tell whether a verified header cannot be true together with what the client trusts."""
    heights, height = client.heights, state.height_on_source
    position = bisect_left(heights, height)
    neighbours = heights[max(position - 1, 0) : position + 2]
    known = {}
    for neighbour in neighbours:
        consensus = view.consensus(registration, neighbour)
        assert consensus is not None, "a client lists only heights that it keeps"
        known[neighbour] = consensus
    return is_misbehaviour(state, known.values())


def trust(store: Store, registration: int, client: ClientRecord, state: ConsensusState) -> ClientRecord:
    """Keep a verified header and forget the lowest ones beyond the limit; return the client as it is now."""
    heights = list(client.heights)
    insort(heights, state.height_on_source)
    store.set_consensus(registration, state)
    for height in heights[:-KEPT_HEIGHTS_MAX]:
        store.set(keys.consensus(registration, height), None)
    client = replace(client, heights=tuple(heights[-KEPT_HEIGHTS_MAX:]))
    store.set_client(registration, client)
    return client


def freeze(store: Store, registration: int, client: ClientRecord) -> None:
    """Stop a client that has seen misbehaviour; only a governor's checkpoint starts it again."""
    store.set_client(registration, replace(client, frozen=True))
