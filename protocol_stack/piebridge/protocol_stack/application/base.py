"""What the application layer knows: how bodies are encoded, and the applications that PieBridge itself brings.

The decoder only asks for the codec. Bodies are the business of applications; those of the standard ones are read here.
"""

from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final, Protocol

from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.header import ApplicationHeader, TransportHeader


class Codec(IntEnum):
    """How a body is encoded, as far as tools that show packets want to know."""

    RAW = 0
    ABI = 1
    CBOR = 2


class BodyCodec:
    """One codec, as the application layer's registry holds it."""

    def __init__(self, codec: Codec, name: str) -> None:
        """Name a codec."""
        self.identifier: Final = int(codec)
        self.name: Final = name

    def check(self, header: ApplicationHeader, below: TransportHeader) -> None:
        """Accept any body: bodies are the application's own."""


class ApplicationBody(Protocol):
    """A body of a standard application."""

    def encode(self) -> bytes:
        """Return the body's bytes."""


class BodyDecoder(Protocol):
    """Reads bodies of one function."""

    def decode(self, data: bytes) -> ApplicationBody:
        """Read a body.

        Raises:
            FormatError: the bytes are no such body.
        """


@dataclass(frozen=True, slots=True)
class Application:
    """One standard application."""

    identifier: int
    """Application id; for the token and the record notary the one of the local network."""
    name: str
    """Name for people."""
    transaction_protocol: int
    """Transaction protocol of its packets."""
    functions: MappingProxyType[int, BodyDecoder]
    """What the body of each function is."""

    def decode_body(self, header: ApplicationHeader, body: bytes) -> ApplicationBody:
        """Read a body of this application.

        Raises:
            FormatError: the application has no such function, or the bytes are no body of it.
        """
        decoder = self.functions.get(header.function)
        if decoder is None or header.codec != Codec.RAW:
            raise FormatError(
                ErrorCode.APPLICATION_BODY,
                f"application {self.name!r} has no such function in this codec",
                actual=(header.function, header.codec),
            )
        return decoder.decode(body)
