"""A network of real processes for benchmarks: started by the command that users type, measured from outside."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from eth_account import Account

_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
_START_TIMEOUT_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Shape:
    """What network is to be started."""

    parachain_kind: str = "anvil"
    """``anvil`` or ``embedded``."""
    engine: str = "embedded"
    """What drives the relay chain: ``embedded`` or ``cometbft``."""
    parachains: int = 2
    """How many parachains."""
    validators: int = 4
    """Validators of the relay chain."""
    gateways: int = 1
    """Gateway processes."""

    @property
    def label(self) -> str:
        """Name of the shape in figures."""
        return f"{self.parachain_kind} parachains, {self.engine} relay chain"


class BenchNetwork:
    """Use as ``with BenchNetwork(shape, folder, port_base) as network``: up, and down again whatever happens."""

    def __init__(self, shape: Shape, folder: Path, port_base: int, arguments: Sequence[str] = ()) -> None:
        """Describe a network; nothing runs yet.

        Args:
            shape: what it is made of.
            folder: where its files go; what lies there is replaced.
            port_base: first port.
            arguments: further arguments of ``piebridge network up``.
        """
        self.shape = shape
        self.folder = folder
        self._port_base = port_base
        self._arguments = list(arguments)
        self.document: dict[str, Any] = {}

    @property
    def command(self) -> list[str]:
        """Arguments of ``piebridge`` that start it."""
        shape = self.shape
        return [
            "network",
            "up",
            *("--parachains", str(shape.parachains), "--parachain-kind", shape.parachain_kind),
            *("--engine", shape.engine, "--validators", str(shape.validators), "--gateways", str(shape.gateways)),
            *("--port-base", str(self._port_base), "--dir", str(self.folder)),
            *self._arguments,
            *("--detach", "--replace"),
        ]

    def __enter__(self) -> "BenchNetwork":
        """Start it."""
        try:
            _piebridge(self.command)
            self.document = json.loads((self.folder / "network.json").read_text())
        except BaseException:
            self._down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._down()

    def _down(self) -> None:
        if (self.folder / "network.json").exists():
            _piebridge(["network", "down", "--dir", str(self.folder)])

    def user_key(self) -> bytes:
        """Private key of the first account, which has money on every chain."""
        entry = self.document["accounts"][0]
        password = (self.folder / entry["password_file"]).read_text().strip()
        return bytes(Account.decrypt((self.folder / entry["key_file"]).read_text(), password))

    def application(self, chain: int, name: str) -> bytes:
        """Address of an application on a chain, by the chain's place in the network."""
        applications = self.document["chains"][chain]["applications"]
        return bytes.fromhex(next(item["address"] for item in applications if item["name"] == name)[2:])

    def stop(self, name: str) -> None:
        """End one process, by the operating system's polite signal."""
        os.kill(self._pid(name), 15)

    def start(self, name: str) -> None:
        """Start a process again that has ended."""
        _piebridge(["network", "start", name, "--dir", str(self.folder)])
        self.document = json.loads((self.folder / "network.json").read_text())

    def cpu_seconds(self) -> dict[str, float]:
        """CPU seconds that each process, with everything that it has started, has used so far."""
        used, parents = _process_table()
        return {
            item["name"]: sum(used.get(pid, 0.0) for pid in _family(item["pid"], parents))
            for item in self.document["processes"]
        }

    def roles(self) -> dict[str, str]:
        """Role of each process."""
        return {item["name"]: item["role"] for item in self.document["processes"]}

    def _pid(self, name: str) -> int:
        return int(next(item["pid"] for item in self.document["processes"] if item["name"] == name))


def by_role(network: BenchNetwork, seconds: dict[str, float]) -> dict[str, float]:
    """Add the seconds of processes up by role."""
    total: dict[str, float] = {}
    roles = network.roles()
    for name, value in seconds.items():
        total[roles[name]] = total.get(roles[name], 0.0) + value
    return total


def _piebridge(arguments: Sequence[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "piebridge.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=_START_TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"piebridge {' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}")


def _process_table() -> tuple[dict[int, float], dict[int, int]]:
    """Return CPU seconds and parent of every process that may be looked at."""
    used: dict[int, float] = {}
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended in the meantime
        # proc(5): the state is field 3, so the parent is fields[1]; times of the process and its children follow.
        parents[int(entry.name)] = int(fields[1])
        used[int(entry.name)] = sum(int(field) for field in fields[11:15]) / _CLOCK_TICKS
    return used, parents


def _family(root: int, parents: dict[int, int]) -> set[int]:
    family, grown = {root}, True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in family and pid not in family}
        family |= more
        grown = bool(more)
    return family
