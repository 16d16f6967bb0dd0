"""What an agent has taken on: one process of one relay chain, from the decision to the archive.

A unit is written down before anything is done for it and is never deleted, so there is never a second one for the same
seat, however often the agent dies.
"""

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from piebridge.crypto.errors import ConfigurationError, DecodingError
from piebridge.management_chain.durable_file import read_if_there, write_durably
from piebridge.protocol_stack.identifiers import RelayId
from piebridge.protocol_stack.management.decision import DecidedRelay, Decision
from piebridge.protocol_stack.management.genesis import genesis_document
from piebridge.protocol_stack.management.parameters import Consensus
from piebridge.protocol_stack.relay_genesis import genesis_hash

_VERSION = 1


class Phase(StrEnum):
    """How far a unit has come. Each is written down before what it allows is begun."""

    ACCEPTED = "accepted"
    """The decision was proven; nothing is built yet, or not all."""
    BUILT = "built"
    """The home is complete."""
    RUNNING = "running"
    """Its process is meant to run."""
    ENDING = "ending"
    """Its process is meant to end."""
    ARCHIVED = "archived"
    """Its home was put away; nothing is ever done for it again."""


@dataclass(frozen=True)
class Unit:
    """One process of one relay chain."""

    relay: RelayId
    """The relay chain."""
    nodes: tuple[int, ...]
    """Nodes whose validators it runs, in the order of the set: one, or all with single-operator consensus."""
    record: bytes
    """Record of the decision that gave the seats."""
    genesis_record: bytes
    """Record of the decision that made the relay chain; the same one unless the seat came by REPLACE."""
    phase: Phase = Phase.ACCEPTED
    """How far it has come."""
    reported: tuple[int, ...] = ()
    """Nodes whose genesis report is on the management chain."""

    @property
    def name(self) -> str:
        """What files and messages call it."""
        return f"{self.chain_id}-node-{self.nodes[0]}"

    @property
    def chain_id(self) -> str:
        """CometBFT's name of the relay chain."""
        return f"piebridge-{self.decision.domain}-{self.relay}"

    @cached_property
    def decision(self) -> Decision:
        """The decision that gave the seats."""
        return Decision.decode(self.record)

    @cached_property
    def seats(self) -> DecidedRelay:
        """The relay chain's set after that decision."""
        return next(item for item in self.decision.relays if item.relay == self.relay)

    @property
    def replaces(self) -> bool:
        """Whether it joins a chain that runs already."""
        return self.record != self.genesis_record

    @property
    def consensus(self) -> Consensus:
        """Engine of the relay chain."""
        return self.decision.parameters.consensus

    @cached_property
    def genesis(self) -> bytes:
        """Genesis document of the relay chain."""
        return genesis_document(Decision.decode(self.genesis_record), self.relay)

    @property
    def genesis_hash(self) -> bytes:
        """Its hash, 32 bytes."""
        return genesis_hash(self.genesis)

    def at(self, phase: Phase) -> "Unit":
        """Return the unit in another phase."""
        return replace(self, phase=phase)

    def with_report(self, node: int) -> "Unit":
        """Return the unit with one more report."""
        return replace(self, reported=tuple(sorted({*self.reported, node})))


class UnitStore:
    """The units of an agent, one file each."""

    def __init__(self, folder: Path) -> None:
        """Keep units in a folder, which is made."""
        self._folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"{folder} cannot be made: {error}") from error

    def load(self) -> list[Unit]:
        """Return all units there have ever been.

        Raises:
            ConfigurationError: a file cannot be read.
        """
        return [self._read(path) for path in sorted(self._folder.glob("*.json"))]

    def save(self, unit: Unit) -> None:
        """Write a unit down; when this returns it is on the disk."""
        document = {
            "version": _VERSION,
            "relay": unit.relay,
            "nodes": list(unit.nodes),
            "record": unit.record.hex(),
            "genesis_record": unit.genesis_record.hex(),
            "phase": unit.phase.value,
            "reported": list(unit.reported),
        }
        write_durably(self._folder / f"{unit.name}.json", json.dumps(document, sort_keys=True).encode() + b"\n")

    def _read(self, path: Path) -> Unit:
        data = read_if_there(path)
        try:
            document = json.loads(data or b"")
            if document["version"] != _VERSION:
                raise ValueError(f"version {document['version']}")
            unit = Unit(
                int(document["relay"]),
                tuple(map(int, document["nodes"])),
                bytes.fromhex(document["record"]),
                bytes.fromhex(document["genesis_record"]),
                Phase(document["phase"]),
                tuple(map(int, document["reported"])),
            )
            if not unit.nodes or not any(item.relay == unit.relay for item in unit.decision.relays):
                raise ValueError("the decision does not name the relay chain")
        except (ValueError, KeyError, TypeError, DecodingError) as error:
            raise ConfigurationError(
                f"{path} is no unit of this agent ({error!r}): restore it from a copy. Do not delete it: it keeps the "
                "agent from running a validator twice"
            ) from error
        return unit
