"""The application's part of the genesis document: canonical JSON that fixes the EVM's first state.

::

    {"alloc": {"0x<address>": {"balance": "0x..", "code": "0x..", "nonce": "0x..", "storage": {"0x<slot>": "0x.."}}},
     "base_fee_per_gas": "0x..", "chain_id": 1, "fee_recipient": "0x<address>" | null, "gas_limit": 60000000}

Keys are sorted, there is no white space, quantities are shortest hexadecimal, addresses lower case.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from piebridge.crypto.errors import ConfigurationError

GAS_LIMIT_DEFAULT = 60_000_000
"""Gas of a block where the genesis does not say otherwise."""
BASE_FEE_DEFAULT_WEI = 1_000_000_000
"""Base fee of block 0 where the genesis does not say otherwise."""
HISTORY_STORAGE_ADDRESS = bytes.fromhex("0000f90827f1c53a10cb7a02335b175320002935")
"""EIP-2935: contract that serves the hashes of the last 8 191 blocks."""
_HISTORY_STORAGE_CODE = bytes.fromhex(
    "3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff8143031160425761"
    "1fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500"
)

_CHAIN_ID_MAX = 2**53 - 1
_GAS_LIMIT_RANGE = (1_000_000, 2**40)
_CODE_SIZE_MAX_BYTES = 24_576


@dataclass(frozen=True, slots=True)
class GenesisAccount:
    """An account that exists from the start."""

    balance: int = 0
    """Wei."""
    code: bytes = b""
    """Runtime code of a contract."""
    nonce: int = 0
    """Transactions sent or, of a contract, contracts made plus one. A contract's is 1 where 0 is given (EIP-161)."""
    storage: tuple[tuple[int, int], ...] = ()
    """Slots with values that are not zero."""


@dataclass(frozen=True, slots=True)
class EvmGenesis:
    """Everything that fixes block 0 besides CometBFT's genesis time."""

    chain_id: int
    """EIP-155 chain id."""
    alloc: tuple[tuple[bytes, GenesisAccount], ...]
    """Accounts by address, ascending."""
    gas_limit: int = GAS_LIMIT_DEFAULT
    """Gas of every block."""
    base_fee_per_gas: int = BASE_FEE_DEFAULT_WEI
    """Base fee of block 0, wei."""
    fee_recipient: bytes | None = None
    """Address that gets all priority fees; None pays the proposer's 20-byte validator address (of a ``secp256k1eth``
    key that is its Ethereum address)."""

    def encode(self) -> bytes:
        """Canonical JSON, ASCII."""
        document = {
            "alloc": {_hex(address): _account_document(account) for address, account in self.alloc},
            "base_fee_per_gas": hex(self.base_fee_per_gas),
            "chain_id": self.chain_id,
            "fee_recipient": None if self.fee_recipient is None else _hex(self.fee_recipient),
            "gas_limit": self.gas_limit,
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def evm_genesis(
    chain_id: int,
    alloc: Mapping[bytes, GenesisAccount],
    *,
    gas_limit: int = GAS_LIMIT_DEFAULT,
    base_fee_per_gas: int = BASE_FEE_DEFAULT_WEI,
    fee_recipient: bytes | None = None,
) -> bytes:
    """Make ``app_state`` for a CometBFT genesis document.

    EIP-2935's history contract is added, as Prague has it.

    Args:
        chain_id: EIP-155 chain id, 1 to 2^53-1.
        alloc: accounts by 20-byte address.
        gas_limit: gas of every block.
        base_fee_per_gas: base fee of block 0, wei.
        fee_recipient: address of priority fees; None pays the proposer.

    Raises:
        ConfigurationError: a value is out of range.
    """
    accounts = {HISTORY_STORAGE_ADDRESS: GenesisAccount(code=_HISTORY_STORAGE_CODE, nonce=1)} | dict(alloc)
    encoded = EvmGenesis(chain_id, tuple(sorted(accounts.items())), gas_limit, base_fee_per_gas, fee_recipient).encode()
    parse_genesis(encoded)
    return encoded


def parse_genesis(app_state: bytes) -> EvmGenesis:
    """Read ``app_state``.

    Any JSON formatting is taken, as CometBFT passes on what the operator's file holds; values must be in range.

    Raises:
        ConfigurationError: a key is missing or unknown, or a value is out of range. The message names it.
    """
    try:
        document = orjson.loads(app_state)
    except orjson.JSONDecodeError as error:
        raise ConfigurationError(f"app_state of the genesis document is not JSON: {error}") from error
    document = _object(document, "app_state", {"alloc", "base_fee_per_gas", "chain_id", "fee_recipient", "gas_limit"})
    if not isinstance(document["alloc"], dict):
        raise ConfigurationError("app_state.alloc must be an object of accounts by address")
    alloc = {
        _bytes(address, f"app_state.alloc key {address!r}", 20): _parse_account(address, account)
        for address, account in document["alloc"].items()
    }
    if len(alloc) != len(document["alloc"]):
        raise ConfigurationError("app_state.alloc names an address twice")
    recipient = document["fee_recipient"]
    return EvmGenesis(
        chain_id=_plain_integer(document["chain_id"], "app_state.chain_id", 1, _CHAIN_ID_MAX),
        alloc=tuple(sorted(alloc.items())),
        gas_limit=_plain_integer(document["gas_limit"], "app_state.gas_limit", *_GAS_LIMIT_RANGE),
        base_fee_per_gas=_quantity(document["base_fee_per_gas"], "app_state.base_fee_per_gas", 128),
        fee_recipient=None if recipient is None else _bytes(recipient, "app_state.fee_recipient", 20),
    )


def _account_document(account: GenesisAccount) -> dict[str, Any]:
    return {
        "balance": hex(account.balance),
        "code": _hex(account.code),
        "nonce": hex(account.nonce),
        "storage": {hex(slot): hex(value) for slot, value in account.storage},
    }


def _parse_account(address: str, account: object) -> GenesisAccount:
    where = f"app_state.alloc[{address}]"
    fields = _object(account, where, {"balance", "code", "nonce", "storage"})
    code = _bytes(fields["code"], f"{where}.code", None)
    if len(code) > _CODE_SIZE_MAX_BYTES:
        raise ConfigurationError(f"{where}.code has {len(code)} bytes, at most {_CODE_SIZE_MAX_BYTES} (EIP-170)")
    if not isinstance(fields["storage"], dict):
        raise ConfigurationError(f"{where}.storage must be an object of values by slot")
    slots = {
        _quantity(slot, f"{where}.storage key", 256): _quantity(value, f"{where}.storage[{slot}]", 256)
        for slot, value in fields["storage"].items()
    }
    if len(slots) != len(fields["storage"]):
        raise ConfigurationError(f"{where}.storage names a slot twice")
    nonce = _quantity(fields["nonce"], f"{where}.nonce", 63)
    return GenesisAccount(
        balance=_quantity(fields["balance"], f"{where}.balance", 255),
        code=code,
        nonce=max(nonce, 1) if code else nonce,
        storage=tuple(sorted((slot, value) for slot, value in slots.items() if value)),
    )


def _object(document: object, where: str, keys: set[str]) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise ConfigurationError(f"{where} must be a JSON object")
    if document.keys() != keys:
        wrong = sorted(document.keys() ^ keys)
        raise ConfigurationError(f"{where} must have exactly the keys {sorted(keys)}; missing or unknown: {wrong}")
    return document


def _plain_integer(value: object, where: str, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ConfigurationError(f"{where} must be an integer from {least} to {most}, not {value!r}")
    return value


def _quantity(value: object, where: str, bits: int) -> int:
    if not isinstance(value, str) or not re.fullmatch("0x[0-9a-fA-F]{1,64}", value):
        raise ConfigurationError(f"{where} must be a hexadecimal quantity such as 0x1f, not {value!r}")
    number = int(value, 16)
    if number >= 2**bits:
        raise ConfigurationError(f"{where} must be below 2^{bits}, not {value}")
    return number


def _bytes(value: object, where: str, length: int | None) -> bytes:
    if not isinstance(value, str) or not re.fullmatch("0x([0-9a-fA-F]{2})*", value):
        raise ConfigurationError(f"{where} must be hexadecimal bytes such as 0x00ff")
    decoded = bytes.fromhex(value[2:])
    if length is not None and len(decoded) != length:
        raise ConfigurationError(f"{where} must have {length} bytes, not {len(decoded)}")
    return decoded


def _hex(value: bytes) -> str:
    return f"0x{value.hex()}"
