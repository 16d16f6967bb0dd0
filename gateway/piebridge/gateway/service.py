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
from piebridge.crypto.signature import sign_recoverable
from piebridge.gateway.acknowledgement import AcknowledgementCarrier
from piebridge.gateway.archive import Archive
from piebridge.gateway.batching import GasModel
from piebridge.gateway.carrier import Carriers
from piebridge.gateway.config import ChainConfig, GatewayConfig, RelayConfig
from piebridge.gateway.connections import Connections, HubConnection, RelayConnection
from piebridge.gateway.cursors import CursorStore
from piebridge.gateway.database import typed_database_errors
from piebridge.gateway.forwarder import Effect, Event, Flow, Item, ItemsObserved, PacketForwarder, PathKey, Recheck
from piebridge.gateway.hub_state import HubState
from piebridge.gateway.hub_submitter import HubSubmitter
from piebridge.gateway.hub_to_relay import HubToRelayCarrier
from piebridge.gateway.listener import HubListener, Synced
from piebridge.gateway.prover import Prover
from piebridge.gateway.pulse import Pulse
from piebridge.gateway.queue import EffectQueue, InProcessQueue
from piebridge.gateway.reconciler import Reconciler
from piebridge.gateway.relay_listener import RelayListener
from piebridge.gateway.relay_reader import RelayReader
from piebridge.gateway.relay_submitter import RelaySubmitter
from piebridge.gateway.relay_to_hub import RelayToHubCarrier
from piebridge.gateway.retry import retry_delays
from piebridge.gateway.settlement import SettlementCarrier
from piebridge.gateway.surroundings import Surroundings
from piebridge.gateway.telemetry import Counters, serve_status
from piebridge.gateway.turns import Turns
from piebridge.protocol_stack.identifiers import FREE_RELAY
from piebridge.protocol_stack.relay_messages import RelayTransaction, TransactionKind
from piebridge.protocol_stack.verification.base import Method

if TYPE_CHECKING:
    from aiohttp import web

_LOG = logging.getLogger(__name__)


class Gateway:
    """A gateway with its chains, ready to :meth:`start`."""

    def __init__(
        self, config: GatewayConfig, queue: EffectQueue | None = None, surroundings: Surroundings | None = None
    ) -> None:
        """Put the parts together; nothing is sent yet.

        Args:
            config: addresses, key, folder.
            queue: where effects wait; within this process unless told.
            surroundings: clocks, randomness, database, endpoints; those of this machine unless told.

        Raises:
            ConfigurationError: an address or key is malformed.
        """
        self._config = config
        self.counters = Counters()
        self._surroundings = surroundings or Surroundings()
        self._monotonic = self._surroundings.monotonic
        self._database = self._surroundings.database(config)
        self._archive = Archive(self._database)
        self._cursors = CursorStore(self._database)
        self.forwarder = PacketForwarder(config.forwarder)
        self._queue = queue or InProcessQueue()
        self._started = self._surroundings.unix_time() - self._monotonic()
        self._stirred = asyncio.Event()
        self._gas_model = GasModel()
        self.connections = self._connect()
        relays = sorted(self.connections.relays)
        self._turns = Turns(
            index=config.index, count=config.count, takeover_seconds=config.takeover_seconds, relays=relays
        )
        self._reconciler = Reconciler(self.connections, self._archive, self._cursors, self.forwarder, self._turns)
        self._hub_listeners = {chain.registration: self._hub_listener(chain) for chain in config.chains}
        self._relay_listeners = {relay.relay: self._relay_listener(relay) for relay in config.relays}
        hub_state = HubState(self.connections)
        self._carriers = Carriers(
            {
                Flow.HUB_TO_RELAY: HubToRelayCarrier(self.connections, self._archive, self._hub_listeners),
                Flow.RELAY_TO_HUB: RelayToHubCarrier(self.connections, hub_state, self._gas_model),
                Flow.SETTLE: SettlementCarrier(self.connections, self._archive, hub_state),
                Flow.ACKNOWLEDGE: AcknowledgementCarrier(self.connections),
            },
            self.counters,
        )
        self._last_look: dict[str, float] = {}
        self._running: asyncio.Task[None] | None = None
        self._status: web.AppRunner | None = None

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
            tasks.create_task(self._queue.run(self._carry_out))
            tasks.create_task(self._drive())
            tasks.create_task(self._reconcile_forever())
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
        return {
            "healthy": bool(self._last_look) and not silent,
            "name": self._config.name,
            "silent_chains": silent,
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

    async def _carry_out(self, effect: Effect) -> None:
        self._receive(await self._carriers.carry_out(effect))

    def _receive(self, event: Event) -> None:
        self.forwarder.receive(event, self._now())
        self._stirred.set()

    def _take_finished(self) -> None:
        """Keep in the caches what the chains said is done."""
        finished: dict[PathKey, list[int]] = {}
        for path, item in self.forwarder.take_finished():
            finished.setdefault(path, []).append(item.number)
        for path, numbers in finished.items():
            self.counters.add("items_done", len(numbers), flow=path.flow_name)
            if path.flow is Flow.HUB_TO_RELAY:
                self._archive.mark_done(path.registration, path.outbox, numbers)
            elif path.flow is Flow.ACKNOWLEDGE:
                self._relay_listeners[path.relay].finished(path.registration, numbers)
            elif path.flow is Flow.SETTLE:
                for number in numbers:
                    self._reconciler.settled(path, number)

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
        delay = self._turns.gateway_delay_seconds(path)
        delayed = tuple(replace(item, eligible_after_seconds=delay) for item in items)
        self._receive(ItemsObserved(path, delayed))

    # Reconciling

    async def _reconcile_forever(self) -> None:
        while True:
            await asyncio.sleep(self._config.reconcile_seconds)
            self._reconciler.observe_all(self._now())
            self._stirred.set()
            await self._refresh_clients()

    async def _refresh_clients(self) -> None:
        """Move light clients on that nobody has used for long, before they expire."""
        for connection in self.connections.relays.values():
            for registration, prover in connection.provers.items():
                try:
                    known = await connection.registration(registration)
                    if known is None or known.method is Method.NOTARY:
                        continue
                    await prover.refresh_client()
                except PieBridgeError as error:
                    _LOG.warning("light client of registration %d was not refreshed: %s", registration, error)

    # Putting together

    async def _check_chains(self) -> None:
        """A node of another chain ends the program; one that is down does not."""
        checks = [hub.endpoint.check for hub in self.connections.hubs.values()]
        checks += [relay.endpoint.check for relay in self.connections.relays.values()]
        for check in checks:
            try:
                await check()
            except TransientChainError as error:
                _LOG.warning("not reachable yet: %s", error)

    def _connect(self) -> Connections:
        hubs = {chain.registration: self._connect_hub(chain) for chain in self._config.chains}
        relays = {relay.relay: self._connect_relay(relay, hubs) for relay in self._config.relays}
        return Connections(self._config.domain, hubs, relays)

    def _connect_hub(self, chain: ChainConfig) -> HubConnection:
        endpoint = self._surroundings.parachain(self._config, chain)
        pulse = Pulse()
        submitter = HubSubmitter(
            endpoint,
            self._surroundings.account(self._config.private_key),
            chain.evm_chain_id,
            self.counters,
            times=self._surroundings.submitter_times,
            clock=self._monotonic,
            pulse=pulse,
        )
        return HubConnection(chain, endpoint, submitter, pulse)

    def _connect_relay(self, relay: RelayConfig, hubs: dict[int, HubConnection]) -> RelayConnection:
        endpoint = self._surroundings.relay(self._config, relay)

        def sign(kind: int, body: bytes, valid_until: int, salt: int) -> bytes:
            transaction = RelayTransaction(
                TransactionKind(kind), self._config.domain, relay.relay, valid_until, salt, body
            )
            return transaction.signed(lambda digest: sign_recoverable(digest, self._config.private_key)).encode()

        reader = RelayReader(endpoint)
        times = self._surroundings.submitter_times
        pulse = Pulse()
        submitter = RelaySubmitter(
            endpoint,
            sign,
            self.counters,
            pulse=pulse,
            poll_seconds=times.relay_poll_seconds,
            rebroadcast_seconds=times.rebroadcast_seconds,
            give_up_seconds=times.give_up_seconds,
            clock=self._monotonic,
            salt=self._surroundings.salt,
        )
        provers = {
            registration: Prover(
                registration=registration,
                endpoint=hub.endpoint,
                reader=reader,
                submitter=submitter,
                notaries=self._surroundings.notaries(self._config, registration),
            )
            for registration, hub in hubs.items()
        }
        return RelayConnection(relay, endpoint, reader, submitter, pulse, provers, clock=self._monotonic)

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
            gas_model=self._gas_model,
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
