"""What a governor wants done, to be carried out in order: what is written stands before what is published.

The order is the safety of the scheme. Nonces are on disk before their commitment leaves; they are replaced by the
finished partial signature, on disk, before that leaves.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from piebridge.crypto.threshold.shares import KeyShare
from piebridge.crypto.threshold.signing import SigningNonces
from piebridge.management_chain.governor.ceremony import CeremonyKind, Epochs, GovernorSet
from piebridge.management_chain.governor.decisions import DecidedMessage
from piebridge.management_chain.governor.posts import PostKind


@dataclass(frozen=True, slots=True, order=True)
class ShareName:
    """Which share."""

    key_epoch: int
    """Of which key."""
    share_epoch: int
    """Of which sharing of it."""
    ceremony: int
    """Number of the ceremony that made it."""

    @property
    def epochs(self) -> Epochs:
        """Key and share epoch."""
        return Epochs(self.key_epoch, self.share_epoch)


@dataclass(frozen=True, slots=True)
class KeepSeed:
    """Write the seed of a sharing ceremony."""

    ceremony: int
    """The ceremony."""
    seed: bytes = field(repr=False)
    """32 random bytes."""


@dataclass(frozen=True, slots=True)
class KeepNonces:
    """Write fresh nonces."""

    ceremony: int
    """The ceremony."""
    round: int
    """Round of their commitment."""
    nonces: SigningNonces = field(repr=False)
    """The nonces."""


@dataclass(frozen=True, slots=True)
class UseNonces:
    """Replace nonces by what was made with them, in one step; they are gone when this is done."""

    ceremony: int
    """The ceremony."""
    round: int
    """Round of their commitment."""
    session: bytes
    """Digest of message and commitments, 32 bytes."""
    z: bytes
    """The partial signature, 32 bytes, which is about to be public."""


@dataclass(frozen=True, slots=True)
class KeepShare:
    """Write a key share."""

    name: ShareName
    """Which."""
    share: KeyShare
    """The share."""


@dataclass(frozen=True, slots=True)
class EraseShare:
    """Erase a key share for good."""

    name: ShareName
    """Which."""


@dataclass(frozen=True, slots=True)
class ForgetCeremony:
    """Erase seed and nonces of a ceremony that has ended."""

    ceremony: int
    """The ceremony."""


@dataclass(frozen=True, slots=True)
class Publish:
    """Post on the board."""

    ceremony: int
    """The ceremony."""
    round: int
    """The round."""
    kind: PostKind
    """What it is."""
    payload: bytes
    """Its bytes."""


@dataclass(frozen=True, slots=True)
class Declare:
    """Declare a set of governors."""

    governors: GovernorSet
    """The set."""


@dataclass(frozen=True, slots=True)
class Open:
    """Open a ceremony."""

    kind: CeremonyKind
    """What it is for."""
    governors: GovernorSet
    """Who may post."""
    subject: bytes
    """Digest or epochs, 32 bytes."""
    rounds: int
    """How many rounds."""
    round_blocks: int
    """Blocks of a round."""


@dataclass(frozen=True, slots=True)
class ConfirmKey:
    """State on the board that this governor holds a share of a key."""

    ceremony: int
    """Ceremony that made it."""
    group_key: bytes
    """The key, 33 bytes."""


@dataclass(frozen=True, slots=True)
class RegisterFirstKey:
    """Register the first key on the board."""

    ceremony: int
    """Ceremony that made it."""
    group_key: bytes
    """The key, 33 bytes."""
    signature: bytes
    """Its own signature, 65 bytes."""


@dataclass(frozen=True, slots=True)
class Deliver:
    """A message is signed: whoever carries messages may take it. Once for each run of the governor."""

    message: DecidedMessage
    """With its signature."""


StoreEffect: TypeAlias = KeepSeed | KeepNonces | UseNonces | KeepShare | EraseShare | ForgetCeremony
"""Writes: durable before the next effect is begun."""
BoardEffect: TypeAlias = Publish | Declare | Open | ConfirmKey | RegisterFirstKey
"""Transactions: may fail or be lost, and are wanted again some blocks later unless the board shows them."""
Effect: TypeAlias = StoreEffect | BoardEffect | Deliver
