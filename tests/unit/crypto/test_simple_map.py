from dataclasses import replace
from typing import Any

import pytest

from piebridge.crypto import merkle, simple_map
from piebridge.crypto.errors import DecodingError, VerificationError
from piebridge.crypto.hash import sha256
from piebridge.crypto.simple_map import ValueOperator

PAIRS = {b"head/%d" % i: b"value %d" % i for i in range(7)}
STORES = {b"endorsed": simple_map.root(PAIRS), b"state": bytes(32), b"other": b"\x01" * 32}


# Known answers of the Go implementation (cosmos-sdk, store/internal/maps).
@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ({b"key1": b"value1"}, "a44d3cc7daba1a4600b00a2434b30f8b970652169810d6dfa9fb1793a2189324"),
        ({b"key1": b"value2"}, "0638e99b3445caec9d95c05e1a3fc1487b4ddec6a952ff337080360b0dcc078c"),
        (
            {b"key1": b"value1", b"key2": b"value2"},
            "8fd19b19e7bb3f2b3ee0574027d8a5a4cec370464ea2db2fbfa5c7d35bb0cff3",
        ),
        (
            {b"key2": b"value2", b"key1": b"value1"},
            "8fd19b19e7bb3f2b3ee0574027d8a5a4cec370464ea2db2fbfa5c7d35bb0cff3",
        ),
        (
            {b"key1": b"value1", b"key2": b"value2", b"key3": b"value3"},
            "1dd674ec6782a0d586a903c9c63326a41cbe56b3bba33ed6ff5b527af6efb3dc",
        ),
        (
            {b"key2": b"value2", b"key1": b"value1", b"key3": b"value3"},
            "1dd674ec6782a0d586a903c9c63326a41cbe56b3bba33ed6ff5b527af6efb3dc",
        ),
    ],
)
def test_root_known_answers(pairs: dict[bytes, bytes], expected: str) -> None:
    assert simple_map.root(pairs).hex() == expected


def test_leaf_by_hand() -> None:
    key = b"k" * 200
    assert simple_map.root({key: b"v"}) == sha256(b"\x00\xc8\x01" + key + b"\x20" + sha256(b"v"))
    assert simple_map.root({}) == sha256(b"")


def test_every_key_proves() -> None:
    root = simple_map.root(PAIRS)
    for key, value in PAIRS.items():
        simple_map.verify(simple_map.prove(PAIRS, key), root=root, key=key, value=value)


def test_absent_key_has_no_proof() -> None:
    with pytest.raises(KeyError):
        simple_map.prove(PAIRS, b"head/7")


def test_wrong_key_value_and_root_are_refused() -> None:
    root = simple_map.root(PAIRS)
    operator = simple_map.prove(PAIRS, b"head/2")
    with pytest.raises(VerificationError, match="another key"):
        simple_map.verify(operator, root=root, key=b"head/3", value=PAIRS[b"head/3"])
    with pytest.raises(VerificationError):
        simple_map.verify(replace(operator, key=b"head/3"), root=root, key=b"head/3", value=PAIRS[b"head/2"])
    with pytest.raises(VerificationError):
        simple_map.verify(operator, root=root, key=b"head/2", value=b"value 3")
    with pytest.raises(VerificationError):
        simple_map.verify(operator, root=bytes(32), key=b"head/2", value=b"value 2")


def test_row_18_bytes_cannot_move_between_key_and_value() -> None:
    assert simple_map.root({b"ab": b"c"}) != simple_map.root({b"a": b"bc"})


def test_two_operators_lead_to_the_app_hash() -> None:
    app_hash = simple_map.root(STORES)
    inner, outer = simple_map.prove(PAIRS, b"head/5"), simple_map.prove(STORES, b"endorsed")
    arguments = {"app_hash": app_hash, "store": b"endorsed", "key": b"head/5", "value": b"value 5"}
    simple_map.verify_in_store(inner, outer, **arguments)
    for field, wrong in [("app_hash", bytes(32)), ("store", b"state"), ("key", b"head/4"), ("value", b"value 4")]:
        with pytest.raises(VerificationError):
            simple_map.verify_in_store(inner, outer, **arguments | {field: wrong})
    with pytest.raises(VerificationError):
        simple_map.verify_in_store(simple_map.prove(PAIRS, b"head/4"), outer, **arguments)
    with pytest.raises(VerificationError):
        simple_map.verify_in_store(inner, simple_map.prove(STORES, b"state"), **arguments)


def test_operator_encoding_by_hand() -> None:
    operator = ValueOperator(b"k", merkle.Proof(index=1, total=3, leaf_hash=b"\xaa" * 32, aunts=(b"\xbb" * 32,)))
    proof = b"\x08\x03\x10\x01\x1a\x20" + b"\xaa" * 32 + b"\x22\x20" + b"\xbb" * 32
    assert operator.encode() == b"\x0a\x01k\x12" + bytes([len(proof)]) + proof
    assert ValueOperator.decode(operator.encode()) == operator
    first = replace(operator, proof=replace(operator.proof, index=0))
    assert b"\x10" not in first.encode()[:8]
    assert ValueOperator.decode(first.encode()) == first


def test_protobuf_library_reads_our_bytes_and_writes_them_alike() -> None:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="proof.proto", package="test", syntax="proto3")
    field = descriptor_pb2.FieldDescriptorProto
    proof_type = file.message_type.add(name="Proof")
    for number, name, kind, label in [
        (1, "total", field.TYPE_INT64, field.LABEL_OPTIONAL),
        (2, "index", field.TYPE_INT64, field.LABEL_OPTIONAL),
        (3, "leaf_hash", field.TYPE_BYTES, field.LABEL_OPTIONAL),
        (4, "aunts", field.TYPE_BYTES, field.LABEL_REPEATED),
    ]:
        proof_type.field.add(name=name, number=number, type=kind, label=label)
    operator_type = file.message_type.add(name="ValueOp")
    operator_type.field.add(name="key", number=1, type=field.TYPE_BYTES, label=field.LABEL_OPTIONAL)
    operator_type.field.add(
        name="proof", number=2, type=field.TYPE_MESSAGE, label=field.LABEL_OPTIONAL, type_name=".test.Proof"
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    message_class: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("test.ValueOp"))
    for key in PAIRS:
        operator = simple_map.prove(PAIRS, key)
        message = message_class.FromString(operator.encode())
        assert message.SerializeToString(deterministic=True) == operator.encode()
        assert (message.key, message.proof.index) == (key, operator.proof.index)
        assert tuple(message.proof.aunts) == operator.proof.aunts


VALID = simple_map.prove(PAIRS, b"head/3").encode()
PROOF_OFFSET = 2 + len(b"head/3") + 3


def test_row_15_other_encodings_are_refused() -> None:
    assert ValueOperator.decode(VALID).encode() == VALID
    key_field, proof_field = VALID[: 2 + len(b"head/3")], VALID[2 + len(b"head/3") :]
    body = VALID[PROOF_OFFSET:]

    def with_proof(data: bytes) -> bytes:
        assert 127 < len(data) < 16384
        return key_field + b"\x12" + bytes([len(data) & 0x7F | 0x80, len(data) >> 7]) + data

    assert with_proof(body) == VALID
    others = {
        "fields in another order": proof_field + key_field,
        "unknown field": VALID + b"\x18\x01",
        "repeated field": VALID + key_field,
        "long varint in the tag": b"\x8a\x00" + VALID[1:],
        "long varint in the length": b"\x0a\x86\x00" + VALID[2:],
        "explicit default": with_proof(body.replace(b"\x08\x07\x10\x03", b"\x08\x07\x10\x03\x10\x00", 1)),
        "inner fields swapped": with_proof(body.replace(b"\x08\x07\x10\x03", b"\x10\x03\x08\x07", 1)),
        "unknown inner field": with_proof(body + b"\x28\x01"),
        "aunt as a number": with_proof(body + b"\x20\x01"),
        "trailing zero": VALID + b"\x00",
        "group": VALID + b"\x1b\x1c",
        "key as a number": b"\x08\x01" + proof_field,
        "negative total": with_proof(b"\x08" + b"\xff" * 9 + b"\x01" + body[2:]),
        "varint of eleven bytes": b"\x08" + b"\xff" * 11,
    }
    for name, data in others.items():
        assert data != VALID, name
        with pytest.raises(DecodingError):
            ValueOperator.decode(data)


def test_every_prefix_is_refused() -> None:
    for length in range(len(VALID)):
        try:
            operator = ValueOperator.decode(VALID[:length])
        except DecodingError:
            continue
        # A prefix that ends between fields is another message, with no proof that could hold.
        with pytest.raises(VerificationError):
            simple_map.verify(operator, root=simple_map.root(PAIRS), key=b"head/3", value=PAIRS[b"head/3"])
