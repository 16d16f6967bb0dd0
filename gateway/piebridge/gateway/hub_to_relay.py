"""Entries of a hub's outbox to a relay chain: a range, authenticated by light client or notaries."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from piebridge.crypto.errors import TransientChainError
from piebridge.gateway.archive import Archive, ArchivedEntry
from piebridge.gateway.batching import decode_archived, range_of_archived
from piebridge.gateway.connections import Connections, RelayConnection
from piebridge.gateway.forwarder import Authenticate, Delivery, PathKey, Submit
from piebridge.gateway.prepared import Prepared
from piebridge.gateway.relay_reader import Registration
from piebridge.protocol_stack.authentication import KeptAuthentication, encode_authentication
from piebridge.protocol_stack.codec import Reader, bytes32, u32
from piebridge.protocol_stack.commitment import chain_slot
from piebridge.protocol_stack.header import Header
from piebridge.protocol_stack.identifiers import FREE_RELAY
from piebridge.protocol_stack.relay_messages import TransactionKind
from piebridge.protocol_stack.transport.outbox import (
    PacketEntry,
    ReceiptsEntry,
    ReportEntry,
    open_hub_outbox,
)
from piebridge.protocol_stack.verification.base import Method


@dataclass(frozen=True, slots=True)
class Evidence:
    """What authenticates a range, as it travels through the forwarder."""

    update: bytes | None
    """Body of the UPDATE_CLIENT that must come first; None where the light client is far enough, or there is none."""
    authentication: bytes
    """Encoded authentication, formats.md section 11.2."""

    def encode(self) -> bytes:
        """Return the evidence as bytes."""
        return bytes32(self.update or b"") + self.authentication

    @classmethod
    def decode(cls, data: bytes) -> "Evidence":
        """Read :meth:`encode`."""
        reader = Reader(data)
        update = reader.bytes32()
        return cls(update or None, reader.rest())


CatchUp = Callable[[int], Awaitable[object]]
"""Takes a registration; returns when the archive may have entries of it that are newer than before."""


class HubToRelayCarrier:
    """See the module's text."""

    def __init__(self, connections: Connections, archive: Archive, catch_up: CatchUp) -> None:
        """Carry between these chains, from this archive."""
        self._connections = connections
        self._archive = archive
        self._catch_up = catch_up

    # Check

    async def check(self, path: PathKey, numbers: tuple[int, ...]) -> dict[int, Delivery]:
        """A packet is done when a relay chain recorded it; a receipt when its relay chain opened it."""
        relay = self._connections.relays[path.relay]
        known = await relay.known(path.registration)
        maker = self._connections.hubs[path.registration].maker
        states: dict[int, Delivery] = {}
        packets: dict[int, tuple[Header, ArchivedEntry]] = {}
        batches: dict[int, ReceiptsEntry] = {}
        for archived in self._archive.get_many(path.registration, path.outbox, numbers):
            entry = decode_archived(archived, maker)
            if isinstance(entry, PacketEntry):
                packets[archived.number] = (entry.packet.header, archived)
            elif isinstance(entry, ReceiptsEntry):
                batches[archived.number] = entry
            elif isinstance(entry, ReportEntry):
                cursor = await relay.reader.cursor(path.registration, path.outbox)
                states[archived.number] = Delivery.DONE if cursor.number >= archived.number else Delivery.PENDING
            else:
                states[archived.number] = Delivery.DONE  # nothing in it can be carried
        for number, opened in (await _are_opened(relay, batches)).items():
            states[number] = Delivery.DONE if opened else Delivery.PENDING
        if packets:
            states |= await self._check_packets(path, relay, known, packets)
        return states

    async def _check_packets(
        self,
        path: PathKey,
        relay: RelayConnection,
        known: Registration,
        packets: dict[int, tuple[Header, ArchivedEntry]],
    ) -> dict[int, Delivery]:
        """Any relay chain of the domain may have recorded a free packet."""
        relays = self._connections.relays.values() if path.outbox == FREE_RELAY else (relay,)
        wanted = [(header.lane, header.transport.sequence) for header, _ in packets.values()]
        recorded = [False] * len(wanted)
        for other in relays:
            try:
                answers = await other.reader.recorded(wanted)
            except TransientChainError:
                if other is relay:
                    raise
                continue  # a relay chain that is down cannot have the packets of the others wait
            recorded = [before or now for before, now in zip(recorded, answers, strict=True)]
        block = await relay.provers[path.registration].final_block(known)
        states = {}
        for (number, (header, archived)), done in zip(packets.items(), recorded, strict=True):
            if done:
                states[number] = Delivery.DONE
            elif await self._is_ready(relay, known, header, archived, block.number):
                states[number] = Delivery.PENDING
            else:
                states[number] = Delivery.WAITING
        return states

    async def _is_ready(
        self, relay: RelayConnection, known: Registration, header: Header, archived: ArchivedEntry, block_number: int
    ) -> bool:
        if header.transaction.nonce == 0:
            destination = await relay.registration(header.lane.destination)
            if destination is None or not destination.is_open:
                return False
        depth = block_number - archived.height
        if known.method is Method.NOTARY:
            return depth + known.depth >= header.verification.depth
        return depth >= max(known.depth, header.verification.depth)

    # Authenticate

    async def authenticate(self, effect: Authenticate) -> tuple[int, bytes]:
        """Take a value that the relay chain has kept, or prove the head of the outbox at the newest final block."""
        path = effect.path
        relay = self._connections.relays[path.relay]
        if effect.kept_allowed:
            cursor = await relay.reader.cursor(path.registration, path.outbox)
            kept = self._archive.get(path.registration, path.outbox, cursor.number)
            if cursor.number >= effect.at_least and kept is not None and kept.chain_value == cursor.value:
                return cursor.number, Evidence(None, encode_authentication(KeptAuthentication())).encode()
        known = await relay.known(path.registration)
        slot = chain_slot(self._connections.domain, path.outbox)
        shown = await relay.provers[path.registration].authenticate(known, [slot])
        number = await self._number_of(path, shown.proof.values[0])
        return number, Evidence(shown.update, encode_authentication(shown.authentication)).encode()

    async def _number_of(self, path: PathKey, value: bytes) -> int:
        """Return the number of the entry with this chain value; read the chain on where the archive is behind."""
        for is_last_try in (False, True):
            newest = self._archive.head(path.registration, path.outbox)
            number = newest.number if newest is not None else 0
            while number:
                entry = self._archive.get(path.registration, path.outbox, number)
                if entry is None:
                    break
                if entry.chain_value == value:
                    return number
                number -= 1
            if not is_last_try:
                await self._catch_up(path.registration)
        raise TransientChainError(f"{path}: the proven head is not in the archive yet")

    # Submit

    async def prepare(self, effect: Submit) -> Prepared:
        """Put the range together."""
        path = effect.path
        archived = self._archive.between(path.registration, path.outbox, effect.first, effect.last)
        if len(archived) != effect.last - effect.first + 1:
            raise TransientChainError(f"{path}: entries {effect.first} to {effect.last} are not all in the archive")
        evidence = Evidence.decode(effect.evidence)
        body = (
            u32(path.registration)
            + u32(path.outbox)
            + evidence.authentication
            + range_of_archived(self._start(path, effect.first), archived, dict(effect.forms))
        )
        transactions: list[tuple[int, bytes]] = [(TransactionKind.HUB_RANGE, body)]
        if evidence.update is not None:
            transactions.insert(0, (TransactionKind.UPDATE_CLIENT, evidence.update))
        return Prepared(relay_transactions=tuple(transactions))

    def _start(self, path: PathKey, first: int) -> bytes:
        if first == 1:
            hub = self._connections.hubs[path.registration].endpoint.hub_address
            return open_hub_outbox(path.registration, hub, self._connections.domain, path.outbox)
        before = self._archive.get(path.registration, path.outbox, first - 1)
        if before is None:
            raise TransientChainError(f"{path}: entry {first - 1} is not in the archive")
        return before.chain_value


async def _are_opened(relay: RelayConnection, batches: Mapping[int, ReceiptsEntry]) -> dict[int, bool]:
    """Whether the receipts of batches were opened: none that the relay chain remembers lacks its receipt.

    The batch answers a range that this relay chain endorsed, so it has recorded the packets. What it has forgotten
    since was settled, or :mod:`piebridge.gateway.later_look` finds out that it was not.
    """
    packet_ids = [receipt.packet_id for entry in batches.values() for receipt in entry.batch.receipts]
    codes = dict(zip(packet_ids, await relay.reader.receipt_codes(packet_ids), strict=True))
    return {
        number: all(codes[receipt.packet_id] != 0 for receipt in entry.batch.receipts)
        for number, entry in batches.items()
    }
