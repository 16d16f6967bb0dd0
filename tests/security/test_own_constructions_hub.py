"""O1 to O15 at a hub: where the classes of real failures would come back in PieBridge's own constructions.

The relay chains are test keys (an honest quorum where nothing else is said), the hub is the real contract. What the
same rows demand of a relay chain is in ``test_own_constructions_relay.py``.
"""

from dataclasses import replace

import pytest

from piebridge.contracts.loader import load
from piebridge.crypto.hash import keccak256
from piebridge.crypto.quorum import Quorum
from piebridge.evm_chain.block import Outcome
from piebridge.protocol_stack.errors import FormatError
from piebridge.protocol_stack.governor_hub_bodies import (
    Close,
    EndorserSet,
    FreezeRelay,
    HubBody,
    NoOp,
    OpenDomain,
    Pause,
    PauseScope,
    RegisterPeer,
    RegisterRelay,
    RelayLifeCycle,
    RelayState,
    Rotate,
    SetRoutingPolicy,
    Unpause,
    Verification,
)
from piebridge.protocol_stack.header import FLAG_RECEIPT_WANTED, Header
from piebridge.protocol_stack.packet import Packet, packets_hash
from piebridge.protocol_stack.receipts import ReceiptBatch, ReceiptCode, ReceiptHome
from piebridge.protocol_stack.report import Report, ReportKind
from piebridge.protocol_stack.routing import RoutingPolicy, SlotRange
from piebridge.protocol_stack.stack import STACK
from piebridge.protocol_stack.transport.outbox import (
    RELAY_CHAIN,
    BareEntry,
    Entry,
    HeaderEntry,
    OutboxHead,
    OutboxRange,
    PacketEntry,
    ReceiptHomeEntry,
    open_relay_outbox,
)
from piebridge.protocol_stack.verdicts import OriginVerdict, ParticipantVerdict, Verdict
from piebridge.protocol_stack.verification.base import Method
from testkit.world import hostile
from testkit.world.bench import CHAIN_ID, ELSEWHERE, HERE, OTHER_DOMAIN, THERE, HubBench
from testkit.world.evm import Call
from testkit.world.forged_relay import ForgedRelay
from testkit.world.hub import DOMAIN, HANDLER_GAS_MAX, HubChain
from testkit.world.keys import Governor
from testkit.world.packets import notarisation, packet, transfer, with_transport

OUTBOX_OF_RELAY = 11
"""The relay chain that most tests use."""


def three_transfers(bench: HubBench) -> OutboxRange:
    """Three transfers that relay chain 11 has in its outbox, none of them delivered."""
    bench.relay.add_packet(*(transfer(100 + i, sequence=i) for i in (1, 2, 3)))
    return bench.relay.range()


def receipts_of(bench: HubBench, outcome: Outcome) -> ReceiptBatch:
    """The receipts that a received batch made."""
    (made,) = [a["receipts"] for name, a in bench.hub.events(outcome) if name == "ReceiptsMade"]
    return ReceiptBatch.decode(made)


# ---------------------------------------------------------------------------------------------------------------- O1


def forged_ranges(genuine: OutboxRange) -> dict[str, OutboxRange]:
    """Ranges that differ from the endorsed one."""
    first, second, third = genuine.entries
    other = PacketEntry(second.height, transfer(999_999, sequence=2, recipient="mallory"))
    extra = PacketEntry(second.height, transfer(999_999, sequence=4, recipient="mallory"))
    elsewhere = open_relay_outbox(DOMAIN, OUTBOX_OF_RELAY, ELSEWHERE)
    return {
        "first left out": replace(genuine, entries=(second, third)),
        "middle left out": replace(genuine, entries=(first, third)),
        "last left out": replace(genuine, entries=(first, second)),
        "one inserted": replace(genuine, entries=(first, extra, second, third)),
        "one appended": replace(genuine, entries=(first, second, third, replace(extra, height=third.height))),
        "one replaced": replace(genuine, entries=(first, other, third)),
        "one replaced by a bare entry of another id": replace(
            genuine, entries=(first, BareEntry(second.height, keccak256(b"other")), third)
        ),
        "two exchanged": replace(
            genuine,
            entries=(
                replace(second, height=first.height),
                replace(first, height=second.height),
                third,
            ),
        ),
        "one doubled": replace(genuine, entries=(first, second, second, third)),
        "height one too large": replace(genuine, entries=(first, second, replace(third, height=third.height + 1))),
        "height one too small": replace(genuine, entries=(replace(first, height=first.height - 1), second, third)),
        "number one too large": replace(genuine, first=2),
        "number huge": replace(genuine, first=2**63),
        "untrue start": replace(genuine, start=keccak256(b"untrue")),
        "start of the outbox toward another hub": replace(genuine, start=elsewhere),
        "start of the outbox of another relay chain": replace(genuine, start=open_relay_outbox(DOMAIN, 12, HERE)),
        "start of the outbox of another domain": replace(
            genuine, start=open_relay_outbox(OTHER_DOMAIN, OUTBOX_OF_RELAY, HERE)
        ),
    }


def test_o01_a_forged_range_never_folds_to_the_endorsed_value(bench: HubBench) -> None:
    """Nomad, Hyperbridge and pNetwork in one: a batch that differs from what was endorsed must be refused whole."""
    genuine = three_transfers(bench)
    honest = bench.relay.endorse(genuine)
    forged = [replace(honest, range=item).encode() for item in forged_ranges(genuine).values()]
    assert len(forged) == 17
    bench.refused(*forged, error="NotEndorsed")
    bench.accepted(honest.encode())
    assert bench.hub.balance("bob") == 306


def test_o01_zero_start_value_and_zero_number_are_refused(bench: HubBench) -> None:
    """Nomad: an accepted zero root. Here: number 0, and a start of zero, cannot be endorsed by honest validators."""
    genuine = three_transfers(bench)
    zero_start = replace(genuine, start=bytes(32))
    encoded = bench.relay.endorse(genuine).encode()
    with_zero_start = encoded.replace(genuine.start, bytes(32))
    assert with_zero_start != encoded
    bench.refused(with_zero_start, error="MalformedRange")
    assert zero_start.fold() != genuine.fold()
    number_at = encoded.index(genuine.start) - 8
    bench.refused(encoded[:number_at] + bytes(8) + encoded[number_at + 8 :], error="MalformedRange")
    bench.accepted(encoded)


def test_o01_an_empty_batch_moves_nothing(bench: HubBench) -> None:
    """Hyperbridge's follow-up: empty proofs that "succeed"."""
    genuine = three_transfers(bench)
    head = bench.relay.heads(HERE)[3]
    honest = bench.relay.endorse(genuine)
    prefix = honest.encode()[: -len(genuine.encode())]
    empty = (4).to_bytes(8, "big") + head.value + bytes(2)
    bench.refused(prefix + empty, prefix, error="MalformedRange")
    bench.accepted(honest.encode())


def test_o01_old_entries_are_provable_under_any_later_value(bench: HubBench) -> None:
    """Nothing that was committed becomes undeliverable: the range runs on with bare entries to a value of today."""
    three_transfers(bench)
    bench.relay.add(HERE, *(BareEntry(1_000 + i, keccak256(bytes([i]))) for i in range(20)))
    later = bench.relay.range(first=2, bare=(3,))
    assert len(later.entries) == 22
    bench.accepted(bench.relay.endorse(later).encode())
    assert bench.hub.balance("bob") == 102
    # The same entry again, under another value, and one that was left out: each has effect once.
    bench.accepted(bench.relay.envelope(first=1, last=3))
    assert bench.hub.balance("bob") == 306
    bench.skipped(bench.relay.envelope())


def test_o01_an_endorsement_for_another_hub_is_refused(bench: HubBench) -> None:
    """The same entries toward another registration: the endorsement digest names the destination."""
    item = transfer()
    for_others = bench.relay.endorse(
        OutboxRange(RELAY_CHAIN, 1, open_relay_outbox(DOMAIN, OUTBOX_OF_RELAY, ELSEWHERE), (PacketEntry(5, item),)),
        ELSEWHERE,
    )
    bench.refused(for_others.encode(), error="NotEndorsed")
    bench.accepted(bench.relay.envelope_of(item))


# ---------------------------------------------------------------------------------------------------------------- O2


def test_o02_bare_entries_have_no_effect_and_hold_nobody_up(bench: HubBench) -> None:
    """A gateway that sends everything bare stops nothing: another one delivers the same packets in full later."""
    genuine = three_transfers(bench)
    bench.skipped(bench.relay.endorse(bench.relay.range(bare=(1, 2, 3))).encode())
    assert bench.hub.status(transfer().lane, 1) == 0
    bench.accepted(bench.relay.endorse(genuine).encode())
    assert bench.hub.balance("bob") == 306


def test_o02_header_and_body_hash_are_bare_before_expiry_and_expire_the_packet_after_it(bench: HubBench) -> None:
    """Form 2 must neither execute nor end a packet that could still be executed."""
    item = transfer(100)
    header_only = HeaderEntry(101, item.header, item.body_hash)
    bench.relay.add(HERE, header_only)
    shown = bench.relay.envelope()
    bench.skipped(shown)
    bench.advance(86_400)
    outcome = bench.accepted(shown)
    assert [receipt.code for receipt in receipts_of(bench, outcome).receipts] == [ReceiptCode.EXPIRED]
    assert bench.hub.status(item.lane, 1) == Verdict.ABORT
    assert bench.hub.balance("bob") == 0


def test_o02_header_and_body_hash_of_a_packet_without_expiry_are_always_bare(bench: HubBench) -> None:
    """A free packet without execExpiry can never be ended by its header alone."""
    item = notarisation()
    bench.relay.add(HERE, HeaderEntry(101, item.header, item.body_hash))
    bench.advance(10 * 365 * 86_400)
    bench.skipped(bench.relay.envelope())
    bench.accepted(bench.relay.envelope_of(item))


def test_o02_a_packet_that_must_be_left_out_neither_splits_a_batch_nor_holds_it_up(bench: HubBench) -> None:
    """Malformed, foreign and already executed entries stand in the middle of a batch; the rest is executed."""
    bench.accepted(bench.relay.envelope_of(transfer(1, sequence=1)))
    malformed = with_transport(transfer(1_000_000, sequence=2, recipient="mallory"), flags=0x80)
    raw = bytearray(transfer(1_000_000, sequence=2, recipient="mallory").encode())
    raw[2] |= 0x80
    assert malformed.header.transport.flags == 0x80
    middle: list[Entry] = [
        PacketEntry(200, transfer(1, sequence=1)),
        PacketEntry(201, transfer(4, sequence=3)),
        BareEntry(202, keccak256(b"bare")),
        PacketEntry(203, with_transport(transfer(50, sequence=9), destination=ELSEWHERE)),
        PacketEntry(204, transfer(8, sequence=4)),
    ]
    first = bench.relay.add(HERE, middle[0])
    bench.relay.add(HERE, *middle[1:])
    outcome = bench.accepted(bench.relay.envelope(first=first))
    assert bench.hub.balance("bob") == 13
    assert len(receipts_of(bench, outcome).receipts) == 2


# ---------------------------------------------------------------------------------------------------------------- O3


def test_o03_a_free_packet_over_two_relay_chains_is_executed_once(bench: HubBench) -> None:
    """Whichever relay chain brings it: one execution, one receipt, and the duplicate is in no receipt."""
    item = notarisation()
    over_11, over_12 = bench.relays[11].envelope_of(item), bench.relays[12].envelope_of(item)
    assert over_11 != over_12
    receipts = receipts_of(bench, bench.accepted(over_11))
    assert [receipt.packet_id for receipt in receipts.receipts] == [item.packet_id]
    bench.skipped(over_12, over_11)
    assert bench.hub.outbox(0)[0] == 1


def test_o03_a_duplicate_beside_a_new_packet_is_in_no_receipt(bench: HubBench) -> None:
    """I6: none for a duplicate, also where the batch makes a receipt for another packet."""
    first, second = notarisation("a", sequence=1), notarisation("b", sequence=2)
    bench.accepted(bench.relays[11].envelope_of(first))
    receipts = receipts_of(bench, bench.accepted(bench.relays[12].envelope_of(first, second)))
    assert [receipt.packet_id for receipt in receipts.receipts] == [second.packet_id]
    assert receipts.endorsing_relay == 12


def test_o03_an_ordered_free_lane_over_two_relay_chains_has_no_gap_and_no_duplicate(bench: HubBench) -> None:
    """Gaps are left alone, duplicates skipped, whichever relay chain brings which."""
    items = [notarisation(f"key {i}", sequence=i, channel=5, ordered=True, returns=True) for i in (1, 2, 3)]
    bench.skipped(bench.relays[12].envelope_of(items[1]))
    bench.accepted(bench.relays[11].envelope_of(items[0]))
    bench.skipped(bench.relays[12].envelope_of(items[0]), bench.relays[11].envelope_of(items[2]))
    bench.accepted(bench.relays[12].envelope_of(items[1], items[2]))
    assert [bench.hub.is_final(items[0].lane, i, ordered=True) for i in (1, 2, 3, 4)] == [True, True, True, False]


def sent_record(bench: HubBench) -> ReceiptHome:
    """A record that this hub has sent, and its receipt."""
    item = bench.sent(bench.notarise(b"\x01" * 32, b"\x02" * 32))
    return ReceiptHome(item.header, item.body_hash, ReceiptCode.EXECUTED, bytes(45))


def test_o03_a_receipt_home_counts_once_over_any_relay_chain_of_the_domain(bench: HubBench) -> None:
    """The receipt bitmap at the source: the second receipt, also with another outcome, is nothing."""
    home = sent_record(bench)
    for relay in (11, 12):
        bench.relays[relay].add_receipt(home)
    bench.relays[12].add_receipt(replace(home, code=ReceiptCode.FAILED, returned=b""))
    bench.accepted(bench.relays[11].envelope())
    bench.skipped(bench.relays[12].envelope(), bench.relays[11].envelope())


def test_o03_a_receipt_home_over_a_relay_chain_of_another_domain_is_refused(bench: HubBench) -> None:
    """A relay chain speaks for its own domain alone."""
    home = sent_record(bench)
    bench.relays[13].add_receipt(home)
    bench.skipped(bench.relays[13].envelope())
    bench.relays[12].add_receipt(home)
    bench.accepted(bench.relays[12].envelope())


def test_o03_a_receipt_home_that_was_never_asked_for_or_never_sent_is_nothing(bench: HubBench) -> None:
    """Forged by a dishonest quorum: a packet of another source, one that was never sent, one that wants no receipt."""
    home = sent_record(bench)
    forged = [
        replace(home, header=with_transport_header(home, sequence=2)),
        replace(home, header=with_transport_header(home, source=THERE, destination=HERE)),
        replace(home, header=with_transport_header(home, domain=OTHER_DOMAIN)),
        replace(home, header=with_transport_header(home, destination=ELSEWHERE)),
    ]
    for item in forged:
        bench.relay.add(HERE, receipt_entry(item))
    bench.skipped(bench.relay.envelope())
    bench.relay.add_receipt(home)
    bench.accepted(bench.relay.envelope(first=5))


def with_transport_header(home: ReceiptHome, **fields: int) -> Header:
    return replace(home.header, transport=replace(home.header.transport, **fields))


def receipt_entry(home: ReceiptHome) -> Entry:
    return ReceiptHomeEntry(5, home)


# ---------------------------------------------------------------------------------------------------------------- O4


def test_o04_a_bound_packet_endorsed_by_another_relay_chain_is_skipped(bench: HubBench) -> None:
    """Even a dishonest quorum of relay chain 12 cannot execute what is bound to 11."""
    item = transfer(relay=11)
    bench.skipped(bench.relays[12].envelope_of(item))
    bench.accepted(bench.relays[11].envelope_of(item))


def test_o04_verdicts_of_another_relay_chain_touch_nothing(bench: HubBench) -> None:
    """A verdict is about the lanes and nonces of the relay chain whose outbox it is in."""
    sent = bench.sent(bench.send_token())
    aborted = OriginVerdict(sent.header.transaction.nonce, Verdict.ABORT, packets_hash([sent.packet_id]))
    bench.relays[12].add_verdicts(HERE, aborted)
    bench.skipped(bench.relays[12].envelope())
    # A tombstone of relay chain 12 is in another lane than the packet of relay chain 11.
    bench.relays[12].add_verdicts(HERE, ParticipantVerdict(THERE, 0, 1, Verdict.ABORT))
    bench.accepted(bench.relays[12].envelope(first=2))
    bench.accepted(bench.relays[11].envelope_of(transfer(70, relay=11)))
    assert bench.hub.balance("bob") == 70
    bench.relays[11].add_verdicts(HERE, aborted)
    bench.accepted(bench.relays[11].envelope(first=2))
    assert bench.hub.own_status(11, 1) == Verdict.ABORT


def test_o04_a_receipt_home_of_a_bound_lane_counts_from_its_own_relay_chain_only(bench: HubBench) -> None:
    """Receipts of a bound lane over another relay chain are refused at the origin."""
    puppet = bench.install(hostile.puppet(bench.hub.hub, []))
    relay = bench.hub.read("route", DOMAIN, THERE, 50)
    sent = bench.sent(
        bench.send_raw(
            puppet,
            relay=relay,
            protocol=2,
            transport_flags=FLAG_RECEIPT_WANTED,
            expiry=bench.now + 600,
            deadline=bench.now + 900,
            callback=9,
        )
    )
    home = ReceiptHome(sent.header, sent.body_hash, ReceiptCode.EXECUTED)
    for number in (11, 12):
        bench.relays[number].add_receipt(home)
    assert relay == 11
    bench.skipped(bench.relays[12].envelope())
    bench.accepted(bench.relays[11].envelope())


def test_o04_a_packet_of_one_domain_endorsed_in_another_is_skipped(bench: HubBench) -> None:
    """The domain is part of the lane, and a relay chain endorses its own domain only."""
    item = notarisation()
    bench.skipped(bench.relays[13].envelope_of(item))
    bench.accepted(bench.relays[12].envelope_of(item))


def test_o04_equal_lanes_of_two_domains_never_meet(bench: HubBench) -> None:
    """Equal source, destination, channel and sequence in two domains: both are executed, each once."""
    here, other = notarisation("in 7"), notarisation("in 8", domain=OTHER_DOMAIN)
    bench.accepted(bench.relays[11].envelope_of(here))
    bench.accepted(bench.relays[13].envelope_of(other))
    bench.skipped(bench.relays[11].envelope_of(here), bench.relays[13].envelope_of(other))


def test_o04_claiming_another_domain_or_relay_in_the_envelope_is_refused(bench: HubBench) -> None:
    """The set's hash and the digest name domain and relay chain."""
    envelope = bench.relays[12].endorse(bench.relays[12].range(add(bench.relays[12], notarisation())))
    bench.refused(
        replace(envelope, relay=11).encode(),
        replace(envelope, relay=13).encode(),
        replace(envelope, relay=99).encode(),
        replace(envelope, domain=OTHER_DOMAIN).encode(),
        replace(envelope, domain=OTHER_DOMAIN, relay=13).encode(),
        error="UnknownSet",
    )
    bench.accepted(envelope.encode())


def add(relay: ForgedRelay, *items: object) -> int:
    relay.add_packet(*items)  # type: ignore[arg-type]
    return HERE


# ---------------------------------------------------------------------------------------------------------------- O5


def head_of(bench: HubBench, value: str) -> OutboxHead:
    return OutboxHead(4, keccak256(value.encode()))


def report(bench: HubBench, first: bytes, second: bytes) -> Outcome:
    (outcome,) = bench.hub.chain.run(
        Call(bench.hub.hub, bench.hub.data("reportEquivocation", first, second), "mallory")
    )
    return outcome


@pytest.mark.parametrize("destination", [HERE, ELSEWHERE])
def test_o05_two_values_for_one_entry_freeze_the_relay_chain(bench: HubBench, destination: int) -> None:
    """Equivocation toward any destination freezes at once, and the hub reports it."""
    relay = bench.relay
    first = relay.signed_value(destination, head_of(bench, "one"), (0, 1, 2)).encode()
    second = relay.signed_value(destination, head_of(bench, "two"), (1, 2, 3)).encode()
    undelivered = relay.envelope_of(notarisation())
    outcome = report(bench, first, second)
    assert outcome.succeeded
    assert bench.hub.read("relayOf", 11)[1] == 4
    (made,) = [a["report"] for name, a in bench.hub.events(outcome) if name == "ReportMade"]
    told = Report.decode(made)
    assert (told.kind, told.relay, told.last_entry) == (ReportKind.RELAY_FROZEN, 11, 0)
    bench.refused(undelivered, error="UnknownSet")
    assert not bench.send_token().succeeded
    bench.accepted(bench.relays[12].envelope_of(notarisation()))


def test_o05_what_is_no_equivocation_freezes_nothing(bench: HubBench) -> None:
    """k - 1 signatures, equal values, other numbers, other destinations, other sets."""
    relay, one, two = bench.relay, head_of(bench, "one"), head_of(bench, "two")
    genuine = relay.signed_value(HERE, one).encode()
    other_set = replace(relay, generation=9)
    few = replace(relay, threshold=2)
    harmless = {
        "the same value twice": (genuine, genuine),
        "the same value by other signers": (genuine, relay.signed_value(HERE, one, (1, 2, 3)).encode()),
        "another number": (genuine, relay.signed_value(HERE, OutboxHead(5, two.value)).encode()),
        "another destination": (genuine, relay.signed_value(ELSEWHERE, two).encode()),
        "another relay chain": (genuine, bench.relays[12].signed_value(HERE, two).encode()),
        "a set that was never registered": (genuine, other_set.signed_value(HERE, two).encode()),
        "k - 1 signatures": (genuine, few.signed_value(HERE, two).encode()),
        "a signature that does not hold": (
            genuine,
            relay.signed_value(HERE, two).encode()[:-44] + genuine[-44:-32] + one.value,
        ),
        "a byte left over": (genuine, relay.signed_value(HERE, two).encode() + b"\x00"),
        "nothing": (b"", b""),
    }
    with bench.unchanged():
        for name, (first, second) in harmless.items():
            outcome = report(bench, first, second)
            if name == "a signature that does not hold":
                continue
            assert not outcome.succeeded, name
    assert bench.hub.read("relayOf", 11)[1] == 2
    report(bench, genuine, relay.signed_value(HERE, two).encode())
    assert bench.hub.read("relayOf", 11)[1] == 4


def test_o05_a_set_past_its_overlap_is_no_evidence_and_endorses_nothing(bench: HubBench) -> None:
    """Ronin: signatures of members that were removed fail, also those made before, once the overlap is over."""
    old = bench.relay
    old.add_packet(notarisation("a", sequence=1), notarisation("b", sequence=2))
    one, two = old.signed_value(HERE, head_of(bench, "one")), old.signed_value(HERE, head_of(bench, "two"))
    before_change = old.envelope(first=1, last=1)
    new = old.next_generation()
    bench.hub.govern(EndorserSet(11, 1_000, new.signers))
    bench.accepted(before_change)
    bench.advance(1_000)
    bench.refused(old.envelope(first=2, last=2), error="UnknownSet")
    with bench.unchanged():
        assert not report(bench, one.encode(), two.encode()).succeeded
    # What was not delivered by then is endorsed again by the new set.
    bench.accepted(new.envelope(first=2, last=2))


def test_o05_without_overlap_the_old_set_ends_at_once(bench: HubBench) -> None:
    """A removal for cause has no overlap."""
    old = bench.relay
    undelivered = old.envelope_of(notarisation())
    new = old.next_generation()
    bench.hub.govern(EndorserSet(11, 0, new.signers))
    bench.refused(undelivered, error="UnknownSet")
    bench.accepted(new.envelope())


def test_o05_members_of_two_sets_are_never_mixed(bench: HubBench) -> None:
    """I11: k distinct members of one epoch; two of the old set and one of the new are nobody."""
    old = bench.relay
    old.add_packet(notarisation())
    new = old.next_generation()
    bench.hub.govern(EndorserSet(11, 1_000, new.signers))
    shown = old.range()
    by_old, by_new = old.endorse(shown, members=(0, 1, 2)), new.endorse(shown, members=(0, 1, 2))
    assert isinstance(by_old.proof, Quorum)
    assert isinstance(by_new.proof, Quorum)
    mixed = replace(by_new.proof, signatures=by_old.proof.signatures[:2] + by_new.proof.signatures[2:])
    older_epoch_in_digest = old.prove(old.digest(HERE, shown.fold()))
    bench.refused(
        replace(by_new, proof=mixed).encode(),
        replace(by_old, proof=mixed).encode(),
        replace(by_new, proof=older_epoch_in_digest).encode(),
        replace(by_new, signers=by_old.signers).encode(),
        error="NotEndorsed",
    )
    bench.refused(replace(by_old, signers=replace(by_old.signers, epoch=2)).encode(), error="UnknownSet")
    bench.accepted(by_new.encode())


# ---------------------------------------------------------------------------------------------------------------- O6


def ordered_transfer(sequence: int, amount: int = 1, **fields: int) -> Packet:
    return transfer(amount, sequence=sequence, channel=5, ordered=True, **fields)  # type: ignore[arg-type]


def test_o06_an_unexpired_packet_of_an_ordered_lane_cannot_be_skipped(bench: HubBench) -> None:
    """Neither by leaving it out nor by showing its header alone."""
    first, second = ordered_transfer(1), ordered_transfer(2)
    bench.skipped(bench.relay.envelope_of(second))
    header_first = bench.relay.add(HERE, HeaderEntry(500, first.header, first.body_hash))
    bench.relay.add(HERE, PacketEntry(501, second))
    bench.skipped(bench.relay.envelope(first=header_first))
    bench.accepted(bench.relay.envelope_of(first, second))
    assert bench.hub.balance("bob") == 2


def test_o06_after_expiry_an_ordered_lane_goes_on(bench: HubBench) -> None:
    """IBC closes an ordered channel on a time-out. Here the lane goes on, by the header alone."""
    first, second = ordered_transfer(1, expiry=bench.now + 100), ordered_transfer(2)
    start = bench.relay.add(HERE, HeaderEntry(500, first.header, first.body_hash))
    bench.relay.add(HERE, PacketEntry(501, second))
    envelope = bench.relay.envelope(first=start)
    bench.skipped(envelope)
    bench.advance(100)
    codes = [receipt.code for receipt in receipts_of(bench, bench.accepted(envelope)).receipts]
    assert codes == [ReceiptCode.EXPIRED, ReceiptCode.EXECUTED]
    bench.skipped(bench.relay.envelope_of(first))


def test_o06_a_tombstone_lets_an_ordered_lane_go_on_and_its_packet_never_executes(bench: HubBench) -> None:
    """An ABORT to the participant ends the sequence; the packet that comes later is refused."""
    first, second, third = (ordered_transfer(i, 10**i) for i in (1, 2, 3))
    bench.relay.add_verdicts(HERE, ParticipantVerdict(THERE, 5, 2, Verdict.ABORT))
    bench.accepted(bench.relay.envelope())
    bench.skipped(bench.relay.envelope_of(second), bench.relay.envelope_of(third))
    bench.accepted(bench.relay.envelope_of(first, second, third))
    assert bench.hub.balance("bob") == 1_010
    assert [bench.hub.status(first.lane, i) for i in (1, 2, 3)] == [2, 3, 2]
    bench.skipped(bench.relay.envelope_of(second))


def test_o06_an_abort_after_the_end_changes_nothing(bench: HubBench) -> None:
    """A status is written once, whatever a later verdict says (row 51's class)."""
    item = ordered_transfer(1)
    bench.accepted(bench.relay.envelope_of(item))
    first = bench.relay.add_verdicts(
        HERE, ParticipantVerdict(THERE, 5, 1, Verdict.ABORT), ParticipantVerdict(THERE, 5, 1, Verdict.COMMIT)
    )
    bench.skipped(bench.relay.envelope(first=first))
    assert bench.hub.status(item.lane, 1) == Verdict.COMMIT


# ---------------------------------------------------------------------------------------------------------------- O7


def test_o07_only_an_active_relay_chain_takes_new_transactions(bench: HubBench) -> None:
    """Announced: none yet. Draining: none any more, but everything else goes on. Terminated: nothing."""
    announced = ForgedRelay(14)
    bench.hub.govern(RegisterRelay(14, keccak256(b"genesis"), announced.signers))
    with bench.unchanged():
        assert not bench.send_token(relay=14).succeeded
    assert bench.send_token(relay=11).succeeded
    bench.hub.govern(RelayState(11, RelayLifeCycle.DRAINING))
    with bench.unchanged():
        assert bench.hub.error(bench.send_token(relay=11)).startswith("OutboxShut")
    bench.accepted(bench.relay.envelope_of(transfer(5)))
    bench.accepted(bench.relay.envelope_of(notarisation()))
    bench.hub.govern(RelayState(11, RelayLifeCycle.TERMINATED))
    bench.refused(bench.relay.envelope_of(transfer(6, sequence=2)), error="UnknownSet")


def test_o07_draining_reports_last_nonce_and_last_entry(bench: HubBench) -> None:
    """What governors wait for before a relay chain is terminated."""
    for _ in range(3):
        assert bench.send_token().succeeded
    message = bench.hub.message(RelayState(11, RelayLifeCycle.DRAINING))
    outcome = bench.hub.carry_governor(message.encode())
    (made,) = [arguments["report"] for name, arguments in bench.hub.events(outcome) if name == "ReportMade"]
    told = Report.decode(made)
    assert (told.kind, told.relay, told.last_nonce, told.last_entry) == (ReportKind.RELAY_DRAINING, 11, 3, 3)
    assert told.height == bench.hub.chain.number


@pytest.mark.parametrize(
    "state", [RelayLifeCycle.ACTIVE, RelayLifeCycle.TERMINATED], ids=["active again", "terminated too early"]
)
def test_o07_life_cycle_has_no_short_cut(bench: HubBench, state: RelayLifeCycle) -> None:
    """An active relay chain is neither activated again nor terminated without draining."""
    before = bench.hub.read("relayOf", 11)
    outcome = bench.hub.carry_governor(bench.hub.message(RelayState(11, state)).encode())
    assert bench.hub.handled(outcome)[0] is False
    assert bench.hub.read("relayOf", 11) == before


@pytest.mark.parametrize(
    ("epoch", "slots"),
    [
        (1, {11: 1_024}),
        (2, {14: 1_024}),
        (2, {99: 1_024}),
        (2, {13: 1_024}),
    ],
    ids=["stale epoch", "announced only", "unknown", "of another domain"],
)
def test_o07_a_policy_names_only_active_relay_chains_of_the_domain(
    bench: HubBench, epoch: int, slots: dict[int, int]
) -> None:
    """A relay chain not registered or not active gets no transaction by a policy."""
    bench.hub.govern(RegisterRelay(14, keccak256(b"genesis"), ForgedRelay(14).signers))
    (relay,) = slots
    policy = RoutingPolicy(epoch, (SlotRange(relay, 0, 1_024),))
    outcome = bench.hub.carry_governor(bench.hub.message(SetRoutingPolicy(policy)).encode())
    assert bench.hub.handled(outcome)[0] is False
    assert bench.hub.read("route", DOMAIN, THERE, 2) == 11
    assert bench.send_token(relay=11).succeeded


def test_o07_after_a_policy_change_in_flight_packets_finish_on_the_old_relay_chain(bench: HubBench) -> None:
    """0 lost, 0 doubled: the transaction of the old epoch ends by its own relay chain, new ones take the new one."""
    old = bench.sent(bench.send_token(100, relay=11))
    balance = bench.hub.balance("alice")
    bench.route({12: 1_024}, epoch=2)
    with bench.unchanged():
        assert bench.hub.error(bench.send_token(relay=11)).startswith("WrongRelay")
    assert bench.sent(bench.send_token(1, relay=12)).header.transaction.nonce == 1
    bench.relay.add_verdicts(HERE, OriginVerdict(1, Verdict.ABORT, packets_hash([old.packet_id])))
    bench.accepted(bench.relay.envelope())
    outcome = settle(bench, old.encode())
    assert outcome.succeeded
    assert bench.hub.balance("alice") == balance - 1 + 100


def settle(bench: HubBench, packets: bytes, *, relay: int = 11, nonce: int = 1, domain: int = DOMAIN) -> Outcome:
    (outcome,) = bench.hub.chain.run(
        Call(bench.hub.hub, bench.hub.data("settle", domain, relay, nonce, packets), "mallory")
    )
    return outcome


# ---------------------------------------------------------------------------------------------------------------- O8


def forged_governor_messages(bench: HubBench) -> dict[str, bytes]:
    """Messages that the hub must refuse without a trace."""
    honest = bench.hub.message(NoOp())
    sign = bench.hub.governor.sign
    raw = honest.encode()
    return {
        "another domain than signed": replace(
            honest, domain=OTHER_DOMAIN, counter=bench.hub.counter(OTHER_DOMAIN) + 1
        ).encode(),
        "another target registration": replace(honest, target=THERE).signed(sign).encode(),
        "another target contract": replace(honest, contract=bench.hub.token).signed(sign).encode(),
        "zero contract": raw[:15] + bytes(20) + raw[35:],
        "for a relay chain of the same number": replace(
            honest, target_kind=type(honest.target_kind).RELAY, contract=bytes(20)
        )
        .signed(sign)
        .encode(),
        "target kind exchanged": raw[:1] + b"\x02" + raw[2:],
        "key epoch before": replace(honest, key_epoch=2).signed(sign).encode(),
        "counter repeated": replace(honest, counter=honest.counter - 1).signed(sign).encode(),
        "counter skipped": replace(honest, counter=honest.counter + 1).signed(sign).encode(),
        "counter zero": replace(honest, counter=0).signed(sign).encode(),
        "counter changed after signing": replace(honest, counter=honest.counter - 1).encode(),
        "kind changed after signing": replace(honest, kind=12).encode(),
        "another key": honest.signed(Governor("somebody else").sign).encode(),
        "an ECDSA endorsement in place of the signature": raw[:-65] + bytes(65),
        "one byte short": raw[:-1],
        "one byte left over": raw + b"\x00",
        "version 2": b"\x02" + raw[1:],
        "version 0": b"\x00" + raw[1:],
        "nothing": b"",
    }


def test_o08_forged_governor_messages_change_nothing(bench: HubBench) -> None:
    """Poly Network and ioTube: authority is a signature over exactly this message for exactly this hub."""
    forged = forged_governor_messages(bench)
    with bench.unchanged():
        for name, message in forged.items():
            assert not bench.hub.carry_governor(message, sender="mallory").succeeded, name
    bench.hub.govern(NoOp())


def test_o08_a_message_whose_execution_fails_uses_up_its_number_and_does_not_block(bench: HubBench) -> None:
    """Axelar's class of halts: one impossible message must not stop the next."""
    before = bench.hub.counter()
    impossible = bench.hub.message(RelayState(99, RelayLifeCycle.ACTIVE))
    outcome = bench.hub.carry_governor(impossible.encode())
    assert outcome.succeeded
    assert bench.hub.handled(outcome)[0] is False
    assert bench.hub.counter() == before + 1
    with bench.unchanged():
        assert not bench.hub.carry_governor(impossible.encode()).succeeded
    bench.hub.govern(NoOp())
    assert bench.hub.counter() == before + 2


@pytest.mark.parametrize("body", [b"", b"\x00", bytes(200), b"\xff" * 40])
@pytest.mark.parametrize("kind", range(17))
def test_o08_a_malformed_body_has_no_effect_but_its_number(bench: HubBench, kind: int, body: bytes) -> None:
    """Every kind, also unknown ones, with bodies that are none."""
    state = {name: root for name, root in bench.hub.digest().items() if name != "hub"}
    domain = 0 if kind in (8, 12, 13, 14) else DOMAIN
    counter = bench.hub.counter(domain)
    honest = bench.hub.message(NoOp())
    message = replace(honest, kind=kind, domain=domain, counter=counter + 1, body=body).signed(bench.hub.governor.sign)
    probe = [bench.hub.read("relayOf", relay) for relay in (11, 12, 13)] + [bench.hub.read("governorKey")]
    outcome = bench.hub.carry_governor(message.encode())
    well_formed = (kind, body) in ((1, b""), (12, b""))
    if outcome.succeeded:
        assert bench.hub.handled(outcome)[0] is well_formed
        assert bench.hub.counter(domain) == counter + 1
    else:
        assert kind in (9, 11)
        assert bench.hub.counter(domain) == counter
    assert {name: root for name, root in bench.hub.digest().items() if name != "hub"} == state
    if not well_formed:
        assert [bench.hub.read("relayOf", r) for r in (11, 12, 13)] + [bench.hub.read("governorKey")] == probe


@pytest.mark.parametrize(
    ("body", "domain"),
    [
        (Pause(PauseScope.APPLICATION, 2), 0),
        (Pause(PauseScope.RELAY, 11), DOMAIN),
        (Pause(PauseScope.DOMAIN, DOMAIN), DOMAIN),
        (FreezeRelay(11), DOMAIN),
    ],
)
def test_o08_pause_and_freeze_stand_outside_the_order_and_are_idempotent(
    bench: HubBench, body: HubBody, domain: int
) -> None:
    """They need no counter, so they cannot wait for another message; twice is the same state as once."""
    counter = bench.hub.counter(domain)
    message = replace(bench.hub.message(NoOp()), kind=body.KIND, domain=domain, counter=1, body=body.encode())
    encoded = message.signed(bench.hub.governor.sign).encode()
    outcome = bench.hub.carry_governor(encoded)
    assert outcome.succeeded, bench.hub.error(outcome)
    assert bench.hub.counter(domain) == counter
    with bench.unchanged():
        assert bench.hub.carry_governor(encoded).succeeded
    for wrong in (0, 2, counter + 1):
        if wrong != 1:
            with bench.unchanged():
                late = replace(message, counter=wrong).signed(bench.hub.governor.sign)
                assert not bench.hub.carry_governor(late.encode()).succeeded


def test_o08_a_pause_of_before_an_unpause_cannot_be_replayed(bench: HubBench) -> None:
    """UNPAUSE raises the life-cycle number, so whoever kept the PAUSE cannot use it again."""
    pause = replace(
        bench.hub.message(NoOp()), kind=Pause.KIND, counter=1, body=Pause(PauseScope.RELAY, 11).encode()
    ).signed(bench.hub.governor.sign)
    assert bench.hub.carry_governor(pause.encode()).succeeded
    bench.skipped(bench.relay.envelope_of(notarisation()))
    bench.hub.govern(Unpause(PauseScope.RELAY, 11))
    with bench.unchanged():
        assert not bench.hub.carry_governor(pause.encode()).succeeded
    bench.accepted(bench.relay.envelope())


def test_o08_messages_under_the_key_before_a_rotation_are_refused(bench: HubBench) -> None:
    """Also those signed before, and those that t holders of old shares sign afterwards."""
    signed_before = bench.hub.message(NoOp())
    new = Governor("next governor")
    bench.hub.govern(Rotate(new.group_key))
    old_key_new_epoch = replace(signed_before, key_epoch=2).signed(bench.hub.governor.sign)
    with bench.unchanged():
        assert not bench.hub.carry_governor(signed_before.encode()).succeeded
        assert not bench.hub.carry_governor(old_key_new_epoch.encode()).succeeded
    bench.hub.governor, bench.hub.key_epoch = new, 2
    bench.hub.govern(NoOp())


def test_o08_replay_on_a_second_hub_of_the_same_chain_is_refused(bench: HubBench) -> None:
    """Wintermute: the same bytes on another instance. Registration and contract address are in the digest."""
    message = bench.hub.message(NoOp())
    twin = HubChain.deploy(bench.hub.chain, HERE)
    second = HubChain.deploy(bench.hub.chain, THERE)
    for other in (twin, second):
        before = other.digest()
        assert not other.carry_governor(message.encode()).succeeded
        assert other.digest() == before
    assert bench.hub.carry_governor(message.encode()).succeeded


# ---------------------------------------------------------------------------------------------------------------- O11


def test_o11_a_hub_is_bound_to_its_registration_and_its_chain_at_construction(bench: HubBench) -> None:
    """Wrong chain id, registration 0, group key that is no point: no hub comes into being."""
    chain = bench.hub.chain
    creations = {
        "another chain id": bench.hub.hub_creation(chain_id=CHAIN_ID + 1),
        "registration 0": replace(bench.hub, registration=0).hub_creation(),
        "no group key": load("Hub").deployment_data((9, CHAIN_ID, HANDLER_GAS_MAX, False, False), bytes(33)),
        "short group key": load("Hub").deployment_data((9, CHAIN_ID, HANDLER_GAS_MAX, False, False), b"\x02" * 32),
    }
    for name, data in creations.items():
        (outcome,) = chain.run(Call(b"", data, "deployer", 30_000_000))
        assert not outcome.succeeded, name
    assert chain.create(bench.hub.hub_creation())


def test_o11_a_redeployed_hub_takes_nothing_of_the_old_one(bench: HubBench) -> None:
    """A new registration has new lanes: endorsements and governor messages for the old one are nothing to it."""
    first_message = replace(bench.hub.message(OpenDomain(1, 1, 1)), counter=1).signed(bench.hub.governor.sign)
    envelope = bench.relay.envelope_of(notarisation())
    again = HubChain.deploy(bench.hub.chain, 4)
    again.open_domain({THERE: CHAIN_ID + 1})
    again.govern(RegisterRelay(11, bytes(32), bench.relay.signers))
    before = again.digest()
    assert not again.carry_governor(first_message.encode()).succeeded
    (outcome,) = again.receive(envelope)
    assert again.error(outcome).startswith("NotEndorsed")
    assert again.digest() == before
    bench.accepted(envelope)


def test_o11_a_closed_hub_refuses_every_endorsement_and_every_send(bench: HubBench) -> None:
    """CLOSE comes first when a registration ends; nothing that was endorsed before or after has effect."""
    endorsed_before = bench.relay.envelope_of(notarisation())
    bench.hub.govern(Close())
    assert bench.hub.chain.state.storage(bench.hub.hub, 8) == bench.hub.chain.number
    assert bench.hub.outbox(0)[0] == 1
    bench.refused(endorsed_before, bench.relays[13].envelope_of(notarisation(domain=OTHER_DOMAIN)), error="UnknownSet")
    with bench.unchanged():
        assert bench.hub.error(bench.send_token()).startswith("OutboxShut")
        assert bench.hub.error(bench.notarise(b"k" * 32, b"v" * 32)).startswith("OutboxShut")
    for body in (
        RegisterRelay(14, bytes(32), ForgedRelay(14).signers),
        OpenDomain(1, 1, 1),
        EndorserSet(11, 0, bench.relay.next_generation().signers),
    ):
        outcome = bench.hub.carry_governor(bench.hub.message(body).encode())
        assert bench.hub.handled(outcome)[0] is False
    bench.refused(endorsed_before, error="UnknownSet")


# ---------------------------------------------------------------------------------------------------------------- O12


def test_o12_channels_belong_to_one_application(bench: HubBench) -> None:
    """Another application cannot send on a channel, and none can without being registered."""
    owner = bench.install(hostile.puppet(bench.hub.hub, []), application=50)
    thief = bench.install(hostile.puppet(bench.hub.hub, []), application=51)
    stranger = bench.hub.chain.create(hostile.creation(hostile.puppet(bench.hub.hub, [])))
    open_channel = bench.hub.data("openChannel", 2)
    (opened,) = bench.hub.chain.run(Call(owner, open_channel, "mallory"))
    ((_, event),) = bench.hub.events(opened)
    channel = event["channel"]
    with bench.unchanged():
        for contract in (thief, stranger):
            outcome = bench.send_raw(contract, channel=channel, expiry=bench.now + 500)
            assert not outcome.succeeded
        assert not bench.send_raw(owner, channel=channel + 1, expiry=bench.now + 500).succeeded
        for call in (
            Call(stranger, open_channel),
            Call(owner, bench.hub.data("openChannel", 3)),
            Call(bench.hub.hub, open_channel),
        ):
            (outcome,) = bench.hub.chain.run(call)
            assert not outcome.succeeded
        # Ordered packets need an expiry: without one a lane could stop for ever.
        assert not bench.send_raw(owner, channel=channel).succeeded
    sent = bench.sent(bench.send_raw(owner, channel=channel, expiry=bench.now + 500))
    assert (sent.header.transport.ordered, sent.lane.channel, sent.sequence) == (True, channel, 1)


def test_o12_channels_with_equal_sequences_never_meet_in_a_slot(bench: HubBench) -> None:
    """Two channels of one pair of chains: both packets with sequence 1 are executed, and once each."""
    items = [notarisation(f"channel {channel}", channel=channel) for channel in (0, 1, 2)]
    bound = [transfer(1, channel=channel) for channel in (0, 1, 2)]
    outcome = bench.accepted(bench.relay.envelope_of(*items, *bound))
    assert [receipt.code for receipt in receipts_of(bench, outcome).receipts] == [ReceiptCode.EXECUTED] * 6
    assert bench.hub.balance("bob") == 3
    bench.skipped(bench.relay.envelope())


def test_o12_too_much_gas_forged_by_a_member_chain_fails_without_a_call(bench: HubBench) -> None:
    """FAILED(GAS): the handler of the destination is not called, and the sender learns why."""
    spy = bench.install(hostile.puppet(bench.hub.hub, [(bench.hub.hub, b"")]))
    greedy = packet(application=50, function=1, body=b"x", gas=HANDLER_GAS_MAX + 1, receipt=True)
    fits = packet(application=50, function=1, body=b"x", gas=HANDLER_GAS_MAX, receipt=True, sequence=2)
    outcome = bench.accepted(bench.relay.envelope_of(greedy))
    assert [receipt.code for receipt in receipts_of(bench, outcome).receipts] == [ReceiptCode.FAILED_GAS]
    assert bench.hub.chain.state.storage(spy, 0) == 0
    bench.accepted(bench.relay.envelope_of(fits))
    assert bench.hub.chain.state.storage(spy, 0) == 1


# ---------------------------------------------------------------------------------------------------------------- O14


def aborted_transfer(bench: HubBench, amount: int = 500) -> bytes:
    """A transfer whose ABORT has arrived and which waits for its settlement."""
    sent = bench.sent(bench.send_token(amount))
    bench.relay.add_verdicts(
        HERE, OriginVerdict(sent.header.transaction.nonce, Verdict.ABORT, packets_hash([sent.packet_id]))
    )
    bench.accepted(bench.relay.envelope(first=len(bench.relay.outboxes[HERE])))
    return sent.encode()


def test_o14_settle_pays_once_and_only_the_packets_that_the_abort_names(bench: HubBench) -> None:
    """Refunds without a record at the source: another transaction's packets, another nonce, twice, altered: nothing."""
    before = bench.hub.balance("alice")
    waiting = bench.sent(bench.send_token(400)).encode()
    aborted = aborted_transfer(bench)
    wrong = {
        "before its ABORT": (waiting, 11, 1),
        "packets of another transaction": (waiting, 11, 2),
        "another nonce": (aborted, 11, 1),
        "a nonce that does not exist": (aborted, 11, 3),
        "nonce 0": (aborted, 11, 0),
        "another relay chain": (aborted, 12, 2),
        "relay 0": (aborted, 0, 2),
        "amount changed": (aborted[:136] + (10**9).to_bytes(16, "big") + aborted[152:], 11, 2),
        "one byte less": (aborted[:-1], 11, 2),
        "one byte more": (aborted + b"\x00", 11, 2),
        "twice in one call": (aborted + aborted, 11, 2),
        "nothing": (b"", 11, 2),
        "zeros": (bytes(136), 11, 2),
    }
    with bench.unchanged():
        for name, (packets, relay, nonce) in wrong.items():
            assert not settle(bench, packets, relay=relay, nonce=nonce).succeeded, name
        assert not settle(bench, aborted, nonce=2, domain=OTHER_DOMAIN).succeeded
    assert settle(bench, aborted, nonce=2).succeeded
    assert bench.hub.balance("alice") == before - 400
    with bench.unchanged():
        assert not settle(bench, aborted, nonce=2).succeeded


@pytest.mark.parametrize("named", [bytes(32), (1).to_bytes(32, "big")], ids=["zero", "the mark of a settled one"])
def test_o14_an_abort_that_names_a_zero_id_pays_nothing(bench: HubBench, named: bytes) -> None:
    """A dishonest relay chain names a hash that the hub's own marks have."""
    sent = bench.sent(bench.send_token())
    bench.relay.add_verdicts(HERE, OriginVerdict(1, Verdict.ABORT, named))
    bench.accepted(bench.relay.envelope())
    with bench.unchanged():
        for packets in (sent.encode(), b"", bytes(136)):
            assert not settle(bench, packets).succeeded


def test_o14_verdicts_beyond_what_was_sent_are_nothing(bench: HubBench) -> None:
    """A nonce above the last one: an abort in advance would abort a transaction that does not exist yet."""
    bench.relay.add_verdicts(HERE, OriginVerdict(1, Verdict.ABORT, keccak256(b"in advance")))
    bench.relay.add_verdicts(HERE, OriginVerdict(2**64 - 1, Verdict.COMMIT))
    bench.skipped(bench.relay.envelope())
    assert bench.send_token().succeeded
    assert bench.hub.own_status(11, 1) == 0
    bench.accepted(bench.relay.envelope())
    assert bench.hub.own_status(11, 1) == Verdict.ABORT


def test_o14_the_first_verdict_stays(bench: HubBench) -> None:
    """COMMIT after ABORT and ABORT after COMMIT have no effect: a refund and an execution never both count."""
    sent = [bench.sent(bench.send_token(100)) for _ in (1, 2)]
    balance = bench.hub.balance("alice")
    named = [packets_hash([item.packet_id]) for item in sent]
    bench.relay.add_verdicts(HERE, OriginVerdict(1, Verdict.COMMIT), OriginVerdict(2, Verdict.ABORT, named[1]))
    bench.accepted(bench.relay.envelope())
    bench.relay.add_verdicts(HERE, OriginVerdict(1, Verdict.ABORT, named[0]), OriginVerdict(2, Verdict.COMMIT))
    bench.skipped(bench.relay.envelope(first=2))
    with bench.unchanged():
        assert not settle(bench, sent[0].encode(), nonce=1).succeeded
    assert settle(bench, sent[1].encode(), nonce=2).succeeded
    assert bench.hub.balance("alice") == balance + 100


def test_o14_a_frozen_relay_chain_can_be_terminated_but_never_speaks_again(bench: HubBench) -> None:
    """Freeze is final for its endorsements: also a new set registered later is refused."""
    undelivered = bench.relay.envelope_of(notarisation())
    freeze = replace(bench.hub.message(NoOp()), kind=FreezeRelay.KIND, counter=1, body=FreezeRelay(11).encode())
    assert bench.hub.carry_governor(freeze.signed(bench.hub.governor.sign).encode()).succeeded
    bench.refused(undelivered, error="UnknownSet")
    new = bench.relay.next_generation()
    outcome = bench.hub.carry_governor(bench.hub.message(EndorserSet(11, 0, new.signers)).encode())
    assert bench.hub.handled(outcome)[0] is False
    bench.refused(new.envelope(), error="UnknownSet")
    with bench.unchanged():
        assert not bench.send_token().succeeded


# ---------------------------------------------------------------------------------------------------------------- O15


def test_o15_a_packet_can_only_demand_more_of_verification(bench: HubBench) -> None:
    """At a hub the field changes nothing: what was endorsed was verified as the registration says."""
    items = [notarisation(f"m{method}", sequence=method, method=method, depth=255) for method in (1, 2, 3)]
    outcome = bench.accepted(bench.relay.envelope_of(*items))
    assert [receipt.code for receipt in receipts_of(bench, outcome).receipts] == [ReceiptCode.EXECUTED] * 3
    for method in (0, 4, 255):
        raw = bytearray(notarisation(f"n{method}", sequence=9).encode())
        raw[32] = method
        with pytest.raises(FormatError):
            STACK.receive(bytes(raw))


def test_o15_the_registration_of_the_sender_limits_what_it_may_demand(bench: HubBench) -> None:
    """A demand that the own registration does not meet would lock the packet: refused at send; met ones are taken."""
    bench.hub.govern(Verification(Method.BOTH, 4, 3))
    puppet = bench.install(hostile.puppet(bench.hub.hub, []))
    for demand in (b"\x03\x04\x00\x03", b"\x01\x00\x00\x00", b"\x02\x04\x00\x03"):
        assert bench.send_raw(puppet, verification=demand + bytes(4)).succeeded
    with bench.unchanged():
        for demand in (b"\x03\x05\x00\x03", b"\x03\x04\x00\x04", b"\x04\x00\x00\x00", b"\x00\x01\x00\x00"):
            assert not bench.send_raw(puppet, verification=demand + bytes(4)).succeeded, demand


def test_o15_membership_ends_for_new_packets_only(bench: HubBench) -> None:
    """A peer that is removed gets no new packets; what it sent before is still executed."""
    bench.hub.govern(RegisterPeer(THERE, CHAIN_ID + 1, HANDLER_GAS_MAX, False))
    with bench.unchanged():
        assert bench.hub.error(bench.send_token()).startswith("NoMember")
    bench.accepted(bench.relay.envelope_of(notarisation()))
