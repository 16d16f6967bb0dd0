"""Admission of relay transactions: what is checked before a handler looks at one, cheap checks first.

The same checks run when a transaction enters the mempool and when a block executes it.
"""

from collections.abc import Callable, Mapping
from enum import IntEnum
from types import MappingProxyType

from piebridge.crypto.errors import ProtocolError
from piebridge.protocol_stack.relay_messages import VALIDITY_HEIGHTS_MAX, CarriedGovernorMessage, TransactionKind
from piebridge.relay.app import keys, quotas
from piebridge.relay.app.store import View
from piebridge.relay.app.transaction_cache import KnownTransaction, TransactionCache

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


def admit(
    view: View,
    cache: TransactionCache,
    tx: bytes,
    height: int,
    waiting: Mapping[bytes, int] = MappingProxyType({}),
) -> KnownTransaction:
    """Check everything but the content of a transaction.

    Args:
        view: the state.
        cache: what follows from the bytes of transactions; it never changes an answer.
        tx: the transaction's bytes.
        height: height at which it is or would be executed.
        waiting: transactions by account that wait for execution, besides what was used.

    Raises:
        NotAdmittedError: the code says why.
    """
    relay = view.relay
    try:
        known = cache.get(tx)
    except ProtocolError as error:
        raise NotAdmittedError(Code.DECODE, str(error)) from error
    transaction = known.transaction
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
        sender = known.sender
    except ProtocolError as error:
        raise NotAdmittedError(Code.SIGNATURE, str(error)) from error
    if view.get(keys.replay(transaction.valid_until, known.replay_id)) is not None:
        raise NotAdmittedError(Code.REPLAY, "transaction was executed before")
    if transaction.kind is not TransactionKind.GOVERNOR:
        limit, used = quotas.limit(view, sender), quotas.used(view, sender, height)
        if used + waiting.get(quotas.account(view, sender), 0) >= limit:
            raise NotAdmittedError(
                Code.QUOTA, f"0x{sender.hex()} has used {used} of {limit} transactions of this window"
            )
    return known


class ProposalRule:
    """What may stand in one proposed block: a function of the block's transactions, its height and committed state.

    Whatever it refuses could be executed without cost for its sender, so a proposer must not be able to fill blocks
    with it: other chains' transactions, expired, repeated, unsigned or undecodable ones, and more of a sender than its
    quota has room for at the lowest price. What fails in execution is paid for and may stand; governor messages, which
    no quota bounds, must be ones that will be taken, each once, in whoever's container.
    """

    def __init__(
        self,
        view: View,
        cache: TransactionCache,
        height: int,
        check_governor: Callable[[CarriedGovernorMessage], None],
    ) -> None:
        """Begin a block of this height on committed state.

        Args:
            view: committed state.
            cache: what follows from the bytes of transactions.
            height: height of the block.
            check_governor: raises a ``ProtocolError`` for a governor message that committed state would not take.
        """
        self._view, self._cache, self._height = view, cache, height
        self._check_governor = check_governor
        self._counted: dict[bytes, int] = {}
        self._taken: set[bytes] = set()
        self._governor_digests: set[bytes] = set()

    def accepts(self, tx: bytes) -> bool:
        """Tell whether a transaction may stand behind those that were accepted before it, and count it if so."""
        try:
            known = admit(self._view, self._cache, tx, self._height, self._counted)
            body = known.body
            if isinstance(body, CarriedGovernorMessage):
                return self._accepts_governor(body)
        except ProtocolError:
            return False
        if known.replay_id in self._taken:
            return False
        self._taken.add(known.replay_id)
        account = quotas.account(self._view, known.sender)
        self._counted[account] = self._counted.get(account, 0) + quotas.VALID_COST
        return True

    def _accepts_governor(self, carried: CarriedGovernorMessage) -> bool:
        digest = carried.message.digest
        if digest in self._governor_digests:
            return False
        self._check_governor(carried)
        self._governor_digests.add(digest)
        return True
