"""Shares on their way: encrypted for one receiver under a key that serves once (``docs/protocol/governors.md``, 3.2).

The two sides agree by Diffie-Hellman; the point they agree on can be shown to everybody with a proof, and then
everybody can open that one ciphertext.
"""

from typing import Final

from Crypto.Cipher import AES

from piebridge.crypto.errors import DecodingError, VerificationError
from piebridge.crypto.hash import sha256
from piebridge.crypto.threshold.ciphersuite import (
    SCALAR_LENGTH,
    decode_element,
    decode_scalar,
    encode_element,
    encode_scalar,
    times,
)

TAG_LENGTH: Final = 16
"""Authentication tag of AES-GCM, bytes."""
SEALED_LENGTH: Final = SCALAR_LENGTH + TAG_LENGTH
"""A sealed share: ciphertext, then tag."""

_PURPOSE: Final = b"PIEBRIDGE/GOVERNOR_SHARE/v1"
_NONCE: Final = bytes(12)
"""Constant: the key is made for one plaintext of one dealer to one receiver in one ceremony."""


def agree(secret: int, public_key: bytes) -> bytes:
    """Return the point that two sides agree on, 33 bytes, from one's secret and the other's transport key.

    Raises:
        DecodingError: the key is no element.
    """
    return encode_element(times(decode_element(public_key), secret))


def seal_share(share: int, shared_point: bytes, context: bytes, dealer: int, receiver: int) -> bytes:
    """Encrypt a share, a scalar.

    Args:
        share: what to encrypt.
        shared_point: of dealer and receiver, 33 bytes.
        context: id of the ceremony, 32 bytes.
        dealer: identifier of the sender.
        receiver: identifier of the receiver.

    Returns:
        Ciphertext and tag, 48 bytes; the same for the same arguments.
    """
    cipher = AES.new(_key(shared_point, context, dealer, receiver), AES.MODE_GCM, nonce=_NONCE)
    ciphertext, tag = cipher.encrypt_and_digest(encode_scalar(share))
    return ciphertext + tag


def open_share(sealed: bytes, shared_point: bytes, context: bytes, dealer: int, receiver: int) -> int:
    """Decrypt a share. Arguments as for :func:`seal_share`.

    Raises:
        DecodingError: another length than 48 bytes, or the plaintext is no scalar in 1..n-1.
        VerificationError: the tag does not hold.
    """
    if len(sealed) != SEALED_LENGTH:
        raise DecodingError("a sealed share has 48 bytes", expected=SEALED_LENGTH, actual=len(sealed))
    cipher = AES.new(_key(shared_point, context, dealer, receiver), AES.MODE_GCM, nonce=_NONCE)
    try:
        plaintext = cipher.decrypt_and_verify(sealed[:SCALAR_LENGTH], sealed[SCALAR_LENGTH:])
    except ValueError as error:
        raise VerificationError("a sealed share was not made under this key", actual=dealer) from error
    share = decode_scalar(plaintext)
    if share == 0:
        raise DecodingError("a share is zero")
    return share


def _key(shared_point: bytes, context: bytes, dealer: int, receiver: int) -> bytes:
    return sha256(_PURPOSE + context + encode_scalar(dealer) + encode_scalar(receiver) + shared_point)
