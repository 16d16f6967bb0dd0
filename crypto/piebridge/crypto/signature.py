"""ECDSA over secp256k1 on libsecp256k1, in the two forms that PieBridge meets.

* **EVM form**: 65 bytes ``r || s || v`` over a 32-byte digest, v 27 or 28, as the precompile ``ecrecover`` takes it
  (Yellow Paper, appendix F). The high half of s is refused as in EIP-2, or one signature would have two encodings.
* **secp256k1eth form** of CometBFT: 65 bytes ``r || s || v`` over ``keccak256(message)``, v 0 or 1, low s.

Signing uses the nonce of RFC 6979, so it draws no randomness.
"""

from coincurve import PrivateKey, PublicKey

from piebridge.crypto.errors import ConfigurationError, DecodingError, VerificationError
from piebridge.crypto.hash import HASH_LENGTH, keccak256

GROUP_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
"""Order n of the secp256k1 group (SEC 2, section 2.4.1)."""

SIGNATURE_LENGTH = 65
"""``r || s || v``: 32 + 32 + 1 bytes, r and s big endian."""
PRIVATE_KEY_LENGTH = 32
"""Big-endian scalar in 1..n-1."""
COMPRESSED_KEY_LENGTH = 33
"""0x02 or 0x03, then x (SEC 1, section 2.3.3)."""
ADDRESS_LENGTH = 20
"""Last bytes of the Keccak-256 digest of the uncompressed key without its prefix."""

_HALF_ORDER = GROUP_ORDER // 2
_UNCOMPRESSED_KEY_LENGTH = 65
_EVM_RECOVERY_OFFSET = 27


def sign_recoverable(digest: bytes, private_key: bytes) -> bytes:
    """Sign a 32-byte digest in the EVM form.

    Returns:
        65 bytes ``r || s || v``, v 27 or 28, s in the lower half.

    Raises:
        ConfigurationError: ``private_key`` is not 32 bytes in 1..n-1.
        ValueError: ``digest`` is not 32 bytes.
    """
    signature = _sign(digest, private_key)
    return signature[:64] + bytes([signature[64] + _EVM_RECOVERY_OFFSET])


def recover_address(digest: bytes, signature: bytes) -> bytes:
    """Return the 20-byte address of the key that signed ``digest`` in the EVM form.

    Unlike the precompile, and like the contracts of PieBridge, this refuses a high s.

    Raises:
        VerificationError: wrong length, r or s outside 1..n-1, high s, v other than 27 or 28, or no key fits.
    """
    return keccak256(recover_public_key(digest, signature)[1:])[-ADDRESS_LENGTH:]


def recover_public_key(digest: bytes, signature: bytes) -> bytes:
    """Return the uncompressed public key (65 bytes) that signed ``digest`` in the EVM form.

    Raises:
        VerificationError: as :func:`recover_address`.
    """
    return _recover(digest, signature, recovery_offset=_EVM_RECOVERY_OFFSET)


def sign_secp256k1eth(message: bytes, private_key: bytes) -> bytes:
    """Sign ``message`` as a CometBFT validator with a ``secp256k1eth`` key does.

    Returns:
        65 bytes ``r || s || v`` over ``keccak256(message)``, v 0 or 1, s in the lower half.

    Raises:
        ConfigurationError: ``private_key`` is not 32 bytes in 1..n-1.
    """
    return _sign(keccak256(message), private_key)


def verify_secp256k1eth(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Check a ``secp256k1eth`` signature of a CometBFT validator.

    CometBFT itself does not read v. Here it must be right, so that a signature has one encoding and serves
    ``ecrecover``; should a validator have written a wrong v, anybody can restore it from the key and the other 64
    bytes.

    Args:
        public_key: compressed key, 33 bytes, as it stands in the validator set.
        message: the signed bytes, for a vote with their length prefix.
        signature: 65 bytes ``r || s || v``, v 0 or 1.

    Raises:
        VerificationError: the signature is malformed, has a high s, or is of another key or message.
    """
    if len(public_key) != COMPRESSED_KEY_LENGTH:
        raise VerificationError(
            "a secp256k1eth key is compressed", expected=COMPRESSED_KEY_LENGTH, actual=len(public_key)
        )
    recovered = _recover(keccak256(message), signature, recovery_offset=0)
    if compress_public_key(recovered) != public_key:
        raise VerificationError("signature is not of this key and message")


def public_key_of(private_key: bytes) -> bytes:
    """Return the compressed public key (33 bytes).

    Raises:
        ConfigurationError: ``private_key`` is not 32 bytes in 1..n-1.
    """
    return _private_key(private_key).public_key.format(compressed=True)


def address_of_private_key(private_key: bytes) -> bytes:
    """Return the 20-byte address of a private key.

    Raises:
        ConfigurationError: ``private_key`` is not 32 bytes in 1..n-1.
    """
    return address_of(_private_key(private_key).public_key.format(compressed=False))


def address_of(public_key: bytes) -> bytes:
    """Return the 20-byte Ethereum address of a public key, compressed (33 bytes) or uncompressed (65 bytes).

    Raises:
        DecodingError: the bytes are no point of the curve in one of these two forms.
    """
    if not (len(public_key) == _UNCOMPRESSED_KEY_LENGTH and public_key[0] == 4):
        public_key = _parse_public_key(public_key, COMPRESSED_KEY_LENGTH).format(compressed=False)
    else:
        _parse_public_key(public_key, _UNCOMPRESSED_KEY_LENGTH)
    return keccak256(public_key[1:])[-ADDRESS_LENGTH:]


def compress_public_key(public_key: bytes) -> bytes:
    """Return the compressed form (33 bytes) of an uncompressed key (65 bytes, prefix 0x04).

    Raises:
        DecodingError: the bytes are no point of the curve in that form.
    """
    return _parse_public_key(public_key, _UNCOMPRESSED_KEY_LENGTH).format(compressed=True)


def uncompress_public_key(public_key: bytes) -> bytes:
    """Return the uncompressed form (65 bytes, prefix 0x04) of a compressed key (33 bytes).

    Raises:
        DecodingError: the bytes are no point of the curve in that form.
    """
    return _parse_public_key(public_key, COMPRESSED_KEY_LENGTH).format(compressed=False)


def _parse_public_key(data: bytes, length: int) -> PublicKey:
    # The hybrid prefixes 0x06 and 0x07, which the library would take, are second encodings of a key.
    if len(data) != length or data[0] not in ((4,) if length == _UNCOMPRESSED_KEY_LENGTH else (2, 3)):
        raise DecodingError(f"public key is not {length} bytes with the prefix of that form")
    try:
        return PublicKey(data)
    except ValueError as error:
        raise DecodingError("public key is no point of secp256k1") from error


def _private_key(private_key: bytes) -> PrivateKey:
    # The library pads short secrets: refuse them here, or a truncated key would sign as another one.
    if len(private_key) != PRIVATE_KEY_LENGTH:
        raise ConfigurationError(f"a secp256k1 private key has 32 bytes, this one {len(private_key)}")
    try:
        return PrivateKey(private_key)
    except ValueError as error:
        raise ConfigurationError("the secp256k1 private key is zero or not below the group order") from error


def _sign(digest: bytes, private_key: bytes) -> bytes:
    if len(digest) != HASH_LENGTH:
        raise ValueError(f"a digest has 32 bytes, this one {len(digest)}")
    signature = _private_key(private_key).sign_recoverable(digest, hasher=None)
    if signature[64] > 1:
        # x of the nonce point is not below n: one in 2**127, and v has no value for it.
        raise VerificationError("this digest has no signature in the EVM form under this key; sign another one")
    return signature


def _recover(digest: bytes, signature: bytes, *, recovery_offset: int) -> bytes:
    if len(digest) != HASH_LENGTH:
        raise VerificationError("a digest has 32 bytes", expected=HASH_LENGTH, actual=len(digest))
    if len(signature) != SIGNATURE_LENGTH:
        raise VerificationError("a signature has 65 bytes", expected=SIGNATURE_LENGTH, actual=len(signature))
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    recovery_id = signature[64] - recovery_offset
    if recovery_id not in (0, 1):
        raise VerificationError(f"v of a signature is {recovery_offset} or {recovery_offset + 1}", actual=signature[64])
    if not 1 <= r < GROUP_ORDER:
        raise VerificationError("r of a signature is in 1..n-1", actual=r)
    if not 1 <= s <= _HALF_ORDER:
        raise VerificationError("s of a signature is in 1..n/2", actual=s)
    try:
        key = PublicKey.from_signature_and_message(signature[:64] + bytes([recovery_id]), digest, hasher=None)
    except ValueError as error:
        raise VerificationError("no public key fits this signature and digest") from error
    return key.format(compressed=False)
