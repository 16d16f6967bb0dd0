from collections.abc import Sequence

import rlp  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from trie.hexary import HexaryTrie

from piebridge.crypto.errors import DecodingError, ProtocolError
from piebridge.crypto.hash import keccak256
from piebridge.crypto.patricia import verify_storage, verify_value
from piebridge.crypto.rlp_strict import read_bytes, read_item, read_list

SLOTS = st.integers(0, 400)
STORAGE = st.dictionaries(SLOTS, st.integers(1, 2**256 - 1), min_size=1, max_size=60)


def build(storage: dict[int, int]) -> HexaryTrie:
    trie = HexaryTrie({})
    for slot, value in storage.items():
        trie[keccak256(slot.to_bytes(32, "big"))] = rlp.encode(value)
    return trie


def prove(trie: HexaryTrie, slot: int) -> list[bytes]:
    proof = [rlp.encode(node) for node in trie.get_proof(keccak256(slot.to_bytes(32, "big")))]  # type: ignore[no-untyped-call]
    # py-trie lists the nodes that stand in their parent too; eth_getProof and our verifier do not.
    return [node for number, node in enumerate(proof) if number == 0 or len(node) >= 32]


@given(STORAGE, st.lists(SLOTS, max_size=10))
@settings(max_examples=100, deadline=None)
def test_agrees_with_py_trie_on_presence_and_absence(storage: dict[int, int], others: list[int]) -> None:
    trie = build(storage)
    for slot in [*storage, *others]:
        assert verify_storage(trie.root_hash, slot, prove(trie, slot)) == storage.get(slot, 0)


TRIE = build({slot: 3**slot % 2**256 or 1 for slot in range(300)})
"""Large enough for full branches at the top."""


@given(st.integers(0, 350), st.data())
@settings(max_examples=400, deadline=None)
def test_row_1_single_mutations_are_refused(slot: int, data: st.DataObject) -> None:
    proof = prove(TRIE, slot)
    number = data.draw(st.integers(0, len(proof) - 1))
    position = data.draw(st.integers(0, len(proof[number]) - 1))
    changed = bytearray(proof[number])
    changed[position] ^= data.draw(st.integers(1, 255))
    mutated = [*proof[:number], bytes(changed), *proof[number + 1 :]]
    try:
        verify_storage(TRIE.root_hash, slot, mutated)
    except ProtocolError:
        return
    raise AssertionError("a mutated proof was accepted")


@given(st.lists(st.binary(max_size=80), min_size=1, max_size=3), st.binary(min_size=32, max_size=32))
@settings(max_examples=300, deadline=None)
def test_arbitrary_nodes_raise_only_declared_errors(nodes: Sequence[bytes], key: bytes) -> None:
    try:
        verify_value(keccak256(nodes[0]), key, nodes)
    except ProtocolError:
        return


@given(st.integers(0, 350), st.data())
@settings(max_examples=400, deadline=None)
def test_what_is_accepted_under_a_malicious_root_says_the_same_to_py_trie(slot: int, data: st.DataObject) -> None:
    """A chain that is malicious as a whole changes a node and hashes the way up to its header anew."""
    key = keccak256(slot.to_bytes(32, "big"))
    proof = prove(TRIE, slot)
    number = data.draw(st.integers(0, len(proof) - 1))
    length = len(proof[number])
    # Prefixes and flags decide; most of the other bytes are digests.
    position = data.draw(st.one_of(st.integers(0, length - 1), st.sampled_from([0, 1, 2, 3, 4, 5, length - 1])))
    changed = bytearray(proof[number])
    changed[position % length] ^= data.draw(st.sampled_from([1, 2, 16, 32, 64, 128, 255]))
    old, proof[number] = proof[number], bytes(changed)
    for above in range(number - 1, -1, -1):
        parent = proof[above].replace(keccak256(old), keccak256(proof[above + 1]))
        old, proof[above] = proof[above], parent
    root = keccak256(proof[0])
    try:
        value = verify_value(root, key, proof)
    except ProtocolError:
        return
    decoded = [rlp.decode(node, strict=True) for node in proof]
    theirs = HexaryTrie.get_from_proof(root, key, decoded)  # type: ignore[no-untyped-call]
    assert theirs == (value or b"")


@given(st.binary(max_size=100))
@settings(max_examples=300)
def test_rlp_reader_agrees_with_the_rlp_library(data: bytes) -> None:
    try:
        expected = rlp.decode(data, strict=True)
    except rlp.DecodingError:
        expected = None
    try:
        item = read_item(data, 0, len(data))
        if item.end != len(data):
            raise DecodingError("trailing bytes")
        ours = decode_deep(data, item.start, item.end)
    except DecodingError:
        ours = None
    assert ours == expected


def decode_deep(data: bytes, start: int, end: int) -> object:
    item = read_item(data, start, end)
    if item.is_list:
        return [decode_deep(data, inner.start, inner.end) for inner in read_list(data, start, end)]
    return read_bytes(data, item)
