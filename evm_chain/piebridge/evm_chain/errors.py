"""Why the EVM chain refuses a transaction or a genesis."""

from enum import IntEnum

from piebridge.crypto.errors import ProtocolError

CODESPACE = "evm"
"""Namespace of the codes below in CheckTx and ExecTxResult."""


class RejectionCode(IntEnum):
    """ABCI code of a transaction that has no effect on the EVM. 0 is success and not in this table."""

    MALFORMED = 1
    """The bytes are not the one RLP encoding of a signed transaction."""
    UNSUPPORTED_TYPE = 2
    """A typed transaction other than EIP-2930 (1) and EIP-1559 (2)."""
    TOO_LARGE = 3
    """More bytes than a transaction may have, or init code over EIP-3860's limit."""
    WRONG_CHAIN = 4
    """Signed for another chain id, or for any chain (before EIP-155)."""
    BAD_SIGNATURE = 5
    """The signature is out of range, malleable (high s) or recovers no key."""
    NONCE_TOO_LOW = 6
    """The sender's account is past this nonce."""
    NONCE_TOO_HIGH = 7
    """A transaction with a lower nonce is missing."""
    INSUFFICIENT_FUNDS = 8
    """The balance does not cover value plus the largest fee."""
    INTRINSIC_GAS = 9
    """The gas limit is below intrinsic gas or EIP-7623's calldata floor."""
    GAS_LIMIT_EXCEEDED = 10
    """The gas limit does not fit into the block."""
    FEE_CAP_TOO_LOW = 11
    """The fee cap is below the base fee or below the priority fee."""
    SENDER_NOT_EOA = 12
    """The sender's account has code (EIP-3607)."""
    SECOND_OCCUPIED = 13
    """The CometBFT block's time is not in a later second than the last EVM block."""
    REPLACEMENT_UNDERPRICED = 14
    """A transaction of the same sender and nonce waits and the fees are not 10 % higher."""
    TOO_MANY_PENDING = 15
    """The sender has as many waiting transactions as one sender may have."""
    REPLACED = 16
    """A transaction of the same sender and nonce with higher fees waits."""
    ALREADY_KNOWN = 17
    """This very transaction waits already."""
    EXECUTION_FAULT = 18
    """The EVM implementation failed on this transaction. Deterministic; worth a bug report."""


class InvalidTransaction(ProtocolError):
    """A transaction that may not be included. It has no effect: no fee, no nonce."""

    def __init__(self, code: RejectionCode, message: str) -> None:
        """Refuse with a stable code and a text for people."""
        super().__init__(message)
        self.code = code
        """Stable reason."""
