import pytest

from piebridge.crypto import ed25519
from piebridge.crypto.errors import ConfigurationError, VerificationError

# RFC 8032, section 7.1, test 3.
SEED = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
PUBLIC_KEY = bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")
MESSAGE = bytes.fromhex("af82")
SIGNATURE = bytes.fromhex(
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
)


def test_rfc_8032_known_answer() -> None:
    assert ed25519.public_key_of(SEED) == PUBLIC_KEY
    assert ed25519.sign(MESSAGE, SEED) == SIGNATURE
    ed25519.verify(PUBLIC_KEY, MESSAGE, SIGNATURE)


def test_every_single_bit_change_is_refused() -> None:
    for position in range(len(SIGNATURE) * 8):
        bad = bytes(byte ^ (1 << position % 8) if i == position // 8 else byte for i, byte in enumerate(SIGNATURE))
        with pytest.raises(VerificationError):
            ed25519.verify(PUBLIC_KEY, MESSAGE, bad)
    with pytest.raises(VerificationError):
        ed25519.verify(PUBLIC_KEY, MESSAGE + b"\x00", SIGNATURE)
    with pytest.raises(VerificationError):
        ed25519.verify(ed25519.public_key_of(bytes(32)), MESSAGE, SIGNATURE)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_other_lengths_are_refused(length: int) -> None:
    with pytest.raises(VerificationError, match="32 bytes"):
        ed25519.verify(bytes(length), MESSAGE, SIGNATURE)
    with pytest.raises(ConfigurationError, match="32 bytes"):
        ed25519.sign(MESSAGE, bytes(length))
    # A signature that borrows its last byte from the message.
    with pytest.raises(VerificationError, match="64 bytes"):
        ed25519.verify(PUBLIC_KEY, SIGNATURE[63:] + MESSAGE, SIGNATURE[:63])
