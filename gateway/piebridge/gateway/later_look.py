"""Free packets and receipts once more, some time after a relay chain has taken them: have they come to their end?

A relay chain forgets a free packet, or the receipt of one, that nobody acknowledges within its retention time, and can
then be given both again. So what it has recorded is not settled yet. Settled it is by what hubs have in a final block:
the destination the packet and, if one is wanted, the source the receipt. What is not settled and lies at no relay chain
any more is handed to the forwarder again, as often as it takes; hubs and relay chains refuse duplicates.

Packets of transactions are no matter of this: relay chains keep them until they are acknowledged.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from piebridge.crypto.errors import ChainError
from piebridge.gateway import slots
from piebridge.gateway.archive import Archive, ArchivedEntry
from piebridge.gateway.batching import decode_archived
from piebridge.gateway.connections import Connections
from piebridge.gateway.forwarder import Delivery
from piebridge.gateway.hub_state import HubState
from piebridge.gateway.slots import Evidence
from piebridge.protocol_stack.header import Header
from piebridge.protocol_stack.identifiers import FREE_RELAY
from piebridge.protocol_stack.stack import STACK
from piebridge.protocol_stack.transport.outbox import Maker, PacketEntry, ReceiptsEntry

_LOG = logging.getLogger(__name__)

_ENTRIES_PER_LOOK = 1_000
_PAUSE_FACTOR = 5
"""Whoever was not settled at the first look is looked at so much less often from then on."""


class CarryAgain(Protocol):
    """Hands entries of a hub's outbox to the forwarder again."""

    def observe(self, registration: int, outbox: int, archived: ArchivedEntry, now: float) -> None:
        """Have an entry carried, wherever it may be."""
        ...

    def observe_receipts(
        self, registration: int, outbox: int, archived: ArchivedEntry, relays: Collection[int], now: float
    ) -> None:
        """Have receipts carried to certain relay chains: those that know their packets."""
        ...


class LaterLook:
    """See the module's text."""

    def __init__(self, connections: Connections, archive: Archive, carry: CarryAgain, first_seconds: float) -> None:
        """Look at what is in an archive.

        Args:
            connections: chains to ask.
            archive: entries of hubs' outboxes.
            carry: takes what has to be carried again.
            first_seconds: how long after a relay chain has taken an entry the first look is.
        """
        self._connections = connections
        self._archive = archive
        self._carry = carry
        self._hub_state = HubState(connections)
        self._first_seconds = first_seconds

    def due_after_carrying(self, now: float) -> int:
        """Return from when on an entry is to be looked at that a relay chain was just seen to have, Unix seconds."""
        return int(now + self._first_seconds)

    async def look(self, now: float) -> int:
        """Look at everything that is due; return how many entries were handed over to be carried again.

        What cannot be told because a chain does not answer stays due.
        """
        again = 0
        for registration in self._connections.hubs:
            for outbox in self._archive.outboxes(registration):
                last = 0
                while entries := self._archive.due(registration, outbox, int(now), last, _ENTRIES_PER_LOOK):
                    last = entries[-1].number
                    try:
                        again += await self._look_at(registration, outbox, entries, now)
                    except ChainError as error:
                        _LOG.info("entries of registration %d are looked at later: %s", registration, error)
                        break
        return again

    async def _look_at(self, registration: int, outbox: int, entries: Sequence[ArchivedEntry], now: float) -> int:
        batches = self._receipts_wanted(registration, entries)
        packets = self._packets(registration, outbox, entries)
        headers = {packet_id: header for batch in batches.values() for packet_id, header in batch.items()}
        headers |= {archived.message_id: header for archived, header in packets}
        missing = await self._missing(headers)
        # Whoever is handed over here stays due, so that a gateway that dies meanwhile looks once more.
        open_packets = [(archived, header) for archived, header in packets if archived.message_id in missing]
        open_batches = {number: ids for number, batch in batches.items() if (ids := missing.intersection(batch))}
        again = await self._carry_packets(registration, outbox, open_packets, now)
        again += await self._carry_receipts(registration, outbox, entries, open_batches, now)
        later = {archived.number for archived, _ in open_packets} | open_batches.keys()
        self._archive.mark_done(
            registration, outbox, sorted(later), look_again_at=int(now + _PAUSE_FACTOR * self._first_seconds)
        )
        self._archive.mark_done(registration, outbox, [e.number for e in entries if e.number not in later])
        return again

    def _packets(
        self, registration: int, outbox: int, entries: Sequence[ArchivedEntry]
    ) -> list[tuple[ArchivedEntry, Header]]:
        """Return the packets of the free outbox whose both ends are chains of this gateway."""
        if outbox != FREE_RELAY:
            return []
        decoded = [(archived, decode_archived(archived, Maker(registration))) for archived in entries]
        return [
            (archived, entry.packet.header)
            for archived, entry in decoded
            if isinstance(entry, PacketEntry) and entry.packet.header.lane.destination in self._connections.hubs
        ]

    def _receipts_wanted(self, registration: int, entries: Sequence[ArchivedEntry]) -> dict[int, dict[bytes, Header]]:
        """Return for each entry with receipts the free packets of chains of this gateway that want theirs."""
        found: dict[int, dict[bytes, Header]] = {}
        for archived in entries:
            entry = decode_archived(archived, Maker(registration))
            if isinstance(entry, ReceiptsEntry):
                headers = {receipt.packet_id: self._header(receipt.packet_id) for receipt in entry.batch.receipts}
                found[archived.number] = {
                    packet_id: header
                    for packet_id, header in headers.items()
                    if header is not None and header.transport.receipt_wanted
                }
        return found

    def _header(self, packet_id: bytes) -> Header | None:
        header = self._archive.free_header_of(packet_id)
        return None if header is None else STACK.decode_header(header)

    async def _missing(self, headers: Mapping[bytes, Header]) -> set[bytes]:
        """Return the ids of the packets that are not at their destination, or whose receipt is not at their source."""
        wanted: dict[int, dict[int, tuple[Evidence]]] = {}
        ids = list(headers)
        for position, header in enumerate(headers.values()):
            lane = header.lane
            wanted.setdefault(lane.destination, {})[2 * position] = (slots.of_packet(header),)
            if header.transport.receipt_wanted:
                wanted.setdefault(lane.source, {})[2 * position + 1] = (slots.of_receipt(header),)
        missing: set[bytes] = set()
        for registration, evidence in wanted.items():
            if registration in self._connections.hubs:
                states = await self._deliveries(registration, evidence)
                missing.update(ids[key // 2] for key, state in states.items() if state is not Delivery.DONE)
        return missing

    async def _deliveries(self, registration: int, evidence: Mapping[int, Sequence[Evidence]]) -> dict[int, Delivery]:
        """Ask a hub. A block is final when some relay chain of the domain can be shown it."""
        *others, last = self._connections.relays
        for relay in others:
            try:
                return await self._hub_state.deliveries(registration, relay, evidence)
            except ChainError as error:
                _LOG.info("final block of registration %d by relay chain %d: %s", registration, relay, error)
        return await self._hub_state.deliveries(registration, last, evidence)

    async def _carry_packets(
        self, registration: int, outbox: int, packets: Sequence[tuple[ArchivedEntry, Header]], now: float
    ) -> int:
        """Hand over those packets that no relay chain has on record."""
        if not packets:
            return 0
        places = [(header.lane, header.transport.sequence) for _, header in packets]
        answers = [await relay.reader.recorded(places) for relay in self._connections.relays.values()]
        lost = [archived for (archived, _), *told in zip(packets, *answers, strict=True) if not any(told)]
        for archived in lost:
            self._carry.observe(registration, outbox, archived, now)
        return len(lost)

    async def _carry_receipts(
        self,
        registration: int,
        outbox: int,
        entries: Sequence[ArchivedEntry],
        batches: Mapping[int, Collection[bytes]],
        now: float,
    ) -> int:
        """Hand over those receipts whose packets a relay chain has on record without one."""
        if not batches:
            return 0
        ids = sorted(set().union(*batches.values()))
        relays: dict[bytes, list[int]] = {packet_id: [] for packet_id in ids}
        for number, relay in self._connections.relays.items():
            for packet_id, code in zip(ids, await relay.reader.receipt_codes(ids), strict=True):
                if code == 0:
                    relays[packet_id].append(number)
        again = 0
        for archived in entries:
            where = {relay for packet_id in batches.get(archived.number, ()) for relay in relays[packet_id]}
            if where:
                self._carry.observe_receipts(registration, outbox, archived, sorted(where), now)
                again += 1
        return again
