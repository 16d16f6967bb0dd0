"""The listener on a chain in memory: whole, from a cursor, against nodes that hide and invent, and reorganisations."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from piebridge.chains.endpoint import Block, Fees, HubEntry
from piebridge.chains.memory import MemoryCall, MemoryChain, MemoryEndpoint
from piebridge.crypto.errors import TransientChainError, VerificationError
from piebridge.crypto.hash import keccak256
from piebridge.gateway.archive import Archive
from piebridge.gateway.cursors import CursorStore
from piebridge.gateway.database import open_database
from piebridge.gateway.listener import HubListener, Synced, message_id_of
from piebridge.gateway.telemetry import Counters
from piebridge.protocol_stack.commitment import chain_slot, head_slot
from piebridge.protocol_stack.transport.outbox import OutboxHead, open_hub_outbox
from testkit.mini_hub import signed_call

HUB = bytes(range(20))
KEY = keccak256(b"listener")
DOMAIN, REGISTRATION, RELAY = 7, 3, 11


def packet(number: int) -> bytes:
    return bytes([number]) * 140  # malformed as a packet, but an entry all the same


def hub(call: MemoryCall) -> bytes:
    """A hub: call data name the outbox; each call makes one entry."""
    outbox = int.from_bytes(call.data, "big")
    slots = [int.from_bytes(slot(DOMAIN, outbox), "big") for slot in (chain_slot, head_slot)]
    value = call.storage.get(slots[0], 0).to_bytes(32, "big")
    if value == bytes(32):
        value = open_hub_outbox(REGISTRATION, HUB, DOMAIN, outbox)
    head = OutboxHead(call.storage.get(slots[1], 0), value)
    entry = HubEntry(DOMAIN, outbox, head.number + 1, call.block_number, 1, packet(head.number + 1))
    head = head.append(call.block_number, message_id_of(entry, REGISTRATION))
    call.storage[slots[0]] = int.from_bytes(head.value, "big")
    call.storage[slots[1]] = head.number
    call.entries.append(entry)
    return b""


class Setting:
    def __init__(self, path: Path) -> None:
        self.chain = MemoryChain(hub, hub_address=HUB)
        self.endpoint = MemoryEndpoint(self.chain)
        self.path = path
        self.depth = 1
        self.synced: list[Synced] = []
        self.nonce = 0
        self.restart()

    def restart(self) -> None:
        self.database = open_database(self.path / "gateway.sqlite3")
        self.archive, self.cursors = Archive(self.database), CursorStore(self.database)
        self.counters = Counters()

        async def final_block() -> Block:
            return await self.endpoint.final_block(self.depth)

        self.listener = HubListener(
            self.endpoint,
            registration=REGISTRATION,
            domain=DOMAIN,
            relays=[RELAY],
            first_block=0,
            final_block=final_block,
            archive=self.archive,
            cursors=self.cursors,
            counters=self.counters,
            notify=self.synced.append,
        )

    def send(self, outbox: int, count: int = 1) -> None:
        for _ in range(count):
            self.chain.submit(signed_call(KEY, 1, self.nonce, HUB, bytes([outbox]), Fees(2, 1)))
            self.nonce += 1
        self.chain.mine()

    def numbers(self, outbox: int) -> list[int]:
        return [entry.number for entry in self.archive.between(REGISTRATION, outbox, 1, 1_000)]


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    setting = Setting(tmp_path)
    yield setting
    setting.database.close()


async def test_entries_of_final_blocks_are_read_once(setting: Setting) -> None:
    setting.send(0, 3)
    setting.send(RELAY, 2)
    await setting.listener.sync()
    assert setting.numbers(0) == [1, 2, 3]
    assert setting.numbers(RELAY) == [], "its block is not deep enough"
    setting.chain.mine(2)
    await setting.listener.sync()
    await setting.listener.sync()
    assert setting.numbers(RELAY) == [1, 2]
    told = [(outbox, entry.number) for synced in setting.synced for outbox, entry in synced.entries]
    assert told == [(0, 1), (0, 2), (0, 3), (RELAY, 1), (RELAY, 2)]


async def test_a_listener_goes_on_where_its_cursor_is(setting: Setting) -> None:
    setting.send(0, 2)
    setting.chain.mine()
    await setting.listener.sync()
    setting.database.close()
    setting.send(0, 1)
    setting.chain.mine()
    setting.restart()
    setting.synced.clear()
    await setting.listener.sync()
    assert [entry.number for synced in setting.synced for _, entry in synced.entries] == [3]
    assert setting.numbers(0) == [1, 2, 3]


async def test_without_its_database_a_listener_reads_everything_again(setting: Setting) -> None:
    setting.send(0, 2)
    setting.chain.mine()
    await setting.listener.sync()
    setting.database.close()
    for file in setting.path.iterdir():
        file.unlink()
    setting.restart()
    await setting.listener.sync()
    assert setting.numbers(0) == [1, 2]


class Hides(MemoryEndpoint):
    async def outbox_entries(self, domain: int, first_block: int, last_block: int) -> list[HubEntry]:
        return [e for e in await super().outbox_entries(domain, first_block, last_block) if e.number != 2]


class Changes(MemoryEndpoint):
    async def outbox_entries(self, domain: int, first_block: int, last_block: int) -> list[HubEntry]:
        entries = await super().outbox_entries(domain, first_block, last_block)
        return [HubEntry(e.domain, e.relay, e.number, e.height, e.form, b"forged" * 30) for e in entries]


class MovesHeights(MemoryEndpoint):
    async def outbox_entries(self, domain: int, first_block: int, last_block: int) -> list[HubEntry]:
        entries = await super().outbox_entries(domain, first_block, last_block)
        return [HubEntry(e.domain, e.relay, e.number, e.height + 1, e.form, e.content) for e in entries]


@pytest.mark.parametrize(
    ("liar", "error"), [(Hides, TransientChainError), (Changes, VerificationError), (MovesHeights, VerificationError)]
)
async def test_a_node_that_lies_about_entries_is_found_out(
    setting: Setting, liar: type[MemoryEndpoint], error: type[Exception]
) -> None:
    setting.endpoint = liar(setting.chain)
    setting.restart()
    setting.send(0, 3)
    setting.chain.mine()
    with pytest.raises(error):
        await setting.listener.sync()
    assert setting.numbers(0) == [], "nothing of a look that failed is kept"
    setting.endpoint = MemoryEndpoint(setting.chain)
    setting.restart()
    await setting.listener.sync()
    assert setting.numbers(0) == [1, 2, 3]


class Queue(MemoryEndpoint):
    """A node without logs, and a hub that keeps its messages."""

    async def outbox_entries(self, domain: int, first_block: int, last_block: int) -> list[HubEntry]:
        return []

    async def queued_entry(self, domain: int, relay: int, number: int) -> HubEntry | None:
        entries = self.chain.entries(0, self.chain.latest.number)
        return next((e for e in entries if (e.domain, e.relay, e.number) == (domain, relay, number)), None)


async def test_without_logs_entries_come_from_the_hubs_queue(setting: Setting) -> None:
    setting.endpoint = Queue(setting.chain)
    setting.restart()
    setting.send(0, 2)
    setting.send(RELAY, 2)
    setting.chain.mine()
    await setting.listener.sync()
    assert setting.numbers(0) == setting.numbers(RELAY) == [1, 2]


async def test_reorganisations_above_the_final_block_do_not_matter(setting: Setting) -> None:
    setting.depth = 3
    setting.send(0, 2)
    setting.chain.mine(5)
    await setting.listener.sync()
    setting.chain.reorganise(2)
    setting.chain.mine(2)
    await setting.listener.sync()
    assert setting.numbers(0) == [1, 2]
    assert setting.counters.total("finality_violations") == 0


async def test_a_reorganisation_below_the_final_block_is_an_alarm_and_everything_is_read_anew(setting: Setting) -> None:
    setting.send(0, 2)
    setting.chain.mine(3)
    await setting.listener.sync()
    setting.chain.reorganise(4)
    setting.nonce = 0
    setting.send(0, 1)
    setting.chain.mine(2)
    await setting.listener.sync()
    assert setting.numbers(0) == [1]
    assert setting.counters.total("finality_violations") == 1


async def test_a_node_that_is_down_changes_nothing(setting: Setting) -> None:
    setting.send(0, 2)
    setting.chain.mine()
    setting.endpoint.out_of_order = True
    with pytest.raises(TransientChainError):
        await setting.listener.sync()
    setting.endpoint.out_of_order = False
    await setting.listener.sync()
    assert setting.numbers(0) == [1, 2]
