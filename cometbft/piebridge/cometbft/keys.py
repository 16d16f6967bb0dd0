"""Validator public keys: the two types of CometBFT that PieBridge knows, their addresses, bytes and signature rules.

========================  =====================  ================================  ==========================
type                      public key             address                           signature
========================  =====================  ================================  ==========================
``secp256k1eth``          33 bytes, compressed   Ethereum's, 20 bytes              65 bytes R, S, V (0 or 1),
                                                                                   low S, over Keccak-256
``ed25519``               32 bytes               first 20 bytes of SHA-256         64 bytes, RFC 8032
========================  =====================  ================================  ==========================

CometBFT verifies ed25519 by ZIP-215, which accepts a few crafted signatures that RFC 8032 refuses: a header may be
valid for such a chain and refused here (liveness, not safety). With ``secp256k1eth`` both rules are the same.

Source: ``crypto/secp256k1eth/key.go``, ``crypto/ed25519/ed25519.go``, ``crypto/encoding/codec.go`` of CometBFT v0.40.0.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from piebridge.cometbft.encoding import Reader, message_field
from piebridge.crypto import ed25519
from piebridge.crypto.errors import DecodingError, VerificationError
from piebridge.crypto.hash import sha256
from piebridge.crypto.signature import address_of, verify_secp256k1eth

SECP256K1_ETH: Final = "secp256k1eth"
ED25519: Final = "ed25519"

ADDRESS_LENGTH = 20
MAX_SIGNATURE_LENGTH = 65

_FIELD_NUMBER = {ED25519: 1, SECP256K1_ETH: 5}
"""Field of the oneof ``tendermint.crypto.PublicKey``."""
_LENGTH = {ED25519: 32, SECP256K1_ETH: 33}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A validator's public key."""

    type: str
    """``secp256k1eth`` or ``ed25519``."""
    data: bytes
    """33 bytes compressed, or 32 bytes."""

    def __post_init__(self) -> None:
        """Refuse an unknown type, a wrong length, and a point that is not on the curve."""
        if self.type not in _LENGTH:
            raise DecodingError(f"unknown validator key type {self.type!r}; known are {', '.join(_LENGTH)}")
        if len(self.data) != _LENGTH[self.type]:
            raise DecodingError(f"{self.type} key length", expected=_LENGTH[self.type], actual=len(self.data))
        if self.type == SECP256K1_ETH:
            _address(self.type, self.data)

    @property
    def address(self) -> bytes:
        """Validator address, 20 bytes."""
        return _address(self.type, self.data)

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Tell whether ``signature`` over ``message`` is valid under the strict rules of the key type."""
        verify = ed25519.verify if self.type == ED25519 else verify_secp256k1eth
        try:
            verify(self.data, message, signature)
        except VerificationError:
            return False
        return True

    def encode(self) -> bytes:
        """Encode ``tendermint.crypto.PublicKey``."""
        return message_field(_FIELD_NUMBER[self.type], self.data)

    @classmethod
    def decode(cls, body: bytes) -> "PublicKey":
        """Decode ``tendermint.crypto.PublicKey``; the oneof must hold exactly one known key.

        Raises:
            DecodingError: anything else.
        """
        for key_type, number in _FIELD_NUMBER.items():
            if body[:1] == bytes([number << 3 | 2]):
                reader = Reader(body, "public key")
                data = reader.octets(number, (_LENGTH[key_type],))
                reader.end()
                return cls(key_type, data)
        raise DecodingError("public key: unknown type or empty")


@lru_cache(maxsize=4096)
def _address(key_type: str, data: bytes) -> bytes:
    """Derive an address; cached, because sets are searched by address and decompressing a point is slow."""
    return sha256(data)[:ADDRESS_LENGTH] if key_type == ED25519 else address_of(data)
