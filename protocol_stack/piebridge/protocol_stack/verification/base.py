"""What a verification method is to the decoder: a number that the sender demands at least."""

from enum import IntEnum
from typing import Final

from piebridge.protocol_stack.header import TransportHeader, VerificationHeader


class Method(IntEnum):
    """How a relay chain authenticates the outboxes of a hub."""

    SPV = 1
    """Light client of the source chain and a storage proof."""
    NOTARY = 2
    """k of n notaries sign what they read."""
    BOTH = 3
    """Both, proving the same value."""


class VerificationMethod:
    """One method, as the verification layer's registry holds it."""

    def __init__(self, method: Method, name: str) -> None:
        """Name a method."""
        self.identifier: Final = int(method)
        self.name: Final = name
        self.method: Final = method

    def check(self, header: VerificationHeader, below: TransportHeader) -> None:
        """Accept any depth and epoch: what is met depends on a registration and is not the decoder's business."""
