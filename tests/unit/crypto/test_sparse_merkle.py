import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from piebridge.crypto.errors import DecodingError, VerificationError
from piebridge.crypto.sparse_merkle import (
    EMPTY_ROOT,
    LeafOnPath,
    SparseMerkleProof,
    SparseMerkleTree,
    verify_absence,
    verify_presence,
)

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "sparse_merkle.json").read_text())
PAIRS: dict[bytes, bytes | None] = {b"key %d" % i: b"value %d" % i for i in range(40)}
TREE = SparseMerkleTree().update(PAIRS)
ABSENT = [b"absent %d" % i for i in range(60)]


def key_whose_proof(*, ends_in_leaf: bool) -> bytes:
    return next(key for key in ABSENT if (TREE.prove(key).other_leaf is not None) == ends_in_leaf)


def flip(data: bytes, bit: int) -> bytes:
    return bytes(byte ^ (1 << bit % 8) if i == bit // 8 else byte for i, byte in enumerate(data))


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: str(case["name"]))
def test_known_answers(case: dict[str, object]) -> None:
    pairs = case["pairs"]
    assert isinstance(pairs, dict)
    tree = SparseMerkleTree().update({bytes.fromhex(key): bytes.fromhex(value) for key, value in pairs.items()})
    assert tree.root.hex() == case["root"]
    proofs = case["proofs"]
    assert isinstance(proofs, dict)
    for key_hex, proof_hex in proofs.items():
        key, proof = bytes.fromhex(key_hex), SparseMerkleProof.decode(bytes.fromhex(proof_hex))
        assert tree.prove(key) == proof
        if key_hex in pairs:
            verify_presence(proof, root=tree.root, key=key, value=bytes.fromhex(pairs[key_hex]))
        else:
            verify_absence(proof, root=tree.root, key=key)


def test_one_leaf_by_hand() -> None:
    leaf = sha256(b"\x00" + sha256(b"k").digest() + sha256(b"v").digest()).digest()
    assert SparseMerkleTree().update({b"k": b"v"}).root == leaf
    assert SparseMerkleTree().root == EMPTY_ROOT == bytes(32)


def test_versions_are_independent() -> None:
    working = TREE.update({b"key 1": None, b"key 2": b"new", b"more": b""})
    assert working.root != TREE.root
    verify_presence(TREE.prove(b"key 1"), root=TREE.root, key=b"key 1", value=b"value 1")
    verify_absence(working.prove(b"key 1"), root=working.root, key=b"key 1")
    verify_presence(working.prove(b"key 2"), root=working.root, key=b"key 2", value=b"new")
    verify_presence(working.prove(b"more"), root=working.root, key=b"more", value=b"")
    back = working.update({b"key 1": b"value 1", b"key 2": b"value 2", b"more": None})
    assert back.root == TREE.root


def test_deleting_everything_gives_the_empty_tree() -> None:
    emptied = TREE.update(dict.fromkeys(PAIRS))
    assert emptied.root == EMPTY_ROOT
    verify_absence(emptied.prove(b"key 1"), root=EMPTY_ROOT, key=b"key 1")


def test_changes_without_effect_share_the_whole_tree() -> None:
    same = TREE.update(PAIRS | dict.fromkeys(ABSENT))
    assert same._root_node is TREE._root_node


def test_update_hashed_equals_update() -> None:
    hashed: dict[bytes, bytes | None] = {
        sha256(key).digest(): sha256(value).digest() for key, value in PAIRS.items() if value is not None
    }
    assert SparseMerkleTree().update_hashed(hashed).root == TREE.root


def test_every_key_proves_and_every_other_is_absent() -> None:
    for key, value in PAIRS.items():
        assert value is not None
        verify_presence(TREE.prove(key), root=TREE.root, key=key, value=value)
        with pytest.raises(VerificationError):
            verify_presence(TREE.prove(key), root=TREE.root, key=key, value=value + b"\x00")
        with pytest.raises(VerificationError):
            verify_absence(TREE.prove(key), root=TREE.root, key=key)
    for key in ABSENT:
        verify_absence(TREE.prove(key), root=TREE.root, key=key)
        with pytest.raises(VerificationError):
            verify_presence(TREE.prove(key), root=TREE.root, key=key, value=b"")


def test_row_2_absence_cannot_be_forged_for_a_present_key() -> None:
    key = b"key 7"
    path, value_hash = sha256(key).digest(), sha256(b"value 7").digest()
    honest = TREE.prove(key)
    forgeries = {
        "the key's own leaf": replace(honest, other_leaf=LeafOnPath(path, value_hash)),
        "no leaf": honest,
        "cut": SparseMerkleProof(honest.siblings[:-1]),
        "empty": SparseMerkleProof(()),
    }
    for other in [*PAIRS, *ABSENT]:
        if other != key:
            theirs = TREE.prove(other)
            forgeries[f"proof of {other!r}"] = theirs
            other_value = PAIRS.get(other) or b""
            leaf = LeafOnPath(sha256(other).digest(), sha256(other_value).digest())
            forgeries[f"leaf of {other!r}"] = replace(theirs, other_leaf=leaf)
    for name, forged in forgeries.items():
        with pytest.raises(VerificationError):
            verify_absence(forged, root=TREE.root, key=key)
        assert name


def test_row_2_leaf_off_the_path_does_not_prove_absence() -> None:
    # A tree that is not built by the rules: the leaf of "a" stands on the side where "b" belongs.
    def bit(key: bytes) -> int:
        return sha256(key).digest()[0] >> 7

    key = next(b"%d" % i for i in range(100) if bit(b"%d" % i) == 0)
    other = next(b"%d" % i for i in range(100) if bit(b"%d" % i) == 1)
    leaf = LeafOnPath(sha256(other).digest(), bytes(32))
    leaf_hash = sha256(b"\x00" + leaf.path + leaf.value_hash).digest()
    sibling = b"\x55" * 32
    root = sha256(b"\x01" + leaf_hash + sibling).digest()
    with pytest.raises(VerificationError, match="on the path"):
        verify_absence(SparseMerkleProof((sibling,), leaf), root=root, key=key)


def test_row_2_zero_root_proves_only_absence() -> None:
    verify_absence(SparseMerkleProof(()), root=EMPTY_ROOT, key=b"any")
    with pytest.raises(VerificationError):
        verify_presence(SparseMerkleProof(()), root=EMPTY_ROOT, key=b"any", value=b"")


def test_proof_that_is_deeper_than_a_compact_tree_is_refused() -> None:
    key = b"key"
    path = sha256(key).digest()
    leaf = sha256(b"\x00" + path + sha256(b"value").digest()).digest()
    left, right = (EMPTY_ROOT, leaf) if path[0] >> 7 else (leaf, EMPTY_ROOT)
    root = sha256(b"\x01" + left + right).digest()
    with pytest.raises(VerificationError, match="compact"):
        verify_presence(SparseMerkleProof((EMPTY_ROOT,)), root=root, key=key, value=b"value")
    root = sha256(b"\x01" + bytes(64)).digest()
    with pytest.raises(VerificationError, match="compact"):
        verify_absence(SparseMerkleProof((EMPTY_ROOT,)), root=root, key=key)


def test_row_17_inner_node_is_no_leaf() -> None:
    node = TREE._root_node
    assert node is not None
    siblings = TREE.prove(b"key 3").siblings
    # The root dressed as a leaf: 64 bytes of children in place of path and value hash.
    with pytest.raises(VerificationError):
        verify_absence(SparseMerkleProof((), LeafOnPath(siblings[0], bytes(32))), root=TREE.root, key=b"key 3")


@pytest.mark.parametrize("length", [0, 31, 33])
def test_hashes_of_other_lengths_are_refused(length: int) -> None:
    proof = TREE.prove(b"key 3")
    with pytest.raises(VerificationError, match="32 bytes"):
        verify_presence(
            replace(proof, siblings=(bytes(length), *proof.siblings[1:])),
            root=TREE.root,
            key=b"key 3",
            value=b"value 3",
        )
    key = key_whose_proof(ends_in_leaf=True)
    honest = TREE.prove(key)
    assert honest.other_leaf is not None
    for other in (replace(honest.other_leaf, path=bytes(length)), replace(honest.other_leaf, value_hash=bytes(length))):
        with pytest.raises(VerificationError, match="32 bytes"):
            verify_absence(replace(honest, other_leaf=other), root=TREE.root, key=key)


def test_over_long_proofs_are_refused() -> None:
    with pytest.raises(VerificationError, match="deeper"):
        verify_presence(SparseMerkleProof((b"\x01" * 32,) * 257), root=TREE.root, key=b"key 3", value=b"value 3")
    other = LeafOnPath(bytes(32), bytes(32))
    with pytest.raises(VerificationError, match="deeper"):
        verify_absence(SparseMerkleProof((b"\x01" * 32,) * 257, other), root=TREE.root, key=b"key 3")


@pytest.mark.parametrize("ends_in_leaf", [True, False])
def test_row_1_every_single_bit_change_of_an_absence_proof(ends_in_leaf: bool) -> None:
    key = key_whose_proof(ends_in_leaf=ends_in_leaf)
    encoded = TREE.prove(key).encode()
    verify_absence(SparseMerkleProof.decode(encoded), root=TREE.root, key=key)
    for bit in range(8 * len(encoded)):
        with pytest.raises((DecodingError, VerificationError)):
            verify_absence(SparseMerkleProof.decode(flip(encoded, bit)), root=TREE.root, key=key)
    for bit in range(256):
        with pytest.raises(VerificationError):
            verify_absence(SparseMerkleProof.decode(encoded), root=flip(TREE.root, bit), key=key)


def test_row_1_every_single_bit_change_of_a_presence_proof() -> None:
    key, value = b"key 9", b"value 9"
    proof = TREE.prove(key)
    encoded = proof.encode()
    for bit in range(8 * len(encoded)):
        with pytest.raises((DecodingError, VerificationError)):
            verify_presence(SparseMerkleProof.decode(flip(encoded, bit)), root=TREE.root, key=key, value=value)
    for bit in range(8 * len(value)):
        with pytest.raises(VerificationError):
            verify_presence(proof, root=TREE.root, key=key, value=flip(value, bit))
    for bit in range(8 * len(key)):
        with pytest.raises(VerificationError):
            verify_presence(proof, root=TREE.root, key=flip(key, bit), value=value)


@pytest.mark.parametrize("key", [b"key 3", key_whose_proof(ends_in_leaf=True), key_whose_proof(ends_in_leaf=False)])
def test_encoding_round_trip_and_its_strictness(key: bytes) -> None:
    proof = TREE.prove(key)
    encoded = proof.encode()
    assert SparseMerkleProof.decode(encoded) == proof
    for bad in (*(encoded[:length] for length in range(len(encoded))), encoded + b"\x00", b"\x02" + encoded[1:]):
        with pytest.raises(DecodingError):
            SparseMerkleProof.decode(bad)
    with pytest.raises(DecodingError, match="deeper"):
        SparseMerkleProof.decode(b"\x00\x01\x01" + bytes(257 * 32))
