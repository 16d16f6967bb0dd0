"""Errors of the ABCI server.

Two families, because they end differently: a client that does not speak ABCI loses its connection; an application or a
node that cannot go on stops the process.
"""

from piebridge.crypto.errors import ConfigurationError, DecodingError, PieBridgeError


class FrameError(DecodingError):
    """A client sent something that is no frame, or one that is too long; its connection is closed."""


class RequestError(DecodingError):
    """A frame holds no ABCI 2.0 request; the connection is closed."""


class IncompatibleNodeError(ConfigurationError):
    """The node speaks another version of ABCI; the process stops."""


class ApplicationFailedError(PieBridgeError):
    """The application raised an error, so its state is unknown; the process stops and goes on from its last Commit."""

    def __init__(self, method: str, cause: BaseException) -> None:
        """Name the method and what it raised."""
        super().__init__(
            f"the application failed in {method}: {type(cause).__name__}: {cause}; the process stops so that nothing "
            "is decided on a state that nobody knows"
        )
        self.method = method
        """ABCI method."""
