"""Which transactions may wait for a block, and which of them a block takes.

The rules for the transactions of one sender:

* They are admitted in the order of their nonces, without gaps, up to 1 024 at a time, while the balance covers what all
  of them could cost together.
* One with the nonce of a waiting one replaces it if both fee caps are at least 10 % higher. An ABCI application cannot
  take a transaction out of the mempool, so the replaced one stays there until the next block, is never proposed by
  this node, and is refused at its recheck.

Everything here is of one node: blocks are judged by ``ProposalBuilder`` alone, from committed state.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from piebridge.evm_chain.errors import InvalidTransaction, RejectionCode
from piebridge.evm_chain.state_reader import EMPTY_CODE_HASH, StateReader
from piebridge.evm_chain.transaction import SignedTransaction, check_against_sender, check_without_state

PENDING_PER_SENDER_MAX = 1_024
"""Waiting transactions of one sender."""
_BUMP_PERCENT = 10
_PROTOBUF_FIELD_OVERHEAD_BYTES = 11


class BlockRules(NamedTuple):
    """What the next block allows."""

    base_fee_per_gas: int
    """Wei."""
    gas_limit: int
    """Gas of all transactions."""


class Senders:
    """Sender accounts of one committed state, each read once."""

    def __init__(self, reader: StateReader) -> None:
        """Read from a committed state."""
        self._reader = reader
        self._known: dict[bytes, tuple[int, int, bytes]] = {}

    def account(self, address: bytes) -> tuple[int, int, bytes]:
        """Next nonce, balance in wei and code."""
        known = self._known.get(address)
        if known is None:
            account = self._reader.account(address)
            code = b"" if account.code_hash == EMPTY_CODE_HASH else self._reader.code(address)
            known = self._known[address] = (account.nonce, account.balance, code)
        return known


class PendingTransactions:
    """The transactions that this node's mempool holds, by sender and nonce.

    At each Commit those remain that are still due; the engine then rechecks every transaction of its mempool. One that
    was neither rechecked nor new between two Commits has left the mempool without a word and is forgotten.
    """

    def __init__(self, senders: Senders, rules: BlockRules) -> None:
        """Start empty on the state of the last Commit."""
        self._senders = senders
        self._rules = rules
        self._waiting: dict[bytes, dict[int, SignedTransaction]] = {}
        self._by_hash: dict[bytes, SignedTransaction] = {}
        self._replaced: dict[bytes, tuple[bytes, int]] = {}
        self._confirmed: set[bytes] = set()

    def reset(self, senders: Senders, rules: BlockRules) -> None:
        """Go on from the state of a new Commit."""
        self._senders = senders
        self._rules = rules
        remaining: dict[bytes, dict[int, SignedTransaction]] = {}
        for sender, waiting in self._waiting.items():
            nonce = senders.account(sender)[0]
            while (transaction := waiting.get(nonce)) is not None and transaction.hash in self._confirmed:
                remaining.setdefault(sender, {})[nonce] = transaction
                nonce += 1
        self._waiting = remaining
        still = {transaction.hash for waiting in remaining.values() for transaction in waiting.values()}
        self._by_hash = {key: transaction for key, transaction in self._by_hash.items() if key in still}
        self._confirmed = set()
        self._replaced = {
            transaction_hash: (sender, nonce)
            for transaction_hash, (sender, nonce) in self._replaced.items()
            if senders.account(sender)[0] <= nonce
        }

    def admit(self, transaction: SignedTransaction, *, recheck: bool) -> None:
        """Let a transaction wait.

        Args:
            transaction: the transaction.
            recheck: whether it waited before the last Commit.

        Raises:
            InvalidTransaction: it may not wait (any more).
        """
        if transaction.hash in self._by_hash:
            if not recheck:
                raise InvalidTransaction(RejectionCode.ALREADY_KNOWN, "already known")
            self._recheck(transaction)
            return
        if recheck and transaction.hash in self._replaced:
            raise InvalidTransaction(RejectionCode.REPLACED, "replaced by a transaction with higher fees")
        check_without_state(transaction, self._rules.gas_limit)
        waiting = self._waiting.get(transaction.sender, {})
        replaced = waiting.get(transaction.nonce)
        self._check_sender(transaction, waiting, replaced)
        if replaced is not None:
            _check_bump(replaced, transaction)
            del self._by_hash[replaced.hash]
            self._replaced[replaced.hash] = (replaced.sender, replaced.nonce)
        elif len(waiting) >= PENDING_PER_SENDER_MAX:
            raise InvalidTransaction(
                RejectionCode.TOO_MANY_PENDING, f"{len(waiting)} transactions of this sender wait already"
            )
        self._replaced.pop(transaction.hash, None)
        self._waiting.setdefault(transaction.sender, {})[transaction.nonce] = transaction
        self._by_hash[transaction.hash] = transaction
        self._confirmed.add(transaction.hash)

    def next_nonce(self, sender: bytes) -> int:
        """Nonce after all waiting transactions of a sender."""
        return self._senders.account(sender)[0] + len(self._waiting.get(sender, {}))

    def get(self, transaction_hash: bytes) -> SignedTransaction | None:
        """A waiting transaction by its hash."""
        return self._by_hash.get(transaction_hash)

    def all(self) -> tuple[SignedTransaction, ...]:
        """Every waiting transaction, in the order of admission."""
        return tuple(self._by_hash.values())

    def is_replaced(self, transaction_hash: bytes) -> bool:
        """Whether a transaction of the mempool has been replaced by another."""
        return transaction_hash in self._replaced

    def _recheck(self, transaction: SignedTransaction) -> None:
        """Judge a transaction that stayed by the new state; where it falls, those after it fall too."""
        waiting = self._waiting[transaction.sender]
        _, balance, code = self._senders.account(transaction.sender)
        before = sum(other.cost_max for nonce, other in waiting.items() if nonce < transaction.nonce)
        try:
            check_against_sender(
                transaction,
                self._rules.base_fee_per_gas,
                nonce=transaction.nonce,
                balance=balance - before,
                code=code,
            )
        except InvalidTransaction:
            for nonce in [nonce for nonce in waiting if nonce >= transaction.nonce]:
                del self._by_hash[waiting.pop(nonce).hash]
            raise
        self._confirmed.add(transaction.hash)

    def _check_sender(
        self,
        transaction: SignedTransaction,
        waiting: Mapping[int, SignedTransaction],
        replaced: SignedTransaction | None,
    ) -> None:
        nonce, balance, code = self._senders.account(transaction.sender)
        committed = sum(other.cost_max for other in waiting.values() if other is not replaced)
        check_against_sender(
            transaction,
            self._rules.base_fee_per_gas,
            nonce=transaction.nonce if replaced is not None else nonce + len(waiting),
            balance=balance - committed,
            code=code,
        )


class ProposalBuilder:
    """Collects the transactions of one block, from committed state and the block's rules alone.

    It judges proposals too: one is acceptable if every transaction can be added in its order. Gas is counted by limits,
    not by use, because nothing is executed here; so what is accepted always fits when it is executed.
    """

    def __init__(self, senders: Senders, rules: BlockRules) -> None:
        """Start an empty block on the state of the last Commit."""
        self._senders = senders
        self._rules = rules
        self._gas_left = rules.gas_limit
        self._spent: dict[bytes, tuple[int, int]] = {}

    def add(self, transaction: SignedTransaction) -> None:
        """Take the next transaction.

        Raises:
            InvalidTransaction: it may not stand here.
        """
        check_without_state(transaction, self._rules.gas_limit)
        nonce, balance, code = self._senders.account(transaction.sender)
        count, cost = self._spent.get(transaction.sender, (0, 0))
        check_against_sender(
            transaction, self._rules.base_fee_per_gas, nonce=nonce + count, balance=balance - cost, code=code
        )
        if transaction.gas_limit > self._gas_left:
            raise InvalidTransaction(RejectionCode.GAS_LIMIT_EXCEEDED, "the block has not that much gas left")
        self._gas_left -= transaction.gas_limit
        self._spent[transaction.sender] = (count + 1, cost + transaction.cost_max)


def choose(
    builder: ProposalBuilder, candidates: Iterable[SignedTransaction], max_bytes: int
) -> tuple[SignedTransaction, ...]:
    """Fill a block in order of arrival; a transaction that came before its predecessor follows right after it.

    Args:
        builder: an empty block.
        candidates: transactions of the mempool in order of arrival.
        max_bytes: size that the transactions may have in the block's protobuf.
    """
    chosen: list[SignedTransaction] = []
    early: dict[tuple[bytes, int], SignedTransaction] = {}
    for candidate in candidates:
        following: SignedTransaction | None = candidate
        while following is not None:
            size = len(following.raw) + _PROTOBUF_FIELD_OVERHEAD_BYTES
            if size > max_bytes:
                break
            try:
                builder.add(following)
            except InvalidTransaction as invalid:
                if invalid.code is RejectionCode.NONCE_TOO_HIGH:
                    early[following.sender, following.nonce] = following
                break
            max_bytes -= size
            chosen.append(following)
            following = early.pop((following.sender, following.nonce + 1), None)
    return tuple(chosen)


def _check_bump(old: SignedTransaction, new: SignedTransaction) -> None:
    for old_fee, new_fee in (
        (old.fee_per_gas_max, new.fee_per_gas_max),
        (old.priority_fee_per_gas_max, new.priority_fee_per_gas_max),
    ):
        if new_fee * 100 < old_fee * (100 + _BUMP_PERCENT):
            raise InvalidTransaction(
                RejectionCode.REPLACEMENT_UNDERPRICED,
                f"replacement transaction underpriced: fees must rise by {_BUMP_PERCENT} % at least",
            )
