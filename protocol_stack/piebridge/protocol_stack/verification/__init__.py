"""Verification layer: how one chain believes what another one says."""

from typing import Final

from piebridge.protocol_stack.aggregator import HeaderRules
from piebridge.protocol_stack.header import TransportHeader, VerificationHeader
from piebridge.protocol_stack.registry import Layer, ProtocolRegistry
from piebridge.protocol_stack.verification.base import Method, VerificationMethod

VERIFICATION_METHODS: Final[ProtocolRegistry[HeaderRules[VerificationHeader, TransportHeader]]] = ProtocolRegistry(
    Layer.VERIFICATION,
    [
        VerificationMethod(Method.SPV, "spv"),
        VerificationMethod(Method.NOTARY, "notary"),
        VerificationMethod(Method.BOTH, "both"),
    ],
)
"""The verification methods."""
