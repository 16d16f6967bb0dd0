import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from piebridge.crypto.errors import ConfigurationError, DecodingError, VerificationError
from piebridge.crypto.hash import sha256
from piebridge.crypto.signature import GROUP_ORDER, public_key_of
from piebridge.crypto.threshold.shares import KeyShare, split
from piebridge.crypto.threshold.signing import (
    MisbehavingSignersError,
    PartialSignature,
    SigningCommitment,
    SigningNonces,
    aggregate,
    generate_nonces,
    sign_partially,
    sign_single,
    verify_partially,
)
from piebridge.crypto.threshold.verification import verify

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "frost_secp256k1_sha256.json").read_text())
MESSAGE = sha256(b"message")
KEY, SHARES = split(98765, [11, 12], 5)


def round_one(shares: list[KeyShare]) -> tuple[dict[int, SigningNonces], list[SigningCommitment]]:
    nonces, commitments = {}, []
    for share in shares:
        nonces[share.identifier], commitment = generate_nonces(
            share,
            hiding_entropy=sha256(b"hiding %d" % share.identifier),
            binding_entropy=sha256(b"binding %d" % share.identifier),
        )
        commitments.append(commitment)
    return nonces, commitments


NONCES, COMMITMENTS = round_one(SHARES[:3])
PARTIALS = [sign_partially(share, NONCES[share.identifier], MESSAGE, COMMITMENTS) for share in SHARES[:3]]


def test_rfc_9591_appendix_e_5() -> None:
    secret, coefficients = int(VECTORS["group_secret_key"], 16), [int(c, 16) for c in VECTORS["coefficients"]]
    key, shares = split(secret, coefficients, len(VECTORS["shares"]))
    assert key.public_key.hex() == VECTORS["group_public_key"]
    assert {str(share.identifier): f"{share.secret:064x}" for share in shares} == VECTORS["shares"]
    by_identifier = {share.identifier: share for share in shares}
    message = bytes.fromhex(VECTORS["message"])
    commitments, nonces = [], {}
    for signer in VECTORS["signers"]:
        nonce, commitment = generate_nonces(
            by_identifier[signer["identifier"]],
            hiding_entropy=bytes.fromhex(signer["hiding_nonce_randomness"]),
            binding_entropy=bytes.fromhex(signer["binding_nonce_randomness"]),
        )
        assert f"{nonce.hiding:064x}" == signer["hiding_nonce"]
        assert f"{nonce.binding:064x}" == signer["binding_nonce"]
        assert commitment.hiding.hex() == signer["hiding_nonce_commitment"]
        assert commitment.binding.hex() == signer["binding_nonce_commitment"]
        nonces[signer["identifier"]] = nonce
        commitments.append(commitment)
    partials = []
    for signer in VECTORS["signers"]:
        identifier = signer["identifier"]
        partial = sign_partially(by_identifier[identifier], nonces[identifier], message, commitments)
        assert partial.z.hex() == signer["signature_share"]
        verify_partially(partial, key, message, commitments)
        partials.append(partial)
    signature = aggregate(partials, key, message, commitments)
    assert signature.hex() == VECTORS["signature"]
    verify(signature, message, key.public_key)


def test_every_subset_of_at_least_the_threshold_signs() -> None:
    for size in (3, 4, 5):
        for chosen in combinations(SHARES, size):
            nonces, commitments = round_one(list(chosen))
            partials = [sign_partially(share, nonces[share.identifier], MESSAGE, commitments) for share in chosen]
            verify(aggregate(partials, KEY, MESSAGE, commitments), MESSAGE, KEY.public_key)


def test_order_of_commitments_and_partials_does_not_matter() -> None:
    expected = aggregate(PARTIALS, KEY, MESSAGE, COMMITMENTS)
    mixed = [sign_partially(s, NONCES[s.identifier], MESSAGE, COMMITMENTS[::-1]) for s in reversed(SHARES[:3])]
    assert aggregate(mixed, KEY, MESSAGE, [COMMITMENTS[1], COMMITMENTS[0], COMMITMENTS[2]]) == expected


def test_fewer_than_the_threshold_are_refused() -> None:
    nonces, commitments = round_one(SHARES[:2])
    partials = [sign_partially(share, nonces[share.identifier], MESSAGE, commitments) for share in SHARES[:2]]
    with pytest.raises(VerificationError, match="threshold"):
        aggregate(partials, KEY, MESSAGE, commitments)
    # Under a lower threshold that nobody agreed on, the sum is no signature either, and nobody is to blame for it.
    with pytest.raises(VerificationError) as caught:
        aggregate(partials, replace(KEY, threshold=2), MESSAGE, commitments)
    assert not isinstance(caught.value, MisbehavingSignersError)


@pytest.mark.parametrize("culprits", [(1,), (2,), (1, 3), (1, 2, 3)])
def test_row_38_culprits_are_named(culprits: tuple[int, ...]) -> None:
    partials = [
        replace(partial, z=((int.from_bytes(partial.z, "big") + partial.identifier) % GROUP_ORDER).to_bytes(32, "big"))
        if partial.identifier in culprits
        else partial
        for partial in PARTIALS
    ]
    with pytest.raises(MisbehavingSignersError, match=", ".join(map(str, culprits))) as caught:
        aggregate(partials, KEY, MESSAGE, COMMITMENTS)
    assert caught.value.culprits == culprits


@pytest.mark.parametrize("z", [b"", bytes(31), bytes(33), bytes(32), GROUP_ORDER.to_bytes(32, "big"), b"\xff" * 32])
def test_row_38_malformed_partial_signature_names_its_maker(z: bytes) -> None:
    with pytest.raises(MisbehavingSignersError) as caught:
        aggregate([PARTIALS[0], replace(PARTIALS[1], z=z), PARTIALS[2]], KEY, MESSAGE, COMMITMENTS)
    assert caught.value.culprits == (2,)


def test_row_38_partial_signature_holds_for_its_session_alone() -> None:
    for partial in PARTIALS:
        verify_partially(partial, KEY, MESSAGE, COMMITMENTS)
    nonces, commitments = round_one(SHARES[:4])
    with pytest.raises(VerificationError):
        verify_partially(PARTIALS[0], KEY, MESSAGE, commitments)
    with pytest.raises(VerificationError):
        verify_partially(PARTIALS[0], KEY, MESSAGE + b"\x00", COMMITMENTS)
    with pytest.raises(VerificationError):
        verify_partially(replace(PARTIALS[0], identifier=2), KEY, MESSAGE, COMMITMENTS)
    with pytest.raises(VerificationError, match="nobody"):
        verify_partially(replace(PARTIALS[0], identifier=4), KEY, MESSAGE, COMMITMENTS)
    other_key, _ = split(98766, [11, 12], 5)
    with pytest.raises(VerificationError):
        verify_partially(PARTIALS[0], other_key, MESSAGE, COMMITMENTS)
    with pytest.raises(DecodingError):
        verify_partially(replace(PARTIALS[0], z=b"\xff" * 32), KEY, MESSAGE, COMMITMENTS)
    assert len(nonces) == 4


def test_signer_refuses_commitments_that_are_not_its_own() -> None:
    share, nonces = SHARES[0], NONCES[1]
    with pytest.raises(VerificationError, match="missing"):
        sign_partially(share, nonces, MESSAGE, COMMITMENTS[1:])
    with pytest.raises(VerificationError, match="each signer"):
        sign_partially(share, nonces, MESSAGE, [])
    swapped = SigningCommitment(1, COMMITMENTS[0].binding, COMMITMENTS[0].hiding)
    with pytest.raises(VerificationError, match="not that of its nonces"):
        sign_partially(share, nonces, MESSAGE, [swapped, *COMMITMENTS[1:]])
    with pytest.raises(VerificationError, match="each signer"):
        sign_partially(share, nonces, MESSAGE, [*COMMITMENTS, COMMITMENTS[1]])


def test_coordinator_refuses_strangers_duplicates_and_gaps() -> None:
    stranger = replace(COMMITMENTS[2], identifier=9)
    with pytest.raises(VerificationError, match="no share"):
        aggregate(PARTIALS, KEY, MESSAGE, [*COMMITMENTS[:2], stranger])
    with pytest.raises(VerificationError, match="each signer"):
        aggregate(PARTIALS, KEY, MESSAGE, [*COMMITMENTS, COMMITMENTS[0]])
    for partials in (PARTIALS[:2], [*PARTIALS, PARTIALS[0]], [PARTIALS[0], PARTIALS[0], PARTIALS[1]], []):
        with pytest.raises(VerificationError, match="exactly one"):
            aggregate(partials, KEY, MESSAGE, COMMITMENTS)


def test_commitments_that_cancel_out_are_refused() -> None:
    mirrored = bytes([COMMITMENTS[0].hiding[0] ^ 1]) + COMMITMENTS[0].hiding[1:]
    # D + rho * E is never the identity for hashed rho; a malformed point is caught where it arrives.
    assert SigningCommitment(2, mirrored, COMMITMENTS[0].binding).hiding == mirrored
    with pytest.raises(DecodingError):
        SigningCommitment(2, bytes(33), COMMITMENTS[0].binding)
    with pytest.raises(DecodingError):
        SigningCommitment(2, COMMITMENTS[0].hiding, b"\x02" + (5).to_bytes(32, "big"))
    with pytest.raises(VerificationError):
        SigningCommitment(0, COMMITMENTS[0].hiding, COMMITMENTS[0].binding)


def test_nonces_differ_by_entropy_and_share() -> None:
    first, second = bytes(32), b"\x01" * 32
    made = {
        nonce
        for share in SHARES[:2]
        for hiding, binding in ((first, second), (second, first))
        for nonce in [generate_nonces(share, hiding_entropy=hiding, binding_entropy=binding)[0].hiding]
    }
    assert len(made) == 4
    with pytest.raises(ValueError, match="of their own"):
        generate_nonces(SHARES[0], hiding_entropy=first, binding_entropy=first)
    with pytest.raises(ValueError, match="32 bytes"):
        generate_nonces(SHARES[0], hiding_entropy=first[:31], binding_entropy=second)
    assert "=" not in repr(NONCES[1])


def test_single_signer_verifies_and_never_repeats_a_nonce_for_another_message() -> None:
    secret = 0xABCDEF
    public_key = public_key_of(secret.to_bytes(32, "big"))
    signatures = [sign_single(secret, message, bytes(32)) for message in (b"", b"a", b"b")]
    for message, signature in zip((b"", b"a", b"b"), signatures, strict=True):
        verify(signature, message, public_key)
    commitments = {signature[:33] for signature in signatures} | {sign_single(secret, b"a", b"\x01" * 32)[:33]}
    assert len(commitments) == 4


@pytest.mark.parametrize("secret", [0, -1, GROUP_ORDER])
def test_single_signer_refuses_keys_out_of_range(secret: int) -> None:
    with pytest.raises(ConfigurationError):
        sign_single(secret, b"", bytes(32))


def test_single_signer_needs_32_bytes_of_entropy() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        sign_single(1, b"", b"")


def test_partial_signature_of_a_stranger_is_no_partial_signature() -> None:
    with pytest.raises(VerificationError, match="exactly one"):
        aggregate([*PARTIALS[:2], PartialSignature(4, bytes(32))], KEY, MESSAGE, COMMITMENTS)
