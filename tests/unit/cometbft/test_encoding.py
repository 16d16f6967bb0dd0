import pytest

from piebridge.cometbft.encoding import (
    MAX_TIME_NS,
    ZERO_TIME_NS,
    Reader,
    bytes_field,
    decode_timestamp,
    encode_timestamp,
    encode_varint,
    message_field,
    sfixed64_field,
    varint_field,
)
from piebridge.crypto.errors import DecodingError


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "00"),
        (1, "01"),
        (127, "7f"),
        (128, "8001"),
        (300, "ac02"),
        (-1, "ffffffffffffffffff01"),
        (2**64 - 1, "ff" * 9 + "01"),
    ],
)
def test_varint_known_answers(value: int, encoded: str) -> None:
    assert encode_varint(value).hex() == encoded


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1])
def test_varint_refuses_more_than_64_bits(value: int) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        encode_varint(value)


def test_defaults_are_left_out_but_messages_are_not() -> None:
    assert varint_field(1, 0) == bytes_field(2, b"") == sfixed64_field(3, 0) == b""
    assert message_field(2, b"") == b"\x12\x00"
    assert sfixed64_field(2, 1).hex() == "110100000000000000"


@pytest.mark.parametrize("time_ns", [0, 1, -1, ZERO_TIME_NS, MAX_TIME_NS, 1_700_000_000 * 10**9 + 5])
def test_timestamps_round_trip(time_ns: int) -> None:
    assert decode_timestamp(encode_timestamp(time_ns)) == time_ns


def test_zero_time_has_go_bytes() -> None:
    assert encode_timestamp(ZERO_TIME_NS).hex() == "088092b8c398feffffff01"


@pytest.mark.parametrize(
    "body",
    [
        varint_field(2, 10**9),  # nanoseconds of a whole second
        varint_field(2, -1),
        varint_field(1, 253_402_300_800),  # year 10000
        varint_field(1, -62_135_596_801),  # before year 1
        varint_field(2, 5) + varint_field(1, 5),  # order
        b"\x08\x00",  # default written out
        b"\x08\x81\x00",  # longer than need be
        varint_field(1, 1) + varint_field(1, 1),
        varint_field(1, 1) + varint_field(3, 1),
    ],
)
def test_timestamp_has_one_encoding(body: bytes) -> None:
    with pytest.raises(DecodingError):
        decode_timestamp(body)


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a\x00",
        b"\x0a\x02a",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x0a",
        b"\x0a\x81\x00a",
        b"\x0a\x01ab",
        b"\x12\x01a",
    ],
)
def test_reader_refuses_other_encodings_of_a_bytes_field(data: bytes) -> None:
    def read() -> None:
        reader = Reader(data, "test")
        reader.octets(1, range(10))
        reader.end()

    with pytest.raises(DecodingError):
        read()


def test_reader_bounds_count_length_range_and_text() -> None:
    with pytest.raises(DecodingError, match="more than 2"):
        Reader(message_field(1, b"") * 3, "test").messages(1, bytes, 2)
    with pytest.raises(DecodingError, match="outside"):
        Reader(varint_field(1, 5), "test").ranged(1, 0, 4)
    with pytest.raises(DecodingError, match="UTF-8"):
        Reader(bytes_field(1, b"\xff"), "test").string(1, 5)
    with pytest.raises(DecodingError, match="6 bytes"):
        Reader(bytes_field(1, b"abcdef"), "test").string(1, 5)
    with pytest.raises(DecodingError, match="missing"):
        Reader(b"", "test").message(1, bytes)
