"""Attempts at one signature, as every reader of the board sees them (``docs/protocol/governors.md``, section 4)."""

from collections.abc import Mapping
from enum import Enum

from piebridge.crypto.errors import ProtocolError, VerificationError
from piebridge.crypto.threshold.shares import ThresholdKey
from piebridge.crypto.threshold.signing import PartialSignature, SigningCommitment, SigningSession
from piebridge.management_chain.governor.posts import Commit, PostKind, decode_share
from piebridge.protocol_stack.codec import one_of
from piebridge.protocol_stack.errors import ErrorCode


class SigningStep(Enum):
    """Where a signature is."""

    COMMIT = "commit"
    SHARE = "share"
    SIGNED = "signed"
    FAILED = "failed"


class SigningRounds:
    """From the first commitments to the signature, over several attempts."""

    def __init__(
        self, key: ThresholdKey, message: bytes, *, excluded: Mapping[int, str], first_round: int, last_round: int
    ) -> None:
        """Begin.

        Args:
            key: the shares that sign.
            message: what is signed.
            excluded: holders that may not sign, and why.
            first_round: round of the first COMMIT.
            last_round: last round of the ceremony.
        """
        self.key = key
        self.message = message
        self.step = SigningStep.COMMIT
        self.round = first_round
        """The round under way."""
        self.culprits: dict[int, str] = {}
        """Who sent something wrong here, and what."""
        self.absent: set[int] = set()
        """Who was silent as a signer."""
        self.failure = ""
        """Why it has failed."""
        self.signature: bytes | None = None
        """Signature of the group, 65 bytes, once there."""
        self.session: SigningSession | None = None
        """Signers and commitments of this attempt, once they stand."""
        self.commitments: dict[int, SigningCommitment] = {}
        """Of this attempt, in the order of the board."""
        self.partials: dict[int, PartialSignature] = {}
        """Good partial signatures of this attempt."""
        self._excluded = dict(excluded)
        self._last_round = last_round
        self._check_strength()

    @property
    def ended(self) -> bool:
        """Whether there is a signature, or will be none."""
        return self.step in (SigningStep.SIGNED, SigningStep.FAILED)

    @property
    def attempt(self) -> tuple[SigningCommitment, ...]:
        """Commitments of the signers of this attempt, in the order of their identifiers."""
        return tuple(self.commitments[signer] for signer in sorted(self.commitments))

    def awaited(self) -> frozenset[int]:
        """Return who is to post in this round."""
        if self.step is SigningStep.COMMIT:
            return frozenset(self.key.verifying_shares.keys() - self._barred() - self.commitments.keys())
        if self.step is SigningStep.SHARE:
            return frozenset(self.commitments.keys() - self.partials.keys())
        return frozenset()

    def take(self, member: int, kind: int, payload: bytes) -> None:
        """Take a post of the round under way; one that is not awaited is ignored."""
        if member not in self.awaited():
            return
        try:
            if self.step is SigningStep.COMMIT:
                self._take_commitment(member, kind, payload)
            else:
                self._take_share(member, kind, payload)
        except ProtocolError as error:
            self._blame(member, str(error))

    def close_round(self) -> None:
        """Go on without those who are silent: the last block of this round is over."""
        if self.step is SigningStep.COMMIT:
            self.fail(f"{len(self.commitments)} of {self.key.threshold} signers in time")
        elif self.step is SigningStep.SHARE:
            self.absent |= self.awaited()
            self._next_attempt()

    def fail(self, reason: str) -> None:
        """Give up, unless it has ended."""
        if not self.ended:
            self.step, self.failure = SigningStep.FAILED, reason

    def _take_commitment(self, member: int, kind: int, payload: bytes) -> None:
        one_of(kind, (PostKind.COMMIT,), "post in a round of commitments", ErrorCode.KIND)
        commit = Commit.decode(payload)
        self.commitments[member] = SigningCommitment(member, commit.hiding, commit.binding)
        if len(self.commitments) < self.key.threshold:
            return
        try:
            self.session = SigningSession(self.key, self.message, tuple(self.commitments.values()))
        except VerificationError:
            # Commitments that cancel out: a chance of 2**-256, and nobody's fault.
            self.round += 1
            self._next_attempt()
            return
        self.step = SigningStep.SHARE
        self.round += 1

    def _take_share(self, member: int, kind: int, payload: bytes) -> None:
        assert self.session is not None, "signers stand in this step"
        one_of(kind, (PostKind.SHARE,), "post in a round of signature shares", ErrorCode.KIND)
        partial = PartialSignature(member, decode_share(payload))
        self.session.check(partial)
        self.partials[member] = partial
        if len(self.partials) == len(self.commitments):
            # Every part was checked, so the sum holds unless the verifying shares are not those of the key.
            try:
                self.signature = self.session.aggregate(tuple(self.partials.values()))
            except VerificationError as error:
                self.fail(f"right parts give no signature: {error}")
                return
            self.step = SigningStep.SIGNED

    def _blame(self, member: int, reason: str) -> None:
        self.culprits[member] = reason
        if self.step is SigningStep.SHARE:
            self._next_attempt()
        else:
            self._check_strength()

    def _next_attempt(self) -> None:
        self.round += 1
        if self.round >= self._last_round:
            self.fail("no round is left for another attempt")
            return
        self.session, self.commitments, self.partials = None, {}, {}
        self.step = SigningStep.COMMIT
        if len(self.key.verifying_shares.keys() - self._barred()) < self.key.threshold:
            self.absent.clear()
        self._check_strength()

    def _check_strength(self) -> None:
        left = self.key.verifying_shares.keys() - self._barred()
        if len(left) < self.key.threshold:
            self.fail(f"{len(left)} holders are left, {self.key.threshold} must sign")

    def _barred(self) -> set[int]:
        return {*self._excluded, *self.culprits, *self.absent}
