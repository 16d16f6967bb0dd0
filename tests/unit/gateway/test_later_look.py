"""What a relay chain has forgotten unacknowledged is found by what hubs have, and carried again."""

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from piebridge.crypto.errors import TransientChainError
from piebridge.gateway import database
from piebridge.gateway.archive import Archive, ArchivedEntry
from piebridge.gateway.forwarder import Delivery
from piebridge.gateway.later_look import LaterLook
from piebridge.gateway.slots import Evidence
from piebridge.protocol_stack.commitment import SlotBase
from piebridge.protocol_stack.packet import Packet
from piebridge.protocol_stack.receipts import Receipt, ReceiptBatch, ReceiptCode
from piebridge.protocol_stack.transport.outbox import Form
from testkit.hub_model import HubModel

SOURCE, DESTINATION = 10, 20
FIRST = 1
"""Relay chain that endorsed the batches."""
NOW = 1_000_000.0


@dataclass
class Relay:
    """What a relay chain has on record."""

    recorded_sequences: set[int] = field(default_factory=set)
    codes: dict[bytes, int] = field(default_factory=dict)
    down: bool = False

    @property
    def reader(self) -> "Relay":
        return self

    async def recorded(self, packets: Sequence[tuple[Any, int]]) -> list[bool]:
        if self.down:
            raise TransientChainError("down")
        return [sequence in self.recorded_sequences for _, sequence in packets]

    async def receipt_codes(self, packet_ids: Sequence[bytes]) -> list[int | None]:
        return [self.codes.get(packet_id) for packet_id in packet_ids]


@dataclass
class Hubs:
    """What hubs show in a final block."""

    has: set[tuple[int, SlotBase]] = field(default_factory=set)

    async def deliveries(
        self, registration: int, relay: int, evidence: Mapping[int, Sequence[Evidence]]
    ) -> dict[int, Delivery]:
        return {
            number: Delivery.DONE if (registration, pieces[0].name.base) in self.has else Delivery.WAITING
            for number, pieces in evidence.items()
        }


@dataclass
class Carried:
    """What was handed over."""

    packets: list[int] = field(default_factory=list)
    receipts: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)

    def observe(self, registration: int, outbox: int, archived: ArchivedEntry, now: float) -> None:
        self.packets.append(archived.number)

    def observe_receipts(
        self, registration: int, outbox: int, archived: ArchivedEntry, relays: Collection[int], now: float
    ) -> None:
        self.receipts.append((archived.number, tuple(relays)))


class World:
    """Two hubs, two relay chains, and the archive of a gateway."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.archive = Archive(connection)
        self.relays = {1: Relay(), 2: Relay()}
        self.hubs = Hubs()
        self.carried = Carried()
        connections: Any = SimpleNamespace(hubs={SOURCE: None, DESTINATION: None}, relays=self.relays)
        self.look = LaterLook(connections, self.archive, self.carried, 60.0)
        self.look._hub_state = self.hubs  # type: ignore[assignment]
        self.model = HubModel(SOURCE)

    def add(self, registration: int, outbox: int, number: int, form: Form, content: bytes, message_id: bytes) -> None:
        self.archive.add(registration, outbox, [ArchivedEntry(number, 5, form, content, message_id, b"\x02" * 32)])
        self.archive.mark_done(registration, outbox, [number], self.look.due_after_carrying(NOW))

    def packet(self, *, receipt_wanted: bool = False) -> Packet:
        packet = self.model.send_free(DESTINATION, receipt_wanted=receipt_wanted)
        content = packet.header.encode() + packet.body
        self.add(SOURCE, 0, packet.sequence, Form.PACKET, content, packet.packet_id)
        return packet

    def receipt(self, packet: Packet) -> None:
        batch = ReceiptBatch(FIRST, (Receipt(packet.packet_id, ReceiptCode.EXECUTED),))
        self.add(DESTINATION, 0, 1, Form.RECEIPTS, batch.encode(), batch.message_id(DESTINATION))

    def due(self, registration: int, now: float) -> list[int]:
        return [entry.number for entry in self.archive.due(registration, 0, int(now), 0, 100)]


@pytest.fixture
def world() -> Iterator[World]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    database.prepare(connection)
    yield World(connection)
    connection.close()


async def test_what_has_arrived_is_looked_at_once(world: World) -> None:
    world.packet()
    world.hubs.has.add((DESTINATION, SlotBase.SEEN))
    assert await world.look.look(NOW + 59) == 0
    assert world.due(SOURCE, NOW + 60) == [1], "not before its time"
    assert await world.look.look(NOW + 60) == 0
    assert world.due(SOURCE, NOW * 2) == []
    assert world.archive.undone(SOURCE, 0) == []


async def test_what_lies_at_a_relay_chain_is_looked_at_again(world: World) -> None:
    world.packet()
    world.relays[2].recorded_sequences.add(1)
    assert await world.look.look(NOW + 60) == 0
    assert world.due(SOURCE, NOW + 359) == []
    assert world.due(SOURCE, NOW + 360) == [1]


async def test_what_no_relay_chain_has_any_more_is_carried_again(world: World) -> None:
    world.packet()
    world.packet()
    world.relays[1].recorded_sequences.add(1)
    assert await world.look.look(NOW + 60) == 1
    assert world.carried.packets == [2]
    assert world.due(SOURCE, NOW + 360) == [1, 2], "whoever dies now looks again"


async def test_a_packet_whose_receipt_is_not_home_has_not_come_to_its_end(world: World) -> None:
    packet = world.packet(receipt_wanted=True)
    world.receipt(packet)
    world.hubs.has.add((DESTINATION, SlotBase.SEEN))
    assert await world.look.look(NOW + 60) == 1
    assert (world.carried.packets, world.carried.receipts) == ([1], [])
    # Another relay chain has it now: that is where its receipt has to go.
    world.relays[2].recorded_sequences.add(1)
    world.relays[2].codes[packet.packet_id] = 0
    assert await world.look.look(NOW + 400) == 1
    assert world.carried.receipts == [(1, (2,))]
    world.relays[2].codes[packet.packet_id] = 1
    assert await world.look.look(NOW + 800) == 0, "it is on its way home"
    world.hubs.has.add((SOURCE, SlotBase.RECEIPTS))
    assert await world.look.look(NOW + 1_200) == 0
    assert world.due(SOURCE, NOW * 2) == world.due(DESTINATION, NOW * 2) == []
    assert len(world.carried.packets) == len(world.carried.receipts) == 1


async def test_nothing_is_concluded_while_a_relay_chain_is_silent(world: World) -> None:
    world.packet()
    world.relays[2].down = True
    assert await world.look.look(NOW + 60) == 0
    assert world.carried.packets == []
    assert world.due(SOURCE, NOW + 60) == [1]


def test_packets_of_transactions_are_settled_once_they_are_recorded(world: World) -> None:
    packet = world.model.request(DESTINATION)
    content = packet.header.encode() + packet.body
    world.add(SOURCE, 1, 1, Form.PACKET, content, packet.packet_id)
    assert world.archive.due(SOURCE, 1, 1 << 40, 0, 100) == []
    assert world.archive.undone(SOURCE, 1) == []
