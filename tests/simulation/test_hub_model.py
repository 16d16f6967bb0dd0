"""The simulated hub and applications against the compiled contracts: the same calls, the same words and logs."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from piebridge.chains.errors import CallRevertedError
from piebridge.chains.evm.hub import receive_range_data, settle_data
from piebridge.contracts.loader import load
from piebridge.evm_chain.block import Outcome
from piebridge.protocol_stack import commitment
from piebridge.protocol_stack.packet import Packet, packets_hash
from piebridge.protocol_stack.receipts import ReceiptCode, ReceiptHome
from piebridge.protocol_stack.routing import RoutingPolicy, SlotRange
from piebridge.protocol_stack.stack import STACK
from piebridge.protocol_stack.transport.outbox import (
    BareEntry,
    Entry,
    HeaderEntry,
    PacketEntry,
    ReceiptHomeEntry,
    VerdictsEntry,
)
from piebridge.protocol_stack.verdicts import OriginVerdict, ParticipantVerdict, Verdict, VerdictList
from piebridge.protocol_stack.verification.base import Method
from testkit.simulation.applications import RECORD_NOTARY, TOKEN, RecordNotary, Token
from testkit.simulation.hub import CALLBACK_FAILED, HANDLER_FAILED, PACKET_SENT, Hub
from testkit.simulation.parachain import Execution, Word
from testkit.world.bench import ELSEWHERE, HERE, THERE, HubBench
from testkit.world.evm import Call
from testkit.world.forged_relay import ForgedRelay
from testkit.world.hub import CAP, CAP_WINDOW_SECONDS, DELTA_SECONDS, DOMAIN, HANDLER_GAS_MAX, SUPPLY
from testkit.world.keys import address_of
from testkit.world.packets import notarisation, transfer

_U64, _HEAD = (1 << 64) - 1, (1 << 128) - 1 | ((1 << 56) - 1) << 152
_REASON_UNKNOWN = (HANDLER_FAILED, CALLBACK_FAILED)
"""Logs whose data are the reason of a failure: the model knows only that there is one."""


@dataclass
class Twins:
    """One hub, twice."""

    bench: HubBench
    model: Hub = field(init=False)
    token: Token = field(init=False)
    notary: RecordNotary = field(init=False)
    state: dict[Word, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    sent: list[Packet] = field(default_factory=list)

    def __post_init__(self) -> None:
        hub = self.bench.hub
        self.bench.route({11: 512, 12: 512}, epoch=2)
        policy = RoutingPolicy(2, (SlotRange(11, 0, 512), SlotRange(12, 512, 512)))
        self.model = Hub(
            HERE,
            hub.hub,
            DOMAIN,
            (11, 12),
            (THERE, ELSEWHERE),
            route=lambda destination, application: policy.relay_of(HERE, destination, application),
            handler_gas_max=HANDLER_GAS_MAX,
            method=Method.SPV,
            times=DELTA_SECONDS,
        )
        self.token = Token(self.model, hub.token, SUPPLY, CAP, CAP_WINDOW_SECONDS)
        self.notary = RecordNotary(self.model, hub.notary)
        self.model.applications = {TOKEN: self.token, RECORD_NOTARY: self.notary}
        execution = self.execution()
        sets = {number: self.bench.relays[number].signers.set_hash(DOMAIN, number) for number in (11, 12)}
        self.model.open(execution, sets)
        self.token.create(execution, address_of("alice"), SUPPLY // 4)

    def execution(self) -> Execution:
        """The model's share of the block that was made last."""
        return Execution(self.state, self.bench.hub.chain.number, self.bench.now)

    def compare(self, outcome: Outcome, execution: Execution, *, succeeded: bool) -> None:
        """The same outcome, logs and words."""
        hub = self.bench.hub
        assert outcome.succeeded == succeeded, hub.error(outcome)
        self.counts["accepted" if succeeded else "refused"] += 1
        real = [(log.address, tuple(log.topics), log.data) for log in outcome.logs]
        model = [(log.address, log.topics, log.data) for log in execution.logs]
        assert [_comparable(log) for log in model] == [_comparable(log) for log in real]
        for address, slot in execution.changes():
            word = hub.chain.state.storage(address, int.from_bytes(slot, "big"))
            mask = self._masks().get((address, slot), (1 << 256) - 1)
            assert self.state.get((address, slot), 0) == word & mask, f"word {slot.hex()} of {address.hex()}"
        self.counts["words"] += len(execution.changes())
        self.counts["logs"] += len(real)

    def _masks(self) -> dict[Word, int]:
        """Words in which the contract keeps settings beside what the protocol speaks of."""
        hub = self.model.address
        masks: dict[Word, int] = {(hub, commitment.head_slot(DOMAIN, relay)): _HEAD for relay in (0, 11, 12)}
        for relay in (0, 11, 12):
            for peer in (THERE, ELSEWHERE):
                masks[hub, commitment.send_lane_slot(DOMAIN, peer, relay, 0)] = _U64
        return masks

    # --- calls ---

    def transfer(self, destination: int, amount: int, lifetime_seconds: int) -> None:
        relay = self.model.route(destination, TOKEN)
        expiry = self.bench.now + lifetime_seconds
        data = load("BridgeToken").function_data(
            "transferRemote", DOMAIN, destination, relay, "0x" + address_of("bob").hex(), amount, expiry, expiry + 60
        )
        (outcome,) = self.bench.hub.chain.run(Call(self.bench.hub.token, data, "alice"))
        execution = self.execution()
        self._as_model(
            outcome,
            execution,
            lambda: self.token.transfer_remote(
                execution, address_of("alice"), destination, relay, address_of("bob"), amount, expiry, expiry + 60
            ),
        )

    def notarise(self, destination: int, key: bytes, value: bytes) -> None:
        data = load("RecordNotary").function_data("notarise", DOMAIN, destination, key, value, 0)
        (outcome,) = self.bench.hub.chain.run(Call(self.bench.hub.notary, data, "alice"))
        execution = self.execution()
        self._as_model(outcome, execution, lambda: self.notary.notarise(execution, destination, key, value, 0))

    def call(self, data: bytes) -> None:
        (outcome,) = self.bench.hub.chain.run(Call(self.bench.hub.hub, data))
        execution = self.execution()
        self._as_model(outcome, execution, lambda: self.model.call(execution, address_of("carrier"), data))

    def is_aborted(self, packet: Packet) -> bool:
        """Whether the origin of a transaction has an ABORT."""
        slot = commitment.settlement_slot(packet.lane.relay, packet.header.transaction.nonce)
        return (self.model.address, slot) in self.state

    def _as_model(self, outcome: Outcome, execution: Execution, do: Callable[[], object]) -> None:
        mark = execution.mark()
        try:
            do()
            succeeded = True
        except CallRevertedError:
            execution.revert(mark)
            succeeded = False
        self.compare(outcome, execution, succeeded=succeeded)
        for log in execution.logs:
            if log.address == self.model.address and log.topics[0] == PACKET_SENT:
                self.sent.append(STACK.receive(log.data))


def _comparable(log: tuple[bytes, tuple[bytes, ...], bytes]) -> tuple[bytes, tuple[bytes, ...], bytes]:
    address, topics, data = log
    return address, topics, b"" if topics[0] in _REASON_UNKNOWN else data


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_model_and_contracts_agree_on_random_lives(seed: int) -> None:
    draw = random.Random(seed)
    twins = Twins(HubBench.build())
    bench = twins.bench
    keys = [bytes([number]) * 32 for number in range(3)]
    for _ in range(45):
        bench.advance(draw.choice((1, 30, 2_000)))
        kind = draw.choice(
            ("transfer", "transfer", "notarise", "receive", "receive", "receive", "receive", "settle", "settle")
        )
        if kind == "transfer":
            twins.transfer(
                draw.choice((THERE, ELSEWHERE)), draw.choice((1, 10**20, SUPPLY)), draw.choice((30, 90, 4_000))
            )
        elif kind == "notarise":
            twins.notarise(draw.choice((THERE, ELSEWHERE)), draw.choice(keys), draw.randbytes(32))
        elif kind == "settle" and (bound := [packet for packet in twins.sent if packet.lane.relay]):
            owed = [packet for packet in bound if twins.is_aborted(packet)]
            packet = draw.choice(owed or bound)
            nonce = packet.header.transaction.nonce if draw.random() < 0.8 else draw.randint(1, 5)
            for _ in range(draw.choice((1, 2))):  # the second time nothing is owed any more
                twins.call(settle_data(DOMAIN, packet.lane.relay, nonce, packet.encode()))
        else:
            relay = bench.relays[draw.choice((11, 12))]
            first = len(relay.outboxes.get(HERE, [])) + 1
            relay.add(HERE, *[_entry(draw, twins, relay) for _ in range(draw.randint(1, 4))])
            if draw.random() < 0.3:
                first = draw.randint(1, first)  # what the hub has seen before
            shown = relay.range(HERE, first, bare=[first] if draw.random() < 0.1 else [])
            members = (0, 1, 2) if draw.random() < 0.9 else None
            envelope = relay.endorse(shown, HERE, members=members).encode()
            if draw.random() < 0.15:
                position = draw.randrange(len(envelope))
                envelope = envelope[:position] + bytes([envelope[position] ^ 1]) + envelope[position + 1 :]
            twins.call(receive_range_data(envelope))
    assert min(twins.counts[name] for name in ("accepted", "refused", "words", "logs")) > 0, twins.counts
    assert twins.counts["words"] > 50


def _entry(draw: random.Random, twins: Twins, relay: ForgedRelay) -> Entry:
    relay.height += 1
    height, now = relay.height, twins.bench.now
    own = [packet for packet in twins.sent if packet.lane.relay in (0, relay.relay)]
    kind = draw.choice(("token", "token", "record", "record", "origin verdict", "participant verdict", "home", "bare"))
    sequence = draw.randint(1, 6)
    if kind == "token":
        expiry = now + draw.choice((-5, 1, 5, 5_000))
        packet = transfer(
            draw.choice((5, 10**24)),
            relay=draw.choice((relay.relay, relay.relay, 11)),
            sequence=sequence,
            expiry=expiry,
            recipient=draw.choice(("bob", "carrier")),
        )
        if draw.random() < 0.2:
            return HeaderEntry(height, packet.header, packet.body_hash)
        return PacketEntry(height, packet)
    if kind == "record":
        return PacketEntry(height, notarisation(draw.choice("abc"), draw.choice("xyz"), sequence=sequence))
    if kind == "origin verdict":
        bound = [packet for packet in own if packet.lane.relay == relay.relay]
        if bound:
            packet = draw.choice(bound)
            nonce = packet.header.transaction.nonce
            if draw.random() < 0.6:
                return VerdictsEntry(
                    height, VerdictList((OriginVerdict(nonce, Verdict.ABORT, packets_hash([packet.packet_id])),))
                )
            return VerdictsEntry(height, VerdictList((OriginVerdict(nonce, Verdict.COMMIT),)))
        return VerdictsEntry(height, VerdictList((OriginVerdict(sequence, Verdict.COMMIT),)))
    if kind == "participant verdict":
        verdict = draw.choice((Verdict.ABORT, Verdict.COMMIT))
        return VerdictsEntry(height, VerdictList((ParticipantVerdict(THERE, 0, sequence, verdict),)))
    if kind == "home":
        wanting = [packet for packet in own if packet.header.transport.receipt_wanted]
        if wanting:
            packet = draw.choice(wanting)
            code = draw.choice((ReceiptCode.EXECUTED, ReceiptCode.FAILED))
            returned = draw.randbytes(45) if code is ReceiptCode.EXECUTED else b""
            return ReceiptHomeEntry(height, ReceiptHome(packet.header, packet.body_hash, code, returned))
    return BareEntry(height, draw.randbytes(32))
