"""Strict, slicing reader of Recursive Length Prefix encoding (Yellow Paper, appendix B).

It reads positions in a buffer instead of building nested objects, because proofs of Merkle-Patricia tries are read on
the hot path. Only the shortest encoding of an item is accepted.
"""

from typing import NamedTuple

from piebridge.crypto.errors import DecodingError


class Item(NamedTuple):
    """Where one item lies in its buffer."""

    is_list: bool
    """True for a list, False for a byte string."""
    start: int
    """Offset of the first byte of the item, its prefix included."""
    payload: int
    """Offset of the first byte of the payload."""
    end: int
    """Offset after the last byte of the item."""


def read_item(data: bytes, start: int, limit: int) -> Item:
    """Read the prefix of the item at ``start``, which must end at or before ``limit``.

    Raises:
        DecodingError: no item there, not the shortest encoding, or longer than the room it has.
    """
    if start >= limit:
        raise DecodingError("RLP item is missing", actual=start)
    prefix = data[start]
    if prefix < 0x80:
        return Item(False, start, start, start + 1)
    is_list = prefix >= 0xC0
    size = prefix - (0xC0 if is_list else 0x80)
    payload = start + 1
    if size > 55:
        size_length = size - 55
        payload = start + 1 + size_length
        if payload > limit or data[start + 1] == 0:
            raise DecodingError("RLP length is cut off or has a leading zero")
        size = int.from_bytes(data[start + 1 : payload], "big")
        if size <= 55:
            raise DecodingError("RLP item of 55 bytes or less is encoded in the long form", actual=size)
    end = payload + size
    if end > limit:
        raise DecodingError("RLP item is longer than the room it has", expected=limit, actual=end)
    if size == 1 and not is_list and data[payload] < 0x80:
        raise DecodingError("RLP byte below 0x80 is encoded with a prefix", actual=data[payload])
    return Item(is_list, start, payload, end)


def read_list(data: bytes, start: int = 0, limit: int | None = None) -> list[Item]:
    """Read the items of the list that fills ``data`` from ``start`` to ``limit`` (the end of the buffer if None).

    Nested lists are not entered.

    Raises:
        DecodingError: not exactly one list in its shortest encoding.
    """
    if limit is None:
        limit = len(data)
    outer = read_item(data, start, limit)
    if not outer.is_list:
        raise DecodingError("RLP item is a byte string where a list belongs")
    if outer.end != limit:
        raise DecodingError("bytes follow the RLP list", expected=outer.end, actual=limit)
    items = []
    position = outer.payload
    while position < limit:
        item = read_item(data, position, limit)
        items.append(item)
        position = item.end
    return items


def read_bytes(data: bytes, item: Item) -> bytes:
    """Return the payload of a byte string.

    Raises:
        DecodingError: the item is a list.
    """
    if item.is_list:
        raise DecodingError("RLP item is a list where a byte string belongs")
    return data[item.payload : item.end]


def read_integer(data: bytes, item: Item, *, length_max: int) -> int:
    """Return a non-negative integer of at most ``length_max`` bytes, big endian without leading zeros; empty is 0.

    Raises:
        DecodingError: a list, too long, or with a leading zero.
    """
    payload = read_bytes(data, item)
    if len(payload) > length_max:
        raise DecodingError(f"RLP integer has more than {length_max} bytes", actual=len(payload))
    if payload.startswith(b"\x00"):
        raise DecodingError("RLP integer has a leading zero")
    return int.from_bytes(payload, "big")
