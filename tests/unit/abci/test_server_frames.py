"""Frames: one encoding each, bounded before they are there, whatever way their bytes come in."""

import pytest

from piebridge.abci.server.errors import FrameError
from piebridge.abci.server.frames import FrameBuffer, encode_frame
from testkit.abci_client import request

ECHO = request("echo", message="x" * 300)
FLUSH = request("flush")


def test_frames_that_come_byte_by_byte_are_the_same() -> None:
    buffer, found = FrameBuffer(), []
    for byte in encode_frame(ECHO) + encode_frame(FLUSH):
        found += list(buffer.feed(bytes([byte])))
    assert found == [ECHO, FLUSH]
    assert len(buffer) == 0


def test_frames_that_come_together_are_taken_apart() -> None:
    buffer = FrameBuffer()
    data = encode_frame(ECHO) * 3 + encode_frame(FLUSH)[:1]
    assert list(buffer.feed(data)) == [ECHO] * 3
    assert list(buffer.feed(encode_frame(FLUSH)[1:])) == [FLUSH]


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152])
def test_lengths_are_varints(length: int) -> None:
    body = b"\x0a" + bytes(max(length - 1, 0)) if length else b""
    frame = encode_frame(body)
    assert len(frame) == length + (1 if length < 128 else 2 if length < 16_384 else 3 if length < 2_097_152 else 4)
    if length:
        assert list(FrameBuffer().feed(frame)) == [body]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x00", "empty frame"),
        (b"\x81\x00\x0a", "shortest"),
        (b"\x83\x80\x00\x0a", "shortest"),
        (b"\xff\xff\xff\xff\x0f", "more than 4 bytes"),
        (b"\xff\xff\xff\x7f", "are allowed"),
        (b"\x02\x00\x00", "field 0"),
        (b"\x02\x08\x01", "wire type 0"),
        (b"\x05\xff\xff\xff\x01\x00", "more than 2 bytes"),
        (b"GET / HTTP/1.1\r\n\r\n", "wire type 5"),
    ],
)
def test_what_is_no_frame_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(FrameError, match=words):
        list(FrameBuffer().feed(data))


def test_a_length_is_refused_before_the_frame_is_there() -> None:
    buffer = FrameBuffer(max_frame_bytes=1_000, max_small_frame_bytes=100)
    assert list(buffer.feed(encode_frame(b"\x0a" + bytes(99)))) == [b"\x0a" + bytes(99)]
    with pytest.raises(FrameError, match="request kind 1, 100 are allowed"):
        list(buffer.feed(encode_frame(b"\x0a" + bytes(100))[:3]))


def test_only_requests_with_blocks_may_be_large() -> None:
    for kind, large in (("finalize_block", True), ("prepare_proposal", True), ("check_tx", False), ("commit", False)):
        tag = request(kind)[:-1]
        frame = encode_frame(tag + bytes(200))
        buffer = FrameBuffer(max_frame_bytes=1_000, max_small_frame_bytes=100)
        if large:
            assert list(buffer.feed(frame)) == [tag + bytes(200)]
        else:
            with pytest.raises(FrameError, match="are allowed"):
                list(buffer.feed(frame))


def test_frames_before_a_wrong_one_are_given() -> None:
    frames = FrameBuffer().feed(encode_frame(FLUSH) + b"\x00")
    assert next(frames) == FLUSH
    with pytest.raises(FrameError):
        next(frames)
