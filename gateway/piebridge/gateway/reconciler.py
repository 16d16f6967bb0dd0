"""Finds everything that is pending, from chain state and the archive: at start, and at intervals.

What a queue, a subscription or this process has lost is found again here. Nothing is concluded from what this gateway
has done: each item goes through the forwarder, which asks the chains where it stands.
"""

from collections.abc import Collection

from piebridge.gateway.archive import Archive, ArchivedEntry
from piebridge.gateway.batching import decode_archived, item_of_hub_entry, packet_header
from piebridge.gateway.connections import Connections
from piebridge.gateway.cursors import Cursor, CursorStore
from piebridge.gateway.forwarder import Flow, Item, ItemsObserved, PacketForwarder, PathKey
from piebridge.gateway.settlement import nonce_of
from piebridge.gateway.turns import Turns
from piebridge.protocol_stack.identifiers import FREE_RELAY
from piebridge.protocol_stack.transport.outbox import Entry, Form, Maker, ReceiptsEntry


class Reconciler:
    """Turns entries of hubs into items of paths."""

    def __init__(
        self,
        connections: Connections,
        archive: Archive,
        cursors: CursorStore,
        forwarder: PacketForwarder,
        turns: Turns,
    ) -> None:
        """Feed a forwarder."""
        self._connections = connections
        self._archive = archive
        self._cursors = cursors
        self._forwarder = forwarder
        self._turns = turns
        self._settled: dict[PathKey, set[int]] = {}

    def observe_all(self, now: float) -> None:
        """Tell the forwarder of everything in the archive that is not known to be done."""
        for registration in self._connections.hubs:
            for outbox in self._archive.outboxes(registration):
                for entry in self._archive.undone(registration, outbox):
                    self.observe(registration, outbox, entry, now)
                if outbox != FREE_RELAY:
                    self._observe_unsettled(registration, outbox, now)

    def observe(self, registration: int, outbox: int, archived: ArchivedEntry, now: float) -> None:
        """Tell the forwarder of one entry, on each path that may carry it."""
        entry = decode_archived(archived, Maker(registration))
        relays = [outbox] if outbox != FREE_RELAY else list(self._connections.relays)
        if isinstance(entry, ReceiptsEntry):
            relays = [entry.batch.endorsing_relay]
        if not self._carry(registration, outbox, archived, entry, relays, now):
            self._archive.mark_done(registration, outbox, [archived.number])
        if outbox != FREE_RELAY and archived.form == Form.PACKET and (nonce := nonce_of(archived)):
            self._observe_transaction(registration, outbox, nonce, archived, now)

    def observe_receipts(
        self, registration: int, outbox: int, archived: ArchivedEntry, relays: Collection[int], now: float
    ) -> None:
        """Tell the forwarder of receipts that certain relay chains lack, whichever of them endorsed the batch."""
        wanted = [relay for relay in relays if outbox in (FREE_RELAY, relay)]
        self._carry(registration, outbox, archived, decode_archived(archived, Maker(registration)), wanted, now)

    def settled(self, path: PathKey, nonce: int) -> None:
        """Note that a transaction has ended at its origin; moves the durable cursor where it can."""
        settled = self._settled.setdefault(path, set())
        settled.add(nonce)
        cursor = moved = self._settlement_cursor(path)
        while moved + 1 in settled:
            moved += 1
            settled.discard(moved)
        if moved != cursor:
            self._cursors.save(_settlement_name(path), Cursor(moved, b""))

    def _carry(
        self,
        registration: int,
        outbox: int,
        archived: ArchivedEntry,
        entry: Entry,
        relays: Collection[int],
        now: float,
    ) -> bool:
        """Tell the forwarder of an entry on the paths to some relay chains; return whether any of them may carry it."""
        is_packet = packet_header(entry) is not None
        carried = False
        for relay in relays:
            if relay not in self._connections.relays:
                continue
            path = PathKey(Flow.HUB_TO_RELAY.value, registration, relay, outbox)
            delay = self._turns.gateway_delay_seconds(path, now)
            if is_packet and outbox == FREE_RELAY:
                delay += self._turns.relay_delay_seconds(registration, archived.height, relay)
            item = item_of_hub_entry(archived, entry, delay)
            if item is not None:
                carried = True
                self._forwarder.receive(ItemsObserved(path, (item,)), now)
        return carried

    def _observe_unsettled(self, registration: int, relay: int, now: float) -> None:
        newest = self._archive.head(registration, relay)
        if newest is None:
            return
        path = PathKey(Flow.SETTLE.value, registration, relay)
        cursor = self._settlement_cursor(path)
        for archived in self._archive.between(registration, relay, 1, newest.number):
            if archived.form == Form.PACKET and nonce_of(archived) > cursor:
                self._observe_transaction(registration, relay, nonce_of(archived), archived, now)

    def _observe_transaction(
        self, registration: int, relay: int, nonce: int, archived: ArchivedEntry, now: float
    ) -> None:
        path = PathKey(Flow.SETTLE.value, registration, relay)
        if nonce <= self._settlement_cursor(path):
            return
        delay = self._turns.gateway_delay_seconds(path, now)
        item = Item(nonce, archived.height, len(archived.content), eligible_after_seconds=delay)
        self._forwarder.receive(ItemsObserved(path, (item,)), now)

    def _settlement_cursor(self, path: PathKey) -> int:
        cursor = self._cursors.load(_settlement_name(path))
        return 0 if cursor is None else cursor.number


def _settlement_name(path: PathKey) -> str:
    return f"settle/{path.registration}/{path.relay}"
