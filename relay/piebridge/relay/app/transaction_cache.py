"""What follows from the bytes of a relay transaction alone, worked out once for CheckTx, ProcessProposal and execution.

**Why this is sound.** A cached result is a function of the transaction's bytes and of nothing else: the container, the
sender that its signature recovers to, the decoded body, the value to which the body's range folds. Its key is the
SHA-256 of those bytes, so a hit is about the same bytes. Whatever depends on anything else is not here and is done
again each time: domain and relay id, validity height, replay, quota, membership, trusted headers, the proof of the
folded value, depth, expiry, life cycle. A failure is not kept, so a refusal is always worked out anew, at the same
place in the order of the checks and with the same code: no result, and so no hash, can depend on whether a validator
has seen a transaction before.

The cache is bounded by bytes, and forgets what was executed; a miss costs time and nothing else.
"""

from collections import OrderedDict

from piebridge.crypto.hash import keccak256, sha256
from piebridge.protocol_stack.relay_messages import RelayTransaction, TransactionBody

BYTES_MAX = 16 << 20
"""Transactions that are kept, bytes: four full blocks. Decoded they take about five times as much."""


class KnownTransaction:
    """A relay transaction with what follows from its bytes; each part is worked out when it is first asked for."""

    __slots__ = ("_body", "_replay_id", "_sender", "transaction")

    def __init__(self, transaction: RelayTransaction) -> None:
        """Hold a decoded container."""
        self.transaction = transaction
        """The container."""
        self._sender: bytes | None = None
        self._replay_id: bytes | None = None
        self._body: TransactionBody | None = None

    @property
    def sender(self) -> bytes:
        """Address whose key signed, 20 bytes.

        Raises:
            VerificationError: no key fits the signature.
        """
        if self._sender is None:
            digest = self.transaction.digest
            sender = self.transaction.sender()
            self._sender, self._replay_id = sender, keccak256(digest + sender)
        return self._sender

    @property
    def replay_id(self) -> bytes:
        """Hash of what it signed and of who it is, 32 bytes: remembered against replays. With the sender in it nobody
        can use up a gateway's transaction by signing a copy of it and having that executed first, where it fails.

        Raises:
            VerificationError: no key fits the signature.
        """
        if self._replay_id is None:
            self._replay_id = keccak256(self.transaction.digest + self.sender)
        return self._replay_id

    @property
    def body(self) -> TransactionBody:
        """The decoded body; immutable, and a range in it keeps the value that it folds to.

        Raises:
            FormatError: the bytes are no body of this kind.
        """
        if self._body is None:
            self._body = self.transaction.decode_body()
        return self._body


class TransactionCache:
    """Known transactions by the SHA-256 of their bytes, the least recently used forgotten first."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        """Start empty."""
        self._known: OrderedDict[bytes, tuple[int, KnownTransaction]] = OrderedDict()
        self._bytes_max = bytes_max
        self._bytes = 0

    def __len__(self) -> int:
        """Count the transactions that are known."""
        return len(self._known)

    def get(self, tx: bytes) -> KnownTransaction:
        """Return what is known of a transaction, or begin to know it.

        Raises:
            FormatError: the bytes are no relay transaction; nothing is kept.
        """
        key = sha256(tx)
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
            return found[1]
        known = KnownTransaction(RelayTransaction.decode(tx))
        self._known[key] = len(tx), known
        self._bytes += len(tx)
        while self._bytes > self._bytes_max:
            _, (size, _) = self._known.popitem(last=False)
            self._bytes -= size
        return known

    def forget(self, tx: bytes) -> None:
        """Forget a transaction, known or not."""
        found = self._known.pop(sha256(tx), None)
        if found is not None:
            self._bytes -= found[0]
