"""Errors of the JSON-RPC, with the codes that Ethereum clients expect."""

from typing import Any

PARSE_ERROR = -32700
"""The body is not JSON."""
INVALID_REQUEST = -32600
"""The JSON is not a request."""
METHOD_NOT_FOUND = -32601
"""No such method."""
INVALID_PARAMS = -32602
"""Parameters are missing or malformed."""
INTERNAL_ERROR = -32603
"""A fault of the server; its log says which."""
SERVER_ERROR = -32000
"""The request is well formed and cannot be met: refused transaction, unknown block, failed call."""
LIMIT_EXCEEDED = -32005
"""The answer would be too large, or too many requests are under way."""
EXECUTION_REVERTED = 3
"""A call reverted; ``data`` is its revert data."""


class RpcError(Exception):
    """An error that is sent to the client."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        """Fail with a code, a text for people and data for programs."""
        super().__init__(message)
        self.code = code
        """JSON-RPC code."""
        self.data = data
        """Revert data in hexadecimal."""

    def document(self) -> dict[str, Any]:
        """The ``error`` member of the answer."""
        document: dict[str, Any] = {"code": self.code, "message": str(self)}
        if self.data is not None:
            document["data"] = self.data
        return document


def invalid_params(message: str) -> RpcError:
    """Parameters are missing or malformed."""
    return RpcError(INVALID_PARAMS, message)
