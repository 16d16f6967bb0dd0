"""What a gateway asks of a relay chain, typed: cursors, heads, entries, registrations (formats.md, section 12)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from piebridge.chains.endpoint import RelayEndpoint
from piebridge.chains.errors import TransactionRefusedError
from piebridge.crypto.errors import DecodingError, TransientChainError
from piebridge.gateway.batching import spans
from piebridge.protocol_stack.governor_relay_bodies import Gateways
from piebridge.protocol_stack.identifiers import Lane
from piebridge.protocol_stack.notary_statement import NotarySet
from piebridge.protocol_stack.relay_queries import (
    GATEWAYS_PATH,
    CursorQuery,
    OutboxEntriesQuery,
    RecordedQuery,
    RegistrationQuery,
)
from piebridge.protocol_stack.transport.outbox import RELAY_CHAIN, Entry, OutboxHead, OutboxRange
from piebridge.protocol_stack.verification.base import Method

ENTRIES_PER_QUERY = 200
"""Entries asked for at once."""


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
    """Typed queries of one relay chain."""

    def __init__(self, endpoint: RelayEndpoint) -> None:
        """Ask through an endpoint."""
        self._endpoint = endpoint

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
        return OutboxHead.decode(data)

    async def entries(self, destination: int, first: int, last: int) -> OutboxRange:
        """Return entries of the outbox toward a hub, from ``first`` to ``last`` or as many as one answer holds.

        Raises:
            TransactionRefusedError: the relay chain keeps the first of them no more, or never made it.
            TransientChainError: the answer is malformed.
        """
        count = min(last - first + 1, (1 << 16) - 1)
        data = await self._endpoint.query(
            OutboxEntriesQuery.PATH, OutboxEntriesQuery(destination, first, count).encode()
        )
        try:
            entries = OutboxRange.decode(data, RELAY_CHAIN)
        except DecodingError as error:
            raise TransientChainError(f"{self._endpoint.name}: malformed entries: {error}") from error
        if entries.first != first or entries.last > last:
            raise TransientChainError(f"{self._endpoint.name}: other entries than asked for")
        return entries

    async def range(self, destination: int, first: int, last: int) -> OutboxRange:
        """Return all entries from ``first`` to ``last``, in as many queries as it takes; raises as :meth:`entries`."""
        got = await self.entries(destination, first, last)
        while got.last < last:
            more = await self.entries(destination, got.last + 1, last)
            if more.start != got.fold().value:
                raise TransientChainError(f"{self._endpoint.name}: entries of two answers do not fold into each other")
            got = OutboxRange(got.maker, got.first, got.start, got.entries + more.entries)
        return got

    async def entries_by_number(self, destination: int, numbers: Iterable[int]) -> dict[int, Entry]:
        """Return entries by their numbers; those that the relay chain keeps no more are left out."""
        wanted = tuple(numbers)
        found: dict[int, Entry] = {}
        for first, last in spans(wanted, ENTRIES_PER_QUERY):
            found |= await self._kept(destination, first, last)
        return {number: found[number] for number in wanted if number in found}

    async def _kept(self, destination: int, first: int, last: int) -> dict[int, Entry]:
        """Return those entries of a span that are kept. A range is refused for its first entry alone."""
        try:
            got = await self.range(destination, first, last)
        except TransactionRefusedError:
            if first == last:
                return {}
            middle = (first + last) // 2
            lower = await self._kept(destination, first, middle)
            return lower | await self._kept(destination, middle + 1, last)
        return {got.first + offset: entry for offset, entry in enumerate(got.entries)}

    async def cursor(self, registration: int, outbox_relay: int) -> OutboxHead:
        """Return what was folded last of a hub's outbox; number 0 where nothing was."""
        try:
            data = await self._endpoint.query(CursorQuery.PATH, CursorQuery(registration, outbox_relay).encode())
        except TransactionRefusedError:
            return _NOTHING_FOLDED
        if not int.from_bytes(data[:8], "big"):
            return _NOTHING_FOLDED
        return OutboxHead.decode(data)

    async def recorded(self, packets: Sequence[tuple[Lane, int]]) -> list[bool]:
        """Return for each packet, by lane and sequence, whether it was recorded."""
        calls = [(RecordedQuery.PATH, RecordedQuery(lane, sequence).encode()) for lane, sequence in packets]
        return [answer == b"\x01" for answer in await self._endpoint.queries(calls)]

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
            return Registration(
                method=Method(fields["method"]),
                depth=int(fields["depth"]),
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
            return ClientState(
                height=int(fields["newest_height"]),
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
