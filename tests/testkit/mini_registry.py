"""The smallest contract that looks like a DomainRegistry or GovernorBoard to a follower: it does what the caller says.

Call data: slot 32, value 32; then, for an event as well, four topics of 32 and the data of the log.
"""

from eth_abi.abi import encode

from piebridge.evm_chain.genesis import GenesisAccount
from piebridge.management_chain.follower.node import DECISION_MADE
from piebridge.protocol_stack.management.decision import Decision

RUNTIME = bytes.fromhex("602035600035556040361160" + "0f57005b60c036038060c060003760a035608035606035604035846000a400")
"""SSTORE; end of it, or CALLDATACOPY of what follows the topics; LOG4; STOP."""

REGISTRY, BOARD = b"\xa1" * 20, b"\xa2" * 20
"""Where the two stand in the genesis of tests."""


def accounts() -> dict[bytes, GenesisAccount]:
    """Accounts of a genesis."""
    return {address: GenesisAccount(code=RUNTIME) for address in (REGISTRY, BOARD)}


def write(slot: bytes, value: bytes) -> bytes:
    """Call data that writes a slot."""
    return slot + value


def announce(decision: Decision, slot: bytes, value: bytes, *, record: bytes | None = None) -> bytes:
    """Call data that writes a slot and makes the event of a decision."""
    topics = DECISION_MADE + decision.request_id + decision.domain.to_bytes(32, "big") + decision.hash
    return slot + value + topics + encode(["bytes"], [decision.encode() if record is None else record])
