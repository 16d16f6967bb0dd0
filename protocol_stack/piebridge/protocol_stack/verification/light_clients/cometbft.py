"""Light client of CometBFT chains, on chain: a pure function from what is trusted to what may be trusted next.

A client keeps one :class:`ConsensusState` for each height that it has verified. An update names the trusted height from
which it is verified; "now" is the time of the block that executes it, or validators would disagree.

A client freezes on misbehaviour, that is when a header verifies that cannot be true together with one it trusts:
another header of the same height, or a header whose time contradicts its place among the heights.

Prune rule: a client keeps the newest :data:`KEPT_HEIGHTS_MAX` heights. Whatever an older header proved can be proved
again under a newer one, since outboxes and status bits only grow. A header that is older than the trusting period still
proves what it proved, but vouches for no later header.

Sources: ICS-07; ``light/verifier.go`` of CometBFT v0.40.0; ``docs/protocol/formats.md`` sections 10.1 and 11.1.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from piebridge.cometbft.commit import Commit
from piebridge.cometbft.header import Header
from piebridge.cometbft.validator_set import ValidatorSet
from piebridge.cometbft.verification import (
    InvalidHeaderError,
    SignedHeader,
    TrustedState,
    VerificationOptions,
    verify_light_block,
)
from piebridge.cometbft.verification import LightBlock as CometLightBlock
from piebridge.crypto.errors import VerificationError
from piebridge.protocol_stack.relay_messages import LightBlock

KEPT_HEIGHTS_MAX = 512
"""Consensus states that a client keeps."""

HEADER_LENGTH_MAX = 4_096
"""Largest encoded header, bytes; a real one has at most about 650."""

_NANOSECONDS_PER_SECOND = 1_000_000_000


class UnknownTrustedHeightError(VerificationError):
    """The client does not (or no longer) know the height from which an update wants to be verified."""


@dataclass(frozen=True, slots=True)
class ClientParameters:
    """What is fixed for a client at its checkpoint."""

    chain_id: str
    """CometBFT chain id, 1 to 50 characters."""
    trusting_period_seconds: int
    """How long a verified header may vouch for later ones."""
    clock_drift_seconds: int
    """How far a header's time may lie ahead of the relay chain's block time."""


@dataclass(frozen=True, slots=True)
class ConsensusState:
    """What a client keeps of a verified header."""

    height_on_source: int
    """Height of the header."""
    header_hash: bytes
    """Hash of the header, 32 bytes."""
    time_ns: int
    """Time of the header, nanoseconds since the Unix epoch."""
    app_hash: bytes
    """State of the source's application after the block before, 32 bytes."""
    next_validators_hash: bytes
    """Hash of the validators of the next height, 32 bytes."""


def verify_update(
    parameters: ClientParameters, trusted: ConsensusState, update: LightBlock, now_ns: int
) -> ConsensusState:
    """Verify an update from a trusted state and return what may be trusted now.

    Args:
        parameters: of the client.
        trusted: consensus state of ``update.trusted_height``.
        update: the claim.
        now_ns: time of the executing block, nanoseconds since the Unix epoch.

    Raises:
        DecodingError: a part is not in its one canonical encoding.
        VerificationError: the header may not be trusted; the subclass says why (``piebridge.cometbft.verification``).
    """
    if update.trusted_height != trusted.height_on_source:
        raise UnknownTrustedHeightError(
            "update is for another trusted height", expected=trusted.height_on_source, actual=update.trusted_height
        )
    if len(update.header) > HEADER_LENGTH_MAX:
        raise InvalidHeaderError("header is too large", expected=HEADER_LENGTH_MAX, actual=len(update.header))
    header = Header.decode(update.header)
    adjacent = header.height == trusted.height_on_source + 1
    if adjacent != (not update.trusted_validator_set):
        raise InvalidHeaderError("the trusted validators come with an update exactly when it skips heights")
    if len(header.app_hash) != 32:
        raise InvalidHeaderError("app hash of a source chain has 32 bytes", actual=len(header.app_hash))
    block = CometLightBlock(
        SignedHeader(header, Commit.decode(update.commit)), ValidatorSet.decode(update.validator_set)
    )
    verify_light_block(
        TrustedState(parameters.chain_id, trusted.height_on_source, trusted.time_ns, trusted.next_validators_hash),
        None if adjacent else ValidatorSet.decode(update.trusted_validator_set),
        block,
        VerificationOptions(
            trusting_period_ns=parameters.trusting_period_seconds * _NANOSECONDS_PER_SECOND,
            max_clock_drift_ns=parameters.clock_drift_seconds * _NANOSECONDS_PER_SECOND,
        ),
        now_ns,
        minimal=True,
    )
    return ConsensusState(
        height_on_source=header.height,
        header_hash=block.signed_header.commit.block_id.hash,
        time_ns=header.time_ns,
        app_hash=header.app_hash,
        next_validators_hash=header.next_validators_hash,
    )


def is_misbehaviour(verified: ConsensusState, trusted: Iterable[ConsensusState]) -> bool:
    """Tell whether a verified header cannot be true together with headers that are trusted already.

    It cannot if it is another header of a trusted height, or if heights and times are not in the same order.

    Args:
        verified: result of :func:`verify_update`.
        trusted: consensus states of the client, of its height and of the neighbouring heights at least.
    """
    return any(
        (state.header_hash != verified.header_hash)
        if state.height_on_source == verified.height_on_source
        else (state.height_on_source < verified.height_on_source) != (state.time_ns < verified.time_ns)
        or state.time_ns == verified.time_ns
        for state in trusted
    )
