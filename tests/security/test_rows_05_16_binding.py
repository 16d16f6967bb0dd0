"""Rows 5 to 14, 16 and 21: what counts as proven, and that an effect is bound to it."""

from dataclasses import replace

import pytest

from piebridge.contracts.loader import load
from piebridge.crypto.errors import ProtocolError
from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack.application.door import DOOR
from piebridge.protocol_stack.application.record_notary import RECORD_NOTARY
from piebridge.protocol_stack.application.token import TOKEN, TRANSFER, TokenTransfer
from piebridge.protocol_stack.endorsement import EndorsementMethod, Envelope, Proof
from piebridge.protocol_stack.governor_hub_bodies import (
    EndorserSet,
    Protocols,
    RegisterApplication,
    RegisterRelay,
    RelayLifeCycle,
    RelayState,
)
from piebridge.protocol_stack.governor_relay_bodies import ValidatorSet
from piebridge.protocol_stack.packet import Packet
from piebridge.protocol_stack.receipts import ReceiptBatch, ReceiptCode
from piebridge.protocol_stack.relay_messages import CarriedGovernorMessage
from piebridge.protocol_stack.transport.outbox import (
    BareEntry,
    Maker,
    OutboxHead,
    OutboxRange,
    PacketEntry,
    open_hub_outbox,
)
from piebridge.relay.app.admission import Code
from testkit.world import hostile
from testkit.world.bench import CHAIN_ID, HERE, THERE, HubBench, token_transfer_data
from testkit.world.evm import Call, EvmChain
from testkit.world.forged_relay import ForgedRelay
from testkit.world.hub import DOMAIN, SUPPLY, HubChain
from testkit.world.keys import Clock, address_of
from testkit.world.packets import notarisation, packet, transfer
from testkit.world.world import World


def codes(bench: HubBench, envelope: bytes) -> list[ReceiptCode]:
    """What becomes of the packets of an envelope."""
    outcome = bench.accepted(envelope)
    (made,) = [arguments["receipts"] for name, arguments in bench.hub.events(outcome) if name == "ReceiptsMade"]
    return [receipt.code for receipt in ReceiptBatch.decode(made).receipts]


# ---------------------------------------------------------------------------------------------------------------- 5


def test_row_05_zero_root_is_never_accepted_by_a_fresh_hub() -> None:
    """Nomad (152 M$): the zero root was accepted after an upgrade. A fresh hub accepts nothing at all."""
    hub = HubChain.deploy(EvmChain.direct("fresh", CHAIN_ID, Clock()), HERE)
    assert hub.outbox(0) == (0, bytes(32))
    relay = ForgedRelay(11)
    envelopes = [
        relay.envelope_of(notarisation()),
        ForgedRelay(0).envelope_of(notarisation(sequence=2)),
        bytes(200),
        b"",
    ]
    for domain in (0, 1, DOMAIN):
        zero = ForgedRelay(11, domain=DOMAIN)
        encoded = bytearray(zero.envelope_of(notarisation(sequence=3)))
        encoded[:4] = domain.to_bytes(4, "big")
        envelopes.append(bytes(encoded))
    before = hub.digest()
    for outcome in hub.receive(*envelopes):
        assert not outcome.succeeded
    assert hub.digest() == before


def test_row_05_zero_root_of_a_relay_chain_without_a_set_is_never_accepted(bench: HubBench) -> None:
    """Terminated or never registered: the stored hash is zero and must match no set, empty ones included."""
    bench.hub.govern(RelayState(12, RelayLifeCycle.DRAINING))
    bench.hub.govern(RelayState(12, RelayLifeCycle.TERMINATED))
    for relay in (12, 99, 0):
        for declared in (bytes(7), bytes.fromhex("00000001010101") + bytes(20), bytes.fromhex("00000000010000")):
            envelope = DOMAIN.to_bytes(4, "big") + relay.to_bytes(4, "big") + declared + bytes(300)
            bench.refused(envelope)


def test_row_05_epoch_zero_and_zero_number_are_refused_in_python(bench: HubBench) -> None:
    """The same values cannot even be written or read."""
    envelope = Envelope.decode(bench.relay.envelope_of(notarisation()))
    with pytest.raises(ProtocolError):
        replace(envelope, signers=replace(envelope.signers, epoch=0)).encode()
    for head in (OutboxHead(1, bytes(32)), OutboxHead(0, bytes(32))):
        with pytest.raises(ProtocolError):
            head.encode()
        with pytest.raises(ProtocolError):
            OutboxHead.decode(head.number.to_bytes(8, "big") + head.value)


def test_row_05_a_head_slot_of_zero_is_refused_by_the_relay_chain() -> None:
    """A hub that never opened the outbox, or no hub at all, has a zero there: genuinely proven, and still refused."""
    world = World.build()
    world.notarise(1, 2, b"\x01" * 32, b"\x02" * 32)
    chain, genuine = world.relays[11], world.range_message(1, 11)
    height = world.follow(1, 11)
    never_opened = OutboxRange(Maker(1), 1, b"\x01" * 32, (BareEntry(1, bytes(32)),))
    before = chain.content()
    for slot in (keccak256(b"any slot"), (8).to_bytes(32, "big")):
        proof = world.prove(1, height, [slot])
        for shown in (never_opened, genuine.range):
            code, _, news = chain.submit(chain.sign(replace(genuine, authentication=proof, range=shown)))
            assert (code, news) == (Code.INVALID, 0)
    assert chain.content() == before
    assert chain.submit(chain.sign(genuine))[0] == Code.OK


# ---------------------------------------------------------------------------------------------------------------- 6


def test_row_06_the_message_never_chooses_its_verifier(bench: HubBench) -> None:
    """Wormhole (360 M$): the caller brought the account that checked the signatures.

    Here the caller brings the set, its method and its keys; only the set that the hub has stored counts.
    """
    genuine = bench.relay.range(add(bench, notarisation()))
    own = ForgedRelay(11, generation=666)
    by_threshold = ForgedRelay(11, generation=666, method=EndorsementMethod.THRESHOLD)
    honest = bench.relay.endorse(genuine)
    attacks = [own.endorse(genuine), by_threshold.endorse(genuine)]
    attacks += [replace(attack, signers=replace(attack.signers, epoch=9)) for attack in attacks]
    attacks.append(replace(honest, signers=replace(honest.signers, threshold=1), proof=honest_one(bench, genuine)))
    bench.refused(*(attack.encode() for attack in attacks), error="UnknownSet")
    bench.refused(replace(honest, proof=own.endorse(genuine).proof).encode(), error="NotEndorsed")
    bench.accepted(honest.encode())


def honest_one(bench: HubBench, shown: OutboxRange) -> Proof:
    return replace(bench.relay, threshold=1).endorse(shown).proof


def add(bench: HubBench, *items: Packet) -> int:
    bench.relay.add_packet(*items)
    return HERE


# ---------------------------------------------------------------------------------------------------------------- 7


def test_row_07_a_packet_with_another_amount_than_was_taken_cannot_be_made(bench: HubBench) -> None:
    """Verus (11.6 M$): everything was proven but the amount. The token writes the body; nobody else can send for it."""
    supply, before = SUPPLY, bench.hub.balance("alice")
    for amount in (1, 10**18, before - 10**18 - 1):
        sent = bench.sent(bench.send_token(amount))
        assert TokenTransfer.decode(sent.body).amount == amount
    assert bench.hub.balance("alice") == 0
    with bench.unchanged():
        assert not bench.send_token(1).succeeded
    assert before <= supply


def test_row_07_an_unregistered_contract_cannot_send_in_anybodys_name(bench: HubBench) -> None:
    """A forged commitment of a contract that no governor registered, or of an account without code."""
    stranger = bench.hub.chain.create(hostile.creation(hostile.puppet(bench.hub.hub, [])))
    body = TokenTransfer(10**24, address_of("alice"), address_of("mallory")).encode()
    fields = {"relay": 11, "protocol": 2, "expiry": bench.now + 600, "deadline": bench.now + 900, "body": body}
    with bench.unchanged():
        assert bench.hub.error(bench.send_raw(stranger, **fields)).startswith("NotAllowed")  # type: ignore[arg-type]
        assert bench.hub.error(bench.send_raw(bench.hub.hub, **fields)).startswith("NotAllowed")  # type: ignore[arg-type]
    registered = bench.install(hostile.puppet(bench.hub.hub, []))
    relay = int(bench.hub.read("route", DOMAIN, THERE, 50))
    fields |= {"relay": relay, "expiry": bench.now + 600, "deadline": bench.now + 900}
    sent = bench.sent(bench.send_raw(registered, **fields))  # type: ignore[arg-type]
    assert sent.header.application.application == 50


# ---------------------------------------------------------------------------------------------------------------- 8


@pytest.mark.parametrize(
    ("application", "function"), [(DOOR, TRANSFER), (RECORD_NOTARY, TRANSFER), (TOKEN, 2), (TOKEN, 0), (50, TRANSFER)]
)
def test_row_08_a_token_body_of_another_application_or_function_credits_nobody(
    bench: HubBench, application: int, function: int
) -> None:
    """Allbridge CCTP: an attested message that looked like a deposit. Only application 2, function 1 moves tokens."""
    body = TokenTransfer(10**20, address_of("alice"), address_of("bob")).encode()
    bench.install(hostile.puppet(bench.hub.hub, []), application=50)
    item = packet(application=application, function=function, body=body, relay=11)
    assert codes(bench, bench.relay.envelope_of(item)) == [
        ReceiptCode.EXECUTED if application == 50 else ReceiptCode.FAILED
    ]
    assert bench.hub.balance("bob") == 0
    genuine = packet(application=TOKEN, function=TRANSFER, body=body, relay=11, sequence=2)
    assert codes(bench, bench.relay.envelope_of(genuine)) == [ReceiptCode.EXECUTED]
    assert bench.hub.balance("bob") == 10**20


@pytest.mark.parametrize("length", [0, 1, 55, 57, 112, 8_192])
def test_row_08_a_token_body_of_another_length_credits_nobody(bench: HubBench, length: int) -> None:
    """One form of body and no other."""
    body = (TokenTransfer(5, address_of("alice"), address_of("bob")).encode() * 200)[:length]
    item = packet(application=TOKEN, function=TRANSFER, body=body, relay=11)
    assert codes(bench, bench.relay.envelope_of(item)) == [ReceiptCode.FAILED]
    assert bench.hub.balance("bob") == 0


# ---------------------------------------------------------------------------------------------------------------- 9, 10


def test_row_09_an_event_of_another_contract_is_no_entry() -> None:
    """Messina (143 claims of one deposit): a second contract emits the same event. The outbox value does not move."""
    world = World.build()
    source = world.hubs[1]
    before = source.outbox(11)
    impostor = source.chain.create(hostile.creation(emitting(load("Hub").event_topic("PacketSent"))))
    source.chain.run(Call(impostor, b"", "mallory"), Call(impostor, b"", "mallory"))
    assert [log.address for _, log in source.chain.logs(0, source.chain.number)][-1] == impostor
    assert source.outbox(11) == before
    forged = PacketEntry(source.chain.number, transfer(10**24, source=1, destination=2, recipient="mallory"))
    chain = world.relays[11]
    world.send_token(1, 2, 5)
    genuine = world.range_message(1, 11, bound=True)
    attempts = [
        replace(genuine, range=replace(genuine.range, entries=(forged,))),
        replace(genuine, range=replace(genuine.range, entries=(forged, *genuine.range.entries))),
        replace(genuine, range=replace(genuine.range, entries=(*genuine.range.entries, replace(forged, height=10**6)))),
    ]
    content = chain.content()
    for attempt in attempts:
        assert chain.submit(chain.sign(attempt))[0] == Code.INVALID
    assert chain.content() == content
    assert world.record(1, 11, bound=True) == 1
    world.deliver(11, 2)
    assert world.hubs[2].balance("mallory") == 0
    assert world.hubs[2].balance("bob") == 5


def emitting(topic: bytes) -> bytes:
    """A contract whose every call emits an event with this topic and an entry number, and nothing else."""
    entry = ((DOMAIN << 96) | (11 << 64) | 1).to_bytes(32, "big")
    return bytes.fromhex("7f" + entry.hex() + "7f" + topic.hex() + "60205fa200")


def test_row_10_a_forged_message_with_a_genuine_proof_is_refused() -> None:
    """pNetwork (13 M$): fake logs beside a genuine one. 50 forgeries with the genuine proof: none, then exactly one."""
    world = World.build()
    world.send_token(1, 2, 5)
    chain, genuine = world.relays[11], world.range_message(1, 11, bound=True)
    (entry,) = genuine.range.entries
    assert isinstance(entry, PacketEntry)
    content = chain.content()
    for number in range(50):
        body = TokenTransfer(10**20 + number, address_of("alice"), address_of("mallory")).encode()
        forged = replace(genuine.range, entries=(replace(entry, packet=replace(entry.packet, body=body)),))
        code, _, news = chain.submit(chain.sign(replace(genuine, range=forged)))
        assert (code, news) == (Code.INVALID, 0)
    assert chain.content() == content
    assert chain.submit(chain.sign(genuine)) == (Code.OK, "", 1)


# ------------------------------------------------------------------------------------------------ 12, 13


@pytest.mark.parametrize("kind", ["account without code", "unregistered", "removed"])
def test_row_12_an_application_without_code_has_not_succeeded(bench: HubBench, kind: str) -> None:
    """Qubit (80 M$): a call to an address without code "succeeds". Here it is FAILED_APPLICATION."""
    if kind == "account without code":
        bench.hub.register_application(60, address_of("bob"), Protocols.NONE)
    elif kind == "removed":
        bench.install(hostile.puppet(bench.hub.hub, []), application=60)
        bench.hub.govern(RegisterApplication(60, bytes(20), Protocols(0)))
    bench.hub.applications.clear()
    item = packet(application=60, function=1, body=b"x", receipt=True)
    assert codes(bench, bench.relay.envelope_of(item)) == [ReceiptCode.FAILED_APPLICATION]


def test_row_12_a_self_destructed_application_has_not_succeeded(bench: HubBench) -> None:
    """The code is gone in the transaction that made it (EIP-6780), and its address is registered nevertheless."""
    factory = bytes.fromhex("73") + address_of("bob") + bytes.fromhex("ff")
    (outcome,) = bench.hub.chain.run(Call(b"", factory, "deployer"))
    assert outcome.succeeded
    assert bench.hub.chain.state.code(outcome.contract_address) == b""
    bench.hub.govern(RegisterApplication(60, outcome.contract_address, Protocols.NONE))
    item = packet(application=60, function=1, body=b"x", receipt=True)
    assert codes(bench, bench.relay.envelope_of(item)) == [ReceiptCode.FAILED_APPLICATION]


def test_row_13_every_way_into_the_token_takes_what_it_credits(bench: HubBench) -> None:
    """Meter (4.3 M$): a second deposit path did not compare amounts. No path takes native money, all conserve."""
    token, alice, bob = bench.hub.token, "0x" + address_of("alice").hex(), "0x" + address_of("bob").hex()
    data = load("BridgeToken").function_data
    total = bench.hub.balance("alice")
    calls = {
        "transfer": data("transfer", bob, 10),
        "transferFrom without allowance": data("transferFrom", alice, bob, 10),
        "transferRemote": token_transfer_data(DOMAIN, THERE, 11, "bob", 10, bench.now + 600, bench.now + 900),
        "receive": b"",
        "unknown function": b"\x12\x34\x56\x78",
    }
    with bench.unchanged():
        for name, call in calls.items():
            (outcome,) = bench.hub.chain.run(Call(token, call, "alice", value=10))
            assert not outcome.succeeded, f"{name} takes native money"
        (outcome,) = bench.hub.chain.run(Call(token, calls["transferFrom without allowance"], "mallory"))
        assert not outcome.succeeded
    outcomes = bench.hub.chain.run(
        Call(token, data("transfer", bob, 10), "alice"),
        Call(token, data("transfer", alice, 0), "mallory"),
        Call(token, data("transfer", alice, 10), "alice"),
    )
    assert all(outcome.succeeded for outcome in outcomes)
    assert bench.hub.balance("alice") + bench.hub.balance("bob") == total
    bench.sent(bench.send_token(25))
    assert bench.hub.balance("alice") + bench.hub.balance("bob") == total - 25


def test_row_13_more_than_there_is_can_be_moved_by_no_path(bench: HubBench) -> None:
    """Balances are 128 bits: neither too much nor a wrap-around."""
    data = load("BridgeToken").function_data
    bob = "0x" + address_of("bob").hex()
    with bench.unchanged():
        for amount in (SUPPLY, 2**128 - 1, 2**128, 2**255, 2**256 - 1):
            (outcome,) = bench.hub.chain.run(Call(bench.hub.token, data("transfer", bob, amount), "alice"))
            assert not outcome.succeeded, amount
        assert not bench.send_token(2**128 - 1).succeeded
    full = transfer(2**128 - 1, sequence=1)
    assert codes(bench, bench.relay.envelope_of(full)) == [ReceiptCode.FAILED]


# ---------------------------------------------------------------------------------------------------------------- 14


def test_row_14_a_failing_handler_leaves_no_event_and_no_entry(bench: HubBench) -> None:
    """Huckleberry: events of a callback that was rolled back were kept. The handler sends a packet and then reverts."""
    inner = bench.hub.data(
        "send",
        (DOMAIN << 192 | THERE << 128).to_bytes(32, "big"),
        bytes(8),
        (100_000).to_bytes(32, "big"),
        (1 << 192).to_bytes(32, "big"),
        bytes(32),
        b"from a handler",
    )
    reverting = bytes.fromhex("5f5ffd")
    bench.install(hostile.puppet(bench.hub.hub, [(bench.hub.hub, inner)], reverting), application=51)
    bench.install(hostile.puppet(bench.hub.hub, [(bench.hub.hub, inner)]), application=50)
    item = packet(application=51, function=1, body=b"x", gas=500_000, receipt=True)
    outcome = bench.accepted(bench.relay.envelope_of(item))
    assert [name for name, _ in bench.hub.events(outcome)] == ["HandlerFailed", "ReceiptsMade"]
    assert bench.hub.outbox(0)[0] == 1
    control = packet(application=50, function=1, body=b"x", gas=500_000, receipt=True, sequence=2)
    outcome = bench.accepted(bench.relay.envelope_of(control))
    assert [name for name, _ in bench.hub.events(outcome)] == ["PacketSent", "ReceiptsMade"]
    assert bench.hub.outbox(0)[0] == 3


# ---------------------------------------------------------------------------------------------------------------- 16


@pytest.mark.parametrize("sender", ["mallory", "alice", "deployer"])
def test_row_16_nothing_is_minted_or_undone_without_the_hub(bench: HubBench, sender: str) -> None:
    """Adshares: the minter accepted what nobody had verified. Every entry that the hub uses refuses everybody else."""
    genuine = transfer(10**20, recipient=sender)
    identifier, body = genuine.packet_id, genuine.encode()
    for name, address in (
        ("BridgeToken", bench.hub.token),
        ("RecordNotary", bench.hub.notary),
        ("ERC7786Door", bench.hub.door),
    ):
        data = load(name).function_data
        calls = [
            data("onPacket", identifier, body),
            data("onReceipt", identifier, body[:168], 1, b""),
            data("onAbort", identifier, body),
            data("onGovernor", b"\x01" + (2**128 - 1).to_bytes(16, "big") + (1).to_bytes(4, "big")),
        ]
        with bench.unchanged():
            for call in calls:
                (outcome,) = bench.hub.chain.run(Call(address, call, sender))
                assert not outcome.succeeded
    with bench.unchanged():
        for call in (
            bench.hub.data("callReturning", "0x" + bench.hub.token.hex(), 10**6, identifier, body),
            bench.hub.data("execute", 0, 14, (2).to_bytes(4, "big") + b"\x02"),
            bench.hub.data("retryCallback", body[:168] + b"\x01\x00\x00"),
            bench.hub.data("settle", DOMAIN, 11, 1, body),
        ):
            (outcome,) = bench.hub.chain.run(Call(bench.hub.hub, call, sender))
            assert not outcome.succeeded
    assert codes(bench, bench.relay.envelope_of(genuine)) == [ReceiptCode.EXECUTED]


def test_row_16_the_proof_of_another_packet_mints_nothing(bench: HubBench) -> None:
    """An endorsement of one packet with the bytes of another."""
    honest = Envelope.decode(bench.relay.envelope_of(transfer(1)))
    other = PacketEntry(honest.range.entries[0].height, transfer(10**20, recipient="mallory"))
    forged = replace(honest, range=replace(honest.range, entries=(other,)))
    bench.refused(forged.encode(), error="NotEndorsed")
    bench.accepted(honest.encode())


# ---------------------------------------------------------------------------------------------------------------- 21


@pytest.mark.parametrize(
    ("threshold", "members"), [(1, 1), (1, 2), (1, 4), (2, 3), (2, 4), (4, 6), (5, 8), (21, 32), (0, 4), (5, 4)]
)
@pytest.mark.parametrize("method", [EndorsementMethod.SIGNATURES, EndorsementMethod.THRESHOLD])
def test_row_21_a_weak_quorum_is_refused_outside_dev(
    bench: HubBench, threshold: int, members: int, method: EndorsementMethod
) -> None:
    """KelpDAO (292 M$): 1-of-1. k > 2n/3 and n >= 2, in the contract, whoever signs the governor message."""
    weak = ForgedRelay(14, threshold=threshold, members=members, method=method)
    keys = b"".join(weak.signers.keys)
    encoded = (1).to_bytes(4, "big") + bytes([method, threshold, members]) + keys
    for body, kind in (
        ((14).to_bytes(4, "big") + bytes(32) + encoded, RegisterRelay.KIND),
        ((11).to_bytes(4, "big") + bytes(4) + (2).to_bytes(4, "big") + encoded[4:], EndorserSet.KIND),
    ):
        honest = bench.hub.message(RelayState(11, RelayLifeCycle.ACTIVE))
        message = replace(honest, kind=kind, body=body).signed(bench.hub.governor.sign)
        outcome = bench.hub.carry_governor(message.encode())
        assert bench.hub.handled(outcome)[0] is False
    assert bench.hub.read("relayOf", 14)[1] == 0
    assert bench.hub.read("relayOf", 11)[2] == 1


@pytest.mark.parametrize(("threshold", "members"), [(2, 2), (3, 3), (3, 4), (5, 7), (22, 32)])
def test_row_21_a_sound_quorum_is_taken(bench: HubBench, threshold: int, members: int) -> None:
    """The control of the row above."""
    relay = ForgedRelay(14, threshold=threshold, members=members)
    bench.hub.govern(RegisterRelay(14, bytes(32), relay.signers))
    bench.accepted(relay.envelope_of(notarisation()))


def test_row_21_a_weak_quorum_is_refused_by_the_relay_chain_and_by_its_genesis() -> None:
    """Neither a genesis nor a governor message sets up a set that one member of three can stop or two outvote."""
    world = World.build()
    chain = world.relays[11]
    validators = chain.validator_set().validators
    for threshold, size in ((1, 1), (1, 2), (2, 3), (2, 4)):
        weak = ValidatorSet(2, threshold, validators[:size])
        with pytest.raises(ProtocolError):
            replace(chain.genesis, validator_set=replace(weak, epoch=1)).document(0)
        before = chain.signers
        chain.submit(chain.sign(CarriedGovernorMessage(chain.message(weak))))
        assert chain.signers == before
    sound = replace(chain.genesis, validator_set=ValidatorSet(1, 2, validators[:2]))
    assert sound.document(0)


def test_row_21_dev_is_written_into_the_hub_for_everybody_to_read() -> None:
    """Whoever relies on a hub can see whether weak sets are allowed there, and nothing can change it."""
    dev = HubBench.build(dev=True)
    assert dev.hub.read("DEV") is True
    weak = ForgedRelay(14, threshold=1, members=1)
    dev.hub.govern(RegisterRelay(14, bytes(32), weak.signers))
    dev.accepted(weak.envelope_of(notarisation()))


def test_row_05_opening_values_are_all_different_and_none_is_zero() -> None:
    """The opening value of an outbox depends on chain, hub, domain and relay: no two are equal, none is zero."""
    values = {
        open_hub_outbox(registration, hub, domain, relay)
        for registration in (1, 2)
        for hub in (bytes(20), b"\x01" * 20)
        for domain in (1, 2)
        for relay in (0, 1)
    }
    assert len(values) == 16
    assert bytes(32) not in values
