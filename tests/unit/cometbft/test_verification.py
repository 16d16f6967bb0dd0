from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest

from piebridge.abci.embedded.keys import ValidatorKey
from piebridge.cometbft.block import median_time_ns
from piebridge.cometbft.commit import BlockId, BlockIdFlag, Commit, CommitSig, PartSetHeader
from piebridge.cometbft.header import Header, Version
from piebridge.cometbft.validator_set import Validator, ValidatorSet
from piebridge.cometbft.verification import (
    InsufficientPowerError,
    InvalidCommitError,
    InvalidHeaderError,
    LightBlock,
    NotEnoughTrustError,
    SignedHeader,
    SurplusSignatureError,
    TrustedState,
    TrustExpiredError,
    VerificationOptions,
    minimal_commit,
    verify_commit,
    verify_commit_minimal,
    verify_commit_trusting,
    verify_light_block,
)
from piebridge.cometbft.vote import commit_sign_bytes
from piebridge.crypto.errors import DecodingError, VerificationError
from testkit.validators import GENESIS_TIME_NS, SECOND_NS, validator_keys

OPTIONS = VerificationOptions(trusting_period_ns=1000 * SECOND_NS, max_clock_drift_ns=SECOND_NS)
NOW_NS = GENESIS_TIME_NS + 500 * SECOND_NS


def _set(keys: list[ValidatorKey], powers: list[int] | None = None) -> ValidatorSet:
    return ValidatorSet.ordered(
        Validator(key.public_key, power) for key, power in zip(keys, powers or [1] * len(keys), strict=True)
    )


def _light_block(
    height: int,
    keys: list[ValidatorKey],
    next_keys: list[ValidatorKey] | None = None,
    *,
    absent: int = 0,
    powers: list[int] | None = None,
    change: Callable[[Header], Header] = lambda header: header,
) -> LightBlock:
    """A block signed by all of ``keys`` but the last ``absent`` in set order."""
    validators = _set(keys, powers)
    header = change(
        Header(
            version=Version(),
            chain_id="chain",
            height=height,
            time_ns=GENESIS_TIME_NS + height * SECOND_NS,
            last_block_id=BlockId(),
            last_commit_hash=bytes(32),
            data_hash=bytes(32),
            validators_hash=validators.hash(),
            next_validators_hash=_set(next_keys or keys).hash() if powers is None else validators.hash(),
            consensus_hash=bytes(32),
            app_hash=b"app",
            last_results_hash=bytes(32),
            evidence_hash=bytes(32),
            proposer_address=validators.validators[0].address,
        )
    )
    commit = Commit(height, 0, BlockId(header.hash(), PartSetHeader(1, bytes(32))), ())
    return LightBlock(SignedHeader(header, _signed(commit, validators, keys, absent)), validators)


def _signed(commit: Commit, validators: ValidatorSet, keys: list[ValidatorKey], absent: int) -> Commit:
    by_address = {key.address: key for key in keys}
    signatures = [
        CommitSig(BlockIdFlag.COMMIT, member.address, GENESIS_TIME_NS + index, b"?")
        for index, member in enumerate(validators.validators)
    ]
    signatures[len(signatures) - absent :] = [CommitSig.absent()] * absent
    unsigned = replace(commit, signatures=tuple(signatures))
    return replace(
        unsigned,
        signatures=tuple(
            signature
            if signature.flag is BlockIdFlag.ABSENT
            else replace(
                signature,
                signature=by_address[signature.validator_address].sign(commit_sign_bytes("chain", unsigned, index)),
            )
            for index, signature in enumerate(signatures)
        ),
    )


def _verify(trusted: LightBlock, untrusted: LightBlock, *, minimal: bool = False, now_ns: int = NOW_NS) -> None:
    state = TrustedState.of(trusted.header)
    verify_light_block(state, trusted.validators, untrusted, OPTIONS, now_ns, minimal=minimal)


KEYS = validator_keys(4)
TRUSTED = _light_block(10, KEYS)


def _with_signature(block: LightBlock, index: int, signature: CommitSig) -> LightBlock:
    commit = block.signed_header.commit
    signatures = (*commit.signatures[:index], signature, *commit.signatures[index + 1 :])
    return replace(block, signed_header=replace(block.signed_header, commit=replace(commit, signatures=signatures)))


def test_adjacent_and_skipping() -> None:
    for height in (11, 12, 400):
        _verify(TRUSTED, _light_block(height, KEYS))
        _verify(TRUSTED, _light_block(height, KEYS, absent=1))


def test_exactly_two_thirds_is_no_quorum() -> None:
    keys = validator_keys(3)
    with pytest.raises(InsufficientPowerError):
        _verify(_light_block(10, keys), _light_block(11, keys, absent=1))
    with pytest.raises(InsufficientPowerError):
        _verify(TRUSTED, _light_block(11, KEYS, absent=2))


def test_adjacent_needs_the_announced_set() -> None:
    with pytest.raises(InvalidHeaderError, match="announced"):
        _verify(TRUSTED, _light_block(11, validator_keys(5)))


def test_skipping_needs_more_than_a_third_of_the_trusted_set() -> None:
    trusted = _light_block(10, validator_keys(6))
    two_of_six = _light_block(20, validator_keys(6, 5))  # secrets 5 to 10: two of the trusted six
    with pytest.raises(NotEnoughTrustError):
        _verify(trusted, two_of_six)
    three_of_six = _light_block(20, validator_keys(6, 4))
    _verify(trusted, three_of_six)
    half = VerificationOptions(10**18, 0, Fraction(1, 2))
    with pytest.raises(NotEnoughTrustError):
        verify_light_block(TrustedState.of(trusted.header), trusted.validators, three_of_six, half, NOW_NS)


def test_skipping_needs_the_trusted_next_validators() -> None:
    state = TrustedState.of(TRUSTED.header)
    untrusted = _light_block(20, KEYS)
    for validators in (None, _set(validator_keys(5))):
        with pytest.raises(InvalidHeaderError, match="announced"):
            verify_light_block(state, validators, untrusted, OPTIONS, NOW_NS)
    verify_light_block(state, None, _light_block(11, KEYS), OPTIONS, NOW_NS)


def test_expiry_and_drift_are_exact() -> None:
    expiry_ns = TRUSTED.header.time_ns + OPTIONS.trusting_period_ns
    _verify(TRUSTED, _light_block(11, KEYS), now_ns=expiry_ns - 1)
    with pytest.raises(TrustExpiredError):
        _verify(TRUSTED, _light_block(11, KEYS), now_ns=expiry_ns)
    time_ns = _light_block(11, KEYS).header.time_ns
    _verify(TRUSTED, _light_block(11, KEYS), now_ns=time_ns - SECOND_NS + 1)
    with pytest.raises(InvalidHeaderError, match="future"):
        _verify(TRUSTED, _light_block(11, KEYS), now_ns=time_ns - SECOND_NS)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda header: replace(header, chain_id="other"), "another chain"),
        (lambda header: replace(header, version=Version(block=10)), "block version"),
        (lambda header: replace(header, time_ns=TRUSTED.header.time_ns), "not after"),
        (lambda header: replace(header, validators_hash=bytes(32)), "not those of the header"),
    ],
)
def test_header_must_fit_the_chain(change: Callable[[Header], Header], reason: str) -> None:
    with pytest.raises(InvalidHeaderError, match=reason):
        _verify(TRUSTED, _light_block(12, KEYS, change=change))


@pytest.mark.parametrize("height", [9, 10])
def test_height_must_rise(height: int) -> None:
    def later(header: Header) -> Header:
        return replace(header, time_ns=GENESIS_TIME_NS + 100 * SECOND_NS)

    with pytest.raises(InvalidHeaderError, match="not above"):
        _verify(TRUSTED, _light_block(height, KEYS, change=later))


def test_commit_of_another_header_or_height_is_refused() -> None:
    block, other = _light_block(12, KEYS), _light_block(13, KEYS)
    with pytest.raises(InvalidCommitError, match="another height"):
        _verify(TRUSTED, replace(block, signed_header=replace(block.signed_header, commit=other.signed_header.commit)))
    forged = replace(block.header, app_hash=b"forged")
    with pytest.raises(InvalidCommitError, match="another header"):
        _verify(TRUSTED, replace(block, signed_header=replace(block.signed_header, header=forged)))


def test_every_bit_of_a_counted_signature_matters() -> None:
    block = _light_block(11, KEYS)
    good = block.signed_header.commit.signatures[0]
    for bit in range(len(good.signature) * 8):
        flipped = bytearray(good.signature)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(InvalidCommitError):
            _verify(TRUSTED, _with_signature(block, 0, replace(good, signature=bytes(flipped))))
    for changed in (
        replace(good, timestamp_ns=good.timestamp_ns + 1),
        replace(good, validator_address=block.validators.validators[1].address),
        replace(good, signature=block.signed_header.commit.signatures[1].signature),
        replace(good, signature=good.signature[:64]),
    ):
        with pytest.raises(InvalidCommitError):
            _verify(TRUSTED, _with_signature(block, 0, changed))


def test_double_vote_does_not_count_twice_when_skipping() -> None:
    block = _light_block(20, KEYS)
    commit = block.signed_header.commit
    vote = commit.signatures[0]
    # The same vote in two places: each signature holds, for the message does not name the place.
    doubled = replace(commit, signatures=(vote, vote, CommitSig.absent(), CommitSig.absent()))
    with pytest.raises(InvalidCommitError, match="votes twice"):
        verify_commit_trusting("chain", TRUSTED.validators, doubled, Fraction(1, 3))
    with pytest.raises(InvalidCommitError, match="another validator"):
        verify_commit("chain", TRUSTED.validators, doubled)


def test_nil_votes_do_not_count() -> None:
    block = _light_block(11, KEYS, absent=1)
    signature = block.signed_header.commit.signatures[0]
    with pytest.raises(InsufficientPowerError):
        _verify(TRUSTED, _with_signature(block, 0, replace(signature, flag=BlockIdFlag.NIL)))


def test_minimal_commit_is_exactly_the_first_signatures() -> None:
    block = _light_block(11, KEYS)
    minimal = minimal_commit(block.validators, block.signed_header.commit)
    assert [signature.flag for signature in minimal.signatures] == [2, 2, 2, 1]
    verify_commit_minimal("chain", block.validators, minimal)
    verify_commit("chain", block.validators, block.signed_header.commit)
    with pytest.raises(SurplusSignatureError):
        _verify(TRUSTED, block, minimal=True)
    last_three = replace(
        block.signed_header.commit, signatures=(CommitSig.absent(), *block.signed_header.commit.signatures[1:])
    )
    verify_commit_minimal("chain", block.validators, last_three)
    with_nil = replace(
        minimal,
        signatures=(*minimal.signatures[:3], replace(block.signed_header.commit.signatures[3], flag=BlockIdFlag.NIL)),
    )
    with pytest.raises(SurplusSignatureError):
        verify_commit_minimal("chain", block.validators, with_nil)
    with pytest.raises(InsufficientPowerError):
        verify_commit_minimal("chain", block.validators, _light_block(11, KEYS, absent=2).signed_header.commit)
    with pytest.raises(InsufficientPowerError):
        minimal_commit(block.validators, _light_block(11, KEYS, absent=2).signed_header.commit)


def test_minimal_with_unequal_powers() -> None:
    block = _light_block(11, KEYS, powers=[1, 1, 1, 10])
    minimal = minimal_commit(block.validators, block.signed_header.commit)
    assert [signature.flag for signature in minimal.signatures] == [2, 1, 1, 1]
    verify_commit_minimal("chain", block.validators, minimal)


@pytest.mark.parametrize("length", [3, 5])
def test_commit_has_one_entry_for_each_validator(length: int) -> None:
    block = _light_block(11, KEYS)
    commit = block.signed_header.commit
    resized = replace(commit, signatures=(commit.signatures * 2)[:length])
    for verify in (verify_commit, verify_commit_minimal):
        with pytest.raises(InvalidCommitError, match="one entry"):
            verify("chain", block.validators, resized)


def test_light_block_round_trip_and_every_truncation() -> None:
    block = _light_block(11, KEYS, absent=1)
    encoded = block.encode()
    assert LightBlock.decode(encoded) == block
    for end in range(len(encoded)):
        with pytest.raises((DecodingError, VerificationError)):
            LightBlock.decode(encoded[:end])
    with pytest.raises(DecodingError):
        LightBlock.decode(encoded + b"\x00")


@pytest.mark.parametrize("level", [Fraction(1, 4), Fraction(0), Fraction(5, 4)])
def test_unsafe_trust_levels_are_refused(level: Fraction) -> None:
    with pytest.raises(ValueError, match="trust level"):
        VerificationOptions(1, 0, level)


def test_median_time_is_weighted_and_skips_nil_and_absent() -> None:
    validators = _set(KEYS, [1, 1, 1, 4])

    def commit(*entries: tuple[int, BlockIdFlag]) -> Commit:
        return Commit(
            1,
            0,
            BlockId(),
            tuple(
                CommitSig(flag, member.address, time_ns, b"s")
                for (time_ns, flag), member in zip(entries, validators.validators, strict=True)
            ),
        )

    voted, nil = BlockIdFlag.COMMIT, BlockIdFlag.NIL
    assert validators.validators[0].voting_power == 4
    assert median_time_ns(commit((50, voted), (1, voted), (2, voted), (3, voted)), validators) == 3
    assert median_time_ns(commit((50, voted), (1, voted), (2, voted), (99, voted)), validators) == 50
    assert median_time_ns(commit((50, nil), (1, voted), (2, voted), (9, voted)), validators) == 1
    with pytest.raises(VerificationError):
        median_time_ns(commit((50, nil), (1, nil), (2, nil), (9, nil)), validators)
