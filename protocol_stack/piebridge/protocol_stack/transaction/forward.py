"""FORWARD: a one-way effect. The destination's handler is total (append, credit), so the source never has to undo."""

from typing import Final

from piebridge.protocol_stack.header import TransactionHeader, TransportHeader
from piebridge.protocol_stack.transaction.base import check_plain

FORWARD: Final = 4
"""Number of the protocol in the transaction header."""


class ForwardTransaction:
    """The protocol of effects that cannot be refused: no lock, no compensation, no verdict."""

    identifier: Final = FORWARD
    name: Final = "forward"
    bound: Final = False

    def check(self, header: TransactionHeader, below: TransportHeader) -> None:
        """Demand a free lane and empty transaction fields.

        Raises:
            FormatError: with ``TRANSPORT_RELAY`` or a code of the hundred 3xx.
        """
        check_plain(header, below)
