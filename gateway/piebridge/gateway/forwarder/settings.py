"""Limits and delays by which the forwarder decides."""

from dataclasses import dataclass

from piebridge.gateway.forwarder.model import Flow


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """What closes a batch."""

    items_max: int
    """Items carried in one batch."""
    bytes_max: int
    """Bytes of the carried items."""
    gas_max: int
    """Gas of the carried items."""
    age_seconds: float
    """How long the oldest item waits for company."""
    batches_max: int = 1
    """Batches under way at a time: more than one lets a chain's next block be filled while the last is being made, and
    has one more, small one carry the youngest items past a backlog."""
    yields: bool = False
    """Whether a backlog gives way when batches take longer than they should: where the far end is shared by all."""


@dataclass(frozen=True, slots=True)
class ForwarderSettings:
    """All settings of the forwarder; times in seconds."""

    limits: tuple[tuple[Flow, BatchLimits], ...] = (
        # A relay chain executes a block in one go, so a batch is no larger than what live traffic may wait for.
        (Flow.HUB_TO_RELAY, BatchLimits(250, 250_000, 1 << 62, 0.0, batches_max=3, yields=True)),
        # As many as fill a block of an EVM chain beside its other traffic, each within what one transaction may have.
        (Flow.RELAY_TO_HUB, BatchLimits(100, 100_000, 25_000_000, 0.0, batches_max=6)),
        (Flow.SETTLE, BatchLimits(20, 100_000, 1 << 62, 0.0)),
        (Flow.ACKNOWLEDGE, BatchLimits(1_000, 1 << 30, 1 << 62, 15.0)),
    )
    """One entry for each flow."""
    check_items_max: int = 1_000
    """Items asked about in one check."""
    effect_timeout_seconds: float = 90.0
    """An effect that is not answered within this is taken for lost; longer than any deadline of the shell."""
    recheck_seconds: float = 30.0
    """How often items that wait are looked at even if nothing tells of a change."""
    acknowledge_after_seconds: float = 20.0
    """How long a message that a hub has may be acknowledged by its receipt before its slot is proven."""
    expiry_margin_seconds: float = 5.0
    """How long after its expiry a packet is carried without its body, so that clocks may differ."""
    first_retry_seconds: float = 0.5
    """Pause after a first failure; doubles with each further one."""
    last_retry_seconds: float = 30.0
    """Longest pause between two tries."""

    def limits_of(self, flow: Flow) -> BatchLimits:
        """Return the limits of a flow."""
        return dict(self.limits)[flow]
