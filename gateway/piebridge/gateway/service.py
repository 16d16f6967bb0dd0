"""The gateway as a program: one event loop around the forwarder.

The shell is thin on purpose. Listeners tell the forwarder what they see, the queue carries out what it wants done, one
timer tells it that time has passed. Whoever kills this process at any moment loses nothing: it starts again from chain
state.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from piebridge.chains.endpoint import Block
from piebridge.crypto.errors import PieBridgeError, TransientChainError
from piebridge.gateway.archive import Archive
from piebridge.gateway.batching import GasModel
from piebridge.gateway.config import BrokerConfig, ChainConfig, GatewayConfig, RelayConfig
from piebridge.gateway.connections import connect
from piebridge.gateway.cursors import CursorStore
from piebridge.gateway.database import Database, typed_database_errors
from piebridge.gateway.flows import make_carriers
from piebridge.gateway.forwarder import (
    Defer,
    Event,
    Flow,
    Item,
    ItemsObserved,
    PacketForwarder,
    PathKey,
    Recheck,
    Submit,
)
from piebridge.gateway.later_look import LaterLook
from piebridge.gateway.listener import HubListener, Synced
from piebridge.gateway.prepared import Prepared
from piebridge.gateway.pulse import Pulse
from piebridge.gateway.queue import EffectQueue, InProcessQueue
from piebridge.gateway.reconciler import Reconciler
from piebridge.gateway.relay_listener import RelayListener
from piebridge.gateway.retry import retry_delays
from piebridge.gateway.sender import Sender
from piebridge.gateway.sending import Sending
from piebridge.gateway.surroundings import Surroundings
from piebridge.gateway.telemetry import Counters, serve_status
from piebridge.gateway.turns import PATIENCE_DEADLINES, Turns
from piebridge.protocol_stack.identifiers import FREE_RELAY
from piebridge.protocol_stack.relay_messages import TransactionKind
from piebridge.protocol_stack.verification.base import Method

if TYPE_CHECKING:
    from aiohttp import web

_LOG = logging.getLogger(__name__)


class Gateway:
    """A gateway with its chains, ready to :meth:`start`."""

    def __init__(self, config: GatewayConfig, surroundings: Surroundings | None = None) -> None:
        """Put the parts together; nothing is sent yet.

        Args:
            config: addresses, key, folder.
            surroundings: clocks, randomness, database, endpoints; those of this machine unless told.

        Raises:
            ConfigurationError: an address or key is malformed.
        """
        self._config = config
        self.counters = Counters()
        self.unreachable_at_start: tuple[str, ...] = ()
        """Names of the chains that did not answer when it started; it takes them up once they do."""
        self._surroundings = surroundings or Surroundings()
        self._monotonic = self._surroundings.monotonic
        self._database = self._surroundings.database(config)
        self._archive = Archive(self._database)
        self._cursors = CursorStore(self._database)
        self.forwarder = PacketForwarder(config.forwarder)
        self._started = self._surroundings.unix_time() - self._monotonic()
        self._stirred = asyncio.Event()
        self.connections = connect(config.reading, self._surroundings)
        self._sender = Sender(config, self.connections, self.counters, self._surroundings)
        self._turns = Turns(
            bytes.fromhex(self._surroundings.account(config.private_key).address[2:]),
            takeover_blocks=config.takeover_blocks,
            relays=sorted(self.connections.relays),
        )
        self._reconciler = Reconciler(self.connections, self._archive, self._cursors, self.forwarder, self._turns)
        self._later_look = LaterLook(self.connections, self._archive, self._reconciler, config.look_again_seconds)
        self._hub_listeners = {chain.registration: self._hub_listener(chain) for chain in config.chains}
        self._relay_listeners = {relay.relay: self._relay_listener(relay) for relay in config.relays}
        self._queue = self._make_queue()
        self._last_look: dict[str, float] = {}
        self._running: asyncio.Task[None] | None = None
        self._status: web.AppRunner | None = None

    @property
    def broker(self) -> BrokerConfig | None:
        """Redis and workers; None where there are none."""
        return self._config.broker

    async def start(self) -> None:
        """Open the status page, check the chains, and begin to carry.

        Raises:
            ConfigurationError: a node is of another chain than configured.
            OSError: the port of the status page is not free.
        """
        if self._config.status_address is not None:
            host, port = self._config.status_address
            self._status = await serve_status(host, port, self.counters, self.health, self._refresh_gauges)
        await self._check_chains()
        await self._refresh_turns()
        self._reconciler.observe_all(self._now())
        self._running = asyncio.create_task(self._run(), name=f"gateway {self._config.name}")

    async def wait(self) -> None:
        """Wait until the gateway is stopped.

        Raises:
            ConfigurationError: the database cannot be read or written any more.
            ExceptionGroup: a part of the program has failed in a way that it does not know.
        """
        if self._running is not None:
            await asyncio.wait({self._running})
            if not self._running.cancelled():
                with typed_database_errors(self._config.data_directory):
                    self._running.result()

    async def stop(self) -> None:
        """Stop carrying and close everything; what was under way is found again at the next start."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})
        if self._status is not None:
            await self._status.cleanup()
        await self.connections.close()
        self._database.close()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._queue.run(self._receive))
            tasks.create_task(self._drive())
            tasks.create_task(self._follow_turns())
            tasks.create_task(self._follow_database())
            tasks.create_task(self._reconcile_forever())
            tasks.create_task(self._look_later_forever())
            for registration, listener in self._hub_listeners.items():
                hub = self.connections.hubs[registration]
                tasks.create_task(self._follow(hub.endpoint.name, hub.endpoint.wakes, listener.sync, hub.pulse))
            for relay, relay_listener in self._relay_listeners.items():
                connection = self.connections.relays[relay]
                endpoint = connection.endpoint
                tasks.create_task(self._follow(endpoint.name, endpoint.wakes, relay_listener.sync, connection.pulse))

    def health(self) -> dict[str, Any]:
        """Return what operators want to know at a glance."""
        now = self._monotonic()
        silent = {name: round(now - seen, 1) for name, seen in self._last_look.items() if now - seen > _SILENT_SECONDS}
        queue = self._queue.health()
        return {
            "healthy": bool(self._last_look) and not silent and bool(queue["healthy"]),
            "name": self._config.name,
            "silent_chains": silent,
            "queue": queue,
            "paths": [
                {
                    "path": str(status.key),
                    "pending": status.pending,
                    "waiting": status.waiting,
                    "unchecked": status.unchecked,
                    "oldest_age_seconds": round(status.oldest_age_seconds, 1),
                    "last_failure": status.last_failure,
                    "stuck": [{"number": number, "reason": reason} for number, reason in status.stuck[:20]],
                }
                for status in self.forwarder.status(self._now())
            ],
        }

    # The loop around the forwarder

    async def _drive(self) -> None:
        """Hand out effects, then sleep until something happens or time is up."""
        while True:
            self._stirred.clear()
            now = self._now()
            self.forwarder.handle_timeout(now)
            for effect in self.forwarder.effects(now):
                self._queue.put(effect)
            self._take_finished()
            timeout = self.forwarder.next_timeout()
            pause = None if timeout is None else max(0.005, timeout - self._now())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stirred.wait()

    def _receive(self, event: Event) -> None:
        self.forwarder.receive(event, self._now())
        self._stirred.set()

    def _take_finished(self) -> None:
        """Keep in the caches what the chains said is done; leave to others what they are at work on."""
        now = self._now()
        finished: dict[PathKey, list[int]] = {}
        for path, item in self.forwarder.take_finished():
            finished.setdefault(path, []).append(item.number)
        for path, numbers in finished.items():
            self.counters.add("items_done", len(numbers), flow=path.flow_name)
            if self._turns.finished(path, numbers, now):
                self._defer(path, now, now)
            if path.flow is Flow.HUB_TO_RELAY:
                look_again_at = self._later_look.due_after_carrying(now)
                self._archive.mark_done(path.registration, path.outbox, numbers, look_again_at)
            elif path.flow is Flow.RELAY_TO_HUB:
                acknowledge = PathKey(Flow.ACKNOWLEDGE.value, path.registration, path.relay)
                self._defer(acknowledge, now, now + self._config.forwarder.acknowledge_after_seconds)
            elif path.flow is Flow.ACKNOWLEDGE:
                self._relay_listeners[path.relay].finished(path.registration, numbers)
            elif path.flow is Flow.SETTLE:
                for number in numbers:
                    self._reconciler.settled(path, number)

    def _defer(self, path: PathKey, now: float, begin: float) -> None:
        """Leave the items of a path to the gateways before this one, from a moment on."""
        delay = self._turns.gateway_delay_seconds(path, now)
        if delay:
            patience = begin - now + PATIENCE_DEADLINES * delay
            self.forwarder.receive(Defer(path, begin + delay, patience), now)

    # Listening

    async def _follow(
        self,
        name: str,
        wakes: Callable[[], AsyncIterator[None]],
        sync: Callable[[], Awaitable[object]],
        pulse: Pulse,
    ) -> None:
        """Look at a chain whenever it stirs, and at intervals; wait longer and longer while it fails."""
        woken = asyncio.Event()
        waker = asyncio.create_task(_wake(wakes, woken, pulse))
        delays = retry_delays(0.5, 15.0)
        try:
            while True:
                try:
                    await sync()
                    self._last_look[name] = self._monotonic()
                    delays = retry_delays(0.5, 15.0)
                    pause = self._config.poll_seconds
                except PieBridgeError as error:
                    self.counters.add("looks_failed", chain=name)
                    pause = next(delays)
                    _LOG.warning("cannot read %s, next try in %.1f s: %s", name, pause, error)
                    await asyncio.sleep(pause)
                    continue
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await woken.wait()
                woken.clear()
        finally:
            waker.cancel()

    def _hub_synced(self, registration: int, synced: Synced) -> None:
        now = self._now()
        for outbox, entry in synced.entries:
            self._reconciler.observe(registration, outbox, entry, now)
        for relay in self.connections.relays:  # what was in a block may be in a final one now
            self.forwarder.receive(Recheck(PathKey(Flow.RELAY_TO_HUB.value, registration, relay)), now)
            self.forwarder.receive(Recheck(PathKey(Flow.SETTLE.value, registration, relay)), now)
            for outbox in (FREE_RELAY, relay):  # what waits for blocks above it may be deep enough now
                self.forwarder.receive(Recheck(PathKey(Flow.HUB_TO_RELAY.value, registration, relay, outbox)), now)
        self._stirred.set()

    def _relay_synced(self, relay: int, destination: int, items: tuple[Item, ...]) -> None:
        path = PathKey(Flow.RELAY_TO_HUB.value, destination, relay)
        delay = self._turns.gateway_delay_seconds(path, self._now())
        delayed = tuple(replace(item, eligible_after_seconds=delay) for item in items)
        self._receive(ItemsObserved(path, delayed))

    # Reconciling

    async def _reconcile_forever(self) -> None:
        while True:
            await asyncio.sleep(self._config.reconcile_seconds)
            self._reconciler.observe_all(self._now())
            self._stirred.set()
            await self._refresh_clients()

    async def _look_later_forever(self) -> None:
        """Find what relay chains have forgotten unacknowledged."""
        while True:
            await asyncio.sleep(self._config.look_again_seconds / 2)
            if again := await self._later_look.look(self._now()):
                self.counters.add("entries_carried_again", again)
                self._stirred.set()

    async def _refresh_clients(self) -> None:
        """Move light clients on that nobody has used for long, before they expire."""
        for relay, connection in self.connections.relays.items():
            for registration, prover in connection.provers.items():
                try:
                    known = await connection.registration(registration)
                    if known is None or known.method is Method.NOTARY:
                        continue
                    update = await prover.overdue_update()
                    if update is not None:
                        await self._sender.submit_to_relay(relay, [(TransactionKind.UPDATE_CLIENT, update)])
                except PieBridgeError as error:
                    _LOG.warning("light client of registration %d was not refreshed: %s", registration, error)

    async def _follow_database(self) -> None:
        """Begin anew where somebody has deleted or replaced the file: everything in it is on the chains too."""
        while isinstance(self._database, Database):
            await asyncio.sleep(_DATABASE_SECONDS)
            if self._database.follow():
                self.counters.add("databases_lost")
                _LOG.error("ALARM: the gateway's database was deleted or replaced: reading the chains anew")

    # Turns

    async def _follow_turns(self) -> None:
        while True:
            await asyncio.sleep(_TURNS_SECONDS)
            await self._refresh_turns()

    async def _refresh_turns(self) -> None:
        """Ask which gateways are authorised, and how fast the chains are."""
        for relay, connection in self.connections.relays.items():
            try:
                gateways = await connection.reader.gateways()
                height = await connection.endpoint.latest_height()
            except PieBridgeError as error:
                _LOG.info("turns on relay chain %d are as they were: %s", relay, error)
                continue
            self._turns.authorise(relay, gateways)
            self._turns.relay_paces[relay].look(height, self._now())
        for registration, hub in self.connections.hubs.items():
            try:
                number = (await hub.endpoint.latest_block()).number
            except PieBridgeError as error:
                _LOG.info("the pace of %s is as it was: %s", hub.endpoint.name, error)
                continue
            self._turns.hub_paces[registration].look(number, self._now())

    # Putting together

    async def _check_chains(self) -> None:
        """A node of another chain ends the program; one that is down does not."""
        checks = [(hub.endpoint.name, hub.endpoint.check) for hub in self.connections.hubs.values()]
        checks += [(relay.endpoint.name, relay.endpoint.check) for relay in self.connections.relays.values()]
        unreachable = []
        for name, check in checks:
            try:
                await check()
            except TransientChainError as error:
                _LOG.warning("not reachable yet: %s", error)
                unreachable.append(name)
        self.unreachable_at_start = tuple(unreachable)

    def _make_queue(self) -> EffectQueue:
        sending = Sending(self._send, self.counters)
        if self._config.broker is None:

            async def catch_up(registration: int) -> None:
                await self._hub_listeners[registration].sync()

            carriers = make_carriers(self.connections, self._archive, catch_up, self.counters)
            return InProcessQueue(carriers.work_out, sending, self.counters)
        from piebridge.gateway.broker.celery_queue import CeleryQueue  # Celery only where it is wanted

        return CeleryQueue(self._config, self._config.broker, sending, self.counters)

    async def _send(self, effect: Submit, prepared: Prepared, sent: Callable[[], None]) -> None:
        await self._sender.send(effect, prepared, sent)
        self._turns.carried(effect.path, [number for number, _ in effect.forms])

    def _hub_listener(self, chain: ChainConfig) -> HubListener:
        registration = chain.registration

        async def final_block() -> Block:
            """A block is final when some relay chain of the domain can be shown it."""
            last: PieBridgeError | None = None
            for connection in self.connections.relays.values():
                try:
                    known = await connection.known(registration)
                    return await connection.provers[registration].final_block(known)
                except PieBridgeError as error:
                    last = error
            assert last is not None, "there is at least one relay chain"
            raise last

        return HubListener(
            self.connections.hubs[registration].endpoint,
            registration=registration,
            domain=self._config.domain,
            relays=self.connections.relays,
            first_block=chain.first_block,
            final_block=final_block,
            archive=self._archive,
            cursors=self._cursors,
            counters=self.counters,
            notify=lambda synced: self._hub_synced(registration, synced),
        )

    def _relay_listener(self, relay: RelayConfig) -> RelayListener:
        return RelayListener(
            self.connections.relays[relay.relay].reader,
            relay=relay.relay,
            destinations=self.connections.hubs,
            cursors=self._cursors,
            counters=self.counters,
            gas_model=GasModel(),
            notify=lambda destination, items: self._relay_synced(relay.relay, destination, items),
        )

    def _refresh_gauges(self) -> None:
        for status in self.forwarder.status(self._now()):
            path = str(status.key)
            self.counters.set("path_pending", status.pending, path=path)
            self.counters.set("path_waiting", status.waiting, path=path)
            self.counters.set("path_oldest_age_seconds", status.oldest_age_seconds, path=path)

    def _now(self) -> float:
        """Unix seconds that never run backwards, whatever is done to the system's clock."""
        return self._started + self._monotonic()


_SILENT_SECONDS = 60.0
_TURNS_SECONDS = 10.0
_DATABASE_SECONDS = 1.0


async def run_gateway(config: GatewayConfig) -> None:
    """Run a gateway until cancelled: the program behind ``piebridge gateway run``."""
    gateway = Gateway(config)
    try:
        await gateway.start()
        await gateway.wait()
    finally:
        await gateway.stop()


async def _wake(wakes: Callable[[], AsyncIterator[None]], woken: asyncio.Event, pulse: Pulse) -> None:
    async for _ in wakes():
        woken.set()
        pulse.beat()
