"""Carries effects out: one carrier for each flow, and the one place where its errors become events."""

import logging
from typing import Protocol

from piebridge.crypto.errors import PermanentChainError, PieBridgeError, TransientChainError
from piebridge.failpoints import reach
from piebridge.gateway.forwarder import (
    Authenticate,
    Authenticated,
    Check,
    Checked,
    Delivery,
    Effect,
    Event,
    Failed,
    Flow,
    PathKey,
    Submit,
    Submitted,
)
from piebridge.gateway.telemetry import Counters

_LOG = logging.getLogger(__name__)


class Carrier(Protocol):
    """Carries out the effects of one flow. Raises the errors of PieBridge and no others."""

    async def check(self, path: PathKey, numbers: tuple[int, ...]) -> dict[int, Delivery]:
        """Say where items stand, from chain state."""
        ...

    async def authenticate(self, effect: Authenticate) -> tuple[int, bytes]:
        """Return the last entry that is authenticated, and the evidence."""
        ...

    async def submit(self, effect: Submit) -> None:
        """Send a batch and wait until it is in a block."""
        ...


class Carriers:
    """All carriers of a gateway."""

    def __init__(self, carriers: dict[Flow, Carrier], counters: Counters) -> None:
        """Give each flow its carrier."""
        self._carriers = carriers
        self._counters = counters

    async def carry_out(self, effect: Effect) -> Event:
        """Carry an effect out; whatever goes wrong is an event too."""
        carrier = self._carriers[effect.path.flow]
        flow, kind = effect.path.flow_name, type(effect).__name__.lower()
        reach(f"gateway.{flow}.before_{kind}")
        try:
            event = await _carry_out(carrier, effect)
        except PieBridgeError as error:
            permanent = not isinstance(error, TransientChainError)
            self._counters.add("effects_failed", flow=flow, effect=kind)
            _LOG.log(
                logging.WARNING if permanent else logging.INFO,
                "%s of %s failed: %s",
                kind,
                effect.path,
                error,
                extra={"path": str(effect.path), "effect": effect.id, "kind": type(error).__name__},
            )
            return Failed(effect.id, str(error), permanent=permanent and _is_about_the_batch(error))
        reach(f"gateway.{flow}.after_{kind}")
        self._counters.add("effects_done", flow=flow, effect=kind)
        if isinstance(effect, Submit):
            self._counters.add("items_carried", len(effect.forms), flow=flow)
            _LOG.info(
                "%d item(s) of %s carried",
                len(effect.forms),
                effect.path,
                extra={"path": str(effect.path), "first": effect.first, "last": effect.last},
            )
        return event


async def _carry_out(carrier: Carrier, effect: Effect) -> Event:
    if isinstance(effect, Check):
        states = await carrier.check(effect.path, effect.numbers)
        return Checked(effect.id, tuple(states.items()))
    if isinstance(effect, Authenticate):
        last, evidence = await carrier.authenticate(effect)
        return Authenticated(effect.id, last, evidence)
    await carrier.submit(effect)
    return Submitted(effect.id)


def _is_about_the_batch(error: PieBridgeError) -> bool:
    """Only a refusal by a chain says something about the batch; a lying node or a wrong setting does not."""
    return isinstance(error, PermanentChainError)
