"""Light client verification of commits and headers. Pure: the clock's time is an argument.

Two rules carry everything: a header is *signed* when more than 2/3 of the power of its own validators voted for it, and
it may be *trusted* when its validators are those that a trusted header announced (adjacent), or when more than a third
of the power of the trusted next validators voted for it too (skipping).

Source: ``light/verifier.go``, ``types/validation.go`` of CometBFT v0.40.0; ``spec/light-client/verification``.
"""

from dataclasses import dataclass
from fractions import Fraction

from piebridge.cometbft.commit import BlockIdFlag, Commit, CommitSig
from piebridge.cometbft.encoding import Reader, message_field
from piebridge.cometbft.header import BLOCK_PROTOCOL_VERSION, Header
from piebridge.cometbft.validator_set import Validator, ValidatorSet
from piebridge.cometbft.vote import commit_sign_bytes
from piebridge.crypto.errors import VerificationError

DEFAULT_TRUST_LEVEL = Fraction(1, 3)
"""Share of the trusted power that must have signed a header that is skipped to; 1/3 is the least that is safe."""

_QUORUM = Fraction(2, 3)


class InvalidHeaderError(VerificationError):
    """The header, its commit and its validators do not fit together or to the chain. Another block must be fetched."""


class InvalidCommitError(InvalidHeaderError):
    """The commit is malformed or a signature in it does not hold."""


class InsufficientPowerError(InvalidHeaderError):
    """Not more than 2/3 of the header's own validators signed it."""


class SurplusSignatureError(InvalidCommitError):
    """A header update carries more than the first signatures that reach the quorum."""


class NotEnoughTrustError(VerificationError):
    """Too few of the trusted validators signed: the client must verify a header in between first."""


class TrustExpiredError(VerificationError):
    """The trusted header is older than the trusting period: a new checkpoint is needed."""


@dataclass(frozen=True, slots=True)
class SignedHeader:
    """A header with the commit that decided it."""

    header: Header
    """The header."""
    commit: Commit
    """Precommits of its own validators."""

    def encode(self) -> bytes:
        """Encode ``tendermint.types.SignedHeader``."""
        return message_field(1, self.header.encode()) + message_field(2, self.commit.encode())

    @classmethod
    def decode(cls, body: bytes) -> "SignedHeader":
        """Decode the canonical encoding.

        Raises:
            DecodingError: not canonical.
        """
        reader = Reader(body, "signed header")
        signed = cls(reader.message(1, Header.decode), reader.message(2, Commit.decode))
        reader.end()
        return signed


@dataclass(frozen=True, slots=True)
class LightBlock:
    """What a light client needs of one height."""

    signed_header: SignedHeader
    """Header and commit."""
    validators: ValidatorSet
    """The validators that the header's ``validators_hash`` names."""

    @property
    def header(self) -> Header:
        """The header."""
        return self.signed_header.header

    def encode(self) -> bytes:
        """Encode as field 1 signed header, field 2 the validators in their hashed form (no priorities)."""
        return message_field(1, self.signed_header.encode()) + message_field(2, self.validators.encode())

    @classmethod
    def decode(cls, body: bytes) -> "LightBlock":
        """Decode :meth:`encode`.

        Raises:
            DecodingError: not canonical.
            VerificationError: the validators are no valid set.
        """
        reader = Reader(body, "light block")
        block = cls(reader.message(1, SignedHeader.decode), reader.message(2, ValidatorSet.decode))
        reader.end()
        return block


@dataclass(frozen=True, slots=True)
class TrustedState:
    """What a light client keeps of a header that it has verified."""

    chain_id: str
    """Chain."""
    height: int
    """Height of the header."""
    time_ns: int
    """Its time, nanoseconds since the Unix epoch."""
    next_validators_hash: bytes
    """Hash of the validators of height + 1, 32 bytes."""

    @classmethod
    def of(cls, header: Header) -> "TrustedState":
        """Take over a verified header."""
        return cls(header.chain_id, header.height, header.time_ns, header.next_validators_hash)


@dataclass(frozen=True, slots=True)
class VerificationOptions:
    """Parameters of a light client."""

    trusting_period_ns: int
    """How long a verified header may vouch for later ones; must be below the unbonding period."""
    max_clock_drift_ns: int
    """How far a header's time may lie ahead of the clock."""
    trust_level: Fraction = DEFAULT_TRUST_LEVEL
    """Share of the trusted power demanded when skipping, 1/3 to 1."""

    def __post_init__(self) -> None:
        """Refuse a trust level that is unsafe or cannot be met."""
        if not DEFAULT_TRUST_LEVEL <= self.trust_level <= 1:
            raise ValueError(f"trust level must be within 1/3 and 1, not {self.trust_level}")


def verify_light_block(
    trusted: TrustedState,
    trusted_next_validators: ValidatorSet | None,
    untrusted: LightBlock,
    options: VerificationOptions,
    now_ns: int,
    *,
    minimal: bool = False,
) -> None:
    """Verify a later light block from a trusted header.

    The next height needs no trusted validators: its set must be the announced one. Any other height needs the trusted
    header's *next* validators, at least ``trust_level`` of which must have signed. The check of the untrusted set comes
    last, for that set can be made huge to waste time.

    Args:
        trusted: The trusted header.
        trusted_next_validators: Validators that ``trusted.next_validators_hash`` names; unused when adjacent.
        untrusted: What is to be verified.
        options: Parameters of the client.
        now_ns: Time of the clock, nanoseconds since the Unix epoch; on chain, the block time.
        minimal: Demand exactly the first signatures in set order that reach the quorum (header updates inside relay
            transactions), see :func:`verify_commit_minimal`.

    Raises:
        TrustExpiredError: the trusted header is too old.
        NotEnoughTrustError: too few of the trusted validators signed.
        InvalidHeaderError: anything else does not hold.
    """
    header, commit, validators = untrusted.header, untrusted.signed_header.commit, untrusted.validators
    if trusted.time_ns + options.trusting_period_ns <= now_ns:
        raise TrustExpiredError(
            f"the trusted header of height {trusted.height} expired at "
            f"{trusted.time_ns + options.trusting_period_ns} ns; the time is {now_ns} ns"
        )
    _check_header(trusted, untrusted, now_ns + options.max_clock_drift_ns)
    if header.height == trusted.height + 1:
        if header.validators_hash != trusted.next_validators_hash:
            raise InvalidHeaderError(
                "validators are not those that the header before announced",
                expected=trusted.next_validators_hash,
                actual=header.validators_hash,
            )
    else:
        if trusted_next_validators is None or trusted_next_validators.hash() != trusted.next_validators_hash:
            raise InvalidHeaderError("skipping needs the validators that the trusted header announced")
        verify_commit_trusting(header.chain_id, trusted_next_validators, commit, options.trust_level)
    if minimal:
        verify_commit_minimal(header.chain_id, validators, commit)
    else:
        verify_commit(header.chain_id, validators, commit)


def _check_header(trusted: TrustedState, untrusted: LightBlock, latest_time_ns: int) -> None:
    header, commit = untrusted.header, untrusted.signed_header.commit
    if header.version.block != BLOCK_PROTOCOL_VERSION:
        raise InvalidHeaderError("block version", expected=BLOCK_PROTOCOL_VERSION, actual=header.version.block)
    if header.chain_id != trusted.chain_id:
        raise InvalidHeaderError("header is of another chain", expected=trusted.chain_id, actual=header.chain_id)
    if header.height <= trusted.height:
        raise InvalidHeaderError(f"height {header.height} is not above the trusted height {trusted.height}")
    if header.time_ns <= trusted.time_ns:
        raise InvalidHeaderError(f"time {header.time_ns} ns is not after the trusted time {trusted.time_ns} ns")
    if header.time_ns >= latest_time_ns:
        raise InvalidHeaderError(f"time {header.time_ns} ns lies in the future (latest is {latest_time_ns} ns)")
    if commit.height != header.height:
        raise InvalidCommitError("commit is of another height", expected=header.height, actual=commit.height)
    if commit.block_id.hash != header.hash():
        raise InvalidCommitError("commit is of another header", expected=header.hash(), actual=commit.block_id.hash)
    if header.validators_hash != untrusted.validators.hash():
        raise InvalidHeaderError(
            "validators are not those of the header",
            expected=header.validators_hash,
            actual=untrusted.validators.hash(),
        )


def verify_commit(chain_id: str, validators: ValidatorSet, commit: Commit) -> None:
    """Check that more than 2/3 of the power of ``validators`` voted for the commit's block, by index in the set.

    Signatures are verified in set order until the quorum is reached; the rest is not looked at.

    Raises:
        InvalidCommitError: wrong shape, wrong address, or a wrong signature before the quorum.
        InsufficientPowerError: no quorum.
    """
    _count_by_index(chain_id, validators, commit)


def verify_commit_minimal(chain_id: str, validators: ValidatorSet, commit: Commit) -> None:
    """Check a quorum as :func:`verify_commit` does, and that the commit carries no signature more than it needs.

    Every signature of an update inside a transaction costs every validator of the receiving chain time, so the update
    carries exactly the first votes for the block, in set order, that reach the quorum; all other entries are absent.

    Raises:
        SurplusSignatureError: a vote after the quorum, or a vote for nil anywhere.
        InvalidCommitError: wrong shape, wrong address, or a wrong signature.
        InsufficientPowerError: no quorum.
    """
    _check_shape(validators, commit)
    if commit.signatures != _minimal_signatures(validators, commit):
        raise SurplusSignatureError("commit carries more than the first signatures that reach the quorum")
    _count_by_index(chain_id, validators, commit)


def minimal_commit(validators: ValidatorSet, commit: Commit) -> Commit:
    """Strip a commit to the first votes in set order that reach the quorum; signatures are not verified.

    Raises:
        InvalidCommitError: the commit does not fit the set.
        InsufficientPowerError: no quorum.
    """
    _check_shape(validators, commit)
    signatures = _minimal_signatures(validators, commit)
    power = sum(
        validator.voting_power
        for validator, signature in zip(validators.validators, signatures, strict=True)
        if signature.flag is BlockIdFlag.COMMIT
    )
    if not _is_above(power, _QUORUM, validators.total_voting_power):
        raise InsufficientPowerError(f"{power} of {validators.total_voting_power} voting power signed")
    return Commit(commit.height, commit.round, commit.block_id, signatures)


def _minimal_signatures(validators: ValidatorSet, commit: Commit) -> tuple[CommitSig, ...]:
    power = 0
    kept: list[CommitSig] = []
    for validator, signature in zip(validators.validators, commit.signatures, strict=True):
        wanted = signature.flag is BlockIdFlag.COMMIT and not _is_above(power, _QUORUM, validators.total_voting_power)
        kept.append(signature if wanted else CommitSig.absent())
        power += validator.voting_power if wanted else 0
    return tuple(kept)


def verify_commit_trusting(chain_id: str, validators: ValidatorSet, commit: Commit, trust_level: Fraction) -> None:
    """Check that more than ``trust_level`` of the power of a *trusted* set voted for the commit's block, by address.

    Raises:
        InvalidCommitError: a trusted validator's signature is wrong, or it votes twice.
        NotEnoughTrustError: too little power.
    """
    power = 0
    seen: set[int] = set()
    for position, signature in enumerate(commit.signatures):
        if signature.flag is not BlockIdFlag.COMMIT:
            continue
        index = validators.index_of(signature.validator_address)
        if index is None:
            continue
        if index in seen:
            raise InvalidCommitError(f"validator 0x{signature.validator_address.hex()} votes twice")
        seen.add(index)
        validator = validators.validators[index]
        _check_signature(chain_id, validator, commit, position)
        power += validator.voting_power
        if _is_above(power, trust_level, validators.total_voting_power):
            return
    raise NotEnoughTrustError(
        f"{power} of {validators.total_voting_power} trusted voting power signed, more than {trust_level} is needed"
    )


def _count_by_index(chain_id: str, validators: ValidatorSet, commit: Commit) -> None:
    _check_shape(validators, commit)
    power = 0
    for position, (validator, signature) in enumerate(zip(validators.validators, commit.signatures, strict=True)):
        if signature.flag is not BlockIdFlag.COMMIT:
            continue
        if signature.validator_address != validator.address:
            raise InvalidCommitError(
                f"signature {position} is of another validator",
                expected=validator.address,
                actual=signature.validator_address,
            )
        _check_signature(chain_id, validator, commit, position)
        power += validator.voting_power
        if _is_above(power, _QUORUM, validators.total_voting_power):
            return
    raise InsufficientPowerError(
        f"{power} of {validators.total_voting_power} voting power signed, more than 2/3 is needed"
    )


def _check_shape(validators: ValidatorSet, commit: Commit) -> None:
    if commit.height < 1 or not commit.block_id.is_complete:
        raise InvalidCommitError("commit names no block")
    if len(commit.signatures) != len(validators):
        raise InvalidCommitError(
            "commit does not have one entry for each validator",
            expected=len(validators),
            actual=len(commit.signatures),
        )


def _check_signature(chain_id: str, validator: Validator, commit: Commit, position: int) -> None:
    message = commit_sign_bytes(chain_id, commit, position)
    if not validator.public_key.verify(message, commit.signatures[position].signature):
        raise InvalidCommitError(f"signature {position} of validator 0x{validator.address.hex()} does not hold")


def _is_above(power: int, share: Fraction, total: int) -> bool:
    return power * share.denominator > total * share.numerator
