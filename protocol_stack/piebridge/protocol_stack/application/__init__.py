"""Application layer: typed functions of registered applications."""

from types import MappingProxyType
from typing import Final

from piebridge.protocol_stack.aggregator import HeaderRules
from piebridge.protocol_stack.application.base import Application, BodyCodec, Codec
from piebridge.protocol_stack.application.door import DOOR, MESSAGE, DoorMessage
from piebridge.protocol_stack.application.record_notary import NOTARISE, RECORD_NOTARY, Notarisation
from piebridge.protocol_stack.application.token import TOKEN, TRANSFER, TokenTransfer
from piebridge.protocol_stack.header import ApplicationHeader, TransportHeader
from piebridge.protocol_stack.registry import Layer, ProtocolRegistry
from piebridge.protocol_stack.transaction.atp import ATP
from piebridge.protocol_stack.transaction.forward import FORWARD
from piebridge.protocol_stack.transaction.none import NONE

BODY_CODECS: Final[ProtocolRegistry[HeaderRules[ApplicationHeader, TransportHeader]]] = ProtocolRegistry(
    Layer.APPLICATION, [BodyCodec(Codec.RAW, "raw"), BodyCodec(Codec.ABI, "abi"), BodyCodec(Codec.CBOR, "cbor")]
)
"""The codecs that a header may name."""

APPLICATIONS: Final = ProtocolRegistry(
    Layer.APPLICATION,
    [
        Application(DOOR, "erc7786-door", NONE, MappingProxyType({MESSAGE: DoorMessage})),
        Application(TOKEN, "token", ATP, MappingProxyType({TRANSFER: TokenTransfer})),
        Application(RECORD_NOTARY, "record-notary", FORWARD, MappingProxyType({NOTARISE: Notarisation})),
    ],
)
"""The standard applications, by their ids in the local network."""
