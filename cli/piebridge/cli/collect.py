"""Collects the facts about one packet from the chains that it touches. Whoever does not answer becomes a fact, too."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiohttp

from piebridge.chains.errors import TransactionRefusedError
from piebridge.cli.facts import (
    BlockFacts,
    DestinationFacts,
    GatewayFacts,
    HomeFacts,
    PacketFacts,
    RelayFacts,
    SentPacket,
    SignatureFacts,
    Signer,
    SourceFacts,
)
from piebridge.cli.view import REQUEST_TIMEOUT_SECONDS, ChainView, NetworkView, ReceivedRange, RelayView
from piebridge.contracts.loader import load
from piebridge.crypto.errors import ChainError, VerificationError
from piebridge.protocol_stack.commitment import (
    bitmap_bit,
    chain_slot,
    origin_status_slot,
    receive_lane_slot,
    receipts_slot,
    seen_slot,
    settlement_slot,
    status_bits,
    status_slot,
)
from piebridge.protocol_stack.packet import Packet
from piebridge.protocol_stack.receipts import ReceiptBatch, ReceiptCode
from piebridge.protocol_stack.relay_queries import EndorseQuery, RecordedQuery
from piebridge.protocol_stack.transport.outbox import (
    HeaderEntry,
    PacketEntry,
    ReceiptHomeEntry,
    ReceiptsEntry,
    VerdictsEntry,
)
from piebridge.protocol_stack.verdicts import OriginVerdict

_T = TypeVar("_T")

DELIVERY_GAS = 120_000
"""Gas that one delivery takes at least, about; a gateway that cannot pay it cannot deliver."""
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
            self._source_facts(), self._destination_facts(), self._home_facts(), self._gateway_facts()
        )
        relays = await asyncio.gather(*(self._relay_facts(relay) for relay in self._candidates()))
        facts = PacketFacts(
            self._sent, source, tuple(relays), destination, home, gateways, delivery_cost_wei=await self._cost()
        )
        notaries, endorsements = await asyncio.gather(self._notary_facts(facts), self._endorsement_facts(facts))
        return PacketFacts(
            facts.sent,
            source,
            facts.relays,
            destination,
            home,
            gateways,
            notaries,
            endorsements,
            facts.delivery_cost_wei,
        )

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
        answer_entry = record["receipt"]["entry"] if record else None
        if self._delivery is not None and self._delivery.envelope.relay == relay.entry.id:
            number, height_there = self._delivered_entry(self._delivery)
            height, entry = height or height_there, entry or number
        answer_height = await self._answer_height(relay)
        if height is None:
            query = RecordedQuery(self._packet.lane, self._packet.sequence)
            recorded = await relay.query(RecordedQuery.PATH, query.encode())
            height = 0 if recorded == b"\x01" else None
        return RelayFacts(
            relay=relay.entry.id,
            life_cycle=str(status.get("life_cycle", "UNKNOWN")),
            paused=bool(status.get("paused")),
            recorded_height=height,
            recorded_time=await relay.time(height) if height else None,
            proof_bytes=await self._proof_bytes(relay, height),
            entry_number=entry or None,
            answer_height=answer_height,
            answer_time=await relay.time(answer_height) if answer_height else None,
            answer_proof_bytes=await self._answer_proof_bytes(relay, answer_height),
            answer_entry=answer_entry or None,
        )

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

    async def _answer_height(self, relay: RelayView) -> int | None:
        """Return the height at which the relay chain made the verdict or receipt for the source."""
        if self._answer is not None and self._answer.envelope.relay == relay.entry.id:
            for entry in self._answer.envelope.range.entries:
                if self._is_answer(entry):
                    return entry.height
        if not self._header.transaction.nonce:
            return None
        from piebridge.protocol_stack.packet import transaction_id

        identifier = transaction_id(
            self._header.transport.domain,
            self._header.transport.source,
            self._source.hub,
            self._header.transport.relay,
            self._header.transaction.nonce,
        )
        record = await relay.query_json("/transaction", identifier)
        return record.get("verdict_height") if record else None

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
            return DestinationFacts(**{**_fields(facts), "ended": BlockFacts(facts.head, facts.now), "code": code})
        block = await chain.block(number)
        ended, reason = BlockFacts(number, int(block["timestamp"], 16)), None
        for received in await chain.received_ranges(number):
            if self._carries(received):
                self._delivery = received
                ended = _received(number, ended.time, received)
                told, reason = self._outcome(received)
                code = told or code
        return DestinationFacts(**{**_fields(facts), "ended": ended, "code": code, "reason": reason})

    async def _waiting(self, chain: ChainView, facts: DestinationFacts) -> DestinationFacts:
        hub, header = load("Hub"), self._header
        relay = header.transport.relay
        (maximum,), (_, _, _, flags), (account, _, app_paused, _) = await asyncio.gather(
            chain.call(chain.hub, hub, "MAX_HANDLER_GAS"),
            chain.call(chain.hub, hub, "outbox", header.transport.domain, relay),
            chain.call(chain.hub, hub, "applicationOf", header.application.application),
        )
        paused = [text for bit, text in _FLAG_NAMES.items() if flags >> bit & 1]
        if app_paused:
            paused.append(f"application {header.application.application} is paused")
        return DestinationFacts(**{**_fields(facts), "handler_gas_max": maximum, "paused": tuple(paused)})

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
                reason = _revert_reason(event.arguments["reason"])
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
        taken = lambda value: bitmap_bit(value, self._packet.sequence)  # noqa: E731
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

    # Gateways, notaries, validators

    async def _gateway_facts(self) -> tuple[GatewayFacts, ...]:
        async def ask(name: str, address: str, url: str | None) -> GatewayFacts:
            problem = await _http_problem(url) if url else "its address is not known"
            source = await _or_else(self._source.balance(address), 0)
            destination = await _or_else(self._destination.balance(address), 0) if self._destination else 0
            return GatewayFacts(name, problem, source, destination)

        entries = self._view.network.gateways
        return tuple(await asyncio.gather(*(ask(item.name, item.address, item.status_url) for item in entries)))

    async def _notary_facts(self, facts: PacketFacts) -> SignatureFacts | None:
        """Ask the notaries for the statement that the packet, or its receipt, waits for."""
        recorder = facts.recorder
        if recorder is None:
            chain, number, outbox = self._source, facts.source.sent.number, self._sent.outbox_relay
            head = facts.source.head
        elif facts.destination.ended is not None and facts.home.came is None and facts.home.wanted:
            if self._destination is None or recorder.answer_height is not None:
                return None
            chain, number, outbox = self._destination, facts.destination.ended.number, self._packet.lane.relay
            head = facts.destination.head
        else:
            return None
        if chain.entry.verification != "notary" or head - number < chain.entry.finality_depth:
            return None
        request = {
            "domain": self._view.network.domain.id,
            "registration": chain.entry.registration,
            "hub": chain.entry.hub.lower(),
            "block_number": number,
            "slots": [chain_slot(self._view.network.domain.id, outbox).hex()],
        }
        notaries = [item for item in self._view.network.notaries if chain.entry.registration in item.chains]
        problems = await asyncio.gather(*(_notary_problem(f"{item.url}/v1/statement", request) for item in notaries))
        signers = [
            Signer(f"notary-{item.index}", item.address, problem)
            for item, problem in zip(notaries, problems, strict=True)
        ]
        return SignatureFacts(max((item.k for item in notaries), default=1), tuple(signers))

    async def _endorsement_facts(self, facts: PacketFacts) -> SignatureFacts | None:
        """Ask the validators to endorse the entry that the packet, or its answer, waits for."""
        recorder = facts.recorder
        if recorder is None or facts.home.came is not None:
            return None
        if facts.destination.ended is None:
            destination, number = self._header.transport.destination, recorder.entry_number
        else:
            destination, number = self._header.transport.source, recorder.answer_entry
        if not number:
            return None
        relay = self._view.relays[recorder.relay]
        query = EndorseQuery(destination, number).encode()

        async def ask(index: int) -> Signer:
            entry = relay.entry.validators[index]
            try:
                await relay.nodes[index].abci_query(EndorseQuery.PATH, query)
            except TransactionRefusedError as error:
                return Signer(f"validator {index}", entry.endorsement_address, error.log)
            except ChainError as error:
                return Signer(f"validator {index}", entry.endorsement_address, f"does not answer: {error}")
            return Signer(f"validator {index}", entry.endorsement_address, None)

        signers = await asyncio.gather(*(ask(index) for index in range(len(relay.entry.validators))))
        return SignatureFacts(relay.entry.k, tuple(signers))

    async def _cost(self) -> int:
        chain = self._destination or self._source
        price = await _or_else(chain.client.call("eth_gasPrice"), "0x0")
        return int(str(price), 16) * DELIVERY_GAS


def _fields(facts: DestinationFacts) -> dict[str, object]:
    return {name: getattr(facts, name) for name in DestinationFacts.__slots__}


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


def _revert_reason(data: bytes) -> str:
    for name in ("BridgeToken", "RecordNotary", "ERC7786Door", "Hub"):
        try:
            if reason := load(name).decode_error(data):
                return f"the handler refused: {reason}"
        except VerificationError:
            continue
    return f"the handler reverted with 0x{data.hex()}" if data else "the handler reverted without a reason"


async def _http_problem(url: str) -> str | None:
    """Return why a gateway does not work; an unhealthy one that answers still carries what it can."""
    try:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(f"{url}/health"):
            return None
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return f"{url} does not answer ({type(error).__name__})"


async def _notary_problem(url: str, request: dict[str, object]) -> str | None:
    try:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.post(url, json=request) as response:
            answer = await response.json(content_type=None)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        return f"does not answer ({type(error).__name__})"
    error = answer.get("error") if isinstance(answer, dict) else {"code": "malformed", "message": "no JSON object"}
    return f"{error.get('code')}: {error.get('message')}" if isinstance(error, dict) else None


async def _or_else(question: Awaitable[_T], default: _T) -> _T:
    try:
        return await question
    except ChainError:
        return default
