"""Tags and slots against the tables of formats.md, computed here a second time."""

import re
from pathlib import Path

from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack import commitment
from piebridge.protocol_stack.commitment import (
    TAGS,
    SlotBase,
    bitmap_bit,
    hub_slot,
    status_bits,
    status_key,
    status_slot,
)

FORMATS = Path(__file__).resolve().parents[3] / "docs" / "protocol" / "formats.md"


def test_the_tags_are_the_complete_list_of_the_page() -> None:
    section = FORMATS.read_text(encoding="utf-8").split("## 1. Tags")[1].split("## 2.")[0]
    rows = [row.split("|")[1] for row in section.splitlines() if row.startswith("| ") and "hashed" not in row]
    named = {name for row in rows for name in re.findall(r"[A-Z_]+", row)}
    assert named == set(TAGS)
    assert all(tag == keccak256(f"PIEBRIDGE/{name}/v1".encode()) for name, tag in TAGS.items())
    assert all(getattr(commitment, f"TAG_{name}") == tag for name, tag in TAGS.items())


def test_slots_are_those_of_solidity_mappings() -> None:
    key = (1 << 160 | 11 << 128 | 5 << 96 | 3 << 64 | 1000 >> 7).to_bytes(32, "big")
    assert status_key(1, 11, 5, 3, 1000) == key
    assert status_slot(1, 11, 5, 3, 1000) == keccak256(key + (2).to_bytes(32, "big"))
    assert hub_slot(SlotBase.STATUS, key) == status_slot(1, 11, 5, 3, 1000)
    assert hub_slot(SlotBase.CLOSED, bytes(32)) == (8).to_bytes(32, "big")


def test_slots_of_other_things_are_other_slots() -> None:
    slots = {
        commitment.chain_slot(1, 2),
        commitment.chain_slot(2, 1),
        commitment.head_slot(1, 2),
        commitment.status_slot(1, 2, 3, 4, 5),
        commitment.origin_status_slot(1, 3, 5),
        commitment.seen_slot(1, 2, 4, 5),
        commitment.receipts_slot(1, 2, 3, 4, 5),
        commitment.send_lane_slot(1, 2, 3, 4),
        commitment.receive_lane_slot(1, 2, 3, 4),
        commitment.settlement_slot(3, 5),
        commitment.closed_slot(),
        commitment.head_peer_slot(1),
    }
    assert len(slots) == 12


def test_bits_of_a_word() -> None:
    word = 2 << 2 * 5 | 3 << 2 * 127
    assert [status_bits(word, sequence) for sequence in (5, 6, 127, 128 + 5)] == [2, 0, 3, 2]
    assert bitmap_bit(1 << 255, 511)
    assert not bitmap_bit(1 << 255, 510)


def test_keys_of_the_store_for_stock_clients() -> None:
    assert commitment.endorsed_head_key(0x1A2B) == b"head/00001a2b"
    assert commitment.endorsed_client_key(7) == b"client/00000007"
    assert commitment.ENDORSED_SET_KEY == b"set"
