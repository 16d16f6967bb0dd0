"""Private keys of validators.

Source: ``crypto/secp256k1eth/key.go`` and ``privval/file.go`` of CometBFT v0.40.0.
"""

from dataclasses import dataclass, field
from functools import cached_property

from piebridge.cometbft.keys import SECP256K1_ETH, PublicKey
from piebridge.crypto.signature import public_key_of, sign_secp256k1eth


@dataclass(frozen=True)
class ValidatorKey:
    """Consensus key of one validator, of type ``secp256k1eth``. Serves one chain only and no other purpose."""

    private_key: bytes = field(repr=False)
    """32 bytes, big-endian scalar."""

    @cached_property
    def public_key(self) -> PublicKey:
        """Public key that stands in validator sets."""
        return PublicKey(SECP256K1_ETH, public_key_of(self.private_key))

    @property
    def address(self) -> bytes:
        """Validator address, 20 bytes."""
        return self.public_key.address

    def sign(self, sign_bytes: bytes) -> bytes:
        """Sign canonical vote bytes: 65 bytes R, S, V with V 0 or 1."""
        return sign_secp256k1eth(sign_bytes, self.private_key)
