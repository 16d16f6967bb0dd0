"""The four layers put together: what a packet passes on its way down at the source and up at every chain behind it.

:data:`STACK` is wired in one place, here, and cannot be changed afterwards. Its rules are exactly the column "accepted
values" of ``docs/protocol/formats.md``, section 4.1; relay chains, gateways, tools and (in Solidity) hubs decode alike.
"""

from typing import Final, TypeAlias

from piebridge.crypto.errors import ConfigurationError
from piebridge.protocol_stack.aggregator import HeaderRules, LayerAggregator
from piebridge.protocol_stack.application import BODY_CODECS
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.header import (
    HEADER_LENGTH,
    ApplicationHeader,
    Header,
    TransactionHeader,
    TransportHeader,
    VerificationHeader,
)
from piebridge.protocol_stack.packet import Packet
from piebridge.protocol_stack.registry import Layer, ProtocolRegistry
from piebridge.protocol_stack.transaction import TRANSACTION_PROTOCOLS
from piebridge.protocol_stack.transport import TRANSPORT_PROTOCOLS
from piebridge.protocol_stack.verification import VERIFICATION_METHODS

TransportLayer: TypeAlias = LayerAggregator[TransportHeader, None]
VerificationLayer: TypeAlias = LayerAggregator[VerificationHeader, TransportHeader]
TransactionLayer: TypeAlias = LayerAggregator[TransactionHeader, TransportHeader]
ApplicationLayer: TypeAlias = LayerAggregator[ApplicationHeader, TransportHeader]


class ProtocolStack:
    """Four aggregators, one above the other. Made by :class:`StackBuilder`."""

    __slots__ = ("application", "transaction", "transport", "verification")

    def __init__(
        self,
        transport: TransportLayer,
        verification: VerificationLayer,
        transaction: TransactionLayer,
        application: ApplicationLayer,
    ) -> None:
        """Put the layers above one another, from the bottom up."""
        self.transport: Final = transport
        self.verification: Final = verification
        self.transaction: Final = transaction
        self.application: Final = application

    def send(self, header: Header, body: bytes) -> bytes:
        """Go down through the four layers, each putting its header in front.

        Returns:
            The packet's bytes, ``header || body``.

        Raises:
            FormatError: a layer does not accept its header; the code says which rule.
        """
        _check_body_length(header.application, len(body))
        lowest = header.transport
        segment = self.application.encapsulate(header.application, body, lowest)
        step = self.transaction.encapsulate(header.transaction, segment, lowest)
        demand = self.verification.encapsulate(header.verification, step, lowest)
        return self.transport.encapsulate(lowest, demand, None)

    def receive(self, data: bytes) -> Packet:
        """Go up through the four layers, each taking its header off the front.

        Raises:
            FormatError: the bytes are no packet of this version; the code says which rule they break.
        """
        header, body = self._ascend(data)
        _check_body_length(header.application, len(body))
        return Packet(header, body)

    def decode_header(self, data: bytes) -> Header:
        """Read the 136 header bytes of a packet whose body is not at hand; the body length may be any.

        Raises:
            FormatError: as :meth:`receive`, or the bytes have another length.
        """
        header, rest = self._ascend(data)
        if rest:
            raise FormatError(
                ErrorCode.TRAILING_BYTES, "bytes follow the header", expected=HEADER_LENGTH, actual=len(data)
            )
        return header

    def _ascend(self, data: bytes) -> tuple[Header, bytes]:
        lowest, demand = self.transport.decapsulate(data, None)
        verification, step = self.verification.decapsulate(demand, lowest)
        transaction, segment = self.transaction.decapsulate(step, lowest)
        application, body = self.application.decapsulate(segment, lowest)
        return Header(lowest, verification, transaction, application), body


class StackBuilder:
    """Wires a stack from the bottom up; refuses a layer out of turn, and any change after :meth:`build`."""

    __slots__ = ("_application", "_built", "_next", "_transaction", "_transport", "_verification")

    def __init__(self) -> None:
        """Begin with no layer."""
        self._next = Layer.TRANSPORT.value
        self._built = False
        self._transport: TransportLayer | None = None
        self._verification: VerificationLayer | None = None
        self._transaction: TransactionLayer | None = None
        self._application: ApplicationLayer | None = None

    def transport(self, registry: ProtocolRegistry[HeaderRules[TransportHeader, None]]) -> "StackBuilder":
        """Put the transport layer at the bottom.

        Raises:
            ConfigurationError: it is not its turn.
        """
        self._take(registry.layer, Layer.TRANSPORT)
        self._transport = LayerAggregator(registry, TransportHeader.LENGTH, TransportHeader.decode)
        return self

    def verification(
        self, registry: ProtocolRegistry[HeaderRules[VerificationHeader, TransportHeader]]
    ) -> "StackBuilder":
        """Put the verification layer above the transport layer.

        Raises:
            ConfigurationError: it is not its turn.
        """
        self._take(registry.layer, Layer.VERIFICATION)
        self._verification = LayerAggregator(registry, VerificationHeader.LENGTH, VerificationHeader.decode)
        return self

    def transaction(
        self, registry: ProtocolRegistry[HeaderRules[TransactionHeader, TransportHeader]]
    ) -> "StackBuilder":
        """Put the transaction layer above the verification layer.

        Raises:
            ConfigurationError: it is not its turn.
        """
        self._take(registry.layer, Layer.TRANSACTION)
        self._transaction = LayerAggregator(registry, TransactionHeader.LENGTH, TransactionHeader.decode)
        return self

    def application(
        self, registry: ProtocolRegistry[HeaderRules[ApplicationHeader, TransportHeader]]
    ) -> "StackBuilder":
        """Put the application layer on top.

        Raises:
            ConfigurationError: it is not its turn.
        """
        self._take(registry.layer, Layer.APPLICATION)
        self._application = LayerAggregator(registry, ApplicationHeader.LENGTH, ApplicationHeader.decode)
        return self

    def build(self) -> ProtocolStack:
        """Return the stack.

        Raises:
            ConfigurationError: a layer is missing, or the stack was built before.
        """
        layers = (self._transport, self._verification, self._transaction, self._application)
        transport, verification, transaction, application = layers
        if self._built or not (transport and verification and transaction and application):
            raise ConfigurationError("a stack is built once, from four layers")
        self._built = True
        return ProtocolStack(transport, verification, transaction, application)

    def _take(self, given: Layer, wanted: Layer) -> None:
        if given != wanted or wanted != self._next:
            raise ConfigurationError(
                f"a registry of the {given.name.lower()} layer was given as {wanted.name.lower()} layer, at place "
                f"{self._next} from the bottom: wire transport, verification, transaction, application"
            )
        self._next += 1


def _check_body_length(header: ApplicationHeader, length: int) -> None:
    if header.body_length != length:
        raise FormatError(
            ErrorCode.APPLICATION_BODY_LENGTH,
            "the body has another length than the header says",
            expected=header.body_length,
            actual=length,
        )


STACK: Final = (
    StackBuilder()
    .transport(TRANSPORT_PROTOCOLS)
    .verification(VERIFICATION_METHODS)
    .transaction(TRANSACTION_PROTOCOLS)
    .application(BODY_CODECS)
    .build()
)
"""The stack of version 1."""
