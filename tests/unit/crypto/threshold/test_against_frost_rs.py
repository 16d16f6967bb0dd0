"""Key generation and signing together with frost-rs, an implementation in Rust: values of both mix in one session."""

import base64
import importlib
import sys
from itertools import product
from typing import Any

import pytest

from piebridge.crypto.errors import VerificationError
from piebridge.crypto.hash import sha256
from piebridge.crypto.signature import public_key_of
from piebridge.crypto.threshold.ciphersuite import base_times, encode_element
from piebridge.crypto.threshold.proofs import prove_possession, verify_possession
from piebridge.crypto.threshold.shares import KeyShare, ThresholdKey
from piebridge.crypto.threshold.sharing import Dealing, Sharing, SharingKind
from piebridge.crypto.threshold.signing import (
    PartialSignature,
    SigningCommitment,
    aggregate,
    generate_nonces,
    sign_partially,
    sign_single,
)
from piebridge.crypto.threshold.verification import verify

if sys.version_info >= (3, 13):
    pytest.skip("frost-rs has wheels up to Python 3.12", allow_module_level=True)

frost: Any = importlib.import_module("frost_rs").utility_secp256k1

HEADER = bytes.fromhex("00eed6b1b1")
"""Version and ciphersuite id before every package of frost-rs."""
MESSAGE = b"message of both"


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encode_like(data: bytes, example: str) -> str:
    text = base64.urlsafe_b64encode(data).decode()
    return text if example.endswith("=") else text.rstrip("=")


class Group:
    """A key of frost-rs's distributed key generation, 2 of 3, with our view of it."""

    def __init__(self) -> None:
        identifiers = [frost.get_id() for _ in range(3)]
        secret_1, public_1, secret_2, public_2 = {}, {}, {}, {}
        for each in identifiers:
            secret_1[each], public_1[each] = frost.round1(each, 2, 3)
        for each in identifiers:
            others = {key: value for key, value in public_1.items() if key != each}
            secret_2[each], public_2[each] = frost.round2(secret_1[each], others)
        self.round_1: dict[str, str] = public_1
        self.key_packages: dict[str, str] = {}
        for each in identifiers:
            others = {key: value for key, value in public_1.items() if key != each}
            received = {key: value[each] for key, value in public_2.items() if each in value}
            self.key_packages[each], self.public_package = frost.round3(secret_2[each], others, received)
        self.names = identifiers
        self.shares: dict[str, KeyShare] = {}
        for name, package in self.key_packages.items():
            data = decode(package)
            assert data[:5] == HEADER
            identifier, secret = int.from_bytes(data[5:37], "big"), int.from_bytes(data[37:69], "big")
            self.shares[name] = KeyShare(identifier, secret, data[102:135])
            assert self.shares[name].verifying_share == data[69:102]
        public = decode(self.public_package)
        verifying = {
            int.from_bytes(public[start : start + 32], "big"): public[start + 32 : start + 65]
            for start in range(6, 6 + 3 * 65, 65)
        }
        self.key = ThresholdKey(public[-33:], 2, verifying)


GROUP = Group()


@pytest.mark.parametrize("ours", list(product([True, False], repeat=2)), ids=str)
def test_mixed_session(ours: tuple[bool, bool]) -> None:
    """Each of two signers is ours or theirs; both coordinators make the same signature, which both verify."""
    names = GROUP.names[:2]
    own_nonces, their_nonces, commitments, their_commitments = {}, {}, [], {}
    example = frost.preprocess(GROUP.key_packages[names[0]])[1]
    for name, is_ours in zip(names, ours, strict=True):
        share = GROUP.shares[name]
        if is_ours:
            own_nonces[name], commitment = generate_nonces(
                share, hiding_entropy=sha256(b"hiding" + name.encode()), binding_entropy=sha256(b"b" + name.encode())
            )
            their_commitments[name] = encode_like(HEADER + commitment.hiding + commitment.binding, example)
        else:
            their_nonces[name], their_commitments[name] = frost.preprocess(GROUP.key_packages[name])
            data = decode(their_commitments[name])
            commitment = SigningCommitment(share.identifier, data[5:38], data[38:71])
        commitments.append(commitment)
    partials, their_partials = [], {}
    for name, is_ours in zip(names, ours, strict=True):
        share = GROUP.shares[name]
        if is_ours:
            partial = sign_partially(share, own_nonces[name], MESSAGE, commitments)
            their_partials[name] = base64.urlsafe_b64encode(partial.z).decode()
        else:
            their_partials[name] = frost.sign(MESSAGE, their_commitments, their_nonces[name], GROUP.key_packages[name])
            partial = PartialSignature(share.identifier, decode(their_partials[name]))
        partials.append(partial)
    padded = any(text.endswith("=") for text in their_partials.values())
    their_partials = {name: text if padded else text.rstrip("=") for name, text in their_partials.items()}
    signature = aggregate(partials, GROUP.key, MESSAGE, commitments)
    theirs = frost.aggregate(MESSAGE, their_commitments, their_partials, GROUP.public_package)
    assert decode(theirs) == signature
    verify(signature, MESSAGE, GROUP.key.public_key)
    assert frost.verify(MESSAGE, GROUP.public_package, theirs)


def test_frost_rs_verifies_our_single_signer() -> None:
    secret = 0x5EED
    public_key = public_key_of(secret.to_bytes(32, "big"))
    public = decode(GROUP.public_package)
    package = encode_like(public[:-33] + public_key, GROUP.public_package)
    signature = sign_single(secret, MESSAGE, bytes(32))
    example = base64.urlsafe_b64encode(signature).decode()
    assert frost.verify(MESSAGE, package, encode_like(signature, example))
    assert not frost.verify(MESSAGE + b"!", package, encode_like(signature, example))


def identifier_of(name: str) -> int:
    return int.from_bytes(decode(name), "big")


def parse_round_1(package: str) -> tuple[tuple[bytes, ...], bytes]:
    data = decode(package)
    assert data[:5] == HEADER
    count = data[5]
    commitments = tuple(data[start : start + 33] for start in range(6, 6 + 33 * count, 33))
    proof = data[6 + 33 * count :]
    assert proof[0] == len(proof) - 1 == 65
    return commitments, proof[1:]


def test_we_accept_their_proofs_of_possession() -> None:
    for name, package in GROUP.round_1.items():
        commitments, proof = parse_round_1(package)
        verify_possession(commitments[0], identifier_of(name), b"", proof)
        with pytest.raises(VerificationError):
            verify_possession(commitments[1], identifier_of(name), b"", proof)


def test_their_dealings_make_the_same_key_here() -> None:
    transport_keys = {identifier_of(name): encode_element(base_times(1)) for name in GROUP.names}
    sharing = Sharing(SharingKind.KEY_GENERATION, bytes(32), 2, transport_keys)
    dealings = {
        identifier_of(name): Dealing(parse_round_1(package)[0], b"", {}) for name, package in GROUP.round_1.items()
    }
    assert sharing.conclude(dealings, transport_keys) == GROUP.key


def test_they_accept_our_dealing() -> None:
    names = [frost.get_id() for _ in range(3)]
    secrets, packages = {}, {}
    for name in names[1:]:
        secrets[name], packages[name] = frost.round1(name, 2, 3)
    constant, linear = 0xABC, 0xDEF
    commitments = [encode_element(base_times(each)) for each in (constant, linear)]

    def ours(context: bytes) -> str:
        proof = prove_possession(constant, identifier_of(names[0]), context, bytes(32))
        data = HEADER + b"\x02" + b"".join(commitments) + bytes([len(proof)]) + proof
        return encode_like(data, packages[names[1]])

    others = {names[0]: ours(b""), names[2]: packages[names[2]]}
    _, public = frost.round2(secrets[names[1]], others)
    assert set(public) == {names[0], names[2]}
    with pytest.raises(BaseException, match="InvalidProofOfKnowledge"):
        frost.round2(secrets[names[1]], others | {names[0]: ours(b"another ceremony")})
