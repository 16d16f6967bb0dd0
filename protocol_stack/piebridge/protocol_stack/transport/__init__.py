"""Transport layer: lanes, channels, order, outboxes."""

from typing import Final

from piebridge.protocol_stack.aggregator import HeaderRules
from piebridge.protocol_stack.header import TransportHeader
from piebridge.protocol_stack.registry import Layer, ProtocolRegistry
from piebridge.protocol_stack.transport.basic import BasicTransport
from piebridge.protocol_stack.transport.reliable import ReliableTransport

TRANSPORT_PROTOCOLS: Final[ProtocolRegistry[HeaderRules[TransportHeader, None]]] = ProtocolRegistry(
    Layer.TRANSPORT, [BasicTransport(), ReliableTransport()]
)
"""The transport protocols."""
