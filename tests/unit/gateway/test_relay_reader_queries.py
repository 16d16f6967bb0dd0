"""Queries of a relay chain: many packets at a time, and entries that are read once."""

import pytest

from piebridge.abci.messages import CODE_OK, QueryRequest
from piebridge.chains.errors import TransactionRefusedError
from piebridge.crypto.errors import TransientChainError
from piebridge.gateway import relay_reader
from piebridge.gateway.relay_reader import RelayReader
from piebridge.protocol_stack.transport.outbox import BareEntry, PacketEntry
from testkit.relay_world import RelayWorld, two_chains


class Endpoint:
    """Answers from a relay chain in this process, and counts."""

    name = "relay"

    def __init__(self, world: RelayWorld) -> None:
        self.world = world
        self.asked: list[str] = []
        self.answers: dict[str, bytes] = {}

    async def query(self, path: str, data: bytes) -> bytes:
        self.asked.append(path)
        if path in self.answers:
            return self.answers[path]
        response = self.world.application.query(QueryRequest(path, data))
        if response.code != CODE_OK:
            raise TransactionRefusedError(response.log, response.code, response.log)
        return response.value


@pytest.fixture
def world() -> RelayWorld:
    world = two_chains()
    for _ in range(300):
        world.hubs[10].send_free(20)
    world.carry_from(world.hubs[10])
    return world


def reading(world: RelayWorld) -> tuple[RelayReader, Endpoint]:
    endpoint = Endpoint(world)
    return RelayReader(endpoint), endpoint  # type: ignore[arg-type]


async def test_recorded_packets_cost_one_query(world: RelayWorld) -> None:
    reader, endpoint = reading(world)
    lane = world.hubs[10].log[0][0].packet.lane  # type: ignore[union-attr]
    assert await reader.recorded([(lane, n) for n in range(250, 304)]) == [n <= 300 for n in range(250, 304)]
    assert endpoint.asked == ["/recorded/words"]


async def test_receipt_codes_cost_one_query_and_tell_unknown_packets_apart(world: RelayWorld) -> None:
    reader, endpoint = reading(world)
    ids = [entry.packet.packet_id for entry in world.hubs[10].log[0][:2]]  # type: ignore[union-attr]
    assert await reader.receipt_codes([*ids, bytes(32)]) == [0, 0, None]
    assert endpoint.asked == ["/receipt/codes"]
    assert await reader.receipt_codes([]) == []


@pytest.mark.parametrize("path", ["/recorded/words", "/receipt/codes"])
async def test_an_answer_of_another_length_is_an_outage(world: RelayWorld, path: str) -> None:
    reader, endpoint = reading(world)
    endpoint.answers[path] = bytes(5)
    lane = world.hubs[10].log[0][0].packet.lane  # type: ignore[union-attr]
    with pytest.raises(TransientChainError):
        await (reader.recorded([(lane, 1)]) if path == "/recorded/words" else reader.receipt_codes([bytes(32)]))


async def test_entries_that_a_listener_read_are_not_asked_for_again(world: RelayWorld) -> None:
    reader, endpoint = reading(world)
    read = await reader.entries(20, 1, 300)
    endpoint.asked.clear()
    assert await reader.range(20, 1, 300) == read
    middle = await reader.range(20, 100, 120)
    assert middle.start == (await reader.range(20, 90, 99)).fold().value
    assert list((await reader.entries_by_number(20, [5, 7])).values()) == [read.entries[4], read.entries[6]]
    assert endpoint.asked == []


async def test_who_asks_anew_sees_that_a_message_was_dropped(world: RelayWorld) -> None:
    reader, _ = reading(world)
    await reader.entries(20, 1, 300)
    world.carry_to(world.hubs[20])
    world.carry_from(world.hubs[20])
    assert isinstance((await reader.entries_by_number(20, [1]))[1], PacketEntry)
    assert isinstance((await reader.entries_by_number(20, [1], anew=True))[1], BareEntry)


async def test_what_was_kept_is_forgotten_on_demand_and_beyond_the_limit(
    world: RelayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_reader, "ENTRIES_KEPT_MAX", 100)
    reader, endpoint = reading(world)
    await reader.entries(20, 1, 300)
    endpoint.asked.clear()
    await reader.range(20, 201, 300)
    assert endpoint.asked == []
    await reader.range(20, 200, 300)
    assert endpoint.asked == ["/outbox/entries"]
    reader.forget(20)
    await reader.range(20, 201, 300)
    assert len(endpoint.asked) == 2
