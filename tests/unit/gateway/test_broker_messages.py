"""What goes through Redis: one encoding, read strictly, and nothing that somebody else has made."""

import hashlib
import hmac
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piebridge.crypto.errors import ConfigurationError, DecodingError
from piebridge.gateway.broker.messages import (
    ForeignMessageError,
    Probe,
    Reply,
    Task,
    open_reply,
    open_task,
    seal_reply,
    seal_task,
)
from piebridge.gateway.broker.names import Names
from piebridge.gateway.broker.worker_settings import WorkerSettings
from piebridge.gateway.carrier import Answer
from piebridge.gateway.config import BrokerConfig, ChainConfig, DomainConfig, NotaryAddress, RelayConfig
from piebridge.gateway.forwarder import (
    Authenticate,
    Authenticated,
    Check,
    Checked,
    Delivery,
    Failed,
    Flow,
    PathKey,
    Submit,
)
from piebridge.gateway.prepared import HubCall, Prepared

SECRET = b"\x07" * 32
PATH = PathKey(Flow.HUB_TO_RELAY.value, 1, 2, 2)
TASKS: list[Task] = [
    Probe(3),
    Check(1, PATH, (1, 2, 1 << 63)),
    Authenticate(2, PATH, 9, kept_allowed=False, forms=((8, 1), (9, 2))),
    Submit(4, PathKey(Flow.SETTLE.value, 7, 1), 1, 5, ((1, 1), (5, 2)), b"\x00\xff"),
]
BATCH = Prepared((HubCall(b"\x01", 100, 50),), ((2, b"body"),))
ANSWERS: list[Answer | None] = [
    None,
    Checked(5, ((1, Delivery.DONE), (2, Delivery.WAITING))),
    Authenticated(5, 9, b"evidence"),
    Failed(5, "a node is slow", permanent=False),
    BATCH,
]


def sealed(label: bytes, text: bytes) -> str:
    return hmac.new(SECRET, label + text, hashlib.sha256).hexdigest() + text.decode()


def task_of(fields: object) -> str:
    return sealed(b"piebridge gateway task\0", json.dumps(fields).encode())


def reply_of(fields: object) -> str:
    return sealed(b"piebridge gateway answer\0", json.dumps(fields).encode())


@pytest.mark.parametrize("task", TASKS)
def test_a_task_comes_back_as_it_was(task: Task) -> None:
    assert open_task(seal_task(task, SECRET), SECRET) == task


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_comes_back_as_it_was(answer: Answer | None) -> None:
    reply = Reply(1, 5, answer)
    assert open_reply(seal_reply(reply, SECRET), SECRET) == reply


def test_evidence_may_come_with_the_whole_batch_prepared() -> None:
    reply = Reply(0, 5, Authenticated(5, 9, b"evidence"), BATCH)
    assert open_reply(seal_reply(reply, SECRET), SECRET) == reply


def test_what_another_start_of_the_gateway_has_made_is_foreign() -> None:
    with pytest.raises(ForeignMessageError):
        open_task(seal_task(TASKS[1], b"\x08" * 32), SECRET)


def test_a_task_is_no_answer_and_an_answer_is_no_task() -> None:
    with pytest.raises(ForeignMessageError):
        open_reply(seal_task(TASKS[0], SECRET), SECRET)
    with pytest.raises(ForeignMessageError):
        open_task(seal_reply(Reply(0, 3, None), SECRET), SECRET)


@given(position=st.integers(0, 500), byte=st.integers(1, 127))
def test_no_changed_character_goes_unnoticed(position: int, byte: int) -> None:
    message = seal_task(TASKS[3], SECRET)
    position %= len(message)
    changed = message[:position] + chr(ord(message[position]) ^ byte) + message[position + 1 :]
    with pytest.raises(ForeignMessageError):
        open_task(changed, SECRET)


@given(
    st.none()
    | st.integers()
    | st.text()
    | st.binary()
    | st.lists(st.integers())
    | st.dictionaries(st.text(), st.none())
)
def test_rubbish_is_refused_by_its_typed_error_whatever_it_is(rubbish: object) -> None:
    for opened in (open_task, open_reply):
        with pytest.raises(ForeignMessageError):
            opened(rubbish, SECRET)


PREPARE = {
    **{"id": 1, "path": ["hub-to-relay", 1, 2, 2], "kind": "prepare"},
    **{"first": 1, "last": 1, "forms": [[1, 1]], "evidence": ""},
}
CHECK = {"id": 1, "path": ["hub-to-relay", 1, 2, 2], "kind": "check", "numbers": [1]}


@pytest.mark.parametrize(
    "fields",
    [
        [],
        7,
        {},
        {"kind": "check"},
        {**CHECK, "more": 1},
        {**CHECK, "kind": "carry"},
        {**CHECK, "id": True},
        {**CHECK, "id": -1},
        {**CHECK, "id": 1 << 64},
        {**CHECK, "id": 1.0},
        {**CHECK, "numbers": []},
        {**CHECK, "numbers": [1] * 10_001},
        {**CHECK, "numbers": "1"},
        {**CHECK, "path": ["sideways", 1, 2, 2]},
        {**CHECK, "path": ["settle", 1, 2]},
        {**CHECK, "path": [["settle"], 1, 2, 2]},
        {**CHECK, "path": ["settle", 1, 1 << 32, 2]},
        {"id": 1, "path": CHECK["path"], "kind": "authenticate", "at_least": 1, "kept_allowed": 1, "forms": []},
        {**PREPARE, "first": 2},
        {**PREPARE, "forms": []},
        {**PREPARE, "forms": [[1, 256]]},
        {**PREPARE, "evidence": "A"},
        {**PREPARE, "evidence": "AB=="},
    ],
)
def test_a_task_of_another_form_is_refused_even_with_the_right_mac(fields: object) -> None:
    assert open_task(task_of(CHECK), SECRET) == Check(1, PATH, (1,))
    assert open_task(task_of(PREPARE), SECRET) == Submit(1, PATH, 1, 1, ((1, 1),), b"")
    with pytest.raises(DecodingError):
        open_task(task_of(fields), SECRET)


@pytest.mark.parametrize(
    "fields",
    [
        {"worker": 0, "id": 1},
        {"worker": 0, "kind": "alive"},
        {"worker": -1, "id": 1, "kind": "alive"},
        {"worker": 0, "id": 1, "kind": "alive", "more": 1},
        {"worker": 0, "id": 1, "kind": "checked", "states": [[1, "lost"]]},
        {"worker": 0, "id": 1, "kind": "checked", "states": [[1, ["done"]]]},
        {"worker": 0, "id": 1, "kind": "failed", "reason": "x", "permanent": 1},
        {"worker": 0, "id": 1, "kind": "prepared", "batch": {"hub": []}},
        {"worker": 0, "id": 1, "kind": "prepared", "batch": {"hub": [["", 1]], "relay": []}},
        {"worker": 0, "id": 1, "kind": "alive", "prepared": {"hub": [], "relay": []}},
        {"worker": 0, "id": 1, "kind": "wonderful"},
    ],
)
def test_an_answer_of_another_form_is_refused_even_with_the_right_mac(fields: object) -> None:
    assert open_reply(reply_of({"worker": 0, "id": 1, "kind": "alive"}), SECRET) == Reply(0, 1, None)
    with pytest.raises(DecodingError):
        open_reply(reply_of(fields), SECRET)


def test_a_worker_is_told_all_it_needs_and_no_key(tmp_path: Path) -> None:
    settings = WorkerSettings(
        index=2,
        names=Names("gateway-1", "run"),
        secret=SECRET,
        broker=BrokerConfig("redis://:password@127.0.0.1:6379/0", workers=3),
        domain=DomainConfig(
            domain=7,
            chains=(ChainConfig("chain-1", 1, 31_001, b"\x01" * 20, "http://127.0.0.1:1", None, ("http://x:2",)),),
            relays=(RelayConfig(3, "piebridge-7-3", ("http://127.0.0.1:3",)),),
            notaries=(NotaryAddress("http://127.0.0.1:4", (1,)),),
            timeout_seconds=2.5,
        ),
        database=tmp_path / "gateway.sqlite3",
    )
    line = settings.encode()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert b"private" not in line
    assert WorkerSettings.decode(line) == settings
    assert "password" not in repr(settings)
    assert SECRET.hex() not in repr(settings)


@pytest.mark.parametrize("line", [b"", b"{}\n", b"[]\n", b"no JSON\n", b'{"index": 0}\n'])
def test_a_worker_that_nobody_tells_anything_says_so(line: bytes) -> None:
    with pytest.raises(ConfigurationError, match="started by its gateway"):
        WorkerSettings.decode(line)


@pytest.mark.parametrize("name", ["", "a:b", "a b", "*", "ä", "x" * 65])
def test_a_gateway_whose_name_could_be_read_as_another_key_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError):
        Names(name, "run")


def test_starts_of_one_gateway_share_no_key() -> None:
    one, other = Names("gateway-1", "a"), Names("gateway-1", "b")
    assert one.prefix_of_gateway == other.prefix_of_gateway
    assert {one.prefix, one.answers, one.beat}.isdisjoint({other.prefix, other.answers, other.beat})


@pytest.mark.parametrize(
    ("url", "workers"), [("http://127.0.0.1:6379", 1), ("redis://", 1), ("127.0.0.1:6379", 1), ("redis://x", 0)]
)
def test_a_broker_that_cannot_work_is_refused(url: str, workers: int) -> None:
    with pytest.raises(ConfigurationError):
        BrokerConfig(url, workers)


def test_the_address_for_people_has_no_password() -> None:
    broker = BrokerConfig("rediss://user:password@redis.example:7000/2")
    assert broker.address == "rediss://redis.example:7000/2"
    assert "password" not in repr(broker)
