"""The board as every reader sees it: sets, ceremonies, current shares. A function of events and block heights alone."""

from dataclasses import dataclass
from typing import TypeAlias

from piebridge.crypto.errors import VerificationError
from piebridge.management_chain.governor.ceremony import ROUND_BLOCKS_MAX, Ceremony, CeremonyKind, Epochs, GovernorSet
from piebridge.management_chain.governor.events import (
    BoardEvent,
    CeremonyOpened,
    KeyRegistered,
    Posted,
    SetAdopted,
    SetDeclared,
)
from piebridge.management_chain.governor.sharing_rounds import Outcome, SharingRounds, SharingStep
from piebridge.management_chain.governor.signing_rounds import SigningRounds, SigningStep
from piebridge.protocol_stack.management.tags import Place

Rounds: TypeAlias = SigningRounds | SharingRounds


@dataclass(slots=True)
class CeremonyState:
    """A ceremony that readers follow."""

    ceremony: Ceremony
    """As it was opened."""
    rounds: Rounds
    """Where it is."""
    signer: Outcome | None = None
    """The shares that sign, in a signing."""

    @property
    def deadline(self) -> int:
        """Last height of the round under way."""
        return self.ceremony.last_height(self.rounds.round)


class BoardView:
    """What follows from the board."""

    def __init__(self, place: Place) -> None:
        """Begin with an empty board."""
        self.place = place
        self.height = 0
        """Height up to which it was followed."""
        self.sets: dict[bytes, GovernorSet] = {}
        """Declared sets by hash."""
        self.under_way: dict[int, CeremonyState] = {}
        """Ceremonies that have not ended, by number, ascending."""
        self.ended: dict[int, CeremonyState] = {}
        """Ceremonies that have."""
        self.current: dict[int, Outcome] = {}
        """Current shares of each registered key, by key epoch."""
        self.made: dict[int, Outcome] = {}
        """Shares that have signed and wait for the board: of new keys, of resharings; by ceremony."""
        self.signatures: dict[bytes, bytes] = {}
        """Signatures that were made (65 bytes), by digest."""
        self.excluded: dict[int, dict[int, str]] = {}
        """Culprits of signings with the shares that a ceremony made, and what they did, by the number of that one."""

    @property
    def key_epoch(self) -> int:
        """Epoch of the governor key, 0 while there is none."""
        return max(self.current, default=0)

    @property
    def shares(self) -> Outcome | None:
        """Current shares of the governor key, None while there is none."""
        return self.current.get(self.key_epoch)

    def registration_signature(self, ceremony: int) -> bytes:
        """Return the signature of new shares over their registration, 65 bytes.

        Args:
            ceremony: one of :attr:`made`.
        """
        rounds = self.ended[ceremony].rounds
        assert isinstance(rounds, SharingRounds), "only a sharing makes shares"
        assert rounds.confirmation is not None, "a sharing ends well with its confirmation"
        assert rounds.confirmation.signature is not None, "likewise"
        return rounds.confirmation.signature

    def apply(self, event: BoardEvent) -> None:
        """Take the next event of the chain.

        Raises:
            VerificationError: the board has registered a key that no ceremony made: it is not the board that it was.
        """
        match event:
            case SetDeclared(governors):
                self.sets[governors.hash] = governors
            case CeremonyOpened():
                self.advance(event.height - 1)
                self._open(event)
            case Posted():
                self._take(event)
            case KeyRegistered():
                self._register(event)
            case SetAdopted():
                self._adopt(event)

    def advance(self, height: int) -> None:
        """Say that all events up to this height, inclusive, were applied: a round whose last block it is is over."""
        for state in list(self.under_way.values()):
            while state.ceremony.number in self.under_way and state.deadline <= height:
                state.rounds.close_round()
                self._settle(state)
        self.height = max(self.height, height)

    def _open(self, event: CeremonyOpened) -> None:
        governors = self.sets.get(event.set_hash)
        if governors is None or not 1 <= event.round_blocks <= ROUND_BLOCKS_MAX:
            return
        try:
            kind = CeremonyKind(event.kind)
        except ValueError:
            return
        if event.rounds not in kind.rounds_allowed:
            return
        ceremony = Ceremony(
            event.ceremony, kind, governors, event.subject, event.rounds, event.round_blocks, event.height
        )
        state = self._begin(ceremony)
        if state is not None:
            self.under_way[ceremony.number] = state
            self._settle(state)

    def _begin(self, ceremony: Ceremony) -> CeremonyState | None:
        shares, governors = self.shares, ceremony.governors
        if ceremony.kind is CeremonyKind.KEY_GENERATION:
            epochs = Epochs(self.key_epoch + 1, 1)
            if ceremony.subject != epochs.encode():
                return None
            return CeremonyState(ceremony, SharingRounds(ceremony, epochs, self.place, None))
        if shares is None:
            return None
        present = shares.ceremony.governors
        if ceremony.kind is CeremonyKind.SIGNING:
            if governors != present:
                return None
            excluded = self.excluded.get(shares.ceremony.number, {})
            rounds = SigningRounds(
                shares.key, ceremony.subject, excluded=excluded, first_round=1, last_round=ceremony.rounds
            )
            return CeremonyState(ceremony, rounds, shares)
        epochs = next_shares(shares.epochs)
        fits = governors == present
        if ceremony.kind is CeremonyKind.RESHARING:
            fits = governors.accounts[: len(present.accounts)] == present.accounts
        if not fits or ceremony.subject != epochs.encode():
            return None
        return CeremonyState(ceremony, SharingRounds(ceremony, epochs, self.place, shares))

    def _take(self, event: Posted) -> None:
        self.advance(event.height - 1)
        state = self.under_way.get(event.ceremony)
        if state is None or event.round != state.rounds.round:
            return
        state.rounds.take(event.member, event.kind, event.payload)
        self._settle(state)

    def _register(self, event: KeyRegistered) -> None:
        outcome = self.made.get(event.ceremony)
        if (
            outcome is None
            or (outcome.key.public_key, outcome.epochs.key) != (event.group_key, event.key_epoch)
            or event.key_epoch != self.key_epoch + 1
        ):
            raise VerificationError(
                f"the board registered a key of ceremony {event.ceremony} that the ceremony did not make; "
                "check which board and which chain this is",
                expected=outcome and outcome.key.public_key,
                actual=event.group_key,
            )
        self._activate(outcome)
        self.made = {number: made for number, made in self.made.items() if made.epochs.key > event.key_epoch}

    def _adopt(self, event: SetAdopted) -> None:
        outcome = self.made.get(event.ceremony)
        if outcome is None or outcome.epochs.key != event.key_epoch or event.key_epoch != self.key_epoch:
            raise VerificationError(
                f"the board adopted a set for ceremony {event.ceremony} that has not shared its key; "
                "check which board and which chain this is",
                expected=self.key_epoch,
                actual=event.key_epoch,
            )
        self._activate(outcome)
        self.made = {number: made for number, made in self.made.items() if made.epochs.key > event.key_epoch}

    def _activate(self, outcome: Outcome) -> None:
        self.current[outcome.epochs.key] = outcome
        for state in list(self.under_way.values()):
            if isinstance(state.rounds, SharingRounds):
                superseded = (state.rounds.epochs.key, state.rounds.epochs.share) <= (
                    outcome.epochs.key,
                    outcome.epochs.share,
                )
            else:
                superseded = True
            if superseded:
                state.rounds.fail("other shares are the current ones by now")
                self._settle(state)

    def _settle(self, state: CeremonyState) -> None:
        rounds = state.rounds
        if isinstance(rounds, SharingRounds):
            makers, culprits = rounds.outcome, rounds.confirmation.culprits if rounds.confirmation else {}
        else:
            makers, culprits = state.signer, rounds.culprits
        if makers is not None and culprits:
            self.excluded.setdefault(makers.ceremony.number, {}).update(culprits)
        if not rounds.ended or state.ceremony.number not in self.under_way:
            return
        self.ended[state.ceremony.number] = self.under_way.pop(state.ceremony.number)
        if isinstance(rounds, SigningRounds):
            if rounds.step is SigningStep.SIGNED and rounds.signature is not None:
                self.signatures[rounds.message] = rounds.signature
        elif rounds.step is SharingStep.DONE and rounds.outcome is not None:
            if state.ceremony.kind is CeremonyKind.REFRESH:
                self._activate(rounds.outcome)
            else:
                self.made[state.ceremony.number] = rounds.outcome


def next_shares(epochs: Epochs) -> Epochs:
    """Return the epochs of the next sharing of the same key."""
    return Epochs(epochs.key, epochs.share + 1)
