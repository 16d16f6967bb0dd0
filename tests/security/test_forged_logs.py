"""Rows 10 and 11 at the gateway's eyes: which logs count as messages of a hub."""

from piebridge.chains.evm.hub import decode_log
from piebridge.contracts.loader import load
from piebridge.evm_chain.block import Log
from piebridge.protocol_stack.application.token import TokenTransfer
from piebridge.protocol_stack.stack import STACK
from testkit.world import hostile
from testkit.world.bench import HubBench, token_transfer_data
from testkit.world.evm import Call
from testkit.world.hub import DOMAIN
from testkit.world.keys import address_of


def as_json(log: Log, number: int) -> dict[str, object]:
    """A log as a node's JSON-RPC gives it."""
    return {
        "address": "0x" + log.address.hex(),
        "topics": ["0x" + topic.hex() for topic in log.topics],
        "data": "0x" + log.data.hex(),
        "blockNumber": hex(number),
        "logIndex": "0x0",
    }


def test_row_10_one_genuine_log_among_fifty_forged_ones_is_one_packet(bench: HubBench) -> None:
    """pNetwork (13 M$): fake logs beside a genuine one, from other addresses with the same topics and data."""
    outcome = bench.send_token(500)
    (genuine,) = [log for log in outcome.logs if log.address == bench.hub.hub]
    forged = [Log(bytes([i + 1]) * 20, genuine.topics, genuine.data) for i in range(48)]
    forged += [Log(bench.hub.token, genuine.topics, genuine.data), Log(bench.hub.door, genuine.topics, genuine.data)]
    logs = [as_json(log, bench.hub.chain.number) for log in (*forged[:25], genuine, *forged[25:])]
    found = [entry for log in logs if (entry := decode_log(log, bench.hub.hub, "test")) is not None]
    assert len(logs) == 51
    assert [STACK.receive(entry.content).packet_id for entry in found] == [bench.sent(outcome).packet_id]


def test_row_11_what_a_wrapper_says_of_a_hub_is_nothing(bench: HubBench) -> None:
    """THORChain (8 M$): the outer call's data and a fake router's event were believed.

    A contract emits PacketSent with a forged transfer and then makes a real one through the hub in one transaction.
    """
    body = TokenTransfer(10**24, address_of("alice"), address_of("mallory")).encode()
    template = bench.sent(bench.send_token(1))
    lie = template.header.encode() + body
    topic, entry = load("Hub").event_topic("PacketSent"), ((DOMAIN << 96) | (11 << 64) | 2).to_bytes(32, "big")
    call = token_transfer_data(DOMAIN, 2, 11, "bob", 7, bench.now + 600, bench.now + 900)
    wrapper = bench.hub.chain.create(hostile.creation(hostile.announcing(topic, entry, lie, bench.hub.token, call)))
    transfer = load("BridgeToken").function_data("transfer", "0x" + wrapper.hex(), 7)
    bench.hub.chain.run(Call(bench.hub.token, transfer, "alice"))
    (outcome,) = bench.hub.chain.run(Call(wrapper, b"", "mallory"))
    assert outcome.succeeded
    assert [log.address for log in outcome.logs].count(wrapper) == 1
    number = bench.hub.chain.number
    found = [e for log in outcome.logs if (e := decode_log(as_json(log, number), bench.hub.hub, "test")) is not None]
    (seen,) = found
    assert TokenTransfer.decode(STACK.receive(seen.content).body).amount == 7
