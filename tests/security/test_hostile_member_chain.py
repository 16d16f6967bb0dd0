"""A member chain that is malicious as a whole: its hub proves any entry it likes, honestly.

Registration 9 is such a chain; relay chain and the other hubs are real. Each forged field is a test. In every batch an
honest transfer stands behind the forgery: it must be executed, so no forgery can hold up the rest (O10, O15).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from piebridge.protocol_stack.application.token import TOKEN, TRANSFER, TokenTransfer
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.header import Header, VerificationHeader
from piebridge.protocol_stack.packet import Packet
from piebridge.protocol_stack.receipts import Receipt, ReceiptBatch, ReceiptCode
from piebridge.protocol_stack.report import Report, ReportKind
from piebridge.protocol_stack.transport.outbox import (
    Entry,
    Form,
    HeaderEntry,
    MalformedEntry,
    PacketEntry,
    ReceiptsEntry,
    ReportEntry,
    VerdictsEntry,
)
from piebridge.protocol_stack.verdicts import OriginVerdict, Verdict
from piebridge.protocol_stack.verification.base import Method
from piebridge.relay.app.admission import Code
from testkit.hub_model import HubModel
from testkit.world.hub import BODY_BYTES_MAX, CAP, DOMAIN
from testkit.world.keys import START_SECONDS, address_of
from testkit.world.world import World

LIAR = 9
"""Registration of the malicious chain."""
RELAY = 11
"""The relay chain."""
HONEST = 5
"""Amount of the honest transfer in every batch."""
STOLEN = 10**18
"""Amount of every forged transfer."""


@dataclass
class LyingWorld:
    """A world with a malicious member."""

    world: World
    liar: HubModel
    first: dict[int, int] = field(default_factory=dict)
    """First entry of each outbox that was not carried yet."""

    def transfer(self, amount: int, recipient: str, destination: int = 2) -> Packet:
        """The next token transfer of the malicious chain; it is not in its outbox yet."""
        body = TokenTransfer(amount, address_of("mallory"), address_of(recipient)).encode()
        header = self.liar.header(destination, relay=RELAY, body_length=len(body), receipt_wanted=False)
        application = replace(header.application, application=TOKEN, function=TRANSFER)
        return Packet(replace(header, application=application), body)

    def send(self, packet: Packet) -> Packet:
        """Send a packet as an honest hub would."""
        return self.liar.send(packet.header, packet.body)

    def append(self, entry: Entry, relay: int = RELAY) -> None:
        """Put any entry into an outbox."""
        self.liar.append(relay, entry)

    def carry(self, relay: int = RELAY) -> None:
        """Carry an outbox of the malicious chain to the relay chain, which must take it."""
        chain, model = self.world.relays[RELAY], self.liar.chain
        model.now_seconds = max(model.now_seconds, self.world.now)
        model.close_block()
        self.world.clock.now_seconds = max(self.world.now, model.now_seconds)
        client = chain.view.client(LIAR)
        assert client is not None
        chain.must(self.liar.update_message(client.heights[-1]))
        code, log, _ = chain.submit(chain.sign(self.liar.range_message(relay, self.first.get(relay, 1))))
        assert code == Code.OK, log
        self.first[relay] = self.liar.outboxes[relay].number + 1

    @property
    def number(self) -> int:
        """Number of the block that the malicious chain is making."""
        return self.liar.chain.next_number


def make() -> LyingWorld:
    """Build the world; the relay chain's genesis names the malicious member like the honest ones."""
    liar = HubModel(LIAR, domain=DOMAIN, relays=(RELAY,))
    world = World.build(others=[liar.registration_message(depth_max=16)])
    liar.chain.now_seconds = world.now
    return LyingWorld(world, liar)


@pytest.fixture
def lying() -> LyingWorld:
    """A world of its own."""
    return make()


@pytest.fixture(scope="module")
def shared() -> LyingWorld:
    """One world for the forgeries whose effect is measured from where the one before has left it."""
    return make()


def raw_entry(lying: LyingWorld, packet: Packet, place: int, value: int) -> Entry:
    """The packet with one byte of its header changed, whatever the decoder says."""
    header = bytearray(packet.header.encode())
    assert header[place] != value, "nothing is forged"
    header[place] = value
    reason = FormatError(ErrorCode.VERSION, "planted")
    return MalformedEntry(lying.number, Form.PACKET, bytes(header), packet.body, reason)


def transport(**fields: int) -> Callable[[Header], Header]:
    return lambda header: replace(header, transport=replace(header.transport, **fields))


def transaction(**fields: int) -> Callable[[Header], Header]:
    return lambda header: replace(header, transaction=replace(header.transaction, **fields))


def application(**fields: int) -> Callable[[Header], Header]:
    return lambda header: replace(header, application=replace(header.application, **fields))  # type: ignore[arg-type]


def verification(*fields: int) -> Callable[[Header], Header]:
    return lambda header: replace(header, verification=VerificationHeader(*fields))


def of_source(source: int) -> Callable[[Header], Header]:
    return lambda header: transaction(origin=source)(
        transport(source=source, destination=2 if source != 2 else 1)(header)
    )


SPEAKS_FOR_ANOTHER: dict[str, Callable[[Header], Header]] = {
    "domain: another one": transport(domain=DOMAIN + 1),
    "source and origin: an honest member": of_source(1),
    "source and origin: the destination itself": of_source(2),
    "source and origin: nobody": of_source(99),
    "relay: another one": transport(relay=12),
}
"""Well-formed, but not the malicious chain's own business: skipped like a bare entry."""

MALFORMED: dict[str, tuple[int, int]] = {
    "version": (0, 2),
    "transport protocol": (1, 3),
    "transport flags": (2, 0x80),
    "ordered without the protocol": (2, 0x01),
    "header length": (3, 18),
    "destination: the source itself": (15, LIAR),
    "relay: none, in a request": (19, 0),
    "sequence: zero": (31, 0),
    "verification method": (32, 4),
    "verification reserved": (36, 1),
    "transaction protocol: FORWARD in a bound lane": (40, 4),
    "transaction protocol: BTP": (40, 1),
    "transaction reserved": (41, 1),
    "kind: plain": (42, 0),
    "kind: CANCEL": (42, 2),
    "transaction flags": (43, 0x01),
    "RETURN without RECEIPT_WANTED": (43, 0x10),
    "participant index": (44, 1),
    "participant count": (45, 2),
    "origin: another than the source": (49, 1),
    "nonce: zero": (57, 0),
    "deadline before expiry": (59, 0),
    "application: zero": (75, 0),
    "compensation function": (87, 1),
    "codec": (89, 3),
    "application reserved": (103, 1),
}
"""What no decoder accepts, by offset and value: folded with its id, and otherwise bare."""

CANNOT_BE_SERVED: dict[str, Callable[[Header], Header]] = {
    "destination: no member": transport(destination=77),
    "method: both, of a chain with a light client only": verification(Method.BOTH),
    "depth: above the registered maximum": verification(Method.SPV, 17),
    "set epoch: of a chain without notaries": verification(Method.SPV, 0, 1),
    "deadline: over": transaction(deadline=START_SECONDS, execution_expiry=START_SECONDS),
}
"""Speaks for itself: recorded and answered with an abort, so that its own users are not locked."""

FAILS_AT_THE_DESTINATION: dict[str, Callable[[Header], Header]] = {
    "expiry: over": transaction(execution_expiry=START_SECONDS),
    "handler gas: above the destination's maximum": transaction(handler_gas=2**32 - 1),
    "handler gas: none": transaction(handler_gas=0),
    "application: unknown": application(application=99),
    "application: one of another kind": application(application=3),
    "function: unknown": application(function=9),
}
"""Carried, and ended by the destination without an effect."""


def check(lying: LyingWorld, *, forged_ends: bool) -> None:
    """Deliver, and see that nothing was stolen, the honest transfer was executed, and nobody else was touched."""
    world = lying.world
    first, second, chain = world.hubs[1], world.hubs[2], world.relays[RELAY]
    lying.send(lying.transfer(HONEST, "bob"))
    honest_hub, before = first.digest(), second.balance("bob")
    answers = chain.head(LIAR).number
    lying.carry()
    world.deliver(RELAY, 2)
    assert second.balance("mallory") == 0
    assert second.balance("bob") == before + HONEST
    assert first.digest() == honest_hub
    assert chain.head(1).number == 0
    assert (chain.head(LIAR).number > answers) is forged_ends


@pytest.mark.parametrize("forgery", SPEAKS_FOR_ANOTHER)
def test_a_request_that_speaks_for_another_is_skipped(shared: LyingWorld, forgery: str) -> None:
    """WHO: a chain speaks for itself alone."""
    packet = shared.transfer(STOLEN, "mallory")
    shared.append(PacketEntry(shared.number, replace(packet, header=SPEAKS_FOR_ANOTHER[forgery](packet.header))))
    check(shared, forged_ends=False)


@pytest.mark.parametrize("field", MALFORMED)
def test_a_request_that_does_not_decode_counts_as_bare(shared: LyingWorld, field: str) -> None:
    """Bytes that no decoder accepts never fail the batch."""
    shared.append(raw_entry(shared, shared.transfer(STOLEN, "mallory"), *MALFORMED[field]))
    check(shared, forged_ends=False)


@pytest.mark.parametrize("forgery", CANNOT_BE_SERVED)
def test_a_request_that_cannot_be_served_is_answered_with_an_abort(shared: LyingWorld, forgery: str) -> None:
    """The source never stays locked, and the destination gets at most a tombstone."""
    packet = shared.transfer(STOLEN, "mallory")
    forged = shared.send(replace(packet, header=CANNOT_BE_SERVED[forgery](packet.header)))
    check(shared, forged_ends=True)
    world = shared.world
    (aborted,) = [item for item in verdicts_home(world) if item.nonce == forged.header.transaction.nonce]
    assert aborted.verdict == Verdict.ABORT
    if forged.lane.destination == 2:
        assert world.hubs[2].status(forged.lane, forged.sequence) == Verdict.ABORT


def verdicts_home(world: World) -> list[OriginVerdict]:
    """Verdicts that the relay chain has for the malicious chain."""
    entries = world.relays[RELAY].entries(LIAR).entries
    return [
        item
        for entry in entries
        if isinstance(entry, VerdictsEntry)
        for item in entry.verdicts.items
        if isinstance(item, OriginVerdict)
    ]


@pytest.mark.parametrize("forgery", FAILS_AT_THE_DESTINATION)
def test_a_request_that_its_destination_refuses_has_no_effect(shared: LyingWorld, forgery: str) -> None:
    """Carried and ended as FAILED or EXPIRED; the lane goes on."""
    packet = shared.transfer(STOLEN, "mallory")
    forged = shared.send(replace(packet, header=FAILS_AT_THE_DESTINATION[forgery](packet.header)))
    check(shared, forged_ends=False)
    assert shared.world.hubs[2].status(forged.lane, forged.sequence) == Verdict.ABORT


@pytest.mark.parametrize("length", [0, 55, 57, BODY_BYTES_MAX, BODY_BYTES_MAX + 1])
def test_a_body_of_another_length_credits_nobody(shared: LyingWorld, length: int) -> None:
    """Up to the cap the destination's token refuses it, above the cap the relay chain answers."""
    packet = shared.transfer(STOLEN, "mallory")
    body = (packet.body * 200)[:length]
    shared.send(Packet(application(body_length=length)(packet.header), body))
    check(shared, forged_ends=length > BODY_BYTES_MAX)


def test_a_body_length_that_runs_past_the_range_refuses_the_range(lying: LyingWorld) -> None:
    """The one thing that a decoder cannot step over; no honest gateway can be made to carry it, for it has no bytes."""
    packet = lying.transfer(STOLEN, "mallory")
    lying.append(raw_entry(lying, packet, 92, 0xFF))
    model = lying.liar.chain
    model.close_block()
    lying.world.clock.now_seconds = max(lying.world.now, model.now_seconds)
    chain = lying.world.relays[RELAY]
    client = chain.view.client(LIAR)
    assert client is not None
    chain.must(lying.liar.update_message(client.heights[-1]))
    before = chain.content()
    (result,) = chain.execute(chain.sign(lying.liar.range_message(RELAY)))
    assert result.code == Code.INVALID
    assert chain.content() == before
    message = replace(lying.liar.range_message(RELAY), range=lying.liar.range(RELAY, bare=[1]))
    assert chain.submit(chain.sign(message))[0] == Code.OK


def test_a_sequence_given_out_twice_is_executed_once(lying: LyingWorld) -> None:
    """Two contents at one place of a lane: the first that is recorded counts."""
    first = lying.transfer(HONEST, "bob")
    second = replace(first, body=TokenTransfer(STOLEN, bytes(20), address_of("mallory")).encode())
    lying.send(first)
    lying.append(PacketEntry(lying.number, second))
    lying.carry()
    lying.world.deliver(RELAY, 2)
    assert (lying.world.hubs[2].balance("bob"), lying.world.hubs[2].balance("mallory")) == (HONEST, 0)


def test_a_nonce_given_out_twice_decides_once(lying: LyingWorld) -> None:
    """The second request is entombed; the transaction keeps its one verdict."""
    first = lying.send(lying.transfer(HONEST, "bob"))
    packet = lying.transfer(STOLEN, "mallory")
    second = lying.send(replace(packet, header=transaction(nonce=first.header.transaction.nonce)(packet.header)))
    lying.carry()
    lying.world.deliver(RELAY, 2)
    assert lying.world.hubs[2].balance("mallory") == 0
    assert lying.world.hubs[2].status(second.lane, second.sequence) == Verdict.ABORT


def test_a_header_without_its_body_cannot_be_executed(shared: LyingWorld) -> None:
    """Form 2 before the deadline counts as bare."""
    packet = shared.transfer(STOLEN, "mallory")
    shared.append(HeaderEntry(shared.number, packet.header, packet.body_hash))
    check(shared, forged_ends=False)


@pytest.mark.parametrize("height", [0, 10**6, 2**64 - 1], ids=["dated back", "yet to come", "never to come"])
def test_a_false_height_wins_nothing(lying: LyingWorld, height: int) -> None:
    """An entry of a block that is yet to come waits for it; dated back it is what it is: the chain's own entry."""
    lying.append(PacketEntry(height, lying.transfer(STOLEN, "bob")))
    lying.carry()
    assert lying.world.relays[RELAY].head(2).number == (1 if height == 0 else 0)


@pytest.mark.parametrize("code", [ReceiptCode.EXECUTED, ReceiptCode.EXPIRED])
@pytest.mark.parametrize("outbox", [0, RELAY], ids=["free outbox", "bound outbox"])
def test_a_receipt_of_somebody_elses_packet_decides_nothing(lying: LyingWorld, code: ReceiptCode, outbox: int) -> None:
    """A chain can acknowledge only what ends at it: the transfer from 1 to 2 stays open, nothing is refunded."""
    world = lying.world
    victim = world.send_token(1, 2, 777)
    world.record(1, RELAY, bound=True)
    batch = ReceiptBatch(RELAY, (Receipt(victim.packet_id, code),))
    lying.append(ReceiptsEntry(lying.number, batch), outbox)
    lying.carry(outbox)
    assert world.relays[RELAY].head(1).number == 0
    world.deliver(RELAY, 2)
    world.record(2, RELAY, bound=True)
    world.deliver(RELAY, 1)
    assert world.hubs[1].own_status(RELAY, 1) == Verdict.COMMIT
    assert not world.settle(1, victim).succeeded


@pytest.mark.parametrize("identifier", [bytes(32), b"\xff" * 32], ids=["zero", "unknown"])
def test_a_receipt_of_a_packet_that_was_never_recorded_is_nothing(shared: LyingWorld, identifier: bytes) -> None:
    """Receipts are about packets that this relay chain has recorded itself."""
    shared.append(ReceiptsEntry(shared.number, ReceiptBatch(RELAY, (Receipt(identifier, ReceiptCode.EXECUTED),))))
    check(shared, forged_ends=False)


def test_a_report_of_a_member_changes_nothing_by_itself(shared: LyingWorld) -> None:
    """It is governors who read reports: freezing and closing are theirs."""
    for kind in ReportKind:
        relay = 0 if kind is ReportKind.HUB_CLOSED else RELAY
        shared.append(ReportEntry(shared.number, Report(kind, relay, shared.number, 0, 0)), 0)
    shared.carry(0)
    check(shared, forged_ends=False)


def test_a_member_that_mints_at_will_is_stopped_by_the_cap(lying: LyingWorld) -> None:
    """I14: its hub is believed in its own name, so the value cap of the destination bounds what it can take."""
    third = CAP // 3 + 1
    for _ in range(5):
        lying.send(lying.transfer(third, "mallory"))
    lying.carry()
    lying.world.deliver(RELAY, 2)
    assert lying.world.hubs[2].balance("mallory") == 2 * third <= CAP
