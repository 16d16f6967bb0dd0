"""The same blocks give the same state everywhere, and a relay chain goes on from its last commit whatever happens."""

from pathlib import Path

import pytest

from piebridge.abci.messages import CODE_OK
from piebridge.crypto.errors import ConfigurationError
from piebridge.protocol_stack.governor_relay_bodies import CloseChain, NoOp
from piebridge.protocol_stack.relay_messages import CarriedGovernorMessage
from piebridge.relay.app.application import RelayApplication
from piebridge.relay.app.state import MemoryBackend
from piebridge.relay.storage import SqliteBackend
from testkit.relay_history import execute_in_another_world, record
from testkit.relay_world import two_chains, validator_set

WORLDS = 5
TRANSACTIONS = 2_000
EFFECTIVE_LEAST = TRANSACTIONS // 10


@pytest.mark.slow
def test_other_hash_seeds_locales_and_time_zones_change_no_byte(tmp_path: Path) -> None:
    """100 000 transactions in 50 worlds: ``make soak CAMPAIGN=relay-determinism``."""
    history = record(seed=1, transactions=TRANSACTIONS)
    assert history.outcomes[CODE_OK] >= EFFECTIVE_LEAST, history.outcomes
    assert len(history.outcomes) > 5, f"few kinds of refusals: {history.outcomes}"
    history.save(file := tmp_path / "history.json")
    assert {execute_in_another_world(file, number) for number in range(WORLDS)} == {history.digest}


def test_chain_killed_after_every_block_replays_to_the_same_state(tmp_path: Path) -> None:
    from testkit.relay_scenario import run_scenario

    world = run_scenario()
    path = tmp_path / "state.sqlite"
    genesis = world.genesis_request
    for request, response in world.blocks:
        # A new process opens the storage, executes, loses a half-done block, executes again and commits.
        backend = SqliteBackend(path)
        application = RelayApplication(backend)
        assert application.info().last_block_height == request.height - 1
        if request.height == 1:
            application.init_chain(genesis)
            application.init_chain(genesis)
        application.finalize_block(request)
        assert application.finalize_block(request).app_hash == response.app_hash
        if request.height > 1:
            lost = RelayApplication(SqliteBackend(path))
            assert lost.info().last_block_height == request.height - 1
        application.commit()
        assert application.info().last_block_app_hash == response.app_hash
        backend.close()


def test_genesis_is_lost_without_the_first_commit_and_built_again() -> None:
    world = two_chains()
    backend = MemoryBackend()
    application = RelayApplication(backend)
    first = application.init_chain(world.genesis_request).app_hash
    application.finalize_block(world.blocks[0][0])
    assert not backend.pairs
    again = RelayApplication(backend)
    assert again.info().last_block_height == 0
    assert again.init_chain(world.genesis_request).app_hash == first


@pytest.mark.parametrize("what", ["chain id", "validators", "power", "app state"])
def test_genesis_that_is_not_of_this_relay_chain_is_refused(what: str) -> None:
    from dataclasses import replace

    request = two_chains().genesis_request
    wrong = {
        "chain id": replace(request, chain_id="piebridge-1-2"),
        "validators": replace(request, validators=request.validators[:-1]),
        "power": replace(request, validators=(replace(request.validators[0], power=2), *request.validators[1:])),
        "app state": replace(request, app_state=request.app_state + b" "),
    }[what]
    with pytest.raises(ConfigurationError):
        RelayApplication(MemoryBackend()).init_chain(wrong)


def test_failed_transaction_in_the_middle_of_a_block_leaves_no_trace() -> None:
    world, twin = two_chains(), two_chains()
    for each in (world, twin):
        hub = each.hubs[10]
        hub.send_free(20)
        hub.chain.close_block()
        each.catch_up(hub)
        each.follow(hub)
    good = world.sign(world.hubs[10].range_message())
    bad = world.sign(CarriedGovernorMessage(world.governor_message(CloseChain(20, 1), secret=99)))
    twin.salt = world.salt
    assert [r.code for r in world.run(bad, good).tx_results] == [7, CODE_OK]
    twin.run(good)
    for key in (b"spacket/", b"soutbox/", b"smessage/", b"sentry/", b"schain/", b"ehead/"):
        left, right = world.backend, twin.backend
        assert sorted(left.items(key)) == sorted(right.items(key))


def test_governor_changes_survive_a_restart() -> None:
    world = two_chains()
    world.govern(validator_set(2, ("v0", "v1", "v2", "v4")))
    world.govern(NoOp())
    application = RelayApplication(world.backend)
    from piebridge.relay.app.store import View

    view = View(application.state)
    assert (view.validators.epoch, view.relay.governor_counter) == (2, 2)
