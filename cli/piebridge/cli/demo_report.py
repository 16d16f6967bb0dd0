"""What the demo tells at its end."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from piebridge.cli import oracle_command, output, packet, rendering
from piebridge.cli.facts import PacketFacts, SentPacket
from piebridge.cli.oracle.invariants import Verdict
from piebridge.cli.trace import State, Trace
from piebridge.protocol_stack.receipts import ReceiptCode

_ID_DIGITS = 10
_HOPS = ("sent", "delivered", "answer", "settled")


@dataclass(frozen=True, slots=True)
class Expectation:
    """A packet and what must become of it."""

    what: str
    """Kind of packet, for people."""
    packet: SentPacket
    """The packet."""
    state: State
    """Where it must end."""
    code: ReceiptCode | None = None
    """How it must end at the destination, where the demo knows."""

    def fault(self, facts: PacketFacts, found: Trace) -> str | None:
        """Return what is wrong with a packet's end, None if nothing is."""
        if found.state is not self.state:
            waits = "; ".join(wait.text for wait in found.waits)
            return f"{self.what} {self.packet.id}: {found.state}, not {self.state}. {waits}"
        if self.code is not None and facts.destination.code is not self.code:
            return f"{self.what} {self.packet.id}: ended {facts.destination.code!r}, not {self.code!r}"
        return None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that the demo found out."""

    expectations: Sequence[Expectation]
    """What was sent."""
    traces: dict[str, tuple[PacketFacts, Trace]]
    """What became of it, by packet id."""
    latencies: dict[str, float | None]
    """Seconds from sending until the sender knew the end, by packet id; None where it never did."""
    faults: list[str]
    """What did not happen as it should."""
    verdict: Verdict
    """What the oracle says."""
    seconds_until_up: float
    """From the start until the network was up."""
    seconds_until_first: float
    """From the start until the first packet was acknowledged."""
    seconds: float
    """From the start until now."""
    fields_of: Callable[[int], str]
    """Names of chains by registration."""

    @property
    def successful(self) -> bool:
        """Whether everything happened as it should and the oracle agrees; nothing may be left under way."""
        return not self.faults and self.verdict.clean and not self.verdict.pending

    def document(self) -> dict[str, Any]:
        """Return the report for machines."""
        return {
            "successful": self.successful,
            "faults": self.faults,
            "seconds_until_up": round(self.seconds_until_up, 2),
            "seconds_until_first_acknowledged": round(self.seconds_until_first, 2),
            "seconds": round(self.seconds, 2),
            "latency_seconds": {"p50": self._median(), "max": self._maximum()},
            "packets": [
                packet.packet_document(item.packet)
                | packet.trace_document(self.traces[item.packet.id][1])
                | {"what": item.what, "latency_seconds": self.latencies[item.packet.id], "gas": self._gas(item)}
                for item in self.expectations
            ],
            "oracle": oracle_command.verdict_document(self.verdict),
        }

    def print(self) -> None:
        """Print the report for people."""
        rows = [self._row(item) for item in self.expectations]
        columns = ("packet", "what", "from", "to", "state", "latency s", "gas: send", "deliver", "answer", "settle")
        output.print_table("packets (gas per packet; a batch shares its transaction)", columns, rows)
        self._print_averages()
        shown = next((item for item in self.expectations if item.state is State.REFUNDED), self.expectations[0])
        output.say("")
        output.say(f"[bold]the {shown.what}, byte by byte[/]")
        packet.print_layers(shown.packet, rendering.dissect(shown.packet.packet, self.fields_of))
        packet.print_trace(self.traces[shown.packet.id][1])
        output.say("")
        oracle_command.print_verdict(self.verdict)
        for fault in self.faults:
            output.complain(fault)
        if self.verdict.pending:
            output.complain(f"{len(self.verdict.pending)} packets are still under way")
        output.say(
            f"up after {self.seconds_until_up:.1f} s, first packet acknowledged after "
            f"{self.seconds_until_first:.1f} s, all done after {self.seconds:.1f} s; "
            f"latency p50 {self._median():.1f} s, max {self._maximum():.1f} s"
        )

    def _row(self, item: Expectation) -> list[str]:
        found = self.traces[item.packet.id][1]
        latency, gas = self.latencies[item.packet.id], self._gas(item)
        return [
            item.packet.id[: _ID_DIGITS + 2],
            item.what,
            item.packet.chain,
            self.fields_of(item.packet.packet.lane.destination),
            found.state.value,
            "-" if latency is None else f"{latency:.1f}",
            *("-" if gas[hop] is None else str(gas[hop]) for hop in _HOPS),
        ]

    def _gas(self, item: Expectation) -> dict[str, int | None]:
        """Return the gas of one packet at each hop."""
        facts, found = self.traces[item.packet.id]
        by_block = {
            (hop.place, hop.block, hop.what): hop.gas_per_message
            for hop in found.hops
            if hop.gas_per_message is not None
        }
        gas: dict[str, int | None] = dict.fromkeys(_HOPS)
        for (place, block, _), used in by_block.items():
            ended, came, settled = facts.destination.ended, facts.home.came, facts.home.settled
            if place == facts.destination.chain and ended is not None and block == ended.number:
                gas["delivered"] = used
            elif settled is not None and block == settled.number:
                gas["settled"] = used
            elif came is not None and block == came.number:
                gas["answer"] = used
            else:
                gas["sent"] = used
        return gas

    def _print_averages(self) -> None:
        kinds = dict.fromkeys(item.what for item in self.expectations)
        rows = []
        for kind in kinds:
            items = [item for item in self.expectations if item.what == kind]
            row = [kind, str(len(items))]
            for hop in _HOPS:
                used = [gas for item in items if (gas := self._gas(item)[hop]) is not None]
                row.append(str(round(statistics.mean(used))) if used else "-")
            latencies = [value for item in items if (value := self.latencies[item.packet.id]) is not None]
            row.append(f"{statistics.median(latencies):.1f}" if latencies else "-")
            row.append(f"{max(latencies):.1f}" if latencies else "-")
            rows.append(row)
        columns = ("kind", "packets", "gas: send", "deliver", "answer", "settle", "p50 s", "max s")
        output.print_table("averages per packet", columns, rows)

    def _median(self) -> float:
        values = [value for value in self.latencies.values() if value is not None]
        return round(statistics.median(values), 2) if values else float("nan")

    def _maximum(self) -> float:
        return round(max((value for value in self.latencies.values() if value is not None), default=float("nan")), 2)
