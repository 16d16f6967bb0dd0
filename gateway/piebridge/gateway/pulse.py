"""Tells everybody who waits for something on a chain that the chain has stirred."""

import asyncio
import contextlib


class Pulse:
    """New blocks of one chain, as far as its subscription tells: a hint when to look, and no more."""

    def __init__(self) -> None:
        """Start with nobody waiting."""
        self._next = asyncio.Event()

    def beat(self) -> None:
        """Wake all who wait."""
        woken, self._next = self._next, asyncio.Event()
        woken.set()

    async def wait(self, timeout_seconds: float) -> bool:
        """Wait for the next beat; return whether it came before the time was over."""
        waiting = self._next
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await waiting.wait()
        return waiting.is_set()
