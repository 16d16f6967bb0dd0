"""The asyncio shell of the ABCI server: a Unix or TCP socket in front of a :class:`Dispatcher`.

ABCI has no authentication: whoever connects commands the application. The socket of a node is therefore a Unix socket
in a folder of its owner's (mode 0700); TCP is for nodes in another container and listens on the loopback address unless
told otherwise.
"""

import asyncio
import logging
import os
from pathlib import Path

from piebridge.abci.server.codec import encode_exception
from piebridge.abci.server.dispatch import Dispatcher
from piebridge.abci.server.errors import FrameError, RequestError
from piebridge.abci.server.frames import FrameBuffer, encode_frame

MAX_CONNECTIONS = 8
"""A node opens four; a node that starts while the last one's are being closed finds room."""

_log = logging.getLogger(__name__)


class AbciServer:
    """Serves one application to the connections of one node."""

    def __init__(self, dispatcher: Dispatcher, max_connections: int = MAX_CONNECTIONS) -> None:
        """Serve by a dispatcher; nothing listens before :meth:`listen_unix` or :meth:`listen_tcp`."""
        self._dispatcher = dispatcher
        self._max_connections = max_connections
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self._socket_path: Path | None = None
        self._failed: asyncio.Future[None] | None = None

    async def listen_unix(self, path: Path) -> None:
        """Listen on a Unix socket; one that a killed process left is replaced.

        Args:
            path: place of the socket; of any length (the system's bound of 108 bytes holds for names in a folder only).

        Raises:
            OSError: the socket cannot be opened.
        """
        self._begin()
        path.unlink(missing_ok=True)  # noqa: ASYNC240 - a name in a local folder
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # A folder by its descriptor: names of sockets are short, names of folders need not be.
            place = f"/proc/self/fd/{folder}/{path.name}" if len(os.fsencode(path)) > 100 else str(path)
            self._server = await asyncio.get_running_loop().create_unix_server(self._connect, place)
        finally:
            os.close(folder)
        path.chmod(0o600)  # noqa: ASYNC240
        self._socket_path = path

    async def listen_tcp(self, port: int, host: str = "127.0.0.1") -> int:
        """Listen on a TCP port and return it; 0 lets the system choose.

        Raises:
            OSError: the port is not free.
        """
        self._begin()
        self._server = await asyncio.get_running_loop().create_server(self._connect, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def failed(self) -> None:
        """Wait for ever, or raise what stopped the application.

        Raises:
            ApplicationFailedError: the application raised an error.
            IncompatibleNodeError: the node speaks another version of ABCI.
        """
        assert self._failed is not None, "the server does not listen"
        await asyncio.shield(self._failed)

    async def stop(self) -> None:
        """Close the socket and all connections. A node that still runs ends itself then."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.close()
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None
        if self._socket_path is not None:
            self._socket_path.unlink(missing_ok=True)
        if self._failed is not None and not self._failed.done():
            self._failed.cancel()

    def _begin(self) -> None:
        assert self._server is None, "the server listens already"
        self._failed = asyncio.get_running_loop().create_future()
        # Whoever never asks for the failure has seen it in the log.
        self._failed.add_done_callback(lambda future: future.cancelled() or future.exception())

    def _connect(self) -> asyncio.Protocol:
        return _Connection(self)

    def admit(self, connection: "_Connection") -> bool:
        """Count a connection in, if there is room."""
        if len(self._connections) >= self._max_connections:
            return False
        self._connections.add(connection)
        return True

    def forget(self, connection: "_Connection") -> None:
        """Count a connection out."""
        self._connections.discard(connection)

    def answer(self, frame: bytes) -> bytes:
        """Answer a request; after a failure nothing is answered any more."""
        if self._failed is not None and self._failed.done():
            raise RequestError("the application has failed")
        return self._dispatcher.answer(frame)

    def fail(self, error: Exception) -> None:
        """Remember what stopped the application."""
        _log.critical("%s", error, exc_info=error)
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)


class _Connection(asyncio.Protocol):
    """One connection: requests are answered in order, all that came together by one write."""

    def __init__(self, server: AbciServer) -> None:
        self._server = server
        self._frames = FrameBuffer()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or close it where there are too many."""
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "pause_reading")
        self._transport = transport  # type: ignore[assignment]
        if not self._server.admit(self):
            _log.error("connection refused: a node has four, and more than twice as many are open")
            transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection; the node has its reasons, and its end is noticed by whoever watches it."""
        self._server.forget(self)
        if len(self._frames):
            _log.warning("connection lost within a frame, after %d bytes of it", len(self._frames))

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        answers: list[bytes] = []
        transport = self._transport
        assert transport is not None
        if transport.is_closing():
            return
        try:
            for frame in self._frames.feed(data):
                answers.append(encode_frame(self._server.answer(frame)))  # noqa: PERF401 - those before an error count
        except (FrameError, RequestError) as error:
            _log.error("connection closed: %s", error)
            self._end(answers, error)
        except Exception as error:
            self._end(answers, error)
            self._server.fail(error)
        else:
            if answers:
                transport.write(b"".join(answers))

    def pause_writing(self) -> None:
        """Read nothing more from a client that does not take its answers."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        """Close the connection after what was written."""
        if self._transport is not None:
            self._transport.close()

    def _end(self, answers: list[bytes], error: Exception) -> None:
        assert self._transport is not None
        self._transport.write(b"".join((*answers, encode_frame(encode_exception(str(error))))))
        self._transport.close()
