"""What one governor keeps to itself, as its store holds it."""

from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar, assert_never

from piebridge.crypto.errors import VerificationError
from piebridge.crypto.threshold.shares import KeyShare
from piebridge.crypto.threshold.signing import SigningNonces
from piebridge.management_chain.governor.effects import (
    EraseShare,
    ForgetCeremony,
    KeepNonces,
    KeepSeed,
    KeepShare,
    ShareName,
    StoreEffect,
    UseNonces,
)


@dataclass(frozen=True, slots=True)
class UsedNonces:
    """What is left of nonces after their one use."""

    session: bytes
    """Digest of the message and commitments for which they were used, 32 bytes."""
    z: bytes
    """The partial signature, 32 bytes."""


K = TypeVar("K")
V = TypeVar("V")

NonceRecord: TypeAlias = SigningNonces | UsedNonces


@dataclass(slots=True)
class Secrets:
    """Seeds, nonces and shares. A change is first an effect, and then the same change here and in the store."""

    seeds: dict[int, bytes] = field(default_factory=dict, repr=False)
    """Seed of each sharing ceremony under way, 32 bytes, by its number."""
    nonces: dict[tuple[int, int], NonceRecord] = field(default_factory=dict, repr=False)
    """By ceremony and round of the commitment."""
    shares: dict[ShareName, KeyShare] = field(default_factory=dict, repr=False)
    """Key shares."""

    def apply(self, effect: StoreEffect) -> None:
        """Make a change.

        Raises:
            VerificationError: it would forget or repeat a use of nonces, or write over a secret.
        """
        match effect:
            case KeepSeed():
                _put_once(self.seeds, effect.ceremony, effect.seed, "a seed")
            case KeepNonces():
                _put_once(self.nonces, (effect.ceremony, effect.round), effect.nonces, "nonces")
            case UseNonces():
                place = (effect.ceremony, effect.round)
                if not isinstance(self.nonces.get(place), SigningNonces):
                    raise VerificationError("nonces that are used are not there, or were used before", actual=place)
                self.nonces[place] = UsedNonces(effect.session, effect.z)
            case KeepShare():
                _put_once(self.shares, effect.name, effect.share, "a share")
            case EraseShare():
                self.shares.pop(effect.name, None)
            case ForgetCeremony():
                self.seeds.pop(effect.ceremony, None)
                self.nonces = {key: kept for key, kept in self.nonces.items() if key[0] != effect.ceremony}
            case _:
                assert_never(effect)


def _put_once(table: dict[K, V], key: K, value: V, name: str) -> None:
    if key in table:
        raise VerificationError(f"{name} would be written over", actual=key)
    table[key] = value
