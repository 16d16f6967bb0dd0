"""Follows the outboxes of a relay chain: tells the forwarder what is new toward each hub."""

import logging
from collections.abc import Callable, Iterable

from piebridge.chains.errors import TransactionRefusedError
from piebridge.crypto.errors import TransientChainError
from piebridge.gateway.batching import GasModel, item_of_relay_entry
from piebridge.gateway.cursors import Cursor, CursorStore
from piebridge.gateway.forwarder import Item
from piebridge.gateway.relay_reader import ENTRIES_PER_QUERY, RelayReader
from piebridge.gateway.telemetry import Counters
from piebridge.protocol_stack.transport.outbox import OutboxRange

_LOG = logging.getLogger(__name__)

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
            except TransactionRefusedError:
                known = await self._skip_dropped(destination, known + 1, head.number)
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

    async def _skip_dropped(self, destination: int, first: int, last: int) -> int:
        """Return the entry before the oldest that the relay chain still shows; the head it always does.

        Raises:
            TransientChainError: it does not even show the head that it told.
        """
        low, high, shown = first, last, False
        while low < high or not shown:
            middle = (low + high) // 2
            try:
                await self._reader.entries(destination, middle, middle)
            except TransactionRefusedError as error:
                if middle == last:
                    raise TransientChainError(f"relay chain {self._relay} does not show its own head {last}") from error
                low = middle + 1
            else:
                high, shown = middle, True
        # Not one by one: what a node tells must not decide how much is worked through here. Where something below is
        # still under way the cursor stays, and the next start finds out again.
        if self._cursor(destination) == first - 1:
            self._move_cursor(destination, low - 1)
        return low - 1

    def _cursor(self, destination: int) -> int:
        cursor = self._cursors.load(self._name(destination))
        return 0 if cursor is None else cursor.number

    def _name(self, destination: int) -> str:
        return f"relay/{self._relay}/{destination}"
