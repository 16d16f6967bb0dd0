"""Tasks and answers as text: plain JSON behind a MAC, read strictly.

A message is 64 hexadecimal digits, the HMAC-SHA-256 of what follows, and then one JSON object. The key is drawn anew at
every start of a gateway and reaches its workers over a pipe, so a message of another gateway, of an earlier start or of
whoever can write to Redis is known for what it is before anything in it is read.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from piebridge.crypto.errors import DecodingError
from piebridge.gateway.carrier import Answer
from piebridge.gateway.forwarder import (
    Authenticate,
    Authenticated,
    Check,
    Checked,
    Delivery,
    Effect,
    Failed,
    Flow,
    PathKey,
    Submit,
)
from piebridge.gateway.prepared import HubCall, Prepared

SECRET_LENGTH = 32
"""Bytes of the key of a gateway and its workers."""
MESSAGE_CHARACTERS_MAX = 8 << 20
"""Longer messages are refused unread. The largest batch has 300 kB of payload."""
NUMBERS_MAX = 10_000
"""Items of one task, at most."""
_REASON_CHARACTERS_MAX = 2_000
_MAC_CHARACTERS = 64
_U64, _U32, _U8 = (1 << 64) - 1, (1 << 32) - 1, 255
_TASK, _ANSWER = b"piebridge gateway task\0", b"piebridge gateway answer\0"

Fields: TypeAlias = Mapping[str, Any]


class ForeignMessageError(DecodingError):
    """A message that this gateway or its workers have not made, at least not since its last start."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Asks a worker whether it is still at work."""

    id: int


Task: TypeAlias = Effect | Probe


@dataclass(frozen=True, slots=True)
class Reply:
    """What a worker says about a task."""

    worker: int
    """Number of the worker."""
    task_id: int
    answer: Answer | None
    """None answers a probe."""
    prepared: Prepared | None = None
    """With an ``Authenticated``: the whole batch of the task, ready to be sent."""


def seal_task(task: Task, secret: bytes) -> str:
    """Return a task as text."""
    return _seal(_TASK, _task_fields(task), secret)


def open_task(message: object, secret: bytes) -> Task:
    """Read a task.

    Raises:
        ForeignMessageError: it was not made with this secret.
        DecodingError: it is none, in whatever way.
    """
    return _task(_open(_TASK, message, secret))


def seal_reply(reply: Reply, secret: bytes) -> str:
    """Return an answer as text."""
    fields: dict[str, Any] = {"worker": reply.worker, "id": reply.task_id}
    fields |= {"kind": "alive"} if reply.answer is None else _answer_fields(reply.answer)
    if reply.prepared is not None:
        fields["prepared"] = _prepared_fields(reply.prepared)
    return _seal(_ANSWER, fields, secret)


def open_reply(message: object, secret: bytes) -> Reply:
    """Read an answer.

    Raises:
        ForeignMessageError: it was not made with this secret.
        DecodingError: it is none, in whatever way.
    """
    return _reply(_open(_ANSWER, message, secret))


# Seals


def _seal(label: bytes, fields: Fields, secret: bytes) -> str:
    text = orjson.dumps(fields)
    return _mac(label, text, secret) + text.decode()


def _open(label: bytes, message: object, secret: bytes) -> Fields:
    if not isinstance(message, str) or not _MAC_CHARACTERS < len(message) <= MESSAGE_CHARACTERS_MAX:
        raise ForeignMessageError("a message of the broker is no text of a possible length")
    try:
        mac, text = message[:_MAC_CHARACTERS].encode("ascii"), message[_MAC_CHARACTERS:].encode()
    except UnicodeEncodeError as error:
        raise ForeignMessageError("a message of the broker has no MAC") from error
    if not hmac.compare_digest(mac, _mac(label, text, secret).encode()):
        raise ForeignMessageError("a message of the broker was not made by this gateway since its last start")
    try:
        fields = orjson.loads(text)
    except ValueError as error:
        raise DecodingError(f"a message of the broker is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise DecodingError("a message of the broker is no JSON object")
    return fields


def _mac(label: bytes, text: bytes, secret: bytes) -> str:
    return hmac.new(secret, label + text, hashlib.sha256).hexdigest()


# Tasks


def _task_fields(task: Task) -> Fields:
    if isinstance(task, Probe):
        return {"kind": "probe", "id": task.id}
    path = task.path
    fields: dict[str, Any] = {"id": task.id, "path": [path.flow_name, path.registration, path.relay, path.outbox]}
    if isinstance(task, Check):
        return fields | {"kind": "check", "numbers": task.numbers}
    if isinstance(task, Authenticate):
        return fields | {
            "kind": "authenticate",
            "at_least": task.at_least,
            "kept_allowed": task.kept_allowed,
            "forms": task.forms,
        }
    return fields | {
        "kind": "prepare",
        "first": task.first,
        "last": task.last,
        "forms": task.forms,
        "evidence": _text(task.evidence),
    }


def _task(fields: Fields) -> Task:
    kind = fields.get("kind")
    if kind == "probe":
        _exactly(fields, "kind", "id")
        return Probe(_integer(fields["id"], "id"))
    if kind == "check":
        _exactly(fields, "kind", "id", "path", "numbers")
        numbers = tuple(_integer(number, "number") for number in _list(fields["numbers"], "numbers", 1, NUMBERS_MAX))
        return Check(_integer(fields["id"], "id"), _path(fields["path"]), numbers)
    if kind == "authenticate":
        _exactly(fields, "kind", "id", "path", "at_least", "kept_allowed", "forms")
        if not isinstance(fields["kept_allowed"], bool):
            raise DecodingError("kept_allowed is neither true nor false")
        return Authenticate(
            _integer(fields["id"], "id"),
            _path(fields["path"]),
            _integer(fields["at_least"], "at_least"),
            fields["kept_allowed"],
            _forms(fields["forms"], least=0),
        )
    if kind == "prepare":
        _exactly(fields, "kind", "id", "path", "first", "last", "forms", "evidence")
        first, last = _integer(fields["first"], "first"), _integer(fields["last"], "last")
        if last < first:
            raise DecodingError(f"a range ends before it begins: {first} to {last}")
        forms, evidence = _forms(fields["forms"], least=1), _bytes(fields["evidence"], "evidence")
        return Submit(_integer(fields["id"], "id"), _path(fields["path"]), first, last, forms, evidence)
    raise DecodingError(f"unknown kind of task {kind!r}")


def _path(value: object) -> PathKey:
    parts = _list(value, "path", 4, 4)
    if not isinstance(parts[0], str) or parts[0] not in _FLOWS:
        raise DecodingError(f"unknown flow {parts[0]!r}")
    return PathKey(parts[0], *(_integer(part, "part of a path", _U32) for part in parts[1:]))


def _forms(value: object, *, least: int) -> tuple[tuple[int, int], ...]:
    forms = []
    for item in _list(value, "forms", least, NUMBERS_MAX):
        number, form = _list(item, "form", 2, 2)
        forms.append((_integer(number, "number"), _integer(form, "form", _U8)))
    return tuple(forms)


# Answers


def _answer_fields(answer: Answer) -> Fields:
    if isinstance(answer, Checked):
        return {"kind": "checked", "states": [(number, state.value) for number, state in answer.states]}
    if isinstance(answer, Authenticated):
        return {"kind": "authenticated", "last": answer.last, "evidence": _text(answer.evidence)}
    if isinstance(answer, Failed):
        reason = answer.reason[:_REASON_CHARACTERS_MAX]
        return {"kind": "failed", "reason": reason, "permanent": answer.permanent}
    return {"kind": "prepared", "batch": _prepared_fields(answer)}


def _reply(fields: Fields) -> Reply:
    fields = dict(fields)
    prepared = _prepared(fields.pop("prepared")) if "prepared" in fields else None
    worker, task_id = _integer(fields.pop("worker", None), "worker", _U32), _integer(fields.pop("id", None), "id")
    answer = _answer(fields, task_id)
    if prepared is not None and not isinstance(answer, Authenticated):
        raise DecodingError("only evidence comes with a prepared batch")
    return Reply(worker, task_id, answer, prepared)


def _answer(fields: Fields, task_id: int) -> Answer | None:
    kind = fields.get("kind")
    if kind == "alive":
        _exactly(fields, "kind")
        return None
    if kind == "checked":
        _exactly(fields, "kind", "states")
        states = []
        for item in _list(fields["states"], "states", 0, NUMBERS_MAX):
            number, state = _list(item, "state", 2, 2)
            if not isinstance(state, str) or state not in _DELIVERIES:
                raise DecodingError(f"unknown state {state!r} of an item")
            states.append((_integer(number, "number"), Delivery(state)))
        return Checked(task_id, tuple(states))
    if kind == "authenticated":
        _exactly(fields, "kind", "last", "evidence")
        return Authenticated(task_id, _integer(fields["last"], "last"), _bytes(fields["evidence"], "evidence"))
    if kind == "failed":
        _exactly(fields, "kind", "reason", "permanent")
        if not isinstance(fields["reason"], str) or not isinstance(fields["permanent"], bool):
            raise DecodingError("a failure has a reason, and is permanent or not")
        return Failed(task_id, fields["reason"], fields["permanent"])
    if kind == "prepared":
        _exactly(fields, "kind", "batch")
        return _prepared(fields["batch"])
    raise DecodingError(f"unknown kind of answer {kind!r}")


def _prepared_fields(prepared: Prepared) -> Fields:
    return {
        "hub": [(_text(call.data), call.gas_upper, call.gas_least) for call in prepared.hub_calls],
        "relay": [(int(kind), _text(body)) for kind, body in prepared.relay_transactions],
    }


def _prepared(value: object) -> Prepared:
    if not isinstance(value, dict):
        raise DecodingError("a prepared batch is a JSON object")
    _exactly(value, "hub", "relay")
    calls, transactions = [], []
    for item in _list(value["hub"], "calls of a hub", 0, NUMBERS_MAX):
        data, upper, least = _list(item, "call of a hub", 3, 3)
        calls.append(HubCall(_bytes(data, "call data"), _integer(upper, "gas"), _integer(least, "gas")))
    for item in _list(value["relay"], "relay transactions", 0, NUMBERS_MAX):
        kind, body = _list(item, "relay transaction", 2, 2)
        transactions.append((_integer(kind, "kind", _U8), _bytes(body, "body")))
    return Prepared(tuple(calls), tuple(transactions))


# Values


def _exactly(fields: Fields, *names: str) -> None:
    if fields.keys() != set(names):
        raise DecodingError(f"a message has the fields {sorted(fields)}, not {sorted(names)}")


def _integer(value: object, what: str, largest: int = _U64) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= largest:
        raise DecodingError(f"{what} is no number from 0 to {largest}")
    return value


def _list(value: object, what: str, least: int, most: int) -> list[Any]:
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise DecodingError(f"{what} is no list of {least} to {most} items")
    return value


def _bytes(value: object, what: str) -> bytes:
    if not isinstance(value, str):
        raise DecodingError(f"{what} is no text")
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DecodingError(f"{what} is not base64: {error}") from error
    if _text(data) != value:
        raise DecodingError(f"{what} is not the one base64 encoding of its bytes")
    return data


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


_FLOWS = frozenset(flow.value for flow in Flow)
_DELIVERIES = frozenset(state.value for state in Delivery)
