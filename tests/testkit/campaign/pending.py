"""Which packets are under way, told by the storage of the hubs alone."""

import asyncio
import contextlib
from collections.abc import Iterable

from piebridge.cli.facts import SentPacket
from piebridge.cli.view import ChainView, NetworkView
from piebridge.crypto.errors import TransientChainError
from piebridge.protocol_stack.commitment import (
    bitmap_bit,
    origin_status_slot,
    receipts_slot,
    seen_slot,
    settlement_slot,
    status_bits,
)

_PATIENCE = 3
"""How often a chain may fail to answer before that is the outcome of a look."""
_COMMITTED = 0b10
_SETTLED = 1

_Read = tuple[int, bytes]
"""Registration and slot."""


class PendingPackets:
    """Packets that were sent and whose outcome has not come home, as far as their sender has to know it."""

    def __init__(self, view: NetworkView) -> None:
        self._view = view
        self._open: dict[str, SentPacket] = {}
        self.finished = 0
        """Packets seen finished."""

    def add(self, packets: Iterable[SentPacket]) -> None:
        """Watch packets that are in blocks."""
        self._open |= {packet.id: packet for packet in packets}

    @property
    def known(self) -> int:
        """Packets that were under way at the last look."""
        return len(self._open)

    async def look(self) -> set[str]:
        """Ids of the packets that the chains say are under way now. Many packets share a slot: few reads tell of all.

        Raises:
            ChainError: a chain does not answer.
        """
        packets = list(self._open.values())
        reads: dict[int, set[bytes]] = {}
        for packet in packets:
            for registration, slot in _reads(packet):
                reads.setdefault(registration, set()).add(slot)
        values: dict[_Read, int] = {}
        for answers in await asyncio.gather(*(self._read(self._view.chains[key], reads[key]) for key in reads)):
            values |= answers
        for packet in packets:
            if _is_finished(packet, values):
                self.finished += self._open.pop(packet.id, None) is not None
        return {packet.id for packet in packets if packet.id in self._open}

    async def _read(self, chain: ChainView, slots: set[bytes]) -> dict[_Read, int]:
        ordered = sorted(slots)
        calls: list[tuple[str, list[object]]] = [
            ("eth_getStorageAt", [chain.entry.hub, "0x" + slot.hex(), "latest"]) for slot in ordered
        ]
        for _ in range(_PATIENCE):
            with contextlib.suppress(TransientChainError):  # a chain under load is slow, which is not what is tested
                answers = await chain.client.batch(calls)
                break
        else:
            answers = await chain.client.batch(calls)
        registration = chain.entry.registration
        return {(registration, slot): int(str(value), 16) for slot, value in zip(ordered, answers, strict=True)}


def _reads(sent: SentPacket) -> list[_Read]:
    lane, sequence, header = sent.packet.lane, sent.packet.sequence, sent.packet.header
    if nonce := header.transaction.nonce:
        return [
            (lane.source, origin_status_slot(lane.domain, lane.relay, nonce)),
            (lane.source, settlement_slot(lane.relay, nonce)),
        ]
    assert not header.transport.ordered, "campaigns send no packets in ordered lanes"
    reads = [(lane.destination, seen_slot(lane.domain, lane.source, lane.channel, sequence))]
    if header.transport.receipt_wanted:
        slot = receipts_slot(lane.domain, lane.destination, lane.relay, lane.channel, sequence)
        reads.append((lane.source, slot))
    return reads


def _is_finished(sent: SentPacket, values: dict[_Read, int]) -> bool:
    answers = [values[read] for read in _reads(sent)]
    if nonce := sent.packet.header.transaction.nonce:
        status, settlement = answers
        return status_bits(status, nonce) == _COMMITTED or settlement == _SETTLED
    return all(bitmap_bit(word, sent.packet.sequence) for word in answers)
