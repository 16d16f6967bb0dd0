"""Verification of a FROST signature, which is a plain Schnorr signature under the group key (RFC 9591, appendix B).

The same check runs in contracts. Both refuse z = 0, for which no signer has an honest use and no cheap check exists.
"""

from piebridge.crypto.errors import DecodingError, VerificationError
from piebridge.crypto.threshold.ciphersuite import (
    ELEMENT_LENGTH,
    SCALAR_LENGTH,
    add,
    base_times,
    decode_element,
    decode_group_key,
    decode_scalar,
    encode_element,
    hash_challenge,
    times,
)

SIGNATURE_LENGTH = ELEMENT_LENGTH + SCALAR_LENGTH
"""``R || z``: compressed point of 33 bytes, then a scalar of 32 bytes."""


def verify(signature: bytes, message: bytes, group_public_key: bytes) -> None:
    """Check a signature.

    Args:
        signature: ``R || z``, 65 bytes, z in 1..n-1.
        message: the signed bytes.
        group_public_key: compressed, 33 bytes, x below the group order.

    Raises:
        DecodingError: signature or key is not in its only encoding.
        VerificationError: the signature is of another key or message.
    """
    key = decode_group_key(group_public_key)
    if len(signature) != SIGNATURE_LENGTH:
        raise DecodingError("a FROST signature has 65 bytes", expected=SIGNATURE_LENGTH, actual=len(signature))
    encoded_commitment = signature[:ELEMENT_LENGTH]
    commitment = decode_element(encoded_commitment)
    z = decode_scalar(signature[ELEMENT_LENGTH:])
    if z == 0:
        raise DecodingError("z of a FROST signature is not zero")
    challenge = hash_challenge(encoded_commitment, group_public_key, message)
    # z*G == R + c*PK
    if encode_element(base_times(z)) != encode_element(add([commitment, times(key, challenge)])):
        raise VerificationError("FROST signature is not of this group key and message")
