"""Cost of the primitives that every packet passes through, on one core."""

import random

import rlp  # type: ignore[import-untyped]
from trie.hexary import HexaryTrie

from bench.benchmark import Figure, Measured, Options, seconds_per_call
from piebridge.crypto.hash import keccak256, sha256
from piebridge.crypto.patricia import verify_value
from piebridge.crypto.signature import public_key_of, recover_address, sign_recoverable, verify_secp256k1eth
from piebridge.crypto.signature import sign_secp256k1eth as sign_vote
from piebridge.crypto.sparse_merkle import SparseMerkleTree
from piebridge.crypto.threshold.signing import sign_single
from piebridge.crypto.threshold.verification import verify as verify_frost

TRIE_KEYS = 10_000
"""A trie of this size has proofs of about 5 nodes."""

STATE_KEYS = 10_000
"""Pairs in the relay chain's tree before the batch that is measured."""

BATCH = 1_000
"""Changed pairs of one block."""


def measure(options: Options) -> Measured:
    """Times each primitive; values are drawn from a fixed seed."""
    random_source = random.Random(1)
    message, digest, secret = random_source.randbytes(120), random_source.randbytes(32), random_source.randbytes(32)
    signature, vote = sign_recoverable(digest, secret), sign_vote(message, secret)
    public_key = public_key_of(secret)
    frost = sign_single(int.from_bytes(secret, "big"), message, random_source.randbytes(32))
    packet = random_source.randbytes(336)

    trie = HexaryTrie({})
    keys = [keccak256(random_source.randbytes(8)) for _ in range(TRIE_KEYS)]
    for key in keys:
        trie[key] = random_source.randbytes(32)
    proof = [rlp.encode(node) for node in trie.get_proof(keys[0])]  # type: ignore[no-untyped-call]

    state = SparseMerkleTree().update(
        {random_source.randbytes(20): random_source.randbytes(32) for _ in range(STATE_KEYS)}
    )
    batch = {random_source.randbytes(20): random_source.randbytes(32) for _ in range(BATCH)}

    def microseconds(call: object, calls: int) -> Figure:
        assert callable(call)
        return Figure(seconds_per_call(call, repetitions=7, calls=calls) * 1e6, "us")

    figures = {
        "sha256 of a packet": microseconds(lambda: sha256(packet), 20_000),
        "keccak256 of a packet": microseconds(lambda: keccak256(packet), 20_000),
        "recover a signer's address": microseconds(lambda: recover_address(digest, signature), 1_000),
        "verify a validator's vote": microseconds(lambda: verify_secp256k1eth(public_key, message, vote), 1_000),
        "verify a FROST signature": microseconds(lambda: verify_frost(frost, message, public_key), 500),
        f"verify a storage proof of {len(proof)} nodes": microseconds(
            lambda: verify_value(trie.root_hash, keys[0], proof), 1_000
        ),
        f"relay state, batch of {BATCH} with root": Figure(
            BATCH / seconds_per_call(lambda: state.update(batch).root, repetitions=7, calls=1), "puts/s"
        ),
    }
    return Measured(figures)
