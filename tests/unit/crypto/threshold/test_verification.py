import json
from pathlib import Path

import pytest

from piebridge.crypto.errors import DecodingError, ProtocolError, VerificationError
from piebridge.crypto.hash import keccak256
from piebridge.crypto.signature import public_key_of
from piebridge.crypto.threshold.signing import sign_single
from piebridge.crypto.threshold.verification import verify

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "frost_verification.json").read_text())
MALFORMED = ("z zero", "z equal", "z above", "R with", "R off", "R the identity", "64", "66", "key with", "key off")


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: str(case["name"]))
def test_vectors(case: dict[str, object]) -> None:
    signature, message, public_key = (bytes.fromhex(str(case[name])) for name in ("signature", "message", "public_key"))
    if case["valid"]:
        verify(signature, message, public_key)
        return
    error = DecodingError if str(case["name"]).startswith(MALFORMED) else VerificationError
    with pytest.raises(error):
        verify(signature, message, public_key)


def test_every_single_bit_change_is_refused() -> None:
    secret = keccak256(b"key")
    fields = {
        "signature": sign_single(int.from_bytes(secret, "big"), keccak256(b"message"), bytes(32)),
        "message": keccak256(b"message"),
        "group_public_key": public_key_of(secret),
    }
    verify(**fields)
    for name, value in fields.items():
        for bit in range(8 * len(value)):
            changed = bytearray(value)
            changed[bit // 8] ^= 1 << bit % 8
            with pytest.raises(ProtocolError):
                verify(**fields | {name: bytes(changed)})


@pytest.mark.parametrize("length", [0, 32, 34, 65])
def test_keys_have_33_bytes(length: int) -> None:
    with pytest.raises(DecodingError, match="33 bytes"):
        verify(bytes(65), b"", b"\x02" * length)
