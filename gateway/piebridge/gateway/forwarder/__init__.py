"""The sans-IO core of the gateway: which messages go when, in which batch, in which form."""

from piebridge.gateway.forwarder.core import PacketForwarder
from piebridge.gateway.forwarder.model import (
    FORM_BARE,
    FORM_FULL,
    FORM_WITHOUT_BODY,
    Authenticate,
    Authenticated,
    Check,
    Checked,
    Defer,
    Delivery,
    Effect,
    Event,
    Failed,
    Flow,
    Item,
    ItemsObserved,
    PathKey,
    Recheck,
    Submit,
    Submitted,
)
from piebridge.gateway.forwarder.path import PathStatus
from piebridge.gateway.forwarder.settings import BatchLimits, ForwarderSettings

__all__ = [
    "FORM_BARE",
    "FORM_FULL",
    "FORM_WITHOUT_BODY",
    "Authenticate",
    "Authenticated",
    "BatchLimits",
    "Check",
    "Checked",
    "Defer",
    "Delivery",
    "Effect",
    "Event",
    "Failed",
    "Flow",
    "ForwarderSettings",
    "Item",
    "ItemsObserved",
    "PacketForwarder",
    "PathKey",
    "PathStatus",
    "Recheck",
    "Submit",
    "Submitted",
]
