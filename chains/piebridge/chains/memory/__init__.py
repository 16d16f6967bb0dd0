"""The in-memory twin of an EVM chain, for tests of whoever uses endpoints: no process, no socket, no waiting."""

from piebridge.chains.memory.chain import MemoryCall, MemoryChain, MemoryContract
from piebridge.chains.memory.endpoint import MemoryEndpoint

__all__ = ["MemoryCall", "MemoryChain", "MemoryContract", "MemoryEndpoint"]
