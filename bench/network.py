"""A network of real processes for benchmarks: started by the command that users type, measured from outside."""

import json
import os
import subprocess
import sys
import time
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


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """CPU seconds used so far."""

    by_kind: dict[str, float]
    """By kind of process."""
    own: float
    """Of this process."""
    busy: float
    """Of the whole machine."""
    idle: float
    """Not used by anybody, all processors together."""

    def __sub__(self, before: "CpuTimes") -> "CpuTimes":
        """Return what was used since an earlier reading."""
        kinds = {kind: value - before.by_kind.get(kind, 0.0) for kind, value in self.by_kind.items()}
        return CpuTimes(kinds, self.own - before.own, self.busy - before.busy, self.idle - before.idle)


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

    def cpu_times(self) -> CpuTimes:
        """Return what each kind of process, with everything that it has started, has used so far.

        CometBFT is a child of its application; it is told apart.
        """
        table = _process_table()
        by_kind: dict[str, float] = {}
        for item in self.document["processes"]:
            for pid in _family(item["pid"], table):
                if pid in table:
                    kind = "CometBFT" if table[pid].program == "cometbft" else item["role"]
                    by_kind[kind] = by_kind.get(kind, 0.0) + table[pid].seconds
        busy, idle = _machine_times()
        return CpuTimes(by_kind, time.process_time(), busy, idle)

    def _pid(self, name: str) -> int:
        return int(next(item["pid"] for item in self.document["processes"] if item["name"] == name))


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


@dataclass(frozen=True, slots=True)
class _Process:
    program: str
    parent: int
    seconds: float


def _process_table() -> dict[int, _Process]:
    """Return every process that may be looked at, with the CPU seconds of it and of its children that have ended."""
    found: dict[int, _Process] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            name, _, rest = (entry / "stat").read_text().rpartition(")")
        except OSError:
            continue  # it has ended in the meantime
        # proc(5): the state is field 3, so the parent is fields[1]; times of the process and its children follow.
        fields = rest.split()
        seconds = sum(int(field) for field in fields[11:15]) / _CLOCK_TICKS
        found[int(entry.name)] = _Process(name.partition("(")[2], int(fields[1]), seconds)
    return found


def _machine_times() -> tuple[float, float]:
    """Return the seconds that all processors together were busy and idle since the start of the machine."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = fields[3] + fields[4]  # proc(5): user nice system idle iowait irq softirq steal
    return (sum(fields) - idle) / _CLOCK_TICKS, idle / _CLOCK_TICKS


def _family(root: int, table: dict[int, _Process]) -> set[int]:
    family, grown = {root}, True
    while grown:
        more = {pid for pid, process in table.items() if process.parent in family and pid not in family}
        family |= more
        grown = bool(more)
    return family
