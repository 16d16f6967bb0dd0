"""A hostile application: it forges every word that it gives to its hub, and does in its handlers what it likes.

What it can do to others by gas, returned data and re-entrancy is in ``test_rows_41_47_execution.py``; here is what it
can write. Each forged field is a test (O12).
"""

import pytest

from piebridge.contracts.loader import load
from piebridge.protocol_stack.application.door import DOOR, MESSAGE, DoorMessage, InteroperableAddress
from piebridge.protocol_stack.governor_hub_bodies import Pause, PauseScope, Protocols, RegisterApplication, Unpause
from piebridge.protocol_stack.header import FLAG_RETURN
from piebridge.protocol_stack.packet import Packet
from piebridge.protocol_stack.receipts import ReceiptBatch, ReceiptCode
from testkit.world import hostile
from testkit.world.bench import CHAIN_ID, ELSEWHERE, HERE, THERE, HubBench
from testkit.world.evm import Call
from testkit.world.hub import BODY_BYTES_MAX, DOMAIN, HANDLER_GAS_MAX
from testkit.world.keys import START_SECONDS, address_of
from testkit.world.packets import notarisation, packet, transfer

APPLICATION = 50
"""Number of the hostile application."""


@pytest.fixture(scope="module")
def ready_template(bench_template: HubBench) -> tuple[HubBench, bytes]:
    """A hub with an application that passes on whatever it is called with."""
    bench = bench_template.fork()
    return bench, bench.install(hostile.puppet(bench.hub.hub, []), application=APPLICATION)


@pytest.fixture
def ready(ready_template: tuple[HubBench, bytes]) -> tuple[HubBench, bytes]:
    bench, puppet = ready_template
    return bench.fork(), puppet


def forged_fields(now: int, relay: int) -> dict[str, dict[str, object]]:
    """Words that a hub refuses at send, by what is wrong with them."""
    return {
        "body one byte above the cap": {"body": bytes(BODY_BYTES_MAX + 1)},
        "handler gas above the destination's maximum": {"gas": HANDLER_GAS_MAX + 1},
        "destination that is no member": {"destination": 77},
        "destination is this hub": {"destination": HERE},
        "destination 0": {"destination": 0},
        "domain that was never opened": {"domain": 9},
        "domain 0": {"domain": 0},
        "expiry in the past": {"expiry": now - 1},
        "expiry too soon": {"expiry": now + 10},
        "expiry too late": {"expiry": now + 10**7},
        "deadline in a plain packet": {"deadline": now + 500},
        "RETURN without RECEIPT_WANTED": {"transaction_flags": FLAG_RETURN},
        "reserved transaction flag": {"transaction_flags": 0x20},
        "BTP": {"protocol": 1},
        "MTP": {"protocol": 3},
        "unknown transaction protocol": {"protocol": 9},
        "ATP in a free lane": {"protocol": 2, "expiry": now + 500, "deadline": now + 600},
        "NONE in a bound lane": {"relay": relay, "protocol": 0, "expiry": now + 500},
        "FORWARD in a bound lane": {"relay": relay, "protocol": 4, "expiry": now + 500},
        "ATP without expiry": {"relay": relay, "protocol": 2, "deadline": now + 600},
        "ATP with deadline before expiry": {"relay": relay, "protocol": 2, "expiry": now + 600, "deadline": now + 500},
        "ATP over another relay chain": {
            "relay": 23 - relay,
            "protocol": 2,
            "expiry": now + 500,
            "deadline": now + 600,
        },
        "relay chain of another domain": {"relay": 13, "protocol": 2, "expiry": now + 500, "deadline": now + 600},
        "unknown relay chain": {"relay": 99, "protocol": 2, "expiry": now + 500, "deadline": now + 600},
        "notary demanded of a chain that is registered for SPV": {"verification": b"\x02" + bytes(7)},
        "both demanded": {"verification": b"\x03" + bytes(7)},
        "unknown method": {"verification": b"\x04" + bytes(7)},
        "depth above the registered maximum": {"verification": b"\x01\x11" + bytes(6)},
        "set epoch that is not there yet": {"verification": b"\x01\x00\x00\x02" + bytes(4)},
        "reserved bytes of the verification header": {"verification": b"\x01" + bytes(6) + b"\x01"},
        "application id written by the application": {"application": 2 << 224},
        "compensation function": {"application": 1 << 128},
        "unknown codec": {"application": 3 << 112},
        "body length written by the application": {"application": 4 << 64},
        "reserved bytes of the application header": {"application": 1},
        "version written by the application": {"transport": 1 << 248 | DOMAIN << 192 | THERE << 128},
        "ORDERED set by the application": {"transport": 1 << 232 | DOMAIN << 192 | THERE << 128},
        "source written by the application": {"transport": DOMAIN << 192 | THERE << 160 | ELSEWHERE << 128},
        "sequence written by the application": {"transport": DOMAIN << 192 | THERE << 128 | 7},
        "kind, participants, origin or nonce written by the application": {
            "transport": DOMAIN << 192 | THERE << 128 | relay << 96,
            "transaction": 2 << 248 | 1 << 232 | (now + 600) << 72 | (now + 500) << 32,
        },
        "a nonce of its own choice": {
            "transport": DOMAIN << 192 | THERE << 128 | relay << 96,
            "transaction": 2 << 248 | 5 << 112 | (now + 600) << 72 | (now + 500) << 32,
        },
    }


@pytest.mark.parametrize("field", forged_fields(START_SECONDS, 11))
def test_a_forged_field_is_refused_at_send(ready: tuple[HubBench, bytes], field: str) -> None:
    """Caps, membership, times, verification and everything that is the hub's to write."""
    bench, puppet = ready
    relay = int(bench.hub.read("route", DOMAIN, THERE, APPLICATION))
    with bench.unchanged():
        outcome = bench.send_raw(puppet, **forged_fields(bench.now, relay)[field])  # type: ignore[arg-type]
        assert not outcome.succeeded
        assert bench.hub.error(outcome) not in ("", "no reason")


def test_o12_what_is_just_allowed_is_taken(ready: tuple[HubBench, bytes]) -> None:
    """The control of the test above: largest body, largest gas, a transaction over its own relay chain."""
    bench, puppet = ready
    relay = int(bench.hub.read("route", DOMAIN, THERE, APPLICATION))
    assert bench.sent(bench.send_raw(puppet, body=bytes(BODY_BYTES_MAX))).header.application.application == APPLICATION
    assert bench.sent(bench.send_raw(puppet, gas=HANDLER_GAS_MAX)).sequence == 2
    assert bench.sent(bench.send_raw(puppet, verification=b"\x01\x10\x00\x01" + bytes(4))).sequence == 3
    bound = bench.sent(
        bench.send_raw(puppet, relay=relay, protocol=2, expiry=bench.now + 500, deadline=bench.now + 600)
    )
    assert (bound.header.transaction.nonce, bound.header.transaction.origin) == (1, HERE)


def codes(bench: HubBench, envelope: bytes) -> list[ReceiptCode]:
    outcome = bench.accepted(envelope)
    made = [arguments["receipts"] for name, arguments in bench.hub.events(outcome) if name == "ReceiptsMade"]
    return [receipt.code for item in made for receipt in ReceiptBatch.decode(item).receipts]


def test_an_application_that_is_removed_sends_and_receives_no_more(ready: tuple[HubBench, bytes]) -> None:
    """Also under its old address, and its number is not taken over by what it sent before."""
    bench, puppet = ready
    assert bench.send_raw(puppet).succeeded
    bench.hub.govern(RegisterApplication(APPLICATION, bytes(20), Protocols(0)))
    with bench.unchanged():
        assert bench.hub.error(bench.send_raw(puppet)).startswith("NotAllowed")
        (outcome,) = bench.hub.chain.run(Call(puppet, bench.hub.data("openChannel", 1)))
        assert not outcome.succeeded
    item = packet(application=APPLICATION, function=1, body=b"x", receipt=True)
    assert codes(bench, bench.relay.envelope_of(item)) == [ReceiptCode.FAILED_APPLICATION]


def test_an_application_that_is_paused_neither_sends_nor_receives_and_loses_nothing(
    ready: tuple[HubBench, bytes],
) -> None:
    """Packets wait; after UNPAUSE the same envelope executes them."""
    bench, puppet = ready
    pause = Pause(PauseScope.APPLICATION, APPLICATION)
    message = bench.hub.message(pause, domain=0, counter=1)
    assert bench.hub.carry_governor(message.encode()).succeeded
    with bench.unchanged():
        assert bench.hub.error(bench.send_raw(puppet)).startswith("ApplicationPaused")
    envelope = bench.relay.envelope_of(packet(application=APPLICATION, function=1, body=b"x", receipt=True))
    bench.skipped(envelope)
    bench.accepted(bench.relay.envelope_of(transfer(3)))
    bench.hub.govern(Unpause(PauseScope.APPLICATION, APPLICATION), domain=0)
    assert codes(bench, envelope) == [ReceiptCode.EXECUTED]


def test_a_protocol_that_the_registration_does_not_allow_is_refused(bench: HubBench) -> None:
    """An application registered for FORWARD alone begins no transaction."""
    puppet = bench.install(hostile.puppet(bench.hub.hub, []), protocols=Protocols.FORWARD)
    relay = int(bench.hub.read("route", DOMAIN, THERE, 50))
    with bench.unchanged():
        assert not bench.send_raw(puppet, protocol=0).succeeded
        fields = {"relay": relay, "protocol": 2, "expiry": bench.now + 500, "deadline": bench.now + 600}
        assert not bench.send_raw(puppet, **fields).succeeded  # type: ignore[arg-type]
    assert bench.send_raw(puppet, protocol=4).succeeded


def test_a_handler_cannot_act_in_the_name_of_another_application(bench: HubBench) -> None:
    """From within a handler it may call anything; the token still obeys its hub alone, and the hub its own callers."""
    theft = transfer(10**20, recipient="mallory")
    token = load("BridgeToken").function_data
    alice, mallory = ("0x" + address_of(name).hex() for name in ("alice", "mallory"))
    attacks = [
        (bench.hub.token, token("onPacket", theft.packet_id, theft.encode())),
        (bench.hub.token, token("onAbort", theft.packet_id, theft.encode())),
        (bench.hub.token, token("onGovernor", b"\x03")),
        (bench.hub.token, token("transferFrom", alice, mallory, 1)),
        (bench.hub.token, token("transfer", mallory, 1)),
    ]
    contract = bench.install(hostile.puppet(bench.hub.hub, attacks))
    before = bench.hub.digest()["token"]
    item = packet(application=50, function=1, body=b"x", gas=1_900_000, receipt=True)
    assert codes(bench, bench.relay.envelope_of(item)) == [ReceiptCode.EXECUTED]
    assert [bench.hub.chain.state.storage(contract, number) for number in range(len(attacks))] == [1] * len(attacks)
    assert bench.hub.digest()["token"] == before


def door_packet(recipient: bytes, chain_id: int = CHAIN_ID, sequence: int = 1) -> Packet:
    sender = InteroperableAddress(CHAIN_ID + 1, address_of("mallory"))
    body = DoorMessage(sender, InteroperableAddress(chain_id, recipient), b"payload").encode()
    return packet(application=DOOR, function=MESSAGE, body=body, gas=300_000, receipt=True, sequence=sequence)


@pytest.mark.parametrize("target", ["hub", "token", "notary", "door", "account without code", "another chain"])
def test_the_door_calls_recipients_and_nothing_privileged(bench: HubBench, target: str) -> None:
    """Poly Network and LI.FI: a carried call must reach no privileged contract. The door calls one function only."""
    addresses = {
        "hub": bench.hub.hub,
        "token": bench.hub.token,
        "notary": bench.hub.notary,
        "door": bench.hub.door,
        "account without code": address_of("bob"),
        "another chain": bench.hub.board,
    }
    chain_id = CHAIN_ID + 1 if target == "another chain" else CHAIN_ID
    item = door_packet(addresses[target], chain_id)
    others = {name: root for name, root in bench.hub.digest().items() if name != "hub"}
    assert codes(bench, bench.relay.envelope_of(item)) == [ReceiptCode.FAILED]
    assert {name: root for name, root in bench.hub.digest().items() if name != "hub"} == others
    control = door_packet(bench.hub.board, sequence=2)
    assert codes(bench, bench.relay.envelope_of(control)) == [ReceiptCode.EXECUTED]


def test_the_sender_of_a_door_message_is_who_called_the_door(bench: HubBench) -> None:
    """The body's sender is written by the door from ``msg.sender``: nobody sends in another's name."""
    recipient = InteroperableAddress(CHAIN_ID + 1, address_of("bob")).encode()
    data = load("ERC7786Door").function_data("sendMessage", recipient, b"payload", [])
    for sender in ("alice", "mallory"):
        (outcome,) = bench.hub.chain.run(Call(bench.hub.door, data, sender))
        message = DoorMessage.decode(bench.sent(outcome).body)
        assert message.sender == InteroperableAddress(CHAIN_ID, address_of(sender))


def test_the_record_notary_keeps_the_first_record_whatever_comes_later(bench: HubBench) -> None:
    """Insert if absent, over any relay chain: the second value for a key answers with the first."""
    first, second = notarisation("key", "first", sequence=1), notarisation("key", "second", sequence=2)
    bench.accepted(bench.relays[11].envelope_of(first))
    stored = bench.hub.read("recordOf", first.body[:32], contract="RecordNotary")
    bench.accepted(bench.relays[12].envelope_of(second))
    assert bench.hub.read("recordOf", first.body[:32], contract="RecordNotary") == stored
    assert stored[0] == first.body[32:]
