"""Rows 41 and 43 to 47: re-entrancy, gas, returned data, poison, unchecked calls, finality."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from piebridge.abci.embedded.equivocation import double_sign
from piebridge.cometbft.verification import minimal_commit
from piebridge.evm_chain.block import Outcome
from piebridge.protocol_stack.commitment import chain_slot
from piebridge.protocol_stack.governor_hub_bodies import ApplicationCall, NoOp, Protocols
from piebridge.protocol_stack.packet import Packet, packets_hash
from piebridge.protocol_stack.receipts import ReceiptBatch, ReceiptCode, ReceiptHome
from piebridge.protocol_stack.relay_messages import HubRange, LightBlock, UpdateClient
from piebridge.protocol_stack.stack import STACK
from piebridge.protocol_stack.transport.outbox import OutboxHead
from piebridge.protocol_stack.verdicts import OriginVerdict, ParticipantVerdict, Verdict
from testkit.world import hostile
from testkit.world.bench import HERE, THERE, HubBench
from testkit.world.evm import Call
from testkit.world.hub import DOMAIN
from testkit.world.packets import notarisation, packet, transfer
from testkit.world.world import World

CONTRACTS = Path(__file__).parents[2] / "contracts" / "src"
"""Solidity sources."""
INVALID = bytes.fromhex("fe")
"""A handler that uses up all gas that it gets, at once."""


def receipts_of(bench: HubBench, outcome: Outcome) -> list[ReceiptCode]:
    made = [arguments["receipts"] for name, arguments in bench.hub.events(outcome) if name == "ReceiptsMade"]
    return [receipt.code for item in made for receipt in ReceiptBatch.decode(item).receipts]


# ---------------------------------------------------------------------------------------------------------------- 41


def attacks_of(bench: HubBench) -> list[tuple[bytes, bytes]]:
    """Calls of every entry point of the hub with arguments that are valid from outside."""
    hub, relay = bench.hub, bench.relay
    aborted = bench.sent(bench.send_token(500))
    record = bench.sent(bench.notarise(b"\x01" * 32, b"\x02" * 32))
    failing = ReceiptHome(record.header, record.body_hash, ReceiptCode.FAILED)
    relay.add_verdicts(HERE, OriginVerdict(1, Verdict.ABORT, packets_hash([aborted.packet_id])))
    bench.accepted(relay.envelope())
    relay.add_packet(transfer(10**20, recipient="mallory", sequence=77))
    theft = relay.envelope(first=2)
    one, two = (relay.signed_value(HERE, OutboxHead(99, bytes([i]) * 32)).encode() for i in (1, 2))
    puppet_address = "0x" + hub.token.hex()
    return [
        (hub.hub, hub.data("receiveRange", theft)),
        (hub.hub, hub.data("settle", DOMAIN, 11, 1, aborted.encode())),
        (hub.hub, hub.data("governor", hub.message(NoOp()).encode())),
        (hub.hub, hub.data("reportEquivocation", one, two)),
        (hub.hub, hub.data("retryCallback", failing.encode())),
        (hub.hub, hub.data("callReturning", puppet_address, 100_000, bytes(32), transfer(1).encode())),
        (hub.hub, hub.data("execute", DOMAIN, 11, (11).to_bytes(4, "big"))),
    ]


def results(bench: HubBench, contract: bytes, count: int) -> list[int]:
    """1 for an attack that was refused, 2 for one that worked, 0 for one that was not made."""
    return [bench.hub.chain.state.storage(contract, number) for number in range(count)]


def puppet_packet(*, returns: bool = False) -> Packet:
    return packet(application=50, function=1, body=b"attack", gas=1_900_000, returns=returns, receipt=True)


@pytest.mark.parametrize("returns", [False, True], ids=["without RETURN", "with RETURN"])
def test_row_41_a_handler_cannot_re_enter_the_hub(bench: HubBench, *, returns: bool) -> None:
    """ASA-2024-007 (exploited on Terra, 4 to 6 M$): every entry point from within onPacket, with and without RETURN."""
    attacks = attacks_of(bench)
    contract = bench.install(hostile.puppet(bench.hub.hub, attacks))
    item = puppet_packet(returns=returns)
    outcome = bench.accepted(bench.relay.envelope_of(item))
    assert receipts_of(bench, outcome) == [ReceiptCode.EXECUTED]
    assert results(bench, contract, len(attacks)) == [1] * len(attacks)
    assert bench.hub.balance("mallory") == 0
    assert bench.hub.read("relayOf", 11)[1] == 2
    controls_work_from_outside(bench, attacks)


def controls_work_from_outside(bench: HubBench, attacks: list[tuple[bytes, bytes]]) -> None:
    """The same bytes are valid from outside, the guarded internals and the receipt that never failed excepted."""
    for number in (0, 1, 2, 3):
        (outcome,) = bench.hub.chain.run(Call(*attacks[number], "mallory"))
        assert outcome.succeeded, (number, bench.hub.error(outcome))


def test_row_41_a_callback_cannot_re_enter_the_hub(bench: HubBench) -> None:
    """From within onReceipt; the receipt is marked before the call, so it counts once."""
    attacks = attacks_of(bench)
    contract = bench.install(hostile.puppet(bench.hub.hub, attacks))
    sent = bench.sent(bench.send_raw(contract, transport_flags=2, callback=9))
    first = bench.relay.add_receipt(ReceiptHome(sent.header, sent.body_hash, ReceiptCode.EXECUTED))
    bench.accepted(bench.relay.envelope(first=first))
    assert results(bench, contract, len(attacks)) == [1] * len(attacks)
    assert bench.hub.balance("mallory") == 0
    bench.skipped(bench.relay.envelope(first=first))
    controls_work_from_outside(bench, attacks)


def test_row_41_a_refund_cannot_re_enter_the_hub(bench: HubBench) -> None:
    """From within onAbort: the settlement is marked before the call, so a refund cannot be had twice."""
    relay = int(bench.hub.read("route", DOMAIN, THERE, 50))
    aborted_twice = attacks_of(bench)
    contract = bench.install(hostile.puppet(bench.hub.hub, aborted_twice))
    sent = bench.sent(
        bench.send_raw(contract, relay=relay, protocol=2, expiry=bench.now + 600, deadline=bench.now + 900)
    )
    nonce = sent.header.transaction.nonce
    first = bench.relay.add_verdicts(HERE, OriginVerdict(nonce, Verdict.ABORT, packets_hash([sent.packet_id])))
    bench.accepted(bench.relay.envelope(first=first))
    call = Call(bench.hub.hub, bench.hub.data("settle", DOMAIN, relay, nonce, sent.encode()), "mallory")
    (outcome,) = bench.hub.chain.run(call)
    assert outcome.succeeded, bench.hub.error(outcome)
    assert results(bench, contract, len(aborted_twice)) == [1] * len(aborted_twice)
    with bench.unchanged():
        (outcome,) = bench.hub.chain.run(call)
        assert not outcome.succeeded
    controls_work_from_outside(bench, aborted_twice)


def test_row_41_a_setting_cannot_re_enter_the_hub(bench: HubBench) -> None:
    """From within onGovernor: a governor message must not be used as a door for a second one."""
    attacks = attacks_of(bench)
    contract = bench.install(hostile.puppet(bench.hub.hub, attacks))
    bench.hub.govern(ApplicationCall(50, b"setting"))
    assert results(bench, contract, len(attacks)) == [1] * len(attacks)
    assert bench.hub.balance("mallory") == 0
    controls_work_from_outside(bench, attacks)


def test_row_41_sending_from_a_handler_is_a_packet_like_any_other(bench: HubBench) -> None:
    """The one call that is allowed from within: its entry and the receipt of the batch both stand in the outbox."""
    words = [(DOMAIN << 192 | THERE << 128), 0, 100_000, 1 << 192, 0]
    send = bench.hub.data(
        "send",
        *(word.to_bytes(8 if i == 1 else 32, "big") for i, word in enumerate(words)),
        b"from a handler",
    )
    contract = bench.install(hostile.puppet(bench.hub.hub, [(bench.hub.hub, send)] * 3))
    outcome = bench.accepted(bench.relay.envelope_of(puppet_packet()))
    assert results(bench, contract, 3) == [2, 2, 2]
    assert [name for name, _ in bench.hub.events(outcome)] == ["PacketSent"] * 3 + ["ReceiptsMade"]
    assert bench.hub.outbox(0)[0] == 4
    sent = [arguments["packet"] for name, arguments in bench.hub.events(outcome) if name == "PacketSent"]
    assert [STACK.receive(item).sequence for item in sent] == [1, 2, 3]


# ---------------------------------------------------------------------------------------------------------------- 43


def gas_needing(words: int) -> bytes:
    """A handler that writes ``words`` new storage slots and fails without gas for all of them."""
    body = "".join(f"600161{number:04x}55" for number in range(1, words + 1))
    return bytes.fromhex(body + hostile.RETURN_NOTHING)


@pytest.mark.parametrize("returns", [False, True], ids=["without RETURN", "with RETURN"])
def test_row_43_no_choice_of_gas_makes_a_carrier_decide_the_outcome(bench: HubBench, *, returns: bool) -> None:
    """LayerZero, Optimism: EIP-150 lets a carrier starve the call. For any gas the batch reverts or is EXECUTED."""
    bench.install(gas_needing(40))
    needed = 40 * 22_200 + 2_000
    item = packet(application=50, function=1, body=b"x" * 100, gas=needed, returns=returns, receipt=True)
    envelope = bench.relay.envelope_of(item)
    taken = refused = 0
    for gas in [*range(60_000, 1_300_000, 80_000), *range(900_000, 1_060_000, 4_000)]:
        fork = bench.fork()
        (outcome,) = fork.hub.receive(envelope, gas=gas)
        if outcome.succeeded:
            taken += 1
            assert receipts_of(fork, outcome) == [ReceiptCode.EXECUTED], gas
        else:
            refused += 1
            assert fork.hub.digest() == bench.hub.digest(), gas
    assert taken > 5
    assert refused > 20


def test_row_43_no_choice_of_gas_makes_a_callback_fail(bench: HubBench) -> None:
    """The callback at the source gets the gas that the hub promises, or the whole call reverts."""
    sent = bench.sent(bench.notarise(b"\x01" * 32, b"\x02" * 32))
    bench.relay.add_receipt(ReceiptHome(sent.header, sent.body_hash, ReceiptCode.EXECUTED, bytes(45)))
    envelope = bench.relay.envelope()
    taken = refused = 0
    for gas in range(60_000, 500_000, 11_000):
        fork = bench.fork()
        (outcome,) = fork.hub.receive(envelope, gas=gas)
        if outcome.succeeded:
            taken += 1
            assert not [name for name, _ in fork.hub.events(outcome) if name == "CallbackFailed"], gas
        else:
            refused += 1
            assert fork.hub.digest() == bench.hub.digest()
    assert taken > 10
    assert refused > 10


def test_row_43_no_choice_of_gas_uses_up_a_governor_message(bench: HubBench) -> None:
    """A message that failed only for want of gas must not lose its number."""
    bench.install(gas_needing(20))
    message = bench.hub.message(ApplicationCall(50, b"setting")).encode()
    taken = refused = 0
    for gas in range(60_000, 1_700_000, 70_000):
        fork = bench.fork()
        (outcome,) = fork.hub.chain.run(Call(fork.hub.hub, fork.hub.data("governor", message), "mallory", gas))
        if outcome.succeeded:
            taken += 1
            assert fork.hub.handled(outcome)[0] is True, gas
        else:
            refused += 1
            assert fork.hub.digest() == bench.hub.digest()
    assert taken > 5
    assert refused > 5


def test_row_43_the_second_packet_of_a_batch_is_not_starved_by_the_first(bench: HubBench) -> None:
    """A hostile handler burns all that it was promised, and no more: the one behind it still gets its own."""
    bench.install(INVALID, application=50)
    bench.install(gas_needing(10), application=51)
    burner = packet(application=50, function=1, body=b"x", gas=1_000_000, receipt=True, sequence=1)
    honest = packet(application=51, function=1, body=b"x", gas=230_000, receipt=True, sequence=2)
    envelope = bench.relay.envelope_of(burner, honest)
    seen = set()
    for gas in range(900_000, 1_700_000, 20_000):
        fork = bench.fork()
        (outcome,) = fork.hub.receive(envelope, gas=gas)
        if outcome.succeeded:
            seen.add(tuple(receipts_of(fork, outcome)))
    assert seen == {(ReceiptCode.FAILED, ReceiptCode.EXECUTED)}


# ---------------------------------------------------------------------------------------------------------------- 44


@pytest.mark.parametrize("returns", [False, True], ids=["without RETURN", "with RETURN"])
@pytest.mark.parametrize("runtime", [hostile.reverting, hostile.returning], ids=["reverts", "returns"])
def test_row_44_returned_data_costs_the_carrier_nothing(
    bench: HubBench, runtime: Callable[[int], bytes], *, returns: bool
) -> None:
    """Return-data bomb: 200 kB come back, at most 256 bytes are read, whatever the callee does."""
    used = {}
    for size in (0, 200_000):
        fork = bench.fork()
        fork.install(runtime(size))
        item = packet(application=50, function=1, body=b"x", gas=400_000, returns=returns, receipt=True)
        (outcome,) = fork.hub.receive(fork.relay.envelope_of(item))
        assert outcome.succeeded, fork.hub.error(outcome)
        (code,) = receipts_of(fork, outcome)
        fails = runtime is hostile.reverting or (returns and size)
        assert code is (ReceiptCode.FAILED if fails else ReceiptCode.EXECUTED)
        reasons = [arguments["reason"] for name, arguments in fork.hub.events(outcome) if name == "HandlerFailed"]
        assert all(len(reason) <= 256 for reason in reasons)
        used[size] = outcome.gas_used
    # The callee's own memory for 200 kB is 98 k gas; copying it out would be 116 k more.
    assert used[200_000] - used[0] < 125_000


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ((0x20).to_bytes(32, "big") + bytes(32), ReceiptCode.EXECUTED),
        ((0x20).to_bytes(32, "big") + (256).to_bytes(32, "big") + bytes(256), ReceiptCode.EXECUTED),
        ((0x20).to_bytes(32, "big") + (257).to_bytes(32, "big") + bytes(288), ReceiptCode.FAILED),
        ((0x40).to_bytes(32, "big") + bytes(64), ReceiptCode.FAILED),
        ((0x20).to_bytes(32, "big") + (2**256 - 1).to_bytes(32, "big"), ReceiptCode.FAILED),
        ((0x20).to_bytes(32, "big") + (32).to_bytes(32, "big"), ReceiptCode.FAILED),
        ((0x20).to_bytes(32, "big") + bytes(64), ReceiptCode.FAILED),
        (b"", ReceiptCode.FAILED),
        (bytes(63), ReceiptCode.FAILED),
        (bytes(64), ReceiptCode.FAILED),
    ],
)
def test_row_44_only_one_encoding_of_returned_data_is_taken(bench: HubBench, data: bytes, code: ReceiptCode) -> None:
    """A handler with RETURN answers one ABI encoding of at most 256 bytes, or it has failed and is undone."""
    bench.install(hostile.returning_raw(data))
    item = packet(application=50, function=1, body=b"x", gas=100_000, returns=True)
    outcome = bench.accepted(bench.relay.envelope_of(item))
    assert receipts_of(bench, outcome) == [code]


# ---------------------------------------------------------------------------------------------------------------- 45


def test_row_45_a_poison_packet_stops_nothing(bench: HubBench) -> None:
    """LayerZero's blocking channel: one hostile handler among 100 packets; all others are executed."""
    bench.install(INVALID)
    poison = packet(application=50, function=1, body=b"x", gas=2_000_000, sequence=1_000, receipt=True)
    items = [transfer(1, sequence=number) for number in range(1, 101)]
    envelope = bench.relay.envelope_of(*items[:50], poison, *items[50:])
    (outcome,) = bench.hub.receive(envelope, gas=30_000_000)
    codes = receipts_of(bench, outcome)
    assert codes.count(ReceiptCode.EXECUTED) == 100
    assert codes[50] is ReceiptCode.FAILED
    assert bench.hub.balance("bob") == 100


@pytest.mark.parametrize("end", ["failed", "expired", "gas refused", "no application", "aborted"])
def test_row_45_an_ordered_lane_goes_on_after_every_end(bench: HubBench, end: str) -> None:
    """Whatever becomes of a packet, its sequence reaches an end and the lane goes on without an administrator."""
    bench.install(hostile.reverting())
    bad = transfer(1, sequence=2, channel=4, ordered=True)
    if end == "expired":
        bad = transfer(1, sequence=2, channel=4, ordered=True, expiry=bench.now - 1)
    elif end == "gas refused":
        bad = transfer(1, sequence=2, channel=4, ordered=True, gas=3_000_000)
    elif end != "aborted":
        application = 50 if end == "failed" else 99
        bad = replace(
            bad, header=replace(bad.header, application=replace(bad.header.application, application=application))
        )
    first, third = (transfer(10, sequence=number, channel=4, ordered=True) for number in (1, 3))
    if end == "aborted":
        bench.relay.add_verdicts(HERE, ParticipantVerdict(THERE, 4, 2, Verdict.ABORT))
        bench.accepted(bench.relay.envelope())
    outcome = bench.accepted(bench.relay.envelope_of(first, bad, third))
    expected = {
        "failed": ReceiptCode.FAILED,
        "expired": ReceiptCode.EXPIRED,
        "gas refused": ReceiptCode.FAILED_GAS,
        "no application": ReceiptCode.FAILED_APPLICATION,
    }
    middle = [expected[end]] if end in expected else []
    assert receipts_of(bench, outcome) == [ReceiptCode.EXECUTED, *middle, ReceiptCode.EXECUTED]
    assert bench.hub.balance("bob") == 20
    bench.skipped(bench.relay.envelope_of(bad))


def test_row_45_a_gap_in_an_ordered_lane_holds_up_that_lane_alone(bench: HubBench) -> None:
    """The packet behind the gap waits; another channel, the unordered lane and the other direction do not."""
    waiting = transfer(1, sequence=2, channel=4, ordered=True)
    others = [transfer(1, sequence=1, channel=5, ordered=True), transfer(1, sequence=9), notarisation()]
    outcome = bench.accepted(bench.relay.envelope_of(waiting, *others))
    assert receipts_of(bench, outcome) == [ReceiptCode.EXECUTED] * 3
    assert bench.hub.status(waiting.lane, 2) == 0
    assert bench.send_token().succeeded


# ---------------------------------------------------------------------------------------------------------------- 46


def test_row_46_no_result_of_a_call_is_thrown_away() -> None:
    """``unchecked-lowlevel``: every call of the contracts assigns its result, in Solidity and in assembly."""
    sources = list(CONTRACTS.rglob("*.sol"))
    assert len(sources) > 15
    calls = 0
    for path in sources:
        text = re.sub(r"//[^\n]*|/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        for match in re.finditer(r"(?<![\w.])(call|staticcall|delegatecall|callcode)\(", text):
            calls += 1
            before = text[: match.start()].rstrip()
            assert before.endswith((":=", ",")), f"{path.name}: {text[match.start() - 60 : match.end() + 40]!r}"
        for match in re.finditer(r"\.(call|staticcall|delegatecall|send|transfer)\s*[({]", text):
            if match[1] in ("send", "transfer") and "HUB" in text[match.start() - 10 : match.start()]:
                continue
            calls += 1
            statement = text[: match.start()].rsplit(";", 1)[-1]
            assert "=" in statement, f"{path.name}: {statement!r}"
        assert "pop(call(" not in text.replace(" ", "")
    assert calls >= 6


def test_row_46_the_check_finds_a_planted_call() -> None:
    """The rule itself, on a source that breaks it."""
    planted = "function f() external { target.call(data); }"
    (match,) = re.finditer(r"\.(call|staticcall|delegatecall|send|transfer)\s*[({]", planted)
    assert "=" not in planted[: match.start()].rsplit(";", 1)[-1]


# ---------------------------------------------------------------------------------------------------------------- 47


def test_row_47_nothing_is_recorded_before_the_registered_depth() -> None:
    """Beacon chain's reorg of 7 blocks: an entry is opened only with the registered number of blocks on top of it."""
    world = World.build(depth=3)
    packet_ = world.send_token(1, 2, 500)
    chain, hub = world.relays[11], world.hubs[1]
    for _ in range(3):
        before = chain.content()
        code, _, news = world.carry_to_relay(1, 11, bound=True)
        assert (code, news) == (0, 0)
        assert not chain.is_recorded(packet_.lane, 1)
        assert chain.head(2).number == 0
        assert before.keys() <= chain.content().keys()
        hub.chain.run(Call(hub.board, b"", "mallory"))
    assert world.record(1, 11, bound=True) == 1
    world.deliver(11, 2)
    assert world.hubs[2].balance("bob") == 500


def test_row_47_a_packet_can_demand_more_depth_and_never_less() -> None:
    """The sender's own demand comes on top of the registration's."""
    world = World.build(depth=1)
    hub, chain = world.hubs[1], world.relays[11]
    puppet = hub.chain.create(hostile.creation(hostile.puppet(hub.hub, [])))
    hub.register_application(50, puppet, Protocols.NONE)
    words = (DOMAIN << 192 | 2 << 128).to_bytes(32, "big")
    for demand in (b"\x01\x00", b"\x01\x04"):
        data = hub.data(
            "send",
            words,
            demand + bytes(6),
            (100_000).to_bytes(32, "big"),
            (1 << 192).to_bytes(32, "big"),
            bytes(32),
            b"x",
        )
        world.sent(1, Call(puppet, data, "mallory"))
    assert world.record(1, 11) == 1
    for _ in range(2):
        hub.chain.run(Call(hub.board, b"", "mallory"))
        assert world.record(1, 11) == 0
    hub.chain.run(Call(hub.board, b"", "mallory"))
    hub.chain.run(Call(hub.board, b"", "mallory"))
    assert world.record(1, 11) == 1
    assert chain.head(2).number == 2


def test_row_47_a_header_that_the_chain_took_back_freezes_its_client() -> None:
    """Two headers of one height, both signed by everybody: nothing of that chain is believed any more."""
    world = World.build()
    world.send_token(1, 2, 500)
    chain, engine = world.relays[11], world.hubs[1].chain.engine
    client = chain.view.client(1)
    assert client is not None
    trusted = client.heights[-1]
    height = world.follow(1, 11)
    fork = double_sign(engine, height, app_hash=bytes(range(32)))
    lie = LightBlock(
        trusted,
        fork.header.encode(),
        minimal_commit(fork.validators, fork.signed_header.commit).encode(),
        fork.validators.encode(),
        b"" if height == trusted + 1 else engine.validators(trusted + 1).without_rotation().encode(),
    )
    chain.must(UpdateClient(1, (lie.encode(),)))
    frozen = chain.view.client(1)
    assert frozen is not None
    assert frozen.frozen
    message = world.hub_range(1, 11)
    proof = world.prove(1, height, [chain_slot(DOMAIN, 11)])
    code, _, news = chain.submit(chain.sign(HubRange(1, 11, proof, message)))
    assert (code != 0, news) == (True, 0)
    assert chain.head(2).number == 0
