"""Block headers of EVM chains: from the fields that JSON-RPC tells to the bytes whose hash is the block's.

A node's word for a block hash is worth nothing; the hash of the header's own bytes is. The number of fields grew with
the forks: 15 (Frontier), + base fee (London, EIP-1559), + withdrawals root (Shanghai, EIP-4895), + blob gas used,
excess blob gas (EIP-4844) and parent beacon block root (EIP-4788) (Cancun), + requests
hash (Prague, EIP-7685).
"""

from collections.abc import Mapping
from typing import Any

import rlp  # type: ignore[import-untyped]

from piebridge.chains.endpoint import Block
from piebridge.crypto.errors import TransientChainError, VerificationError
from piebridge.crypto.hash import keccak256

_BASE_FIELDS = (
    ("parentHash", 32),
    ("sha3Uncles", 32),
    ("miner", 20),
    ("stateRoot", 32),
    ("transactionsRoot", 32),
    ("receiptsRoot", 32),
    ("logsBloom", 256),
    ("difficulty", 0),
    ("number", 0),
    ("gasLimit", 0),
    ("gasUsed", 0),
    ("timestamp", 0),
    ("extraData", -1),
    ("mixHash", 32),
    ("nonce", 8),
)
"""Field and length in bytes; 0 an integer, -1 any length."""
_LATER_FIELDS = (
    ("baseFeePerGas", 0),
    ("withdrawalsRoot", 32),
    ("blobGasUsed", 0),
    ("excessBlobGas", 0),
    ("parentBeaconBlockRoot", 32),
    ("requestsHash", 32),
)


def block_from_json(fields: object, where: str) -> Block:
    """Rebuild a header from JSON-RPC fields and check that it hashes to the hash that the node told.

    Args:
        fields: result of ``eth_getBlockByNumber`` or ``eth_getBlockByHash``.
        where: node and chain, for messages.

    Raises:
        TransientChainError: no block, or fields missing.
        VerificationError: the fields do not hash to the told hash.
    """
    if not isinstance(fields, dict):
        raise TransientChainError(f"{where}: the answer is no block")
    encoded = _encode(fields, where)
    block_hash = keccak256(encoded)
    told = octets(fields.get("hash"), 32, where)
    if told != block_hash:
        raise VerificationError(f"{where}: header does not hash to the block hash", expected=told, actual=block_hash)
    return Block(
        number=quantity(fields["number"], where),
        hash=block_hash,
        parent_hash=octets(fields["parentHash"], 32, where),
        timestamp=quantity(fields["timestamp"], where),
        state_root=octets(fields["stateRoot"], 32, where),
        header=encoded,
        base_fee_per_gas=quantity(fields.get("baseFeePerGas", "0x0"), where),
        gas_limit=quantity(fields["gasLimit"], where),
        extra_data=octets(fields["extraData"], None, where),
    )


def quantity(value: object, where: str) -> int:
    """Read a JSON-RPC quantity.

    Raises:
        TransientChainError: it is none.
    """
    if isinstance(value, str) and value.startswith("0x") and 2 < len(value) <= 66:
        try:
            return int(value, 16)
        except ValueError:
            pass
    raise TransientChainError(f"{where}: {value!r} is not a quantity")


def octets(value: object, length: int | None, where: str) -> bytes:
    """Read JSON-RPC bytes of a length, or of any.

    Raises:
        TransientChainError: they are none.
    """
    if isinstance(value, str) and value.startswith("0x"):
        try:
            data = bytes.fromhex(value[2:])
        except ValueError:
            data = None
        if data is not None and (length is None or len(data) == length):
            return data
    raise TransientChainError(f"{where}: {value!r} is not {'bytes' if length is None else f'{length} bytes'}")


def _encode(fields: Mapping[str, Any], where: str) -> bytes:
    present = list(_BASE_FIELDS)
    for position, later in enumerate(_LATER_FIELDS):
        if fields.get(later[0]) is None:
            if any(fields.get(name) is not None for name, _ in _LATER_FIELDS[position:]):
                raise TransientChainError(f"{where}: the block lacks {later[0]}")
            break
        present.append(later)
    items = []
    for name, length in present:
        value = fields.get(name)
        if length == 0:
            number = quantity(value, where)
            items.append(number.to_bytes((number.bit_length() + 7) // 8, "big"))
        else:
            items.append(octets(value, None if length < 0 else length, where))
    return bytes(rlp.encode(items))
