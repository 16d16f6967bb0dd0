"""Quotas: how much a sender may use up of the relay chain.

Each authorised gateway has so many transactions per window of 100 heights; all others share one quota, so that no set
of gateways can censor and no stranger can crowd them out. What fails costs ten, for it cost everybody a verification.
"""

from piebridge.relay.app import keys
from piebridge.relay.app.store import Store, View

WINDOW_HEIGHTS = 100
"""Heights of a window; a quota starts afresh at every multiple."""
VALID_COST = 1
"""Cost of a transaction that was valid, whether it brought something new or not; ``INVALID_COST`` is that of others."""

_STRANGERS = b"strangers"


def limit(view: View, sender: bytes) -> int:
    """Transactions per window of a sender: its own quota, or that of all strangers together."""
    own = view.gateway_quota(sender)
    return view.relay.stranger_quota if own is None else own


def account(view: View, sender: bytes) -> bytes:
    """Name under which a sender's use is counted."""
    return _STRANGERS if view.gateway_quota(sender) is None else sender


def used(view: View, sender: bytes, height: int) -> int:
    """What was used in the window of ``height`` under a sender's account."""
    data = view.get(keys.quota(account(view, sender)))
    if data is None or int.from_bytes(data[:8], "big") != height // WINDOW_HEIGHTS:
        return 0
    return int.from_bytes(data[8:], "big")


def charge(store: Store, sender: bytes, height: int, cost: int) -> None:
    """Count the cost of a transaction; the use may end above the limit."""
    total = used(store, sender, height) + cost
    store.set(
        keys.quota(account(store, sender)), (height // WINDOW_HEIGHTS).to_bytes(8, "big") + total.to_bytes(8, "big")
    )
