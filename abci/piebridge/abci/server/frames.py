"""Frames of the ABCI socket protocol: an unsigned varint length, then so many bytes of protobuf. No IO.

Source: ``abci/types/messages.go`` of CometBFT v0.40.0.
"""

from collections.abc import Iterator
from typing import Final

from piebridge.abci.server.errors import FrameError

MAX_FRAME_BYTES: Final = 134_217_728
"""Longest frame of any kind: CometBFT's largest block (100 MiB) and room for votes and evidence."""
MAX_SMALL_FRAME_BYTES: Final = 8_388_608
"""Longest frame of a kind that carries no block: CheckTx, Query, Echo and the like."""

_LARGE_KINDS: Final = frozenset({5, 15, 16, 17, 18, 20})
"""Fields of ``Request`` that may be large: InitChain, ApplySnapshotChunk, the proposals, ExtendVote, FinalizeBlock."""
_MAX_LENGTH_BYTES: Final = 4
"""Bytes of the varint of ``MAX_FRAME_BYTES``."""
_LENGTH_DELIMITED: Final = 2


def encode_frame(body: bytes) -> bytes:
    """Put the length in front of a message."""
    length = len(body)
    prefix = bytearray()
    while length > 0x7F:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + body


class FrameBuffer:
    """Takes bytes as they come and gives frames. Holds at most one frame that is not complete.

    The length is checked against the kind of the request, which its first bytes tell, before the rest is waited for.
    """

    def __init__(
        self, max_frame_bytes: int = MAX_FRAME_BYTES, max_small_frame_bytes: int = MAX_SMALL_FRAME_BYTES
    ) -> None:
        """Begin empty, with the bounds of a frame in bytes."""
        self._buffer = bytearray()
        self._max, self._max_small = max_frame_bytes, max_small_frame_bytes

    def __len__(self) -> int:
        """Count the bytes that wait for the rest of their frame."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes; yield every frame that is complete.

        Raises:
            FrameError: a length that is not the one encoding of a number, an empty frame, one that is too long, or one
                that does not begin like a request.
        """
        self._buffer += data
        start = 0
        try:
            while (found := self._next(start)) is not None:
                begin, end = found
                yield bytes(memoryview(self._buffer)[begin:end])
                start = end
        finally:
            del self._buffer[:start]

    def _next(self, start: int) -> tuple[int, int] | None:
        """Find the frame that begins at ``start``; None where bytes are missing."""
        prefix = self._varint(start, _MAX_LENGTH_BYTES, "frame length")
        if prefix is None:
            return None
        length, begin = prefix
        if length == 0:
            raise FrameError("empty frame: it holds no request")
        if length > self._max:
            raise FrameError(f"frame of {length} bytes, {self._max} are allowed")
        tag = self._varint(begin, 2, "request kind")
        if tag is None:
            return None
        field, wire_type = tag[0] >> 3, tag[0] & 7
        if wire_type != _LENGTH_DELIMITED or field == 0:
            raise FrameError(f"frame begins with field {field} of wire type {wire_type}, which is no request")
        if length > self._max_small and field not in _LARGE_KINDS:
            raise FrameError(f"frame of {length} bytes for request kind {field}, {self._max_small} are allowed")
        end = begin + length
        return (begin, end) if end <= len(self._buffer) else None

    def _varint(self, start: int, max_bytes: int, what: str) -> tuple[int, int] | None:
        """Read an unsigned varint; None where bytes are missing."""
        value = 0
        for count in range(max_bytes):
            position = start + count
            if position >= len(self._buffer):
                return None
            byte = self._buffer[position]
            value |= (byte & 0x7F) << (7 * count)
            if byte < 0x80:
                if count and byte == 0:
                    raise FrameError(f"{what} is not encoded in the shortest way")
                return value, position + 1
        raise FrameError(f"{what} has more than {max_bytes} bytes")
