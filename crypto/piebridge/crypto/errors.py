"""The roots of all errors that PieBridge raises on purpose.

They live in the lowest package so that every other package can derive from them::

    PieBridgeError
    +-- ProtocolError         a peer, a packet or a proof is wrong; nothing was changed, the same bytes fail again
    |   +-- DecodingError     bytes are not the one encoding of a value
    |   +-- VerificationError a signature, proof or quorum does not hold
    +-- ChainError            a chain's endpoint failed
    |   +-- TransientChainError   trying again later may help (time-out, connection refused, nonce race)
    |   +-- PermanentChainError   trying again will not help (revert, unknown method)
    +-- ConfigurationError    the user's settings or files are wrong; the message says which and what to do
"""


class PieBridgeError(Exception):
    """Root of every error that PieBridge raises on purpose. A broken invariant is an ``AssertionError`` instead."""


class ProtocolError(PieBridgeError):
    """A peer, a packet, a proof or a message is wrong. State is unchanged."""

    def __init__(self, message: str, *, expected: object = None, actual: object = None) -> None:
        """Say what is wrong and, where one value can, what was expected and what was found."""
        if expected is not None or actual is not None:
            message = f"{message} (expected {_show(expected)}, got {_show(actual)})"
        super().__init__(message)
        self.expected = expected
        """What would have been accepted, where one value can name it."""
        self.actual = actual
        """What was found."""


class DecodingError(ProtocolError):
    """Bytes are not the one accepted encoding of a value."""


class VerificationError(ProtocolError):
    """A signature, a proof, a quorum or a chain of hashes does not hold."""


class ChainError(PieBridgeError):
    """The endpoint of a chain failed or refused."""


class TransientChainError(ChainError):
    """The endpoint failed in a way that may pass: time-out, refused connection, busy node."""


class PermanentChainError(ChainError):
    """The endpoint refused for good: the same request will be refused again."""


class ConfigurationError(PieBridgeError):
    """Settings, files or flags of the user are wrong. The message names the setting and what to do."""


def _show(value: object) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else repr(value)
