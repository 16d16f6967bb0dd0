"""What the demo tells at its end."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from piebridge.cli import oracle_command, output, packet, rendering
from piebridge.cli.facts import BlockFacts, PacketFacts, SentPacket
from piebridge.cli.oracle.invariants import Verdict
from piebridge.cli.trace import State, Trace
from piebridge.protocol_stack.receipts import ReceiptCode

_HOPS = ("send", "deliver", "answer", "settle")


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
    seconds_until_first: float | None
    """From the start until the first packet was acknowledged; None where none was."""
    seconds: float
    """From the start until now."""
    chain_name: Callable[[int], str]
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
            "seconds_until_first_acknowledged": self.seconds_until_first and round(self.seconds_until_first, 2),
            "seconds": round(self.seconds, 2),
            "latency_seconds": dict(zip(("p50", "max"), self._latency(self.expectations), strict=True)),
            "packets": [
                packet.packet_document(item.packet, self.chain_name)
                | packet.trace_document(self.traces[item.packet.id][1])
                | {"what": item.what, "latency_seconds": self.latencies[item.packet.id], "gas": self._gas(item)}
                for item in self.expectations
            ],
            "oracle": oracle_command.verdict_document(self.verdict),
        }

    def print(self) -> None:
        """Print the report for people."""
        self._print_packets()
        shown = next((item for item in self.expectations if item.state is State.REFUNDED), self.expectations[0])
        output.say("")
        output.say(f"[bold]the {shown.what}, byte by byte[/]")
        packet.print_layers(shown.packet, rendering.dissect(shown.packet.packet, self.chain_name))
        packet.print_trace(self.traces[shown.packet.id][1])
        output.say("")
        oracle_command.print_verdict(self.verdict)
        for fault in self.faults:
            output.complain(fault)
        if self.verdict.pending:
            output.complain(f"{len(self.verdict.pending)} packets are still under way")
        output.say(
            f"up after {self.seconds_until_up:.1f} s, first packet acknowledged after "
            f"{_shown(self.seconds_until_first)} s, all done after {self.seconds:.1f} s"
        )

    def _print_packets(self) -> None:
        """Print one line for all packets of a kind on a road: they share their blocks, mostly."""
        roads: dict[tuple[str, ...], list[Expectation]] = {}
        for item in self.expectations:
            state = self.traces[item.packet.id][1].state.value
            road = (item.what, item.packet.chain, self.chain_name(item.packet.packet.lane.destination), state)
            roads.setdefault(road, []).append(item)
        rows = [self._row(road, items) for road, items in roads.items()]
        rows.append(self._row(("all", "", "", ""), self.expectations))
        columns = ("packets", "from", "to", "state", "number", "p50 s", "max s", *(f"gas {hop}" for hop in _HOPS))
        output.print_table("packets; latency until the sender knows, gas per packet and hop", columns, rows)

    def _row(self, road: tuple[str, ...], items: Sequence[Expectation]) -> list[str]:
        gas = [self._gas(item) for item in items]
        means = [_mean([used for hops in gas if (used := hops[hop]) is not None]) for hop in _HOPS]
        median, longest = self._latency(items)
        return [*road, str(len(items)), _shown(median), _shown(longest), *means]

    def _gas(self, item: Expectation) -> dict[str, int | None]:
        """Return the gas of one packet at each hop; what shares a transaction shares its gas."""
        facts = self.traces[item.packet.id][0]
        blocks = (facts.source.sent, facts.destination.ended, facts.home.came, facts.home.settled)
        return {hop: _share(block) for hop, block in zip(_HOPS, blocks, strict=True)}

    def _latency(self, items: Sequence[Expectation]) -> tuple[float | None, float | None]:
        """Return median and maximum of the latencies, seconds."""
        values = [value for item in items if (value := self.latencies[item.packet.id]) is not None]
        return (round(statistics.median(values), 2), round(max(values), 2)) if values else (None, None)


def _share(block: BlockFacts | None) -> int | None:
    if block is None or block.gas_used is None:
        return None
    return block.gas_used // max(block.messages or 1, 1)


def _mean(values: Sequence[int]) -> str:
    return str(round(statistics.mean(values))) if values else "-"


def _shown(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f}"
