"""Shares of a secret key on a polynomial, as a trusted dealer makes them (RFC 9591, appendix C), and interpolation.

Distributed key generation gives shares of the same form; whoever holds t of them can sign, t-1 of them tell nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from piebridge.crypto.errors import ConfigurationError, VerificationError
from piebridge.crypto.signature import GROUP_ORDER
from piebridge.crypto.threshold.ciphersuite import (
    base_times,
    check_secret,
    decode_element,
    decode_group_key,
    encode_element,
)

SIGNERS_MIN = 2
"""Least threshold of RFC 9591. A key that one party holds signs by ``signing.sign_single``."""


@dataclass(frozen=True, slots=True)
class KeyShare:
    """What one signer holds. Never leaves it."""

    identifier: int
    """Number of the signer, in 1..n-1: the point at which the polynomial is taken."""
    secret: int = field(repr=False)
    """Value of the polynomial there, a scalar other than zero."""
    group_public_key: bytes
    """Key of the whole group, 33 bytes compressed."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigurationError: the secret is not in 1..n-1.
            VerificationError: the identifier is not in 1..n-1.
            DecodingError: the group key is malformed.
        """
        check_identifier(self.identifier)
        check_secret(self.secret)
        decode_group_key(self.group_public_key)

    @property
    def verifying_share(self) -> bytes:
        """Public key of this share, 33 bytes compressed."""
        return encode_element(base_times(self.secret))


@dataclass(frozen=True, slots=True)
class ThresholdKey:
    """What everybody knows of a shared key."""

    public_key: bytes
    """Key of the whole group, 33 bytes compressed."""
    threshold: int
    """t, the number of signers that a signature needs."""
    verifying_shares: Mapping[int, bytes]
    """Public key of each signer's share (33 bytes compressed) by identifier."""

    def __post_init__(self) -> None:
        """Check the form; that the shares belong to the key shows when they sign.

        Raises:
            VerificationError: t not in 2..number of signers, or an identifier out of range.
            DecodingError: a key is malformed.
        """
        decode_group_key(self.public_key)
        if not SIGNERS_MIN <= self.threshold <= len(self.verifying_shares):
            raise VerificationError(
                f"threshold of a key with {len(self.verifying_shares)} shares is not in 2..that", actual=self.threshold
            )
        for identifier, share in self.verifying_shares.items():
            check_identifier(identifier)
            decode_element(share)


def split(secret: int, coefficients: Sequence[int], signers: int) -> tuple[ThresholdKey, list[KeyShare]]:
    """Share a secret as a trusted dealer (RFC 9591, appendix C.1).

    Args:
        secret: the key, in 1..n-1.
        coefficients: t-1 secret scalars in 1..n-1, drawn evenly by the caller and then forgotten.
        signers: number of shares, with identifiers 1, 2, ...

    Returns:
        The public side, and one share for each signer.

    Raises:
        ConfigurationError: a secret out of range, fewer signers than t, t below 2, or a share that happens to be zero.
        DecodingError: x of the group key is not below the group order (probability 2**-128): take another secret.
    """
    threshold = len(coefficients) + 1
    if not SIGNERS_MIN <= threshold <= signers:
        raise ConfigurationError(f"cannot share a key {threshold} of {signers}: 2 <= threshold <= signers")
    polynomial = [secret, *coefficients]
    for coefficient in polynomial:
        check_secret(coefficient)
    public_key = encode_element(base_times(secret))
    shares = [
        KeyShare(identifier, evaluate_polynomial(polynomial, identifier), public_key)
        for identifier in range(1, signers + 1)
    ]
    verifying_shares = {share.identifier: share.verifying_share for share in shares}
    return ThresholdKey(public_key, threshold, verifying_shares), shares


def evaluate_polynomial(coefficients: Sequence[int], x: int) -> int:
    """Return the value at ``x`` of the polynomial with these coefficients, constant term first (RFC 9591, C.1.1)."""
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * x + coefficient) % GROUP_ORDER
    return value


def interpolation_coefficient(identifiers: Collection[int], identifier: int) -> int:
    """Return the Lagrange coefficient at 0 of one of these identifiers (``derive_interpolating_value``, section 4.2).

    Raises:
        VerificationError: an identifier out of range or named twice, or ``identifier`` is not among them.
    """
    for each in identifiers:
        check_identifier(each)
    if len(frozenset(identifiers)) != len(identifiers) or identifier not in identifiers:
        raise VerificationError("identifiers are not all different, or the signer is not among them", actual=identifier)
    numerator = denominator = 1
    for other in identifiers:
        if other != identifier:
            numerator = numerator * other % GROUP_ORDER
            denominator = denominator * (other - identifier) % GROUP_ORDER
    return numerator * pow(denominator, -1, GROUP_ORDER) % GROUP_ORDER


def combine(shares: Collection[KeyShare]) -> int:
    """Return the secret on whose polynomial at least t shares lie (RFC 9591, C.1.2): for recovery and tests only.

    Raises:
        VerificationError: shares of different keys, an identifier twice, or too few shares to give the group's key.
    """
    if not shares or len({share.group_public_key for share in shares}) != 1:
        raise VerificationError("shares are not of one group key")
    identifiers = [share.identifier for share in shares]
    secret = sum(share.secret * interpolation_coefficient(identifiers, share.identifier) for share in shares)
    secret %= GROUP_ORDER
    if encode_element(base_times(secret)) != next(iter(shares)).group_public_key:
        raise VerificationError("shares do not give the group's key: too few, or one is wrong")
    return secret


def check_identifier(identifier: int) -> None:
    """Check that the identifier of a signer is in 1..n-1.

    Raises:
        VerificationError: it is not.
    """
    if not 1 <= identifier < GROUP_ORDER:
        raise VerificationError("identifier of a signer is not in 1..n-1", actual=identifier)
