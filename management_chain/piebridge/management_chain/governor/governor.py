"""One governor without IO: what it owes the board, decided from the board, its decisions and its secrets.

``receive`` takes what the board shows, ``effects`` says what to do now. The shell carries effects out in order and
stops for good when a write fails. Everything is decided anew from the state each time, so a governor that was killed
anywhere goes on from its store and the board: what it still owes is what the board does not show.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from piebridge.crypto.errors import ProtocolError
from piebridge.crypto.hash import sha256
from piebridge.crypto.threshold.shares import KeyShare
from piebridge.crypto.threshold.sharing import ParticipantSecrets, Sharing
from piebridge.crypto.threshold.signing import (
    ENTROPY_LENGTH,
    SigningCommitment,
    SigningNonces,
    commitment_of,
    generate_nonces,
    sign_partially,
)
from piebridge.management_chain.governor.board_view import BoardView, CeremonyState
from piebridge.management_chain.governor.ceremony import CeremonyKind, Epochs, GovernorSet
from piebridge.management_chain.governor.decisions import DecidedMessage, DecisionSource
from piebridge.management_chain.governor.effects import (
    BoardEffect,
    ConfirmKey,
    Declare,
    Deliver,
    Effect,
    EraseShare,
    ForgetCeremony,
    KeepNonces,
    KeepSeed,
    KeepShare,
    Open,
    Publish,
    RegisterFirstKey,
    ShareName,
    StoreEffect,
    UseNonces,
)
from piebridge.management_chain.governor.events import BoardEvent
from piebridge.management_chain.governor.posts import Commit, Join, PostKind, encode_complaints, encode_dealing
from piebridge.management_chain.governor.posts import encode_share as encode_share_post
from piebridge.management_chain.governor.secrets import Secrets, UsedNonces
from piebridge.management_chain.governor.sharing_rounds import Outcome, SharingRounds, SharingStep
from piebridge.management_chain.governor.signing_rounds import SigningRounds, SigningStep
from piebridge.protocol_stack.errors import FormatError

Entropy = Callable[[int], bytes]
"""Gives that many fresh random bytes."""


@dataclass(frozen=True, slots=True)
class GovernorSettings:
    """What all governors of a network have agreed on; a ceremony with other numbers is not taken part in."""

    round_blocks: int = 30
    """Blocks of a round: how long those who are silent are waited for."""
    turn_blocks: int = 10
    """Blocks for which it is one governor's turn to open what is due."""
    retry_blocks: int = 3
    """Blocks after which a transaction that the board does not show is sent again."""
    sharing_rounds: int = 7
    """Rounds of a sharing ceremony."""
    signing_rounds: int = 8
    """Rounds of a signing."""

    def rounds(self, kind: CeremonyKind) -> int:
        """Return the number of rounds of a kind of ceremony."""
        return self.signing_rounds if kind is CeremonyKind.SIGNING else self.sharing_rounds


class Governor:
    """What one governor does."""

    def __init__(
        self,
        account: bytes,
        view: BoardView,
        secrets: Secrets,
        decisions: DecisionSource,
        settings: GovernorSettings,
        entropy: Entropy,
    ) -> None:
        """Begin, or go on after a restart.

        Args:
            account: of this governor on the management chain, 20 bytes.
            view: the board as far as it was read; this governor feeds it from now on.
            secrets: as its store holds them.
            decisions: what may be signed and taken part in.
            settings: what all governors have agreed on.
            entropy: source of fresh random bytes.
        """
        self.account = account
        self.view = view
        self.secrets = secrets
        self.problems: dict[int, str] = {}
        """Ceremonies in which this governor cannot do its part, and why."""
        self._decisions = decisions
        self._settings = settings
        self._entropy = entropy
        self._sent: dict[BoardEffect, int] = {}
        self._made: dict[tuple[int, int], Publish] = {}
        self._delivered: set[bytes] = set()

    def receive(self, event: BoardEvent) -> None:
        """Take the next event of the board.

        Raises:
            VerificationError: it is not the board that it was.
        """
        self.view.apply(event)

    def advance(self, height: int) -> None:
        """Say that every event up to this height, inclusive, was given."""
        self.view.advance(height)

    def effects(self) -> Iterator[Effect]:
        """Yield what to do now, in order. A write takes effect here when the next item is asked for."""
        for effect in self._all_effects():
            if isinstance(effect, StoreEffect):
                yield effect
                self.secrets.apply(effect)
            elif isinstance(effect, Deliver):
                if effect.message.digest not in self._delivered:
                    self._delivered.add(effect.message.digest)
                    yield effect
            elif self._is_due(effect):
                self._sent[effect] = self.view.height
                yield effect

    def due_messages(self) -> dict[bytes, DecidedMessage]:
        """Return what this governor is ready to sign with the present key, by digest."""
        due = {}
        for message in self._decisions.messages():
            if message.key_epoch != self.view.key_epoch:
                continue
            try:
                message.decode_body()
            except FormatError:
                continue  # a decision that no target could execute is not worth a signature
            due[message.digest] = message
        return due

    def _is_due(self, effect: BoardEffect) -> bool:
        sent = self._sent.get(effect)
        return sent is None or self.view.height >= sent + self._settings.retry_blocks

    def _all_effects(self) -> Iterator[Effect]:
        messages = self.due_messages()
        yield from self._clean_up()
        for state in list(self.view.under_way.values()):
            yield from self._take_part(state, messages)
        yield from self._confirm_keys()
        yield from self._open_what_is_due(messages)
        for digest, message in messages.items():
            if digest in self.view.signatures:
                signature = self.view.signatures[digest]
                yield Deliver(message.signed(lambda _, signature=signature: signature))  # type: ignore[misc]

    # ---------------------------------------------------------------------------------------------------- taking part

    def _take_part(self, state: CeremonyState, messages: dict[bytes, DecidedMessage]) -> Iterator[Effect]:
        ceremony, rounds = state.ceremony, state.rounds
        member = ceremony.governors.member_of(self.account)
        if member is None or member not in rounds.awaited() or not self._agreed(state, messages):
            return
        place = (ceremony.number, rounds.round)
        if place in self._made:
            yield self._made[place]
            return
        try:
            for effect in self._post(state, member):
                if isinstance(effect, Publish):
                    self._made[place] = effect
                yield effect
            self.problems.pop(ceremony.number, None)
        except ProtocolError as error:
            self.problems[ceremony.number] = str(error)

    def _post(self, state: CeremonyState, member: int) -> Iterator[Effect]:
        ceremony, rounds = state.ceremony, state.rounds
        if isinstance(rounds, SigningRounds):
            assert state.signer is not None, "a signing has shares that sign"
            yield from self._sign(ceremony.number, rounds, self._share_of(state.signer))
        else:
            yield from self._share(ceremony.number, member, rounds)

    def _agreed(self, state: CeremonyState, messages: dict[bytes, DecidedMessage]) -> bool:
        """Return whether decisions demand this ceremony and it is run as agreed."""
        ceremony = state.ceremony
        if (ceremony.rounds, ceremony.round_blocks) != (
            self._settings.rounds(ceremony.kind),
            self._settings.round_blocks,
        ):
            return False
        if ceremony.kind is CeremonyKind.SIGNING:
            return ceremony.subject in messages
        return any(
            (wanted.kind, wanted.governors, wanted.epochs.encode())
            == (ceremony.kind, ceremony.governors, ceremony.subject)
            for wanted in self._decisions.sharings()
        )

    def _share(self, number: int, member: int, rounds: SharingRounds) -> Iterator[Effect]:
        present = self._present_share(rounds, member)
        if number not in self.secrets.seeds:
            if rounds.step is not SharingStep.JOIN:
                raise _lost("the seed of this ceremony")
            yield KeepSeed(number, self._entropy(ENTROPY_LENGTH))
        secrets = ParticipantSecrets(member, rounds.context, self.secrets.seeds[number])
        if rounds.step is SharingStep.JOIN:
            join = Join(secrets.transport_key, secrets.prove_transport_key())
            yield Publish(number, rounds.round, PostKind.JOIN, join.encode())
            return
        assert rounds.sharing is not None, "participants stand after JOIN"
        if rounds.sharing.transport_keys[member] != secrets.transport_key:
            raise _lost("the seed that it took part with")
        if rounds.step is SharingStep.DEAL:
            dealing = rounds.sharing.deal(secrets, present)
            yield Publish(number, rounds.round, PostKind.DEAL, encode_dealing(dealing))
        elif rounds.step is SharingStep.CHECK:
            payload = encode_complaints(
                [
                    rounds.sharing.complain(secrets, dealer)
                    for dealer in sorted(rounds.dealings)
                    if dealer != member and not _is_right(rounds.sharing, secrets, rounds, dealer)
                ]
            )
            yield Publish(number, rounds.round, PostKind.CHECK, payload)
        elif rounds.step is SharingStep.CONFIRM:
            assert rounds.outcome is not None, "shares stand after CHECK"
            assert rounds.confirmation is not None, "and sign"
            name = _name(rounds.outcome)
            if name not in self.secrets.shares:
                share = rounds.sharing.key_share(secrets, rounds.dealings, rounds.outcome.key, present)
                yield KeepShare(name, share)
            yield from self._sign(number, rounds.confirmation, self.secrets.shares[name])

    def _present_share(self, rounds: SharingRounds, member: int) -> KeyShare | None:
        previous = rounds.previous
        if previous is None or member not in previous.holders:
            return None
        return self._share_of(previous)

    def _share_of(self, outcome: Outcome) -> KeyShare:
        share = self.secrets.shares.get(_name(outcome))
        if share is None:
            raise _lost(f"the share of key epoch {outcome.epochs.key}, share epoch {outcome.epochs.share}")
        return share

    def _sign(self, number: int, rounds: SigningRounds, share: KeyShare) -> Iterator[Effect]:
        if rounds.step is SigningStep.COMMIT:
            place = (number, rounds.round)
            if place not in self.secrets.nonces:
                nonces, _ = generate_nonces(
                    share,
                    hiding_entropy=self._entropy(ENTROPY_LENGTH),
                    binding_entropy=self._entropy(ENTROPY_LENGTH),
                )
                yield KeepNonces(number, rounds.round, nonces)
            kept = self.secrets.nonces[place]
            if not isinstance(kept, SigningNonces):
                raise _lost("nonces that are not used yet")
            commitment = commitment_of(share.identifier, kept)
            payload = Commit(commitment.hiding, commitment.binding).encode()
            yield Publish(number, rounds.round, PostKind.COMMIT, payload)
        elif rounds.step is SigningStep.SHARE:
            yield from self._sign_partially(number, rounds, share)

    def _sign_partially(self, number: int, rounds: SigningRounds, share: KeyShare) -> Iterator[Effect]:
        place = (number, rounds.round - 1)
        session = session_digest(rounds.message, rounds.attempt)
        kept = self.secrets.nonces.get(place)
        if kept is None:
            raise _lost("the nonces of this attempt")
        if isinstance(kept, SigningNonces):
            partial = sign_partially(share, kept, rounds.message, rounds.attempt)
            yield UseNonces(*place, session, partial.z)
            z = partial.z
        elif isinstance(kept, UsedNonces) and kept.session == session:
            z = kept.z
        else:
            raise _lost("nonces of this attempt that were not used for another one")
        yield Publish(number, rounds.round, PostKind.SHARE, encode_share_post(z))

    # ------------------------------------------------------------------------------------------------------- openings

    def _open_what_is_due(self, messages: dict[bytes, DecidedMessage]) -> Iterator[Effect]:
        shares = self.view.shares
        if shares is not None:
            governors = shares.ceremony.governors
            for digest in messages:
                if digest not in self.view.signatures and self._is_my_turn(governors):
                    yield from self._open(CeremonyKind.SIGNING, governors, digest)
        for wanted in self._decisions.sharings():
            openers = wanted.governors if shares is None else shares.ceremony.governors
            if self._is_wanted_now(wanted.kind, wanted.epochs) and self._is_my_turn(openers):
                if wanted.governors.hash in self.view.sets:
                    yield from self._open(wanted.kind, wanted.governors, wanted.epochs.encode())
                else:
                    yield Declare(wanted.governors)

    def _is_wanted_now(self, kind: CeremonyKind, epochs: Epochs) -> bool:
        shares = self.view.shares
        if kind is CeremonyKind.KEY_GENERATION:
            wanted = Epochs(self.view.key_epoch + 1, 1)
        elif shares is not None:
            wanted = Epochs(shares.epochs.key, shares.epochs.share + 1)
        else:
            return False
        done = any((made.ceremony.kind, made.epochs) == (kind, epochs) for made in self.view.made.values())
        return epochs == wanted and not done

    def _open(self, kind: CeremonyKind, governors: GovernorSet, subject: bytes) -> Iterator[Effect]:
        rounds, round_blocks = self._settings.rounds(kind), self._settings.round_blocks
        wanted = (kind, governors, subject, rounds, round_blocks)
        for state in self.view.under_way.values():
            each = state.ceremony
            if (each.kind, each.governors, each.subject, each.rounds, each.round_blocks) == wanted:
                return
        yield Open(*wanted)

    def _is_my_turn(self, governors: GovernorSet) -> bool:
        member = governors.member_of(self.account)
        turn = self.view.height // self._settings.turn_blocks % len(governors.accounts)
        return member == turn + 1

    # ------------------------------------------------------------------------------------------- keys, ends of ceremony

    def _confirm_keys(self) -> Iterator[Effect]:
        for number, made in self.view.made.items():
            if _name(made) not in self.secrets.shares:
                continue
            yield ConfirmKey(number, made.key.public_key)
            if self.view.key_epoch == 0 and self._is_my_turn(made.ceremony.governors):
                yield RegisterFirstKey(number, made.key.public_key, self.view.registration_signature(number))

    def _clean_up(self) -> Iterator[Effect]:
        """Erase what has served: only on evidence of the board, never because something is not there."""
        ended = self.view.ended
        for number in sorted({*self.secrets.seeds, *(number for number, _ in self.secrets.nonces)}):
            if number in ended:
                yield ForgetCeremony(number)
        for name in sorted(self.secrets.shares):
            current = self.view.current.get(name.key_epoch)
            failed = name.ceremony in ended and ended[name.ceremony].rounds.step is SharingStep.FAILED
            superseded = (
                current is not None
                and name.ceremony in ended
                and name.ceremony not in self.view.made
                and name.ceremony != current.ceremony.number
            )
            if failed or superseded or self._decisions.is_retired(name.key_epoch):
                yield EraseShare(name)


def session_digest(message: bytes, commitments: tuple[SigningCommitment, ...]) -> bytes:
    """Return what names one attempt: the message and the commitments of all signers, 32 bytes."""
    encoded = b"".join(each.identifier.to_bytes(32, "big") + each.hiding + each.binding for each in commitments)
    return sha256(sha256(message) + encoded)


def _is_right(sharing: Sharing, secrets: ParticipantSecrets, rounds: SharingRounds, dealer: int) -> bool:
    try:
        sharing.receive(secrets, dealer, rounds.dealings[dealer])
    except ProtocolError:
        return False
    return True


def _name(outcome: Outcome) -> ShareName:
    return ShareName(outcome.epochs.key, outcome.epochs.share, outcome.ceremony.number)


def _lost(what: str) -> ProtocolError:
    return ProtocolError(f"this governor does not have {what}; the others go on without it")
