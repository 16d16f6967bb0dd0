"""Proofs of knowledge that the ceremonies of a shared key need (``docs/protocol/governors.md``, section 3).

*Possession* is a Schnorr proof of the discrete logarithm of a key (FROST paper, figure 1, round 1, step 2; the layout
of the challenge is that of other implementations, behind the id of the ceremony and the purpose). *Equality* is the
proof of Chaum and Pedersen that two elements have one logarithm to two bases.

Nonces are derived from a seed, the secret and all that is proven, so a proof made again is the same proof, and weak
entropy alone gives no secret away.
"""

from typing import Final

from coincurve import PublicKey

from piebridge.crypto.errors import DecodingError, VerificationError
from piebridge.crypto.signature import GROUP_ORDER
from piebridge.crypto.threshold.ciphersuite import (
    ELEMENT_LENGTH,
    SCALAR_LENGTH,
    add,
    base_times,
    decode_element,
    decode_scalar,
    derive_secret,
    encode_element,
    encode_scalar,
    hash_equality,
    hash_possession,
    times,
)

POSSESSION_LENGTH: Final = ELEMENT_LENGTH + SCALAR_LENGTH
"""``R || z``, 65 bytes."""
EQUALITY_LENGTH: Final = 2 * ELEMENT_LENGTH + SCALAR_LENGTH
"""``R1 || R2 || z``, 98 bytes."""


def prove_possession(secret: int, identifier: int, context: bytes, seed: bytes) -> bytes:
    """Prove knowledge of the logarithm of ``secret * G``.

    Args:
        secret: in 1..n-1.
        identifier: who proves.
        context: what the proof is for; of one length wherever it is used, or empty.
        seed: 32 secret bytes.

    Returns:
        ``R || z``, 65 bytes.
    """
    key = encode_element(base_times(secret))
    statement = context + encode_scalar(identifier) + key
    nonce = derive_secret(seed, b"possession" + encode_scalar(secret) + statement)
    commitment = encode_element(base_times(nonce))
    z = (nonce + secret * hash_possession(statement + commitment)) % GROUP_ORDER
    return commitment + encode_scalar(z)


def verify_possession(public_key: bytes, identifier: int, context: bytes, proof: bytes) -> None:
    """Check a proof of possession.

    Args:
        public_key: the element whose logarithm is known, 33 bytes.
        identifier: who proves.
        context: as it was proven.
        proof: 65 bytes.

    Raises:
        DecodingError: key or proof is not in its one encoding.
        VerificationError: the proof does not hold.
    """
    commitment, z = _split(proof, POSSESSION_LENGTH)
    key = decode_element(public_key)
    challenge = hash_possession(context + encode_scalar(identifier) + public_key + commitment)
    if not _holds(base_times(z), commitment, key, challenge):
        raise VerificationError("proof of possession does not hold", actual=identifier)


def prove_equality(secret: int, identifier: int, base: bytes, context: bytes, seed: bytes) -> tuple[bytes, bytes]:
    """Prove that ``secret * base`` has to ``base`` the logarithm that ``secret * G`` has to G.

    Args:
        secret: in 1..n-1.
        identifier: who proves.
        base: another element, 33 bytes.
        context: what the proof is for; of one length wherever it is used.
        seed: 32 secret bytes.

    Returns:
        ``secret * base``, 33 bytes, and the proof, 98 bytes.

    Raises:
        DecodingError: the base is no element.
    """
    other = decode_element(base)
    product = encode_element(times(other, secret))
    statement = context + encode_scalar(identifier) + encode_element(base_times(secret)) + base + product
    nonce = derive_secret(seed, b"equality" + encode_scalar(secret) + statement)
    commitments = encode_element(base_times(nonce)) + encode_element(times(other, nonce))
    z = (nonce + secret * hash_equality(statement + commitments)) % GROUP_ORDER
    return product, commitments + encode_scalar(z)


def verify_equality(
    public_key: bytes, identifier: int, base: bytes, product: bytes, context: bytes, proof: bytes
) -> None:
    """Check a proof of equality.

    Args:
        public_key: ``x * G``, 33 bytes.
        identifier: who proves.
        base: another element, 33 bytes.
        product: claimed to be ``x * base``, 33 bytes.
        context: as it was proven.
        proof: 98 bytes.

    Raises:
        DecodingError: an element or the proof is not in its one encoding.
        VerificationError: the proof does not hold.
    """
    commitments, z = _split(proof, EQUALITY_LENGTH)
    key, other, claimed = decode_element(public_key), decode_element(base), decode_element(product)
    challenge = hash_equality(context + encode_scalar(identifier) + public_key + base + product + commitments)
    first, second = commitments[:ELEMENT_LENGTH], commitments[ELEMENT_LENGTH:]
    if not (_holds(base_times(z), first, key, challenge) and _holds(times(other, z), second, claimed, challenge)):
        raise VerificationError("proof of equal logarithms does not hold", actual=identifier)


def _split(proof: bytes, length: int) -> tuple[bytes, int]:
    if len(proof) != length:
        raise DecodingError("a proof has another length", expected=length, actual=len(proof))
    z = decode_scalar(proof[-SCALAR_LENGTH:])
    if z == 0:
        raise VerificationError("z of a proof is zero")
    return proof[:-SCALAR_LENGTH], z


def _holds(left: PublicKey, commitment: bytes, element: PublicKey, challenge: int) -> bool:
    """Return whether ``left == R + c * element``."""
    return encode_element(left) == encode_element(add([decode_element(commitment), times(element, challenge)]))
