"""Reading JSON-RPC parameters: quantities, bytes, block names, calls, log filters. All raise -32602 where malformed."""

import re
import reprlib
from binascii import unhexlify
from dataclasses import dataclass
from typing import Any

from piebridge.evm_chain.execution.messages import AccountOverride
from piebridge.evm_chain.rpc_errors import invalid_params
from piebridge.evm_chain.transaction import AccessList

_QUANTITY = re.compile("0x[0-9a-fA-F]{1,64}")
_TAGS = ("latest", "pending", "safe", "finalized", "earliest")
_FILTER_ALTERNATIVES_MAX = 1_000
_TOPICS_MAX = 4
_STORAGE_KEYS_MAX = 1_024
_OVERRIDES_MAX = 64

BlockName = str | int | bytes
"""A tag, a number or a block hash (32 bytes)."""


@dataclass(frozen=True, slots=True)
class CallParameters:
    """The first parameter of eth_call and eth_estimateGas; None where not given."""

    sender: bytes | None
    """``from``, 20 bytes."""
    to: bytes
    """20 bytes; empty to create."""
    gas_limit: int | None
    """``gas``."""
    gas_price: int | None
    """``gasPrice``, or ``maxFeePerGas``, wei."""
    value: int
    """Wei."""
    data: bytes
    """``input`` or ``data``."""
    access_list: AccessList
    """``accessList``."""


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which logs are wanted."""

    addresses: frozenset[bytes]
    """Emitting contracts; empty takes all."""
    topics: tuple[frozenset[bytes], ...]
    """Alternatives for each position; an empty position takes all."""
    first: BlockName
    """``fromBlock``."""
    last: BlockName
    """``toBlock``."""
    block_hash: bytes | None = None
    """The one block to look into, instead of a range."""

    def matches(self, address: bytes, topics: tuple[bytes, ...]) -> bool:
        """Whether a log is wanted, by its address and topics."""
        if self.addresses and address not in self.addresses:
            return False
        if len(self.topics) > len(topics):
            return False
        return all(not wanted or topic in wanted for wanted, topic in zip(self.topics, topics, strict=False))


def quantity(value: object, name: str) -> int:
    """Hexadecimal number of at most 256 bits. Leading zeros are taken, as most nodes do."""
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise invalid_params(f"{name} must be a hexadecimal quantity such as 0x1f, not {shown(value)}")
    return int(value, 16)


def data(value: object, name: str, length: int | None = None) -> bytes:
    """Hexadecimal bytes, of a fixed length where one is given."""
    try:
        if not isinstance(value, str) or not value.startswith("0x"):
            raise ValueError
        decoded = unhexlify(value[2:])
    except ValueError:  # of unhexlify too: it takes hexadecimal digits and nothing else
        raise invalid_params(f"{name} must be hexadecimal bytes such as 0x00ff, not {shown(value)}") from None
    if length is not None and len(decoded) != length:
        raise invalid_params(f"{name} must have {length} bytes, not {len(decoded)}")
    return decoded


def address(value: object, name: str = "address") -> bytes:
    """20 bytes."""
    return data(value, name, 20)


def boolean(value: object, name: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise invalid_params(f"{name} must be true or false")
    return value


def block_name(value: object) -> BlockName:
    """A tag, a number, or EIP-1898's object."""
    if value in _TAGS:
        return str(value)
    if isinstance(value, dict):
        if "blockHash" in value:
            return data(value["blockHash"], "blockHash", 32)
        return block_name(value.get("blockNumber"))
    number = quantity(value, "block")
    if number >= 2**63:
        raise invalid_params("block number is out of range")
    return number


def storage_keys(value: object) -> list[tuple[str, int]]:
    """Slots of eth_getProof, each with the text that the answer repeats."""
    if not isinstance(value, list) or len(value) > _STORAGE_KEYS_MAX:
        raise invalid_params(f"storage keys must be a list of at most {_STORAGE_KEYS_MAX}")
    keys = []
    for item in value:
        slot = quantity(item, "storage key")
        keys.append((f"0x{slot:064x}" if len(item) == 66 else hex(slot), slot))
    return keys


def call(value: object) -> CallParameters:
    """A transaction object."""
    fields = _object(value, "transaction")
    given = [fields[name] for name in ("input", "data") if fields.get(name) is not None]
    if len(given) == 2 and given[0] != given[1]:
        raise invalid_params("input and data differ")
    price = next((fields[name] for name in ("gasPrice", "maxFeePerGas") if fields.get(name) is not None), None)
    sender, recipient, gas, worth = (fields.get(name) for name in ("from", "to", "gas", "value"))
    return CallParameters(
        sender=None if sender is None else address(sender, "from"),
        to=b"" if recipient is None else address(recipient, "to"),
        gas_limit=None if gas is None else quantity(gas, "gas"),
        gas_price=None if price is None else quantity(price, "gasPrice"),
        value=0 if worth is None else quantity(worth, "value"),
        data=data(given[0], "input") if given else b"",
        access_list=_access_list(fields.get("accessList")),
    )


def overrides(value: object) -> dict[bytes, AccountOverride]:
    """State overrides of eth_call."""
    if value is None:
        return {}
    accounts = {}
    wanted = _object(value, "state overrides")
    if len(wanted) > _OVERRIDES_MAX:
        raise invalid_params(f"state overrides of at most {_OVERRIDES_MAX} accounts")
    for key, item in wanted.items():
        fields = _object(item, f"override of {key}")
        unknown = sorted(fields.keys() - {"balance", "nonce", "code", "state", "stateDiff"})
        if unknown:
            raise invalid_params(f"state override fields are not supported: {', '.join(unknown)}")
        state = fields.get("state")
        accounts[address(key)] = AccountOverride(
            balance=None if fields.get("balance") is None else quantity(fields["balance"], "balance"),
            nonce=None if fields.get("nonce") is None else quantity(fields["nonce"], "nonce") % 2**64,
            code=None if fields.get("code") is None else data(fields["code"], "code"),
            state=None if state is None else _slots(state),
            state_difference=_slots(fields.get("stateDiff") or {}),
        )
    return accounts


def log_filter(value: object) -> LogFilter:
    """A filter of eth_getLogs, eth_newFilter and the ``logs`` subscription."""
    fields = _object({} if value is None else value, "filter")
    block_hash = fields.get("blockHash")
    if block_hash is not None and (fields.get("fromBlock") is not None or fields.get("toBlock") is not None):
        raise invalid_params("blockHash cannot be combined with fromBlock or toBlock")
    wanted = fields.get("topics")
    if wanted is not None and (not isinstance(wanted, list) or len(wanted) > _TOPICS_MAX):
        raise invalid_params(f"topics must be a list of at most {_TOPICS_MAX}")
    return LogFilter(
        addresses=_alternatives(fields.get("address"), "address", 20),
        topics=tuple(_alternatives(item, "topic", 32) for item in wanted or []),
        first=_bound(fields.get("fromBlock")),
        last=_bound(fields.get("toBlock")),
        block_hash=None if block_hash is None else data(block_hash, "blockHash", 32),
    )


def percentiles(value: object) -> list[float]:
    """Reward percentiles of eth_feeHistory."""
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > 100:
        raise invalid_params("reward percentiles must be a list of at most 100")
    for item in value:
        if isinstance(item, bool) or not isinstance(item, int | float) or not 0 <= item <= 100:
            raise invalid_params(f"reward percentile {shown(item)} is not from 0 to 100")
    if sorted(value) != value:
        raise invalid_params("reward percentiles must ascend")
    return [float(item) for item in value]


def _bound(value: object) -> BlockName:
    return "latest" if value is None else block_name(value)


def _alternatives(value: object, name: str, length: int) -> frozenset[bytes]:
    if value is None:
        return frozenset()
    items = value if isinstance(value, list) else [value]
    if len(items) > _FILTER_ALTERNATIVES_MAX:
        raise invalid_params(f"at most {_FILTER_ALTERNATIVES_MAX} alternatives of a {name}")
    if any(item is None for item in items):
        return frozenset()
    return frozenset(data(item, name, length) for item in items)


def _access_list(value: object) -> AccessList:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise invalid_params("accessList must be a list")
    entries = []
    for item in value:
        fields = _object(item, "accessList entry")
        keys = fields.get("storageKeys") or []
        if not isinstance(keys, list):
            raise invalid_params("storageKeys must be a list")
        slots = tuple(int.from_bytes(data(key, "storage key", 32), "big") for key in keys)
        entries.append((address(fields.get("address")), slots))
    return tuple(entries)


def _slots(value: object) -> tuple[tuple[int, int], ...]:
    slots = _object(value, "slots")
    if len(slots) > _STORAGE_KEYS_MAX:
        raise invalid_params(f"slots of an override are at most {_STORAGE_KEYS_MAX}")
    return tuple((quantity(slot, "slot"), quantity(item, "slot value")) for slot, item in slots.items())


def _object(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid_params(f"{name} must be an object, not {shown(value)}")
    return value


def shown(value: object) -> str:
    """Return a value for an error message, shortened."""
    text = reprlib.repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
