"""Decoding transactions against eth-account as the independent signer, and every second encoding refused."""

from typing import Any

import pytest
import rlp  # type: ignore[import-untyped]
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from piebridge.evm_chain.errors import InvalidTransaction, RejectionCode
from piebridge.evm_chain.transaction import (
    SIZE_MAX_BYTES,
    TransactionDecoder,
    TransactionType,
    calldata_floor_gas,
    decode_transaction,
    intrinsic_gas,
)
from testkit.evm_chain_driver import ALICE, CHAIN_ID

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
ACCESS_LIST = [{"address": "0x" + "33" * 20, "storageKeys": ["0x" + "00" * 31 + "07"]}]


def code_of(raw: bytes) -> RejectionCode:
    with pytest.raises(InvalidTransaction) as caught:
        decode_transaction(raw, CHAIN_ID)
    return caught.value.code


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"gasPrice": 5}, TransactionType.LEGACY),
        ({"gasPrice": 5, "accessList": ACCESS_LIST, "type": 1}, TransactionType.ACCESS_LIST),
        ({"maxFeePerGas": 7, "maxPriorityFeePerGas": 3, "accessList": ACCESS_LIST}, TransactionType.DYNAMIC_FEE),
    ],
)
def test_each_type_decodes_to_what_was_signed(fields: dict[str, Any], kind: TransactionType) -> None:
    signed = Account.sign_transaction(
        {"chainId": CHAIN_ID, "nonce": 9, "gas": 50_000, "to": "0x" + "22" * 20, "value": 11, "data": b"\x00\x01"}
        | fields,
        ALICE.private_key,
    )
    decoded = decode_transaction(bytes(signed.raw_transaction), CHAIN_ID)
    assert decoded.type is kind
    assert decoded.hash == bytes(signed.hash)
    assert decoded.sender == ALICE.address
    assert (decoded.nonce, decoded.gas_limit, decoded.value, decoded.data) == (9, 50_000, 11, b"\x00\x01")
    assert (decoded.v, decoded.r, decoded.s) == (signed.v, signed.r, signed.s)
    assert decoded.access_list == (((b"\x33" * 20, (7,)),) if "accessList" in fields else ())
    assert decoded.fee_per_gas_max == fields.get("gasPrice", 7)
    assert decoded.effective_gas_price(4) == (5 if "gasPrice" in fields else 7)


def test_transaction_before_eip_155_is_refused() -> None:
    items = rlp.decode(ALICE.sign(gasPrice=5))
    items[6] = b"\x1b"
    assert code_of(rlp.encode(items)) == RejectionCode.WRONG_CHAIN


def resigned(change: dict[int, Any]) -> bytes:
    raw = ALICE.sign()
    items = rlp.decode(raw[1:])
    for index, value in change.items():
        items[index] = value
    return raw[:1] + bytes(rlp.encode(items))


def test_malleable_signature_is_refused() -> None:
    raw = ALICE.sign()
    items = rlp.decode(raw[1:])
    parity, s = int.from_bytes(items[9], "big"), int.from_bytes(items[11], "big")
    mirrored = resigned({9: 1 - parity, 11: ORDER - s})
    assert code_of(mirrored) == RejectionCode.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({1: b"\x00\x01"}, RejectionCode.MALFORMED),  # leading zero
        ({1: b""}, None),  # zero is the empty string
        ({1: (2**64 - 1)}, RejectionCode.NONCE_TOO_HIGH),
        ({4: 2**64}, RejectionCode.MALFORMED),
        ({5: b"\x22" * 19}, RejectionCode.MALFORMED),
        ({5: [b"\x22" * 20]}, RejectionCode.MALFORMED),
        ({6: b"\x01" * 33}, RejectionCode.MALFORMED),
        ({7: []}, RejectionCode.MALFORMED),
        ({8: b""}, RejectionCode.MALFORMED),
        ({8: [[b"\x01" * 19, []]]}, RejectionCode.MALFORMED),
        ({8: [[b"\x01" * 20, [b"\x01" * 31]]]}, RejectionCode.MALFORMED),
        ({9: 2}, RejectionCode.MALFORMED),
        ({10: b""}, RejectionCode.BAD_SIGNATURE),
        ({10: ORDER}, RejectionCode.BAD_SIGNATURE),
        ({11: b""}, RejectionCode.BAD_SIGNATURE),
    ],
)
def test_wrong_fields(change: dict[int, Any], code: RejectionCode | None) -> None:
    if code is None:
        assert decode_transaction(resigned(change), CHAIN_ID).sender == ALICE.address
    else:
        assert code_of(resigned(change)) == code


def test_long_form_of_a_length_is_refused() -> None:
    raw = ALICE.sign(gasPrice=5)  # legacy: 0xf8 <length> ...
    assert raw[0] == 0xF8
    assert code_of(b"\xf9\x00" + raw[1:]) == RejectionCode.MALFORMED
    assert code_of(raw + b"\x00") == RejectionCode.MALFORMED


def test_lists_nested_as_deep_as_the_size_allows_are_refused() -> None:
    payload = b""
    while len(payload) < SIZE_MAX_BYTES - 8:
        size = len(payload)
        length = size.to_bytes((size.bit_length() + 7) // 8, "big")
        payload = (bytes([0xC0 + size]) if size < 56 else bytes([0xF7 + len(length)]) + length) + payload
    assert code_of(payload) == RejectionCode.MALFORMED
    assert code_of(b"\x02" + payload) == RejectionCode.MALFORMED


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_by_our_error_only(raw: bytes) -> None:
    with pytest.raises(InvalidTransaction):
        decode_transaction(raw, CHAIN_ID)


@given(st.integers(0, 110), st.integers(0, 255))
def test_one_changed_byte_never_passes_as_the_same_transaction(position: int, value: int) -> None:
    raw = bytearray(ALICE.sign(value=1, data=b"\x05"))
    position %= len(raw)
    if raw[position] == value:
        return
    original = decode_transaction(bytes(raw), CHAIN_ID)
    raw[position] = value
    try:
        changed = decode_transaction(bytes(raw), CHAIN_ID)
    except InvalidTransaction:
        return
    assert changed.hash != original.hash
    assert changed.sender != original.sender


def test_gas_before_execution() -> None:
    assert intrinsic_gas(b"\x00\x01", False, ()) == 21_000 + 4 + 16
    assert intrinsic_gas(b"\x00" * 33, True, ()) == 21_000 + 32_000 + 33 * 4 + 2 * 2
    assert intrinsic_gas(b"", False, ((b"\x01" * 20, (1, 2)),)) == 21_000 + 2_400 + 2 * 1_900
    assert calldata_floor_gas(b"\x00\x01") == 21_000 + 10 * (1 + 4)


def test_decoder_remembers_no_more_than_its_budget() -> None:
    decoder = TransactionDecoder(CHAIN_ID)
    decoder._CACHE_MAX_BYTES = 300
    raws = [ALICE.sign(nonce=nonce) for nonce in range(5)]
    for raw in raws:
        assert decoder.decode(raw) is decoder.decode(raw)
    assert sum(len(raw) for raw in decoder._cache) <= 300
    assert len(raws[0]) < SIZE_MAX_BYTES
