"""Our Merkle-Patricia verifier against py-trie: it reads what the other proves, and refuses every changed proof."""

import random
from collections.abc import Mapping, Sequence

import rlp  # type: ignore[import-untyped]
from trie.hexary import HexaryTrie

from piebridge.crypto.errors import ProtocolError
from piebridge.crypto.hash import keccak256
from piebridge.crypto.patricia import verify_value

KEYS = 400
ABSENT_KEYS = 100
CHANGES_OF_EACH_PROOF = 40


def run_round(seed: int) -> Mapping[str, int]:
    """Fills a trie, proves present and absent keys, and changes each proof at random places."""
    random_source = random.Random(seed)
    trie = HexaryTrie({})
    values = {
        keccak256(random_source.randbytes(8)): random_source.randbytes(random_source.randint(1, 33))
        for _ in range(KEYS)
    }
    for key, value in values.items():
        trie[key] = value
    keys = [*values, *(keccak256(random_source.randbytes(9)) for _ in range(ABSENT_KEYS))]
    refused = 0
    for key in keys:
        proof = [rlp.encode(node) for node in trie.get_proof(key)]  # type: ignore[no-untyped-call]
        assert verify_value(trie.root_hash, key, proof) == values.get(key)
        refused += sum(
            is_refused(trie.root_hash, key, changed(proof, random_source)) for _ in range(CHANGES_OF_EACH_PROOF)
        )
    assert refused == len(keys) * CHANGES_OF_EACH_PROOF
    return {"proofs": len(keys), "changed proofs refused": refused}


def changed(proof: Sequence[bytes], random_source: random.Random) -> list[bytes]:
    """Returns the proof with one difference: a bit, a byte more or less, a node left out, doubled or moved."""
    nodes = list(proof)
    place = random_source.randrange(len(nodes))
    kind = random_source.randrange(5 if len(nodes) > 1 else 4)
    if kind == 0:
        node = bytearray(nodes[place])
        node[random_source.randrange(len(node))] ^= 1 << random_source.randrange(8)
        nodes[place] = bytes(node)
    elif kind == 1:
        nodes[place] = nodes[place][:-1] if random_source.random() < 0.5 else nodes[place] + random_source.randbytes(1)
    elif kind == 2:
        del nodes[place]
    elif kind == 3:
        nodes.insert(place, nodes[place])
    else:
        other = random_source.choice([number for number in range(len(nodes)) if number != place])
        nodes[place], nodes[other] = nodes[other], nodes[place]
    return nodes


def is_refused(root: bytes, key: bytes, proof: Sequence[bytes]) -> bool:
    """Tells whether the verifier refuses a proof with the error that it declares; any other exception goes up."""
    try:
        verify_value(root, key, proof)
    except ProtocolError:
        return True
    return False
