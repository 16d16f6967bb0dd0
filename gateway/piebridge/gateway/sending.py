"""Sends batches in the order in which the forwarder asked for them, however long each takes to be prepared.

Hubs and relay chains take ordered lanes in order only: a batch that overtakes the one before it is carried in vain.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Protocol

from piebridge.crypto.errors import PieBridgeError
from piebridge.failpoints import reach
from piebridge.gateway.carrier import count_done, failure_of
from piebridge.gateway.forwarder import Event, PathKey, Submit, Submitted
from piebridge.gateway.prepared import Prepared
from piebridge.gateway.telemetry import Counters

_LOG = logging.getLogger(__name__)

_PREDECESSOR_SECONDS = 20.0
"""A batch waits so long for the one before it. Order is a matter of thrift: what is stuck stops nobody for longer."""


class Send(Protocol):
    """Sends a prepared batch and waits until it is in a block; raises the errors of PieBridge and no others."""

    async def __call__(self, effect: Submit, prepared: Prepared, sent: Callable[[], None], /) -> None:
        """Send; call ``sent`` once the next one may follow."""
        ...


class Sending:
    """The batches of one gateway on their way out."""

    def __init__(self, send: Send, counters: Counters) -> None:
        """Send nothing yet."""
        self._send = send
        self._counters = counters
        self._last: dict[PathKey, asyncio.Event] = {}
        self._places: dict[int, tuple[asyncio.Event | None, asyncio.Event]] = {}

    def announce(self, effect: Submit) -> None:
        """Take a batch's place, behind those of its path that were announced before."""
        gone = asyncio.Event()
        before = self._last.get(effect.path)
        self._places[effect.id] = (None if before is None or before.is_set() else before), gone
        self._last[effect.path] = gone

    def give_up(self, effect: Submit) -> None:
        """Let those behind a batch pass: it will not be sent."""
        place = self._places.pop(effect.id, None)
        if place is not None:
            place[1].set()

    async def send(self, effect: Submit, prepared: Prepared) -> Event:
        """Send a batch that was announced, in its turn; whatever goes wrong is an event too."""
        before, gone = self._places.get(effect.id, (None, asyncio.Event()))
        try:
            if before is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_PREDECESSOR_SECONDS):
                        await before.wait()
            await self._send(effect, prepared, gone.set)
        except PieBridgeError as error:
            return failure_of(effect, error, self._counters)
        finally:
            self.give_up(effect)
        flow, kind = effect.path.flow_name, type(effect).__name__.lower()
        reach(f"gateway.{flow}.after_{kind}")
        count_done(effect, self._counters)
        self._counters.add("items_carried", len(effect.forms), flow=effect.path.flow_name)
        _LOG.info(
            "%d item(s) of %s carried",
            len(effect.forms),
            effect.path,
            extra={"path": str(effect.path), "first": effect.first, "last": effect.last},
        )
        return Submitted(effect.id)
