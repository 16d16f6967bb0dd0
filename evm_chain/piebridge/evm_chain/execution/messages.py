"""What the EVM is asked to run, where, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from piebridge.evm_chain.block import EvmBlock, Outcome
from piebridge.evm_chain.errors import InvalidTransaction
from piebridge.evm_chain.transaction import AccessList


@dataclass(frozen=True, slots=True)
class BlockEnvironment:
    """What the EVM reads from the block that it runs in, besides state."""

    number: int
    """EVM block number."""
    timestamp: int
    """Seconds since the Unix epoch."""
    fee_recipient: bytes
    """20 bytes."""
    prev_randao: bytes
    """32 bytes."""
    gas_limit: int
    """Gas of the block."""
    base_fee_per_gas: int
    """Wei."""


@dataclass(frozen=True, slots=True)
class CallRequest:
    """A message to simulate; nothing is signed and nothing is kept."""

    sender: bytes
    """20 bytes."""
    to: bytes
    """20 bytes, or empty to create a contract."""
    gas_limit: int
    """Gas available, intrinsic gas included."""
    value: int = 0
    """Wei."""
    data: bytes = field(default=b"", repr=False)
    """Calldata or init code."""
    gas_price: int = 0
    """What GASPRICE answers, wei. No fee is taken."""
    access_list: AccessList = ()
    """Announced addresses and slots."""


@dataclass(frozen=True, slots=True)
class CallResult:
    """Outcome of a simulated message."""

    succeeded: bool
    """Whether it ended without revert or exceptional halt."""
    output: bytes
    """Return or revert data; code of a created contract."""
    gas_used: int
    """As a transaction would be charged, after refunds."""
    gas_refunded: int
    """Refund that ``gas_used`` has already lost: gas that must be there all the same."""
    error: str
    """Why it failed; empty where it succeeded."""
    reverted: bool
    """Whether it failed by REVERT, so that ``output`` is revert data."""
    out_of_gas: bool
    """Whether it ran out of gas in its outermost frame."""


@dataclass(frozen=True, slots=True)
class AccountOverride:
    """Temporary change of an account for a simulated message. None leaves as it is."""

    balance: int | None = None
    """Wei."""
    nonce: int | None = None
    """Nonce."""
    code: bytes | None = None
    """Runtime code."""
    state: tuple[tuple[int, int], ...] | None = None
    """The whole storage."""
    state_difference: tuple[tuple[int, int], ...] = ()
    """Single slots."""


@dataclass(frozen=True, slots=True)
class ExecutedBlock:
    """What a list of transactions does."""

    block: EvmBlock | None
    """The block; None where no transaction was valid."""
    results: tuple[Outcome | InvalidTransaction, ...]
    """For each transaction of the list its outcome, or why it is not in the block."""
    nodes: Mapping[bytes, bytes]
    """New trie nodes and codes by hash."""
