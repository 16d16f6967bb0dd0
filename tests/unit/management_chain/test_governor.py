"""Governors around a board: what they make, whom they name, and what they refuse."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest

from piebridge.crypto.errors import VerificationError
from piebridge.crypto.signature import GROUP_ORDER
from piebridge.crypto.threshold.shares import KeyShare, combine
from piebridge.crypto.threshold.signing import SigningNonces
from piebridge.crypto.threshold.verification import verify
from piebridge.management_chain.governor.ceremony import CeremonyKind, GovernorSet
from piebridge.management_chain.governor.effects import (
    Effect,
    KeepNonces,
    Open,
    Publish,
    ShareName,
    StoreEffect,
    UseNonces,
)
from piebridge.management_chain.governor.posts import PostKind, encode_share
from piebridge.management_chain.governor.secrets import Secrets, UsedNonces
from piebridge.protocol_stack.governor_hub_bodies import Rotate
from piebridge.protocol_stack.governor_messages import GovernorMessage, TargetKind
from testkit.governors import SETTINGS, Seat, World, account, message


def ready(governors: int = 4, threshold: int = 3, *, seed: int = 1, spare: int = 0) -> World:
    world = World(governors, threshold, seed=seed, spare=spare)
    world.make_first_key()
    return world


def group_key(world: World) -> bytes:
    shares = world.any_view().shares
    assert shares is not None
    return shares.key.public_key


def share_epoch(world: World) -> int:
    shares = world.any_view().shares
    return shares.epochs.share if shares else 0


def check_signed(world: World, signed: GovernorMessage, key: bytes) -> None:
    verify(world.any_view().signatures[signed.digest], signed.digest, key)


# ----------------------------------------------------------------------------------------------------------- good days


def test_key_is_made_used_refreshed_and_given_to_a_new_member() -> None:
    world = ready(spare=1)
    key = group_key(world)
    assert not world.culprits()
    world.sign(message(1))
    check_signed(world, message(1), key)

    world.decide(CeremonyKind.REFRESH)
    world.run(lambda: share_epoch(world) == 2)
    world.sign(message(2))

    grown = GovernorSet(4, (*world.founders.accounts, account(5)))
    world.reshare(grown)
    assert share_epoch(world) == 3
    for seat in (world.seats[1], world.seats[2]):
        seat.stop()
    with pytest.raises(AssertionError, match="not so"):
        world.sign(message(3), blocks=80)
    world.seats[1].start()
    world.run(lambda: world.is_signed(message(3)))
    assert group_key(world) == key
    for number in (1, 2, 3):
        check_signed(world, message(number), key)
    assert not world.culprits()


def test_signing_takes_two_rounds_of_the_board() -> None:
    world = ready()
    taken = world.sign(message(1))
    state = next(state for state in world.any_view().ended.values() if state.ceremony.kind is CeremonyKind.SIGNING)
    assert state.rounds.round == 2
    # One block opens it, one holds the commitments, one the shares; before that somebody's turn has to come.
    assert taken <= 3 + 4 * SETTINGS.turn_blocks


def test_signed_message_is_delivered_once_by_each() -> None:
    world = ready()
    world.sign(message(1))
    for _ in range(5):
        world.step()
    for seat in world.seats.values():
        [delivered] = seat.delivered
        assert replace(delivered, signature=b"") == message(1)
        delivered.verify(group_key(world))


def test_many_messages_at_once() -> None:
    world = ready()
    messages = [message(number) for number in range(1, 8)]
    world.sign(*messages)
    for each in messages:
        check_signed(world, each, group_key(world))


def test_all_readers_see_the_same() -> None:
    world = ready()
    world.sign(message(1))
    fresh = world.view
    for seat in world.seats.values():
        assert seat.governor is not None
        view = seat.governor.view
        assert view.shares == fresh.shares
        assert view.signatures == fresh.signatures
        assert view.ended.keys() == fresh.ended.keys()


# ------------------------------------------------------------------------------------------------- a governor leaves


def rotate(counter: int, new_key: bytes) -> GovernorMessage:
    return GovernorMessage(TargetKind.HUB, 0, 7, 1, Rotate.KIND, b"\x11" * 20, counter, Rotate(new_key).encode())


def test_row_30_governor_leaves_a_new_key_is_made_and_its_share_counts_for_nothing() -> None:
    world = ready(5, 4)
    old = group_key(world)
    leaver = world.seats[5]
    world.decide(CeremonyKind.KEY_GENERATION, GovernorSet(3, world.founders.accounts[:4]))
    world.run(lambda: bool(world.any_view().made))
    for _ in range(3):
        world.step()
    [(number, made)] = world.any_view().made.items()
    assert made.key.public_key != old
    world.sign(rotate(1, made.key.public_key))
    check_signed(world, rotate(1, made.key.public_key), old)
    world.board.rotate(number, made.key.public_key, world.any_view().registration_signature(number))
    world.block()
    assert group_key(world) == made.key.public_key
    world.sign(message(1, key_epoch=2))
    check_signed(world, message(1, key_epoch=2), made.key.public_key)
    # The old key signs nothing any more: its epoch is not the one of the board.
    world.decisions.due.append(message(9, key_epoch=1))
    for _ in range(30):
        world.step()
    assert message(9).digest not in world.any_view().signatures
    # Its shares are erased where they are retired; what the leaver keeps is no share of the new key.
    world.decisions.retired = {1}
    world.step()
    for number in range(1, 5):
        assert [name.key_epoch for name in world.seats[number].disk.shares] == [2]
    leaver.stop()
    assert all(name.key_epoch == 1 for name in leaver.disk.shares)


# ------------------------------------------------------------------------------------------------------- shares of old


def test_row_38_shares_of_an_old_epoch_sign_nothing_and_are_erased() -> None:
    world = ready()
    before = {number: dict(seat.disk.shares) for number, seat in world.seats.items()}
    world.decide(CeremonyKind.REFRESH)
    world.run(lambda: share_epoch(world) == 2)
    world.step()
    for number, seat in world.seats.items():
        assert not before[number].keys() & seat.disk.shares.keys(), "old shares are erased"
    # Governor 2 signs with its old share under the name of the new one: named, and the others sign.
    [(new_name, _)] = world.seats[2].disk.shares.items()
    [old_share] = before[2].values()
    world.seats[2].disk.shares[new_name] = old_share
    world.seats[2].start()
    world.first = 2
    world.sign(message(1))
    assert set().union(*world.culprits().values()) == {2}
    check_signed(world, message(1), group_key(world))
    mixed = [old_share, *(next(iter(world.seats[each].disk.shares.values())) for each in (1, 3))]
    with pytest.raises(VerificationError, match="one is wrong"):
        combine(mixed)


def test_governor_without_its_share_is_silent_says_why_and_the_others_sign() -> None:
    world = ready()
    world.seats[3].disk.shares.clear()
    world.seats[3].start()
    world.sign(message(1))
    governor = world.seats[3].governor
    assert governor is not None
    world.decisions.due.append(message(2))
    world.run(lambda: bool(governor.problems))
    assert "does not have the share" in str(governor.problems)
    assert not world.culprits()


# ----------------------------------------------------------------------------------------------------- some are away


@pytest.mark.parametrize("down", [(1,), (4,)])
def test_n_minus_k_governors_down_in_every_ceremony(down: Sequence[int]) -> None:
    world = World(4, 3)
    for number in down:
        world.seats[number].stop()
    world.make_first_key()
    world.sign(message(1))
    world.decide(CeremonyKind.REFRESH)
    world.run(lambda: share_epoch(world) == 2)
    world.sign(message(2))
    check_signed(world, message(2), group_key(world))
    assert not world.culprits(), "who is silent is no culprit"
    shares = world.any_view().shares
    assert shares is not None
    assert shares.holders == {1, 2, 3, 4} - set(down)


def test_fewer_than_the_threshold_wait_and_go_on_when_one_comes_back() -> None:
    world = ready()
    for number in (1, 2):
        world.seats[number].stop()
    with pytest.raises(AssertionError, match="not so"):
        world.sign(message(1), blocks=100)
    world.seats[1].start()
    world.run(lambda: world.is_signed(message(1)))


def test_signers_that_fall_silent_after_their_commitment_are_passed_over() -> None:
    world = ready(7, 5)
    silent = {1, 4}

    def swallow(number: int, effect: Publish) -> Publish | None:
        return None if number in silent and effect.kind is PostKind.SHARE else effect

    world.tamper = swallow
    for number in silent:
        world.first = number
        world.sign(message(number))
        check_signed(world, message(number), group_key(world))
    assert not world.culprits()


def test_absent_are_let_in_again_when_too_few_are_left() -> None:
    world = ready()
    late = {"share": 2}

    def lose_two_shares(number: int, effect: Publish) -> Publish | None:
        if effect.kind is PostKind.SHARE and late["share"]:
            late["share"] -= 1
            return None
        return effect

    world.settings = replace(SETTINGS, retry_blocks=100)
    for seat in world.seats.values():
        seat.start()
    world.tamper = lose_two_shares
    world.sign(message(1))
    state = next(state for state in world.any_view().ended.values() if state.ceremony.kind is CeremonyKind.SIGNING)
    assert state.rounds.round == 4, "the second attempt"
    check_signed(world, message(1), group_key(world))


# ----------------------------------------------------------------------------------------------------------- culprits


def wrong_share(number: int, effect: Publish) -> Publish:
    if effect.kind is PostKind.SHARE:
        z = (int.from_bytes(effect.payload[1:], "big") + number) % GROUP_ORDER
        return replace(effect, payload=encode_share(z.to_bytes(32, "big")))
    return effect


def test_row_38_every_wrong_signer_is_named_and_excluded_and_the_rest_signs() -> None:
    world = ready(7, 5)
    bad = {2, 6}
    world.tamper = lambda number, effect: wrong_share(number, effect) if number in bad else effect
    for number in bad:
        world.first = number
        world.sign(message(number))
    assert set().union(*world.culprits().values()) == bad
    key = group_key(world)
    for number in bad:
        check_signed(world, message(number), key)
    # Excluded from the first attempt of every later signing with these shares.
    world.sign(message(50))
    last = max(world.any_view().ended)
    assert world.any_view().ended[last].rounds.round == 2
    # And back after a refresh, when they behave.
    world.tamper = None
    world.decide(CeremonyKind.REFRESH)
    world.run(lambda: share_epoch(world) == 2)
    assert not world.any_view().excluded.get(world.any_view().ended[max(world.any_view().ended)].ceremony.number)


def test_more_culprits_than_can_be_spared_make_no_signature() -> None:
    world = ready()
    world.tamper = lambda number, effect: wrong_share(number, effect) if number in (1, 2) else effect
    world.decisions.due = [message(1)]
    for _ in range(120):
        world.step()
    assert not world.any_view().signatures
    assert set().union(*world.culprits().values()) == {1, 2}


# --------------------------------------------------------------------------------------- what a governor never signs


def test_row_37_digest_that_no_decision_of_its_own_gives_is_not_signed() -> None:
    world = ready()
    for subject in (b"\x55" * 32, message(1, key_epoch=2).digest, message(1).digest):
        effect = Open(CeremonyKind.SIGNING, world.founders, subject, SETTINGS.signing_rounds, SETTINGS.round_blocks)
        world.send(1, effect)
    for _ in range(40):
        world.step()
    assert not world.any_view().signatures
    commits = [post for seat in world.seats.values() for post in seat.shown if post.kind is PostKind.COMMIT]
    assert {post.ceremony for post in commits} == {1}, "only the confirmation of the key"


def test_row_37_message_of_another_key_epoch_or_without_meaning_is_not_signed() -> None:
    world = ready()
    unknown = replace(message(1), kind=200)
    foreign_domain = replace(message(2), kind=Rotate.KIND, body=Rotate(group_key(world)).encode())
    world.decisions.due = [message(3, key_epoch=2), unknown, foreign_domain]
    for _ in range(30):
        world.step()
    assert not world.any_view().signatures
    assert not [post for seat in world.seats.values() for post in seat.shown if post.ceremony > 1]


def test_row_33_one_governor_alone_cannot_open_a_sharing_that_is_not_decided() -> None:
    world = ready()
    shares = world.any_view().shares
    assert shares is not None
    world.decisions.wanted = []
    subject = (1).to_bytes(4, "big") + (2).to_bytes(4, "big") + bytes(24)
    world.send(1, Open(CeremonyKind.REFRESH, world.founders, subject, 7, SETTINGS.round_blocks))
    for _ in range(20):
        world.step()
    assert share_epoch(world) == 1
    assert not [post for seat in world.seats.values() for post in seat.shown if post.ceremony > 1]


def test_ceremony_that_is_run_otherwise_than_agreed_is_not_taken_part_in() -> None:
    world = World(4, 3)
    world.decide_first_key()
    for seat in world.seats.values():
        seat.act()
    world.block()
    for rounds, blocks in ((5, SETTINGS.round_blocks), (7, 1)):
        subject = (1).to_bytes(4, "big") * 2 + bytes(24)
        world.send(2, Open(CeremonyKind.KEY_GENERATION, world.founders, subject, rounds, blocks))
    world.block()
    world.run(lambda: world.any_view().shares is not None)
    shares = world.any_view().shares
    assert shares is not None
    assert shares.ceremony.round_blocks == SETTINGS.round_blocks
    posts = [post for seat in world.seats.values() for post in seat.shown]
    assert {post.ceremony for post in posts} == {shares.ceremony.number}


# ------------------------------------------------------------------------------------------------- deaths and restarts


class Recorder:
    """All nonces of all governors, and in which session each was used: twice is never."""

    def __init__(self, world: World) -> None:
        self.sessions: dict[tuple[int, SigningNonces], set[bytes]] = {}
        self.order: dict[int, list[Effect]] = {}
        for seat in world.seats.values():
            self._watch(seat)

    def _watch(self, seat: Seat) -> None:
        def watch(effect: Effect) -> None:
            self.order.setdefault(seat.number, []).append(effect)
            if isinstance(effect, UseNonces):
                nonces = seat.disk.nonces[effect.ceremony, effect.round]
                assert isinstance(nonces, SigningNonces), "used a second time"
                self.sessions.setdefault((seat.number, nonces), set()).add(effect.session)

        seat.watch = watch

    def check(self) -> None:
        assert self.sessions
        assert all(len(sessions) == 1 for sessions in self.sessions.values())
        commitments = {nonces.hiding for _, nonces in self.sessions} | {nonces.binding for _, nonces in self.sessions}
        assert len(commitments) == 2 * len(self.sessions), "no nonce twice"


def test_row_38_nonces_are_written_before_they_are_shown_and_gone_before_they_are_used_up() -> None:
    world = World(4, 3)
    recorder = Recorder(world)
    world.make_first_key()
    world.sign(message(1))
    recorder.check()
    for effects in recorder.order.values():
        for place, effect in enumerate(effects):
            if isinstance(effect, Publish) and effect.kind in (PostKind.COMMIT, PostKind.SHARE):
                needed = KeepNonces if effect.kind is PostKind.COMMIT else UseNonces
                offset = 0 if effect.kind is PostKind.COMMIT else 1
                assert any(
                    isinstance(earlier, needed)
                    and (earlier.ceremony, earlier.round) == (effect.ceremony, effect.round - offset)
                    for earlier in effects[:place]
                )


def test_row_38_nonces_cannot_be_used_twice() -> None:
    secrets = Secrets()
    secrets.apply(KeepNonces(1, 1, SigningNonces(5, 6)))
    with pytest.raises(VerificationError, match="written over"):
        secrets.apply(KeepNonces(1, 1, SigningNonces(7, 8)))
    secrets.apply(UseNonces(1, 1, b"s" * 32, b"z" * 32))
    assert secrets.nonces == {(1, 1): UsedNonces(b"s" * 32, b"z" * 32)}
    for session in (b"s" * 32, b"t" * 32):
        with pytest.raises(VerificationError, match="used before"):
            secrets.apply(UseNonces(1, 1, session, b"z" * 32))


def story(world: World) -> None:
    """A key, a signature, a refresh, a signature."""
    world.make_first_key()
    world.sign(message(1))
    world.decide(CeremonyKind.REFRESH)
    world.run(lambda: share_epoch(world) == 2)
    world.sign(message(2))


def count_effects(number: int) -> int:
    world = World(4, 3)
    recorder = Recorder(world)
    story(world)
    return len(recorder.order[number])


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("lost", [False, True])
def test_governor_killed_at_each_step_goes_on(number: int, lost: bool) -> None:
    """Before each of its effects once; ``lost``: what it had sent in that moment is lost as well."""
    steps = count_effects(number)
    assert steps > 12
    for step in range(steps):
        world = World(4, 3)
        recorder = Recorder(world)
        seat = world.seats[number]
        seat.fuse, seat.revives, seat.loses = step, True, lost
        story(world)
        assert seat.deaths == 1
        recorder.check()
        assert not world.culprits(), f"step {step}: an honest governor was named"
        for each in (1, 2):
            check_signed(world, message(each), group_key(world))


@pytest.mark.parametrize("moment", range(5))
def test_opener_dies_for_good_at_each_step(moment: int) -> None:
    """Whoever opens the signing ends before its effect number ``moment`` from the opening on, and never comes back."""
    world = ready(seed=moment)
    victims: list[Seat] = []

    def watch(effect: Effect, seat: Seat) -> None:
        if isinstance(effect, Open) and not victims:
            victims.append(seat)
            seat.fuse = moment

    for seat in world.seats.values():
        seat.watch = partial(watch, seat=seat)
    world.sign(message(1))
    for _ in range(3):
        world.step()
    check_signed(world, message(1), group_key(world))
    assert victims[0].deaths == 1
    assert not world.culprits()


def test_all_governors_restarted_at_every_block() -> None:
    world = World(4, 3)
    recorder = Recorder(world)
    step = world.step

    def restarting() -> None:
        step()
        for seat in world.seats.values():
            seat.start()

    world.step = restarting  # type: ignore[method-assign]
    story(world)
    recorder.check()
    assert not world.culprits()


def test_restart_posts_the_same_bytes_again() -> None:
    world = ready()
    world.decisions.due = [message(1)]
    world.run(lambda: any(state.rounds.round == 2 for state in world.any_view().under_way.values()))
    shown: dict[tuple[int, int, int], Publish] = {}
    for _ in range(2):
        for number, seat in world.seats.items():
            seat.start()
            seat.act()
            for post in seat.shown:
                assert shown.setdefault((number, post.ceremony, post.round), post) == post
    assert any(post.kind is PostKind.SHARE for post in shown.values())


def test_lost_store_makes_its_governor_absent_and_nobody_a_culprit() -> None:
    world = ready()
    world.decisions.due = [message(1)]
    world.run(lambda: any(state.rounds.round == 2 for state in world.any_view().under_way.values()))
    world.seats[1].disk.nonces.clear()
    world.seats[1].start()
    world.run(lambda: world.is_signed(message(1)))
    assert not world.culprits()


def test_empty_board_erases_nothing() -> None:
    """A node that lost its state, or another chain, must not cost a share."""
    world = ready()
    shares = dict(world.seats[1].disk.shares)
    elsewhere = World(4, 3)
    elsewhere.seats[1].disk = world.seats[1].disk
    elsewhere.seats[1].start()
    for _ in range(5):
        elsewhere.step()
    assert shares.items() <= elsewhere.seats[1].disk.shares.items()


def test_store_effects_hide_their_secrets() -> None:
    world = World(4, 3)
    recorder = Recorder(world)
    story(world)
    shown = "".join(repr(effect) for effects in recorder.order.values() for effect in effects)
    assert "KeepNonces" in shown
    for effects in recorder.order.values():
        for effect in effects:
            if isinstance(effect, KeepNonces):
                assert str(effect.nonces.hiding) not in shown
            if isinstance(effect, StoreEffect) and hasattr(effect, "share"):
                assert str(effect.share.secret) not in shown
    assert isinstance(KeyShare, type)
    assert ShareName(1, 2, 3).epochs.share == 2
