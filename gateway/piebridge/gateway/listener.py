"""Reads the outboxes of a hub into the archive: by height, from a cursor that may be lost at any time.

Only final blocks are read, so nothing that is read is ever reorganised away, unless the chain breaks its own promise:
then the archive of that hub is thrown away, an alarm raised, and everything read anew. Every entry is folded, and the
result compared with the head in the hub's storage: a node that hides, invents or reorders messages is found out here,
before anybody spends gas or quota on it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from piebridge.chains.endpoint import Block, HubEntry, ParachainEndpoint
from piebridge.chains.errors import MissingStateError
from piebridge.crypto.errors import DecodingError, TransientChainError, VerificationError
from piebridge.crypto.hash import keccak256
from piebridge.gateway.archive import Archive, ArchivedEntry
from piebridge.gateway.cursors import Cursor, CursorStore
from piebridge.gateway.telemetry import Counters
from piebridge.protocol_stack.codec import ZERO_HASH
from piebridge.protocol_stack.commitment import chain_slot, head_slot
from piebridge.protocol_stack.header import HEADER_LENGTH
from piebridge.protocol_stack.packet import packet_id
from piebridge.protocol_stack.receipts import ReceiptBatch
from piebridge.protocol_stack.report import Report
from piebridge.protocol_stack.transport.outbox import Form, OutboxHead, open_hub_outbox

_LOG = logging.getLogger(__name__)

_U64 = (1 << 64) - 1

FinalBlock = Callable[[], Awaitable[Block]]
"""Returns the newest block that may be acted upon."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What a look at the chain brought."""

    block: Block
    """Newest final block; the archive is complete up to it."""
    entries: tuple[tuple[int, ArchivedEntry], ...]
    """Outbox and entry of everything that is new."""


class HubListener:
    """Keeps the archive of one hub up with its chain."""

    def __init__(
        self,
        endpoint: ParachainEndpoint,
        *,
        registration: int,
        domain: int,
        relays: Iterable[int],
        first_block: int,
        final_block: FinalBlock,
        archive: Archive,
        cursors: CursorStore,
        counters: Counters,
        notify: Callable[[Synced], None],
    ) -> None:
        """Read a hub.

        Args:
            endpoint: the chain.
            registration: number of the hub.
            domain: relay domain whose outboxes are read.
            relays: relay chains of the domain; the free outbox is read in any case.
            first_block: where to begin without a cursor.
            final_block: tells how far to read.
            archive: where entries go.
            cursors: where the position is kept.
            counters: where to count.
            notify: called after each look that brought a new final block.
        """
        self._notify = notify
        self._reading = asyncio.Lock()
        self._endpoint = endpoint
        self._registration = registration
        self._domain = domain
        self._outboxes = (0, *sorted(relays))
        self._first_block = first_block
        self._final_block = final_block
        self._archive = archive
        self._cursors = cursors
        self._counters = counters
        self._cursor_name = f"hub/{registration}"

    async def sync(self) -> Synced:
        """Read all that has become final since the last look.

        Raises:
            TransientChainError: the node fails, or hides entries; nothing of this look is kept.
            VerificationError: the node's logs and storage contradict each other.
        """
        async with self._reading:
            synced = await self._sync()
        self._notify(synced)
        return synced

    async def _sync(self) -> Synced:
        cursor = await self._valid_cursor()
        block = await self._final_block()
        first = self._first_block if cursor is None else cursor.number + 1
        if block.number < first:
            return Synced(block, ())
        told = await self._endpoint.outbox_entries(self._domain, first, block.number)
        fresh: list[tuple[int, ArchivedEntry]] = []
        heads = await self._heads(block)
        for outbox in self._outboxes:
            entries = await self._fold(outbox, [entry for entry in told if entry.relay == outbox], heads[outbox], block)
            self._archive.add(self._registration, outbox, entries)
            fresh += [(outbox, entry) for entry in entries]
        self._cursors.save(self._cursor_name, Cursor(block.number, block.hash))
        self._counters.add("entries_read", len(fresh), chain=self._endpoint.name)
        self._counters.set("final_block", block.number, chain=self._endpoint.name)
        return Synced(block, tuple(fresh))

    async def _valid_cursor(self) -> Cursor | None:
        cursor = self._cursors.load(self._cursor_name)
        if cursor is None:
            # Entries without a cursor may be of another chain's past; reading them again costs little.
            self._archive.drop_all(self._registration)
            return None
        try:
            same = (await self._endpoint.block(cursor.number)).hash == cursor.hash
        except MissingStateError:
            same = False
        if same:
            return cursor
        self._counters.add("finality_violations", chain=self._endpoint.name)
        _LOG.error(
            "ALARM: block %d, which was final, is another one now: the chain was reorganised below its registered "
            "depth, or the node serves another chain; reading everything anew",
            cursor.number,
            extra={"chain": self._endpoint.name, "before": cursor.hash.hex()},
        )
        self._archive.drop_all(self._registration)
        self._cursors.drop(self._cursor_name)
        return None

    async def _heads(self, block: Block) -> dict[int, OutboxHead | None]:
        """Return the heads in the hub's storage; None where an outbox is not open yet."""
        slots = [slot(self._domain, outbox) for outbox in self._outboxes for slot in (chain_slot, head_slot)]
        words = await self._endpoint.storage(slots, block.number)
        heads: dict[int, OutboxHead | None] = {}
        for position, outbox in enumerate(self._outboxes):
            value, head = words[2 * position], words[2 * position + 1]
            number = int.from_bytes(head, "big") & _U64
            heads[outbox] = None if value == ZERO_HASH else OutboxHead(number, value)
        return heads

    async def _fold(
        self, outbox: int, told: list[HubEntry], head: OutboxHead | None, block: Block
    ) -> list[ArchivedEntry]:
        newest = self._archive.head(self._registration, outbox)
        if newest is not None:
            folded = OutboxHead(newest.number, newest.chain_value)
        else:
            opened = open_hub_outbox(self._registration, self._endpoint.hub_address, self._domain, outbox)
            folded = OutboxHead(0, opened)
        if head is None:
            if told or folded.number:
                raise VerificationError(f"{self._endpoint.name}: entries in outbox {outbox}, which is not open")
            return []
        by_number = {entry.number: entry for entry in told}
        entries: list[ArchivedEntry] = []
        for number in range(folded.number + 1, head.number + 1):
            entry = by_number.get(number) or await self._queued(outbox, number, block)
            message_id = message_id_of(entry, self._registration)
            folded = folded.append(entry.height, message_id)
            entries.append(ArchivedEntry(number, entry.height, entry.form, entry.content, message_id, folded.value))
        if folded != head:
            raise VerificationError(
                f"{self._endpoint.name}: entries of outbox {outbox} up to block {block.number} fold to entry "
                f"{folded.number}, another value than the hub's storage has for entry {head.number}: the node hides, "
                "invents or changes messages",
                expected=head.value,
                actual=folded.value,
            )
        return entries

    async def _queued(self, outbox: int, number: int, block: Block) -> HubEntry:
        entry = await self._endpoint.queued_entry(self._domain, outbox, number)
        if entry is None or entry.height > block.number:
            raise TransientChainError(
                f"{self._endpoint.name}: entry {number} of outbox {outbox} is in no log and in no queue: the node has "
                "pruned or hides it; use a node with logs, or the archive of another gateway"
            )
        return entry


def message_id_of(entry: HubEntry, registration: int) -> bytes:
    """Return the message id of an entry as its hub tells it.

    Raises:
        VerificationError: the content is none that a hub can make.
    """
    try:
        if entry.form == Form.PACKET and len(entry.content) >= HEADER_LENGTH:
            return packet_id(entry.content[:HEADER_LENGTH], keccak256(entry.content[HEADER_LENGTH:]))
        if entry.form == Form.RECEIPTS:
            return ReceiptBatch.decode(entry.content).message_id(registration)
        if entry.form == Form.REPORT:
            return Report.decode(entry.content).message_id
    except DecodingError as error:
        raise VerificationError(f"entry {entry.number} of a hub does not decode: {error}") from error
    raise VerificationError(f"entry {entry.number} of a hub has form {entry.form}, which hubs do not make")
