"""The smallest contract that looks like a hub to an endpoint: it writes a slot and emits a log, as the caller says.

Call data: slot 32, value 32, topic 32, topic 32, data of the log. No call data: it reverts.
"""

from typing import Any

from eth_account import Account

from piebridge.chains.endpoint import Fees
from piebridge.chains.evm.hub import PACKET_SENT

_RUNTIME = bytes.fromhex("36600857600080fd5b6020356000355560803603806080600037606035604035826000a200")
"""Revert without call data; SSTORE; CALLDATACOPY of the rest; LOG2; STOP."""
_CREATION = bytes.fromhex(f"60{len(_RUNTIME):02x}80600b6000396000f3") + _RUNTIME
"""Copies the runtime code behind itself and returns it."""


def creation_data() -> bytes:
    """Data of the transaction that creates the contract."""
    return _CREATION


def write_data(
    slot: bytes, value: bytes, *, domain: int = 1, relay: int = 0, number: int = 1, content: bytes = b"x"
) -> bytes:
    """Call data that writes a slot and makes an outbox event."""
    entry = (domain << 96 | relay << 64 | number).to_bytes(32, "big")
    return slot + value + PACKET_SENT + entry + content


def signed_call(
    private_key: bytes, chain_id: int, nonce: int, to: bytes, data: bytes, fees: Fees, gas: int = 300_000
) -> bytes:
    """A signed transaction."""
    transaction: dict[str, Any] = {
        "type": 2,
        "chainId": chain_id,
        "nonce": nonce,
        "value": 0,
        "data": data,
        "gas": gas,
        "maxFeePerGas": fees.max_fee_per_gas,
        "maxPriorityFeePerGas": fees.max_priority_fee_per_gas,
    }
    if to:
        transaction["to"] = to
    return bytes(Account.sign_transaction(transaction, private_key).raw_transaction)
