"""What a gateway asks of a relay chain, typed: cursors, heads, entries, registrations (formats.md, section 12)."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from piebridge.chains.endpoint import RelayEndpoint
from piebridge.chains.errors import TransactionRefusedError
from piebridge.crypto.errors import DecodingError, PermanentChainError, TransientChainError
from piebridge.gateway.spans import spans
from piebridge.protocol_stack.codec import HASH_LENGTH
from piebridge.protocol_stack.commitment import bitmap_bit
from piebridge.protocol_stack.governor_relay_bodies import Gateways
from piebridge.protocol_stack.identifiers import Lane
from piebridge.protocol_stack.notary_statement import NotarySet
from piebridge.protocol_stack.relay_queries import (
    FORGOTTEN_CODE,
    GATEWAYS_PATH,
    CursorQuery,
    OutboxEntriesQuery,
    ReceiptCodesQuery,
    RecordedWordsQuery,
    RegistrationQuery,
)
from piebridge.protocol_stack.transport.outbox import RELAY_CHAIN, Entry, OutboxHead, OutboxRange
from piebridge.protocol_stack.verification.base import Method

ENTRIES_PER_QUERY = 500
"""Entries asked for at once; an answer holds as many of them as fit 1 MiB."""
PAGES_PER_QUERY = 1_000
"""Words of recorded bits asked for at once."""
PACKETS_PER_QUERY = 2_000
"""Packets whose receipts are asked for at once."""
_NUMBER_MAX = (1 << 63) - 1
"""Largest number that the gateway's database holds."""
ENTRIES_KEPT_MAX = 10_000
"""Decoded entries that are kept, at most."""

_DEPTH_MAX = 255
"""A finality depth is a u8 (formats.md, 10)."""
_PAGE_BITS = 8
"""A word of recorded bits is of 256 sequences."""


class ForgottenEntryError(PermanentChainError):
    """A relay chain shows an entry of an outbox no more."""


@dataclass(frozen=True, slots=True)
class Registration:
    """How a relay chain knows a hub."""

    method: Method
    """How the hub's outboxes are authenticated."""
    depth: int
    """Finality depth, blocks."""
    is_open: bool
    """Whether it may send and receive."""
    notary_set: NotarySet | None
    """Who signs for it; None where the method uses no notaries."""


@dataclass(frozen=True, slots=True)
class ClientState:
    """A light client on a relay chain."""

    height: int
    """Newest trusted height."""
    app_hash: bytes
    """App hash in that header, 32 bytes."""
    time_ns: int
    """Time of that header, nanoseconds since the Unix epoch."""
    expires_at_ns: int
    """When it vouches for no other header any more."""

    def is_ageing(self, now_ns: int) -> bool:
        """Return whether more than half of its time is over."""
        return 2 * (now_ns - self.time_ns) > self.expires_at_ns - self.time_ns


class RelayReader:
    """Typed queries of one relay chain.

    Entries that were read are kept, decoded, since a listener, checks and submissions all want them. An entry never
    changes but for the loss of its message; so whoever wants to know whether a relay chain still keeps a message asks
    for it anew, and whoever finds that a range does not fold to an endorsed value forgets what was kept.
    """

    def __init__(self, endpoint: RelayEndpoint) -> None:
        """Ask through an endpoint."""
        self._endpoint = endpoint
        self._kept: OrderedDict[tuple[int, int], tuple[bytes, Entry]] = OrderedDict()

    @property
    def endpoint(self) -> RelayEndpoint:
        """The endpoint."""
        return self._endpoint

    async def outbox_head(self, destination: int) -> OutboxHead | None:
        """Return the head of the outbox toward a hub; None where the relay chain does not know the hub."""
        try:
            data = await self._endpoint.query(
                RegistrationQuery.OUTBOX_HEAD_PATH, RegistrationQuery(destination).encode()
            )
        except TransactionRefusedError:
            return None
        return self._head(data)

    async def entries(self, destination: int, first: int, last: int) -> OutboxRange:
        """Return entries of the outbox toward a hub, from ``first`` to ``last`` or as many as one answer holds.

        Raises:
            ForgottenEntryError: the relay chain shows the first of them no more: nothing at it or below it waits.
            TransientChainError: the node has not made the first of them yet, or its answer is malformed.
        """
        count = min(last - first + 1, (1 << 16) - 1)
        try:
            data = await self._endpoint.query(
                OutboxEntriesQuery.PATH, OutboxEntriesQuery(destination, first, count).encode()
            )
        except TransactionRefusedError as error:
            if error.code == FORGOTTEN_CODE:
                raise ForgottenEntryError(str(error)) from error
            # A node that is behind the one that told of the entry. Nothing must be concluded from that.
            raise TransientChainError(
                f"{self._endpoint.name}: no entry {first} toward {destination}: {error}"
            ) from error
        try:
            entries = OutboxRange.decode(data, RELAY_CHAIN)
        except DecodingError as error:
            raise TransientChainError(f"{self._endpoint.name}: malformed entries: {error}") from error
        if entries.first != first or entries.last > last:
            raise TransientChainError(f"{self._endpoint.name}: other entries than asked for")
        self._keep(destination, entries)
        return entries

    def forget(self, destination: int) -> None:
        """Forget the entries toward a hub that were kept: they may be those of another chain's past."""
        for key in [key for key in self._kept if key[0] == destination]:
            del self._kept[key]

    def _keep(self, destination: int, entries: OutboxRange) -> None:
        before = entries.start
        for entry, head in zip(entries.entries, entries.heads(), strict=True):
            self._kept[destination, head.number] = (before, entry)
            before = head.value
        while len(self._kept) > ENTRIES_KEPT_MAX:
            self._kept.popitem(last=False)

    async def range(self, destination: int, first: int, last: int) -> OutboxRange:
        """Return all entries from ``first`` to ``last``, in as many queries as it takes; raises as :meth:`entries`."""
        kept = [self._kept.get((destination, number)) for number in range(first, last + 1)]
        if kept[0] is not None and all(item is not None for item in kept):
            return OutboxRange(RELAY_CHAIN, first, kept[0][0], tuple(item[1] for item in kept if item is not None))
        return await self._asked(destination, first, last)

    async def _asked(self, destination: int, first: int, last: int) -> OutboxRange:
        got = await self.entries(destination, first, last)
        while got.last < last:
            more = await self.entries(destination, got.last + 1, last)
            if more.start != got.fold().value:
                raise TransientChainError(f"{self._endpoint.name}: entries of two answers do not fold into each other")
            got = OutboxRange(got.maker, got.first, got.start, got.entries + more.entries)
        return got

    async def entries_by_number(
        self, destination: int, numbers: Sequence[int], *, anew: bool = False
    ) -> dict[int, Entry]:
        """Return entries by their numbers; those that the relay chain keeps no more are left out.

        Args:
            destination: hub that the outbox leads to.
            numbers: entries.
            anew: ask the relay chain, whatever was kept: only so a message that it has dropped comes bare.
        """
        found: dict[int, Entry] = {}
        if not anew:
            found = {n: kept[1] for n in numbers if (kept := self._kept.get((destination, n))) is not None}
        for first, last in spans((n for n in numbers if n not in found), ENTRIES_PER_QUERY):
            found |= await self._not_dropped(destination, first, last)
        return {number: found[number] for number in numbers if number in found}

    async def _not_dropped(self, destination: int, first: int, last: int) -> dict[int, Entry]:
        """Return those entries of a span that are there still. A range is refused for its first entry alone."""
        try:
            got = await self._asked(destination, first, last)
        except ForgottenEntryError:
            if first == last:
                return {}
            middle = (first + last) // 2
            lower = await self._not_dropped(destination, first, middle)
            return lower | await self._not_dropped(destination, middle + 1, last)
        return {got.first + offset: entry for offset, entry in enumerate(got.entries)}

    async def cursor(self, registration: int, outbox_relay: int) -> OutboxHead:
        """Return what was folded last of a hub's outbox; number 0 where nothing was."""
        try:
            data = await self._endpoint.query(CursorQuery.PATH, CursorQuery(registration, outbox_relay).encode())
        except TransactionRefusedError:
            return _NOTHING_FOLDED
        if not int.from_bytes(data[:8], "big"):
            return _NOTHING_FOLDED
        return self._head(data)

    def _head(self, data: bytes) -> OutboxHead:
        head = OutboxHead.decode(data)
        if head.number > _NUMBER_MAX:
            raise TransientChainError(f"{self._endpoint.name}: an outbox with {head.number} entries cannot be")
        return head

    async def recorded(self, packets: Sequence[tuple[Lane, int]]) -> list[bool]:
        """Return for each packet, by lane and sequence, whether it was recorded; one query for all."""
        pages = sorted({(lane, sequence >> _PAGE_BITS) for lane, sequence in packets})
        words: dict[tuple[Lane, int], int] = {}
        for start in range(0, len(pages), PAGES_PER_QUERY):
            part = tuple(pages[start : start + PAGES_PER_QUERY])
            data = await self._endpoint.query(RecordedWordsQuery.PATH, RecordedWordsQuery(part).encode())
            if len(data) != HASH_LENGTH * len(part):
                raise TransientChainError(f"{self._endpoint.name}: {len(data)} bytes for {len(part)} words")
            for position, page in enumerate(part):
                words[page] = int.from_bytes(data[HASH_LENGTH * position : HASH_LENGTH * (position + 1)], "big")
        return [bitmap_bit(words[lane, sequence >> _PAGE_BITS], sequence) for lane, sequence in packets]

    async def receipt_codes(self, packet_ids: Sequence[bytes]) -> list[int | None]:
        """Return the code of each packet's receipt, 0 where there is none yet, None of a packet that is not known."""
        codes: list[int | None] = []
        for start in range(0, len(packet_ids), PACKETS_PER_QUERY):
            part = tuple(packet_ids[start : start + PACKETS_PER_QUERY])
            data = await self._endpoint.query(ReceiptCodesQuery.PATH, ReceiptCodesQuery(part).encode())
            if len(data) != len(part):
                raise TransientChainError(f"{self._endpoint.name}: {len(data)} codes for {len(part)} packets")
            codes += [None if code == ReceiptCodesQuery.UNKNOWN else code for code in data]
        return codes

    async def packet(self, packet_id: bytes) -> dict[str, Any] | None:
        """Return what the relay chain remembers of a packet; None if it never knew or has forgotten it."""
        try:
            return _json_object(await self._endpoint.query("/packet", packet_id))
        except TransactionRefusedError:
            return None

    async def registration(self, registration: int) -> Registration | None:
        """Return how the relay chain knows a hub; None if it does not."""
        try:
            data = await self._endpoint.query(RegistrationQuery.CHAIN_PATH, RegistrationQuery(registration).encode())
        except TransactionRefusedError:
            return None
        fields = _json_object(data)
        try:
            notaries = fields.get("notary_set")
            depth = int(fields["depth"])
            if not 0 <= depth <= _DEPTH_MAX:
                raise ValueError(f"depth {depth}")
            return Registration(
                method=Method(fields["method"]),
                depth=depth,
                is_open=fields.get("closed_at") is None,
                notary_set=NotarySet.decode(bytes.fromhex(notaries)) if notaries else None,
            )
        except (KeyError, ValueError, TypeError, DecodingError) as error:
            raise TransientChainError(f"{self._endpoint.name}: malformed registration: {error!r}") from error

    async def gateways(self) -> tuple[bytes, ...]:
        """Return the addresses of all authorised gateways, 20 bytes each, ascending.

        Raises:
            DecodingError: the answer is malformed.
        """
        answer = await self._endpoint.query(GATEWAYS_PATH, b"")
        return tuple(item.address for item in Gateways.decode(answer).quotas)

    async def client(self, registration: int) -> ClientState:
        """Return the newest header that the light client of a hub's chain trusts.

        Raises:
            TransactionRefusedError: there is no light client.
        """
        fields = _json_object(
            await self._endpoint.query(RegistrationQuery.CLIENT_PATH, RegistrationQuery(registration).encode())
        )
        try:
            height = int(fields["newest_height"])
            if not 0 < height <= _NUMBER_MAX:
                raise ValueError(f"height {height}")
            return ClientState(
                height=height,
                app_hash=bytes.fromhex(fields["app_hash"]),
                time_ns=int(fields["time_ns"]),
                expires_at_ns=int(fields["expires_at_ns"]),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise TransientChainError(f"{self._endpoint.name}: malformed client state: {error!r}") from error


_NOTHING_FOLDED = OutboxHead(0, bytes(32))


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(data)
    except ValueError as error:
        raise TransientChainError(f"an answer of a relay chain is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise TransientChainError("an answer of a relay chain is no JSON object")
    return value
