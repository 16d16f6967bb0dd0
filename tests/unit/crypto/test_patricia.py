import json
from pathlib import Path

import pytest
import rlp  # type: ignore[import-untyped]

from piebridge.crypto.errors import DecodingError, ProtocolError, VerificationError
from piebridge.crypto.hash import keccak256
from piebridge.crypto.patricia import (
    EMPTY_CODE_HASH,
    EMPTY_TRIE_ROOT,
    Account,
    decode_account,
    verify_account,
    verify_storage,
    verify_value,
)

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "merkle_patricia.json").read_text())


def nodes(case: dict[str, list[str]]) -> list[bytes]:
    return [bytes.fromhex(node) for node in case["proof"]]


@pytest.mark.parametrize("case", VECTORS["storage"], ids=lambda case: str(case["slot"])[-8:])
def test_storage_known_answers(case: dict[str, list[str]]) -> None:
    root = bytes.fromhex(VECTORS["storage_root"])
    assert verify_storage(root, int(str(case["slot"]), 16), nodes(case)) == int(str(case["value"]), 16)


@pytest.mark.parametrize("case", VECTORS["accounts"], ids=lambda case: str(case["address"])[:8])
def test_account_known_answers(case: dict[str, list[str]]) -> None:
    root = bytes.fromhex(VECTORS["state_root"])
    account = verify_account(root, bytes.fromhex(str(case["address"])), nodes(case))
    if "nonce" not in case:
        assert account is None
        return
    assert account == Account(
        nonce=int(str(case["nonce"]), 16),
        balance=int(str(case["balance"]), 16),
        storage_root=bytes.fromhex(str(case["storage_root"])),
        code_hash=bytes.fromhex(str(case["code_hash"])),
    )


def test_vectors_hold_presence_and_absence() -> None:
    values = [int(case["value"], 16) for case in VECTORS["storage"]]
    assert 0 in values
    assert any(values)
    assert {"nonce" in case for case in VECTORS["accounts"]} == {True, False}


def test_row_1_every_single_bit_change_is_refused() -> None:
    for case in VECTORS["storage"]:
        root, slot, proof = bytes.fromhex(VECTORS["storage_root"]), int(case["slot"], 16), nodes(case)
        for number, node in enumerate(proof):
            for bit in range(8 * len(node)):
                changed = bytearray(node)
                changed[bit // 8] ^= 1 << bit % 8
                with pytest.raises(VerificationError):
                    verify_storage(root, slot, [*proof[:number], bytes(changed), *proof[number + 1 :]])
        for bit in range(256):
            changed = bytearray(root)
            changed[bit // 8] ^= 1 << bit % 8
            with pytest.raises(VerificationError):
                verify_storage(bytes(changed), slot, proof)


def test_row_1_a_proof_says_nothing_untrue_of_another_slot() -> None:
    root = bytes.fromhex(VECTORS["storage_root"])
    truth = {int(case["slot"], 16): int(case["value"], 16) for case in VECTORS["storage"]}
    for case in VECTORS["storage"]:
        for slot, value in truth.items():
            try:
                proven = verify_storage(root, slot, nodes(case))
            except ProtocolError:
                continue
            assert proven == value


def test_row_3_nodes_missing_left_over_and_in_another_order() -> None:
    root = bytes.fromhex(VECTORS["storage_root"])
    case = next(case for case in VECTORS["storage"] if len(case["proof"]) >= 3)
    slot, proof = int(case["slot"], 16), nodes(case)
    wrong = [
        [],
        proof[:-1],
        proof[1:],
        [*proof, proof[-1]],
        [*proof, b""],
        [proof[0], *proof],
        [*reversed(proof)],
    ]
    for nodes_offered in wrong:
        with pytest.raises(VerificationError):
            verify_storage(root, slot, nodes_offered)


def test_empty_trie_proves_absence_without_nodes() -> None:
    assert verify_storage(EMPTY_TRIE_ROOT, 0, []) == 0
    assert verify_account(EMPTY_TRIE_ROOT, bytes(20), []) is None
    with pytest.raises(VerificationError, match="no nodes"):
        verify_storage(EMPTY_TRIE_ROOT, 0, [b"\x80"])


def test_row_5_zero_root_proves_nothing() -> None:
    for proof in ([], [b""], [b"\x80"], [b"\xc0"]):
        with pytest.raises(VerificationError):
            verify_storage(bytes(32), 0, proof)


@pytest.mark.parametrize("length", [0, 19, 21, 32])
def test_arguments_of_other_lengths_are_refused(length: int) -> None:
    with pytest.raises(VerificationError):
        verify_account(EMPTY_TRIE_ROOT, bytes(length), [])
    with pytest.raises(VerificationError):
        verify_value(bytes(length + 1), bytes(32), [])
    with pytest.raises(VerificationError):
        verify_value(EMPTY_TRIE_ROOT, bytes(length + 1), [])


@pytest.mark.parametrize("slot", [-1, 1 << 256])
def test_slots_have_256_bits(slot: int) -> None:
    with pytest.raises(VerificationError, match="256 bits"):
        verify_storage(EMPTY_TRIE_ROOT, slot, [])


# Tries that break the rules, made by hand: a malicious chain can put such a root into its header.

KEY = keccak256(bytes(32))
PATH = KEY.hex()
OTHER = b"\x11" * 32


def compact(nibbles: str, *, leaf: bool) -> bytes:
    flag = 2 * leaf + len(nibbles) % 2
    return bytes.fromhex(f"{flag:x}" + ("" if len(nibbles) % 2 else "0") + nibbles)


def branch(
    child: bytes | list[bytes], nibble: str, *, others: int = 1, value: bytes = b""
) -> list[bytes | list[bytes]]:
    position = int(nibble, 16)
    items: list[bytes | list[bytes]] = [b""] * 16
    for i in range(1, others + 1):
        items[(position + i) % 16] = OTHER
    items[position] = child
    return [*items, value]


def verify_slot_zero(*structure: object) -> int:
    """Verify a proof of slot 0 from these nodes, given as structures or as bytes; the first one's hash is the root."""
    encoded = [node if isinstance(node, bytes) else bytes(rlp.encode(node)) for node in structure]
    return verify_storage(keccak256(encoded[0]), 0, encoded)


def hash_of(structure: object) -> bytes:
    return keccak256(rlp.encode(structure))


LEAF = [compact(PATH[1:], leaf=True), b"\x07"]
DEEP_LEAF = [compact(PATH[3:], leaf=True), b"\x07"]


def test_tries_by_hand_are_accepted_when_they_keep_the_rules() -> None:
    assert verify_slot_zero([compact(PATH, leaf=True), b"\x07"]) == 7
    assert verify_slot_zero(branch(hash_of(LEAF), PATH[0]), LEAF) == 7
    assert verify_slot_zero(branch(hash_of(LEAF), PATH[0], others=15), LEAF) == 7
    assert verify_slot_zero(branch(b"", PATH[0], others=2)) == 0
    lower = branch(hash_of(DEEP_LEAF), PATH[2])
    assert verify_slot_zero([compact(PATH[:2], leaf=False), hash_of(lower)], lower, DEEP_LEAF) == 7
    # Another path than the key's ends in a leaf or runs along an extension: nothing is stored under the key.
    assert verify_slot_zero([compact("0" * 64, leaf=True), b"\x07"]) == 0
    assert verify_slot_zero([compact("00", leaf=False), OTHER]) == 0


def test_short_nodes_stand_in_their_parent() -> None:
    extension_path, last = PATH[:62], PATH[62:]
    leaf = [compact(last[1:], leaf=True), b"\x07"]
    inner = branch(leaf, last[0], others=1)
    assert verify_slot_zero([compact(extension_path, leaf=False), hash_of(inner)], inner) == 7
    hashed = branch(hash_of(leaf), last[0])
    with pytest.raises(DecodingError, match="hashed instead"):
        verify_slot_zero([compact(extension_path, leaf=False), hash_of(hashed)], hashed, leaf)


@pytest.mark.parametrize(
    ("name", "structure"),
    [
        ("value in a branch", [branch(b"", PATH[0], others=2, value=b"\x01")]),
        ("list as the value of a branch", [[*branch(b"", PATH[0], others=2)[:16], [b"\x01"]]]),
        ("branch with one child", [branch(hash_of(LEAF), PATH[0], others=0), LEAF]),
        ("branch without children", [[b""] * 17]),
        ("reference of 31 bytes", [branch(OTHER[:31], PATH[0])]),
        ("reference of 33 bytes elsewhere", [[*branch(b"", PATH[0], others=2)[:15], OTHER + b"\x11", b""]]),
        ("long node in its parent", [branch(LEAF, PATH[0])]),
        ("leaf too short", [[compact(PATH[:62], leaf=True), b"\x07"]]),
        ("leaf too long", [[compact(PATH + "00", leaf=True), b"\x07"]]),
        ("leaf without value", [[compact(PATH, leaf=True), b""]]),
        ("leaf with a list", [[compact(PATH, leaf=True), [b"\x07"]]]),
        ("path as a list", [[[b"\x20"], b"\x07"]]),
        ("empty path", [[b"", b"\x07"]]),
        ("unknown flag", [[b"\x40" + KEY, b"\x07"]]),
        ("flag with both bits and more", [[b"\xff" + KEY, b"\x07"]]),
        ("padding that is not zero", [[b"\x21" + KEY, b"\x07"]]),
        ("extension of no nibbles", [[b"\x00", hash_of(branch(OTHER, "0"))], branch(OTHER, "0")]),
        ("extension over the full path", [[compact(PATH, leaf=False), OTHER]]),
        ("extension without a child", [[compact(PATH[:2], leaf=False), b""]]),
        ("extension to a leaf", [[compact(PATH[:3], leaf=False), hash_of(DEEP_LEAF)], DEEP_LEAF]),
        ("empty list as a child elsewhere", [[*branch(b"", PATH[0], others=2)[:15], [], b""]]),
        ("three items", [[compact(PATH, leaf=True), b"\x07", b""]]),
        ("no items", [[]]),
        ("eighteen items", [[*branch(b"", PATH[0], others=2), b""]]),
        ("byte string", [b"\x80" + b""]),
        ("trailing byte", [rlp.encode([compact(PATH, leaf=True), b"\x07"]) + b"\x00"]),
        ("long form of a short list", [b"\xf8\x23\xa1" + compact(PATH, leaf=True) + b"\x07"]),
        ("value with a needless prefix", [b"\xe4\xa1" + compact(PATH, leaf=True) + b"\x81\x07"]),
        ("storage of zero", [[compact(PATH, leaf=True), b"\x00"]]),
        ("storage of nothing", [[compact(PATH, leaf=True), b"\x80"]]),
        ("storage with a leading zero", [[compact(PATH, leaf=True), b"\x82\x00\x07"]]),
        ("storage of 33 bytes", [[compact(PATH, leaf=True), b"\xa1" + b"\x01" * 33]]),
        ("storage with a needless prefix", [[compact(PATH, leaf=True), b"\x81\x07"]]),
        ("storage with a trailing byte", [[compact(PATH, leaf=True), b"\x07\x00"]]),
        ("storage of a list", [[compact(PATH, leaf=True), b"\xc1\x07"]]),
    ],
)
def test_row_15_structures_against_the_rules_are_refused(name: str, structure: list[object]) -> None:
    if name == "byte string":
        # The hash of 0x80 is the root of the empty trie, which has no nodes.
        with pytest.raises(VerificationError):
            verify_slot_zero(*structure)
        return
    with pytest.raises(DecodingError):
        verify_slot_zero(*structure)


def test_extension_under_extension_is_refused() -> None:
    bottom = branch(OTHER, PATH[2])
    lower = [compact(PATH[1], leaf=False), hash_of(bottom)]
    with pytest.raises(DecodingError, match="another node than a branch"):
        verify_slot_zero([compact(PATH[0], leaf=False), hash_of(lower)], lower, bottom)


def test_branch_below_a_full_path_is_refused() -> None:
    structures: list[object] = [branch(OTHER, "0", others=2)]
    for nibble in reversed(PATH):
        structures.insert(0, branch(hash_of(structures[0]), nibble))
    assert len(structures) == 65
    with pytest.raises(DecodingError, match="below a full path"):
        verify_slot_zero(*structures)


def test_full_branch_is_recognised_only_if_it_is_one() -> None:
    encoded = rlp.encode(branch(hash_of(LEAF), PATH[0], others=15))
    assert len(encoded) == 532
    assert verify_slot_zero(encoded, LEAF) == 7
    # Of the same length: one child less, and its 32 bytes in the value.
    items = branch(hash_of(LEAF), PATH[0], others=14)
    with pytest.raises(DecodingError, match="value"):
        verify_slot_zero([*items[:16], OTHER], LEAF)
    for position, byte in ((3, 0xA1), (531, 0x81), (2, 0x10)):
        changed = bytearray(encoded)
        changed[position] = byte
        with pytest.raises(DecodingError):
            verify_slot_zero(bytes(changed), LEAF)


def test_account_has_one_encoding() -> None:
    fields: list[bytes] = [b"", b"\x01", EMPTY_TRIE_ROOT, EMPTY_CODE_HASH]
    assert decode_account(rlp.encode(fields)) == Account(0, 1, EMPTY_TRIE_ROOT, EMPTY_CODE_HASH)
    wrong: list[list[object]] = [
        [*fields[:3]],
        [*fields, b""],
        [b"\x00", *fields[1:]],
        [b"\x01" * 9, *fields[1:]],
        [b"", b"\x00\x01", *fields[2:]],
        [b"", b"\x01" * 33, *fields[2:]],
        [b"", b"", EMPTY_TRIE_ROOT[:31], EMPTY_CODE_HASH],
        [b"", b"", EMPTY_TRIE_ROOT, EMPTY_CODE_HASH + b"\x00"],
        [b"", b"", [EMPTY_TRIE_ROOT], EMPTY_CODE_HASH],
    ]
    for structure in wrong:
        with pytest.raises(DecodingError):
            decode_account(rlp.encode(structure))
    with pytest.raises(DecodingError):
        decode_account(rlp.encode(fields) + b"\x00")
