"""Reading two chains at two cuts, from nodes that are made here: what a chain says must agree with itself."""

from collections.abc import Iterable, Sequence
from random import Random

import pytest
import rlp  # type: ignore[import-untyped]
from trie.hexary import HexaryTrie

from piebridge.cli.oracle import look, reading
from piebridge.cli.oracle.decoding import MalformedError, decode_packet, decode_receipts, keccak, tag, topic
from piebridge.cli.oracle.invariants import Applications, check
from piebridge.cli.oracle.ledger import ChainLedger
from piebridge.cli.oracle.reader import Log
from piebridge.cli.oracle.reading import ChainAddresses, read_ledgers, take_cuts
from testkit.oracle_world import ALICE, BOB, DOMAIN, FIRST, NOBODY, RELAY, SECOND, slot

HUB, TOKEN, NOTARY = "0x" + "01" * 20, "0x" + "02" * 20, "0x" + "03" * 20
OUTBOX = DOMAIN << 32 | RELAY
SUPPLY = 100


class Node:
    """A chain that answers as a node does; tests write into it."""

    def __init__(self, registration: int) -> None:
        self.registration = registration
        self.cuts = [10, 10]
        self.storage: dict[str, dict[bytes, int]] = {HUB: {}, TOKEN: {}, NOTARY: {}}
        self.later_storage: dict[bytes, int] | None = None
        self.all_logs: list[Log] = []
        self._chain = keccak(
            tag("OUTBOX_OPEN_HUB") + registration.to_bytes(4, "big") + b"\x01" * 20 + OUTBOX.to_bytes(8, "big")
        )
        self.storage[HUB][slot(0, OUTBOX)] = int.from_bytes(self._chain, "big")
        self._entries = 0
        share = SUPPLY // 2
        self.storage[TOKEN][slot(0, int.from_bytes(ALICE, "big"))] = share
        self.storage[TOKEN][(1).to_bytes(32, "big")] = int.from_bytes(b"Name".ljust(31, b"\0") + b"\x08", "big")
        self.log(TOKEN, "Transfer(address,address,uint256)", [NOBODY, ALICE], share.to_bytes(32, "big"), 1)

    def log(self, address: str, event: str, topics: Sequence[bytes], data: bytes, block: int) -> None:
        indexed = tuple(item.rjust(32, b"\0") for item in topics)
        self.all_logs.append(Log(address, (topic(event), *indexed), data, block))

    def send(self, destination: int, amount: int, block: int = 2) -> bytes:
        """A transfer of Alice's leaves; returns the packet."""
        number = self._entries + 1
        body = amount.to_bytes(16, "big") + ALICE + BOB
        header = bytearray(136)
        header[0:4] = b"\x01\x01\x00\x11"
        header[4:24] = b"".join(item.to_bytes(4, "big") for item in (DOMAIN, self.registration, destination, RELAY, 0))
        header[24:32] = header[50:58] = number.to_bytes(8, "big")
        header[72:76], header[92:96] = (2).to_bytes(4, "big"), len(body).to_bytes(4, "big")
        packet = bytes(header) + body
        self.entry("PacketSent(uint256)", packet, decode_packet(packet, block).id, block)
        self.storage[HUB][slot(1, OUTBOX)] = number << 152 | number << 64 | number
        self.storage[HUB][slot(9, DOMAIN)] = destination
        self.log(TOKEN, "Transfer(address,address,uint256)", [ALICE, NOBODY], amount.to_bytes(32, "big"), block)
        self.storage[TOKEN][slot(0, int.from_bytes(ALICE, "big"))] -= amount
        return packet

    def entry(self, event: str, content: bytes, message_id: bytes, block: int) -> None:
        self._entries += 1
        number, height = self._entries.to_bytes(8, "big"), block.to_bytes(8, "big")
        self._chain = keccak(tag("OUTBOX") + self._chain + number + height + message_id)
        self.storage[HUB][slot(0, OUTBOX)] = int.from_bytes(self._chain, "big")
        self.log(HUB, event, [OUTBOX.to_bytes(24, "big") + number], content, block)

    # What the reader asks

    def newest_block(self) -> int:
        return self.cuts.pop(0)

    def words(self, address: str, slots: Iterable[bytes], block: int) -> dict[bytes, int]:
        held = self.storage[address]
        if address == HUB and block > 10 and self.later_storage is not None:
            held = self.later_storage
        return {item: held.get(item, 0) for item in slots}

    def storage_root(self, address: str, block: int) -> bytes:
        trie = HexaryTrie({})
        for key, value in self.storage[address].items():
            if value:
                trie[keccak(key)] = rlp.encode(value)
        return bytes(trie.root_hash)

    def call(self, address: str, data: bytes, block: int) -> bytes:
        return (SUPPLY if address == TOKEN else 1_000_000).to_bytes(32, "big")

    def block_times(self, blocks: Iterable[int]) -> dict[int, int]:
        return dict.fromkeys(blocks, 1_000)

    def logs(self, addresses: Sequence[str], last_block: int) -> list[Log]:
        return [item for item in self.all_logs if item.block_number <= last_block]


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> list[Node]:
    made = [Node(FIRST), Node(SECOND)]
    by_url = {str(node.registration): node for node in made}

    class Reader:
        newest_block = Node.newest_block

        def __new__(cls, name: str, rpc_url: str) -> Node:  # type: ignore[misc]
            return by_url[rpc_url]

    monkeypatch.setattr(reading, "ChainReader", Reader)
    return made


CHAINS = [ChainAddresses(f"chain-{number}", number, str(number), HUB, TOKEN, NOTARY) for number in (FIRST, SECOND)]
OUTBOXES = [(DOMAIN, 0), (DOMAIN, RELAY)]
APPLICATIONS = Applications(token=2, record_notary=3, door=1)


def read() -> list[ChainLedger]:
    return read_ledgers(CHAINS, OUTBOXES, take_cuts(CHAINS))


def broken() -> set[str]:
    verdict = check(read(), APPLICATIONS)
    return {item.invariant for item in verdict.violations}


def test_honest_chains_are_read_without_a_fault(nodes: list[Node]) -> None:
    nodes[0].send(SECOND, 7)
    ledgers = read()
    assert [ledger.faults for ledger in ledgers] == [[], []]
    assert [packet.amount for packet in ledgers[0].sent] == [7]
    assert all(ledger.token is not None and ledger.token.complete and ledger.notary.complete for ledger in ledgers)
    verdict = check(ledgers, APPLICATIONS)
    assert (verdict.violations, verdict.balances, verdict.in_flight) == ([], SUPPLY - 7, 7)


def test_what_is_sent_behind_the_first_cut_is_known_and_not_yet_counted(nodes: list[Node]) -> None:
    nodes[0].cuts = [10, 12]
    before = dict(nodes[0].storage[HUB])
    nodes[0].send(SECOND, 7, block=11)
    nodes[0].later_storage = dict(nodes[0].storage[HUB])
    nodes[0].storage[HUB] = before
    nodes[0].storage[TOKEN][slot(0, int.from_bytes(ALICE, "big"))] += 7
    ledgers = read()
    assert ledgers[0].faults == []
    assert (len(ledgers[0].sent), ledgers[0].sent_by_cut()) == (1, [])
    assert check(ledgers, APPLICATIONS).violations == []


def test_tokens_that_no_event_tells_of_are_found(nodes: list[Node]) -> None:
    nodes[1].storage[TOKEN][slot(0, 0x5757)] = 1
    assert broken() == {"I1"}


def test_records_that_no_event_tells_of_are_found(nodes: list[Node]) -> None:
    nodes[1].storage[NOTARY][slot(0, 0x5757)] = 1
    assert broken() == {"I3"}


def test_an_allowance_and_a_long_name_are_accounted_for(nodes: list[Node]) -> None:
    spender = b"\x55" * 20
    held = nodes[1].storage[TOKEN]
    held[slot(int.from_bytes(slot(3, int.from_bytes(ALICE, "big")), "big"), int.from_bytes(spender, "big"))] = 9
    nodes[1].log(TOKEN, "Approval(address,address,uint256)", [ALICE, spender], (9).to_bytes(32, "big"), 2)
    held[(1).to_bytes(32, "big")] = 2 * 40 + 1
    for position in range(2):
        text = int.from_bytes(keccak((1).to_bytes(32, "big")), "big") + position
        held[text.to_bytes(32, "big")] = 0x4142
    assert broken() == set()


def test_an_entry_that_is_missing_in_the_logs(nodes: list[Node]) -> None:
    nodes[0].send(SECOND, 7)
    nodes[0].all_logs = [item for item in nodes[0].all_logs if item.address != HUB]
    assert "I3" in broken(), "an outbox that is empty in the logs is looked at as well"


@pytest.mark.parametrize("at", [0, 1])
def test_a_head_that_is_not_what_the_logs_fold_to(nodes: list[Node], at: int) -> None:
    nodes[0].send(SECOND, 7)
    nodes[0].storage[HUB][slot(at, OUTBOX)] += 1
    assert broken() == {"I3"}


def test_a_log_that_was_altered(nodes: list[Node]) -> None:
    nodes[0].send(SECOND, 7)
    index = next(number for number, item in enumerate(nodes[0].all_logs) if item.address == HUB)
    sent = nodes[0].all_logs[index]
    nodes[0].all_logs[index] = Log(sent.address, sent.topics, sent.data.replace(BOB, ALICE), sent.block_number)
    assert broken() == {"I3"}


def test_an_outcome_of_a_packet_that_nobody_sent(nodes: list[Node]) -> None:
    nodes[0].send(SECOND, 7)
    word = slot(2, DOMAIN << 160 | FIRST << 128 | RELAY << 96)
    nodes[1].storage[HUB][word] = 0b11 << 2 * 2
    assert broken() == {"I3"}
    nodes[0].cuts, nodes[1].cuts = [10, 10], [10, 10]
    nodes[1].storage[HUB][word] = 0
    assert broken() == set()


def test_a_packet_in_the_name_of_another_chain(nodes: list[Node]) -> None:
    nodes[0].send(SECOND, 7)
    nodes[0].registration = 99
    forged = nodes[0].send(SECOND, 5)
    assert forged[8:12] == (99).to_bytes(4, "big")
    assert "I3" in broken()


def test_numbers_that_are_given_out_twice(nodes: list[Node]) -> None:
    packet = nodes[0].send(SECOND, 7)
    nodes[0].entry("PacketSent(uint256)", packet, decode_packet(packet, 3).id, 3)
    nodes[0].storage[HUB][slot(1, OUTBOX)] += 1
    assert "I2" in broken()


def test_a_nonce_that_was_taken_for_nothing(nodes: list[Node]) -> None:
    nodes[0].send(SECOND, 7)
    nodes[0].storage[HUB][slot(1, OUTBOX)] += 1 << 64
    assert broken() == {"I2"}


def test_a_packet_in_an_outbox_that_is_not_its_own(nodes: list[Node]) -> None:
    packet = nodes[0].send(SECOND, 7)
    free = DOMAIN << 32
    moved = next(item for item in nodes[0].all_logs if item.address == HUB)
    nodes[0].all_logs.remove(moved)
    entry = (free << 64 | 1).to_bytes(32, "big")
    nodes[0].all_logs.append(Log(HUB, (moved.topics[0], entry), moved.data, moved.block_number))
    assert len(packet) == 192
    assert "I15" in broken()


@pytest.mark.parametrize(("counted", "fault"), [(0, {"I2"}), (1, set()), (2, {"I2"})])
def test_a_lane_toward_another_than_the_first_peer_is_counted_in_its_own_slot(
    nodes: list[Node], counted: int, fault: set[str]
) -> None:
    nodes[0].send(SECOND, 7)
    nodes[0].storage[HUB][slot(9, DOMAIN)] = SECOND + 1
    nodes[0].storage[HUB][slot(5, DOMAIN << 96 | SECOND << 64 | RELAY << 32)] = counted
    assert {invariant for invariant, _ in read()[0].faults} == fault


def test_a_sequence_that_was_taken_for_nothing(nodes: list[Node]) -> None:
    nodes[0].send(SECOND, 7)
    nodes[0].storage[HUB][slot(1, OUTBOX)] += 1 << 152
    assert broken() == {"I2"}


@pytest.mark.parametrize(("relay", "fault"), [(RELAY, set()), (RELAY + 1, {"I15"})])
def test_receipts_are_in_the_outbox_of_the_relay_chain_that_brought_the_batch(
    nodes: list[Node], relay: int, fault: set[str]
) -> None:
    packet = decode_packet(nodes[0].send(SECOND, 7), 2)
    content = relay.to_bytes(4, "big") + b"\0\1" + packet.id + b"\2"
    hashed = keccak(packet.id + b"\2")
    message_id = keccak(tag("RECEIPT") + SECOND.to_bytes(4, "big") + relay.to_bytes(4, "big") + hashed)
    nodes[1].entry("ReceiptsMade(uint256)", content, message_id, 3)
    nodes[1].storage[HUB][slot(1, OUTBOX)] = 1
    nodes[1].storage[HUB][slot(2, DOMAIN << 160 | FIRST << 128 | RELAY << 96)] = 0b11 << 2
    assert {invariant for ledger in read() for invariant, _ in ledger.faults} == fault


@pytest.mark.parametrize(("taken", "fault"), [(0, set()), (1, set()), (2, {"I3"})])
def test_an_ordered_lane_that_goes_beyond_what_was_sent(nodes: list[Node], taken: int, fault: set[str]) -> None:
    header = bytearray(nodes[0].send(SECOND, 7)[:136])
    header[1], header[2], header[16:20], header[92:96] = 2, 1, bytes(4), bytes(4)
    nodes[0].log(HUB, "PacketSent(uint256)", [b"\1"], bytes(header), 2)
    nodes[1].storage[HUB][slot(6, DOMAIN << 96 | FIRST << 64)] = taken
    assert {invariant for invariant, _ in read()[1].faults} == fault


@pytest.mark.parametrize(("racing", "violations"), [(1, 0), (2, 0), (3, 1)])
def test_a_node_that_mixes_two_blocks_while_it_works_accuses_nobody(
    nodes: list[Node], monkeypatch: pytest.MonkeyPatch, racing: int, violations: int
) -> None:
    readings = iter([True] * racing + [False] * 3)
    monkeypatch.setattr(look, "_PAUSE_SECONDS", 0)
    honest = nodes[1].storage_root

    def storage_root(address: str, block: int) -> bytes:
        return bytes(32) if address == TOKEN and next(readings) else honest(address, block)

    monkeypatch.setattr(nodes[1], "storage_root", storage_root)
    assert len(look.look(CHAINS, OUTBOXES, APPLICATIONS).violations) == violations


def _abi(content: bytes) -> bytes:
    padded = content.ljust(-(-len(content) // 32) * 32, b"\0")
    return (32).to_bytes(32, "big") + len(content).to_bytes(32, "big") + padded


@pytest.mark.parametrize("data", [b"", b"\0" * 31, (32).to_bytes(32, "big") + (99).to_bytes(32, "big") + bytes(32)])
def test_malformed_logs_are_faults_and_no_crash(nodes: list[Node], data: bytes) -> None:
    for event in ("PacketSent(uint256)", "ReceiptsMade(uint256)", "HandlerFailed(bytes32,bytes)"):
        nodes[0].log(HUB, event, [], data, 2)
    nodes[0].log(NOTARY, "RecordNotarised(bytes32,bytes32,bytes32,uint32,bool)", [b"", b""], data, 2)
    nodes[0].log(TOKEN, "Transfer(address,address,uint256)", [], data, 2)
    assert "I3" in broken()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        bytes(6),
        b"\0\0\0\5\0\1" + bytes(32),
        b"\0\0\0\5\0\1" + bytes(32) + b"\0",
        b"\0\0\0\5\0\1" + bytes(32) + b"\6",
        b"\0\0\0\5\0\1" + bytes(32) + b"\x81\0\5abc",
        b"\0\0\0\5\0\1" + bytes(32) + b"\x81",
        b"\0\0\0\5\0\1" + bytes(32) + b"\1\0",
        b"\0\0\0\5\0\2" + bytes(32) + b"\1",
    ],
)
def test_receipts_have_one_encoding(content: bytes) -> None:
    with pytest.raises(MalformedError):
        decode_receipts(content, FIRST, 2)


def test_receipts_with_returned_data() -> None:
    content = b"\0\0\0\5\0\2" + b"\1" * 32 + b"\x81\0\3abc" + b"\2" * 32 + b"\2"
    message_id, items = decode_receipts(content, FIRST, 2)
    hashed = b"\1" * 32 + b"\x81" + keccak(b"abc") + b"\2" * 32 + b"\2"
    assert message_id == keccak(tag("RECEIPT") + FIRST.to_bytes(4, "big") + b"\0\0\0\5" + keccak(hashed))
    assert [(item.code, item.returned, item.endorsing_relay) for item in items] == [(1, b"abc", 5), (2, b"", 5)]


def _random_content(random: Random) -> bytes:
    odd = [0, 1, 31, 32, 33, 64, 96, 1 << 255, random.getrandbits(256)]
    words = [random.choice(odd) for _ in range(random.randrange(9))]
    data = b"".join(word.to_bytes(32, "big") for word in words)
    return data[: random.choice([len(data), random.randrange(len(data) + 1)])]


@pytest.mark.parametrize("seed", range(20))
def test_random_logs_of_every_event_are_faults_and_no_crash(nodes: list[Node], seed: int) -> None:
    """A hostile chain makes logs of any content: nothing but faults may come of them."""
    random = Random(seed)
    events = {
        HUB: ["PacketSent(uint256,bytes)", "ReceiptsMade(uint256,bytes)", "ReportMade(uint256,bytes)"],
        TOKEN: ["Transfer(address,address,uint256)", "Approval(address,address,uint256)"],
        NOTARY: ["RecordNotarised(bytes32,bytes32,bytes32,uint32,bool)", "NotarisationConfirmed(bytes32,uint8,bytes)"],
    }
    for _ in range(30):
        contract = random.choice(list(events))
        topics = [random.randbytes(32) for _ in range(random.randrange(4))]
        content = _random_content(random)
        data = _abi(content) if random.randrange(2) else content
        nodes[0].log(contract, random.choice(events[contract]), topics, data, 2)
    check(read(), APPLICATIONS)
