"""A world of governors: a board with the rules of the contract, governors with disks, decisions, blocks; no clock.

Every governor sees the board only through blocks. A test may tamper with what somebody posts, stop and start
governors, and end one in the middle of its effects.
"""

import random
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field

from piebridge.crypto.errors import PermanentChainError, ProtocolError
from piebridge.crypto.hash import keccak256
from piebridge.crypto.threshold.verification import verify
from piebridge.management_chain.governor.board_view import BoardView
from piebridge.management_chain.governor.ceremony import CeremonyKind, Epochs, GovernorSet
from piebridge.management_chain.governor.decisions import DecidedMessage, WantedSharing
from piebridge.management_chain.governor.effects import (
    BoardEffect,
    ConfirmKey,
    Declare,
    Deliver,
    Effect,
    Open,
    Publish,
    RegisterFirstKey,
    StoreEffect,
)
from piebridge.management_chain.governor.events import (
    BoardEvent,
    CeremonyOpened,
    KeyRegistered,
    Posted,
    SetAdopted,
    SetDeclared,
)
from piebridge.management_chain.governor.governor import Governor, GovernorSettings
from piebridge.management_chain.governor.posts import PAYLOAD_MAX
from piebridge.management_chain.governor.secrets import Secrets
from piebridge.protocol_stack.governor_hub_bodies import NoOp
from piebridge.protocol_stack.governor_messages import GovernorMessage, TargetKind
from piebridge.protocol_stack.management.tags import Place

PLACE = Place(1_337, b"\xb0" * 20)
SETTINGS = GovernorSettings(round_blocks=6, turn_blocks=2, retry_blocks=2)
Tamper = Callable[[int, Publish], Publish | None]
"""Changes what governor i (from 1) posts; None swallows it."""


def account(number: int) -> bytes:
    return keccak256(b"governor %d" % number)[:20]


def message(counter: int, key_epoch: int = 1) -> GovernorMessage:
    return GovernorMessage(TargetKind.HUB, 3, 7, key_epoch, NoOp.KIND, b"\x11" * 20, counter, b"")


@dataclass
class Decisions:
    """What is decided; tests change it, and all governors that share it see it at once."""

    due: list[DecidedMessage] = field(default_factory=list)
    wanted: list[WantedSharing] = field(default_factory=list)
    retired: set[int] = field(default_factory=set)

    def messages(self) -> list[DecidedMessage]:
        return self.due

    def sharings(self) -> list[WantedSharing]:
        return self.wanted

    def is_retired(self, key_epoch: int) -> bool:
        return key_epoch in self.retired


class BoardModel:
    """The contract, in memory: its rules in the order of calls, its events by block."""

    def __init__(self, place: Place = PLACE) -> None:
        self.place = place
        self.height = 0
        self.events: list[tuple[int, BoardEvent]] = []
        self._sets: dict[bytes, GovernorSet] = {}
        self._ceremonies: dict[int, tuple[GovernorSet, CeremonyOpened]] = {}
        self._posted: set[tuple[int, int, int]] = set()
        self._confirmed: dict[tuple[int, bytes], set[int]] = {}
        self.key_epoch = 0

    def submit(self, sender: bytes, effect: BoardEffect) -> None:
        """Execute a transaction in the block under way.

        Raises:
            PermanentChainError: the contract refuses.
        """
        match effect:
            case Declare(governors):
                self._require(governors.hash not in self._sets, "SetKnown")
                self._sets[governors.hash] = governors
                self._emit(SetDeclared(governors))
            case Open():
                self._open(effect)
            case Publish():
                self._post(sender, effect)
            case ConfirmKey():
                governors, _ = self._ceremony(effect.ceremony)
                confirmed = self._confirmed.setdefault((effect.ceremony, effect.group_key), set())
                confirmed.add(self._member(governors, sender))
            case RegisterFirstKey():
                self._register(effect.ceremony, effect.group_key, effect.signature, 1)

    def rotate(self, ceremony: int, group_key: bytes, signature: bytes) -> None:
        """Register the next key, as the message ROTATE of the old one does."""
        self._register(ceremony, group_key, signature, self.key_epoch + 1)

    def adopt(self, ceremony: int, group_key: bytes) -> None:
        """Make the members of a resharing the current set, as the message RESHARED does."""
        self._require_confirmed(ceremony, group_key)
        self._emit(SetAdopted(ceremony, self.key_epoch))

    def _require_confirmed(self, ceremony: int, group_key: bytes) -> None:
        governors, _ = self._ceremony(ceremony)
        confirmed = len(self._confirmed.get((ceremony, group_key), ()))
        self._require(confirmed * 3 > 2 * len(governors.accounts), "TooFewConfirmations")

    def _open(self, effect: Open) -> None:
        self._require(effect.governors.hash in self._sets, "SetUnknown")
        self._require(1 <= effect.rounds <= 8 and 1 <= effect.round_blocks <= 7_200, "MalformedCeremony")
        number = len(self._ceremonies) + 1
        opened = CeremonyOpened(
            number,
            effect.kind,
            effect.governors.hash,
            effect.subject,
            effect.rounds,
            effect.round_blocks,
            self.height + 1,
        )
        self._ceremonies[number] = (effect.governors, opened)
        self._emit(opened)

    def _post(self, sender: bytes, effect: Publish) -> None:
        governors, opened = self._ceremony(effect.ceremony)
        member = self._member(governors, sender)
        self._require(1 <= effect.round <= opened.rounds, "NoRound")
        self._require(self.height + 1 <= opened.height + effect.round * opened.round_blocks, "RoundOver")
        self._require(len(effect.payload) <= PAYLOAD_MAX, "PayloadTooLong")
        place = (effect.ceremony, effect.round, member)
        self._require(place not in self._posted, "PostedBefore")
        self._posted.add(place)
        self._emit(Posted(effect.ceremony, effect.round, effect.kind, member, effect.payload, self.height + 1))

    def _register(self, ceremony: int, group_key: bytes, signature: bytes, epoch: int) -> None:
        self._require(epoch == self.key_epoch + 1, "KeyRegisteredBefore")
        self._require_confirmed(ceremony, group_key)
        view = BoardView(self.place)
        for _, event in self.events:
            view.apply(event)
        digest = view.ended[ceremony].ceremony.registration_digest(self.place, epoch, group_key)
        try:
            verify(signature, digest, group_key)
        except ProtocolError as error:
            raise PermanentChainError("WrongKeySignature") from error
        self.key_epoch = epoch
        self._emit(KeyRegistered(ceremony, epoch, group_key))

    def _ceremony(self, number: int) -> tuple[GovernorSet, CeremonyOpened]:
        self._require(number in self._ceremonies, "NoCeremony")
        return self._ceremonies[number]

    def _member(self, governors: GovernorSet, sender: bytes) -> int:
        member = governors.member_of(sender)
        if member is None:
            raise PermanentChainError("NotAGovernor")
        return member

    def _emit(self, event: BoardEvent) -> None:
        self.events.append((self.height + 1, event))

    @staticmethod
    def _require(condition: bool, error: str) -> None:
        if not condition:
            raise PermanentChainError(error)


class Seat:
    """One governor with its disk; it may be down."""

    def __init__(self, world: "World", number: int) -> None:
        self.world = world
        self.number = number
        self.disk = Secrets()
        self.governor: Governor | None = None
        self.delivered: list[DecidedMessage] = []
        self.shown: list[Publish] = []
        """What it has sent, also what was lost or refused."""
        self.watch: Callable[[Effect], None] = lambda effect: None
        """Sees every effect before it is carried out."""
        self.fuse: int | None = None
        """After so many effects it dies, before the next."""
        self.revives = False
        """Whether it starts again after its death."""
        self.loses = False
        """Whether what it had sent in the moment of its death is lost."""
        self.deaths = 0
        self._read = 0
        self.start()

    def start(self) -> None:
        """Start from the disk and the board."""
        self.governor = Governor(
            account(self.number),
            BoardView(self.world.board.place),
            deepcopy(self.disk),
            self.world.decisions,
            self.world.settings,
            self.world.random.randbytes,
        )
        self._read = 0
        self.catch_up()

    def stop(self) -> None:
        self.governor = None

    def catch_up(self) -> None:
        if self.governor is None:
            return
        events = self.world.board.events
        for _, event in events[self._read :]:
            self.governor.receive(event)
        self._read = len(events)
        self.governor.advance(self.world.board.height)

    def act(self) -> None:
        """Carry out what is due, in order; the fuse ends it before the effect at which it is burnt down."""
        if self.governor is None and self.revives:
            self.start()
        if self.governor is None:
            return
        for effect in self.governor.effects():
            if self.fuse == 0:
                self.fuse = None
                self.deaths += 1
                if self.loses:
                    self.world.mempool = [sent for sent in self.world.mempool if sent[0] != self.number]
                self.stop()
                return
            if self.fuse is not None:
                self.fuse -= 1
            self.watch(effect)
            self._carry_out(effect)

    def _carry_out(self, effect: Effect) -> None:
        if isinstance(effect, StoreEffect):
            self.disk.apply(effect)
        elif isinstance(effect, Deliver):
            self.delivered.append(effect.message)
        else:
            self.world.send(self.number, effect)
            if isinstance(effect, Publish):
                self.shown.append(effect)


class World:
    """Governors 1 to n around a board."""

    def __init__(
        self, governors: int, threshold: int, *, seed: int = 1, spare: int = 0, settings: GovernorSettings = SETTINGS
    ) -> None:
        """Place governors, and ``spare`` more that are in no set yet."""
        self.random = random.Random(seed)
        self.board = BoardModel()
        self.settings = settings
        self.decisions = Decisions()
        self.founders = GovernorSet(threshold, tuple(map(account, range(1, governors + 1))))
        self.tamper: Tamper | None = None
        self.first = 0
        """Whose transactions stand first in every block."""
        self.mempool: list[tuple[int, BoardEffect]] = []
        self.refusals: list[str] = []
        self.seats = {number: Seat(self, number) for number in range(1, governors + spare + 1)}

    @property
    def view(self) -> BoardView:
        """The board as a reader sees it that was never away."""
        view = BoardView(self.board.place)
        for _, event in self.board.events:
            view.apply(event)
        view.advance(self.board.height)
        return view

    def send(self, number: int, effect: BoardEffect) -> None:
        if isinstance(effect, Publish) and self.tamper:
            changed = self.tamper(number, effect)
            if changed is None:
                return
            effect = changed
        self.mempool.append((number, effect))

    def block(self) -> None:
        """Execute what was sent, in any order, and show the block to everybody."""
        self.random.shuffle(self.mempool)
        self.mempool.sort(key=lambda sent: sent[0] != self.first)
        for number, effect in self.mempool:
            try:
                self.board.submit(account(number), effect)
            except PermanentChainError as error:
                self.refusals.append(str(error))
        self.mempool = []
        self.board.height += 1
        for seat in self.seats.values():
            seat.catch_up()

    def step(self) -> None:
        """Let everybody act once, then make a block."""
        for seat in self.seats.values():
            seat.act()
        self.block()

    def run(self, until: Callable[[], bool], *, blocks: int = 400) -> int:
        """Make blocks until something is so; return how many it took.

        Raises:
            AssertionError: it never was.
        """
        for made in range(blocks):
            if until():
                return made
            self.step()
        raise AssertionError(f"not so after {blocks} blocks")

    # ----------------------------------------------------------------------------------------------- what tests ask for

    def decide_first_key(self) -> None:
        self.decisions.wanted = [WantedSharing(CeremonyKind.KEY_GENERATION, self.founders, Epochs(1, 1))]

    def decide(self, kind: CeremonyKind, governors: GovernorSet | None = None) -> None:
        """Decide the next sharing of the present set, or of another."""
        shares = self.any_view().shares
        assert shares is not None
        epochs = Epochs(shares.epochs.key, shares.epochs.share + 1)
        if kind is CeremonyKind.KEY_GENERATION:
            epochs = Epochs(shares.epochs.key + 1, 1)
        self.decisions.wanted = [WantedSharing(kind, governors or shares.ceremony.governors, epochs)]

    def any_view(self) -> BoardView:
        """Return the view of a governor that is up."""
        return next(seat.governor.view for seat in self.seats.values() if seat.governor)

    def make_first_key(self) -> bytes:
        """Run the first key generation; return the key."""
        self.decide_first_key()
        self.run(lambda: self.any_view().shares is not None)
        shares = self.any_view().shares
        assert shares is not None
        return shares.key.public_key

    def sign(self, *messages: GovernorMessage, blocks: int = 400) -> int:
        """Decide messages and wait until all are signed; return the blocks that it took."""
        self.decisions.due.extend(messages)
        return self.run(lambda: self.is_signed(*messages), blocks=blocks)

    def reshare(self, governors: GovernorSet) -> None:
        """Decide a resharing, wait for it, let its members confirm, and have the board adopt it."""
        self.decide(CeremonyKind.RESHARING, governors)
        self.run(lambda: bool(self.any_view().made))
        [(number, made)] = self.any_view().made.items()
        self.run(lambda: self._is_adopted(number, made.key.public_key))

    def _is_adopted(self, ceremony: int, group_key: bytes) -> bool:
        try:
            self.board.adopt(ceremony, group_key)
        except PermanentChainError:
            return False
        self.block()
        return True

    def is_signed(self, *messages: GovernorMessage) -> bool:
        return all(each.digest in self.any_view().signatures for each in messages)

    def culprits(self) -> dict[int, set[int]]:
        """Return whom the board names, by ceremony."""
        view = self.any_view()
        states = {**view.ended, **view.under_way}
        return {number: set(state.rounds.culprits) for number, state in states.items() if state.rounds.culprits}


def bytes_of_secrets(seats: Iterable[Seat]) -> list[bytes]:
    """Return every secret of these governors as bytes."""
    found = []
    for seat in seats:
        found += [share.secret.to_bytes(32, "big") for share in seat.disk.shares.values()]
        found += list(seat.disk.seeds.values())
    return found
