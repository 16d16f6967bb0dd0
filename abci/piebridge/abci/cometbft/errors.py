"""Errors of a CometBFT unit."""

from piebridge.crypto.errors import ConfigurationError, PieBridgeError


class CometBftMissingError(ConfigurationError):
    """There is no CometBFT program that can be used."""


class NodeExitedError(PieBridgeError):
    """The node's process ended although nobody asked it to. Code 0 is a fault as well: a node that lost its application
    ends with it.
    """

    def __init__(self, message: str, exit_code: int, last_words: str) -> None:
        """Say how it ended.

        Args:
            message: which node.
            exit_code: exit code, negative for a signal.
            last_words: end of its log.
        """
        how = f"by signal {-exit_code}" if exit_code < 0 else f"with exit code {exit_code}"
        super().__init__(f"{message} ended {how} unasked; its log ends:\n{last_words}")
        self.exit_code = exit_code
        """Exit code, negative for a signal."""


class NodeNotReadyError(PieBridgeError):
    """The node runs but does not answer in time."""


class NodeRpcError(PieBridgeError):
    """The own node's RPC failed or refused; the text is the node's."""
