from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st

from piebridge.crypto.errors import DecodingError, VerificationError
from piebridge.crypto.sparse_merkle import SparseMerkleProof, SparseMerkleTree, verify_absence, verify_presence

KEYS = st.integers(0, 60).map(lambda number: b"%d" % number)
CHANGES = st.dictionaries(KEYS, st.one_of(st.none(), st.binary(max_size=3)), max_size=30)


def reference_root(pairs: dict[bytes, bytes], depth: int = 0) -> bytes:
    """The definition, word by word; ``pairs`` is by path."""
    if not pairs:
        return bytes(32)
    if len(pairs) == 1:
        [(path, value)] = pairs.items()
        return sha256(b"\x00" + path + sha256(value).digest()).digest()
    sides: tuple[dict[bytes, bytes], dict[bytes, bytes]] = ({}, {})
    for path, value in pairs.items():
        sides[path[depth // 8] >> (7 - depth % 8) & 1][path] = value
    return sha256(b"\x01" + reference_root(sides[0], depth + 1) + reference_root(sides[1], depth + 1)).digest()


@given(st.lists(CHANGES, max_size=6))
@settings(max_examples=150, deadline=None)
def test_batches_lead_to_the_defined_root_and_all_proofs_hold(batches: list[dict[bytes, bytes | None]]) -> None:
    tree = SparseMerkleTree()
    model: dict[bytes, bytes] = {}
    for changes in batches:
        before, root_before = tree, tree.root
        tree = tree.update(changes)
        assert before.root == root_before
        for key, value in changes.items():
            if value is None:
                model.pop(key, None)
            else:
                model[key] = value
        assert tree.root == reference_root({sha256(key).digest(): value for key, value in model.items()})
    for number in range(64):
        key = b"%d" % number
        proof = SparseMerkleProof.decode(tree.prove(key).encode())
        if key in model:
            verify_presence(proof, root=tree.root, key=key, value=model[key])
        else:
            verify_absence(proof, root=tree.root, key=key)


@given(st.binary(max_size=300))
def test_decoder_raises_only_its_own_error(data: bytes) -> None:
    try:
        proof = SparseMerkleProof.decode(data)
    except DecodingError:
        return
    assert proof.encode() == data


TREE = SparseMerkleTree().update({b"%d" % number: b"value" for number in range(50)})


@given(st.integers(0, 99), st.integers(0, 99), st.sampled_from([b"value", b"other"]))
@settings(max_examples=500, deadline=None)
def test_proof_of_one_key_serves_no_other(proven: int, claimed: int, value: bytes) -> None:
    proof, key = TREE.prove(b"%d" % proven), b"%d" % claimed

    def holds(present: bool) -> bool:
        try:
            if present:
                verify_presence(proof, root=TREE.root, key=key, value=value)
            else:
                verify_absence(proof, root=TREE.root, key=key)
        except VerificationError:
            return False
        return True

    # A proof may serve two absent keys that end in one empty subtree; never is anything untrue proven.
    if holds(present=True):
        assert claimed < 50
        assert value == b"value"
    if holds(present=False):
        assert claimed >= 50
    if proven == claimed:
        assert holds(present=claimed < 50) == (claimed >= 50 or value == b"value")
