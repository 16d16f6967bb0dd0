"""The draw of nodes (``docs/protocol/management.md``, section 7): everybody can draw again what was drawn."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack.codec import Reader, hash32, in_range, nonzero, u32, u64
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.management.tags import TAG_DRAW, Place

CANDIDATES_MAX: Final = 1_024
"""Most candidates of a draw."""
CANDIDATE_LENGTH: Final = 20
"""Length of a candidate, bytes."""
SEED_DELAY_BLOCKS: Final = 2
"""How far behind the closing block the block lies whose hash seeds the first round."""
ROUND_BLOCKS: Final = 256
"""Length of a round: how many blocks long a block hash can be asked for."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that may be drawn."""

    node: int
    """Number of the node, u64, from 1."""
    operator: int
    """Number of its operator, u32, from 1."""
    weight: int
    """Chance relative to the others of its pool, u64, at least 1."""

    def encode(self) -> bytes:
        """Return ``node || operator || weight``, 20 bytes."""
        self._check()
        return u64(self.node) + u32(self.operator) + u64(self.weight)

    @classmethod
    def read(cls, reader: Reader) -> "Candidate":
        """Take one candidate."""
        candidate = cls(reader.u64(), reader.u32(), reader.u64())
        candidate._check()
        return candidate

    def _check(self) -> None:
        for value, name in ((self.node, "node"), (self.operator, "operator"), (self.weight, "weight")):
            nonzero(value, name)


def encode_candidates(candidates: Sequence[Candidate]) -> bytes:
    """Return the candidates of a draw as the event RequestClosed lists them.

    Raises:
        FormatError: there are too many, or a node stands there twice.
    """
    _check_candidates(candidates)
    return b"".join(candidate.encode() for candidate in candidates)


def decode_candidates(data: bytes) -> tuple[Candidate, ...]:
    """Read the candidates of a draw.

    Raises:
        FormatError: the bytes are no such list.
    """
    in_range(len(data), 0, CANDIDATES_MAX * CANDIDATE_LENGTH, "length of the candidates")
    reader = Reader(data)
    candidates = reader.many(-(-len(data) // CANDIDATE_LENGTH), lambda: Candidate.read(reader))
    _check_candidates(candidates)
    return candidates


def first_draw_block(closed_in_block: int) -> int:
    """Return the first block in which a request can be drawn that was closed in this one."""
    return closed_in_block + SEED_DELAY_BLOCKS + 1


def draw_round(closed_in_block: int, block: int) -> int:
    """Return the round of a draw in ``block``, from 0.

    Raises:
        FormatError: ``DRAW``, it is too early.
    """
    first = first_draw_block(closed_in_block)
    if block < first:
        raise FormatError(ErrorCode.DRAW, "drawn too early", expected=first, actual=block)
    return (block - first) // ROUND_BLOCKS


def seed_block(closed_in_block: int, number: int) -> int:
    """Return the block whose hash seeds a round (``number``, from 0)."""
    return closed_in_block + SEED_DELAY_BLOCKS + ROUND_BLOCKS * number


def draw_seed(registry: Place, request_id: bytes, number: int, block_hash: bytes) -> bytes:
    """Return the seed of a round, 32 bytes.

    Args:
        registry: the DomainRegistry.
        request_id: 32 bytes.
        number: the round, from 0.
        block_hash: hash of :func:`seed_block`, 32 bytes.
    """
    return keccak256(TAG_DRAW + registry.encode() + hash32(request_id) + u32(number) + hash32(block_hash))


@dataclass(frozen=True, slots=True)
class DrawRules:
    """How many are drawn, and from whom."""

    relay_chains: int
    """Relay chains to fill."""
    seats: int
    """Seats to draw for each of them."""
    single_operator: bool = False
    """Whether all seats of a relay chain go to one operator."""
    operator_seats_max: int | None = None
    """Most seats of one operator in a set, k - 1; None where it may have a quorum (``--dev``, single operator)."""
    staying: tuple[int, ...] = ()
    """Operators of the seats that stay in the set (REPLACE), one for each."""


def draw(
    seed: bytes, candidates: Sequence[Candidate], offered: Collection[int], rules: DrawRules
) -> tuple[tuple[Candidate, ...], ...]:
    """Draw the nodes of a decision.

    Args:
        seed: :func:`draw_seed`, 32 bytes.
        candidates: those that were fixed at closing, in the order of the list.
        offered: nodes that are still offered.
        rules: what is drawn.

    Returns:
        The nodes of each relay chain, in the order of the draw.

    Raises:
        FormatError: ``DRAW``, the candidates do not suffice, or one operator would have a quorum.
    """
    free = [candidate for candidate in candidates if candidate.node in offered]
    drawn = []
    for relay in range(rules.relay_chains):
        chosen: list[Candidate] = []
        for seat in range(rules.seats):
            pool = _pool(free, chosen, rules)
            candidate = _choose(pool, keccak256(hash32(seed) + u32(relay) + u32(seat)))
            free.remove(candidate)
            chosen.append(candidate)
        _check_concentration(chosen, rules)
        drawn.append(tuple(chosen))
    return tuple(drawn)


def _pool(free: Sequence[Candidate], chosen: Sequence[Candidate], rules: DrawRules) -> list[Candidate]:
    seats = Counter((*rules.staying, *(candidate.operator for candidate in chosen)))
    if rules.single_operator:
        nodes = Counter(candidate.operator for candidate in free)
        return [
            candidate
            for candidate in free
            if (candidate.operator in seats if seats else nodes[candidate.operator] >= rules.seats)
        ]
    fewest = min((seats[candidate.operator] for candidate in free), default=0)
    return [candidate for candidate in free if seats[candidate.operator] == fewest]


def _choose(pool: Sequence[Candidate], entropy: bytes) -> Candidate:
    if not pool:
        raise FormatError(ErrorCode.DRAW, "there are not enough candidates for all seats")
    left = int.from_bytes(entropy, "big") % sum(candidate.weight for candidate in pool)
    for candidate in pool:
        if left < candidate.weight:
            return candidate
        left -= candidate.weight
    raise AssertionError("a remainder is below the sum of all weights")


def _check_concentration(chosen: Sequence[Candidate], rules: DrawRules) -> None:
    if rules.operator_seats_max is None:
        return
    seats = Counter((*rules.staying, *(candidate.operator for candidate in chosen)))
    most = max(seats.values(), default=0)
    if most > rules.operator_seats_max:
        raise FormatError(
            ErrorCode.DRAW, "one operator would have a quorum", expected=rules.operator_seats_max, actual=most
        )


def _check_candidates(candidates: Sequence[Candidate]) -> None:
    in_range(len(candidates), 0, CANDIDATES_MAX, "number of candidates")
    if len({candidate.node for candidate in candidates}) != len(candidates):
        raise FormatError(ErrorCode.DRAW, "a node stands among the candidates twice")
