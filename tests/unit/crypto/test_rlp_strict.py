import pytest

from piebridge.crypto.errors import DecodingError
from piebridge.crypto.rlp_strict import read_bytes, read_integer, read_item, read_list


@pytest.mark.parametrize(
    ("data", "payload"),
    [
        (b"\x80", b""),
        (b"\x00", b"\x00"),
        (b"\x7f", b"\x7f"),
        (b"\x81\x80", b"\x80"),
        (b"\x83dog", b"dog"),
        (b"\xb7" + b"a" * 55, b"a" * 55),
        (b"\xb8\x38" + b"a" * 56, b"a" * 56),
        (b"\xb9\x01\x00" + b"a" * 256, b"a" * 256),
    ],
)
def test_byte_strings(data: bytes, payload: bytes) -> None:
    item = read_item(data, 0, len(data))
    assert not item.is_list
    assert item.end == len(data)
    assert read_bytes(data, item) == payload


def test_lists_are_not_entered() -> None:
    data = b"\xc8\x83cat\xc3\x01\x02\x03"
    items = read_list(data)
    assert [item.is_list for item in items] == [False, True]
    assert [data[item.start : item.end] for item in items] == [b"\x83cat", b"\xc3\x01\x02\x03"]
    assert read_list(b"\xc0") == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x81",
        b"\x81\x00",
        b"\x81\x7f",
        b"\x83do",
        b"\xb8",
        b"\xb8\x37" + b"a" * 55,
        b"\xb8\x00",
        b"\xb9\x00\x38" + b"a" * 56,
        b"\xb9\x38",
        b"\xbf" + b"\xff" * 8,
        b"\xc1",
        b"\xf8\x37" + b"a" * 55,
        b"\xf9\x00\x38" + b"a" * 56,
        b"\xff" + b"\xff" * 8,
    ],
)
def test_row_15_other_encodings_are_refused(data: bytes) -> None:
    with pytest.raises(DecodingError):
        read_item(data, 0, len(data))


def test_item_may_not_leave_its_room() -> None:
    with pytest.raises(DecodingError, match="room"):
        read_item(b"\x83dog", 0, 3)
    with pytest.raises(DecodingError):
        read_list(b"\xc2\x83dog")


def test_list_is_all_there_is() -> None:
    with pytest.raises(DecodingError, match="follow"):
        read_list(b"\xc1\x01\x00")
    with pytest.raises(DecodingError, match="byte string"):
        read_list(b"\x83dog")


@pytest.mark.parametrize(("data", "value"), [(b"\x80", 0), (b"\x01", 1), (b"\x82\x01\x00", 256)])
def test_integers(data: bytes, value: int) -> None:
    assert read_integer(data, read_item(data, 0, len(data)), length_max=2) == value


@pytest.mark.parametrize("data", [b"\x00", b"\x82\x00\x01", b"\x83\x01\x00\x00", b"\xc0"])
def test_integers_have_one_encoding(data: bytes) -> None:
    with pytest.raises(DecodingError):
        read_integer(data, read_item(data, 0, len(data)), length_max=2)
