"""Errors of the embedded engine."""

from piebridge.crypto.errors import PieBridgeError


class EngineError(PieBridgeError):
    """The engine cannot go on. The message says why and what to do."""


class HandshakeError(EngineError):
    """Application, store and genesis document do not belong together or are out of step; the engine does not start."""


class CorruptStoreError(EngineError):
    """A stored record is not what was written. Restore the home directory from a copy, or start the chain anew."""


class ApplicationFaultError(EngineError):
    """The application broke a rule of ABCI 2.0, which would halt every node of a CometBFT chain."""


class NoQuorumError(EngineError):
    """The keys that the engine holds (and that are not absent on purpose) have no more than 2/3 of the voting power."""


class MempoolError(PieBridgeError):
    """The mempool did not take a transaction; the text is CometBFT's."""
