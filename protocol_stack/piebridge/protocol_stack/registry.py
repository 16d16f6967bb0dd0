"""Explicit, immutable tables of the protocols of a layer."""

from collections.abc import Iterable, Iterator
from enum import IntEnum
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar

from piebridge.crypto.errors import ConfigurationError
from piebridge.protocol_stack.errors import ErrorCode, FormatError


class Layer(IntEnum):
    """The four layers, from the bottom up."""

    TRANSPORT = 1
    VERIFICATION = 2
    TRANSACTION = 3
    APPLICATION = 4


UNKNOWN_PROTOCOL = MappingProxyType(
    {
        Layer.TRANSPORT: ErrorCode.TRANSPORT_PROTOCOL,
        Layer.VERIFICATION: ErrorCode.VERIFICATION_METHOD,
        Layer.TRANSACTION: ErrorCode.TRANSACTION_PROTOCOL,
        Layer.APPLICATION: ErrorCode.APPLICATION_CODEC,
    }
)
"""What a decoder answers to a protocol number that the layer's registry does not hold."""


class LayerProtocol(Protocol):
    """What every protocol of every layer has."""

    @property
    def identifier(self) -> int:
        """Number in the header of its layer."""

    @property
    def name(self) -> str:
        """Name for people, in lower case."""


P = TypeVar("P", bound=LayerProtocol)


class ProtocolRegistry(Generic[P]):
    """The protocols that one layer knows, by the number in its header."""

    __slots__ = ("_by_identifier", "layer")

    def __init__(self, layer: Layer, protocols: Iterable[P]) -> None:
        """Build the table once; it cannot be changed afterwards.

        Raises:
            ConfigurationError: two protocols have the same number or name, or there is none.
        """
        self.layer = layer
        table: dict[int, P] = {}
        names: set[str] = set()
        for protocol in protocols:
            if protocol.identifier in table or protocol.name in names:
                raise ConfigurationError(
                    f"the {layer.name.lower()} layer has two protocols {protocol.name!r} ({protocol.identifier}): "
                    "give each its own number and name"
                )
            table[protocol.identifier] = protocol
            names.add(protocol.name)
        if not table:
            raise ConfigurationError(f"the {layer.name.lower()} layer has no protocol: register at least one")
        self._by_identifier = MappingProxyType(table)

    def get(self, identifier: int) -> P:
        """Return the protocol with this number.

        Raises:
            FormatError: there is none; the code is the layer's.
        """
        protocol = self._by_identifier.get(identifier)
        if protocol is None:
            raise FormatError(
                UNKNOWN_PROTOCOL[self.layer],
                f"unknown protocol of the {self.layer.name.lower()} layer",
                expected=sorted(self._by_identifier),
                actual=identifier,
            )
        return protocol

    def named(self, name: str) -> P:
        """Return the protocol with this name.

        Raises:
            ConfigurationError: there is none.
        """
        for protocol in self._by_identifier.values():
            if protocol.name == name:
                return protocol
        known = ", ".join(protocol.name for protocol in self._by_identifier.values())
        raise ConfigurationError(f"the {self.layer.name.lower()} layer has no protocol {name!r}; it has {known}")

    def __contains__(self, identifier: int) -> bool:
        """Return whether a protocol has this number."""
        return identifier in self._by_identifier

    def __iter__(self) -> Iterator[P]:
        """Go through the protocols in the order of their registration."""
        return iter(self._by_identifier.values())

    def __len__(self) -> int:
        """Return the number of protocols."""
        return len(self._by_identifier)
