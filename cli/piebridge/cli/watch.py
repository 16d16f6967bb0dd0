"""Watches many packets at once, by one storage slot each, until nothing more will happen to them."""

import asyncio
import time
from collections.abc import Sequence

from piebridge.cli.facts import SentPacket
from piebridge.cli.view import NetworkView
from piebridge.protocol_stack.commitment import (
    bitmap_bit,
    origin_status_slot,
    receipts_slot,
    receive_lane_slot,
    seen_slot,
    settlement_slot,
    status_bits,
)

POLL_SECONDS = 0.25
"""Interval of looks."""
_COMMITTED = 0b10
_SETTLED = 1


class Watch:
    """The packets of one user, and when each of them was finished by this machine's clock."""

    def __init__(self, view: NetworkView) -> None:
        """Watch nothing yet."""
        self._view = view
        self._packets: dict[str, SentPacket] = {}
        self._began: dict[str, float] = {}
        self.finished: dict[str, float] = {}
        """Monotonic time at which each packet was seen finished, by id."""

    def add(self, packets: Sequence[SentPacket], began: float) -> None:
        """Watch packets.

        Args:
            packets: to be watched.
            began: monotonic time at which their user let them go.
        """
        for packet in packets:
            self._packets[packet.id] = packet
            self._began[packet.id] = began

    def latency_seconds(self, packet: SentPacket) -> float | None:
        """Return how long a packet took from its sending until its sender knew its end; None while it is under way."""
        finished = self.finished.get(packet.id)
        return None if finished is None else finished - self._began[packet.id]

    @property
    def open(self) -> list[SentPacket]:
        """Packets under way."""
        return [packet for packet in self._packets.values() if packet.id not in self.finished]

    async def look(self) -> int:
        """Look at every packet under way and return how many there are still.

        Raises:
            ChainError: a chain does not answer.
        """
        packets = self.open
        answers = await asyncio.gather(*(self._is_finished(packet) for packet in packets))
        now = time.monotonic()
        self.finished |= {packet.id: now for packet, done in zip(packets, answers, strict=True) if done}
        return len(self.open)

    async def _is_finished(self, sent: SentPacket) -> bool:
        lane, sequence, header = sent.packet.lane, sent.packet.sequence, sent.packet.header
        source = self._view.chain(sent.chain)
        nonce = header.transaction.nonce
        if nonce:
            status, settlement = await asyncio.gather(
                source.storage(origin_status_slot(lane.domain, lane.relay, nonce)),
                source.storage(settlement_slot(lane.relay, nonce)),
            )
            return status_bits(status, nonce) == _COMMITTED or settlement == _SETTLED
        if header.transport.receipt_wanted:
            slot = receipts_slot(lane.domain, lane.destination, lane.relay, lane.channel, sequence)
            return bitmap_bit(await source.storage(slot), sequence)
        destination = self._view.chains[lane.destination]
        if header.transport.ordered:
            slot = receive_lane_slot(lane.domain, lane.source, lane.relay, lane.channel)
            return (await destination.storage(slot)) & (1 << 64) - 1 >= sequence
        return bitmap_bit(
            await destination.storage(seen_slot(lane.domain, lane.source, lane.channel, sequence)), sequence
        )
