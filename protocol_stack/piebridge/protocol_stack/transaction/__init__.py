"""Transaction layer: effects on several chains that happen together or not at all."""

from typing import Final

from piebridge.protocol_stack.aggregator import HeaderRules
from piebridge.protocol_stack.header import TransactionHeader, TransportHeader
from piebridge.protocol_stack.registry import Layer, ProtocolRegistry
from piebridge.protocol_stack.transaction.atp import RollbackTransaction
from piebridge.protocol_stack.transaction.forward import ForwardTransaction
from piebridge.protocol_stack.transaction.none import NoTransaction

TRANSACTION_PROTOCOLS: Final[ProtocolRegistry[HeaderRules[TransactionHeader, TransportHeader]]] = ProtocolRegistry(
    Layer.TRANSACTION, [NoTransaction(), RollbackTransaction(), ForwardTransaction()]
)
"""The transaction protocols that are accepted. BTP (1) and MTP (3) are taken numbers."""
