"""Cost of the governor key: signing over the board without the wait for blocks, and each part of the work alone."""

import gc
import random
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.benchmark import Figure, Measured, Options
from piebridge.crypto.hash import sha256
from piebridge.crypto.threshold.sharing import ParticipantSecrets, Sharing, SharingKind
from piebridge.crypto.threshold.signing import PartialSignature, SigningSession, generate_nonces, sign_partially
from piebridge.management_chain.governor.ceremony import CeremonyKind
from piebridge.management_chain.governor.effects import Effect, StoreEffect
from piebridge.management_chain.governor.store import GovernorStore
from testkit.governors import World, message

SIZES = ((3, 4), (7, 10), (67, 100))
"""Threshold and number of governors."""

SIGNATURES = 20
"""Signatures of which each is timed over the board."""


def measure(options: Options) -> Measured:
    """Times each part; everything secret is drawn from a fixed seed."""
    figures = _over_the_board()
    for threshold, governors in SIZES:
        runs = max(options.runs, 3) if governors <= 10 else options.runs
        figures |= _key_generation(threshold, governors, runs)
        figures |= _signing(threshold, governors, runs)
    return Measured(
        figures,
        notes=(
            "over the board: sum of what all four governors do one after the other, stores on disk with their syncs, "
            "blocks made at once; really they work side by side",
            "all other figures are one governor's work on one core",
        ),
    )


def _over_the_board() -> dict[str, Figure]:
    world = World(4, 3, seed=1)
    with TemporaryDirectory() as folder:
        stores = {number: GovernorStore(Path(folder) / str(number), "bench", dev=True) for number in world.seats}

        def write(effect: Effect, store: GovernorStore) -> None:
            if isinstance(effect, StoreEffect):
                store.write(effect)

        for number, seat in world.seats.items():
            seat.watch = lambda effect, number=number: write(effect, stores[number])  # type: ignore[misc]
        started = time.perf_counter()
        world.make_first_key()
        key_seconds = time.perf_counter() - started
        seconds, rounds = [], []
        for number in range(1, SIGNATURES + 1):
            gc.collect()
            started = time.perf_counter()
            world.sign(message(number))
            seconds.append(time.perf_counter() - started)
            last = max(world.any_view().ended)
            state = world.any_view().ended[last]
            assert state.ceremony.kind is CeremonyKind.SIGNING
            rounds.append(float(state.rounds.round))
        for store in stores.values():
            store.close()
    return {
        "3 of 4 over the board, a signature": Figure.of([each * 1e3 for each in seconds], "ms"),
        "3 of 4 over the board, rounds of a signature": Figure.of(rounds, "rounds"),
        "3 of 4 over the board, key generation": Figure(key_seconds * 1e3, "ms"),
    }


def _key_generation(threshold: int, governors: int, runs: int) -> dict[str, Figure]:
    deal, check, conclude, share = [], [], [], []
    for run in range(runs):
        context = sha256(b"ceremony %d" % run)
        secrets = {
            each: ParticipantSecrets(each, context, sha256(b"seed %d %d" % (each, run)))
            for each in range(1, governors + 1)
        }
        keys = {each: known.transport_key for each, known in secrets.items()}
        sharing = Sharing(SharingKind.KEY_GENERATION, context, threshold, keys)
        started = time.perf_counter()
        first = sharing.deal(secrets[1])
        deal.append(time.perf_counter() - started)
        dealings = {1: first} | {each: sharing.deal(secrets[each]) for each in range(2, governors + 1)}
        started = time.perf_counter()
        for dealer, dealing in dealings.items():
            sharing.check_dealing(dealer, dealing)
            if dealer != 1:
                sharing.receive(secrets[1], dealer, dealing)
        check.append(time.perf_counter() - started)
        started = time.perf_counter()
        key = sharing.conclude(dealings, dealings)
        conclude.append(time.perf_counter() - started)
        started = time.perf_counter()
        sharing.key_share(secrets[1], dealings, key)
        share.append(time.perf_counter() - started)
    parts = {"deal": deal, "check all dealings": check, "compute the key": conclude, "compute the share": share}
    name = f"{threshold} of {governors}, key generation"
    figures = {f"{name}: {part}": Figure.of([each * 1e3 for each in samples], "ms") for part, samples in parts.items()}
    totals = [sum(each) * 1e3 for each in zip(*parts.values(), strict=True)]
    return figures | {f"{name}: all of one governor": Figure.of(totals, "ms")}


def _signing(threshold: int, governors: int, runs: int) -> dict[str, Figure]:
    context = sha256(b"key")
    chance = random.Random(1)
    secrets = {each: ParticipantSecrets(each, context, chance.randbytes(32)) for each in range(1, governors + 1)}
    keys = {each: known.transport_key for each, known in secrets.items()}
    sharing = Sharing(SharingKind.KEY_GENERATION, context, threshold, keys)
    dealings = {each: sharing.deal(known) for each, known in secrets.items()}
    key = sharing.conclude(dealings, dealings)
    shares = {each: sharing.key_share(secrets[each], dealings, key) for each in range(1, threshold + 1)}
    digest = sha256(b"message")
    commit, sign, add = [], [], []
    for _ in range(runs):
        nonces = {}
        started = time.perf_counter()
        for each, share in shares.items():
            entropy = chance.randbytes(32), chance.randbytes(32)
            nonces[each] = generate_nonces(share, hiding_entropy=entropy[0], binding_entropy=entropy[1])
        commit.append((time.perf_counter() - started) / threshold)
        commitments = [commitment for _, commitment in nonces.values()]
        started = time.perf_counter()
        partials: list[PartialSignature] = [
            sign_partially(share, nonces[each][0], digest, commitments) for each, share in shares.items()
        ]
        sign.append((time.perf_counter() - started) / threshold)
        started = time.perf_counter()
        session = SigningSession(key, digest, commitments)
        for partial in partials:
            session.check(partial)
        session.aggregate(partials)
        add.append(time.perf_counter() - started)
    parts = {"commit": commit, "sign": sign, "check all and add up": add}
    name = f"{threshold} of {governors}, signing"
    return {f"{name}: {part}": Figure.of([each * 1e3 for each in samples], "ms") for part, samples in parts.items()}
