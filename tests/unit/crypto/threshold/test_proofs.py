import pytest

from piebridge.crypto.errors import DecodingError, ProtocolError, VerificationError
from piebridge.crypto.signature import GROUP_ORDER
from piebridge.crypto.threshold.ciphersuite import base_times, encode_element, times
from piebridge.crypto.threshold.proofs import (
    prove_equality,
    prove_possession,
    verify_equality,
    verify_possession,
)
from piebridge.crypto.threshold.transport import agree, open_share, seal_share

SEED = b"\x05" * 32
SECRET = 0xC0FFEE
KEY = encode_element(base_times(SECRET))
BASE = encode_element(base_times(0xBA5E))
CONTEXT = b"\x01" * 32


def test_possession_holds_for_its_statement_alone() -> None:
    proof = prove_possession(SECRET, 3, CONTEXT, SEED)
    verify_possession(KEY, 3, CONTEXT, proof)
    for key, identifier, context in ((BASE, 3, CONTEXT), (KEY, 4, CONTEXT), (KEY, 3, b"\x02" * 32), (KEY, 3, b"")):
        with pytest.raises(VerificationError):
            verify_possession(key, identifier, context, proof)


@pytest.mark.parametrize("position", range(65))
def test_every_byte_of_a_possession_counts(position: int) -> None:
    proof = bytearray(prove_possession(SECRET, 3, CONTEXT, SEED))
    proof[position] ^= 1
    with pytest.raises(ProtocolError):
        verify_possession(KEY, 3, CONTEXT, bytes(proof))


def test_equality_holds_for_its_statement_alone() -> None:
    product, proof = prove_equality(SECRET, 3, BASE, CONTEXT, SEED)
    assert product == encode_element(times(base_times(0xBA5E), SECRET))
    verify_equality(KEY, 3, BASE, product, CONTEXT, proof)
    for key, identifier, base, claimed, context in (
        (BASE, 3, BASE, product, CONTEXT),
        (KEY, 4, BASE, product, CONTEXT),
        (KEY, 3, KEY, product, CONTEXT),
        (KEY, 3, BASE, BASE, CONTEXT),
        (KEY, 3, BASE, product, b"\x02" * 32),
    ):
        with pytest.raises(VerificationError):
            verify_equality(key, identifier, base, claimed, context, proof)


@pytest.mark.parametrize("position", range(98))
def test_every_byte_of_an_equality_counts(position: int) -> None:
    product, made = prove_equality(SECRET, 3, BASE, CONTEXT, SEED)
    proof = bytearray(made)
    proof[position] ^= 1
    with pytest.raises(ProtocolError):
        verify_equality(KEY, 3, BASE, product, CONTEXT, bytes(proof))


def test_malformed_proofs_are_refused() -> None:
    proof = prove_possession(SECRET, 3, CONTEXT, SEED)
    for changed in (b"", proof[:-1], proof + b"\x00", proof[:33] + GROUP_ORDER.to_bytes(32, "big")):
        with pytest.raises(DecodingError):
            verify_possession(KEY, 3, CONTEXT, changed)
    with pytest.raises(VerificationError, match="zero"):
        verify_possession(KEY, 3, CONTEXT, proof[:33] + bytes(32))


def test_proof_made_again_is_the_same_and_its_nonce_is_of_all_it_proves() -> None:
    proofs = {
        prove_possession(secret, identifier, context, seed)[:33]
        for secret in (SECRET, SECRET + 1)
        for identifier in (3, 4)
        for context in (CONTEXT, b"\x02" * 32)
        for seed in (SEED, b"\x06" * 32)
    }
    assert len(proofs) == 16
    assert prove_possession(SECRET, 3, CONTEXT, SEED) == prove_possession(SECRET, 3, CONTEXT, SEED)


def test_both_sides_agree_and_a_share_opens_under_all_its_names_alone() -> None:
    point = agree(SECRET, BASE)
    assert point == agree(0xBA5E, KEY)
    sealed = seal_share(77, point, CONTEXT, 1, 2)
    assert open_share(sealed, point, CONTEXT, 1, 2) == 77
    assert (77).to_bytes(32, "big") not in sealed
    for arguments in (
        (KEY, CONTEXT, 1, 2),
        (point, b"\x02" * 32, 1, 2),
        (point, CONTEXT, 2, 1),
        (point, CONTEXT, 1, 3),
    ):
        with pytest.raises(VerificationError):
            open_share(sealed, *arguments)
    for changed in (sealed[:-1], sealed + b"\x00", b""):
        with pytest.raises(DecodingError):
            open_share(changed, point, CONTEXT, 1, 2)
    for value in (0, GROUP_ORDER):
        with pytest.raises(DecodingError):
            open_share(seal_share(value, point, CONTEXT, 1, 2), point, CONTEXT, 1, 2)
