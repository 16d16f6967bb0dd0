"""One test for each reason why a packet waits, and one for each end that it can come to."""

from dataclasses import replace

import pytest

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
from piebridge.cli.trace import Reason, State, Trace, trace
from piebridge.protocol_stack.header import (
    ApplicationHeader,
    Header,
    TransactionHeader,
    TransportHeader,
    VerificationHeader,
)
from piebridge.protocol_stack.packet import Packet
from piebridge.protocol_stack.receipts import ReceiptCode

SENT_AT = 1_000
EXPIRY = 2_000
RICH = 10**18
COST = 10**15


def packet(sequence: int = 7, *, handler_gas: int = 120_000, depth: int = 0) -> Packet:
    return Packet(
        Header(
            TransportHeader(1, 0, 1, 1, 2, 1, 0, sequence),
            VerificationHeader(1, depth),
            TransactionHeader(2, 1, 0, 0, 1, 1, 5, EXPIRY + 600, EXPIRY, handler_gas),
            ApplicationHeader(2, 1, 56),
        ),
        bytes(56),
    )


def signatures(*problems: str | None, needed: int = 3) -> SignatureFacts:
    signers = tuple(Signer(f"signer {i}", f"0x{i:040x}", problem) for i, problem in enumerate(problems))
    return SignatureFacts(needed, signers)


def sent(content: Packet | None = None) -> PacketFacts:
    """A packet that was sent, is final, and lies with nobody yet; everything works."""
    content = content or packet()
    return PacketFacts(
        sent=SentPacket(content, "chain-1", 1, 3, 10, "0xaa"),
        source=SourceFacts(
            "chain-1", BlockFacts(10, SENT_AT, "0xaa", 59_000, 1), head=10, finality_depth=0, verification="spv"
        ),
        relays=(RelayFacts(1),),
        destination=DestinationFacts("chain-2", now=SENT_AT + 5, head=20),
        home=HomeFacts(wanted=True),
        gateways=(GatewayFacts("gateway-1", None, RICH, RICH), GatewayFacts("gateway-2", None, RICH, RICH)),
        delivery_cost_wei=COST,
    )


def recorded(content: Packet | None = None) -> PacketFacts:
    """A packet that its relay chain has recorded."""
    relay = RelayFacts(1, recorded_height=50, recorded_time=1_002.0, proof_bytes=1_900, entry_number=4)
    return replace(sent(content), relays=(relay,), endorsements=signatures(None, None, None, None))


def delivered(code: ReceiptCode = ReceiptCode.EXECUTED) -> PacketFacts:
    """A packet that reached its end at the destination."""
    facts = recorded()
    ended = BlockFacts(20, 1_004, "0xbb", 126_000, 1, 294, 3, 1)
    return replace(facts, destination=replace(facts.destination, ended=ended, code=code), endorsements=None)


def answered(code: ReceiptCode = ReceiptCode.EXECUTED) -> PacketFacts:
    """A packet whose verdict came home."""
    facts = delivered(code)
    relay = replace(facts.relays[0], answer_height=55, answer_time=1_006.0, answer_proof_bytes=1_800)
    home = HomeFacts(wanted=True, came=BlockFacts(12, 1_007, "0xcc", 70_000, 1), committed=code is ReceiptCode.EXECUTED)
    return replace(facts, relays=(relay,), home=home)


def reasons(found: Trace) -> list[Reason]:
    return [wait.reason for wait in found.waits]


def only_text(found: Trace, reason: Reason) -> str:
    assert reasons(found) == [reason]
    return found.waits[0].text


# --- Reasons ----------------------------------------------------------------------------------------------------------


def test_not_final() -> None:
    facts = sent()
    source = replace(facts.source, finality_depth=3, head=11)
    found = trace(replace(facts, source=source))
    assert found.state is State.SENT
    assert only_text(found, Reason.NOT_FINAL) == (
        "block 10 of chain-1 has 1 blocks above it; 3 are demanded, so it is final at block 13"
    )
    assert reasons(trace(replace(facts, source=replace(source, head=13)))) == [Reason.UNDER_WAY]


def test_not_final_because_the_packet_itself_demands_more_depth_than_its_chain() -> None:
    assert reasons(trace(sent(packet(depth=2)))) == [Reason.NOT_FINAL]


def test_too_few_notary_signatures_names_those_that_are_missing() -> None:
    facts = replace(sent(), notaries=signatures(None, None, "disagreement: heights differ", "does not answer"))
    text = only_text(trace(facts), Reason.TOO_FEW_SIGNATURES)
    assert text.startswith("2 of 3 signatures that chain-1's outbox needs of the notaries. Missing: signer 2")
    assert "disagreement: heights differ" in text
    assert "signer 3" in text
    assert "signer 1" not in text


def test_notaries_are_no_reason_as_long_as_k_of_them_sign() -> None:
    facts = replace(sent(), notaries=signatures(None, None, None, "does not answer"))
    assert reasons(trace(facts)) == [Reason.UNDER_WAY]


def test_too_few_endorsements_names_the_validators_that_are_missing() -> None:
    facts = replace(recorded(), endorsements=signatures(None, "does not answer", None, "not committed"))
    found = trace(facts)
    assert found.state is State.RECORDED
    text = only_text(found, Reason.TOO_FEW_SIGNATURES)
    assert text.startswith("2 of 3 signatures that entry 4 of relay-1 needs of the validators")
    assert "signer 1" in text
    assert "signer 3" in text


@pytest.mark.parametrize("facts", [sent(), recorded(), delivered()], ids=["sent", "recorded", "delivered"])
def test_gateway_down(facts: PacketFacts) -> None:
    down = tuple(replace(item, problem="connection refused") for item in facts.gateways)
    text = only_text(trace(replace(facts, gateways=down)), Reason.GATEWAY_DOWN)
    assert "gateway-1: connection refused; gateway-2: connection refused" in text
    assert reasons(trace(replace(facts, gateways=(down[0], facts.gateways[1])))) == [Reason.UNDER_WAY]


def test_a_network_without_gateways_is_told() -> None:
    assert "there is none" in only_text(trace(replace(sent(), gateways=())), Reason.GATEWAY_DOWN)


def test_gas_too_low_because_no_gateway_can_pay_at_the_destination() -> None:
    facts = recorded()
    poor = tuple(replace(item, destination_balance_wei=COST - 1) for item in facts.gateways)
    text = only_text(trace(replace(facts, gateways=poor)), Reason.GAS_TOO_LOW)
    assert "on chain-2: gateway-1 has 999999999999999 wei" in text
    one_rich = (poor[0], facts.gateways[1])
    assert reasons(trace(replace(facts, gateways=one_rich))) == [Reason.UNDER_WAY]


def test_gas_too_low_because_no_gateway_can_pay_at_the_source_for_the_way_home() -> None:
    facts = delivered()
    poor = tuple(replace(item, source_balance_wei=0) for item in facts.gateways)
    assert "on chain-1" in only_text(trace(replace(facts, gateways=poor)), Reason.GAS_TOO_LOW)


def test_gas_too_low_because_the_header_promises_more_than_the_destination_gives() -> None:
    facts = recorded(packet(handler_gas=500_000))
    limited = replace(facts, destination=replace(facts.destination, handler_gas_max=400_000))
    assert "500000 gas, chain-2 gives at most 400000" in only_text(trace(limited), Reason.GAS_TOO_LOW)


@pytest.mark.parametrize("facts", [sent(), recorded()], ids=["sent", "recorded"])
def test_expired(facts: PacketFacts) -> None:
    late = replace(facts, destination=replace(facts.destination, now=EXPIRY + 30))
    assert "passed 30 s ago on chain-2's clock" in only_text(trace(late), Reason.EXPIRED)
    just_before = replace(facts, destination=replace(facts.destination, now=EXPIRY - 1))
    assert reasons(trace(just_before)) == [Reason.UNDER_WAY]


def test_lane_blocked() -> None:
    facts = recorded()
    blocked = replace(facts, destination=replace(facts.destination, next_sequence=5))
    assert "waits for sequence 5; this is 7" in only_text(trace(blocked), Reason.LANE_BLOCKED)
    its_turn = replace(facts, destination=replace(facts.destination, next_sequence=7))
    assert reasons(trace(its_turn)) == [Reason.UNDER_WAY]


def test_paused_at_the_destination() -> None:
    facts = recorded()
    paused = replace(facts, destination=replace(facts.destination, paused=("application 2 is paused",)))
    assert only_text(trace(paused), Reason.PAUSED) == "at chain-2: application 2 is paused"


@pytest.mark.parametrize(
    ("relay", "words"),
    [(RelayFacts(1, paused=True), "relay-1 is paused"), (RelayFacts(1, life_cycle="DRAINING"), "relay-1 is draining")],
)
def test_paused_because_the_relay_chain_takes_nothing(relay: RelayFacts, words: str) -> None:
    assert words in only_text(trace(replace(sent(), relays=(relay,))), Reason.PAUSED)


def test_a_free_packet_waits_for_a_pause_only_if_no_relay_chain_is_left() -> None:
    facts = replace(sent(), relays=(RelayFacts(1, paused=True), RelayFacts(2)))
    assert reasons(trace(facts)) == [Reason.UNDER_WAY]


def test_a_relay_chain_that_does_not_answer_is_a_reason_of_its_own() -> None:
    facts = replace(sent(), relays=(RelayFacts(1, problem="connection refused"),))
    assert "relay-1 does not answer: connection refused" in only_text(trace(facts), Reason.RELAY_UNREACHABLE)


def test_a_relay_chain_with_too_few_validators_makes_no_blocks_and_says_which_are_down() -> None:
    words = "2 of 4 validators run, 3 must; down: relay-1-validator-0, relay-1-validator-2"
    facts = replace(sent(), relays=(RelayFacts(1, halted=words),))
    assert only_text(trace(facts), Reason.RELAY_UNREACHABLE) == f"relay-1 makes no blocks: {words}"
    facts = replace(sent(), relays=(RelayFacts(1, halted=words), RelayFacts(2)))
    assert reasons(trace(facts)) == [Reason.UNDER_WAY], "another one serves it"


def test_the_way_home_waits_for_finality_at_the_destination() -> None:
    facts = delivered()
    deep = replace(facts, destination=replace(facts.destination, finality_depth=2, head=21))
    assert "block 20 of chain-2, which has 1 blocks above it; 2" in only_text(trace(deep), Reason.NOT_FINAL)


def test_the_way_home_waits_for_endorsements_once_the_relay_chain_has_answered() -> None:
    facts = delivered()
    relay = replace(facts.relays[0], answer_height=55, answer_time=1_006.0)
    few = replace(facts, relays=(relay,), endorsements=signatures(None, None, "x", "y"))
    assert "the answer to chain-1" in only_text(trace(few), Reason.TOO_FEW_SIGNATURES)


def test_several_reasons_are_all_told() -> None:
    facts = recorded()
    down = tuple(replace(item, problem="connection refused") for item in facts.gateways)
    late = replace(facts, gateways=down, destination=replace(facts.destination, now=EXPIRY))
    assert reasons(trace(late)) == [Reason.EXPIRED, Reason.GATEWAY_DOWN]


# --- Ends and hops ----------------------------------------------------------------------------------------------------


def test_a_committed_transaction_is_completed_with_five_hops() -> None:
    found = trace(answered())
    assert (found.state, found.waits) == (State.COMPLETED, ())
    assert [(hop.place, hop.block, hop.gas, hop.proof_bytes) for hop in found.hops] == [
        ("chain-1", 10, 59_000, None),
        ("relay-1", 50, None, 1_900),
        ("chain-2", 20, 126_000, 294),
        ("relay-1", 55, None, 1_800),
        ("chain-1", 12, 70_000, None),
    ]


def test_a_verdict_that_has_not_come_home_yet_is_shown_at_its_relay_chain() -> None:
    facts = delivered()
    given = replace(facts.relays[0], answer_height=55, answer_time=1_006.0)
    hop = trace(replace(facts, relays=(given,))).hops[-1]
    assert (hop.place, hop.what, hop.block) == ("relay-1", "verdict given", 55)


def test_an_aborted_transaction_waits_to_be_settled_and_is_refunded_then() -> None:
    facts = answered(ReceiptCode.EXPIRED)
    found = trace(facts)
    assert found.state is State.REFUNDABLE
    assert reasons(found) == [Reason.UNDER_WAY]
    settled = replace(facts, home=replace(facts.home, settled=BlockFacts(13, 1_008, "0xdd", 48_000, 1)))
    found = trace(settled)
    assert (found.state, found.waits) == (State.REFUNDED, ())
    assert found.hops[-1].block == 13


def test_a_verdict_abort_is_never_shown_as_completed() -> None:
    facts = answered(ReceiptCode.FAILED)
    assert not trace(facts).state.final


def test_a_plain_packet_ends_at_its_destination() -> None:
    facts = replace(delivered(), home=HomeFacts(wanted=False))
    assert trace(facts).state is State.COMPLETED
    failed = replace(delivered(ReceiptCode.FAILED), home=HomeFacts(wanted=False))
    assert trace(failed).state is State.FAILED


def test_a_packet_whose_receipt_is_wanted_is_not_done_before_it_is_home() -> None:
    facts = delivered()
    assert trace(facts).state is State.DELIVERED
    home = replace(facts, home=HomeFacts(wanted=True, came=BlockFacts(12, 1_007)))
    assert trace(home).state is State.COMPLETED
    failed = replace(delivered(ReceiptCode.FAILED), home=HomeFacts(wanted=True, came=BlockFacts(12, 1_007)))
    assert trace(failed).state is State.FAILED


def test_the_gas_of_a_batch_is_shared() -> None:
    facts = delivered()
    ended = facts.destination.ended
    assert ended is not None
    batch = replace(facts, destination=replace(facts.destination, ended=replace(ended, gas_used=300_000, messages=12)))
    hop = trace(batch).hops[2]
    assert (hop.gas_per_message, hop.messages) == (25_000, 12)
    assert "one of 12 messages for 300000 gas" in hop.detail
