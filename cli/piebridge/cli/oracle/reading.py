"""Reads all parachains at two cuts and checks that what each of them says agrees with itself."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

from piebridge.cli.oracle import decoding, slots
from piebridge.cli.oracle.decoding import MalformedError, SentPacket, keccak, tag, topic
from piebridge.cli.oracle.ledger import (
    ChainLedger,
    Confirmation,
    NotarisedRecord,
    PostedMessage,
    StoredRecord,
    TokenLedger,
    TokenMove,
    Transfer,
    place_at_destination,
    places_at_source,
    strangers,
)
from piebridge.cli.oracle.reader import ChainReader, Log

_CELLS, _ALLOWANCES, _TOKEN_TEXTS, _TOKEN_VARIABLES = 0, 3, (1, 2), range(7)
"""Storage of the token: balances, allowances, name and symbol, and its first words."""
_RECORDS = 0
"""Storage of the record notary: records."""
_WORD_BYTES = 32
_TEXT_BYTES_MAX = 4_096
"""Longest name or symbol that is read; a token with a longer one counts as holding what nobody can account for."""
_U64 = (1 << 64) - 1

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ChainAddresses:
    """Where a parachain and its contracts are; addresses in hex."""

    name: str
    """Name for messages."""
    registration: int
    """Number of its hub."""
    rpc_url: str
    """HTTP address of its ``eth_*`` JSON-RPC."""
    hub: str
    """The hub."""
    token: str
    """The token."""
    record_notary: str
    """The record notary."""
    boards: tuple[str, ...] = ()
    """Message boards whose messages are to be checked."""


@dataclass(slots=True)
class _Reading:
    """One chain while it is read."""

    addresses: ChainAddresses
    reader: ChainReader
    cut: int
    later_cut: int
    ledger: ChainLedger
    outboxes: dict[int, list[tuple[int, int, bytes]]]
    """Number, height and message id of the entries in the logs, by outbox."""
    approvals: set[tuple[bytes, bytes]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Cuts:
    """One block of each parachain, twice; the second one was taken after the first was complete."""

    first: tuple[int, ...]
    """Block numbers, in the order of the chains."""
    second: tuple[int, ...]
    """Block numbers, in the order of the chains."""


def take_cuts(chains: Sequence[ChainAddresses]) -> Cuts:
    """Take the newest block of every chain, and again.

    Raises:
        ChainError: a node does not answer, or refuses.
    """
    readers = [ChainReader(chain.name, chain.rpc_url) for chain in chains]
    with ThreadPoolExecutor(max_workers=len(chains)) as pool:
        first = tuple(pool.map(ChainReader.newest_block, readers))
        return Cuts(first, tuple(pool.map(ChainReader.newest_block, readers)))


def read_ledgers(
    chains: Sequence[ChainAddresses], outboxes: Sequence[tuple[int, int]], cuts: Cuts
) -> list[ChainLedger]:
    """Read all parachains of a network.

    Args:
        chains: the parachains.
        outboxes: domain and relay chain of every outbox that a hub may have; relay 0 is the free one.
        cuts: blocks as of which they are read.

    Raises:
        ChainError: a node does not answer, or refuses.
    """
    readers = [ChainReader(chain.name, chain.rpc_url) for chain in chains]
    with ThreadPoolExecutor(max_workers=len(chains)) as pool:

        def everywhere(work: Callable[[_T], None], items: Sequence[_T]) -> None:
            list(pool.map(work, items))

        return read_through(readers, chains, outboxes, cuts, everywhere)


def read_through(
    readers: Sequence[ChainReader],
    chains: Sequence[ChainAddresses],
    outboxes: Sequence[tuple[int, int]],
    cuts: Cuts,
    everywhere: "Everywhere",
) -> list[ChainLedger]:
    """Read all parachains of a network through given readers.

    Args:
        readers: one of each chain.
        chains: the parachains.
        outboxes: domain and relay chain of every outbox that a hub may have; relay 0 is the free one.
        cuts: blocks as of which they are read.
        everywhere: does one piece of work for every chain, side by side or in turn.

    Raises:
        ChainError: a node does not answer, or refuses.
    """
    readings = [
        _Reading(
            chain,
            reader,
            cut,
            later,
            ChainLedger(
                chain.name, chain.registration, cut=cut, boards={bytes.fromhex(item[2:]) for item in chain.boards}
            ),
            {domain << 32 | relay: [] for domain, relay in outboxes},
        )
        for chain, reader, cut, later in zip(chains, readers, cuts.first, cuts.second, strict=True)
    ]
    everywhere(_read_logs, readings)
    packets = [packet for reading in readings for packet in reading.ledger.sent]
    everywhere(partial(_read_hub, packets=packets), readings)
    everywhere(_read_token, readings)
    everywhere(_read_records, readings)
    return [reading.ledger for reading in readings]


class Everywhere(Protocol):
    """Does one piece of work for every item."""

    def __call__(self, work: Callable[[_T], None], items: Sequence[_T]) -> None:
        """Do it, and return when all of it is done."""
        ...


# --- Logs -------------------------------------------------------------------------------------------------------------


def _read_logs(reading: _Reading) -> None:
    chain, ledger = reading.addresses, reading.ledger
    ledger.token = TokenLedger()
    readers: dict[str, Callable[[_Reading, Log], None]] = {
        chain.hub.lower(): _read_hub_log,
        chain.token.lower(): _read_token_log,
        chain.record_notary.lower(): _read_notary_log,
        **{board.lower(): _read_board_log for board in chain.boards},
    }
    for log in reading.reader.logs(list(readers), reading.later_cut):
        try:
            if log.topics and log.address in readers:
                readers[log.address](reading, log)
        except (MalformedError, IndexError) as error:
            ledger.faults.append(("I3", f"a log in block {log.block_number} of {log.address} is malformed: {error}"))


def _read_hub_log(reading: _Reading, log: Log) -> None:
    ledger, event = reading.ledger, log.topics[0]
    if event in (decoding.HANDLER_FAILED, decoding.CALLBACK_FAILED):
        if log.block_number <= reading.cut:
            (ledger.failed if event == decoding.HANDLER_FAILED else ledger.callbacks_failed).add(log.topics[1])
        return
    if event not in (decoding.PACKET_SENT, decoding.RECEIPTS_MADE, decoding.REPORT_MADE):
        return
    entry = int.from_bytes(log.topics[1], "big")
    outbox = entry >> 64
    if outbox > _U64:
        raise MalformedError(f"no outbox has the name {outbox:#x}")
    content = log.data
    if event == decoding.PACKET_SENT:
        packet = decoding.decode_packet(content, log.block_number)
        message_id = packet.id
        ledger.sent.append(packet)
        if packet.source != ledger.registration:
            ledger.faults.append(("I3", f"its hub sent a packet in the name of chain {packet.source}"))
        if packet.domain << 32 | packet.relay != outbox:
            ledger.faults.append(("I15", f"{packet.id.hex()[:16]} is in the outbox {_outbox(outbox)}, not its own"))
    elif event == decoding.RECEIPTS_MADE:
        message_id, items = decoding.decode_receipts(content, ledger.registration, log.block_number)
        ledger.receipts += items
        if outbox & 0xFFFFFFFF not in (0, items[0].endorsing_relay):
            ledger.faults.append(
                ("I15", f"receipts for relay chain {items[0].endorsing_relay} in the outbox {_outbox(outbox)}")
            )
    else:
        message_id = keccak(tag("REPORT") + keccak(content))
    reading.outboxes.setdefault(outbox, []).append((entry & _U64, log.block_number, message_id))


def _read_token_log(reading: _Reading, log: Log) -> None:
    token, event = reading.ledger.token, log.topics[0]
    if token is None or log.block_number > reading.cut:
        return
    amount = int.from_bytes(log.data, "big")
    if event == decoding.TRANSFER:
        token.transfers.append(Transfer(log.topics[1][12:], log.topics[2][12:], amount, log.block_number))
    elif event == decoding.APPROVAL:
        reading.approvals.add((log.topics[1], log.topics[2]))
    elif event == decoding.TRANSFER_RECEIVED:
        token.credits.append(TokenMove(log.topics[1], log.topics[2][12:], amount, log.block_number))
    elif event == decoding.TRANSFER_REFUNDED:
        token.refunds.append(TokenMove(log.topics[1], log.topics[2][12:], amount, log.block_number))


def _read_notary_log(reading: _Reading, log: Log) -> None:
    notary, event = reading.ledger.notary, log.topics[0]
    if log.block_number > reading.cut:
        return
    words = [log.data[start : start + _WORD_BYTES] for start in range(0, len(log.data), _WORD_BYTES)]
    if event == decoding.RECORD_NOTARISED:
        source, existing = int.from_bytes(words[1], "big"), bool(words[2][-1])
        notary.notarised.append(NotarisedRecord(log.topics[1], log.topics[2], words[0], source, existing))
    elif event == decoding.NOTARISATION_CONFIRMED:
        (returned,) = decoding.decode_byte_strings(log.data, 1, skip=1)
        notary.confirmations.append(Confirmation(log.topics[1], words[0][-1], returned))


def _read_board_log(reading: _Reading, log: Log) -> None:
    if log.topics[0] == decoding.MESSAGE_POSTED and log.block_number <= reading.cut:
        sender, payload = decoding.decode_byte_strings(log.data, 2)
        reading.ledger.posted.append(PostedMessage(bytes.fromhex(log.address[2:]), log.topics[1], sender, payload))


# --- Storage ----------------------------------------------------------------------------------------------------------


def _read_hub(reading: _Reading, packets: Sequence[SentPacket]) -> None:
    """Read every word that says something of a packet, and compare the logs with what the hub keeps."""
    ledger, reader, hub = reading.ledger, reading.reader, reading.addresses.hub
    arriving = [packet for packet in packets if packet.destination == ledger.registration]
    queued = [packet for packet in arriving if packet.ordered and not packet.bound]
    places = [place for packet in ledger.sent for place in places_at_source(packet)]
    places += [place_at_destination(packet) for packet in arriving if packet.bound or not packet.ordered]
    heads = [head for outbox in reading.outboxes for head in (slots.outbox_value(outbox), slots.outbox_number(outbox))]
    lanes = [place for packet in ledger.sent for place in slots.send_counters(packet)]
    lanes += [slots.receive_lane(packet) for packet in queued]
    later = [slots.status(packet) for packet in arriving if packet.bound]
    ledger.words = reader.words(hub, (place.slot for place in [*places, *heads, *lanes]), reading.cut)
    ledger.later_words = reader.words(hub, (place.slot for place in [*later, *heads]), reading.later_cut)
    ledger.handler_gas_max = int.from_bytes(
        reader.call(hub, topic("MAX_HANDLER_GAS()")[:4], reading.cut)[-_WORD_BYTES:], "big"
    )
    ledger.block_times = reader.block_times(item.block for item in ledger.receipts_by_cut())

    ledger.faults += [
        ("I3", f"its hub keeps an outcome of a packet that nobody sent (word {slot.hex()[:16]})")
        for slot in strangers(places, ledger.words)
    ]
    last = {slots.receive_lane(packet): packet.sequence for packet in queued}
    ledger.faults += [
        ("I3", f"its hub has taken {place.of(ledger.words)} packets of an ordered lane in which {sequence} were sent")
        for place, sequence in last.items()
        if place.of(ledger.words) > sequence
    ]
    ledger.faults += check_outboxes(ledger, reading.outboxes, bytes.fromhex(hub[2:]))
    ledger.faults += check_numbering(ledger)


def check_outboxes(
    ledger: ChainLedger, outboxes: dict[int, list[tuple[int, int, bytes]]], hub: bytes
) -> list[tuple[str, str]]:
    """Fold the entries in the logs and compare with the heads in storage: the logs are then complete and true.

    Args:
        ledger: of the chain, with the heads of both cuts.
        outboxes: number, height and message id of each entry, by outbox.
        hub: its address, 20 bytes.
    """
    faults = []
    for outbox, entries in sorted(outboxes.items()):
        value = keccak(
            tag("OUTBOX_OPEN_HUB") + ledger.registration.to_bytes(4, "big") + hub + outbox.to_bytes(8, "big")
        )
        values = [value]
        for number, height, message_id in entries:
            value = keccak(tag("OUTBOX") + value + number.to_bytes(8, "big") + height.to_bytes(8, "big") + message_id)
            values.append(value)
        dense = [number for number, _, _ in entries] == list(range(1, len(entries) + 1))
        by_cut = sum(height <= ledger.cut for _, height, _ in entries)
        for words, count in ((ledger.words, by_cut), (ledger.later_words, len(entries))):
            stored = slots.outbox_number(outbox).of(words), slots.outbox_value(outbox).of(words)
            unopened = stored == (0, 0) and count == 0
            if not dense or (not unopened and stored != (count, int.from_bytes(values[count], "big"))):
                faults.append(
                    (
                        "I3",
                        f"outbox {_outbox(outbox)}: {count} entries in the logs do not fold to its head ({stored[0]})",
                    )
                )
                break
    return faults


def check_numbering(ledger: ChainLedger) -> list[tuple[str, str]]:
    """Check that sequences in a lane and nonces in an outbox are given out one after the other, and counted."""
    lanes: dict[tuple[int, ...], list[SentPacket]] = {}
    nonces: dict[int, list[SentPacket]] = {}
    for packet in ledger.sent:
        lanes.setdefault(packet.lane, []).append(packet)
        if packet.bound:
            nonces.setdefault(packet.domain << 32 | packet.relay, []).append(packet)
    faults = []
    for lane, packets in lanes.items():
        by_cut = sum(packet.block <= ledger.cut for packet in packets)
        counted = slots.last_sequence(packets[0], ledger.words)
        if [packet.sequence for packet in packets] != list(range(1, len(packets) + 1)) or counted != by_cut:
            faults.append(("I2", f"sequences of lane {lane} are not given out once each"))
    for outbox, packets in nonces.items():
        by_cut = sum(packet.block <= ledger.cut for packet in packets)
        counted = slots.outbox_nonce(outbox).of(ledger.words)
        if [packet.nonce for packet in packets] != list(range(1, len(packets) + 1)) or counted != by_cut:
            faults.append(("I2", f"transaction nonces of the outbox {_outbox(outbox)} are not given out once each"))
    return faults


def _read_token(reading: _Reading) -> None:
    """Read what all accounts hold; the root of the token's storage leaves no room for any other account."""
    token, reader, address = reading.ledger.token, reading.reader, reading.addresses.token
    if token is None:
        return
    accounts = {account for item in token.transfers for account in (item.sender, item.recipient)}
    cells = {account: slots.mapping_slot(_CELLS, account) for account in accounts}
    allowances = [
        slots.mapping_slot(int.from_bytes(slots.mapping_slot(_ALLOWANCES, owner), "big"), spender)
        for owner, spender in reading.approvals
    ]
    variables = [number.to_bytes(_WORD_BYTES, "big") for number in _TOKEN_VARIABLES]
    words = reader.words(address, [*cells.values(), *allowances, *variables], reading.cut)
    texts = [slot for number in _TOKEN_TEXTS for slot in _text_slots(variables[number], words[variables[number]])]
    words |= reader.words(address, texts, reading.cut)
    token.cells = {account: words[slot] for account, slot in cells.items()}
    token.complete = slots.storage_trie_root(words) == reader.storage_root(address, reading.cut)
    token.supply = int.from_bytes(reader.call(address, topic("totalSupply()")[:4], reading.cut), "big")


def _text_slots(slot: bytes, word: int) -> list[bytes]:
    """Return where Solidity keeps a string of more than 31 bytes, whose own word is ``2 * length + 1``."""
    length = min(word // 2, _TEXT_BYTES_MAX) if word & 1 else 0
    count = (length + _WORD_BYTES - 1) // _WORD_BYTES
    first = int.from_bytes(keccak(slot), "big")
    return [((first + number) % (1 << 256)).to_bytes(_WORD_BYTES, "big") for number in range(count)]


def _read_records(reading: _Reading) -> None:
    notary, reader, address = reading.ledger.notary, reading.reader, reading.addresses.record_notary
    first = {item.key: slots.mapping_slot(_RECORDS, item.key) for item in notary.notarised}
    second = {key: (int.from_bytes(slot, "big") + 1).to_bytes(_WORD_BYTES, "big") for key, slot in first.items()}
    words = reader.words(address, [*first.values(), *second.values()], reading.cut)
    notary.records = {
        key: StoredRecord(
            words[slot].to_bytes(_WORD_BYTES, "big"), words[second[key]] & 0xFFFFFFFF, words[second[key]] >> 32
        )
        for key, slot in first.items()
    }
    notary.complete = slots.storage_trie_root(words) == reader.storage_root(address, reading.cut)


def _outbox(outbox: int) -> str:
    return f"{outbox >> 32}/{outbox & 0xFFFFFFFF}"
