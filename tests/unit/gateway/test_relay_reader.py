"""Typed queries of a relay chain that forgets, and the listener that reads it."""

import sqlite3

import pytest

from piebridge.chains.errors import TransactionRefusedError
from piebridge.crypto.errors import TransientChainError
from piebridge.gateway import database
from piebridge.gateway.batching import GasModel
from piebridge.gateway.cursors import CursorStore
from piebridge.gateway.relay_listener import RelayListener
from piebridge.gateway.relay_reader import RelayReader
from piebridge.gateway.telemetry import Counters
from piebridge.protocol_stack.relay_queries import (
    FORGOTTEN_CODE,
    UNKNOWN_CODE,
    OutboxEntriesQuery,
    RegistrationQuery,
)
from piebridge.protocol_stack.transport.outbox import RELAY_CHAIN, BareEntry, OutboxHead, OutboxRange


class ForgetfulRelay:
    """Shows the entries of an outbox from one number on; a range that begins below it is refused as a whole."""

    name = "relay"

    def __init__(self, oldest: int, head: int) -> None:
        self.oldest, self.head = oldest, head
        self.queries_asked = 0

    async def query(self, path: str, data: bytes) -> bytes:
        if path == RegistrationQuery.OUTBOX_HEAD_PATH:
            return OutboxHead(self.head, b"\x01" * 32).encode()
        assert path == OutboxEntriesQuery.PATH
        self.queries_asked += 1
        assert self.queries_asked < 100, "asked for ever"
        query = OutboxEntriesQuery.decode(data)
        if query.first > self.head:
            raise TransactionRefusedError("not made yet", UNKNOWN_CODE, "not made yet")
        if query.first < self.oldest:
            raise TransactionRefusedError("not kept any more", FORGOTTEN_CODE, "not kept any more")
        last = min(query.first + query.count - 1, self.head)
        entries = tuple(BareEntry(1, number.to_bytes(32, "big")) for number in range(query.first, last + 1))
        return OutboxRange(RELAY_CHAIN, query.first, b"\x01" * 32, entries).encode()


async def test_entries_that_are_kept_are_found_although_one_asked_for_with_them_is_not() -> None:
    # A gateway took entries 6 to 9 for delivered because entry 5 was forgotten: found by simulation seed 1.
    relay = ForgetfulRelay(oldest=6, head=9)
    found = await RelayReader(relay).entries_by_number(22, [5, 6, 8, 9])  # type: ignore[arg-type]
    assert sorted(found) == [6, 8, 9]
    assert relay.queries_asked < 10


async def test_entries_that_are_all_forgotten_are_none() -> None:
    assert await RelayReader(ForgetfulRelay(oldest=6, head=9)).entries_by_number(22, [1, 2, 5]) == {}  # type: ignore[arg-type]


async def test_entries_of_which_a_node_does_not_know_yet_are_not_taken_for_forgotten() -> None:
    with pytest.raises(TransientChainError):
        await RelayReader(ForgetfulRelay(oldest=6, head=9)).entries_by_number(22, [9, 10])  # type: ignore[arg-type]


@pytest.mark.parametrize("oldest", [1, 2, 6, 9, 10])
async def test_listener_passes_over_what_is_forgotten_up_to_the_head_itself(oldest: int) -> None:
    # Where nothing waits any more, a relay chain cannot show even the head: the value before it is gone. A gateway that
    # begins anew then read it for ever, and no other outbox: found by simulation seeds 339 and 809.
    connection = sqlite3.connect(":memory:", isolation_level=None)
    database.prepare(connection)
    relay = ForgetfulRelay(oldest=oldest, head=9)
    cursors = CursorStore(connection)
    listener = RelayListener(
        RelayReader(relay),  # type: ignore[arg-type]
        relay=1,
        destinations=(22, 33),
        cursors=cursors,
        counters=Counters(),
        gas_model=GasModel(),
        notify=lambda destination, items: None,
    )
    await listener.sync()
    for destination in (22, 33):
        cursor = cursors.load(f"relay/1/{destination}")
        assert cursor is not None
        assert cursor.number == 9
    connection.close()
