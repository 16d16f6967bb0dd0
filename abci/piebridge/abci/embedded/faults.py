"""Misbehaviour on purpose, for tests of light clients, relays and gateways. Nothing here runs unless a test asks."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Faults:
    """Faults of the validators from the next block on. Change the members between blocks."""

    absent: set[bytes] = field(default_factory=set)
    """Addresses whose votes do not arrive; a proposer among them costs a round."""
    nil_votes: set[bytes] = field(default_factory=set)
    """Addresses that vote for nil."""
    clock_offsets_ns: dict[bytes, int] = field(default_factory=dict)
    """By how much the clock of an address is wrong."""
