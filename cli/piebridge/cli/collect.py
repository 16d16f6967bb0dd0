"""Collects the facts about one packet from the chains that it touches. Whoever does not answer becomes a fact, too."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from piebridge.chains.errors import TransactionRefusedError
from piebridge.cli.carriers import ask_gateways, ask_notaries, ask_validators, delivery_cost_wei
from piebridge.cli.facts import (
    BlockFacts,
    DestinationFacts,
    HomeFacts,
    PacketFacts,
    RelayFacts,
    SentPacket,
    SourceFacts,
)
from piebridge.cli.view import ChainView, NetworkView, ReceivedRange, RelayView
from piebridge.contracts.loader import load
from piebridge.crypto.errors import ChainError, DecodingError
from piebridge.protocol_stack.commitment import (
    bitmap_bit,
    origin_status_slot,
    receipts_slot,
    receive_lane_slot,
    seen_slot,
    settlement_slot,
    status_bits,
    status_slot,
)
from piebridge.protocol_stack.packet import Packet, transaction_id
from piebridge.protocol_stack.receipts import ReceiptBatch, ReceiptCode
from piebridge.protocol_stack.relay_queries import OutboxEntriesQuery, RecordedQuery
from piebridge.protocol_stack.transport.outbox import (
    RELAY_CHAIN,
    HeaderEntry,
    OutboxRange,
    PacketEntry,
    ReceiptHomeEntry,
    ReceiptsEntry,
    VerdictsEntry,
)
from piebridge.protocol_stack.verdicts import OriginVerdict

_COMMITTED, _ABORTED = 0b10, 0b11
_SETTLED = 1
_FLAG_NAMES = {
    2: "the relay chain is paused",
    3: "the domain is paused",
    4: "the hub is closed",
    5: "the relay chain is frozen",
}


async def collect(view: NetworkView, sent: SentPacket) -> PacketFacts:
    """Return everything that the chains say about a packet now.

    Raises:
        ChainError: the source chain does not answer.
    """
    return await _Collector(view, sent).collect()


class _Collector:
    """One packet's facts."""

    def __init__(self, view: NetworkView, sent: SentPacket) -> None:
        self._view, self._sent = view, sent
        self._packet: Packet = sent.packet
        self._header = sent.packet.header
        self._source = view.chain(sent.chain)
        self._destination = view.chains.get(self._header.transport.destination)
        self._delivery: ReceivedRange | None = None
        self._answer: ReceivedRange | None = None

    async def collect(self) -> PacketFacts:
        source, destination, home, gateways = await asyncio.gather(
            self._source_facts(),
            self._destination_facts(),
            self._home_facts(),
            ask_gateways(self._view, self._source, self._destination),
        )
        relays = await asyncio.gather(*(self._relay_facts(relay) for relay in self._candidates()))
        cost = await delivery_cost_wei(self._destination or self._source)
        facts = PacketFacts(self._sent, source, tuple(relays), destination, home, gateways, delivery_cost_wei=cost)
        notaries = await ask_notaries(self._view, facts)
        endorsements = await ask_validators(self._view, facts)
        return replace(facts, notaries=notaries, endorsements=endorsements)

    def _candidates(self) -> list[RelayView]:
        bound = self._header.transport.relay
        return [relay for number, relay in self._view.relays.items() if bound in (0, number)]

    # Source

    async def _source_facts(self) -> SourceFacts:
        head, _ = await self._source.head()
        block = await self._source.block(self._sent.block_number)
        receipt = await self._source.receipt(self._sent.transaction)
        sent = BlockFacts(
            number=self._sent.block_number,
            time=int(block["timestamp"], 16),
            transaction=self._sent.transaction,
            gas_used=int(receipt["gasUsed"], 16),
            messages=1,
        )
        entry = self._source.entry
        return SourceFacts(entry.name, sent, head, entry.finality_depth, entry.verification)

    # Relay chains

    async def _relay_facts(self, relay: RelayView) -> RelayFacts:
        try:
            return await self._ask_relay(relay)
        except ChainError as error:
            return RelayFacts(relay.entry.id, problem=str(error))

    async def _ask_relay(self, relay: RelayView) -> RelayFacts:
        status = await relay.query_json("/status", b"") or {}
        record = await relay.query_json("/packet", self._packet.packet_id)
        height, entry = (record["recorded_height"], record["entry"]) if record else (None, None)
        if self._delivery is not None and self._delivery.envelope.relay == relay.entry.id:
            number, height_there = self._delivered_entry(self._delivery)
            height, entry = height or height_there, entry or number
        answer_entry, answer_height = await self._relay_answer(relay, record)
        if height is None:
            query = RecordedQuery(self._packet.lane, self._packet.sequence)
            recorded = await relay.query(RecordedQuery.PATH, query.encode())
            height = 0 if recorded == b"\x01" else None
        return RelayFacts(
            relay=relay.entry.id,
            life_cycle=str(status.get("life_cycle", "UNKNOWN")),
            paused=bool(status.get("paused")),
            halted=await self._halted(relay),
            recorded_height=height,
            recorded_time=await relay.time(height) if height else None,
            proof_bytes=await self._proof_bytes(relay, height),
            entry_number=entry or None,
            answer_height=answer_height,
            answer_time=await relay.time(answer_height) if answer_height else None,
            answer_proof_bytes=await self._answer_proof_bytes(relay, answer_height),
            answer_entry=answer_entry or None,
        )

    async def _halted(self, relay: RelayView) -> str | None:
        silent, needed = await relay.silent_validators(), 2 * relay.entry.n // 3 + 1
        running = relay.entry.n - len(silent)
        if running >= needed:
            return None
        return f"{running} of {relay.entry.n} validators run, {needed} must; down: {', '.join(silent)}"

    def _delivered_entry(self, delivery: ReceivedRange) -> tuple[int, int]:
        """Return number and height, in the relay chain's outbox, of the entry that brought the packet."""
        wanted = self._packet.packet_id
        for offset, entry in enumerate(delivery.envelope.range.entries):
            if (
                isinstance(entry, PacketEntry | HeaderEntry)
                and entry.message_id(delivery.envelope.range.maker) == wanted
            ):
                return delivery.envelope.range.first + offset, entry.height
        raise AssertionError("the range was chosen because it holds the packet")

    async def _relay_answer(self, relay: RelayView, record: dict[str, Any] | None) -> tuple[int | None, int | None]:
        """Return entry number and height of the verdict or receipt that the relay chain made for the source."""
        if self._answer is not None and self._answer.envelope.relay == relay.entry.id:
            came = self._answer.envelope.range
            for offset, entry in enumerate(came.entries):
                if self._is_answer(entry):
                    return came.first + offset, entry.height
        number = int(record["receipt"]["entry"]) if record else 0
        transport, nonce = self._header.transport, self._header.transaction.nonce
        if nonce:
            identifier = transaction_id(transport.domain, transport.source, self._source.hub, transport.relay, nonce)
            transaction = await relay.query_json("/transaction", identifier)
            number = int(transaction["verdict_entry"]) if transaction else 0
        if not number:
            return None, None
        query = OutboxEntriesQuery(transport.source, number, 1)
        try:
            answer = await relay.query(query.PATH, query.encode())
        except TransactionRefusedError:  # not kept any more
            return number, None
        return number, OutboxRange.decode(answer, RELAY_CHAIN).entries[0].height

    def _is_answer(self, entry: object) -> bool:
        if isinstance(entry, VerdictsEntry):
            nonce = self._header.transaction.nonce
            return any(isinstance(item, OriginVerdict) and item.nonce == nonce for item in entry.verdicts.items)
        return isinstance(entry, ReceiptHomeEntry) and entry.receipt.packet_id == self._packet.packet_id

    async def _proof_bytes(self, relay: RelayView, height: int | None) -> int | None:
        if not height:
            return None
        for body, size in await relay.hub_ranges(height):
            ids = [entry.message_id(body.range.maker) for entry in body.range.entries]
            if self._packet.packet_id in ids:
                return size
        return None

    async def _answer_proof_bytes(self, relay: RelayView, height: int | None) -> int | None:
        if not height:
            return None
        for body, size in await relay.hub_ranges(height):
            for entry in body.range.entries:
                if isinstance(entry, ReceiptsEntry) and any(
                    item.packet_id == self._packet.packet_id for item in entry.batch.receipts
                ):
                    return size
        return None

    # Destination

    def _end_slot(self) -> tuple[bytes, Callable[[int], bool]]:
        """Return the slot of the destination that says whether the packet reached its end, and how to read it."""
        lane, sequence = self._packet.lane, self._packet.sequence
        if lane.relay:
            slot = status_slot(lane.domain, lane.source, lane.relay, lane.channel, sequence)
            return slot, lambda word: status_bits(word, sequence) in (_COMMITTED, _ABORTED)
        if self._header.transport.ordered:
            slot = receive_lane_slot(lane.domain, lane.source, lane.relay, lane.channel)
            return slot, lambda word: (word & (1 << 64) - 1) >= sequence
        return seen_slot(lane.domain, lane.source, lane.channel, sequence), lambda word: bitmap_bit(word, sequence)

    async def _destination_facts(self) -> DestinationFacts:
        name = self._view.chain_name(self._header.transport.destination)
        chain = self._destination
        if chain is None:
            return DestinationFacts(name, now=0)
        try:
            (head, _), now = await asyncio.gather(chain.head(), chain.clock())
            slot, ended = self._end_slot()
            word = await chain.storage(slot)
            facts = DestinationFacts(
                chain=name,
                now=now,
                head=head,
                finality_depth=chain.entry.finality_depth,
                next_sequence=(word & (1 << 64) - 1) + 1 if self._header.transport.ordered else None,
            )
            if ended(word):
                return await self._ended(chain, facts, slot, ended, word)
            return await self._waiting(chain, facts)
        except ChainError:
            return DestinationFacts(name, now=0)

    async def _ended(
        self, chain: ChainView, facts: DestinationFacts, slot: bytes, holds: Callable[[int], bool], word: int
    ) -> DestinationFacts:
        number = await chain.find_change(slot, holds, 0, facts.head)
        code: ReceiptCode | None = None
        if self._packet.lane.relay:
            committed = status_bits(word, self._packet.sequence) == _COMMITTED
            code = ReceiptCode.EXECUTED if committed else ReceiptCode.FAILED
        if number is None:
            return replace(facts, ended=BlockFacts(facts.head, facts.now), code=code)
        block = await chain.block(number)
        ended, reason = BlockFacts(number, int(block["timestamp"], 16)), None
        for received in await chain.received_ranges(number):
            if self._carries(received):
                self._delivery = received
                ended = _received(number, ended.time, received)
                told, reason = self._outcome(received)
                code = told or code
        return replace(facts, ended=ended, code=code, reason=reason)

    async def _waiting(self, chain: ChainView, facts: DestinationFacts) -> DestinationFacts:
        hub, header = load("Hub"), self._header
        relay = header.transport.relay
        (maximum,), (_, _, _, flags), (_, _, app_paused, _) = await asyncio.gather(
            chain.call(chain.hub, hub, "MAX_HANDLER_GAS"),
            chain.call(chain.hub, hub, "outbox", header.transport.domain, relay),
            chain.call(chain.hub, hub, "applicationOf", header.application.application),
        )
        paused = [text for bit, text in _FLAG_NAMES.items() if flags >> bit & 1]
        if app_paused:
            paused.append(f"application {header.application.application} is paused")
        return replace(facts, handler_gas_max=maximum, paused=tuple(paused))

    def _carries(self, received: ReceivedRange) -> bool:
        maker = received.envelope.range.maker
        return any(
            isinstance(entry, PacketEntry | HeaderEntry) and entry.message_id(maker) == self._packet.packet_id
            for entry in received.envelope.range.entries
        )

    def _outcome(self, received: ReceivedRange) -> tuple[ReceiptCode | None, str | None]:
        """Return code and reason of the packet, as the logs of the delivery tell."""
        hub, code, reason = load("Hub"), None, None
        for log in received.logs:
            if self._destination is None or log["address"].lower() != self._destination.entry.hub.lower():
                continue
            event = hub.decode_event(
                [bytes.fromhex(topic[2:]) for topic in log["topics"]], bytes.fromhex(log["data"][2:])
            )
            if event is None:
                continue
            if event.name == "ReceiptsMade":
                for item in ReceiptBatch.decode(event.arguments["receipts"]).receipts:
                    code = item.code if item.packet_id == self._packet.packet_id else code
            elif event.name == "HandlerFailed" and event.arguments["packetId"] == self._packet.packet_id:
                gas = self._packet.header.transaction.handler_gas
                reason = _revert_reason(event.arguments["reason"], gas)
        return code, reason

    # Home

    async def _home_facts(self) -> HomeFacts:
        header, lane = self._header, self._packet.lane
        nonce = header.transaction.nonce
        if nonce:
            slot = origin_status_slot(lane.domain, lane.relay, nonce)
            word = await self._source.storage(slot)
            bits = status_bits(word, nonce)
            if bits not in (_COMMITTED, _ABORTED):
                return HomeFacts(wanted=True)
            came = await self._came(slot, lambda value: status_bits(value, nonce) in (_COMMITTED, _ABORTED))
            settled = await self._settled(lane.relay, nonce) if bits == _ABORTED else None
            return HomeFacts(wanted=True, came=came, committed=bits == _COMMITTED, settled=settled)
        if not header.transport.receipt_wanted:
            return HomeFacts(wanted=False)
        slot = receipts_slot(lane.domain, lane.destination, lane.relay, lane.channel, self._packet.sequence)

        def taken(value: int) -> bool:
            return bitmap_bit(value, self._packet.sequence)

        if not taken(await self._source.storage(slot)):
            return HomeFacts(wanted=True)
        return HomeFacts(wanted=True, came=await self._came(slot, taken))

    async def _came(self, slot: bytes, holds: Callable[[int], bool]) -> BlockFacts:
        head, now = await self._source.head()
        number = await self._source.find_change(slot, holds, self._sent.block_number, head)
        if number is None:
            return BlockFacts(head, now)
        moment = int((await self._source.block(number))["timestamp"], 16)
        for received in await self._source.received_ranges(number):
            if any(self._is_answer(entry) for entry in received.envelope.range.entries):
                self._answer = received
                return _received(number, moment, received)
        return BlockFacts(number, moment)

    async def _settled(self, relay: int, nonce: int) -> BlockFacts | None:
        slot = settlement_slot(relay, nonce)
        head, now = await self._source.head()
        if await self._source.storage(slot) != _SETTLED:
            return None
        number = await self._source.find_change(slot, lambda value: value == _SETTLED, self._sent.block_number, head)
        if number is None:
            return BlockFacts(head, now)
        block = await self._source.block(number)
        wanted, hub = relay << 64 | nonce, load("Hub")
        topic = f"0x{hub.event_topic('Settled').hex()}"
        for item in block["transactions"]:
            receipt = await self._source.receipt(item["hash"])
            if any(log["topics"][0] == topic and int(log["topics"][1], 16) == wanted for log in receipt["logs"]):
                return BlockFacts(number, int(block["timestamp"], 16), item["hash"], int(receipt["gasUsed"], 16), 1)
        return BlockFacts(number, int(block["timestamp"], 16))


def _received(number: int, moment: int, received: ReceivedRange) -> BlockFacts:
    entries = received.envelope.range.entries
    return BlockFacts(
        number=number,
        time=moment,
        transaction=received.transaction,
        gas_used=received.gas_used,
        messages=sum(map(_messages_in, entries)),
        proof_bytes=received.proof_bytes,
        signatures=received.envelope.signers.threshold,
        relay=received.envelope.relay,
    )


def _messages_in(entry: object) -> int:
    """Return how many messages an entry brings; a bare one brings none, a list of verdicts one for each item."""
    if isinstance(entry, VerdictsEntry):
        return len(entry.verdicts.items)
    return int(isinstance(entry, PacketEntry | HeaderEntry | ReceiptHomeEntry))


def _revert_reason(data: bytes, handler_gas: int) -> str:
    for name in ("BridgeToken", "RecordNotary", "ERC7786Door", "Hub"):
        try:
            if reason := load(name).decode_error(data):
                return f"the handler refused: {reason}"
        except DecodingError:
            continue
    if data:
        return f"the handler reverted with 0x{data.hex()}"
    return f"the handler reverted without a reason, as one does whose {handler_gas} gas are used up"
