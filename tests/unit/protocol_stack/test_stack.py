"""Registries, aggregators and the builder: explicit tables, one place of wiring, one rule set in both directions."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from piebridge.crypto.errors import ConfigurationError
from piebridge.protocol_stack.application import APPLICATIONS, BODY_CODECS
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.header import Header, TransportHeader
from piebridge.protocol_stack.packet import Packet
from piebridge.protocol_stack.registry import Layer, ProtocolRegistry
from piebridge.protocol_stack.stack import STACK, StackBuilder
from piebridge.protocol_stack.transaction import TRANSACTION_PROTOCOLS
from piebridge.protocol_stack.transport import TRANSPORT_PROTOCOLS
from piebridge.protocol_stack.transport.basic import BasicTransport
from piebridge.protocol_stack.transport.reliable import ReliableTransport
from piebridge.protocol_stack.verification import VERIFICATION_METHODS
from testkit.samples import Samples
from testkit.vectors import base_packet

if TYPE_CHECKING:
    from piebridge.protocol_stack.aggregator import HeaderRules


class RenamedBasic(BasicTransport):
    """A protocol that takes the number of another one."""

    name = "renamed"  # type: ignore[misc]


def test_registries_hold_exactly_the_accepted_numbers() -> None:
    assert [protocol.identifier for protocol in TRANSPORT_PROTOCOLS] == [1, 2]
    assert [protocol.identifier for protocol in VERIFICATION_METHODS] == [1, 2, 3]
    assert [protocol.identifier for protocol in TRANSACTION_PROTOCOLS] == [0, 2, 4]
    assert [protocol.identifier for protocol in BODY_CODECS] == [0, 1, 2]
    assert [application.name for application in APPLICATIONS] == ["erc7786-door", "token", "record-notary"]
    assert TRANSPORT_PROTOCOLS.named("reliable").identifier == 2
    assert 2 in TRANSPORT_PROTOCOLS
    assert 3 not in TRANSPORT_PROTOCOLS
    assert len(TRANSPORT_PROTOCOLS) == 2


def test_a_registry_refuses_a_number_or_a_name_twice_and_to_be_empty() -> None:
    for protocols in ([BasicTransport(), RenamedBasic()], [BasicTransport(), BasicTransport()], []):
        with pytest.raises(ConfigurationError):
            ProtocolRegistry(Layer.TRANSPORT, protocols)


def test_a_registry_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        TRANSPORT_PROTOCOLS._by_identifier[9] = BasicTransport()  # type: ignore[index]


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="basic, reliable"):
        TRANSPORT_PROTOCOLS.named("tcp")


@pytest.mark.parametrize(
    "wire",
    [
        lambda builder: builder.verification(VERIFICATION_METHODS),
        lambda builder: builder.transport(TRANSPORT_PROTOCOLS).transport(TRANSPORT_PROTOCOLS),
        lambda builder: builder.transport(TRANSPORT_PROTOCOLS).transaction(TRANSACTION_PROTOCOLS),
        lambda builder: builder.transport(TRANSPORT_PROTOCOLS).build(),
        lambda builder: builder.transport(VERIFICATION_METHODS),
        lambda builder: builder.build(),
    ],
)
def test_the_builder_refuses_a_layer_out_of_turn(wire: Callable[[StackBuilder], object]) -> None:
    with pytest.raises(ConfigurationError):
        wire(StackBuilder())


def test_a_stack_is_built_once() -> None:
    builder = StackBuilder().transport(TRANSPORT_PROTOCOLS).verification(VERIFICATION_METHODS)
    builder.transaction(TRANSACTION_PROTOCOLS).application(BODY_CODECS).build()
    with pytest.raises(ConfigurationError):
        builder.build()
    with pytest.raises(ConfigurationError):
        builder.application(BODY_CODECS)


def test_a_stack_with_fewer_protocols_refuses_the_others_both_ways() -> None:
    only_reliable: ProtocolRegistry[HeaderRules[TransportHeader, None]] = ProtocolRegistry(
        Layer.TRANSPORT, [ReliableTransport()]
    )
    stack = (
        StackBuilder()
        .transport(only_reliable)
        .verification(VERIFICATION_METHODS)
        .transaction(TRANSACTION_PROTOCOLS)
        .application(BODY_CODECS)
        .build()
    )
    basic, reliable = base_packet(0), base_packet(0, ordered=True)
    assert stack.receive(stack.send(reliable.header, reliable.body)) == reliable
    for attempt in (lambda: stack.send(basic.header, basic.body), lambda: stack.receive(basic.encode())):
        with pytest.raises(FormatError) as caught:
            attempt()
        assert caught.value.code is ErrorCode.TRANSPORT_PROTOCOL


def test_each_layer_adds_its_header_on_the_way_down_and_takes_it_off_on_the_way_up() -> None:
    packet = base_packet(2)
    header, lowest = packet.header, packet.header.transport
    segment = STACK.application.encapsulate(header.application, packet.body, lowest)
    step = STACK.transaction.encapsulate(header.transaction, segment, lowest)
    demand = STACK.verification.encapsulate(header.verification, step, lowest)
    data = STACK.transport.encapsulate(lowest, demand, None)
    assert [len(item) - len(packet.body) for item in (segment, step, demand, data)] == [64, 96, 104, 136]
    assert data == packet.encode()
    assert STACK.transport.decapsulate(data, None) == (lowest, demand)
    assert STACK.verification.decapsulate(demand, lowest) == (header.verification, step)
    assert STACK.transaction.decapsulate(step, lowest) == (header.transaction, segment)
    assert STACK.application.decapsulate(segment, lowest) == (header.application, packet.body)
    assert [layer.layer for layer in (STACK.transport, STACK.application)] == [Layer.TRANSPORT, Layer.APPLICATION]


def test_what_is_refused_on_the_way_up_is_refused_on_the_way_down() -> None:
    samples, refused_both_ways = Samples(5), 0
    for _ in range(300):
        packet = samples.packet()
        other = samples.packet()
        mixed = Packet(
            samples.random.choice(
                [
                    replace(packet.header, transport=other.header.transport),
                    replace(packet.header, transaction=other.header.transaction),
                    replace(packet.header, application=other.header.application),
                ]
            ),
            packet.body,
        )
        up = _outcome(lambda mixed=mixed: STACK.receive(mixed.encode()))  # type: ignore[misc]
        down = _outcome(lambda mixed=mixed: STACK.send(mixed.header, mixed.body))  # type: ignore[misc]
        assert (up is None) == (down is None), (mixed, up, down)
        refused_both_ways += up is not None
    assert refused_both_ways > 50


def _outcome(attempt: Callable[[], object]) -> FormatError | None:
    try:
        attempt()
    except FormatError as error:
        return error
    return None


def test_every_rule_of_the_header_has_a_vector() -> None:
    path = Path(__file__).resolve().parents[2] / "vectors" / "packets.json"
    tested = {item["code"] for item in json.loads(path.read_text())["refused"]}
    rules = {code for code in ErrorCode if 100 < code < 500 and code is not ErrorCode.APPLICATION_BODY}
    assert rules <= tested, rules - tested


def test_a_header_alone_has_136_bytes() -> None:
    packet = base_packet(0)
    assert STACK.decode_header(packet.header.encode()) == packet.header
    with pytest.raises(FormatError):
        STACK.decode_header(packet.encode())


def test_lane_of_a_packet() -> None:
    packet = base_packet(2)
    assert packet.lane.encode().hex() == "000000010000000b000000160000000500000000"
    assert not packet.lane.free
    assert isinstance(packet.header, Header)
    assert packet.sequence == 7
