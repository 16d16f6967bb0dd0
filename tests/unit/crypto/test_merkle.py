import json
from dataclasses import replace
from pathlib import Path

import pytest

from piebridge.crypto import merkle
from piebridge.crypto.errors import VerificationError
from piebridge.crypto.hash import sha256

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "rfc6962.json").read_text())
LEAVES = [bytes.fromhex(leaf) for leaf in VECTORS["leaves"]]


def reference_root(leaves: list[bytes]) -> bytes:
    """The definition of RFC 6962 section 2.1, word by word."""
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0])
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + reference_root(leaves[:split]) + reference_root(leaves[split:]))


@pytest.mark.parametrize("count", range(9))
def test_root_known_answers(count: int) -> None:
    assert merkle.root(LEAVES[:count]).hex() == VECTORS["roots"][count]


@pytest.mark.parametrize("count", [*range(1, 34), 63, 64, 65, 100])
def test_every_leaf_of_every_size_proves(count: int) -> None:
    leaves = [b"leaf %d" % i for i in range(count)]
    root, proofs = merkle.prove_all(leaves)
    assert root == reference_root(leaves)
    for index, proof in enumerate(proofs):
        assert proof == merkle.prove(leaves, index)
        merkle.verify_proof(proof, root=root, leaf=leaves[index], index=index, total=count)


def test_empty_tree_has_root_and_no_proofs() -> None:
    assert merkle.prove_all([]) == (sha256(b""), [])
    with pytest.raises(IndexError):
        merkle.prove([], 0)


@pytest.mark.parametrize("index", [-1, 3])
def test_no_proof_of_a_leaf_that_is_not_there(index: int) -> None:
    with pytest.raises(IndexError):
        merkle.prove(LEAVES[:3], index)


@pytest.fixture
def five() -> tuple[bytes, list[merkle.Proof]]:
    return merkle.prove_all(LEAVES[:5])


def test_row_3_position_outside_of_the_tree(five: tuple[bytes, list[merkle.Proof]]) -> None:
    root, proofs = five
    for index in (5, 6, 2**64, -1):
        with pytest.raises(VerificationError, match="leaf"):
            merkle.verify_proof(replace(proofs[4], index=index), root=root, leaf=LEAVES[4])


@pytest.mark.parametrize("total", [0, -1, 2**63])
def test_row_3_impossible_totals(five: tuple[bytes, list[merkle.Proof]], total: int) -> None:
    root, proofs = five
    with pytest.raises(VerificationError, match="number of leaves"):
        merkle.verify_proof(replace(proofs[0], total=total), root=root, leaf=LEAVES[0])


def test_row_3_total_one_needs_an_empty_path(five: tuple[bytes, list[merkle.Proof]]) -> None:
    root, proofs = five
    with pytest.raises(VerificationError, match="longer"):
        merkle.verify_proof(replace(proofs[0], total=1), root=root, leaf=LEAVES[0])
    with pytest.raises(VerificationError, match="another root"):
        merkle.verify_proof(replace(proofs[0], total=1, aunts=()), root=root, leaf=LEAVES[0])


def test_row_3_left_over_and_missing_aunts(five: tuple[bytes, list[merkle.Proof]]) -> None:
    root, proofs = five
    for index, proof in enumerate(proofs):
        with pytest.raises(VerificationError, match="longer"):
            merkle.verify_proof(replace(proof, aunts=(*proof.aunts, bytes(32))), root=root, leaf=LEAVES[index])
        with pytest.raises(VerificationError, match="short"):
            merkle.verify_proof(replace(proof, aunts=proof.aunts[:-1]), root=root, leaf=LEAVES[index])


def test_row_3_over_long_path_does_not_stretch_a_large_total(five: tuple[bytes, list[merkle.Proof]]) -> None:
    root, proofs = five
    with pytest.raises(VerificationError, match="longer"):
        merkle.verify_proof(replace(proofs[0], total=2**63 - 1, aunts=(bytes(32),) * 100), root=root, leaf=LEAVES[0])


def test_row_4_declared_position_and_total_are_bound(five: tuple[bytes, list[merkle.Proof]]) -> None:
    root, proofs = five
    merkle.verify_proof(proofs[2], root=root, leaf=LEAVES[2], index=2, total=5)
    with pytest.raises(VerificationError, match="position"):
        merkle.verify_proof(proofs[2], root=root, leaf=LEAVES[2], index=3)
    with pytest.raises(VerificationError, match="total"):
        merkle.verify_proof(proofs[2], root=root, leaf=LEAVES[2], total=6)
    # Leaf 0 of 5 and of 8 have paths of one shape: only the declared total tells them apart.
    stretched = replace(proofs[0], total=8)
    merkle.verify_proof(stretched, root=root, leaf=LEAVES[0])
    with pytest.raises(VerificationError, match="total"):
        merkle.verify_proof(stretched, root=root, leaf=LEAVES[0], total=5)


def test_row_17_inner_node_is_no_leaf() -> None:
    leaves = LEAVES[:4]
    root, _ = merkle.prove_all(leaves)
    left = merkle.inner_hash(merkle.leaf_hash(leaves[0]), merkle.leaf_hash(leaves[1]))
    right = merkle.inner_hash(merkle.leaf_hash(leaves[2]), merkle.leaf_hash(leaves[3]))
    assert merkle.inner_hash(left, right) == root
    forged = left + right
    with pytest.raises(VerificationError, match="another root"):
        merkle.verify_proof(
            merkle.Proof(index=0, total=1, leaf_hash=merkle.leaf_hash(forged), aunts=()), root=root, leaf=forged
        )
    with pytest.raises(VerificationError, match="leaf hash"):
        merkle.verify_proof(merkle.Proof(index=0, total=1, leaf_hash=root, aunts=()), root=root, leaf=forged)


def test_row_17_duplicated_last_leaf_gives_another_root() -> None:
    assert merkle.root(LEAVES[:3]) != merkle.root([*LEAVES[:3], LEAVES[2]])


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_hashes_of_other_lengths_are_refused(five: tuple[bytes, list[merkle.Proof]], length: int) -> None:
    root, proofs = five
    with pytest.raises(VerificationError, match="32 bytes"):
        merkle.root_from_proof(replace(proofs[0], leaf_hash=bytes(length)))
    with pytest.raises(VerificationError, match="32 bytes"):
        merkle.verify_proof(replace(proofs[0], aunts=(bytes(length), *proofs[0].aunts[1:])), root=root, leaf=LEAVES[0])


def test_row_1_every_single_bit_change_is_refused(five: tuple[bytes, list[merkle.Proof]]) -> None:
    root, proofs = five
    proof, leaf = proofs[3], LEAVES[3]

    def flip(data: bytes, bit: int) -> bytes:
        return bytes(byte ^ (1 << bit % 8) if i == bit // 8 else byte for i, byte in enumerate(data))

    for bit in range(256):
        with pytest.raises(VerificationError):
            merkle.verify_proof(proof, root=flip(root, bit), leaf=leaf)
        with pytest.raises(VerificationError):
            merkle.verify_proof(replace(proof, leaf_hash=flip(proof.leaf_hash, bit)), root=root, leaf=leaf)
        for level, aunt in enumerate(proof.aunts):
            aunts = (*proof.aunts[:level], flip(aunt, bit), *proof.aunts[level + 1 :])
            with pytest.raises(VerificationError):
                merkle.verify_proof(replace(proof, aunts=aunts), root=root, leaf=leaf)
    for bit in range(8 * len(leaf)):
        with pytest.raises(VerificationError):
            merkle.verify_proof(proof, root=root, leaf=flip(leaf, bit))
    for index in (0, 1, 2, 4):
        with pytest.raises(VerificationError):
            merkle.verify_proof(replace(proof, index=index), root=root, leaf=leaf)
