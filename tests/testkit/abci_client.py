"""The other end of ABCI's socket: what CometBFT sends, and reads, in a test."""

import asyncio
from pathlib import Path
from typing import Any

from piebridge.abci.server.frames import encode_frame
from piebridge.abci.server.schema import message_class

SECONDS = 10.0
"""Longest wait for an answer."""


def request(method: str, **fields: Any) -> bytes:  # noqa: ANN401 - whatever the message has
    """Encode a request, without its length."""
    names = {name.name: name.message_type.name for name in message_class("Request").DESCRIPTOR.fields}
    message = message_class(names[method])(**fields)
    return bytes(message_class("Request")(**{method: message}).SerializeToString())


def response(frame: bytes) -> tuple[str, Any]:
    """Decode a response: its kind and its message."""
    decoded = message_class("Response").FromString(frame)
    kind = decoded.WhichOneof("value")
    assert kind is not None, frame.hex()
    return kind, getattr(decoded, kind)


def timestamp(time_ns: int) -> Any:  # noqa: ANN401 - classes made at run time have no static type
    """Write a time, nanoseconds since the Unix epoch."""
    return message_class("Timestamp")(seconds=time_ns // 10**9, nanos=time_ns % 10**9)


class AbciClient:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def unix(cls, path: Path) -> "AbciClient":
        """Connect to a Unix socket; by its folder's descriptor, so that the path may be long."""
        return cls(*await asyncio.open_unix_connection(str(path)))

    @classmethod
    async def tcp(cls, port: int) -> "AbciClient":
        """Connect to a port of this machine."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send_bytes(self, data: bytes) -> None:
        """Send anything."""
        self._writer.write(data)

    def send(self, method: str, **fields: Any) -> None:  # noqa: ANN401
        """Send a request."""
        self.send_bytes(encode_frame(request(method, **fields)))

    async def receive(self) -> tuple[str, Any]:
        """Read one response."""
        async with asyncio.timeout(SECONDS):
            length = shift = 0
            while True:
                (byte,) = await self._reader.readexactly(1)
                length |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    break
            return response(await self._reader.readexactly(length))

    async def call(self, method: str, **fields: Any) -> Any:  # noqa: ANN401
        """Send a request and return the message of its response, which must be of the same kind."""
        self.send(method, **fields)
        kind, message = await self.receive()
        assert kind == method, (kind, message)
        return message

    async def at_end(self) -> bool:
        """Wait until the server closes the connection."""
        async with asyncio.timeout(SECONDS):
            try:
                return await self._reader.read(1) == b""
            except ConnectionError:
                return True

    async def close(self) -> None:
        """Close it."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return
