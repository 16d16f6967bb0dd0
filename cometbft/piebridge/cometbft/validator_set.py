"""Validator sets in canonical order, their hash, and the rotation of the proposer.

Priorities are not hashed, but they decide the proposer, so they follow CometBFT's algorithm to the unit.

Source: ``types/validator_set.go``, ``types/validator.go``, ``spec/consensus/proposer-selection.md`` of v0.40.0.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from piebridge.cometbft.commit import MAX_INT64, MAX_VALIDATORS
from piebridge.cometbft.encoding import Reader, message_field, varint_field
from piebridge.cometbft.keys import PublicKey
from piebridge.crypto import merkle
from piebridge.crypto.errors import DecodingError, VerificationError

MAX_TOTAL_VOTING_POWER = MAX_INT64 // 8
"""Largest sum of voting powers in a set."""

_PRIORITY_WINDOW_FACTOR = 2
_MIN_INT64 = -(1 << 63)


@dataclass(frozen=True, slots=True)
class Validator:
    """A member of a validator set."""

    public_key: PublicKey
    """Consensus key."""
    voting_power: int
    """1 or more; 0 only in a change, where it removes."""
    proposer_priority: int = 0
    """Place in the rotation of proposers; not part of the hash."""

    @property
    def address(self) -> bytes:
        """Validator address, 20 bytes."""
        return self.public_key.address

    def encode(self) -> bytes:
        """Encode ``tendermint.types.SimpleValidator``, the bytes that are hashed."""
        return message_field(1, self.public_key.encode()) + varint_field(2, self.voting_power)

    @classmethod
    def decode(cls, body: bytes) -> "Validator":
        """Decode ``tendermint.types.SimpleValidator``.

        Raises:
            DecodingError: not canonical, unknown key type, or a power that is not positive.
        """
        reader = Reader(body, "validator")
        validator = cls(reader.message(1, PublicKey.decode), reader.ranged(2, 1, MAX_TOTAL_VOTING_POWER))
        reader.end()
        return validator


class ValidatorSet:
    """Validators in canonical order: power descending, then address ascending. Immutable."""

    __slots__ = ("_by_address", "_hash", "proposer_address", "total_voting_power", "validators")

    validators: tuple[Validator, ...]
    """Members in canonical order."""
    proposer_address: bytes
    """Proposer of round 0; empty where the rotation is not known."""
    total_voting_power: int
    """Sum of all powers."""

    def __init__(self, validators: Iterable[Validator], proposer_address: bytes = b"") -> None:
        """Build the set from members that are already in canonical order.

        Raises:
            VerificationError: empty, too large, out of order, an address twice, or too much power.
        """
        self.validators = tuple(validators)
        self.proposer_address = proposer_address
        if not 0 < len(self.validators) <= MAX_VALIDATORS:
            raise VerificationError(f"a validator set has 1 to {MAX_VALIDATORS} members, not {len(self.validators)}")
        self._by_address = {validator.address: index for index, validator in enumerate(self.validators)}
        if len(self._by_address) != len(self.validators):
            raise VerificationError("a validator is twice in the set")
        if list(self.validators) != sorted(self.validators, key=_canonical_order):
            raise VerificationError("validators are not in canonical order (power descending, address ascending)")
        if any(validator.voting_power <= 0 for validator in self.validators):
            raise VerificationError("a validator has no voting power")
        self.total_voting_power = sum(validator.voting_power for validator in self.validators)
        if self.total_voting_power > MAX_TOTAL_VOTING_POWER:
            raise VerificationError(f"total voting power {self.total_voting_power} exceeds {MAX_TOTAL_VOTING_POWER}")
        self._hash = b""

    @classmethod
    def ordered(cls, validators: Iterable[Validator]) -> "ValidatorSet":
        """Build the set from members in any order.

        Raises:
            VerificationError: as for the constructor, order apart.
        """
        return cls(sorted(validators, key=_canonical_order))

    @classmethod
    def genesis(cls, validators: Iterable[Validator]) -> "ValidatorSet":
        """Build the set of the first height: canonical order, priorities from zero, moved on once."""
        members = [replace(validator, proposer_priority=0) for validator in validators]
        return _with_changes((), members).moved_on()

    def __len__(self) -> int:
        """Count the members."""
        return len(self.validators)

    def __eq__(self, other: object) -> bool:
        """Compare members with their priorities, and the proposer."""
        return (
            isinstance(other, ValidatorSet)
            and self.validators == other.validators
            and self.proposer_address == other.proposer_address
        )

    def __hash__(self) -> int:
        """Hash for dictionaries; the consensus hash is :meth:`hash`."""
        return hash(self.validators)

    def __repr__(self) -> str:
        """Show size, power and hash."""
        return f"ValidatorSet({len(self)} validators, power {self.total_voting_power}, {self.hash().hex()[:16]})"

    def hash(self) -> bytes:
        """Hash that headers carry, 32 bytes: Merkle root over the members' public keys and powers."""
        if not self._hash:
            self._hash = merkle.root([validator.encode() for validator in self.validators])
        return self._hash

    def index_of(self, address: bytes) -> int | None:
        """Position of a member, or None."""
        return self._by_address.get(address)

    def by_address(self, address: bytes) -> Validator | None:
        """Member with this address, or None."""
        index = self._by_address.get(address)
        return None if index is None else self.validators[index]

    @property
    def proposer(self) -> Validator:
        """Proposer of round 0 of the height that this set decides."""
        index = self._by_address.get(self.proposer_address)
        return self.validators[index] if index is not None else _most_priority(self.validators)

    def without_rotation(self) -> "ValidatorSet":
        """Return the set as light clients know it: no priorities, no proposer."""
        return ValidatorSet(replace(member, proposer_priority=0) for member in self.validators)

    def moved_on(self, times: int = 1) -> "ValidatorSet":
        """Return the set after ``times`` steps of the proposer rotation (``IncrementProposerPriority``)."""
        assert times > 0, "the rotation moves on by at least one step"
        total = self.total_voting_power
        members = _shifted_to_zero(_rescaled(self.validators, _PRIORITY_WINDOW_FACTOR * total))
        proposer = members[0]
        for _ in range(times):
            members = [
                replace(member, proposer_priority=_clip(member.proposer_priority + member.voting_power))
                for member in members
            ]
            proposer = _most_priority(members)
            index = members.index(proposer)
            members[index] = replace(proposer, proposer_priority=_clip(proposer.proposer_priority - total))
        return ValidatorSet(members, proposer.address)

    def with_changes(self, changes: Sequence[Validator]) -> "ValidatorSet":
        """Return the set after an application's updates; power 0 removes (``UpdateWithChangeSet``).

        Raises:
            VerificationError: a key twice, removal of a stranger, an empty result, or too much power.
        """
        return _with_changes(self.validators, changes) if changes else self

    def encode(self) -> bytes:
        """Encode the members as repeated ``SimpleValidator`` in field 1: what is hashed and nothing else."""
        return b"".join(message_field(1, validator.encode()) for validator in self.validators)

    @classmethod
    def decode(cls, body: bytes) -> "ValidatorSet":
        """Decode :meth:`encode`.

        Raises:
            DecodingError: not canonical.
            VerificationError: not a valid set.
        """
        reader = Reader(body, "validator set")
        validators = reader.messages(1, Validator.decode, MAX_VALIDATORS)
        reader.end()
        if not validators:
            raise DecodingError("validator set: empty")
        return cls(validators)


def _canonical_order(validator: Validator) -> tuple[int, bytes]:
    return -validator.voting_power, validator.address


def _most_priority(members: Sequence[Validator]) -> Validator:
    return min(members, key=lambda member: (-member.proposer_priority, member.address))


def _clip(value: int) -> int:
    return max(_MIN_INT64, min(MAX_INT64, value))


def _rescaled(members: Sequence[Validator], window: int) -> list[Validator]:
    """Divide all priorities (toward zero, as Go does) so that they lie within ``window``."""
    priorities = [member.proposer_priority for member in members]
    spread = max(priorities) - min(priorities)
    if spread <= window:
        return list(members)
    ratio = -(-spread // window)
    return [
        replace(member, proposer_priority=_divided_toward_zero(member.proposer_priority, ratio)) for member in members
    ]


def _divided_toward_zero(value: int, divisor: int) -> int:
    return value // divisor if value >= 0 else -(-value // divisor)


def _shifted_to_zero(members: Sequence[Validator]) -> list[Validator]:
    """Subtract the average, rounded down (Go's ``big.Int.Div`` is Euclidean), so that the priorities centre on 0."""
    average = sum(member.proposer_priority for member in members) // len(members)
    return [replace(member, proposer_priority=_clip(member.proposer_priority - average)) for member in members]


def _with_changes(members: Sequence[Validator], changes: Sequence[Validator]) -> ValidatorSet:
    current = {member.address: member for member in members}
    updates = {change.address: change for change in changes if change.voting_power > 0}
    removals = {change.address for change in changes if change.voting_power == 0}
    if len(updates) + len(removals) != len(changes):
        raise VerificationError("validator updates: a key is named twice or a power is negative")
    if updates.keys() & removals:
        raise VerificationError("validator updates: a key is named twice")
    strangers = removals - current.keys()
    if strangers:
        raise VerificationError(f"validator updates: 0x{min(strangers).hex()} is removed but not a member")
    # A newcomer starts at -1.125 times the power that the set has with it and before any removal, so that leaving and
    # coming back never pays.
    power = sum(member.voting_power for member in ({**current, **updates}).values())
    for address, update in updates.items():
        known = current.get(address)
        priority = known.proposer_priority if known else -(power + (power >> 3))
        updates[address] = replace(update, proposer_priority=priority)
    merged = [member for address, member in ({**current, **updates}).items() if address not in removals]
    if not merged:
        raise VerificationError("validator updates would leave an empty set")
    total = sum(member.voting_power for member in merged)
    ordered = sorted(_shifted_to_zero(_rescaled(merged, _PRIORITY_WINDOW_FACTOR * total)), key=_canonical_order)
    return ValidatorSet(ordered)
