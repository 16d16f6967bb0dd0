"""The layout of the header, against the table of formats.md written out here by hand."""

import pytest

from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.header import (
    ApplicationHeader,
    Header,
    TransactionHeader,
    TransportHeader,
    VerificationHeader,
)
from piebridge.protocol_stack.stack import STACK
from testkit.samples import Samples
from testkit.vectors import base_packet, packet_fields

LAYOUT = {
    "transport_protocol": (1, 1),
    "transport_flags": (2, 1),
    "domain": (4, 4),
    "source": (8, 4),
    "destination": (12, 4),
    "relay": (16, 4),
    "channel": (20, 4),
    "sequence": (24, 8),
    "method": (32, 1),
    "depth": (33, 1),
    "oldest_set_epoch": (34, 2),
    "transaction_protocol": (40, 1),
    "kind": (42, 1),
    "transaction_flags": (43, 1),
    "participant_index": (44, 1),
    "participant_count": (45, 1),
    "origin": (46, 4),
    "nonce": (50, 8),
    "deadline": (58, 5),
    "execution_expiry": (63, 5),
    "handler_gas": (68, 4),
    "application": (72, 4),
    "function": (76, 4),
    "callback_function": (80, 4),
    "compensation_function": (84, 4),
    "application_version": (88, 1),
    "codec": (89, 1),
    "application_flags": (90, 2),
    "body_length": (92, 4),
    "user_identity": (104, 32),
}
"""Offset and size of each field, bytes."""
FIXED = {0: 1, 3: 17, 41: 0, **dict.fromkeys(range(36, 40), 0), **dict.fromkeys(range(96, 104), 0)}
"""Bytes that have one value only."""


def test_every_field_stands_where_the_table_says() -> None:
    samples = Samples(1)
    for _ in range(100):
        packet = samples.packet()
        data = packet.encode()
        for name, value in packet_fields(packet).items():
            offset, size = LAYOUT[name]
            expected = int(value, 0) if isinstance(value, str) else value
            assert int.from_bytes(data[offset : offset + size], "big") == expected, name
        assert all(data[offset] == value for offset, value in FIXED.items())
        assert data[136:] == packet.body


def test_the_table_has_no_hole() -> None:
    covered = sorted([*FIXED, *(place for offset, size in LAYOUT.values() for place in range(offset, offset + size))])
    assert covered == list(range(136))


def test_every_flipped_bit_is_refused_or_makes_another_header() -> None:
    samples = Samples(2)
    for _ in range(15):
        header = samples.header(samples.unsigned(32))
        data = header.encode()
        for bit in range(8 * len(data)):
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            try:
                decoded = STACK.decode_header(bytes(changed))
            except FormatError:
                continue
            assert decoded != header
            assert bit // 8 not in FIXED
            assert decoded.encode() == changed


@pytest.mark.parametrize(
    "header",
    [
        TransportHeader(1, 0, 1 << 32, 1, 2, 0, 0, 1),
        TransportHeader(1, 0, 1, 1, 2, 0, 0, -1),
        TransportHeader(256, 0, 1, 1, 2, 0, 0, 1),
        VerificationHeader(1, 256),
        VerificationHeader(1, 0, 65_536),
        TransactionHeader(0, execution_expiry=1 << 40),
        TransactionHeader(0, deadline=-1),
        TransactionHeader(0, handler_gas=1 << 32),
        ApplicationHeader(1, 1, 1 << 32),
        ApplicationHeader(1, 1, 0, user_identity=bytes(31)),
    ],
)
def test_a_value_that_does_not_fit_is_never_shortened(
    header: TransportHeader | VerificationHeader | TransactionHeader | ApplicationHeader,
) -> None:
    with pytest.raises(FormatError) as caught:
        header.encode()
    assert caught.value.code is ErrorCode.OUT_OF_RANGE


def test_slices_of_the_layers_are_the_ones_of_the_table() -> None:
    header = base_packet(2).header
    data = header.encode()
    assert TransportHeader.decode(data[:32]) == header.transport
    assert VerificationHeader.decode(data[32:40]) == header.verification
    assert TransactionHeader.decode(data[40:72]) == header.transaction
    assert ApplicationHeader.decode(data[72:136]) == header.application
    assert Header(header.transport, header.verification, header.transaction, header.application) == header
