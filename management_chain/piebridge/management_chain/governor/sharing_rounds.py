"""A sharing ceremony as every reader of the board sees it (``docs/protocol/governors.md``, section 3)."""

from dataclasses import dataclass
from enum import Enum

from piebridge.crypto.errors import ProtocolError
from piebridge.crypto.threshold.shares import ThresholdKey
from piebridge.crypto.threshold.sharing import Complaint, Dealing, Sharing, UnusableKeyError, verify_transport_key
from piebridge.management_chain.governor.ceremony import Ceremony, CeremonyKind, Epochs
from piebridge.management_chain.governor.posts import Join, PostKind, decode_complaints, decode_dealing
from piebridge.management_chain.governor.signing_rounds import SigningRounds, SigningStep
from piebridge.protocol_stack.codec import one_of
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.management.tags import Place


class SharingStep(Enum):
    """Where a sharing ceremony is."""

    JOIN = "join"
    DEAL = "deal"
    CHECK = "check"
    CONFIRM = "confirm"
    DONE = "done"
    FAILED = "failed"


_ROUNDS = {SharingStep.JOIN: 1, SharingStep.DEAL: 2, SharingStep.CHECK: 3}
_KINDS = {SharingStep.JOIN: PostKind.JOIN, SharingStep.DEAL: PostKind.DEAL, SharingStep.CHECK: PostKind.CHECK}
_CONFIRMATION_ROUND = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """Shares that a ceremony has made."""

    epochs: Epochs
    """Which key, and which sharing of it."""
    ceremony: Ceremony
    """What made them."""
    key: ThresholdKey
    """The key with the verifying shares of its holders."""

    @property
    def holders(self) -> frozenset[int]:
        """Members that hold a share."""
        return frozenset(self.key.verifying_shares)


class SharingRounds:
    """From the first JOIN to shares that have signed."""

    def __init__(self, ceremony: Ceremony, epochs: Epochs, place: Place, previous: Outcome | None) -> None:
        """Begin.

        Args:
            ceremony: as it was opened.
            epochs: those of the shares that it makes.
            place: where the board stands.
            previous: shares that are shared anew; None for a new key.
        """
        self.ceremony = ceremony
        self.epochs = epochs
        self.step = SharingStep.JOIN
        self.context = ceremony.context(place)
        """Binds everything to this ceremony, 32 bytes."""
        self.failure = ""
        """Why it has failed."""
        self.sharing: Sharing | None = None
        """Who takes part, once that stands."""
        self.dealings: dict[int, Dealing] = {}
        """Dealings that count; from CONFIRM on those of the qualified."""
        self.outcome: Outcome | None = None
        """What it makes, from CONFIRM on."""
        self.confirmation: SigningRounds | None = None
        """Signature of the new shares, from CONFIRM on."""
        self._culprits: dict[int, str] = {}
        self._missing: dict[int, str] = {}
        self._place = place
        self.previous = previous
        """Shares that are shared anew; None for a new key."""
        self._transport_keys: dict[int, bytes] = {}
        self._checked: dict[int, tuple[Complaint, ...]] = {}

    @property
    def ended(self) -> bool:
        """Whether it is done or has failed."""
        return self.step in (SharingStep.DONE, SharingStep.FAILED)

    @property
    def round(self) -> int:
        """The round under way."""
        return self.confirmation.round if self.confirmation else _ROUNDS.get(self.step, 0)

    @property
    def culprits(self) -> dict[int, str]:
        """Who sent something wrong, and what."""
        return self._culprits | (self.confirmation.culprits if self.confirmation else {})

    @property
    def absent(self) -> dict[int, str]:
        """Who was silent, and when."""
        late = dict.fromkeys(self.confirmation.absent, "share") if self.confirmation else {}
        return self._missing | late

    def awaited(self) -> frozenset[int]:
        """Return who is to post in this round."""
        if self.step is SharingStep.JOIN:
            candidates = set(self.ceremony.governors.members)
            if self.ceremony.kind is CeremonyKind.REFRESH and self.previous:
                candidates &= self.previous.holders
            posted = set(self._transport_keys)
        elif self.sharing is not None and self.step is SharingStep.DEAL:
            candidates, posted = set(self.sharing.dealers), set(self.dealings)
        elif self.sharing is not None and self.step is SharingStep.CHECK:
            candidates, posted = self._present(), set(self._checked)
        elif self.confirmation is not None:
            return self.confirmation.awaited()
        else:
            return frozenset()
        return frozenset(candidates - posted - self._culprits.keys())

    def take(self, member: int, kind: int, payload: bytes) -> None:
        """Take a post of the round under way; one that is not awaited is ignored."""
        if self.confirmation is not None:
            self.confirmation.take(member, kind, payload)
            self._follow_confirmation()
            return
        if member not in self.awaited():
            return
        try:
            one_of(kind, (_KINDS[self.step],), f"post in the round of {self.step.value}", ErrorCode.KIND)
            if self.step is SharingStep.JOIN:
                self._take_join(member, payload)
            elif self.step is SharingStep.DEAL:
                self._take_dealing(member, payload)
            else:
                self._take_complaints(member, payload)
        except ProtocolError as error:
            self._culprits[member] = str(error)
        if not self.awaited():
            self._end_phase()

    def close_round(self) -> None:
        """Go on without those who are silent: the last block of this round is over."""
        if self.confirmation is not None:
            self.confirmation.close_round()
            self._follow_confirmation()
        elif not self.ended:
            self._missing |= dict.fromkeys(self.awaited(), self.step.value)
            self._end_phase()

    def fail(self, reason: str) -> None:
        """Give up, unless it has ended."""
        if not self.ended:
            self.step, self.failure = SharingStep.FAILED, reason
            if self.confirmation:
                self.confirmation.fail(reason)

    def _take_join(self, member: int, payload: bytes) -> None:
        join = Join.decode(payload)
        verify_transport_key(member, self.context, join.transport_key, join.possession)
        self._transport_keys[member] = join.transport_key

    def _take_dealing(self, member: int, payload: bytes) -> None:
        assert self.sharing is not None, "participants stand in this step"
        dealing = decode_dealing(payload, sorted(self.sharing.transport_keys.keys() - {member}))
        self.sharing.check_dealing(member, dealing)
        self.dealings[member] = dealing

    def _take_complaints(self, member: int, payload: bytes) -> None:
        complaints = decode_complaints(payload)
        for complaint in complaints:
            if complaint.dealer == member or complaint.dealer not in self.dealings:
                raise FormatError(ErrorCode.COUNT, "complaint about somebody who dealt nothing to the accuser")
        self._checked[member] = complaints

    def _end_phase(self) -> None:
        if self.step is SharingStep.JOIN:
            self._end_join()
        elif self.step is SharingStep.DEAL:
            self._end_deal()
        else:
            self._end_check()

    def _end_join(self) -> None:
        governors, previous = self.ceremony.governors, self.previous
        if len(self._transport_keys) < governors.threshold:
            self.fail(f"{len(self._transport_keys)} members take part, {governors.threshold} are needed")
            return
        try:
            self.sharing = Sharing(
                self.ceremony.kind.sharing_kind,
                self.context,
                governors.threshold,
                dict(sorted(self._transport_keys.items())),
                previous.key if previous else None,
            )
        except ProtocolError as error:
            self.fail(str(error))
            return
        self.step = SharingStep.DEAL

    def _end_deal(self) -> None:
        assert self.sharing is not None, "participants stand in this step"
        if len(self.dealings) < self.sharing.dealers_min:
            self.fail(f"{len(self.dealings)} dealers, {self.sharing.dealers_min} are needed")
            return
        self.step = SharingStep.CHECK

    def _end_check(self) -> None:
        assert self.sharing is not None, "participants stand in this step"
        for accuser, complaints in self._checked.items():
            for complaint in complaints:
                culprit = self.sharing.judge(accuser, complaint, self.dealings[complaint.dealer])
                reason = (
                    f"its share for member {accuser} is wrong"
                    if culprit == complaint.dealer
                    else f"its complaint about member {complaint.dealer} is wrong"
                )
                self._culprits.setdefault(culprit, reason)
        qualified = self._checked.keys() - self._culprits.keys()
        self.dealings = {dealer: self.dealings[dealer] for dealer in sorted(self.dealings) if dealer in qualified}
        if len(qualified) < self.sharing.threshold or len(self.dealings) < self.sharing.dealers_min:
            self.fail(f"{len(qualified)} members and {len(self.dealings)} dealers are qualified, too few")
            return
        try:
            key = self.sharing.conclude(self.dealings, qualified)
        except UnusableKeyError as error:
            self.fail(f"{error}; begin anew")
            return
        self.outcome = Outcome(self.epochs, self.ceremony, key)
        digest = self.ceremony.registration_digest(self._place, self.epochs.key, key.public_key)
        self.confirmation = SigningRounds(
            key, digest, excluded={}, first_round=_CONFIRMATION_ROUND, last_round=self.ceremony.rounds
        )
        self.step = SharingStep.CONFIRM

    def _follow_confirmation(self) -> None:
        assert self.confirmation is not None
        if self.confirmation.step is SigningStep.SIGNED:
            self.step = SharingStep.DONE
        elif self.confirmation.step is SigningStep.FAILED:
            self.fail(f"new shares were not confirmed: {self.confirmation.failure}")

    def _present(self) -> set[int]:
        """Who takes part and has done what was awaited so far."""
        assert self.sharing is not None, "participants stand in this step"
        idle = set(self.sharing.dealers) - self.dealings.keys()
        return self._transport_keys.keys() - idle
