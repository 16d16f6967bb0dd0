"""Admission of relay transactions: what is checked before a handler looks at one, cheap checks first.

The same checks run when a transaction enters the mempool and when a block executes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

from piebridge.crypto.errors import ProtocolError
from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack.relay_messages import VALIDITY_HEIGHTS_MAX, RelayTransaction, TransactionKind
from piebridge.relay.app import keys, quotas
from piebridge.relay.app.store import View

CODESPACE = "piebridge"
"""Namespace of the codes."""


class Code(IntEnum):
    """Result of a relay transaction."""

    OK = 0
    """Executed."""
    DECODE = 1
    """Not a relay transaction. Charged to nobody: who sent it is not known."""
    WRONG_CHAIN = 2
    """For another domain or relay chain."""
    EXPIRED = 3
    """Not valid at this height any more, or valid too far ahead."""
    REPLAY = 4
    """Executed before."""
    SIGNATURE = 5
    """No key fits the signature."""
    QUOTA = 6
    """The sender has used up its quota; try again in the next window."""
    INVALID = 7
    """Body, proof, fold or signature of the content does not hold. Costs ten."""
    REFUSED = 8
    """The state does not allow it. Costs one."""


class NotAdmittedError(ProtocolError):
    """A transaction is not looked at any further."""

    def __init__(self, code: Code, message: str) -> None:
        """Say why."""
        super().__init__(message)
        self.code = code
        """Result code."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A transaction that may be executed."""

    transaction: RelayTransaction
    """The container; its body is not decoded yet."""
    sender: bytes
    """Address whose key signed, 20 bytes."""
    replay_id: bytes
    """Hash of what it signed and of who it is, 32 bytes: remembered against replays. With the sender in it nobody can
    use up a gateway's transaction by signing a copy of it and having that executed first, where it fails."""


def admit(view: View, tx: bytes, height: int, waiting: Mapping[bytes, int] = MappingProxyType({})) -> Admitted:
    """Check everything but the content of a transaction.

    Args:
        view: the state.
        tx: the transaction's bytes.
        height: height at which it is or would be executed.
        waiting: transactions by account that wait for execution, besides what was used.

    Raises:
        NotAdmittedError: the code says why.
    """
    relay = view.relay
    try:
        transaction = RelayTransaction.decode(tx)
    except ProtocolError as error:
        raise NotAdmittedError(Code.DECODE, str(error)) from error
    if (transaction.domain, transaction.relay) != (relay.domain, relay.relay):
        raise NotAdmittedError(
            Code.WRONG_CHAIN, f"transaction is for relay chain {transaction.relay} of domain {transaction.domain}"
        )
    if not height <= transaction.valid_until <= height + VALIDITY_HEIGHTS_MAX:
        raise NotAdmittedError(
            Code.EXPIRED,
            f"transaction is valid until height {transaction.valid_until}; at height {height} that must lie "
            f"0 to {VALIDITY_HEIGHTS_MAX} heights ahead",
        )
    try:
        sender = transaction.sender()
    except ProtocolError as error:
        raise NotAdmittedError(Code.SIGNATURE, str(error)) from error
    replay_id = keccak256(transaction.digest + sender)
    if view.get(keys.replay(transaction.valid_until, replay_id)) is not None:
        raise NotAdmittedError(Code.REPLAY, "transaction was executed before")
    if transaction.kind is not TransactionKind.GOVERNOR:
        limit, used = quotas.limit(view, sender), quotas.used(view, sender, height)
        if used + waiting.get(quotas.account(view, sender), 0) >= limit:
            raise NotAdmittedError(
                Code.QUOTA, f"0x{sender.hex()} has used {used} of {limit} transactions of this window"
            )
    return Admitted(transaction, sender, replay_id)
