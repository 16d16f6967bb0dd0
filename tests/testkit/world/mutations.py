"""Changes of valid bytes: every single bit, and every structural change that a sender could think of."""

from collections.abc import Iterator


def bit_flips(data: bytes, *, step: int = 1, start: int = 0) -> Iterator[bytes]:
    """Every ``step``-th single-bit change, from bit ``start`` on."""
    for bit in range(start, 8 * len(data), step):
        changed = bytearray(data)
        changed[bit >> 3] ^= 0x80 >> (bit & 7)
        yield bytes(changed)


def structural(data: bytes, *, step: int = 1) -> Iterator[bytes]:
    """Truncations, removed, doubled and inserted bytes at every ``step``-th place, bytes left over, exchanged words."""
    for place in range(0, len(data), step):
        yield data[:place]
        yield data[place + 1 :] if place == 0 else data[:place] + data[place + 1 :]
        doubled = data[:place] + data[place : place + 1] + data[place:]
        yield doubled
        yield data[:place] + b"\x00" + data[place:]
    yield data + b"\x00"
    yield data + b"\xff"
    yield data + data
    yield bytes(len(data))
    for place in range(0, len(data) - 64, 32 * step):
        first, second = data[place : place + 32], data[place + 32 : place + 64]
        if first != second:
            yield data[:place] + second + first + data[place + 64 :]


def changes(data: bytes, *, step: int = 1) -> list[bytes]:
    """Bit flips and structural changes together, without those that give the original."""
    found = dict.fromkeys((*bit_flips(data, step=step), *structural(data, step=max(1, step // 8))))
    found.pop(data, None)
    return list(found)
