"""The ciphersuite FROST(secp256k1, SHA-256): scalars, elements and hashes (RFC 9591, section 6.5).

Scalars are Python integers in 0..n-1, elements are ``coincurve`` public keys, which cannot be the identity. Products of
secret scalars with the generator go through libsecp256k1's constant-time key creation. The arithmetic on secret scalars
themselves is Python's and its time depends on their values: a signer shares its machine with nobody it does not trust.
"""

from collections.abc import Callable, Iterable

from coincurve import PublicKey

from piebridge.crypto.errors import ConfigurationError, DecodingError, VerificationError
from piebridge.crypto.hash import sha256
from piebridge.crypto.signature import COMPRESSED_KEY_LENGTH, GROUP_ORDER

SCALAR_LENGTH = 32
"""Encoded scalar, bytes, big endian."""
ELEMENT_LENGTH = COMPRESSED_KEY_LENGTH
"""Encoded element, bytes: compressed point (SEC 1, section 2.3.3)."""

_CONTEXT = b"FROST-secp256k1-SHA256-v1"
_FIELD_BYTES = 48
"""L of ``hash_to_field``: enough that the reduction modulo n is uniform (RFC 9380, section 5.1)."""
_SHA256_BLOCK_LENGTH = 64


def encode_scalar(scalar: int) -> bytes:
    """Return the 32-byte encoding of a scalar in 0..n-1 (``SerializeScalar``)."""
    return scalar.to_bytes(SCALAR_LENGTH, "big")


def decode_scalar(data: bytes) -> int:
    """Read a scalar (``DeserializeScalar``).

    Raises:
        DecodingError: not 32 bytes, or not below the group order.
    """
    if len(data) != SCALAR_LENGTH:
        raise DecodingError("a scalar has 32 bytes", expected=SCALAR_LENGTH, actual=len(data))
    scalar = int.from_bytes(data, "big")
    if scalar >= GROUP_ORDER:
        raise DecodingError("a scalar is below the group order")
    return scalar


def encode_element(element: PublicKey) -> bytes:
    """Return the 33-byte encoding of an element (``SerializeElement``)."""
    return element.format(compressed=True)


def decode_element(data: bytes) -> PublicKey:
    """Read an element (``DeserializeElement``).

    Raises:
        DecodingError: not 33 bytes, another prefix than 2 or 3, or no point of the curve.
    """
    if len(data) != ELEMENT_LENGTH:
        raise DecodingError("an element has 33 bytes", expected=ELEMENT_LENGTH, actual=len(data))
    try:
        return PublicKey(data)
    except ValueError as error:
        raise DecodingError("the 33 bytes are no point of secp256k1") from error


def decode_group_key(data: bytes) -> PublicKey:
    """Read a group public key.

    A key whose x coordinate is not below the group order is refused: contracts check signatures by means of
    ``ecrecover``, which takes x as a scalar. Key generation meets one with probability 2**-128 and is then done again.

    Raises:
        DecodingError: no element, or x not below the group order.
    """
    key = decode_element(data)
    if int.from_bytes(data[1:], "big") >= GROUP_ORDER:
        raise DecodingError("x coordinate of the group key is not below the group order; generate another key")
    return key


def base_times(scalar: int) -> PublicKey:
    """Return ``scalar * G`` (``ScalarBaseMult``) for a scalar that is not zero, in constant time.

    Raises:
        VerificationError: the scalar is zero, so the product is no element.
    """
    return _element(lambda: PublicKey.from_secret(encode_scalar(scalar)))


def times(element: PublicKey, scalar: int) -> PublicKey:
    """Return ``scalar * element`` (``ScalarMult``) for a public scalar that is not zero.

    Raises:
        VerificationError: the scalar is zero, so the product is no element.
    """
    return _element(lambda: element.multiply(encode_scalar(scalar)))


def add(elements: Iterable[PublicKey]) -> PublicKey:
    """Return the sum of one element or more.

    Raises:
        VerificationError: the sum is the identity.
    """
    return _element(lambda: PublicKey.combine_keys(list(elements)))


def add_or_identity(elements: Iterable[PublicKey]) -> PublicKey | None:
    """Return the sum of elements, None being the identity, also where there are none."""
    # libsecp256k1 refuses an identity as the result, so a sum that passes through it is fine.
    summands = list(elements)
    try:
        return PublicKey.combine_keys(summands) if summands else None
    except ValueError:
        return None


def check_secret(secret: int) -> None:
    """Check that a secret is in 1..n-1.

    Raises:
        ConfigurationError: it is not.
    """
    if not 1 <= secret < GROUP_ORDER:
        raise ConfigurationError("a secret key or key share is not in 1..n-1")


def hash_binding_factor(data: bytes) -> int:
    """Return H1, a scalar."""
    return _hash_to_scalar(data, b"rho")


def hash_challenge(group_commitment: bytes, group_public_key: bytes, message: bytes) -> int:
    """Return H2 over encoded R, encoded group key and message: the challenge c (RFC 9591, section 4.6)."""
    return _hash_to_scalar(group_commitment + group_public_key + message, b"chal")


def hash_nonce(data: bytes) -> int:
    """Return H3, a scalar."""
    return _hash_to_scalar(data, b"nonce")


def hash_message(message: bytes) -> bytes:
    """Return H4, 32 bytes."""
    return sha256(_CONTEXT + b"msg" + message)


def hash_commitments(encoded_commitments: bytes) -> bytes:
    """Return H5, 32 bytes."""
    return sha256(_CONTEXT + b"com" + encoded_commitments)


def hash_single_signer_nonce(data: bytes) -> int:
    """Return the nonce of a signer that holds the whole key; not of the RFC, and separated from H3 by its tag."""
    return _hash_to_scalar(data, b"single-signer-nonce")


def hash_possession(data: bytes) -> int:
    """Return HDKG, a scalar: the challenge of a proof that somebody knows a secret key."""
    return _hash_to_scalar(data, b"dkg")


def hash_equality(data: bytes) -> int:
    """Return a scalar: the challenge of a proof that two discrete logarithms are equal. Not of the RFC."""
    return _hash_to_scalar(data, b"dleq")


def derive_secret(seed: bytes, data: bytes) -> int:
    """Return a secret scalar in 1..n-1 that a 32-byte seed and public data determine. Not of the RFC.

    Raises:
        ValueError: the seed has another length.
    """
    if len(seed) != SCALAR_LENGTH:
        raise ValueError(f"a seed has {SCALAR_LENGTH} bytes, not {len(seed)}")
    secret = _hash_to_scalar(seed + data, b"derive")
    # Zero has probability 2**-256; a fixed answer keeps the function total, and one is as good as any.
    return secret or 1


def _hash_to_scalar(data: bytes, purpose: bytes) -> int:
    """Return ``hash_to_field`` with one element, modulo n (RFC 9380, section 5.2)."""
    return int.from_bytes(_expand_message(data, _CONTEXT + purpose), "big") % GROUP_ORDER


def _expand_message(data: bytes, tag: bytes) -> bytes:
    """Return 48 bytes of ``expand_message_xmd`` with SHA-256 (RFC 9380, section 5.3.1): two blocks, cut."""
    tag_with_length = tag + bytes([len(tag)])
    seed = sha256(bytes(_SHA256_BLOCK_LENGTH) + data + _FIELD_BYTES.to_bytes(2, "big") + b"\x00" + tag_with_length)
    first = sha256(seed + b"\x01" + tag_with_length)
    mixed = bytes(a ^ b for a, b in zip(seed, first, strict=True))
    second = sha256(mixed + b"\x02" + tag_with_length)
    return (first + second)[:_FIELD_BYTES]


def _element(compute: Callable[[], PublicKey]) -> PublicKey:
    try:
        return compute()
    except ValueError as error:
        raise VerificationError("the result is the identity, which is no element of FROST") from error
