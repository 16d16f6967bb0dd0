"""Bodies of the token application."""

from dataclasses import dataclass
from typing import Final

from piebridge.protocol_stack.codec import Reader, address, u128

TOKEN: Final = 2
"""Application id in the local network."""
TRANSFER: Final = 1
"""Function: credit the recipient with what the source debited."""


@dataclass(frozen=True, slots=True)
class TokenTransfer:
    """Body of ``transfer``: 56 bytes."""

    amount: int
    """Smallest units, u128."""
    sender: bytes
    """Who is debited at the source and refunded after an abort, 20 bytes."""
    recipient: bytes
    """Who is credited at the destination, 20 bytes."""

    def encode(self) -> bytes:
        """Return ``amount || sender || recipient``.

        Raises:
            FormatError: ``OUT_OF_RANGE``.
        """
        return u128(self.amount) + address(self.sender) + address(self.recipient)

    @classmethod
    def decode(cls, data: bytes) -> "TokenTransfer":
        """Read 56 bytes.

        Raises:
            FormatError: another length.
        """
        reader = Reader(data)
        body = cls(reader.u128(), reader.address(), reader.address())
        reader.finish()
        return body
