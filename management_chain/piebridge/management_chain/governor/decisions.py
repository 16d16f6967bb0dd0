"""What the management chain has decided finally, as a governor needs it. Adapters read it by light client."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from piebridge.management_chain.governor.ceremony import CeremonyKind, Epochs, GovernorSet
from piebridge.protocol_stack.governor_messages import GovernorMessage
from piebridge.protocol_stack.management.governor_message import ManagementMessage

DecidedMessage: TypeAlias = GovernorMessage | ManagementMessage
"""What governors sign: typed messages to hubs, relay chains and the contracts of the management chain."""


@dataclass(frozen=True, slots=True)
class WantedSharing:
    """A sharing ceremony that is decided."""

    kind: CeremonyKind
    """Key generation, refresh or resharing."""
    governors: GovernorSet
    """Who is to hold the shares."""
    epochs: Epochs
    """Those of the shares that are to be made: a decision is carried out once."""


class DecisionSource(Protocol):
    """Final decisions. What is not here is not signed and not taken part in."""

    def messages(self) -> Sequence[DecidedMessage]:
        """Return every unsigned message that follows from final decisions, in the order of signing."""

    def sharings(self) -> Sequence[WantedSharing]:
        """Return the sharing ceremonies that are decided."""

    def is_retired(self, key_epoch: int) -> bool:
        """Return whether a key is out of use everywhere, so that its shares may be erased."""
