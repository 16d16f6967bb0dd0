"""EVM block headers: the 21 fields of Prague, their RLP and hash, and the base fee rule."""

from dataclasses import astuple, dataclass, fields
from typing import Any

import rlp  # type: ignore[import-untyped]

from piebridge.crypto.errors import DecodingError
from piebridge.crypto.hash import keccak256

EMPTY_TRIE_ROOT = bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")
"""Root of a Merkle-Patricia trie without entries."""
EMPTY_OMMERS_HASH = bytes.fromhex("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347")
"""keccak256 of the RLP of an empty list."""
EMPTY_REQUESTS_HASH = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
"""EIP-7685 hash of no requests: SHA-256 of nothing."""

_BASE_FEE_CHANGE_DENOMINATOR = 8
_ELASTICITY_MULTIPLIER = 2

_FIXED_LENGTHS = {
    "parent_hash": 32, "ommers_hash": 32, "fee_recipient": 20, "state_root": 32, "transactions_root": 32,
    "receipts_root": 32, "logs_bloom": 256, "prev_randao": 32, "nonce": 8, "withdrawals_root": 32,
    "parent_beacon_block_root": 32, "requests_hash": 32,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class EvmHeader:
    """A header. Fields stand in the order of the RLP list (yellow paper 4.4; EIP-1559, 4895, 4844, 4788, 7685)."""

    parent_hash: bytes
    """Hash of the parent's header, 32 bytes; zero in genesis."""
    ommers_hash: bytes
    """Always that of an empty list."""
    fee_recipient: bytes
    """Address that gets priority fees, 20 bytes (``block.coinbase``)."""
    state_root: bytes
    """Root of the accounts after the block, 32 bytes."""
    transactions_root: bytes
    """Root of the block's transactions, 32 bytes."""
    receipts_root: bytes
    """Root of the block's receipts, 32 bytes."""
    logs_bloom: bytes
    """Bloom filter over the logs, 256 bytes."""
    difficulty: int
    """0 since the merge."""
    number: int
    """EVM block number; lags behind the CometBFT height."""
    gas_limit: int
    """Most gas of the block; constant on this chain."""
    gas_used: int
    """Gas of all transactions."""
    timestamp: int
    """Seconds since the Unix epoch: CometBFT's block time without its fraction."""
    extra_data: bytes
    """CometBFT height of the block, 8 bytes big endian, so that the hash binds it."""
    prev_randao: bytes
    """Hash of the CometBFT block that carries the block, 32 bytes. A proposer can bias it."""
    nonce: bytes
    """8 zero bytes since the merge."""
    base_fee_per_gas: int
    """Fee that is burnt, wei per gas."""
    withdrawals_root: bytes
    """Always that of an empty trie."""
    blob_gas_used: int
    """Always 0: no blob transactions."""
    excess_blob_gas: int
    """Always 0."""
    parent_beacon_block_root: bytes
    """Always zero: there is no beacon chain."""
    requests_hash: bytes
    """Always that of no requests."""

    def encode(self) -> bytes:
        """RLP of the header; its keccak256 is the block hash and the ABCI app hash."""
        return bytes(rlp.encode(list(astuple(self))))

    @property
    def hash(self) -> bytes:
        """Block hash, 32 bytes."""
        return keccak256(self.encode())


def decode_header(encoded: bytes) -> EvmHeader:
    """Decode a header of 21 fields.

    Raises:
        DecodingError: not the one encoding of such a header.
    """
    try:
        items = rlp.decode(encoded, strict=True)
    except (rlp.exceptions.RLPException, RecursionError) as error:
        raise DecodingError(f"an EVM header is not RLP: {error}") from error
    names = [field.name for field in fields(EvmHeader)]
    if not isinstance(items, list) or len(items) != len(names):
        raise DecodingError(f"an EVM header has {len(names)} fields")
    values: dict[str, Any] = {}
    for name, item, field in zip(names, items, fields(EvmHeader), strict=True):
        if not isinstance(item, bytes):
            raise DecodingError(f"EVM header field {name} is a list")
        if field.type is int:
            values[name] = int.from_bytes(item, "big")
        elif len(item) != _FIXED_LENGTHS.get(name, len(item)) or len(item) > 256:
            raise DecodingError(f"EVM header field {name} has {len(item)} bytes")
        else:
            values[name] = item
    header = EvmHeader(**values)
    if header.encode() != encoded:
        raise DecodingError("an EVM header is not in its shortest RLP encoding")
    return header


def next_base_fee(parent: EvmHeader) -> int:
    """Base fee of the child block, wei per gas (EIP-1559)."""
    target = parent.gas_limit // _ELASTICITY_MULTIPLIER
    if parent.gas_used == target:
        return parent.base_fee_per_gas
    change = parent.base_fee_per_gas * abs(parent.gas_used - target) // target // _BASE_FEE_CHANGE_DENOMINATOR
    if parent.gas_used > target:
        return parent.base_fee_per_gas + max(change, 1)
    return parent.base_fee_per_gas - change
