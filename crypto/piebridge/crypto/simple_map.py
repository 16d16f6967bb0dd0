"""CometBFT's "simple map": an RFC 6962 tree over sorted pairs, and the proof operators that ``cometbft light`` reads.

The leaf of a pair is ``uvarint(len(key)) || key || 0x20 || sha256(value)``, leaves are sorted by key. An application
uses it twice: over the pairs of a store, then over (store name, store root), whose root is the app hash. A query is
then proved by two operators of type ``simple:v``, inner one first. Absence cannot be proved in this structure.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from piebridge.crypto import merkle
from piebridge.crypto.errors import DecodingError, VerificationError
from piebridge.crypto.hash import HASH_LENGTH, sha256

VALUE_OPERATOR_TYPE = "simple:v"
"""``type`` of the ``crypto.ProofOp`` that carries an encoded :class:`ValueOperator` in ``data``."""


@dataclass(frozen=True, slots=True)
class ValueOperator:
    """CometBFT's ``crypto.ValueOp``: the claim that a value stands under ``key`` in a map."""

    key: bytes
    """Key in the map. The same bytes stand in ``key`` of the ``crypto.ProofOp`` around it."""
    proof: merkle.Proof
    """Inclusion of the leaf of that pair."""

    def encode(self) -> bytes:
        """Return the canonical protobuf encoding of ``crypto.ValueOp``: the ``data`` of a ``crypto.ProofOp``."""
        return _bytes_field(1, self.key) + _message_field(2, _encode_proof(self.proof))

    @classmethod
    def decode(cls, data: bytes) -> "ValueOperator":
        """Read the canonical encoding.

        Raises:
            DecodingError: the bytes are anything else, including other protobuf encodings of the same message.
        """
        fields = _read_fields(data)
        operator = cls(key=_one_bytes(fields, 1), proof=_decode_proof(_one_bytes(fields, 2)))
        # Field order, default values, unknown fields and long varints: only what encodes back is accepted.
        if operator.encode() != data:
            raise DecodingError("ValueOp is not in its canonical encoding")
        return operator


def root(pairs: Mapping[bytes, bytes]) -> bytes:
    """Return the 32-byte root of a map."""
    return merkle.root([_leaf(key, pairs[key]) for key in sorted(pairs)])


def prove(pairs: Mapping[bytes, bytes], key: bytes) -> ValueOperator:
    """Return the proof that ``key`` has its value in the map.

    Raises:
        KeyError: the map has no such key.
    """
    keys = sorted(pairs)
    if key not in pairs:
        raise KeyError(key)
    return ValueOperator(key=key, proof=merkle.prove([_leaf(k, pairs[k]) for k in keys], keys.index(key)))


def verify(operator: ValueOperator, *, root: bytes, key: bytes, value: bytes) -> None:
    """Check that the map with this root has ``value`` under ``key``.

    Raises:
        VerificationError: the operator is for another key, or the proof does not hold.
    """
    if operator.key != key:
        raise VerificationError("proof operator is for another key", expected=key, actual=operator.key)
    merkle.verify_proof(operator.proof, root=root, leaf=_leaf(key, value))


def verify_in_store(
    inner: ValueOperator, outer: ValueOperator, *, app_hash: bytes, store: bytes, key: bytes, value: bytes
) -> None:
    """Check that the state with this app hash has ``value`` under ``key`` in a store that is a simple map itself.

    Args:
        inner: proof in the store.
        outer: proof of the store's root among the stores.
        app_hash: of a trusted header, 32 bytes.
        store: name of the store.
        key: key in the store.
        value: value of that key.

    Raises:
        VerificationError: one of the two does not hold.
    """
    if inner.key != key:
        raise VerificationError("proof operator is for another key", expected=key, actual=inner.key)
    if inner.proof.leaf_hash != merkle.leaf_hash(_leaf(key, value)):
        raise VerificationError("leaf hash of the store proof is not that of key and value")
    verify(outer, root=app_hash, key=store, value=merkle.root_from_proof(inner.proof))


def _leaf(key: bytes, value: bytes) -> bytes:
    return _uvarint(len(key)) + key + bytes([HASH_LENGTH]) + sha256(value)


def _encode_proof(proof: merkle.Proof) -> bytes:
    return (
        _integer_field(1, proof.total)
        + _integer_field(2, proof.index)
        + _bytes_field(3, proof.leaf_hash)
        + b"".join(_message_field(4, aunt) for aunt in proof.aunts)
    )


def _decode_proof(data: bytes) -> merkle.Proof:
    fields = _read_fields(data)
    aunts = [aunt for aunt in fields.pop(4, []) if isinstance(aunt, bytes)]
    return merkle.Proof(
        total=_one_integer(fields, 1),
        index=_one_integer(fields, 2),
        leaf_hash=_one_bytes(fields, 3),
        aunts=tuple(aunts),
    )


# The protobuf wire format (developers.google.com/protocol-buffers/docs/encoding), as far as these two messages use it.

_VARINT, _LENGTH_DELIMITED = 0, 2
_VARINT_LENGTH_MAX = 10


def _uvarint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _integer_field(number: int, value: int) -> bytes:
    # A negative int64 takes ten bytes, which no valid proof has; the decoder refuses it.
    return b"" if value == 0 else _uvarint(number << 3 | _VARINT) + _uvarint(value)


def _bytes_field(number: int, value: bytes) -> bytes:
    return b"" if not value else _message_field(number, value)


def _message_field(number: int, value: bytes) -> bytes:
    """Encode a message or an element of a repeated field, which stands there also when it is empty."""
    return _uvarint(number << 3 | _LENGTH_DELIMITED) + _uvarint(len(value)) + value


def _read_fields(data: bytes) -> dict[int, list[int | bytes]]:
    fields: dict[int, list[int | bytes]] = {}
    position = 0
    while position < len(data):
        key, position = _read_uvarint(data, position)
        value: int | bytes
        value, position = _read_uvarint(data, position)
        if key & 7 == _LENGTH_DELIMITED:
            start, position = position, position + value
            if position > len(data):
                raise DecodingError("protobuf field is longer than the message", actual=value)
            value = data[start:position]
        elif key & 7 != _VARINT:
            raise DecodingError("protobuf wire type is neither 0 nor 2", actual=key & 7)
        fields.setdefault(key >> 3, []).append(value)
    return fields


def _read_uvarint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for count in range(_VARINT_LENGTH_MAX):
        if position + count == len(data):
            raise DecodingError("protobuf message ends within a varint")
        byte = data[position + count]
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return value, position + count + 1
    raise DecodingError("protobuf varint is longer than ten bytes")


def _one_bytes(fields: dict[int, list[int | bytes]], number: int) -> bytes:
    match fields.get(number, [b""]):
        case [bytes(value)]:
            return value
    raise DecodingError(f"protobuf field {number} is not one byte string")


def _one_integer(fields: dict[int, list[int | bytes]], number: int) -> int:
    match fields.get(number, [0]):
        case [int(value)] if value <= merkle.TOTAL_MAX:
            return value
    raise DecodingError(f"protobuf field {number} is not one positive int64")
