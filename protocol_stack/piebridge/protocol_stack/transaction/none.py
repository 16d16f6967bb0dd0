"""NONE: a plain message; nothing ties its effects to those on another chain."""

from typing import Final

from piebridge.protocol_stack.header import TransactionHeader, TransportHeader
from piebridge.protocol_stack.transaction.base import check_plain

NONE: Final = 0
"""Number of the protocol in the transaction header."""


class NoTransaction:
    """The protocol of plain messages."""

    identifier: Final = NONE
    name: Final = "none"
    bound: Final = False

    def check(self, header: TransactionHeader, below: TransportHeader) -> None:
        """Demand a free lane and empty transaction fields.

        Raises:
            FormatError: with ``TRANSPORT_RELAY`` or a code of the hundred 3xx.
        """
        check_plain(header, below)
