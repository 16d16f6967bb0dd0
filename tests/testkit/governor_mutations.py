"""Runs in which one governor sends one bad value, in any round of any ceremony: who is named, and what is made."""

import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from piebridge.crypto.errors import PermanentChainError
from piebridge.crypto.signature import GROUP_ORDER
from piebridge.crypto.threshold.ciphersuite import base_times, encode_element, encode_scalar
from piebridge.crypto.threshold.sharing import Complaint, ParticipantSecrets
from piebridge.crypto.threshold.transport import agree, seal_share
from piebridge.crypto.threshold.verification import verify
from piebridge.management_chain.governor.ceremony import CeremonyKind, GovernorSet
from piebridge.management_chain.governor.effects import Publish
from piebridge.management_chain.governor.posts import (
    PostKind,
    decode_dealing,
    encode_complaints,
    encode_dealing,
    encode_share,
)
from piebridge.management_chain.governor.sharing_rounds import SharingRounds
from piebridge.management_chain.governor.signing_rounds import SigningRounds, SigningStep
from testkit.governors import World, account, message

SIZES = ((4, 3), (5, 4), (6, 4))
"""Governors and threshold: with one culprit the others still are enough."""
SHARING_POSTS = (PostKind.JOIN, PostKind.DEAL, PostKind.CHECK, PostKind.COMMIT, PostKind.SHARE)

Mutation = Callable[["MutatedRun", Publish], Publish]


class MutatedRun:
    """One run: who cheats, in which ceremony, in which round, how."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        governors, threshold = self.random.choice(SIZES)
        self.ceremony = self.random.choice(tuple(CeremonyKind))
        posts = (PostKind.COMMIT, PostKind.SHARE) if self.ceremony is CeremonyKind.SIGNING else SHARING_POSTS
        self.post = self.random.choice(posts)
        self.mutation = self.random.choice(MUTATIONS[self.post])
        self.culprit = self.random.randint(1, governors)
        self.world = World(governors, threshold, seed=seed, spare=1)
        self.history: dict[PostKind, list[bytes]] = {kind: [] for kind in PostKind}
        """Payloads of all who are honest, from earlier ceremonies and this one."""
        self.armed = self.ceremony is CeremonyKind.KEY_GENERATION
        self.struck = False

    def __repr__(self) -> str:
        return (
            f"{self.ceremony.name}, {self.post.name} of governor {self.culprit}, {self.mutation.__name__}, "
            f"{len(self.world.founders.accounts)} governors"
        )

    def run(self) -> Mapping[str, int]:
        """Run it.

        Raises:
            AssertionError: the culprit is not named, somebody else is, or what must be made is not made.
        """
        world = self.world
        world.tamper, world.first = self.tamper, self.culprit
        world.decide_first_key()
        self._run_until(lambda: world.any_view().shares is not None)
        if self.ceremony is not CeremonyKind.KEY_GENERATION:
            self.armed = True
            self._run_ceremony()
        assert self.struck, f"{self}: nothing was changed, so nothing was tested"
        named = world.any_view()
        culprits = set().union(*world.culprits().values())
        assert culprits == {self.culprit}, f"{self}: named {sorted(culprits)}"
        after = message(99)
        world.decisions.due = [*world.decisions.due, after]
        self._run_until(lambda: world.is_signed(after))
        shares = named.shares
        assert shares is not None
        for digest, signature in world.any_view().signatures.items():
            verify(signature, digest, shares.key.public_key)
        return {"runs": 1, "culprits named": 1, "signatures": len(world.any_view().signatures)}

    def _run_ceremony(self) -> None:
        world = self.world
        if self.ceremony is CeremonyKind.SIGNING:
            wanted = message(1)
            world.decisions.due = [wanted]
            self._run_until(lambda: world.is_signed(wanted))
            return
        grown = GovernorSet(world.founders.threshold, (*world.founders.accounts, account(len(world.seats))))
        shares = world.any_view().shares
        assert shares is not None
        before = shares.epochs
        if self.ceremony is CeremonyKind.RESHARING:
            world.decide(self.ceremony, grown)
            self._run_until(lambda: self._adopt() or (world.any_view().shares or shares).epochs != before)
        else:
            world.decide(self.ceremony)
            self._run_until(lambda: (world.any_view().shares or shares).epochs != before)
        made = world.any_view().shares
        assert made is not None
        assert made.key.public_key == shares.key.public_key, f"{self}: another key"

    def _adopt(self) -> bool:
        """Let the board adopt a resharing as soon as enough members have confirmed it."""
        for number, made in self.world.any_view().made.items():
            with suppress(PermanentChainError):
                self.world.board.adopt(number, made.key.public_key)
                self.world.block()
                return True
        return False

    def _run_until(self, condition: Callable[[], bool]) -> None:
        for _ in range(300):
            if condition():
                return
            for seat in self.world.seats.values():
                seat.act()
            self._insist()
            self.world.block()
        raise AssertionError(f"{self}: never came to its end")

    def tamper(self, number: int, effect: Publish) -> Publish:
        if number != self.culprit:
            self.history[effect.kind].append(effect.payload)
            return effect
        if not self.armed or self.struck or effect.kind is not self.post:
            return effect
        changed = self.mutation(self, effect)
        if changed != effect:
            self.struck = True
        return changed

    def _insist(self) -> None:
        """A cheat whose own program falls silent over a commitment that is not its own answers all the same."""
        if not self.struck or self.post is not PostKind.COMMIT:
            return
        for number, state in self.world.any_view().under_way.items():
            rounds = state.rounds.confirmation if isinstance(state.rounds, SharingRounds) else state.rounds
            if isinstance(rounds, SigningRounds) and rounds.step is SigningStep.SHARE:
                member = state.ceremony.governors.member_of(account(self.culprit))
                governor = self.world.seats[self.culprit].governor
                if member in rounds.awaited() and governor and number in governor.problems:
                    z = encode_scalar(self.random.randrange(1, GROUP_ORDER))
                    answer = Publish(number, rounds.round, PostKind.SHARE, encode_share(z))
                    self.world.mempool.append((self.culprit, answer))

    # ---------------------------------------------------------------------------------------------- what mutations need

    def sharing_state(self, number: int) -> SharingRounds:
        rounds = self.world.any_view().under_way[number].rounds
        assert isinstance(rounds, SharingRounds)
        return rounds

    def secrets_of_culprit(self, number: int) -> tuple[int, ParticipantSecrets]:
        state = self.world.any_view().under_way[number]
        member = state.ceremony.governors.member_of(account(self.culprit))
        assert member is not None
        seed = self.world.seats[self.culprit].disk.seeds[number]
        return member, ParticipantSecrets(member, self.sharing_state(number).context, seed)


# --------------------------------------------------------------------------------------------------------- all posts


def flip_bit(run: MutatedRun, effect: Publish) -> Publish:
    payload = bytearray(effect.payload)
    payload[run.random.randrange(len(payload))] ^= 1 << run.random.randrange(8)
    return replace(effect, payload=bytes(payload))


def cut(run: MutatedRun, effect: Publish) -> Publish:
    return replace(effect, payload=effect.payload[: run.random.randrange(len(effect.payload))])


def add_bytes(run: MutatedRun, effect: Publish) -> Publish:
    return replace(effect, payload=effect.payload + run.random.randbytes(run.random.randint(1, 40)))


def noise(run: MutatedRun, effect: Publish) -> Publish:
    return replace(effect, payload=run.random.randbytes(len(effect.payload)))


def nothing(run: MutatedRun, effect: Publish) -> Publish:
    return replace(effect, payload=b"")


def other_kind(run: MutatedRun, effect: Publish) -> Publish:
    return replace(effect, kind=run.random.choice([kind for kind in PostKind if kind is not effect.kind]))


def replay(run: MutatedRun, effect: Publish) -> Publish:
    """What another has posted, now or in an earlier ceremony; as long as nobody has, noise."""
    known = run.history[effect.kind]
    return replace(effect, payload=run.random.choice(known)) if known else noise(run, effect)


def points_turned(run: MutatedRun, effect: Publish) -> Publish:
    """Another point where the first one stands: its negative, which is a point too."""
    place = 2 if effect.kind is PostKind.DEAL else 1
    payload = bytearray(effect.payload)
    payload[place] ^= 1
    return replace(effect, payload=bytes(payload))


# ------------------------------------------------------------------------------------------------------------- deals


def wrong_share(run: MutatedRun, effect: Publish) -> Publish:
    """Well-formed, well encrypted, and not on the polynomial, or not in range."""
    member, secrets = run.secrets_of_culprit(effect.ceremony)
    sharing = run.sharing_state(effect.ceremony).sharing
    assert sharing is not None
    receivers = sorted(sharing.transport_keys.keys() - {member})
    dealing = decode_dealing(effect.payload, receivers)
    receiver = run.random.choice(receivers)
    value = run.random.choice((0, 1, GROUP_ORDER, GROUP_ORDER + 1, run.random.randrange(1, GROUP_ORDER)))
    point = agree(secrets.transport_secret, sharing.transport_keys[receiver])
    sealed = {
        **dealing.sealed_shares,
        receiver: seal_share(value, point, sharing.context, member, receiver),
    }
    return replace(effect, payload=encode_dealing(replace(dealing, sealed_shares=sealed)))


def shares_swapped(run: MutatedRun, effect: Publish) -> Publish:
    member, _ = run.secrets_of_culprit(effect.ceremony)
    sharing = run.sharing_state(effect.ceremony).sharing
    assert sharing is not None
    receivers = sorted(sharing.transport_keys.keys() - {member})
    dealing = decode_dealing(effect.payload, receivers)
    first, second = run.random.sample(receivers, 2)
    sealed = dict(dealing.sealed_shares)
    sealed[first], sealed[second] = sealed[second], sealed[first]
    return replace(effect, payload=encode_dealing(replace(dealing, sealed_shares=sealed)))


def other_commitment(run: MutatedRun, effect: Publish) -> Publish:
    """A point whose logarithm the dealer knows in place of one of its commitments."""
    member, _ = run.secrets_of_culprit(effect.ceremony)
    sharing = run.sharing_state(effect.ceremony).sharing
    assert sharing is not None
    dealing = decode_dealing(effect.payload, sorted(sharing.transport_keys.keys() - {member}))
    commitments = list(dealing.commitments)
    point = encode_element(base_times(run.random.randrange(1, GROUP_ORDER)))
    commitments[run.random.randrange(len(commitments))] = point
    return replace(effect, payload=encode_dealing(replace(dealing, commitments=tuple(commitments))))


def one_commitment_less(run: MutatedRun, effect: Publish) -> Publish:
    member, _ = run.secrets_of_culprit(effect.ceremony)
    sharing = run.sharing_state(effect.ceremony).sharing
    assert sharing is not None
    dealing = decode_dealing(effect.payload, sorted(sharing.transport_keys.keys() - {member}))
    return replace(effect, payload=encode_dealing(replace(dealing, commitments=dealing.commitments[:-1])))


# ------------------------------------------------------------------------------------------------------------ checks


def _complain(run: MutatedRun, effect: Publish, change: Callable[[Complaint], Complaint]) -> Publish:
    member, secrets = run.secrets_of_culprit(effect.ceremony)
    rounds = run.sharing_state(effect.ceremony)
    assert rounds.sharing is not None
    accused = run.random.choice(sorted(rounds.dealings.keys() - {member}))
    complaint = change(rounds.sharing.complain(secrets, accused))
    return replace(effect, payload=encode_complaints([complaint]))


def false_complaint(run: MutatedRun, effect: Publish) -> Publish:
    return _complain(run, effect, lambda complaint: complaint)


def complaint_with_other_point(run: MutatedRun, effect: Publish) -> Publish:
    """Under another point the share does not open: the proof must show that it is not the one."""
    point = encode_element(base_times(run.random.randrange(1, GROUP_ORDER)))
    return _complain(run, effect, lambda complaint: replace(complaint, shared_point=point))


def complaint_about_nobody(run: MutatedRun, effect: Publish) -> Publish:
    member, _ = run.secrets_of_culprit(effect.ceremony)
    accused = run.random.choice((0, member, 200))
    return _complain(run, effect, lambda complaint: replace(complaint, dealer=accused))


# ------------------------------------------------------------------------------------------------------------ shares


def other_z(run: MutatedRun, effect: Publish) -> Publish:
    z = int.from_bytes(effect.payload[1:], "big")
    value = run.random.choice((0, z + 1, GROUP_ORDER, GROUP_ORDER - z, (1 << 256) - 1))
    return replace(effect, payload=encode_share(value.to_bytes(32, "big")))


_EVERYWHERE: tuple[Mutation, ...] = (flip_bit, cut, add_bytes, noise, nothing, other_kind)
MUTATIONS: Mapping[PostKind, tuple[Mutation, ...]] = {
    PostKind.JOIN: (*_EVERYWHERE, replay, points_turned),
    PostKind.DEAL: (
        *_EVERYWHERE,
        replay,
        points_turned,
        wrong_share,
        shares_swapped,
        other_commitment,
        one_commitment_less,
    ),
    PostKind.CHECK: (*_EVERYWHERE, false_complaint, complaint_with_other_point, complaint_about_nobody),
    PostKind.COMMIT: (*_EVERYWHERE, replay, points_turned),
    PostKind.SHARE: (*_EVERYWHERE, replay, other_z),
}
