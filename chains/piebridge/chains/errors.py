"""What an endpoint can answer instead of a value, by what the caller can do about it::

ChainError
+-- TransientChainError      try again later, or another node
|   +-- NonceError           the transaction's nonce is taken or leaves a gap: read it again and sign anew
|   +-- AlreadyKnownError    the node has this very transaction already
|   +-- MissingStateError    the node does not have this block or this state (yet, or any more)
+-- PermanentChainError      the same request will be refused again
|   +-- CallRevertedError    the EVM reverted; `data` says why
|   +-- TransactionRefusedError  a relay chain refused the transaction; `code` says why
+-- (ProtocolError) VerificationError: the node's answer contradicts a hash: it lies or is broken
"""

from piebridge.crypto.errors import PermanentChainError, TransientChainError


class NonceError(TransientChainError):
    """The nonce of a transaction is not the sender's next one."""


class AlreadyKnownError(TransientChainError):
    """The node's pool or a block holds this transaction already; whoever waits for it goes on waiting."""


class MissingStateError(TransientChainError):
    """The node does not know the block, or keeps its state no more."""


class CallRevertedError(PermanentChainError):
    """A call or a transaction reverted."""

    def __init__(self, message: str, data: bytes = b"") -> None:
        """Keep what the contract returned."""
        super().__init__(message)
        self.data = data
        """Revert data: selector of the error and its arguments; empty where the node tells nothing."""


class TransactionRefusedError(PermanentChainError):
    """A chain's application refused a transaction."""

    def __init__(self, message: str, code: int, log: str) -> None:
        """Keep the application's answer."""
        super().__init__(message)
        self.code = code
        """ABCI response code, not 0."""
        self.log = log
        """The application's reason."""
