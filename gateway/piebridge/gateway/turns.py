"""Who goes first: which gateway takes a path, and which relay chain a free packet.

A matter of thrift, never of safety: all gateways may do everything, and hubs and relay chains refuse duplicates.
Nothing is configured and nobody is asked. Every gateway reads on the relay chain which gateways are authorised, and
puts them in the same order for each path by rendezvous hashing. The first one carries; each of the others waits a
number of blocks longer than the one before it, and looks again before it takes over. As long as items of the path come
to their end by somebody else's work, the wait begins anew, up to a bound, so that a gateway that leaves something out
holds it up but cannot stop it. Who has taken over goes on without waiting for a while, so that a gateway that is gone
is waited for once and not at every batch.
"""

from collections import defaultdict, deque
from collections.abc import Collection, Sequence
from typing import TypeAlias

from piebridge.crypto.hash import keccak256
from piebridge.gateway.forwarder import Flow, PathKey
from piebridge.protocol_stack.codec import u8, u32
from piebridge.protocol_stack.routing import free_candidates

PATIENCE_DEADLINES = 10
"""Others' progress holds a gateway back for so many of its deadlines at most."""
HOLD_DEADLINES = 10
"""Who has taken over goes on for so many of its deadlines before it lets the one before it have the next turn."""

_Turn: TypeAlias = tuple[int, int, int]
"""Direction, registration, relay: paths that share a turn, for their transactions share proofs or a nonce."""
_FROM_HUB, _TO_HUB = 0, 1


class Pace:
    """How fast a chain makes blocks when it has work: the fastest of its last looks."""

    def __init__(self, looks: int = 6) -> None:
        """Know nothing: one second."""
        self._last: tuple[int, float] | None = None
        self._seconds: deque[float] = deque(maxlen=looks)

    @property
    def seconds(self) -> float:
        """Seconds for a block; chains that stand still without work are not taken for slow ones."""
        return min(max(min(self._seconds, default=1.0), 0.1), 15.0)

    def look(self, height: int, now: float) -> None:
        """Take note of the newest height."""
        if self._last is not None and height > self._last[0]:
            self._seconds.append((now - self._last[1]) / (height - self._last[0]))
        if self._last is None or height != self._last[0]:
            self._last = (height, now)


class Turns:
    """The order among the gateways of a domain and among its relay chains."""

    def __init__(self, own_address: bytes, *, takeover_blocks: int, relays: Sequence[int]) -> None:
        """Know nobody yet.

        Args:
            own_address: of this gateway's key, 20 bytes.
            takeover_blocks: how many blocks of both ends of a path each gateway leaves to the one before it.
            relays: relay chains of the domain.
        """
        self._own = own_address
        self._takeover_blocks = takeover_blocks
        self._relays = tuple(sorted(relays))
        self._authorised: dict[int, tuple[bytes, ...]] = {}
        self.relay_paces: dict[int, Pace] = defaultdict(Pace)
        """Pace of each relay chain."""
        self.hub_paces: dict[int, Pace] = defaultdict(Pace)
        """Pace of each hub's chain, by registration."""
        self._carried: dict[PathKey, set[int]] = defaultdict(set)
        self._held_until: dict[_Turn, float] = {}

    def authorise(self, relay: int, addresses: Collection[bytes]) -> None:
        """Take over which gateways a relay chain knows."""
        self._authorised[relay] = tuple(sorted(addresses))

    def authorised(self, relay: int) -> tuple[bytes, ...]:
        """Return the addresses of the gateways that a relay chain knows, ascending; none before it was asked."""
        return self._authorised.get(relay, ())

    def rank(self, path: PathKey) -> int:
        """Return how many gateways go before this one on a path.

        A stranger goes after all that are authorised, and so does everybody as long as the relay chain was not asked.
        """
        others = self._authorised.get(path.relay)
        if others is None:
            return 1
        if self._own not in others:
            return len(others)
        turn = _turn(path)
        own = _score(turn, self._own)
        return sum(_score(turn, other) > own for other in others if other != self._own)

    def deadline_seconds(self, path: PathKey) -> float:
        """Return how long each gateway leaves a path to the one before it."""
        pace = self.relay_paces[path.relay].seconds + self.hub_paces[path.registration].seconds
        return self._takeover_blocks * pace

    def gateway_delay_seconds(self, path: PathKey, now: float) -> float:
        """Return how long this gateway leaves the items of a path to the gateways before it."""
        if self._held_until.get(_turn(path), 0.0) > now:
            return 0.0
        return self.rank(path) * self.deadline_seconds(path)

    def relay_delay_seconds(self, registration: int, height_on_source: int, relay: int) -> float:
        """Return how long a free packet is left to the relay chains that its source block prefers."""
        candidates = free_candidates(self._relays, registration, height_on_source)
        rank = candidates.index(relay) if relay in candidates else len(candidates)
        path = PathKey(Flow.HUB_TO_RELAY.value, registration, relay)
        return rank * max(1, len(self.authorised(relay))) * self.deadline_seconds(path)

    def carried(self, path: PathKey, numbers: Collection[int]) -> None:
        """Note that this gateway has brought items to the other end."""
        self._carried[path].update(numbers)

    def finished(self, path: PathKey, numbers: Collection[int], now: float) -> bool:
        """Note that items have come to their end; return whether some did by somebody else's work."""
        turn, own = _turn(path), self._carried[path]
        others = not own.issuperset(numbers)
        own.difference_update(numbers)
        if others:
            self._held_until.pop(turn, None)
            return True
        if (rank := self.rank(path)) and turn not in self._held_until:
            self._held_until[turn] = now + HOLD_DEADLINES * rank * self.deadline_seconds(path)
        elif self._held_until.get(turn, now) < now:
            del self._held_until[turn]
        return False


def _turn(path: PathKey) -> _Turn:
    direction = _FROM_HUB if path.flow in (Flow.HUB_TO_RELAY, Flow.ACKNOWLEDGE) else _TO_HUB
    return direction, path.registration, path.relay


def _score(turn: _Turn, gateway: bytes) -> bytes:
    direction, registration, relay = turn
    return keccak256(u8(direction) + u32(registration) + u32(relay) + gateway)
