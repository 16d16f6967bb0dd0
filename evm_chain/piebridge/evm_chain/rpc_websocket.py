"""What waits to be sent over one WebSocket: bounded, for whoever does not read must not fill the memory."""

import asyncio
from collections import deque

from aiohttp import web

WAITING_BYTES_MAX = 8 * 1024 * 1024
"""Bytes of messages that wait for a client to read them, beside one answer of any size."""


class Outgoing:
    """Messages of one WebSocket that were not sent yet."""

    def __init__(self, *, bytes_max: int | None = None) -> None:
        """Start empty."""
        self._bytes_max = WAITING_BYTES_MAX if bytes_max is None else bytes_max
        self._messages: deque[bytes] = deque()
        self._bytes = 0
        self._changed = asyncio.Event()
        self._ended = False

    def put(self, message: bytes) -> bool:
        """Take a message; False if there is no room, and then it is not taken."""
        if self._ended:
            return True  # nobody is there to read it
        if self._messages and self._bytes + len(message) > self._bytes_max:
            return False
        self._messages.append(message)
        self._bytes += len(message)
        self._changed.set()
        return True

    async def put_when_there_is_room(self, message: bytes) -> None:
        """Take a message as soon as others were sent."""
        while not self.put(message):
            self._changed.clear()
            await self._changed.wait()

    async def send_all(self, socket: web.WebSocketResponse) -> None:
        """Send what is there and what comes, until it is cancelled or the client is gone."""
        try:
            await self._send_all(socket)
        finally:
            self._ended = True
            self._changed.set()

    async def _send_all(self, socket: web.WebSocketResponse) -> None:
        while True:
            while self._messages:
                message = self._messages[0]
                await socket.send_str(message.decode())
                self._messages.popleft()
                self._bytes -= len(message)
                self._changed.set()
            self._changed.clear()
            if not self._messages:
                await self._changed.wait()
