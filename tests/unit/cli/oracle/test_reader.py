"""The reader of the oracle before nodes that answer anything: a value of the right type, or a ChainError."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piebridge.cli.oracle import reader as reader_module
from piebridge.cli.oracle.reader import ChainReader, Log
from piebridge.crypto.errors import ChainError, PermanentChainError, TransientChainError

ADDRESS = "0x" + "11" * 20
LOG = {
    "address": ADDRESS,
    "topics": ["0x" + "22" * 32],
    "data": "0x33",
    "blockNumber": "0x2",
    "logIndex": "0x0",
}
QUESTIONS: dict[str, Callable[[ChainReader], object]] = {
    "newest_block": ChainReader.newest_block,
    "words": lambda reader: reader.words(ADDRESS, [bytes(32), b"\1" * 32], 3),
    "storage_root": lambda reader: reader.storage_root(ADDRESS, 3),
    "call": lambda reader: reader.call(ADDRESS, b"data", 3),
    "block_times": lambda reader: reader.block_times([1, 2]),
    "logs": lambda reader: reader.logs([ADDRESS], 5),
}

texts = st.sampled_from(
    ["0x", "0x0", "0x2", "0x02", "0xzz", "x", "", "0x" + "22" * 32, ADDRESS, "0x" + "f" * 64, "0x" + "f" * 65, "0x-1"]
)
leaves = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | texts
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*LOG, "timestamp", "storageHash", "id", "result", "error"]), inner)
        | st.builds(lambda name, value: LOG | {name: value}, st.sampled_from(list(LOG)), inner)
    ),
    max_leaves=10,
)


def answering(post: Callable[[Any], Any]) -> ChainReader:
    reader = ChainReader("chain-1", "http://somewhere")
    reader._post = lambda method, document: post(document)  # type: ignore[method-assign]
    return reader


def well_typed(name: str, answer: object) -> bool:
    if name in ("storage_root", "call"):
        return isinstance(answer, bytes)
    if name == "newest_block":
        return isinstance(answer, int) and 0 <= answer < 1 << 64
    if name == "logs":
        return isinstance(answer, list) and all(isinstance(log, Log) and log.block_number <= 5 for log in answer)
    return isinstance(answer, dict) and all(isinstance(item, int) and 0 <= item < 1 << 256 for item in answer.values())


@given(name=st.sampled_from(sorted(QUESTIONS)), result=values)
def test_any_result_is_a_value_or_a_chain_error(name: str, result: object) -> None:
    reader = answering(lambda document: [{"id": request["id"], "result": result} for request in document])
    try:
        answer = QUESTIONS[name](reader)
    except ChainError:
        return
    assert well_typed(name, answer)


@given(name=st.sampled_from(sorted(QUESTIONS)), document=values | st.lists(values, max_size=4))
def test_any_answer_to_a_batch_is_a_value_or_a_chain_error(name: str, document: object) -> None:
    try:
        answer = QUESTIONS[name](answering(lambda _: document))
    except ChainError:
        return
    assert well_typed(name, answer)


def test_an_honest_answer_is_read() -> None:
    later = LOG | {"blockNumber": "0x4"}
    reader = answering(lambda document: [{"id": 0, "result": [later, LOG]}])
    assert [log.block_number for log in reader.logs([ADDRESS], 5)] == [2, 4]


@pytest.mark.parametrize("number", ["0x6", "0xffffffff"])
def test_logs_of_blocks_that_were_not_asked_for_are_refused(number: str) -> None:
    with pytest.raises(PermanentChainError, match="no block from 0 to 5"):
        answering(lambda _: [{"id": 0, "result": [LOG | {"blockNumber": number}]}]).logs([ADDRESS], 5)


def test_a_height_beyond_measure_is_refused() -> None:
    """The oracle would ask for the logs of all these blocks."""
    with pytest.raises(PermanentChainError, match="no block number"):
        answering(lambda _: [{"id": 0, "result": hex(1 << 60)}]).newest_block()


@contextmanager
def server(body: bytes, status: int = 200) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    made = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{made.server_port}"
    finally:
        made.shutdown()
        thread.join()
        made.server_close()


@pytest.mark.parametrize("body", [b"", b"\xff", b"<html>", b"[" * 200_000, b'{"a":' * 50_000])
def test_what_is_no_json_is_told(body: bytes) -> None:
    with server(body) as url, pytest.raises(TransientChainError, match="is no JSON"):
        ChainReader("chain-1", url).newest_block()


def test_an_error_of_the_server_and_an_answer_without_end_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(b"[]", status=500) as url, pytest.raises(TransientChainError, match="failed"):
        ChainReader("chain-1", url).newest_block()
    monkeypatch.setattr(reader_module, "_ANSWER_MAX_BYTES", 100)
    answer = json.dumps([{"id": 0, "result": "0x1", "more": "x" * 100}]).encode()
    with server(answer) as url, pytest.raises(PermanentChainError, match="more than 100 bytes"):
        ChainReader("chain-1", url).newest_block()
