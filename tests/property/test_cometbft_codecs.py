"""Property tests of the CometBFT codecs: round trips, one encoding, and decoders under random and mutated input."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piebridge.cometbft.block import Block, Evidence, EvidenceKind
from piebridge.cometbft.commit import (
    MAX_INT32,
    MAX_INT64,
    MAX_UINT32,
    BlockId,
    BlockIdFlag,
    Commit,
    CommitSig,
    PartSetHeader,
)
from piebridge.cometbft.encoding import MAX_TIME_NS, ZERO_TIME_NS, decode_timestamp, encode_timestamp
from piebridge.cometbft.header import Header, Version
from piebridge.cometbft.json_format import (
    commit_from_json,
    commit_to_json,
    format_time,
    header_from_json,
    header_to_json,
    parse_time,
    signed_header_from_json,
    validator_from_json,
)
from piebridge.cometbft.keys import ED25519, PublicKey
from piebridge.cometbft.validator_set import Validator, ValidatorSet
from piebridge.cometbft.verification import LightBlock, SignedHeader
from piebridge.crypto.errors import ProtocolError
from testkit.validators import validator_keys

times = st.integers(ZERO_TIME_NS, MAX_TIME_NS)
hashes = st.one_of(st.just(b""), st.binary(min_size=32, max_size=32))
full_hashes = st.binary(min_size=32, max_size=32)
addresses = st.binary(min_size=20, max_size=20)
block_ids = st.builds(BlockId, hashes, st.builds(PartSetHeader, st.integers(0, MAX_UINT32), hashes))
commit_sigs = st.one_of(
    st.just(CommitSig.absent()),
    st.builds(
        CommitSig,
        st.sampled_from([BlockIdFlag.COMMIT, BlockIdFlag.NIL]),
        addresses,
        times,
        st.binary(min_size=1, max_size=65),
    ),
)
commits = st.builds(
    Commit,
    st.integers(0, MAX_INT64),
    st.integers(0, MAX_INT32),
    block_ids,
    st.lists(commit_sigs, max_size=5).map(tuple),
)
headers = st.builds(
    Header,
    st.builds(Version, st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=50),
    st.integers(1, MAX_INT64),
    times,
    block_ids,
    hashes,
    hashes,
    full_hashes,
    full_hashes,
    hashes,
    st.binary(max_size=64),
    hashes,
    hashes,
    addresses,
)
evidence = st.builds(Evidence, st.sampled_from(EvidenceKind), st.binary(max_size=40))
blocks = st.builds(
    Block,
    headers,
    st.lists(st.binary(max_size=40), max_size=5).map(tuple),
    commits,
    st.lists(evidence, max_size=2).map(tuple),
)
public_keys = st.one_of(
    st.builds(PublicKey, st.just(ED25519), full_hashes),
    st.integers(1, 2**200).map(lambda secret: validator_keys(1, secret)[0].public_key),
)
validator_sets = st.lists(
    st.builds(Validator, public_keys, st.integers(1, 2**50)),
    min_size=1,
    max_size=6,
    unique_by=lambda member: member.address,
).map(ValidatorSet.ordered)
light_blocks = st.builds(LightBlock, st.builds(SignedHeader, headers, commits), validator_sets)

DECODERS: list[Callable[[bytes], object]] = [
    Header.decode,
    Commit.decode,
    Block.decode,
    LightBlock.decode,
    ValidatorSet.decode,
    PublicKey.decode,
    decode_timestamp,
]


@given(times)
def test_times(time_ns: int) -> None:
    assert decode_timestamp(encode_timestamp(time_ns)) == time_ns
    assert parse_time(format_time(time_ns)) == time_ns


@given(headers)
def test_headers(header: Header) -> None:
    assert Header.decode(header.encode()) == header
    assert header_from_json(header_to_json(header)) == header


@given(commits)
def test_commits(commit: Commit) -> None:
    assert Commit.decode(commit.encode()) == commit
    assert commit_from_json(commit_to_json(commit)) == commit


@given(blocks)
def test_blocks(block: Block) -> None:
    assert Block.decode(block.encode()) == block


@settings(max_examples=50)
@given(light_blocks)
def test_light_blocks(block: LightBlock) -> None:
    assert LightBlock.decode(block.encode()) == block


@settings(max_examples=300)
@given(light_blocks, st.data())
def test_mutated_light_blocks_decode_to_their_own_bytes_or_are_refused(block: LightBlock, data: st.DataObject) -> None:
    """Whatever a decoder accepts must encode to the very bytes it was given: so no value has two encodings."""
    encoded = bytearray(block.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(encoded) - 1))
        action = data.draw(st.sampled_from(["set", "insert", "delete"]))
        if action == "delete" and len(encoded) > 1:
            del encoded[position]
        elif action == "insert":
            encoded.insert(position, data.draw(st.integers(0, 255)))
        else:
            encoded[position] = data.draw(st.integers(0, 255))
    try:
        decoded = LightBlock.decode(bytes(encoded))
    except ProtocolError:
        return
    assert decoded.encode() == bytes(encoded)


@pytest.mark.parametrize("decode", DECODERS, ids=lambda decode: getattr(decode, "__qualname__", "decode"))
@settings(max_examples=300)
@given(data=st.binary(max_size=300))
def test_random_bytes_raise_declared_errors_only(decode: Callable[[bytes], object], data: bytes) -> None:
    try:
        decode(data)
    except ProtocolError:
        return


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=200)
@given(st.builds(SignedHeader, headers, commits), json_values, st.data())
def test_hostile_json_raises_declared_errors_only(signed: SignedHeader, junk: object, data: st.DataObject) -> None:
    value: dict[str, object] = {"header": header_to_json(signed.header), "commit": commit_to_json(signed.commit)}
    target: dict[str, object] = value[data.draw(st.sampled_from(["header", "commit"]))]  # type: ignore[assignment]
    target[data.draw(st.sampled_from(sorted(target)))] = junk
    for read in (signed_header_from_json, validator_from_json):
        try:
            read(value)
        except ProtocolError:
            continue


@settings(max_examples=100)
@given(
    st.lists(st.integers(1, 1000), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(1, 12), st.integers(0, 1000)), max_size=12),
)
def test_rotation_keeps_its_invariants(powers: list[int], changes: list[tuple[int, int]]) -> None:
    keys = [key.public_key for key in validator_keys(12)]
    validators = ValidatorSet.genesis(Validator(keys[index], power) for index, power in enumerate(powers))
    for number, power in changes:
        try:
            validators = validators.with_changes([Validator(keys[number - 1], power)])
        except ProtocolError:
            continue
        validators = validators.moved_on()
        priorities = [member.proposer_priority for member in validators.validators]
        total = validators.total_voting_power
        assert abs(sum(priorities)) < len(validators) + total
        assert max(priorities) - min(priorities) <= 2 * total + total
        assert validators.index_of(validators.proposer_address) is not None
