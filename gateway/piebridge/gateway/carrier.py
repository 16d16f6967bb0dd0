"""Carries effects out: one carrier for each flow, and the one place where its errors become events.

An effect is *worked out* first, which only reads chains and can be done in any process, any number of times; what a
submission needs then is *sent*, which only the process with the gateway's key does.
"""

import logging
from typing import Protocol, TypeAlias

from piebridge.crypto.errors import PermanentChainError, PieBridgeError, TransientChainError
from piebridge.failpoints import reach
from piebridge.gateway.forwarder import (
    Authenticate,
    Authenticated,
    Check,
    Checked,
    Delivery,
    Effect,
    Failed,
    Flow,
    PathKey,
    Submit,
)
from piebridge.gateway.prepared import Prepared
from piebridge.gateway.telemetry import Counters

_LOG = logging.getLogger(__name__)

Answer: TypeAlias = Checked | Authenticated | Failed | Prepared
"""What working out an effect brings."""


class Carrier(Protocol):
    """Works out the effects of one flow. Raises the errors of PieBridge and no others."""

    async def check(self, path: PathKey, numbers: tuple[int, ...]) -> dict[int, Delivery]:
        """Say where items stand, from chain state."""
        ...

    async def authenticate(self, effect: Authenticate) -> tuple[int, bytes]:
        """Return the last entry that is authenticated, and the evidence."""
        ...

    async def prepare(self, effect: Submit) -> Prepared:
        """Return the transactions of a batch, unsigned."""
        ...


class Carriers:
    """All carriers of a gateway."""

    def __init__(self, carriers: dict[Flow, Carrier], counters: Counters) -> None:
        """Give each flow its carrier."""
        self._carriers = carriers
        self._counters = counters

    async def work_out(self, effect: Effect) -> Answer:
        """Work an effect out; whatever goes wrong is an answer too."""
        flow, kind = effect.path.flow_name, type(effect).__name__.lower()
        reach(f"gateway.{flow}.before_{kind}")
        try:
            answer = await _work_out(self._carriers[effect.path.flow], effect)
        except PieBridgeError as error:
            return failure_of(effect, error, self._counters)
        if not isinstance(answer, Prepared):
            reach(f"gateway.{flow}.after_{kind}")
        return answer


def count_done(effect: Effect, counters: Counters) -> None:
    """Count an effect that did what it should."""
    counters.add("effects_done", flow=effect.path.flow_name, effect=type(effect).__name__.lower())


def failure_of(effect: Effect, error: PieBridgeError, counters: Counters) -> Failed:
    """Turn an error into the event that tells the forwarder, counted and logged."""
    kind = type(effect).__name__.lower()
    permanent = not isinstance(error, TransientChainError)
    counters.add("effects_failed", flow=effect.path.flow_name, effect=kind)
    _LOG.log(
        logging.WARNING if permanent else logging.INFO,
        "%s of %s failed: %s",
        kind,
        effect.path,
        error,
        extra={"path": str(effect.path), "effect": effect.id, "kind": type(error).__name__},
    )
    # Only a refusal by a chain says something about the batch; a lying node or a wrong setting does not.
    return Failed(effect.id, str(error), permanent=permanent and isinstance(error, PermanentChainError))


async def _work_out(carrier: Carrier, effect: Effect) -> Answer:
    if isinstance(effect, Check):
        states = await carrier.check(effect.path, effect.numbers)
        return Checked(effect.id, tuple(states.items()))
    if isinstance(effect, Authenticate):
        last, evidence = await carrier.authenticate(effect)
        return Authenticated(effect.id, last, evidence)
    return await carrier.prepare(effect)
