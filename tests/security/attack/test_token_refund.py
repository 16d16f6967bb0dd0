"""All endorsement keys of a relay chain are stolen: what leaves a token stays within its cap (invariant I14)."""

import pytest

from piebridge.evm_chain.block import Outcome
from piebridge.protocol_stack.packet import Packet, packets_hash
from piebridge.protocol_stack.verdicts import OriginVerdict, Verdict
from testkit.world.bench import HERE, THERE, HubBench
from testkit.world.evm import Call
from testkit.world.hub import CAP, CAP_WINDOW_SECONDS, DOMAIN, SUPPLY
from testkit.world.packets import transfer


def settle(bench: HubBench, item: Packet) -> Outcome:
    nonce = item.header.transaction.nonce
    call = Call(bench.hub.hub, bench.hub.data("settle", DOMAIN, 11, nonce, item.encode()), "mallory")
    (outcome,) = bench.hub.chain.run(call)
    return outcome


def abort(bench: HubBench, nonce: int, packet_id: bytes) -> None:
    first = bench.relay.add_verdicts(HERE, OriginVerdict(nonce, Verdict.ABORT, packets_hash([packet_id])))
    bench.accepted(bench.relay.envelope(first=first))


@pytest.mark.parametrize("amount", [CAP + 1, SUPPLY, 2**128 - 1 - SUPPLY])
def test_a_forged_abort_cannot_refund_more_than_the_cap(bench: HubBench, amount: int) -> None:
    """The nonce is that of a transfer of one unit; the hash names a packet that was never sent."""
    sent = bench.sent(bench.send_token(1, sender="alice"))
    forged = transfer(amount, sender="mallory", source=HERE, destination=THERE, nonce=sent.header.transaction.nonce)
    abort(bench, sent.header.transaction.nonce, forged.packet_id)
    settle(bench, forged)
    assert bench.hub.balance("mallory") <= CAP, "tokens from nowhere, without limit"


def test_refunds_of_a_window_together_stay_within_the_cap_and_none_is_lost(bench: HubBench) -> None:
    """Honest refunds that find the window used up are settled in the next one."""
    sent = [bench.sent(bench.send_token(CAP // 8 - 1)) for _ in range(4)]  # all that alice has, but four units
    before = bench.hub.balance("alice")
    forged = transfer(3 * CAP // 4, sender="mallory", source=HERE, destination=THERE, nonce=5)
    bench.sent(bench.send_token(1))
    for nonce, item in enumerate(sent, 1):
        abort(bench, nonce, item.packet_id)
    abort(bench, 5, forged.packet_id)
    assert settle(bench, forged).succeeded, "the control: a forged refund within the cap cannot be told"
    results = [settle(bench, item).succeeded for item in sent]
    assert results == [True, True, False, False]
    bench.advance(CAP_WINDOW_SECONDS)
    assert all(settle(bench, item).succeeded for item in sent[2:])
    assert bench.hub.balance("alice") == before - 1 + 4 * (CAP // 8 - 1)
    assert not any(settle(bench, item).succeeded for item in sent), "each is settled once"


def test_a_transfer_that_could_not_come_back_is_not_sent(bench: HubBench) -> None:
    outcome = bench.send_token(CAP + 1)
    assert bench.hub.error(outcome).startswith("CapExceeded")
