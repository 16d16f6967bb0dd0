from itertools import combinations

import pytest

from piebridge.crypto.errors import ConfigurationError, DecodingError, VerificationError
from piebridge.crypto.signature import GROUP_ORDER, public_key_of
from piebridge.crypto.threshold.shares import (
    KeyShare,
    ThresholdKey,
    combine,
    evaluate_polynomial,
    interpolation_coefficient,
    split,
)

SECRET = 0x1234567890ABCDEF << 100
KEY, SHARES = split(SECRET, [11, GROUP_ORDER - 5], 5)


def test_any_threshold_of_shares_gives_the_secret_and_fewer_do_not() -> None:
    for size in range(1, 6):
        for chosen in combinations(SHARES, size):
            if size >= 3:
                assert combine(chosen) == SECRET
            else:
                with pytest.raises(VerificationError, match="too few"):
                    combine(chosen)


def test_public_side() -> None:
    assert KEY.public_key == public_key_of(SECRET.to_bytes(32, "big"))
    assert KEY.threshold == 3
    assert KEY.verifying_shares == {s.identifier: public_key_of(s.secret.to_bytes(32, "big")) for s in SHARES}


def test_secrets_do_not_show_in_representations() -> None:
    assert str(SHARES[0].secret) not in repr(SHARES[0])
    assert f"{SHARES[0].secret:x}" not in repr(SHARES[0])


def test_polynomial_by_hand() -> None:
    assert evaluate_polynomial([7, 3, 2], 10) == 237
    assert evaluate_polynomial([1, GROUP_ORDER - 1], 2) == GROUP_ORDER - 1


def test_interpolation_coefficients_by_hand() -> None:
    # Of the points 1, 2, 4 at 0: 8/3, -2, 1/3.
    inverse_of_3 = pow(3, -1, GROUP_ORDER)
    assert [interpolation_coefficient([1, 2, 4], i) for i in (1, 2, 4)] == [
        8 * inverse_of_3 % GROUP_ORDER,
        GROUP_ORDER - 2,
        inverse_of_3,
    ]


@pytest.mark.parametrize("identifiers", [[1, 1, 2], [2, 3], [0, 1], [1, GROUP_ORDER], [1, -1], []])
def test_identifiers_are_distinct_in_range_and_hold_the_signer(identifiers: list[int]) -> None:
    with pytest.raises(VerificationError):
        interpolation_coefficient(identifiers, 1)


@pytest.mark.parametrize(
    ("secret", "coefficients", "signers"),
    [(0, [1], 2), (GROUP_ORDER, [1], 2), (1, [0], 2), (1, [GROUP_ORDER], 2), (1, [], 1), (1, [], 3), (1, [1, 1], 2)],
)
def test_dealer_refuses(secret: int, coefficients: list[int], signers: int) -> None:
    with pytest.raises(ConfigurationError):
        split(secret, coefficients, signers)


def test_shares_of_two_keys_do_not_combine() -> None:
    _, others = split(SECRET + 1, [11, 12], 5)
    with pytest.raises(VerificationError, match="one group key"):
        combine([SHARES[0], SHARES[1], others[2]])
    with pytest.raises(VerificationError, match="one group key"):
        combine([])
    with pytest.raises(VerificationError, match="all different"):
        combine([SHARES[0], SHARES[0], SHARES[1]])


def test_malformed_shares_and_keys_are_refused() -> None:
    with pytest.raises(ConfigurationError):
        KeyShare(1, 0, KEY.public_key)
    with pytest.raises(VerificationError):
        KeyShare(0, 1, KEY.public_key)
    with pytest.raises(DecodingError):
        KeyShare(1, 1, KEY.public_key[:32])
    for threshold in (0, 1, 6):
        with pytest.raises(VerificationError, match="threshold"):
            ThresholdKey(KEY.public_key, threshold, KEY.verifying_shares)
    with pytest.raises(VerificationError, match="identifier"):
        ThresholdKey(KEY.public_key, 2, {0: KEY.public_key, 1: KEY.public_key})
    with pytest.raises(DecodingError):
        ThresholdKey(KEY.public_key, 2, {1: KEY.public_key, 2: bytes(33)})
    with pytest.raises(DecodingError, match="group order"):
        ThresholdKey(b"\x02" + (GROUP_ORDER + 0).to_bytes(32, "big"), 2, KEY.verifying_shares)
