"""What readers of the board see, in the order of the chain."""

from dataclasses import dataclass
from typing import TypeAlias

from piebridge.management_chain.governor.ceremony import GovernorSet


@dataclass(frozen=True, slots=True)
class SetDeclared:
    """A set of governors is known from now on."""

    governors: GovernorSet
    """The set."""


@dataclass(frozen=True, slots=True)
class CeremonyOpened:
    """A ceremony begins. Fields are as the contract has them: what they mean is checked by the reader."""

    ceremony: int
    """Its number."""
    kind: int
    """What it is for."""
    set_hash: bytes
    """Who may post, 32 bytes."""
    subject: bytes
    """What it is about, 32 bytes."""
    rounds: int
    """How many rounds there are."""
    round_blocks: int
    """Blocks of a round."""
    height: int
    """Block that opened it."""


@dataclass(frozen=True, slots=True)
class Posted:
    """A member has posted."""

    ceremony: int
    """The ceremony."""
    round: int
    """The round, from 1."""
    kind: int
    """Kind of the post."""
    member: int
    """Who, as the contract found from the sender's account."""
    payload: bytes
    """What."""
    height: int
    """Block of the post."""


@dataclass(frozen=True, slots=True)
class KeyRegistered:
    """A key is the governor key from now on."""

    ceremony: int
    """Ceremony that made it."""
    key_epoch: int
    """Its epoch."""
    group_key: bytes
    """The key, 33 bytes."""


@dataclass(frozen=True, slots=True)
class SetAdopted:
    """The members of a resharing hold the governor key from now on; the key stays."""

    ceremony: int
    """The resharing."""
    key_epoch: int
    """Epoch of the key."""


BoardEvent: TypeAlias = SetDeclared | CeremonyOpened | Posted | KeyRegistered | SetAdopted
