"""A TCP proxy between a client and a server that slows down, hangs, resets, cuts or leaves connections half open."""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit, urlunsplit

_CHUNK_BYTES = 1 << 14
_BACKLOG = 128


class Fault(StrEnum):
    """What happens to connections."""

    NONE = "none"
    """Bytes pass as they come."""
    LATENCY = "latency"
    """Each chunk of bytes waits `latency_seconds` before it is passed on."""
    BANDWIDTH = "bandwidth"
    """No more than `bytes_per_second` pass, in each direction of each connection."""
    HANG = "hang"
    """Connections are accepted and bytes taken, but nothing is passed on; open connections too."""
    RESET = "reset"
    """Open connections are reset (RST), and each new one at its first byte."""
    CUT = "cut"
    """The port is closed, open connections are ended in good order."""
    HALF_OPEN = "half-open"
    """The server's side is gone without a word: its bytes never come, the client's are never read."""


@dataclass(slots=True, eq=False)
class _Link:
    """One client's connection with its way to the server."""

    client: asyncio.StreamWriter
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)


class TcpFaultProxy:
    """Use as ``async with TcpFaultProxy(port) as proxy:``, then give ``proxy.port`` to the client."""

    def __init__(
        self, target_port: int, *, target_host: str = "127.0.0.1", host: str = "127.0.0.1", port: int = 0
    ) -> None:
        """Stand in front of a port; faultless until told otherwise."""
        self._target = target_host, target_port
        self._host, self.port = host, port
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._passing = asyncio.Event()
        self._passing.set()
        self.fault = Fault.NONE
        self.latency_seconds = 0.2
        self.bytes_per_second = 20_000.0
        self.hits = 0
        """Connections and chunks of bytes that a fault has met: a fault that met none has tested nothing."""

    async def __aenter__(self) -> "TcpFaultProxy":
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close_port()
        await self._end_all()

    def url(self, original: str) -> str:
        """Return an address with this proxy's place instead of its own."""
        return urlunsplit(urlsplit(original)._replace(netloc=f"{self._host}:{self.port}"))

    async def inject(self, fault: Fault) -> None:
        """Begin a fault, or end it by `Fault.NONE`; open connections meet it too."""
        before, self.fault = self.fault, fault
        if before in (Fault.HANG, Fault.HALF_OPEN) and fault is not before:
            await self._end_all()  # what was swallowed cannot be given back
        self._passing.set()
        if fault in (Fault.HANG, Fault.HALF_OPEN):
            self._passing.clear()
            self.hits += len(self._links)
        elif fault is Fault.RESET:
            self.hits += len(self._links)
            for link in self._links:
                _make_reset(link.client)
            await self._end_all()
        if fault is Fault.CUT:
            self.hits += 1 + len(self._links)
            await self._close_port()
            await self._end_all()
        elif self._server is None:
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, self._host, self.port, backlog=_BACKLOG)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close_port(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _end_all(self) -> None:
        links, self._links = self._links, set()
        tasks = [task for link in links for task in link.tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer)
        task = asyncio.current_task()
        assert task is not None
        link.tasks.append(task)
        self._links.add(link)
        try:
            if self.fault is Fault.RESET:
                await reader.read(1)
                self.hits += 1
                _make_reset(writer)
                return
            if self.fault in (Fault.HANG, Fault.HALF_OPEN):
                self.hits += 1
                await self._passing.wait()
            await self._serve(reader, writer)
        except (OSError, asyncio.CancelledError):
            return  # the client sees the end of its connection
        finally:
            self._links.discard(link)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target_reader, target_writer = await asyncio.open_connection(*self._target)
        try:
            directions = [
                asyncio.create_task(self._pass_on(reader, target_writer)),
                asyncio.create_task(self._pass_on(target_reader, writer)),
            ]
            try:
                await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for direction in directions:
                    direction.cancel()
                await asyncio.gather(*directions, return_exceptions=True)
        finally:
            target_writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                if self.fault is Fault.HALF_OPEN:
                    await self._passing.wait()
                if not (chunk := await reader.read(_CHUNK_BYTES)):
                    return
                if self.fault is not Fault.NONE:
                    self.hits += 1
                if self.fault is Fault.LATENCY:
                    await asyncio.sleep(self.latency_seconds)
                elif self.fault is Fault.BANDWIDTH:
                    await asyncio.sleep(len(chunk) / self.bytes_per_second)
                await self._passing.wait()
                writer.write(chunk)
                await writer.drain()


def _make_reset(writer: asyncio.StreamWriter) -> None:
    """Have the closing of a connection send RST instead of FIN."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
