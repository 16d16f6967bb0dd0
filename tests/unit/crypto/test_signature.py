import json
from collections.abc import Callable
from pathlib import Path

import pytest
from eth_keys.datatypes import PrivateKey, Signature

from piebridge.crypto import signature
from piebridge.crypto.errors import ConfigurationError, DecodingError, VerificationError
from piebridge.crypto.hash import keccak256

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "signature_secp256k1.json").read_text())
KEY = bytes.fromhex(VECTORS["private_key"])
DIGEST = keccak256(b"digest")


def with_field(valid: bytes, *, r: int | None = None, s: int | None = None, v: int | None = None) -> bytes:
    r_bytes = valid[:32] if r is None else r.to_bytes(32, "big")
    s_bytes = valid[32:64] if s is None else s.to_bytes(32, "big")
    return r_bytes + s_bytes + (valid[64:] if v is None else bytes([v]))


def test_known_account() -> None:
    assert signature.public_key_of(KEY).hex() == VECTORS["public_key"]
    assert signature.address_of_private_key(KEY).hex() == VECTORS["address"]
    assert signature.address_of(signature.public_key_of(KEY)).hex() == VECTORS["address"]


@pytest.mark.parametrize("case", VECTORS["evm"], ids=lambda case: str(case["digest"])[:8])
def test_evm_form_known_answers(case: dict[str, str]) -> None:
    digest, expected = bytes.fromhex(case["digest"]), bytes.fromhex(case["signature"])
    assert signature.sign_recoverable(digest, KEY) == expected
    assert signature.recover_address(digest, expected).hex() == VECTORS["address"]


@pytest.mark.parametrize("case", VECTORS["secp256k1eth"], ids=lambda case: str(case["message"])[:8])
def test_secp256k1eth_form_known_answers(case: dict[str, str]) -> None:
    message, expected = bytes.fromhex(case["message"]), bytes.fromhex(case["signature"])
    assert signature.sign_secp256k1eth(message, KEY) == expected
    signature.verify_secp256k1eth(signature.public_key_of(KEY), message, expected)


def test_both_values_of_v_occur() -> None:
    assert {bytes.fromhex(case["signature"])[64] for case in VECTORS["evm"]} == {27, 28}
    assert {bytes.fromhex(case["signature"])[64] for case in VECTORS["secp256k1eth"]} == {0, 1}


def test_eth_keys_agrees_on_signature_and_address() -> None:
    theirs = PrivateKey(KEY)
    for number in range(64):
        digest = keccak256(b"%d" % number)
        ours = signature.sign_recoverable(digest, KEY)
        assert ours[:64] + bytes([ours[64] - 27]) == theirs.sign_msg_hash(digest).to_bytes()
        assert signature.recover_address(digest, ours) == theirs.public_key.to_canonical_address()


def test_row_29_high_s_is_refused_in_both_forms() -> None:
    valid = signature.sign_recoverable(DIGEST, KEY)
    s = signature.GROUP_ORDER - int.from_bytes(valid[32:64], "big")
    twin = with_field(valid, s=s, v=55 - valid[64])
    # ecrecover and eth-keys take the twin: it names the same signer.
    recovered = Signature(twin[:64] + bytes([twin[64] - 27])).recover_public_key_from_msg_hash(DIGEST)
    assert recovered.to_canonical_address() == signature.address_of_private_key(KEY)
    with pytest.raises(VerificationError, match="n/2"):
        signature.recover_address(DIGEST, twin)
    valid = signature.sign_secp256k1eth(b"vote", KEY)
    s = signature.GROUP_ORDER - int.from_bytes(valid[32:64], "big")
    with pytest.raises(VerificationError, match="n/2"):
        signature.verify_secp256k1eth(signature.public_key_of(KEY), b"vote", with_field(valid, s=s, v=1 - valid[64]))


def test_half_order_is_the_exact_border_of_s() -> None:
    # No private key is needed: recovery finds the key for which a chosen (r, s) is a signature.
    valid = signature.sign_recoverable(DIGEST, KEY)
    half = signature.GROUP_ORDER // 2
    assert len(signature.recover_address(DIGEST, with_field(valid, s=half))) == 20
    with pytest.raises(VerificationError, match="n/2"):
        signature.recover_address(DIGEST, with_field(valid, s=half + 1))


@pytest.mark.parametrize("v", [v for v in range(256) if v not in (27, 28)])
def test_row_29_evm_form_takes_no_other_v(v: int) -> None:
    valid = signature.sign_recoverable(DIGEST, KEY)
    with pytest.raises(VerificationError, match="v of a signature"):
        signature.recover_address(DIGEST, with_field(valid, v=v))


@pytest.mark.parametrize("v", [2, 3, 4, 27, 28, 255])
def test_secp256k1eth_form_takes_no_other_v(v: int) -> None:
    valid = signature.sign_secp256k1eth(b"vote", KEY)
    with pytest.raises(VerificationError, match="v of a signature"):
        signature.verify_secp256k1eth(signature.public_key_of(KEY), b"vote", with_field(valid, v=v))


@pytest.mark.parametrize("value", [0, signature.GROUP_ORDER, signature.GROUP_ORDER + 1, 2**256 - 1])
def test_row_29_r_and_s_in_range(value: int) -> None:
    valid = signature.sign_recoverable(DIGEST, KEY)
    with pytest.raises(VerificationError, match="r of a signature"):
        signature.recover_address(DIGEST, with_field(valid, r=value))
    with pytest.raises(VerificationError, match="s of a signature"):
        signature.recover_address(DIGEST, with_field(valid, s=value))


def test_r_that_is_no_coordinate_is_refused() -> None:
    valid = signature.sign_recoverable(DIGEST, KEY)
    # 5**3 + 7 is no square modulo p.
    with pytest.raises(VerificationError, match="no public key"):
        signature.recover_address(DIGEST, with_field(valid, r=5))


@pytest.mark.parametrize("length", [0, 1, 63, 64, 66, 130])
def test_row_29_other_lengths_are_refused(length: int) -> None:
    long = signature.sign_recoverable(DIGEST, KEY) * 2
    with pytest.raises(VerificationError, match="65 bytes"):
        signature.recover_address(DIGEST, long[:length])


def test_wrong_digest_length() -> None:
    valid = signature.sign_recoverable(DIGEST, KEY)
    with pytest.raises(VerificationError, match="digest"):
        signature.recover_address(DIGEST[:31], valid)
    with pytest.raises(ValueError, match="digest"):
        signature.sign_recoverable(DIGEST + b"\x00", KEY)


def test_secp256k1eth_refuses_another_key_message_or_recovery() -> None:
    key = signature.public_key_of(KEY)
    other = signature.public_key_of(b"\x02" * 32)
    valid = signature.sign_secp256k1eth(b"vote", KEY)
    with pytest.raises(VerificationError):
        signature.verify_secp256k1eth(other, b"vote", valid)
    with pytest.raises(VerificationError):
        signature.verify_secp256k1eth(key, b"Vote", valid)
    with pytest.raises(VerificationError):
        signature.verify_secp256k1eth(key, b"vote", with_field(valid, v=1 - valid[64]))
    with pytest.raises(VerificationError):
        signature.verify_secp256k1eth(key[:32], b"vote", valid)
    with pytest.raises(VerificationError):
        signature.verify_secp256k1eth(bytes([key[0] ^ 1]) + key[1:], b"vote", valid)


@pytest.mark.parametrize(
    "use",
    [
        lambda key: signature.sign_recoverable(DIGEST, key),
        lambda key: signature.sign_secp256k1eth(b"", key),
        signature.public_key_of,
        signature.address_of_private_key,
    ],
)
@pytest.mark.parametrize(
    "key",
    [b"", b"\x01", b"\x01" * 31, b"\x01" * 33, bytes(32), signature.GROUP_ORDER.to_bytes(32, "big"), b"\xff" * 32],
)
def test_private_keys_out_of_range_are_refused(use: Callable[[bytes], bytes], key: bytes) -> None:
    with pytest.raises(ConfigurationError, match="private key"):
        use(key)


def test_public_key_has_one_encoding_of_each_length() -> None:
    compressed = signature.public_key_of(KEY)
    uncompressed = signature.recover_public_key(DIGEST, signature.sign_recoverable(DIGEST, KEY))
    assert signature.compress_public_key(uncompressed) == compressed
    assert signature.address_of(uncompressed) == signature.address_of(compressed)
    hybrid = bytes([6 + (uncompressed[64] & 1)]) + uncompressed[1:]
    off_curve = uncompressed[:64] + bytes([uncompressed[64] ^ 1])
    for bad in (
        b"",
        compressed[:32],
        uncompressed[:64],
        uncompressed + b"\x00",
        hybrid,
        off_curve,
        b"\x04" + bytes(32),
    ):
        with pytest.raises(DecodingError):
            signature.address_of(bad)
        with pytest.raises(DecodingError):
            signature.compress_public_key(bad)
    with pytest.raises(DecodingError):
        signature.compress_public_key(compressed)
    with pytest.raises(DecodingError):
        signature.address_of(b"\x02" + (5).to_bytes(32, "big"))
