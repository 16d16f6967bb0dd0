"""Who goes first: which gateway takes a path, and which relay chain a free packet.

A matter of thrift, never of safety: all gateways may do everything, and hubs and relay chains refuse duplicates. The
others wait, each a little longer, and look again before they take over.
"""

from collections.abc import Sequence

from piebridge.crypto.hash import keccak256
from piebridge.gateway.forwarder import PathKey
from piebridge.protocol_stack.routing import free_candidates


class Turns:
    """The order among the gateways of a domain and among its relay chains."""

    def __init__(self, *, index: int, count: int, takeover_seconds: float, relays: Sequence[int]) -> None:
        """Take a gateway's place among ``count`` gateways, and the relay chains that it knows."""
        self._index = index
        self._count = count
        self._takeover_seconds = takeover_seconds
        self._relays = tuple(sorted(relays))

    def gateway_delay_seconds(self, path: PathKey) -> float:
        """Return how long this gateway leaves the items of a path to the gateways before it (rendezvous hashing)."""
        own = self._score(path, self._index)
        before = sum(self._score(path, other) > own for other in range(self._count) if other != self._index)
        return before * self._takeover_seconds

    def relay_delay_seconds(self, registration: int, height_on_source: int, relay: int) -> float:
        """Return how long a free packet is left to the relay chains that its source block prefers."""
        candidates = free_candidates(self._relays, registration, height_on_source)
        rank = candidates.index(relay) if relay in candidates else len(candidates)
        return rank * self._count * self._takeover_seconds

    def _score(self, path: PathKey, gateway: int) -> bytes:
        return keccak256(f"{path}/{gateway}".encode())
