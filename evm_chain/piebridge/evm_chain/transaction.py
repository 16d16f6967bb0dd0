"""Signed Ethereum transactions: the one encoding of each, the sender, and the gas that is due before execution.

Types: legacy with replay protection (EIP-155), access list (EIP-2930), dynamic fee (EIP-1559). Blob (EIP-4844) and
set-code (EIP-7702) transactions are refused: there is no blob data layer here, and no hub needs delegated accounts.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import rlp  # type: ignore[import-untyped]

from piebridge.crypto.errors import VerificationError
from piebridge.crypto.hash import keccak256
from piebridge.crypto.signature import recover_address
from piebridge.evm_chain.errors import InvalidTransaction, RejectionCode

SIZE_MAX_BYTES = 135_168
"""Largest encoded transaction: 128 KiB of calldata and 4 KiB for everything else."""
INITCODE_SIZE_MAX_BYTES = 49_152
"""EIP-3860."""
NONCE_MAX = 2**64 - 2
"""EIP-2681."""

_DELEGATION_PREFIX = b"\xef\x01\x00"
_UINT64_MAX = 2**64 - 1

_GAS_TRANSACTION = 21_000
_GAS_CREATE = 32_000
_GAS_ZERO_BYTE = 4
_GAS_NONZERO_BYTE = 16
_GAS_ACCESS_LIST_ADDRESS = 2_400
_GAS_ACCESS_LIST_SLOT = 1_900
_GAS_INITCODE_WORD = 2
_GAS_FLOOR_TOKEN = 10
_TOKENS_NONZERO_BYTE = 4

AccessList = tuple[tuple[bytes, tuple[int, ...]], ...]
"""Addresses with the storage slots that are announced for each."""


class TransactionType(IntEnum):
    """EIP-2718 type."""

    LEGACY = 0
    ACCESS_LIST = 1
    DYNAMIC_FEE = 2


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """A decoded transaction whose signature has been checked."""

    raw: bytes = field(repr=False)
    """The encoding that was signed and that travels."""
    hash: bytes
    """keccak256 of ``raw``."""
    type: TransactionType
    """EIP-2718 type."""
    chain_id: int
    """EIP-155 chain id."""
    nonce: int
    """Position in the order of the sender's transactions."""
    gas_limit: int
    """Most gas that the sender buys."""
    fee_per_gas_max: int
    """Most that the sender pays per gas, wei; of legacy and EIP-2930 the gas price."""
    priority_fee_per_gas_max: int
    """Most that goes to the fee recipient per gas, wei; of legacy and EIP-2930 the gas price."""
    to: bytes
    """20 bytes, or empty to create a contract."""
    value: int
    """Wei sent along."""
    data: bytes = field(repr=False)
    """Calldata or init code."""
    access_list: AccessList
    """Announced addresses and slots."""
    y_parity: int
    """Parity of the signature's curve point."""
    v: int
    """``v`` as signed: y parity, or EIP-155's value of a legacy transaction."""
    r: int
    """Signature."""
    s: int
    """Signature, low half of the order."""
    sender: bytes
    """Recovered address, 20 bytes."""

    @property
    def is_create(self) -> bool:
        """Whether the transaction creates a contract."""
        return not self.to

    @property
    def cost_max(self) -> int:
        """Balance that must be there: value and the largest fee, wei."""
        return self.value + self.gas_limit * self.fee_per_gas_max

    def effective_gas_price(self, base_fee_per_gas: int) -> int:
        """Price per gas that the sender pays in a block with this base fee, wei (EIP-1559)."""
        return min(self.fee_per_gas_max, base_fee_per_gas + self.priority_fee_per_gas_max)


def intrinsic_gas(data: bytes, is_create: bool, access_list: AccessList) -> int:
    """Gas due before the first opcode: EIP-2028, EIP-2930, EIP-3860."""
    zeros = data.count(0)
    gas = _GAS_TRANSACTION + zeros * _GAS_ZERO_BYTE + (len(data) - zeros) * _GAS_NONZERO_BYTE
    if is_create:
        gas += _GAS_CREATE + initcode_gas(data)
    for _, slots in access_list:
        gas += _GAS_ACCESS_LIST_ADDRESS + len(slots) * _GAS_ACCESS_LIST_SLOT
    return gas


def initcode_gas(initcode: bytes) -> int:
    """Gas for analysing init code (EIP-3860)."""
    return _GAS_INITCODE_WORD * ((len(initcode) + 31) // 32)


def calldata_floor_gas(data: bytes) -> int:
    """Least gas that a transaction with this calldata uses (EIP-7623)."""
    zeros = data.count(0)
    tokens = zeros + (len(data) - zeros) * _TOKENS_NONZERO_BYTE
    return _GAS_TRANSACTION + _GAS_FLOOR_TOKEN * tokens


def check_without_state(transaction: SignedTransaction, block_gas_limit: int) -> None:
    """Check what needs no state: gas limits, fees and sizes.

    Raises:
        InvalidTransaction: the transaction can never be included on this chain.
    """
    check_gas_limit(transaction.gas_limit, transaction.data, transaction.is_create, transaction.access_list)
    if transaction.gas_limit > block_gas_limit:
        raise InvalidTransaction(
            RejectionCode.GAS_LIMIT_EXCEEDED,
            f"exceeds block gas limit: have {transaction.gas_limit}, limit {block_gas_limit}",
        )
    if transaction.priority_fee_per_gas_max > transaction.fee_per_gas_max:
        raise InvalidTransaction(
            RejectionCode.FEE_CAP_TOO_LOW,
            f"max priority fee per gas {transaction.priority_fee_per_gas_max} is higher than max fee per gas "
            f"{transaction.fee_per_gas_max}",
        )


def check_gas_limit(gas_limit: int, data: bytes, is_create: bool, access_list: AccessList) -> None:
    """Check that a gas limit covers what is due before the first opcode, and that init code is not too large.

    Raises:
        InvalidTransaction: it does not.
    """
    if is_create and len(data) > INITCODE_SIZE_MAX_BYTES:
        raise InvalidTransaction(
            RejectionCode.TOO_LARGE,
            f"max initcode size exceeded: code size {len(data)}, limit {INITCODE_SIZE_MAX_BYTES}",
        )
    needed = max(intrinsic_gas(data, is_create, access_list), calldata_floor_gas(data))
    if gas_limit < needed:
        raise InvalidTransaction(RejectionCode.INTRINSIC_GAS, f"intrinsic gas too low: have {gas_limit}, want {needed}")


def check_against_sender(
    transaction: SignedTransaction, base_fee_per_gas: int, *, nonce: int, balance: int, code: bytes
) -> None:
    """Check a transaction against its sender's account and the base fee.

    Args:
        transaction: the transaction.
        base_fee_per_gas: of the block that may include it, wei.
        nonce: next nonce of the sender.
        balance: of the sender, wei.
        code: of the sender.

    Raises:
        InvalidTransaction: it may not be included now.
    """
    if transaction.nonce < nonce:
        raise InvalidTransaction(
            RejectionCode.NONCE_TOO_LOW, f"nonce too low: next nonce {nonce}, tx nonce {transaction.nonce}"
        )
    if transaction.nonce > nonce:
        raise InvalidTransaction(
            RejectionCode.NONCE_TOO_HIGH, f"nonce too high: next nonce {nonce}, tx nonce {transaction.nonce}"
        )
    if code and not code.startswith(_DELEGATION_PREFIX):
        raise InvalidTransaction(RejectionCode.SENDER_NOT_EOA, "sender not an eoa")
    if transaction.fee_per_gas_max < base_fee_per_gas:
        raise InvalidTransaction(
            RejectionCode.FEE_CAP_TOO_LOW,
            f"max fee per gas less than block base fee: maxFeePerGas {transaction.fee_per_gas_max}, "
            f"baseFee {base_fee_per_gas}",
        )
    if balance < transaction.cost_max:
        raise InvalidTransaction(
            RejectionCode.INSUFFICIENT_FUNDS,
            f"insufficient funds for gas * price + value: have {balance}, want {transaction.cost_max}",
        )


def decode_transaction(raw: bytes, chain_id: int) -> SignedTransaction:
    """Decode a signed transaction and recover its sender.

    Args:
        raw: EIP-2718 envelope, or the RLP list of a legacy transaction.
        chain_id: the chain that it must be signed for.

    Raises:
        InvalidTransaction: not the one encoding of a supported transaction for this chain with a valid signature.
    """
    if len(raw) > SIZE_MAX_BYTES:
        raise InvalidTransaction(RejectionCode.TOO_LARGE, f"oversized data: {len(raw)} bytes, at most {SIZE_MAX_BYTES}")
    if not raw:
        raise _malformed("empty")
    if raw[0] >= 0xC0:
        return _decode_legacy(raw, chain_id)
    if raw[0] in (TransactionType.ACCESS_LIST, TransactionType.DYNAMIC_FEE):
        return _decode_typed(TransactionType(raw[0]), raw, chain_id)
    if raw[0] < 0x80:
        raise InvalidTransaction(RejectionCode.UNSUPPORTED_TYPE, f"transaction type {raw[0]} not supported")
    raise _malformed("neither a typed envelope nor an RLP list")


class TransactionDecoder:
    """Decodes and remembers results, so that a signature is recovered once and not at each step of a transaction."""

    _CACHE_MAX_BYTES = 64 * 1024 * 1024

    def __init__(self, chain_id: int) -> None:
        """Decode for one chain, by its EIP-155 chain id."""
        self.chain_id = chain_id
        """The chain that transactions must be signed for."""
        self._cache: OrderedDict[bytes, SignedTransaction] = OrderedDict()
        self._cached_bytes = 0

    def decode(self, raw: bytes) -> SignedTransaction:
        """Decode as ``decode_transaction`` does. Failures are not remembered."""
        known = self._cache.get(raw)
        if known is not None:
            return known
        transaction = decode_transaction(raw, self.chain_id)
        self._cache[raw] = transaction
        self._cached_bytes += len(raw)
        while self._cached_bytes > self._CACHE_MAX_BYTES:
            evicted, _ = self._cache.popitem(last=False)
            self._cached_bytes -= len(evicted)
        return transaction


def _decode_legacy(raw: bytes, chain_id: int) -> SignedTransaction:
    items = _rlp_list(raw, 9)
    nonce, gas_price, gas_limit = _integer(items[0]), _integer(items[1]), _integer(items[2])
    v = _integer(items[6])
    if v in (27, 28):
        raise InvalidTransaction(RejectionCode.WRONG_CHAIN, "only replay-protected (EIP-155) transactions are allowed")
    signed_chain_id, y_parity = divmod(v - 35, 2)
    if signed_chain_id != chain_id:
        raise _wrong_chain(signed_chain_id, chain_id)
    signed = rlp.encode([*items[:6], chain_id, b"", b""])
    return _finish(
        raw, signed, TransactionType.LEGACY, chain_id, nonce, gas_price, gas_price, gas_limit,
        items[3], items[4], items[5], (), y_parity, v, items[7], items[8],
    )  # fmt: skip


def _decode_typed(kind: TransactionType, raw: bytes, chain_id: int) -> SignedTransaction:
    fee_fields = 1 if kind is TransactionType.ACCESS_LIST else 2
    items = _rlp_list(raw[1:], 10 + fee_fields)
    signed_chain_id, nonce = _integer(items[0]), _integer(items[1])
    if signed_chain_id != chain_id:
        raise _wrong_chain(signed_chain_id, chain_id)
    priority_fee, fee = _integer(items[2]), _integer(items[1 + fee_fields])
    gas_limit, to, value, data, access_list, y_parity, r, s = items[2 + fee_fields :]
    parity = _integer(y_parity)
    if parity > 1:
        raise _malformed("y parity is neither 0 nor 1")
    return _finish(
        raw, bytes([kind]) + rlp.encode(items[:-3]), kind, chain_id, nonce, fee, priority_fee, _integer(gas_limit),
        to, value, data, _access_list(access_list), parity, parity, r, s,
    )  # fmt: skip


def _finish(
    raw: bytes,
    signed: bytes,
    kind: TransactionType,
    chain_id: int,
    nonce: int,
    fee: int,
    priority_fee: int,
    gas_limit: int,
    to: object,
    value: object,
    data: object,
    access_list: AccessList,
    y_parity: int,
    v: int,
    r_bytes: object,
    s_bytes: object,
) -> SignedTransaction:
    if not isinstance(to, bytes) or len(to) not in (0, 20):
        raise _malformed("recipient is neither empty nor 20 bytes")
    if not isinstance(data, bytes):
        raise _malformed("data is a list")
    if nonce > NONCE_MAX:
        raise InvalidTransaction(RejectionCode.NONCE_TOO_HIGH, f"nonce has max value: {nonce}")
    if gas_limit > _UINT64_MAX:
        raise _malformed("gas limit over 64 bits")
    r, s = _integer(r_bytes), _integer(s_bytes)
    return SignedTransaction(
        raw=raw,
        hash=keccak256(raw),
        type=kind,
        chain_id=chain_id,
        nonce=nonce,
        gas_limit=gas_limit,
        fee_per_gas_max=fee,
        priority_fee_per_gas_max=priority_fee,
        to=to,
        value=_integer(value),
        data=data,
        access_list=access_list,
        y_parity=y_parity,
        v=v,
        r=r,
        s=s,
        sender=_recover(keccak256(signed), y_parity, r, s),
    )


def _recover(digest: bytes, y_parity: int, r: int, s: int) -> bytes:
    try:
        return recover_address(digest, r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([27 + y_parity]))
    except VerificationError as error:
        raise InvalidTransaction(RejectionCode.BAD_SIGNATURE, f"invalid sender: {error}") from error


def _rlp_list(encoded: bytes, length: int) -> list[Any]:
    try:
        items = rlp.decode(encoded, strict=True)
        canonical = rlp.encode(items) == encoded
    except (rlp.exceptions.RLPException, RecursionError) as error:
        raise _malformed(str(error) or type(error).__name__) from error
    if not isinstance(items, list) or len(items) != length:
        raise _malformed(f"not a list of {length} fields")
    if not canonical:
        raise _malformed("not the shortest RLP encoding")
    return items


def _integer(item: object) -> int:
    if not isinstance(item, bytes) or len(item) > 32 or item[:1] == b"\x00":
        raise _malformed("an integer is a list, longer than 32 bytes or has leading zeros")
    return int.from_bytes(item, "big")


def _access_list(item: object) -> AccessList:
    if not isinstance(item, list):
        raise _malformed("access list is not a list")
    entries = []
    for entry in item:
        if not isinstance(entry, list) or len(entry) != 2 or not _is_bytes_of(entry[0], 20):
            raise _malformed("access list entry is not an address with slots")
        slots = entry[1]
        if not isinstance(slots, list) or not all(_is_bytes_of(slot, 32) for slot in slots):
            raise _malformed("access list slots are not 32 bytes each")
        entries.append((entry[0], tuple(int.from_bytes(slot, "big") for slot in slots)))
    return tuple(entries)


def _is_bytes_of(item: object, length: int) -> bool:
    return isinstance(item, bytes) and len(item) == length


def _malformed(why: str) -> InvalidTransaction:
    return InvalidTransaction(RejectionCode.MALFORMED, f"malformed transaction: {why}")


def _wrong_chain(actual: int, expected: int) -> InvalidTransaction:
    return InvalidTransaction(RejectionCode.WRONG_CHAIN, f"invalid chain id: have {actual}, want {expected}")


def decode_all(decoder: TransactionDecoder, raws: Sequence[bytes]) -> list[SignedTransaction | InvalidTransaction]:
    """Decode each of several; a failure stands in its place."""
    results: list[SignedTransaction | InvalidTransaction] = []
    for raw in raws:
        try:
            results.append(decoder.decode(raw))
        except InvalidTransaction as error:
            results.append(error)
    return results
