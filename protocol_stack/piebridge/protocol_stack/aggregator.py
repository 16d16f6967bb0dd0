"""One layer at work: add its header on the way down, take it off on the way up."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from piebridge.protocol_stack.header import LayerHeader
from piebridge.protocol_stack.registry import Layer, LayerProtocol, ProtocolRegistry

H = TypeVar("H", bound=LayerHeader)
HeaderIn = TypeVar("HeaderIn", bound=LayerHeader, contravariant=True)
BelowIn = TypeVar("BelowIn", contravariant=True)
B = TypeVar("B")


class HeaderRules(LayerProtocol, Protocol[HeaderIn, BelowIn]):
    """What an aggregator asks of a protocol of its layer."""

    def check(self, header: HeaderIn, below: BelowIn) -> None:
        """Refuse values that this protocol does not accept.

        Args:
            header: header of the layer, naming this protocol.
            below: the transport header under it (nothing for the transport layer itself).

        Raises:
            FormatError: with a code of the layer.
        """


class LayerAggregator(Generic[H, B]):
    """Dispatches between the protocols of one layer; the same rules hold in both directions."""

    __slots__ = ("_decode", "_length", "registry")

    def __init__(
        self, registry: ProtocolRegistry[HeaderRules[H, B]], length: int, decode: Callable[[bytes], H]
    ) -> None:
        """Serve the layer of ``registry``, whose headers have ``length`` bytes and are read by ``decode``."""
        self.registry = registry
        self._length = length
        self._decode = decode

    @property
    def layer(self) -> Layer:
        """The layer."""
        return self.registry.layer

    def check(self, header: H, below: B) -> None:
        """Apply the rules of the layer and of the protocol that the header names.

        Raises:
            FormatError: with a code of the layer.
        """
        header.check()
        self.registry.get(header.protocol_number).check(header, below)

    def encapsulate(self, header: H, payload: bytes, below: B) -> bytes:
        """Put the header in front of ``payload``, after checking it.

        Raises:
            FormatError: the header is not accepted.
        """
        self.check(header, below)
        return header.encode() + payload

    def decapsulate(self, data: bytes, below: B) -> tuple[H, bytes]:
        """Take the header off the front and check it.

        Returns:
            The header, and the bytes behind it.

        Raises:
            FormatError: the header is not accepted.
        """
        header = self._decode(data[: self._length])
        self.registry.get(header.protocol_number).check(header, below)
        return header, data[self._length :]
