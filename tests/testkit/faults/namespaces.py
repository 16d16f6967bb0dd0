"""Network namespaces: a process sees the rest of the world through a cable (veth) that can be cut for single ports.

Whoever sits in a namespace cannot reach 127.0.0.1 of the machine. The machine's end of the cable therefore passes each
port on to 127.0.0.1 (`TcpFaultProxy` without faults), and the process is given a network file with the cable's address.
The cut is nftables' drop, so connections hang as they do when a cable is cut: no end, no reset, bytes sent in vain.
"""

import asyncio
import contextlib
import itertools
import os
import subprocess
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from testkit.faults.tcp_proxy import TcpFaultProxy
from testkit.toolchain import require_program, require_root

_NUMBERS = itertools.count(1)


class Namespace:
    """A network namespace with its cable."""

    def __init__(self, name: str, host: str, ip: str, nft: str) -> None:
        """Stand for a namespace that was made."""
        self.name, self.host = name, host
        self._ip, self._nft = ip, nft

    @property
    def wrapper(self) -> list[str]:
        """Words before the command of a process that shall run inside."""
        return [self._ip, "netns", "exec", self.name]

    def cut(self, ports: Iterable[int]) -> None:
        """Drop everything to and from some ports of the machine, from now on."""
        listed = ", ".join(str(port) for port in sorted(ports))
        rules = (
            "table inet piebridge {\n"
            f"  chain out {{ type filter hook output priority 0; tcp dport {{ {listed} }} counter drop; }}\n"
            f"  chain in {{ type filter hook input priority 0; tcp sport {{ {listed} }} counter drop; }}\n"
            "}\n"
        )
        self._rules("-f", "-", rules)

    def heal(self) -> int:
        """Let everything through again; returns how many packets were dropped."""
        listing = self._rules("list", "table", "inet", "piebridge")
        words = listing.split()
        dropped = sum(int(words[place + 1]) for place, word in enumerate(words) if word == "packets")
        self._rules("delete", "table", "inet", "piebridge")
        return dropped

    def _rules(self, *arguments: str) -> str:
        *plain, last = arguments
        text = last if "-f" in plain else None
        command = [*self.wrapper, self._nft, *(plain if text is not None else arguments)]
        return subprocess.run(command, input=text, check=True, capture_output=True, text=True).stdout


@contextlib.asynccontextmanager
async def namespace(ports: Iterable[int]) -> AsyncIterator[Namespace]:
    """Make a namespace from which some ports of this machine can be reached at the address `host`."""
    require_root("a network namespace")
    ip = require_program("ip", "Debian: apt-get install iproute2")
    nft = require_program("nft", "Debian: apt-get install nftables")
    number = next(_NUMBERS)
    name, ours, theirs = (f"pb{kind}{os.getpid() % 100_000}x{number}" for kind in "nmi")
    # One small network (/30) of 198.18.0.0/15, the range for tests of networks (RFC 2544), for each namespace.
    offset = (os.getpid() * 64 + number) % (1 << 14) * 4
    host, inside = (f"198.18.{(offset >> 8) & 255}.{(offset & 255) + last}" for last in (1, 2))
    commands = [
        ["netns", "add", name],
        ["link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name],
        ["addr", "add", f"{host}/30", "dev", ours],
        ["link", "set", ours, "up"],
        ["-n", name, "addr", "add", f"{inside}/30", "dev", theirs],
        ["-n", name, "link", "set", theirs, "up"],
        ["-n", name, "link", "set", "lo", "up"],
    ]
    try:
        for command in commands:
            await asyncio.to_thread(subprocess.run, [ip, *command], check=True, capture_output=True)
        async with contextlib.AsyncExitStack() as stack:
            for port in ports:
                await stack.enter_async_context(TcpFaultProxy(port, host=host, port=port))
            yield Namespace(name, host, ip, nft)
    finally:
        for command in (["netns", "delete", name], ["link", "delete", ours]):
            await asyncio.to_thread(subprocess.run, [ip, *command], check=False, capture_output=True)


def network_file_for(network_file: Path, host: str, ports: Iterable[int], suffix: str) -> Path:
    """Write a network file in which some ports are at another address, and return its path."""
    text = network_file.read_text()
    for port in ports:
        text = text.replace(f"127.0.0.1:{port}", f"{host}:{port}")
    changed = network_file.with_name(f"{network_file.stem}-{suffix}.json")
    changed.write_text(text)
    return changed
