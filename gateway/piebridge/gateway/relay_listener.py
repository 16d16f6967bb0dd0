"""Follows the outboxes of a relay chain: tells the forwarder what is new toward each hub."""

import logging
from collections.abc import Callable, Iterable

from piebridge.crypto.errors import TransientChainError
from piebridge.gateway.batching import GasModel, item_of_relay_entry
from piebridge.gateway.cursors import Cursor, CursorStore
from piebridge.gateway.forwarder import Item
from piebridge.gateway.relay_reader import ENTRIES_PER_QUERY, ForgottenEntryError, RelayReader
from piebridge.gateway.telemetry import Counters
from piebridge.protocol_stack.transport.outbox import OutboxRange

_LOG = logging.getLogger(__name__)

_NUMBER_MAX = (1 << 63) - 1
"""No outbox grows that long; and no more does the gateway's database hold."""

NotifyItems = Callable[[int, tuple[Item, ...]], None]
"""Takes the hub's registration and the new items toward it."""


class RelayListener:
    """Reads the outboxes of one relay chain.

    The durable cursor of an outbox stands behind the last entry below which the relay chain keeps nothing any more: all
    of that was delivered and acknowledged. What lies above it is looked at again after every start.
    """

    def __init__(
        self,
        reader: RelayReader,
        *,
        relay: int,
        destinations: Iterable[int],
        cursors: CursorStore,
        counters: Counters,
        gas_model: GasModel,
        notify: NotifyItems,
    ) -> None:
        """Follow the outboxes toward some hubs."""
        self._reader = reader
        self._relay = relay
        self._destinations = tuple(destinations)
        self._cursors = cursors
        self._counters = counters
        self._gas_model = gas_model
        self._notify = notify
        self._known: dict[int, int] = {}
        self._finished: dict[int, set[int]] = {destination: set() for destination in self._destinations}

    async def sync(self) -> None:
        """Read what is new in all outboxes.

        Raises:
            TransientChainError: no node answers.
        """
        for destination in self._destinations:
            await self._sync_outbox(destination)

    def finished(self, destination: int, numbers: Iterable[int]) -> None:
        """Note that the relay chain has dropped entries' messages; moves the durable cursor where it can."""
        self._finished[destination].update(numbers)
        self._move_cursor(destination, self._cursor(destination))

    def _move_cursor(self, destination: int, moved: int) -> None:
        """Move the durable cursor to where nothing below is kept any more, and over what follows without a gap."""
        finished, cursor = self._finished[destination], self._cursor(destination)
        while moved + 1 in finished:
            moved += 1
            finished.discard(moved)
        if moved != cursor:
            self._cursors.save(self._name(destination), Cursor(moved, b""))

    async def _sync_outbox(self, destination: int) -> None:
        head = await self._reader.outbox_head(destination)
        if head is None:
            return
        if head.number > _NUMBER_MAX:
            raise TransientChainError(f"relay chain {self._relay} tells of {head.number} entries, which cannot be")
        known = self._known.get(destination, self._cursor(destination))
        if head.number < known:  # another chain than the one of the cursor
            _LOG.warning("outbox is shorter than the cursor: beginning anew", extra={"destination": destination})
            self._cursors.drop(self._name(destination))
            self._reader.forget(destination)
            self._finished[destination].clear()
            known = 0
        while known < head.number:
            last = min(head.number, known + ENTRIES_PER_QUERY)
            try:
                entries = await self._reader.entries(destination, known + 1, last)
            except ForgottenEntryError:
                known = await self._last_forgotten(destination, known + 1, head.number)
                self._known[destination] = known
                continue
            self._take(destination, entries)
            known = entries.last
            self._known[destination] = known
        self._counters.set("outbox_head", head.number, relay=self._relay, destination=destination)

    def _take(self, destination: int, entries: OutboxRange) -> None:
        items, bare = [], []
        for offset, entry in enumerate(entries.entries):
            item = item_of_relay_entry(entries.first + offset, entry, self._gas_model)
            if item is None:
                bare.append(entries.first + offset)
            else:
                items.append(item)
        if bare:
            self.finished(destination, bare)
        if items:
            self._notify(destination, tuple(items))

    async def _last_forgotten(self, destination: int, forgotten: int, head: int) -> int:
        """Return the newest entry that the relay chain shows no more; the head too, where nothing waits at all."""
        low, high = forgotten, head
        while low < high:
            middle = (low + high + 1) // 2
            try:
                await self._reader.entries(destination, middle, middle)
            except ForgottenEntryError:
                low = middle
            else:
                high = middle - 1
        # Not one by one: what a node tells must not decide how much is worked through here. Where something below is
        # still under way the cursor stays, and the next start finds out again.
        if self._cursor(destination) == forgotten - 1:
            self._move_cursor(destination, low)
        return low

    def _cursor(self, destination: int) -> int:
        cursor = self._cursors.load(self._name(destination))
        return 0 if cursor is None else cursor.number

    def _name(self, destination: int) -> str:
        return f"relay/{self._relay}/{destination}"
