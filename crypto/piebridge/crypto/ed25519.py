"""Ed25519 signatures (RFC 8032, section 5.1) on libsodium, for CometBFT's consensus and node keys.

CometBFT verifies by the laxer rules of ZIP-215: a crafted signature can be valid for the chain and refused here. That
can hold a light client up, never deceive it; relay chains of PieBridge use ``secp256k1eth`` keys, where all rules
agree.
"""

from nacl.bindings import crypto_sign, crypto_sign_BYTES, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

from piebridge.crypto.errors import ConfigurationError, VerificationError

SEED_LENGTH = 32
"""Private key as RFC 8032 defines it, bytes."""
PUBLIC_KEY_LENGTH = 32
"""Compressed point, bytes."""
SIGNATURE_LENGTH = 64
"""``R || S``, bytes."""


def public_key_of(seed: bytes) -> bytes:
    """Return the 32-byte public key of a private key.

    Raises:
        ConfigurationError: ``seed`` is not 32 bytes.
    """
    return _key_pair(seed)[0]


def sign(message: bytes, seed: bytes) -> bytes:
    """Return the 64-byte signature of ``message``; deterministic, so it draws no randomness.

    Raises:
        ConfigurationError: ``seed`` is not 32 bytes.
    """
    signed: bytes = crypto_sign(message, _key_pair(seed)[1])
    return signed[:crypto_sign_BYTES]


def verify(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Check a signature.

    Raises:
        VerificationError: a length is wrong, or the signature is of another key or message.
    """
    if len(public_key) != PUBLIC_KEY_LENGTH:
        raise VerificationError("an ed25519 key has 32 bytes", expected=PUBLIC_KEY_LENGTH, actual=len(public_key))
    if len(signature) != SIGNATURE_LENGTH:
        raise VerificationError("an ed25519 signature has 64 bytes", expected=SIGNATURE_LENGTH, actual=len(signature))
    try:
        crypto_sign_open(signature + message, public_key)
    except BadSignatureError as error:
        raise VerificationError("ed25519 signature is not of this key and message") from error


def _key_pair(seed: bytes) -> tuple[bytes, bytes]:
    if len(seed) != SEED_LENGTH:
        raise ConfigurationError(f"an ed25519 private key has 32 bytes, this one {len(seed)}")
    public_key, secret_key = crypto_sign_seed_keypair(seed)
    return bytes(public_key), bytes(secret_key)
