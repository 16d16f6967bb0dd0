"""What an agent does next: a pure function of what is proven, what is written down and what is seen.

Nothing is remembered between two calls but what tells when a failed step may be tried again and when a changed process
is restarted; the agent may die between any two steps and goes on from its units.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from piebridge.management_chain.follower.follower import FinalDecision
from piebridge.management_chain.node.keys import OwnNode
from piebridge.management_chain.node.launch import LaunchSpec
from piebridge.management_chain.node.ports import ChainFacts, Observed
from piebridge.management_chain.node.unit import Phase, Unit
from piebridge.protocol_stack.identifiers import RelayId
from piebridge.protocol_stack.management.decision import DecidedRelay, Seat
from piebridge.protocol_stack.management.parameters import Consensus, DomainParameters
from piebridge.protocol_stack.management.request_bodies import (
    NEW_CHAIN_KINDS,
    ChangeParameters,
    Dissolve,
    Replace,
    ScaleDown,
)
from piebridge.protocol_stack.management.storage import RequestState

RETRY_SECONDS_MIN: Final = 1.0
"""Pause after a step has failed once; it doubles."""
RETRY_SECONDS_MAX: Final = 60.0
"""Longest pause."""
RESTART_SPACING_SECONDS: Final = 30.0
"""Validators of one chain that restart for a change do so one after the other, this far apart."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Accept:
    """Write down that a seat was taken on."""

    unit: Unit


@dataclass(frozen=True, slots=True)
class Build:
    """Build the home."""

    unit: Unit


@dataclass(frozen=True, slots=True)
class Start:
    """Start the process."""

    unit: Unit
    spec: LaunchSpec


@dataclass(frozen=True, slots=True)
class Report:
    """State the genesis hash for a node: its validator runs."""

    unit: Unit
    node: int


@dataclass(frozen=True, slots=True)
class NoteReport:
    """Write down that the reports stand: the request has moved on, which it does only with all of them."""

    unit: Unit


@dataclass(frozen=True, slots=True)
class Restart:
    """Stop the process, so that it is started again with what has changed."""

    unit: Unit


@dataclass(frozen=True, slots=True)
class Stop:
    """End the process for good."""

    unit: Unit


@dataclass(frozen=True, slots=True)
class Archive:
    """Put the home away."""

    unit: Unit


Step: TypeAlias = Accept | Build | Start | Report | NoteReport | Restart | Stop | Archive


class AgentMachine:
    """Decides on steps. Time comes in as an argument; the shell carries the steps out."""

    def __init__(self, nodes: Sequence[OwnNode], homes: Path) -> None:
        """Decide for an agent.

        Args:
            nodes: the agent's nodes.
            homes: folder with the homes of its relay chains.
        """
        self._nodes = {node.consensus_key: node for node in nodes}
        self._homes = homes
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._changed_at: dict[str, tuple[LaunchSpec, float]] = {}

    def home_of(self, unit: Unit) -> Path:
        """Return the folder of a unit."""
        return self._homes / unit.name

    def failed(self, unit: Unit, now: float) -> float:
        """Note that a step of a unit has failed; return for how long the unit is left alone, seconds."""
        count = self._failures.get(unit.name, 0)
        pause = min(RETRY_SECONDS_MAX, RETRY_SECONDS_MIN * float(1 << min(count, 16)))
        self._failures[unit.name] = count + 1
        self._not_before[unit.name] = now + pause
        return pause

    def succeeded(self, unit: Unit) -> None:
        """Note that all is well with a unit."""
        self._failures.pop(unit.name, None)
        self._not_before.pop(unit.name, None)

    def steps(
        self, facts: ChainFacts, units: Iterable[Unit], observed: Mapping[str, Observed], now: float
    ) -> list[Step]:
        """Return what is to be done now, at most one step for each unit.

        Args:
            facts: what the management chain says.
            units: everything that was ever taken on.
            observed: processes by the names of their units.
            now: seconds of a clock that only goes on.
        """
        units = list(units)
        steps: list[Step] = [Accept(unit) for unit in self._new_units(facts, units)]
        for unit in units:
            if unit.name in observed and observed[unit.name].ready:
                self.succeeded(unit)
            if now < self._not_before.get(unit.name, now):
                continue
            step = self._step(facts, unit, observed.get(unit.name, Observed(running=False)), now)
            if step is not None:
                steps.append(step)
        return steps

    # --- seats

    def _new_units(self, facts: ChainFacts, units: Sequence[Unit]) -> list[Unit]:
        taken = {(unit.relay, node) for unit in units for node in unit.nodes}
        found = []
        for final in facts.decisions:
            if final.status.state.dead:
                continue
            for relay in final.decision.relays:
                mine = [seat for seat in relay.seats if self._is_mine(seat) and (relay.relay, seat.node) not in taken]
                for unit in self._units_of(facts, final, relay, mine):
                    if not self._is_over(facts, unit):
                        found.append(unit)
                        taken |= {(unit.relay, node) for node in unit.nodes}
        return found

    def _is_mine(self, seat: Seat) -> bool:
        node = self._nodes.get(seat.consensus_key)
        return node is not None and node.endorsement_address == seat.endorsement_address

    def _units_of(
        self, facts: ChainFacts, final: FinalDecision, relay: DecidedRelay, mine: Sequence[Seat]
    ) -> list[Unit]:
        if not mine:
            return []
        genesis = _maker(facts, final, relay.relay)
        if genesis is None:
            _log.warning("no decision is known yet that made relay chain %d", relay.relay)
            return []
        if final.decision.parameters.consensus is Consensus.SINGLE_OPERATOR:
            if len(mine) != len(relay.seats):
                _log.error(
                    "relay chain %d has single-operator consensus and %d seats, of which this agent has the keys of "
                    "%d: one agent must have them all",
                    relay.relay,
                    len(relay.seats),
                    len(mine),
                )
                return []
            return [Unit(relay.relay, tuple(seat.node for seat in relay.seats), final.record, genesis.record)]
        return [Unit(relay.relay, (seat.node,), final.record, genesis.record) for seat in mine]

    # --- the life of a unit

    def _step(self, facts: ChainFacts, unit: Unit, seen: Observed, now: float) -> Step | None:
        if unit.phase is Phase.ARCHIVED:
            return None
        if unit.phase is Phase.ENDING or self._is_over(facts, unit) or not self._genesis_fits(facts, unit):
            return Stop(unit) if seen.running else Archive(unit)
        if unit.phase is Phase.ACCEPTED:
            return Build(unit)
        spec = self._spec(facts, unit)
        if not seen.running:
            return Start(unit, spec) if spec.peers or len(unit.seats.seats) == len(unit.nodes) else None
        if self._restart_is_due(unit, spec, seen, now):
            return Restart(unit)
        return self._report(facts, unit, seen)

    def _report(self, facts: ChainFacts, unit: Unit, seen: Observed) -> Step | None:
        waiting = [node for node in unit.nodes if node not in unit.reported]
        if not waiting:
            return None
        status = facts.requests.get(unit.decision.request_id)
        if status is None or status.state is not RequestState.CONFIRMED:
            return NoteReport(unit) if status and status.state in _AFTER_REPORTS else None
        return Report(unit, waiting[0]) if seen.ready else None

    def _restart_is_due(self, unit: Unit, spec: LaunchSpec, seen: Observed, now: float) -> bool:
        """Tell whether a running process must take up a change, one validator of the chain after the other."""
        if seen.spec is None or seen.spec == spec:
            self._changed_at.pop(unit.name, None)
            return False
        wanted, since = self._changed_at.get(unit.name, (spec, now))
        if wanted != spec:
            since = now
        self._changed_at[unit.name] = (spec, since)
        place = [seat.node for seat in unit.seats.seats].index(unit.nodes[0])
        return now >= since + place * RESTART_SPACING_SECONDS

    def _spec(self, facts: ChainFacts, unit: Unit) -> LaunchSpec:
        own = {seat.node: self._nodes[seat.consensus_key] for seat in unit.seats.seats if self._is_mine(seat)}
        others = [seat.node for seat in unit.seats.seats if seat.node not in unit.nodes]
        home = self.home_of(unit)
        return LaunchSpec(
            unit.consensus,
            unit.chain_id,
            home,
            home / "config" / "genesis.json",
            tuple(own[node] for node in unit.nodes),
            tuple(str(facts.peers[node]) for node in others if node in facts.peers),
            _parameters(facts, unit).block_interval_milliseconds,
        )

    def _is_over(self, facts: ChainFacts, unit: Unit) -> bool:
        status = facts.requests.get(unit.decision.request_id)
        if status is not None and status.state.dead:
            return True
        return any(
            _ends(final, unit)
            for final in facts.decisions
            if final.decision.domain == unit.decision.domain
            and final.decision.number > unit.decision.number
            and final.status.state is RequestState.DONE
        )

    def _genesis_fits(self, facts: ChainFacts, unit: Unit) -> bool:
        standing = facts.genesis_hashes.get(unit.relay)
        if standing is None or standing == unit.genesis_hash:
            return True
        _log.error(
            "%s: genesis hash 0x%s stands on the management chain, not 0x%s: this validator does not run",
            unit.name,
            standing.hex(),
            unit.genesis_hash.hex(),
        )
        return False


_AFTER_REPORTS = (RequestState.EXECUTING, RequestState.DONE)


def _ends(final: FinalDecision, unit: Unit) -> bool:
    match final.decision.body:
        case Dissolve():
            return True
        case ScaleDown(relay=relay):
            return relay == unit.relay
        case Replace(relay=relay, outgoing=outgoing):
            return relay == unit.relay and outgoing in unit.nodes
        case _:
            return False


def _maker(facts: ChainFacts, final: FinalDecision, relay: RelayId) -> FinalDecision | None:
    """Return the decision that made a relay chain."""
    return next(
        (
            item
            for item in (final, *facts.decisions)
            if item.decision.kind in NEW_CHAIN_KINDS and any(one.relay == relay for one in item.decision.relays)
        ),
        None,
    )


def _parameters(facts: ChainFacts, unit: Unit) -> DomainParameters:
    """Return the parameters that the governors have put into force last."""
    later = [
        final
        for final in facts.decisions
        if final.decision.domain == unit.decision.domain
        and final.decision.number > unit.decision.number
        and isinstance(final.decision.body, ChangeParameters)
        and final.status.state is RequestState.DONE
    ]
    newest = max(later, key=lambda final: final.decision.number, default=None)
    return unit.decision.parameters if newest is None else newest.decision.parameters
