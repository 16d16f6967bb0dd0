"""Keys of the store `state` against the table of formats.md, section 12.1."""

import inspect
import re
from pathlib import Path

from piebridge.protocol_stack.identifiers import Lane
from piebridge.relay.app import keys
from piebridge.relay.app.state import ENDORSED_PREFIX, STATE_PREFIX

FORMATS = Path(__file__).resolve().parents[3] / "docs" / "protocol" / "formats.md"
LANE = Lane(1, 11, 22, 5, 3)
ARGUMENTS = {"lane": LANE, "packet_id": bytes(32), "transaction_id": bytes(32), "replay_id": bytes(32)}


def all_keys() -> list[bytes]:
    constants = [value for value in vars(keys).values() if isinstance(value, bytes) and len(value) > 1]
    functions = [item for item in vars(keys).values() if inspect.isfunction(item) and item.__module__ == keys.__name__]
    made = []
    for function in functions:
        names = inspect.signature(function).parameters
        account = {"address": bytes(20), "account": bytes(20)}
        made.append(function(**{name: {**ARGUMENTS, **account}.get(name, 1) for name in names}))
    return [*constants, *made]


def test_the_kinds_are_those_of_the_page_and_no_two_share_a_prefix() -> None:
    section = FORMATS.read_text(encoding="utf-8").split("`state` is a compact")[1].split("**Proofs.**")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = [kind for row in rows for kind in re.findall(r"[a-z-]+", row)]
    in_state = [key for key in all_keys() if key.startswith(STATE_PREFIX)]
    kinds = [key[len(STATE_PREFIX) :].split(b"/")[0].decode() for key in in_state]
    assert sorted(kinds) == sorted(named)
    assert len(set(kinds)) == len(kinds)
    assert sum(key.startswith(ENDORSED_PREFIX) for key in all_keys()) == 3


def test_256_packets_share_a_word() -> None:
    assert keys.recorded(LANE, 255) == keys.recorded(LANE, 1)
    assert keys.recorded(LANE, 256) != keys.recorded(LANE, 1)
    assert keys.receipt_opened(LANE, 511) == keys.receipt_opened(LANE, 256)
    assert keys.recorded(LANE, 1) == STATE_PREFIX + b"recorded/" + LANE.encode() + bytes(8)
