"""Every invariant on fabricated ledgers: an honest world is clean, and one lie breaks the invariant that it should."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from piebridge.cli.oracle.decoding import SentPacket, keccak, tag
from piebridge.cli.oracle.ledger import ChainLedger, TokenLedger, TokenMove
from testkit.oracle_world import (
    ABORTED,
    ALICE,
    BOARD,
    BOB,
    COMMITTED,
    CUT,
    EXPIRY,
    NOBODY,
    OTHER_RELAY,
    RECORD_NOTARY,
    RELAY,
    SECOND,
    SHARE,
    TOKEN,
    OracleWorld,
    altered,
)

STRANGER = b"\x55" * 20
KEY, VALUE = b"\x4b" * 32, b"\x56" * 32


@pytest.fixture
def world() -> OracleWorld:
    return OracleWorld()


def executed(world: OracleWorld) -> None:
    packet = world.transfer()
    world.deliver(packet)
    world.finish(packet)


# --- Positive controls ------------------------------------------------------------------------------------------------


def test_an_honest_world_is_clean(world: OracleWorld) -> None:
    transfers = [world.transfer(amount) for amount in (1, 2, 3, 4)]
    for packet in transfers[:2]:
        world.deliver(packet)
        world.finish(packet)
    world.deliver(transfers[2], code=2)
    world.finish(transfers[2], ABORTED)
    world.deliver(transfers[3], code=3)
    world.second.block_times[4] = EXPIRY
    world.second.receipts[:3] = [altered(item, block=3) for item in world.second.receipts[:3]]
    world.second.block_times[3] = EXPIRY - 1
    world.finish(transfers[3], ABORTED)
    records = [world.packet(RECORD_NOTARY, KEY + value, receipt_wanted=True) for value in (VALUE, bytes(32))]
    for packet in records:
        world.deliver(packet, block=3)
        world.confirm(packet)
    message = world.message()
    world.deliver(message, receipt=False)
    verdict = world.judge()
    assert verdict.violations == []
    assert (verdict.sent, verdict.executed, verdict.aborted) == (7, 5, 2)
    assert (verdict.pending, verdict.unjudged) == ([], [])
    assert (verdict.balances, verdict.in_flight, verdict.supply) == (2 * SHARE, 0, 2 * SHARE)
    assert verdict.clean


def test_who_saw_nothing_has_checked_nothing(world: OracleWorld) -> None:
    assert world.judge().violations == []
    assert not world.judge().clean


@pytest.mark.parametrize("stage", ["sent", "delivered", "decided", "undone"])
def test_a_transfer_under_way_is_no_violation(world: OracleWorld, stage: str) -> None:
    packet = world.transfer()
    if stage != "sent":
        world.deliver(packet, code=2)
    if stage in ("decided", "undone"):
        world.verdict(packet, ABORTED)
        claim = int.from_bytes(keccak(tag("PACKETS") + packet.id), "big")
        world.put(world.first, world.settlement_slot(packet), 0, claim)
    if stage == "undone":
        world.first.words[world.settlement_slot(packet)] = 1  # type: ignore[index]
        world.refund(packet)
    verdict = world.judge()
    assert verdict.violations == []
    assert verdict.pending == ([] if stage == "undone" else [packet.id])
    assert verdict.in_flight == (0 if stage == "undone" else packet.amount)


def test_blocks_behind_the_first_cut_give_no_false_alarm(world: OracleWorld) -> None:
    # Sent at the source behind its cut, executed at the destination before its own: they were asked in this order.
    early = world.transfer(block=CUT + 1)
    world.deliver(early)
    # Committed at the source, executed at the destination only behind its cut.
    late = world.transfer()
    world.verdict(late, COMMITTED)
    world.second.receipts.append(altered(world.second.receipts[0], packet_id=late.id, block=CUT + 1))
    world.second.later_words = {**world.second.words, **_status_words(world, late)}
    verdict = world.judge()
    assert verdict.violations == []
    assert set(verdict.pending) == {early.id, late.id}
    assert verdict.balances + verdict.in_flight == 2 * SHARE


def _status_words(world: OracleWorld, packet: SentPacket) -> dict[bytes, int]:
    word = world.status_slot(packet)
    return {word: world.second.words[word] | COMMITTED << 2 * (packet.sequence & 127)}


def test_a_packet_to_an_unknown_chain_is_not_judged_and_stays_in_flight(world: OracleWorld) -> None:
    packet = world.transfer(destination=99)
    verdict = world.judge()
    assert verdict.violations == []
    assert (verdict.unjudged, verdict.pending, verdict.in_flight) == ([packet.id], [packet.id], packet.amount)
    world.finish(packet, ABORTED)
    assert world.broken() == set()
    world.refund(packet)
    assert {"I2", "I4"} <= world.broken()


def test_a_tombstone_needs_no_receipt(world: OracleWorld) -> None:
    packet = world.transfer()
    world.set_status(world.second, packet, ABORTED)
    world.finish(packet, ABORTED)
    assert world.broken() == set()


def test_a_packet_that_its_relay_chain_aborted_by_itself_waits_for_no_receipt(world: OracleWorld) -> None:
    packet = world.packet(RECORD_NOTARY, KEY + VALUE, relay=RELAY, receipt_wanted=True)
    world.finish_without_refund(packet)
    assert world.judge().pending == [packet.id], "its tombstone is not there yet"
    world.set_status(world.second, packet, ABORTED)
    assert world.judge().pending == []
    assert world.broken() == set()


def test_a_packet_that_failed_at_its_destination_waits_for_its_receipt(world: OracleWorld) -> None:
    packet = world.packet(RECORD_NOTARY, KEY + VALUE, relay=RELAY, receipt_wanted=True)
    world.deliver(packet, code=2)
    world.finish_without_refund(packet)
    assert world.judge().pending == [packet.id]


# --- Lies about one executed transfer ---------------------------------------------------------------------------------


def _first_credit(world: OracleWorld) -> TokenMove:
    assert world.second.token is not None
    return world.second.token.credits[0]


def _double_credit(world: OracleWorld) -> None:
    world.credit(world.second, world.first.sent[0])


def _double_mint_with_its_event(world: OracleWorld) -> None:
    world.move(world.second, NOBODY, BOB, 100, 4)


def _double_mint_in_silence(world: OracleWorld) -> None:
    assert world.second.token is not None
    world.second.token.cells[BOB] += 100


def _mint_to_a_stranger_in_silence(world: OracleWorld) -> None:
    assert world.second.token is not None
    world.second.token.complete = False


def _mint_to_nobody(world: OracleWorld) -> None:
    assert world.second.token is not None
    world.second.token.cells[NOBODY] = 100


def _mint_here_burn_there(world: OracleWorld) -> None:
    world.move(world.second, NOBODY, STRANGER, 7, 4)
    world.move(world.first, ALICE, NOBODY, 7, 4)


def _lock(world: OracleWorld) -> None:
    assert world.second.token is not None
    world.second.token.cells[BOB] |= 1 << 128


def _other_supply(world: OracleWorld) -> None:
    assert world.second.token is not None
    world.second.token.supply += 1


def _wrong_account(world: OracleWorld) -> None:
    assert world.second.token is not None
    world.second.token.credits[0] = replace(_first_credit(world), account=STRANGER)


def _credit_without_packet(world: OracleWorld) -> None:
    assert world.second.token is not None
    world.second.token.credits.append(replace(_first_credit(world), packet_id=bytes(32)))
    world.move(world.second, NOBODY, BOB, 100, 4)


def _credit_at_the_source(world: OracleWorld) -> None:
    world.credit(world.first, world.first.sent[0])


def _effect_without_receipt(world: OracleWorld) -> None:
    world.second.receipts.clear()


def _receipt_twice(world: OracleWorld) -> None:
    world.second.receipts *= 2


def _receipt_for_nobody(world: OracleWorld) -> None:
    world.second.receipts.append(altered(world.second.receipts[0], packet_id=bytes(32)))


def _receipt_denies(world: OracleWorld) -> None:
    world.second.receipts[0] = altered(world.second.receipts[0], code=2)


def _receipt_for_another_relay(world: OracleWorld) -> None:
    world.second.receipts[0] = altered(world.second.receipts[0], endorsing_relay=OTHER_RELAY)


def _receipt_without_effect(world: OracleWorld) -> None:
    token = world.second.token
    assert token is not None
    token.credits.clear()
    token.transfers.pop()
    token.cells[BOB] = 0


def _executed_and_failed(world: OracleWorld) -> None:
    world.second.failed.add(world.first.sent[0].id)


def _late(world: OracleWorld) -> None:
    world.second.block_times[4] = EXPIRY


def _outcome_forgotten(world: OracleWorld) -> None:
    world.clear(world.second, world.status_slot(world.first.sent[0]))


def _status_denies(world: OracleWorld) -> None:
    world.set_status(world.second, world.first.sent[0], ABORTED)


def _status_prepared(world: OracleWorld) -> None:
    world.clear(world.second, world.status_slot(world.first.sent[0]))
    world.set_status(world.second, world.first.sent[0], 1)


def _origin_aborts(world: OracleWorld) -> None:
    world.verdict(world.first.sent[0], ABORTED)


def _refund_of_a_commit(world: OracleWorld) -> None:
    world.refund(world.first.sent[0])


def _settlement_of_a_commit(world: OracleWorld) -> None:
    world.put(world.first, world.settlement_slot(world.first.sent[0]), 0, 1)


def _fault(world: OracleWorld) -> None:
    world.second.faults.append(("I3", "an outbox does not fold"))


@pytest.mark.parametrize(
    ("lie", "invariant"),
    [
        (_double_credit, "I2"),
        (_double_credit, "I1"),
        (_double_mint_with_its_event, "I1"),
        (_double_mint_in_silence, "I1"),
        (_mint_to_a_stranger_in_silence, "I1"),
        (_mint_to_nobody, "I1"),
        (_mint_here_burn_there, "I1"),
        (_lock, "I5"),
        (_other_supply, "I1"),
        (_wrong_account, "I10"),
        (_credit_without_packet, "I3"),
        (_credit_at_the_source, "I3"),
        (_effect_without_receipt, "I6"),
        (_receipt_twice, "I6"),
        (_receipt_for_nobody, "I3"),
        (_receipt_denies, "I6"),
        (_receipt_for_another_relay, "I15"),
        (_receipt_without_effect, "I6"),
        (_executed_and_failed, "I6"),
        (_late, "I10"),
        (_outcome_forgotten, "I2"),
        (_status_denies, "I6"),
        (_status_prepared, "I4"),
        (_origin_aborts, "I4"),
        (_refund_of_a_commit, "I4"),
        (_settlement_of_a_commit, "I4"),
        (_fault, "I3"),
    ],
)
def test_a_lie_about_an_executed_transfer(
    world: OracleWorld, lie: Callable[[OracleWorld], None], invariant: str
) -> None:
    executed(world)
    assert world.broken() == set()
    lie(world)
    assert invariant in world.broken()
    assert not world.judge().clean


# --- Lies about one aborted transfer ----------------------------------------------------------------------------------


def _lost_refund(world: OracleWorld) -> None:
    token = world.first.token
    assert token is not None
    token.refunds.clear()
    token.transfers.pop()
    token.cells[ALICE] -= 100


def _refund_twice(world: OracleWorld) -> None:
    world.refund(world.first.sent[0])


def _refund_to_another(world: OracleWorld) -> None:
    token = world.first.token
    assert token is not None
    token.refunds[0] = replace(token.refunds[0], account=STRANGER)


def _refund_of_a_foreign_packet(world: OracleWorld) -> None:
    token, own = world.second.token, world.first.sent[0]
    assert token is not None
    token.refunds.append(TokenMove(own.id, ALICE, own.amount, 5))


def _refund_before_the_verdict(world: OracleWorld) -> None:
    packet = world.first.sent[0]
    word = next(word for word, value in world.first.words.items() if value == ABORTED << 2 * packet.nonce)
    world.clear(world.first, word)


def _refund_that_can_come_again(world: OracleWorld) -> None:
    packet = world.first.sent[0]
    world.clear(world.first, world.settlement_slot(packet))
    world.put(world.first, world.settlement_slot(packet), 0, int.from_bytes(keccak(tag("PACKETS") + packet.id), "big"))


def _nothing_to_settle(world: OracleWorld) -> None:
    _lost_refund(world)
    world.clear(world.first, world.settlement_slot(world.first.sent[0]))


def _executed_all_the_same(world: OracleWorld) -> None:
    world.clear(world.second, world.status_slot(world.first.sent[0]))
    world.second.receipts.clear()
    world.second.failed.clear()
    world.deliver(world.first.sent[0])


def _failure_without_receipt(world: OracleWorld) -> None:
    world.second.receipts.clear()


def _expired_too_early(world: OracleWorld) -> None:
    world.second.receipts[0] = altered(world.second.receipts[0], code=3)


def _failed_and_returned(world: OracleWorld) -> None:
    world.second.receipts[0] = altered(world.second.receipts[0], returned=b"x")


@pytest.mark.parametrize(
    ("lie", "invariant"),
    [
        (_lost_refund, "I4"),
        (_lost_refund, "I1"),
        (_refund_twice, "I2"),
        (_refund_twice, "I1"),
        (_refund_to_another, "I10"),
        (_refund_of_a_foreign_packet, "I3"),
        (_refund_before_the_verdict, "I4"),
        (_refund_that_can_come_again, "I4"),
        (_nothing_to_settle, "I4"),
        (_executed_all_the_same, "I4"),
        (_failure_without_receipt, "I6"),
        (_expired_too_early, "I6"),
        (_failed_and_returned, "I6"),
    ],
)
def test_a_lie_about_an_aborted_transfer(
    world: OracleWorld, lie: Callable[[OracleWorld], None], invariant: str
) -> None:
    packet = world.transfer()
    world.deliver(packet, code=2)
    world.finish(packet, ABORTED)
    assert world.broken() == set()
    lie(world)
    assert invariant in world.broken()


def test_a_commit_that_the_destination_does_not_know(world: OracleWorld) -> None:
    world.verdict(world.transfer(), COMMITTED)
    assert world.broken() == {"I4"}


def test_a_token_packet_in_a_free_lane(world: OracleWorld) -> None:
    world.packet(TOKEN, (1).to_bytes(16, "big") + ALICE + BOB)
    assert "I15" in world.broken()


def test_tokens_that_leave_without_a_packet(world: OracleWorld) -> None:
    executed(world)
    world.move(world.first, ALICE, NOBODY, 5, 3)
    assert "I1" in world.broken()


def test_a_packet_that_takes_nothing(world: OracleWorld) -> None:
    packet = world.packet(TOKEN, (9).to_bytes(16, "big") + ALICE + BOB, relay=RELAY)
    world.deliver(packet)
    assert "I1" in world.broken()


def test_transfers_between_users_are_no_business_of_packets(world: OracleWorld) -> None:
    executed(world)
    world.move(world.second, BOB, STRANGER, 60, 7)
    assert world.broken() == set()


# --- Records ----------------------------------------------------------------------------------------------------------


def _record(world: OracleWorld) -> None:
    packet = world.packet(RECORD_NOTARY, KEY + VALUE, receipt_wanted=True)
    world.deliver(packet)
    world.confirm(packet)


def _record_not_told(world: OracleWorld) -> None:
    world.first.notary.confirmations.clear()


def _record_told_otherwise(world: OracleWorld) -> None:
    confirmations = world.first.notary.confirmations
    confirmations[0] = replace(confirmations[0], returned=bytes(45))


def _record_told_twice(world: OracleWorld) -> None:
    world.first.notary.confirmations *= 2


def _other_value_stored(world: OracleWorld) -> None:
    world.second.notary.records[KEY] = replace(world.second.notary.records[KEY], value=bytes(32))


def _other_value_notarised(world: OracleWorld) -> None:
    world.second.notary.notarised[0] = replace(world.second.notary.notarised[0], value=bytes(32))


def _other_source_notarised(world: OracleWorld) -> None:
    world.second.notary.notarised[0] = replace(world.second.notary.notarised[0], source=SECOND)


def _said_to_exist(world: OracleWorld) -> None:
    world.second.notary.notarised[0] = replace(world.second.notary.notarised[0], existing=True)


def _record_of_nobody(world: OracleWorld) -> None:
    world.second.notary.complete = False


def _record_without_packet(world: OracleWorld) -> None:
    item = world.second.notary.notarised[0]
    world.second.notary.notarised.append(replace(item, packet_id=bytes(32), existing=True))


def _record_without_receipt(world: OracleWorld) -> None:
    world.second.receipts.clear()


def _record_twice(world: OracleWorld) -> None:
    item = world.second.notary.notarised[0]
    world.second.notary.notarised.append(replace(item, existing=True))


def _record_missing(world: OracleWorld) -> None:
    world.second.notary.notarised.clear()


@pytest.mark.parametrize(
    ("lie", "invariant"),
    [
        (_record_not_told, "I6"),
        (_record_told_otherwise, "I6"),
        (_record_told_twice, "I6"),
        (_other_value_stored, "I10"),
        (_other_value_notarised, "I10"),
        (_other_source_notarised, "I10"),
        (_said_to_exist, "I10"),
        (_record_of_nobody, "I3"),
        (_record_without_packet, "I3"),
        (_record_without_receipt, "I6"),
        (_record_twice, "I2"),
        (_record_missing, "I6"),
    ],
)
def test_a_lie_about_a_record(world: OracleWorld, lie: Callable[[OracleWorld], None], invariant: str) -> None:
    _record(world)
    assert world.broken() == set()
    lie(world)
    assert invariant in world.broken()


def test_a_receipt_home_that_nobody_wanted(world: OracleWorld) -> None:
    packet = world.message()
    world.deliver(packet)
    world.confirm(packet)
    assert "I6" in world.broken()


# --- Messages ---------------------------------------------------------------------------------------------------------


def test_a_message_that_was_not_posted_needs_a_reason(world: OracleWorld) -> None:
    packet = world.message()
    world.deliver(packet, receipt=False)
    assert world.broken() == set()
    world.second.posted.clear()
    assert world.broken() == {"I6"}
    world.second.failed.add(packet.id)
    assert world.broken() == set()


def test_a_message_that_says_something_else(world: OracleWorld) -> None:
    world.deliver(world.message(), receipt=False)
    world.second.posted[0] = replace(world.second.posted[0], payload=b"goodbye")
    assert world.broken() == {"I10"}


def test_a_message_that_was_posted_twice(world: OracleWorld) -> None:
    world.deliver(world.message(), receipt=False)
    world.second.posted *= 2
    assert world.broken() == {"I2"}


def test_a_message_to_an_unknown_recipient_is_not_judged(world: OracleWorld) -> None:
    packet = world.message()
    world.deliver(packet, receipt=False)
    world.second.boards.remove(BOARD)
    world.second.posted.clear()
    verdict = world.judge()
    assert (verdict.violations, verdict.unjudged, verdict.executed) == ([], [packet.id], 0)


# --- Lies that one single check finds ---------------------------------------------------------------------------------


def found(world: OracleWorld) -> list[tuple[str, str]]:
    return [(item.invariant, item.what) for item in world.judge().violations]


def _token(ledger: ChainLedger) -> TokenLedger:
    assert ledger.token is not None
    return ledger.token


def test_tokens_moved_between_accounts_in_silence(world: OracleWorld) -> None:
    executed(world)
    _token(world.second).cells[BOB] -= 60
    _token(world.second).cells[ALICE] += 60
    assert {invariant for invariant, _ in found(world)} == {"I1"}
    assert len(found(world)) == 2, "both accounts are named"


def test_tokens_taken_from_another_account_than_the_packet_says(world: OracleWorld) -> None:
    world.move(world.first, ALICE, BOB, 50, 1)
    packet = world.packet(TOKEN, (50).to_bytes(16, "big") + ALICE + BOB, relay=RELAY)
    world.move(world.first, BOB, NOBODY, packet.amount, packet.block)
    ((invariant, what),) = found(world)
    assert (invariant, "left the accounts" in what) == ("I1", True)


def test_tokens_credited_to_another_account_than_the_token_says(world: OracleWorld) -> None:
    executed(world)
    token = _token(world.second)
    token.transfers[-1] = replace(token.transfers[-1], recipient=STRANGER)
    token.cells[STRANGER], token.cells[BOB] = token.cells[BOB], 0
    ((invariant, what),) = found(world)
    assert (invariant, "came into the accounts" in what) == ("I1", True)


def test_chains_that_disagree_about_the_supply(world: OracleWorld) -> None:
    executed(world)
    _token(world.second).supply -= 1
    ((invariant, what),) = found(world)
    assert (invariant, "disagree" in what) == ("I1", True)


@pytest.mark.parametrize("at_source", [True, False])
def test_a_status_that_nothing_makes(world: OracleWorld, at_source: bool) -> None:
    packet = world.transfer()
    if at_source:
        world.verdict(packet, 1)
    else:
        world.set_status(world.second, packet, 1)
    assert ("I4", f"0x{packet.id.hex()[:16]}... is prepared, which nothing does yet") in found(world)


def test_a_record_that_is_not_what_its_packet_says(world: OracleWorld) -> None:
    _record(world)
    _other_source_notarised(world)
    world.second.notary.records[KEY] = replace(world.second.notary.records[KEY], source=SECOND)
    assert any(what.endswith("is not what it says") for _, what in found(world))


def test_a_receipt_that_returns_what_is_not_stored(world: OracleWorld) -> None:
    _record(world)
    world.second.receipts[0] = altered(world.second.receipts[0], returned=bytes(45))
    world.first.notary.confirmations[0] = replace(world.first.notary.confirmations[0], returned=bytes(45))
    ((invariant, what),) = found(world)
    assert (invariant, "does not return what is stored" in what) == ("I6", True)


def test_a_receipt_home_that_the_destination_did_not_make(world: OracleWorld) -> None:
    packet = world.packet(RECORD_NOTARY, KEY + VALUE, receipt_wanted=True)
    world.deliver(packet)
    world.confirm(packet)
    world.first.notary.confirmations.clear()
    world.first.callbacks_failed.add(packet.id)
    assert found(world) == []
    world.second.receipts.clear()
    assert [what for _, what in found(world) if "did not make" in what]
