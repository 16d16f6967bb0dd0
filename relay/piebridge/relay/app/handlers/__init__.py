"""Handlers of relay transactions, one kind each, in two steps.

``validate(ctx, message)`` reads only: it makes all checks on which the whole transaction stands and returns what it
found. ``execute(ctx, message, validated)`` changes the state and returns how much was new and what happened.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from piebridge.protocol_stack.relay_messages import TransactionKind
from piebridge.relay.app.context import Context, Events
from piebridge.relay.app.handlers import governor, hub_range, hub_slots, update_client


@dataclass(frozen=True, slots=True)
class Handler:
    """The two steps of one kind."""

    validate: Callable[[Context, Any], Any]
    """Check everything, change nothing."""
    execute: Callable[[Context, Any, Any], tuple[int, Events]]
    """Change the state; the first number says how much the transaction brought that was new."""


HANDLERS: Final[Mapping[TransactionKind, Handler]] = MappingProxyType(
    {
        TransactionKind.UPDATE_CLIENT: Handler(update_client.validate, update_client.execute),
        TransactionKind.HUB_RANGE: Handler(hub_range.validate, hub_range.execute),
        TransactionKind.HUB_SLOTS: Handler(hub_slots.validate, hub_slots.execute),
        TransactionKind.GOVERNOR: Handler(governor.validate, governor.execute),
    }
)
"""All kinds there are."""
