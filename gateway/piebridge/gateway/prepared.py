"""What is ready to be sent: the transactions of one batch, made from chain state alone and not signed yet.

Making them takes reads, proofs and checks, and may happen in any process, any number of times. Signing and sending them
happens in one place (:mod:`piebridge.gateway.sender`), which owns the gateway's key.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HubCall:
    """A call of a hub."""

    data: bytes
    """Call data."""
    gas_upper: int
    """Bound on the gas that it may need."""
    gas_least: int
    """Gas below which it cannot succeed, used or not."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The transactions of one batch: calls of a hub, or transactions of a relay chain."""

    hub_calls: tuple[HubCall, ...] = ()
    """On their way at the same time; none needs another."""
    relay_transactions: tuple[tuple[int, bytes], ...] = ()
    """Kind and body of each, in the order in which a block must take them."""
