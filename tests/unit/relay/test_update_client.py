from dataclasses import replace

import pytest

from piebridge.abci.messages import CODE_OK
from piebridge.cometbft.commit import CommitSig
from piebridge.protocol_stack.authentication import KeptAuthentication
from piebridge.protocol_stack.governor_relay_bodies import NewCheckpoint
from piebridge.protocol_stack.relay_messages import UpdateClient
from piebridge.relay.app.admission import Code
from testkit.hub_model import TRUSTING_PERIOD_SECONDS, HubModel
from testkit.relay_world import RelayWorld, two_chains


@pytest.fixture
def world() -> RelayWorld:
    world = two_chains()
    hub = world.hubs[10]
    for _ in range(6):
        hub.chain.close_block()
    world.catch_up(hub)
    return world


def heights(world: RelayWorld) -> tuple[int, ...]:
    client = world.view.client(10)
    assert client is not None
    return client.heights


def several(hub: HubModel, *pairs: tuple[int, int]) -> UpdateClient:
    return UpdateClient(10, tuple(hub.chain.update(trusted, height).encode() for trusted, height in pairs))


def test_headers_verified_from_each_other_are_trusted_and_the_newest_is_published(world: RelayWorld) -> None:
    hub = world.hubs[10]
    world.must(several(hub, (3, 4), (4, 7), (7, 9)))
    assert heights(world) == (3, 4, 7, 9)
    assert world.view.get(b"eclient/0000000a") == (9).to_bytes(8, "big")
    state = world.view.consensus(10, 7)
    assert state == hub.chain.consensus_state(7)


def test_header_between_trusted_ones_is_taken_up(world: RelayWorld) -> None:
    hub = world.hubs[10]
    world.must(several(hub, (3, 9)))
    world.must(several(hub, (3, 6)))
    assert heights(world) == (3, 6, 9)
    assert world.view.get(b"eclient/0000000a") == (9).to_bytes(8, "big")


def test_known_header_brings_nothing_new(world: RelayWorld) -> None:
    world.must(several(world.hubs[10], (3, 5)))
    [result] = world.submit(several(world.hubs[10], (3, 5)))
    assert (result.code, result.data) == (CODE_OK, bytes(4))
    assert heights(world) == (3, 5)


def test_one_bad_light_block_refuses_the_whole_update(world: RelayWorld) -> None:
    hub = world.hubs[10]
    block = hub.chain.light_blocks[6]
    commit = replace(block.commit, signatures=(*block.commit.signatures[:2], CommitSig.absent(), CommitSig.absent()))
    bad = replace(hub.chain.update(5, 6), commit=commit.encode())
    message = UpdateClient(10, (hub.chain.update(3, 5).encode(), bad.encode()))
    [result] = world.submit(message)
    assert result.code == Code.INVALID
    assert heights(world) == (3,)


def test_over_long_commit_is_refused(world: RelayWorld) -> None:
    hub = world.hubs[10]
    update = replace(hub.chain.update(3, 5), commit=hub.chain.light_blocks[5].commit.encode())
    [result] = world.submit(UpdateClient(10, (update.encode(),)))
    assert result.code == Code.INVALID
    assert heights(world) == (3,)


def test_unknown_trusted_height_costs_no_more_than_a_valid_update(world: RelayWorld) -> None:
    [result] = world.submit(several(world.hubs[10], (7, 9)))
    assert result.code == Code.REFUSED


def test_update_of_another_chain_is_refused(world: RelayWorld) -> None:
    update = world.hubs[10].chain.update(3, 4)
    [result] = world.submit(UpdateClient(20, (update.encode(),)))
    assert result.code in (Code.INVALID, Code.REFUSED)
    assert heights(world) == (3,)


def test_misbehaviour_freezes_the_client_until_governors_give_a_checkpoint(world: RelayWorld) -> None:
    hub = world.hubs[10]
    hub.send_free(20)
    hub.chain.close_block()
    world.catch_up(hub)
    world.must(several(hub, (3, 7)))
    forged = hub.chain.signed(replace(hub.chain.light_blocks[7].header, app_hash=b"\x01" * 32))
    world.must(UpdateClient(10, (hub.chain.update_to(3, forged).encode(),)))
    client = world.view.client(10)
    assert client is not None
    assert client.frozen
    assert world.view.consensus(10, 7) == hub.chain.consensus_state(7), "the contradicting header is not trusted"
    [update, proof] = world.submit(several(hub, (7, 10)), hub.range_message(height=7))
    assert (update.code, proof.code) == (Code.REFUSED, Code.REFUSED)
    world.govern(NewCheckpoint(10, hub.checkpoint(9)))
    assert heights(world) == (9,)
    assert world.view.consensus(10, 7) is None
    world.must(several(hub, (9, 10)))
    world.must(hub.range_message(height=10))


def test_a_frozen_client_takes_back_the_values_that_were_kept(world: RelayWorld) -> None:
    hub = world.hubs[10]
    hub.send_free(20)
    hub.chain.close_block()
    world.catch_up(hub)
    newest = hub.chain.height
    world.must(several(hub, (3, newest)))
    world.must(hub.range_message(height=newest, bare=[1]))
    kept = replace(hub.range_message(height=newest), authentication=KeptAuthentication())
    forged = hub.chain.signed(replace(hub.chain.light_blocks[newest].header, app_hash=b"\x01" * 32))
    world.must(UpdateClient(10, (hub.chain.update_to(heights(world)[0], forged).encode(),)))
    [result] = world.submit(kept)
    assert result.code is Code.REFUSED
    world.govern(NewCheckpoint(10, hub.checkpoint(newest)))
    [result] = world.submit(kept)
    assert result.code is Code.REFUSED, "it was authenticated by the client that is over"
    world.must(replace(kept, authentication=hub.head_proof(0, newest)))
    world.must(kept)


def test_contradicting_header_of_an_untrusted_height_with_time_out_of_order_freezes(world: RelayWorld) -> None:
    hub = world.hubs[10]
    world.must(several(hub, (3, 8)))
    late = hub.chain.light_blocks[8].header.time_ns + 1
    forged = hub.chain.signed(replace(hub.chain.light_blocks[6].header, time_ns=late))
    world.must(UpdateClient(10, (hub.chain.update_to(3, forged).encode(),)))
    client = world.view.client(10)
    assert client is not None
    assert client.frozen


def test_header_not_later_than_one_below_it_freezes_although_its_own_trusted_header_is_older(world: RelayWorld) -> None:
    hub = world.hubs[10]
    world.must(several(hub, (3, 6)))
    early = hub.chain.light_blocks[6].header.time_ns - 1
    forged = hub.chain.signed(replace(hub.chain.light_blocks[8].header, time_ns=early))
    world.must(UpdateClient(10, (hub.chain.update_to(3, forged).encode(),)))
    client = world.view.client(10)
    assert client is not None
    assert client.frozen


def test_expired_client_is_started_again_by_a_checkpoint(world: RelayWorld) -> None:
    hub = world.hubs[10]
    world.run(seconds=TRUSTING_PERIOD_SECONDS)
    hub.chain.close_block(seconds=TRUSTING_PERIOD_SECONDS)
    world.catch_up(hub)
    newest = hub.chain.height
    [result] = world.submit(hub.update_message(3))
    assert result.code == Code.INVALID
    world.govern(NewCheckpoint(10, hub.checkpoint(newest)))
    assert heights(world) == (newest,)


def test_client_keeps_the_newest_heights_only(world: RelayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    from piebridge.relay.app import clients

    monkeypatch.setattr(clients, "KEPT_HEIGHTS_MAX", 3)
    hub = world.hubs[10]
    world.must(several(hub, (3, 4), (4, 5), (5, 6), (6, 7)))
    assert heights(world) == (5, 6, 7)
    assert world.view.consensus(10, 4) is None
    assert world.view.consensus(10, 5) is not None
