"""Rows 1 to 4, 15 and 17 to 20: proofs, encodings, headers. Each test is one real failure, planted.

These need no chain: they are about the verifiers in ``crypto`` and ``cometbft`` and the light client.
"""

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest
import rlp  # type: ignore[import-untyped]
from trie.hexary import HexaryTrie

from piebridge.cometbft.commit import BlockIdFlag, Commit, CommitSig
from piebridge.cometbft.header import Header
from piebridge.cometbft.verification import (
    DEFAULT_TRUST_LEVEL,
    minimal_commit,
    verify_commit,
    verify_commit_minimal,
    verify_commit_trusting,
)
from piebridge.crypto import merkle, simple_map, sparse_merkle
from piebridge.crypto.errors import DecodingError, ProtocolError, VerificationError
from piebridge.crypto.hash import keccak256, sha256
from piebridge.crypto.patricia import verify_storage, verify_value
from piebridge.crypto.sparse_merkle import EMPTY_ROOT, LeafOnPath, SparseMerkleProof, SparseMerkleTree
from piebridge.protocol_stack.application.door import DoorMessage, InteroperableAddress
from piebridge.protocol_stack.governor_hub_bodies import ApplicationCall
from piebridge.protocol_stack.packet import packet_id, packets_hash
from piebridge.protocol_stack.receipts import Receipt, ReceiptBatch, ReceiptCode
from piebridge.protocol_stack.relay_messages import LightBlock
from piebridge.protocol_stack.signing import governor_hub_digest
from piebridge.protocol_stack.verdicts import OriginVerdict, ParticipantVerdict, Verdict, VerdictList
from piebridge.protocol_stack.verification.light_clients.cometbft import (
    ClientParameters,
    ConsensusState,
    is_misbehaviour,
    verify_update,
)
from testkit.source_chain import NANOSECONDS, SourceChain
from testkit.world.mutations import changes

HUB = b"\x0c" * 20
"""Address of the hub of the source chain."""


@pytest.fixture(scope="module")
def chain() -> SourceChain:
    chain = SourceChain("rows", HUB)
    for number in range(60):
        chain.write(keccak256(bytes([number])), number + 1)
    for _ in range(6):
        chain.close_block()
    return chain


def slot(number: int) -> bytes:
    return keccak256(bytes([number]))


def storage(chain: SourceChain, number: int) -> tuple[bytes, int, list[bytes]]:
    """Storage root, slot and proof nodes of a slot."""
    proof = chain.prove([slot(number)], chain.height)
    root = chain.block_at(chain.height).storage.root_hash
    return root, int.from_bytes(slot(number), "big"), list(proof.slots[0].proof)


def sparse(size: int = 40) -> SparseMerkleTree:
    return SparseMerkleTree().update({b"key %d" % i: b"value %d" % i for i in range(size)})


LEAVES = [b"leaf %d" % i for i in range(11)]
"""Eleven leaves: a tree with lone nodes on two levels."""


# ---------------------------------------------------------------------------------------------------------------- 1


def test_row_01_no_change_of_a_patricia_proof_proves_anything_else(chain: SourceChain) -> None:
    """BNB Token Hub (586 M$): a node could change below an equal hash. Every change of every node is refused."""
    root, position, nodes = storage(chain, 7)
    assert verify_storage(root, position, nodes) == 8
    tried = 0
    for index, node in enumerate(nodes):
        for mutant in changes(node, step=5):
            tried += 1
            with pytest.raises(ProtocolError):
                verify_storage(root, position, [*nodes[:index], mutant, *nodes[index + 1 :]])
    assert tried > 1_000


def test_row_01_no_change_of_a_sparse_merkle_proof_proves_anything_else() -> None:
    """The same for the relay chain's own state tree: siblings, key, value and root."""
    tree = sparse()
    proof = tree.prove(b"key 3")
    arguments = {"root": tree.root, "key": b"key 3", "value": b"value 3"}
    sparse_merkle.verify_presence(proof, **arguments)
    encoded = proof.encode()
    assert SparseMerkleProof.decode(encoded) == proof
    for mutant in changes(encoded):
        with pytest.raises(ProtocolError):
            sparse_merkle.verify_presence(SparseMerkleProof.decode(mutant), **arguments)
    for name, value in arguments.items():
        for mutant in changes(value):
            with pytest.raises(ProtocolError):
                sparse_merkle.verify_presence(proof, **(arguments | {name: mutant}))


def test_row_01_no_change_of_an_rfc_6962_proof_proves_anything_else() -> None:
    """The same for CometBFT's simple tree, both sides of every inner node."""
    root = merkle.root(LEAVES)
    for index, leaf in enumerate(LEAVES):
        proof = merkle.prove(LEAVES, index)
        merkle.verify_proof(proof, root=root, leaf=leaf)
        for place, aunt in enumerate(proof.aunts):
            for mutant in (*changes(aunt, step=3), b"", aunt[::-1]):
                forged = replace(proof, aunts=(*proof.aunts[:place], mutant, *proof.aunts[place + 1 :]))
                with pytest.raises(VerificationError):
                    merkle.verify_proof(forged, root=root, leaf=leaf)
            swapped = replace(proof, aunts=tuple(reversed(proof.aunts)))
            if swapped != proof:
                with pytest.raises(VerificationError):
                    merkle.verify_proof(swapped, root=root, leaf=leaf)


# ---------------------------------------------------------------------------------------------------------------- 2


def absence_forgeries(tree: SparseMerkleTree, key: bytes) -> Iterator[SparseMerkleProof]:
    """Proofs of absence of a present key."""
    genuine = tree.prove(key)
    yield genuine
    yield SparseMerkleProof(())
    for depth in range(len(genuine.siblings) + 1):
        yield SparseMerkleProof(genuine.siblings[:depth])
        for other in range(40):
            leaf = LeafOnPath(sha256(b"key %d" % other), sha256(b"value %d" % other))
            yield SparseMerkleProof(genuine.siblings[:depth], leaf)
    yield SparseMerkleProof((*genuine.siblings, EMPTY_ROOT))
    yield SparseMerkleProof(genuine.siblings, LeafOnPath(sha256(key), sha256(b"another value")))


def test_row_02_absence_of_a_present_key_is_never_proven() -> None:
    """Dragonberry: forged absence proofs gave forged time-outs. Neighbours, prefixes, cut paths, the key itself."""
    tree = sparse()
    for number in range(0, 40, 5):
        for forged in absence_forgeries(tree, b"key %d" % number):
            with pytest.raises(VerificationError):
                sparse_merkle.verify_absence(forged, root=tree.root, key=b"key %d" % number)
    sparse_merkle.verify_absence(tree.prove(b"key 99"), root=tree.root, key=b"key 99")


def test_row_02_the_empty_tree_proves_absence_only_under_its_own_root() -> None:
    """An empty proof succeeds for the empty tree and for no other."""
    sparse_merkle.verify_absence(SparseMerkleProof(()), root=EMPTY_ROOT, key=b"key 1")
    with pytest.raises(VerificationError):
        sparse_merkle.verify_absence(SparseMerkleProof(()), root=sparse().root, key=b"key 1")
    with pytest.raises(VerificationError):
        sparse_merkle.verify_presence(SparseMerkleProof(()), root=EMPTY_ROOT, key=b"", value=b"")


def test_row_02_absence_of_a_present_slot_is_never_proven(chain: SourceChain) -> None:
    """Status bits 00 abort a transaction after its expiry, so absence in a hub's storage must not be forgeable."""
    root, position, nodes = storage(chain, 7)
    other_root, _, other_nodes = storage(chain, 8)
    assert root == other_root
    for forged in ([], nodes[:-1], nodes[:1], other_nodes, [*nodes[:-1], other_nodes[-1]], [*nodes, b"\x80"]):
        with pytest.raises(ProtocolError):
            verify_storage(root, position, forged)
    absent = int.from_bytes(keccak256(b"never written"), "big")
    proof = chain.prove([keccak256(b"never written")], chain.height).slots[0].proof
    assert verify_storage(root, absent, proof) == 0


# ---------------------------------------------------------------------------------------------------------------- 3


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 11])
def test_row_03_no_position_outside_of_the_tree_is_proven(size: int) -> None:
    """Hyperbridge (2.5 M$): leaf index beyond the count, count 0, left-over siblings, paths too long or too short."""
    leaves = LEAVES[:size]
    root = merkle.root(leaves)
    for index in range(size):
        proof = merkle.prove(leaves, index)
        merkle.verify_proof(proof, root=root, leaf=leaves[index])
        forged = [
            replace(proof, index=size),
            replace(proof, index=index + size),
            replace(proof, index=-1),
            replace(proof, index=index + 2**32),
            replace(proof, total=0),
            replace(proof, total=-1),
            replace(proof, total=2**63),
            replace(proof, aunts=(*proof.aunts, root)),
            replace(proof, aunts=(*proof.aunts, proof.leaf_hash)),
            replace(proof, aunts=()),
            replace(proof, aunts=proof.aunts[1:]),
            replace(proof, leaf_hash=root),
        ]
        for item in forged:
            if item == proof or (size == 1 and item == replace(proof, leaf_hash=root)):
                continue
            with pytest.raises(VerificationError):
                merkle.verify_proof(item, root=root, leaf=leaves[index])


def test_row_03_zero_leaves_prove_nothing() -> None:
    """Empty proofs that "succeed": the root of no leaves has no leaf in it."""
    empty = merkle.root([])
    for leaf in (b"", b"\x00", empty):
        for total in (0, 1):
            with pytest.raises(VerificationError):
                merkle.verify_proof(merkle.Proof(0, total, merkle.leaf_hash(leaf), ()), root=empty, leaf=leaf)


def test_row_03_nodes_left_over_are_refused(chain: SourceChain) -> None:
    """A proof that proves and then goes on is another encoding of the same proof: refused."""
    root, position, nodes = storage(chain, 7)
    for extra in (nodes[0], nodes[-1], b"", b"\xc0", rlp.encode([b"\x20", b"value"])):
        with pytest.raises(ProtocolError):
            verify_storage(root, position, [*nodes, extra])
    with pytest.raises(VerificationError):
        verify_value(HexaryTrie({}).root_hash, keccak256(b"key"), [b"\x80"])


# ---------------------------------------------------------------------------------------------------------------- 4


def test_row_04_a_proof_for_one_position_is_none_for_another() -> None:
    """CometBFT ASA-2025-002: the declared part index was not compared with the one in its Merkle proof."""
    root = merkle.root(LEAVES)
    for index, leaf in enumerate(LEAVES):
        proof = merkle.prove(LEAVES, index)
        merkle.verify_proof(proof, root=root, leaf=leaf, index=index, total=len(LEAVES))
        for other in range(len(LEAVES) + 2):
            if other != index:
                with pytest.raises(VerificationError):
                    merkle.verify_proof(proof, root=root, leaf=leaf, index=other)
                with pytest.raises(VerificationError):
                    merkle.verify_proof(replace(proof, index=other), root=root, leaf=leaf, index=other)
        for total in (len(LEAVES) - 1, len(LEAVES) + 1, 16):
            with pytest.raises(VerificationError):
                merkle.verify_proof(proof, root=root, leaf=leaf, total=total)


# ---------------------------------------------------------------------------------------------------------------- 15


def reencoded(node: bytes) -> Iterator[bytes]:
    """Other encodings of what a trie node says."""
    items = rlp.decode(node)
    yield b"\xf8" + bytes([len(node)]) + node[1:] if node[0] < 0xF8 else node[:1] + b"\x00" + node[1:]
    yield node + b"\x00"
    yield rlp.encode([*items, b""])
    if len(items) == 2:
        path = items[0]
        yield rlp.encode([bytes([path[0] | 0x40]) + path[1:], items[1]])
        if not path[0] & 0x10:
            yield rlp.encode([bytes([path[0] | 0x01]) + path[1:], items[1]])
        yield rlp.encode([b"\x00" + path, items[1]])
        yield rlp.encode([path, b"\x00" + items[1]])


def test_row_15_other_encodings_of_a_proof_are_refused(chain: SourceChain) -> None:
    """Polygon Plasma (850 M$ at risk): other encodings of one branch mask gave new exits."""
    root, position, nodes = storage(chain, 7)
    tried = 0
    for index, node in enumerate(nodes):
        for mutant in reencoded(node):
            tried += 1
            with pytest.raises(ProtocolError):
                verify_storage(root, position, [*nodes[:index], mutant, *nodes[index + 1 :]])
    assert tried >= 6


def test_row_15_a_value_in_another_encoding_is_refused_under_its_own_root() -> None:
    """Even a source chain that hashes a non-minimal integer or a zero into its trie cannot have it proven."""
    key = (7).to_bytes(32, "big")
    for encoded in (rlp.encode(b"\x00\x05"), b"\x81\x05", rlp.encode(b""), b"\x80", b"\x05\x00", b""):
        trie = HexaryTrie({})
        trie[keccak256(key)] = encoded or b"\xc0"
        nodes = proof_in(trie, key)
        with pytest.raises(DecodingError):
            verify_storage(trie.root_hash, 7, nodes)
    trie = HexaryTrie({})
    trie[keccak256(key)] = rlp.encode(b"\x05")
    assert verify_storage(trie.root_hash, 7, proof_in(trie, key)) == 5


def proof_in(trie: HexaryTrie, key: bytes) -> list[bytes]:
    return [rlp.encode(node) for node in trie.get_proof(keccak256(key))]  # type: ignore[no-untyped-call]


def protobuf_variants(encoded: bytes) -> Iterator[bytes]:
    """Encodings that a lenient protobuf decoder takes for the same message."""
    yield encoded + b"\xfa\x7f\x00"
    yield b"\xfa\x7f\x00" + encoded
    yield encoded + b"\x78\x01"
    yield encoded + encoded[:2]
    if encoded[1] < 0x80:
        yield encoded[:1] + bytes([encoded[1] | 0x80, 0]) + encoded[2:]
    yield bytes([encoded[0] | 0x80, 0]) + encoded[1:]
    yield encoded[:-1]


def test_row_15_other_encodings_of_a_header_update_are_refused(chain: SourceChain) -> None:
    """Reordered, repeated, unknown and non-minimal fields of header, commit and sets."""
    parameters, trusted, update, now = client_of(chain, 2, 4)
    assert verify_update(parameters, trusted, update, now).height_on_source == 4
    for name in ("header", "commit", "validator_set", "trusted_validator_set"):
        for variant in protobuf_variants(getattr(update, name)):
            with pytest.raises(ProtocolError):
                verify_update(parameters, trusted, replace(update, **{name: variant}), now)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------------------- 17


def test_row_17_an_inner_node_is_never_a_leaf() -> None:
    """CVE-2023-34459 and its family: a 64-byte value equal to the two children of an inner node."""
    root = merkle.root(LEAVES[:4])
    left = merkle.inner_hash(merkle.leaf_hash(LEAVES[0]), merkle.leaf_hash(LEAVES[1]))
    right = merkle.inner_hash(merkle.leaf_hash(LEAVES[2]), merkle.leaf_hash(LEAVES[3]))
    for leaf in (left + right, b"\x01" + left + right, merkle.leaf_hash(LEAVES[0]) + merkle.leaf_hash(LEAVES[1])):
        for total, aunts in ((1, ()), (2, (right,)), (4, (left, right))):
            for leaf_hash in (merkle.leaf_hash(leaf), root, left):
                with pytest.raises(VerificationError):
                    merkle.verify_proof(merkle.Proof(0, total, leaf_hash, aunts), root=root, leaf=leaf)


def test_row_17_a_lone_last_leaf_is_not_doubled() -> None:
    """Bitcoin's CVE-2012-2459: a tree with its last leaf doubled had the same root.

    The root does not commit to the number of leaves, so a caller to whom positions matter declares the total.
    """
    for size in range(1, 12):
        leaves = LEAVES[:size]
        assert merkle.root(leaves) != merkle.root([*leaves, leaves[-1]])
        proof, root = merkle.prove(leaves, size - 1), merkle.root(leaves)
        merkle.verify_proof(proof, root=root, leaf=leaves[-1], total=size)
        for doubled in (replace(proof, index=size), replace(proof, index=size, total=size + 1)):
            with pytest.raises(VerificationError):
                merkle.verify_proof(doubled, root=root, leaf=leaves[-1], total=size)


def test_row_17_sparse_leaves_and_inner_nodes_have_different_prefixes() -> None:
    """A value whose hash is an inner node's child proves nothing about that node."""
    tree = sparse(2)
    first, second = (tree.prove(b"key %d" % i) for i in (0, 1))
    for key in (b"key 0", b"key 9"):
        for siblings in ((), first.siblings, second.siblings, (tree.root,)):
            for value in (tree.root, first.siblings[0] + second.siblings[0], b""):
                with pytest.raises(VerificationError):
                    sparse_merkle.verify_presence(SparseMerkleProof(siblings), root=tree.root, key=key, value=value)


def test_row_17_a_store_cannot_be_shown_as_its_value() -> None:
    """Two trees one above the other: the root of a store is a value in the map above and nothing else."""
    stores = {b"endorsed": sha256(b"1"), b"state": sha256(b"2")}
    root = simple_map.root(stores)
    operator = simple_map.prove(stores, b"state")
    simple_map.verify(operator, root=root, key=b"state", value=stores[b"state"])
    for key, value in ((b"endorsed", stores[b"state"]), (b"state", stores[b"endorsed"]), (b"state", root), (b"", b"")):
        with pytest.raises(VerificationError):
            simple_map.verify(operator, root=root, key=key, value=value)


# ---------------------------------------------------------------------------------------------------------------- 18


def moved(first: bytes, second: bytes, random: Random) -> tuple[bytes, bytes]:
    """The same bytes with the border between two fields elsewhere."""
    joined = first + second
    border = random.choice([place for place in range(len(joined) + 1) if place != len(first)])
    return joined[:border], joined[border:]


def test_row_18_bytes_moved_across_a_field_border_give_another_digest() -> None:
    """``abi.encodePacked`` collisions. 20 000 random pairs over every place with neighbouring fields of free length."""
    random = Random(18)
    sender, recipient = InteroperableAddress(1, bytes(20)), InteroperableAddress(2**40, b"\x01" * 20)
    for _ in range(4_000):
        first, second = random.randbytes(random.randrange(1, 60)), random.randbytes(random.randrange(1, 60))
        left, right = moved(first, second, random)
        key = keccak256(first)
        # The body behind the header of a packet, whose length is hashed with it.
        assert packet_id(bytes(136), keccak256(first)) != packet_id(bytes(136), keccak256(left))
        # Returned data of neighbouring receipts.
        batches = [
            ReceiptBatch(1, tuple(Receipt(key, ReceiptCode.EXECUTED, data) for data in pair))
            for pair in ((first, second), (left, right))
        ]
        assert batches[0].message_id(7) != batches[1].message_id(7)
        # Contract, counter and body of a governor message.
        digests = [
            governor_hub_digest(1, 2, 3, 14, bytes(20), 5, ApplicationCall(2, data).encode()) for data in (first, left)
        ]
        assert digests[0] != digests[1]
        # Payload and addresses of a door message.
        messages = [DoorMessage(sender, recipient, first).encode(), DoorMessage(recipient, sender, first).encode()]
        assert messages[0] != messages[1]
        # Ids of a transaction's packets.
        ids = [keccak256(first), keccak256(second)]
        assert len({packets_hash(ids), packets_hash(ids[:1]), packets_hash(ids[::-1]), packets_hash([])}) == 4


def test_row_18_verdicts_of_other_forms_and_borders_never_collide() -> None:
    """Items of 9, 41 and 17 bytes in one list: form and count stand in front of them."""
    lists = [
        VerdictList((OriginVerdict(1, Verdict.COMMIT), OriginVerdict(2, Verdict.COMMIT))),
        VerdictList((OriginVerdict(1, Verdict.COMMIT),)),
        VerdictList((OriginVerdict(1, Verdict.ABORT, (2 << 192 | 2 << 184).to_bytes(32, "big")),)),
        VerdictList((ParticipantVerdict(1, 0, 2, Verdict.COMMIT),)),
        VerdictList((ParticipantVerdict(1, 0, 2, Verdict.COMMIT), ParticipantVerdict(1, 0, 3, Verdict.COMMIT))),
    ]
    assert len({item.message_id for item in lists}) == len(lists)


# ---------------------------------------------------------------------------------------------------------------- 19


def forged_commits(chain: SourceChain, height: int) -> Iterator[tuple[str, Commit]]:
    """Commits with parts exchanged between their signatures."""
    commit = chain.light_blocks[height].commit
    signatures = commit.signatures
    first, second, third, fourth = signatures
    yield "two signatures exchanged", replace(commit, signatures=(second, first, third, fourth))
    yield "rotated", replace(commit, signatures=(second, third, fourth, first))
    yield (
        "addresses exchanged",
        replace(
            commit,
            signatures=(
                replace(first, validator_address=second.validator_address),
                replace(second, validator_address=first.validator_address),
                third,
                fourth,
            ),
        ),
    )
    yield (
        "times exchanged",
        replace(
            commit,
            signatures=(
                replace(first, timestamp_ns=second.timestamp_ns),
                replace(second, timestamp_ns=first.timestamp_ns),
                third,
                fourth,
            ),
        ),
    )
    yield (
        "time one nanosecond later",
        replace(commit, signatures=(replace(first, timestamp_ns=first.timestamp_ns + 1), second, third, fourth)),
    )
    yield (
        "vote for nil dressed as commit",
        replace(commit, signatures=(first, *[nil(s) for s in (second, third)], fourth)),
    )
    yield "one signature four times", replace(commit, signatures=(first,) * 4)
    yield "one signature less", replace(commit, signatures=(first, second, third))
    yield "one signature more", replace(commit, signatures=(*signatures, fourth))
    yield "none", replace(commit, signatures=())
    yield "another round", replace(commit, round=1)
    yield "another height", replace(commit, height=height + 1)


def nil(signature: CommitSig) -> CommitSig:
    return replace(signature, flag=BlockIdFlag.NIL)


def test_row_19_signature_check_and_everything_else_look_at_the_same_thing(chain: SourceChain) -> None:
    """Tachyon (CSA-2026-001): index, address, time and flag of a commit permuted among its signatures."""
    block = chain.light_blocks[4]
    verify_commit(chain.chain_id, block.validators, block.commit)
    verify_commit_minimal(chain.chain_id, block.validators, minimal_commit(block.validators, block.commit))
    tried = 0
    for name, forged in forged_commits(chain, 4):
        tried += 1
        with pytest.raises(ProtocolError):
            verify_commit(chain.chain_id, block.validators, forged)
        with pytest.raises(ProtocolError):
            verify_commit_minimal(chain.chain_id, block.validators, forged)
        assert name
    assert tried == 12


def test_row_19_skipping_counts_a_trusted_validator_once(chain: SourceChain) -> None:
    """By address, so a repeated signature must not count again."""
    block = chain.light_blocks[4]
    verify_commit_trusting(chain.chain_id, block.validators, block.commit, DEFAULT_TRUST_LEVEL)
    doubled = replace(block.commit, signatures=(block.commit.signatures[0],) * 4)
    with pytest.raises(VerificationError):
        verify_commit_trusting(chain.chain_id, block.validators, doubled, DEFAULT_TRUST_LEVEL)


# ---------------------------------------------------------------------------------------------------------------- 20


def client_of(
    chain: SourceChain, trusted_height: int, height: int
) -> tuple[ClientParameters, ConsensusState, LightBlock, int]:
    """Parameters, trusted state, update and time of a light client."""
    parameters = ClientParameters(chain.chain_id, 1_000, 5)
    return parameters, chain.consensus_state(trusted_height), chain.update(trusted_height, height), now_of(chain)


def now_of(chain: SourceChain) -> int:
    return (chain.now_seconds + 1) * NANOSECONDS


def resigned(chain: SourceChain, trusted_height: int, header: Header) -> LightBlock:
    """An update to a forged header that all validators of the chain have signed."""
    return chain.update_to(trusted_height, chain.signed(header))


def test_row_20_headers_that_a_light_client_must_refuse(chain: SourceChain) -> None:
    """GHSA-f3w5-v9xx-rp8p (forward lunatic): signed by everybody and still refused."""
    parameters, trusted, update, now = client_of(chain, 2, 5)
    genuine = chain.light_blocks[5].header
    assert verify_update(parameters, trusted, update, now).height_on_source == 5
    forged = {
        "in the future": replace(genuine, time_ns=now + 6 * NANOSECONDS),
        "not after the trusted time": replace(genuine, time_ns=trusted.time_ns),
        "at the trusted height": replace(genuine, height=2),
        "below the trusted height": replace(genuine, height=1),
        "of another chain": replace(genuine, chain_id="evm-others"),
        "validators that nobody announced": replace(genuine, validators_hash=sha256(b"others")),
        "of another block version": replace(genuine, version=replace(genuine.version, block=12)),
        "with a short app hash": replace(genuine, app_hash=b"\x01" * 31),
    }
    for name, header in forged.items():
        try:
            lie = resigned(chain, 2, header)
        except KeyError:
            lie = replace(update, header=header.encode())
        with pytest.raises(ProtocolError):
            verify_update(parameters, trusted, lie, now)
        assert name


def test_row_20_a_trusted_header_past_its_period_vouches_for_nothing(chain: SourceChain) -> None:
    """Beyond the trusting period validators may sign anything without a punishment."""
    parameters, trusted, update, _ = client_of(chain, 2, 5)
    end = trusted.time_ns + 1_000 * NANOSECONDS
    assert verify_update(parameters, trusted, update, end - 1)
    for now in (end, end + 1, end * 2):
        with pytest.raises(VerificationError):
            verify_update(parameters, trusted, update, now)


def test_row_20_a_wrong_next_validator_hash_ends_at_the_next_header(chain: SourceChain) -> None:
    """A header that announces other validators is the only one that they can sign on from, and vice versa."""
    parameters, trusted, update, now = client_of(chain, 3, 4)
    assert verify_update(parameters, trusted, update, now)
    elsewhere = replace(trusted, next_validators_hash=sha256(b"others"))
    for height in (4, 5):
        with pytest.raises(VerificationError):
            verify_update(parameters, elsewhere, chain.update(3, height), now)


def test_row_20_two_headers_of_one_height_are_misbehaviour(chain: SourceChain) -> None:
    """Equivocation of more than a third: both headers verify, so the client has to freeze."""
    parameters, trusted, update, now = client_of(chain, 2, 5)
    genuine = verify_update(parameters, trusted, update, now)
    lie = replace(chain.light_blocks[5].header, app_hash=sha256(b"another state"))
    second = verify_update(parameters, trusted, resigned(chain, 2, lie), now)
    assert is_misbehaviour(second, [trusted, genuine])
    assert not is_misbehaviour(genuine, [trusted, genuine])
    early = replace(chain.light_blocks[5].header, time_ns=chain.light_blocks[4].header.time_ns - 1)
    fourth = verify_update(parameters, trusted, chain.update(2, 4), now)
    contradicting = verify_update(parameters, trusted, resigned(chain, 2, early), now)
    assert is_misbehaviour(contradicting, [trusted, fourth])
