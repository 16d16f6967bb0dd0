"""A TCP proxy: the second endpoint of an anvil chain in a local network, where there is only one node to ask.

It is no second source: notaries compare two answers of the same node (docs/limitations.md).
"""

import asyncio
import contextlib

from piebridge.cli.local_network.plan import HOST

_CHUNK_BYTES = 1 << 16


class TcpProxy:
    """Passes bytes on between a port of this machine and another."""

    def __init__(self, port: int, target_port: int) -> None:
        """Remember the ports; ``start`` opens."""
        self._port, self._target_port = port, target_port
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """Where it listens, ``host:port``."""
        return f"{HOST}:{self._port}"

    async def start(self) -> None:
        """Open the port.

        Raises:
            OSError: it is taken.
        """
        self._server = await asyncio.start_server(self._accept, HOST, self._port)

    async def wait(self) -> None:
        """Return when the server is closed."""
        if self._server is not None:
            await self._server.serve_forever()

    async def stop(self) -> None:
        """Close the port and all connections."""
        if self._server is not None:
            self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            try:
                target_reader, target_writer = await asyncio.open_connection(HOST, self._target_port)
            except OSError:
                return  # the client sees a closed connection, as it would from the node itself
            async with asyncio.TaskGroup() as directions:
                directions.create_task(_pass_on(reader, target_writer))
                directions.create_task(_pass_on(target_reader, writer))
        finally:
            self._connections.discard(task)
            writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
    writer.close()
