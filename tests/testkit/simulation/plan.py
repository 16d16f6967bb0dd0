"""What happens in one simulation: swarm parameters, all drawn from the seed.

Each seed has its own mixture: some have a perfect network and dying gateways, some a terrible network and nothing else.
An average of everything would never be far from the average.
"""

import random
from dataclasses import dataclass

FAULT_SECONDS_NEVER = 1e9


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """Faults of messages."""

    latency_seconds: float
    """Mean time of a message."""
    lost: float
    """Probability that a message, or its answer, is lost."""
    late: float
    """Probability that a message comes late, and so after later ones."""
    late_seconds: float
    """How late at most."""
    doubled: float
    """Probability that a message comes twice."""
    lost_wakes: float
    """Probability that a notification of a new block is lost."""
    timeout_seconds: float
    """How long a client waits for an answer."""


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Mean seconds between two faults of a kind, :data:`FAULT_SECONDS_NEVER` if there are none."""

    gateway_crash: float
    database_loss: float
    """Share of crashes after which the database is gone or an old copy (each half of them)."""
    partition: float
    relay_crash: float
    validator_down: float
    validators_halt: float
    """Two of four down at once."""
    reorganisation: float
    node_fault: float
    """A parachain node goes down, falls behind, or lies."""
    clock_jump: float
    set_change: float
    notary_down: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is drawn from a seed before the simulation begins."""

    seed: int
    adversary: bool
    """Safety run: an adversary is at work, and nothing is demanded of speed. Otherwise everything must also end."""
    parachains: int
    relays: int
    gateways: int
    packets: int
    active_seconds: float
    """How long users send and faults happen."""
    block_seconds: tuple[float, ...]
    """Block interval of each parachain."""
    relay_block_seconds: float
    depth: tuple[int, ...]
    """Finality depth of each parachain."""
    skew_seconds: tuple[int, ...]
    """By how much the clock of each parachain is wrong at first."""
    lifetime_seconds: tuple[int, int]
    """Shortest and longest time from sending to expiry."""
    token_cap: int
    """Most that a token credits in a window; small: transfers fail and are refunded."""
    retention_seconds: int
    """Retention time of the relay chains."""
    liar: int
    """Validator that endorses wrongly, -1 for none."""
    network: NetworkPlan
    faults: FaultPlan


def make_plan(seed: int) -> Plan:
    """Draw everything from the seed."""
    draw = random.Random(f"plan/{seed}")

    def sometimes(mean_seconds: float, share: float = 0.5) -> float:
        return mean_seconds * draw.uniform(0.6, 1.8) if draw.random() < share else FAULT_SECONDS_NEVER

    parachains = draw.choice((2, 2, 3))
    relays = draw.choice((1, 2, 2))
    skew = draw.choice((0, 2, 10, 40))
    short = draw.random() < 0.5
    faults = FaultPlan(
        gateway_crash=sometimes(25, 0.7),
        database_loss=draw.choice((0.0, 0.3, 0.8)),
        partition=sometimes(30),
        relay_crash=sometimes(40),
        validator_down=sometimes(25),
        validators_halt=sometimes(60, 0.3),
        reorganisation=sometimes(15, 0.6),
        node_fault=sometimes(20),
        clock_jump=sometimes(30, 0.3),
        set_change=sometimes(40, 0.4),
        notary_down=sometimes(30),
    )
    lost = draw.choice((0.0, 0.02, 0.1, 0.25))
    network = NetworkPlan(
        latency_seconds=draw.choice((0.03, 0.1, 0.3)),
        lost=lost,
        late=draw.choice((0.0, 0.1, 0.4)),
        late_seconds=draw.choice((2.0, 8.0, 25.0)),
        doubled=draw.choice((0.0, 0.1, 0.4)),
        lost_wakes=draw.choice((0.0, 0.3, 1.0)),
        timeout_seconds=2.0,
    )
    return Plan(
        seed=seed,
        adversary=seed % 2 == 0,
        parachains=parachains,
        relays=relays,
        gateways=draw.choice((1, 2, 2, 3)),
        packets=draw.randint(8, 24),
        active_seconds=draw.uniform(50, 80),
        block_seconds=tuple(draw.choice((1.5, 2.5, 4.0)) for _ in range(parachains)),
        relay_block_seconds=draw.choice((1.0, 2.0)),
        depth=tuple(draw.choice((1, 2, 4)) for _ in range(parachains)),
        skew_seconds=tuple(draw.randint(-skew, skew) for _ in range(parachains)),
        lifetime_seconds=(6, 40) if short else (60, 120),
        token_cap=draw.choice((10**9, 1_500)),
        retention_seconds=draw.choice((25, 80, 1_000, 1_000)),
        liar=draw.choice((-1, 0, 1, 2, 3)),
        network=network,
        faults=faults,
    )
