"""Typed queries of a relay chain that forgets."""

from piebridge.chains.errors import TransactionRefusedError
from piebridge.gateway.relay_reader import RelayReader
from piebridge.protocol_stack.relay_queries import OutboxEntriesQuery
from piebridge.protocol_stack.transport.outbox import RELAY_CHAIN, BareEntry, OutboxRange


class ForgetfulRelay:
    """Keeps the entries of an outbox from one number on; a range that begins below it is refused as a whole."""

    name = "relay"

    def __init__(self, oldest: int, head: int) -> None:
        self.oldest, self.head = oldest, head
        self.queries_asked = 0

    async def query(self, path: str, data: bytes) -> bytes:
        assert path == OutboxEntriesQuery.PATH
        self.queries_asked += 1
        query = OutboxEntriesQuery.decode(data)
        if not self.oldest <= query.first <= self.head:
            raise TransactionRefusedError("not among those kept", 1, "not among those kept")
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
