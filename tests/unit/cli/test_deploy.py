"""The deployment of a local network, as far as it can be known before any chain runs."""

import pytest

from piebridge.cli.local_network import deploy, genesis
from piebridge.cli.local_network.keys import NetworkKeys
from piebridge.cli.local_network.plan import NetworkPlan, ParachainKind, Wishes, make_plan
from piebridge.cli.wallet import contract_address
from piebridge.contracts.loader import load
from piebridge.crypto.errors import VerificationError
from piebridge.crypto.threshold.verification import verify
from piebridge.protocol_stack.checkpoint import CometBftCheckpoint
from piebridge.protocol_stack.governor_hub_bodies import HubKind, RegisterPeer, SetRoutingPolicy
from piebridge.protocol_stack.governor_messages import GovernorMessage
from piebridge.protocol_stack.relay_genesis import RelayGenesis


def planned(kind: ParachainKind = ParachainKind.EMBEDDED, relay_chains: int = 1) -> tuple[NetworkPlan, NetworkKeys]:
    plan = make_plan(Wishes(parachain_kind=kind, relay_chains=relay_chains))
    return plan, NetworkKeys({key.name: number.to_bytes(32, "big") for number, key in enumerate(plan.keys, start=1)})


def messages(plan: NetworkPlan, keys: NetworkKeys, chain_index: int = 0) -> list[GovernorMessage]:
    chain = plan.parachains[chain_index]
    hashes = {relay.relay: bytes([relay.relay]) * 32 for relay in plan.relays}
    hub = deploy.Addresses.of(keys.address(plan.deployer)).hub
    prefix = load("Hub").selector("governor")
    found = []
    for call in deploy.deployment_calls(chain, plan, keys, hashes):
        if call.to == hub and call.data[:4] == prefix:
            length = int.from_bytes(call.data[36:68], "big")
            found.append(GovernorMessage.decode(call.data[68 : 68 + length]))
    return found


@pytest.mark.parametrize("relay_chains", [1, 3])
def test_every_message_is_well_formed_signed_and_numbered_without_a_gap(relay_chains: int) -> None:
    plan, keys = planned(relay_chains=relay_chains)
    counters: dict[int, int] = {}
    group_key = keys.group_key(plan.governor)
    for message in messages(plan, keys):
        message.decode_body()
        verify(message.signature, message.digest, group_key)
        counters[message.domain] = counters.get(message.domain, 0) + 1
        assert message.counter == counters[message.domain]
        assert message.target == 1
    with pytest.raises(VerificationError):
        verify(message.signature, bytes(32), group_key)


def test_every_chain_learns_of_all_others_and_not_of_itself() -> None:
    plan, keys = planned()
    for index, chain in enumerate(plan.parachains):
        peers = [item.decode_body() for item in messages(plan, keys, index) if item.kind == HubKind.REGISTER_PEER]
        assert all(isinstance(peer, RegisterPeer) for peer in peers)
        known = {peer.registration: peer.evm_chain_id for peer in peers if isinstance(peer, RegisterPeer)}
        assert known == {other.registration: other.evm_chain_id for other in plan.parachains if other != chain}


@pytest.mark.parametrize("relay_chains", [1, 2, 3, 7])
def test_the_routing_slots_are_shared_out_evenly_and_completely(relay_chains: int) -> None:
    plan, keys = planned(relay_chains=relay_chains)
    (policy,) = [item.decode_body() for item in messages(plan, keys) if item.kind == HubKind.ROUTING_POLICY]
    assert isinstance(policy, SetRoutingPolicy)
    counts = [item.count for item in policy.policy.ranges]
    assert (sum(counts), len(counts)) == (1_024, relay_chains)
    assert max(counts) - min(counts) <= 1


def test_the_relay_chain_is_active_before_it_gets_routing_slots() -> None:
    plan, keys = planned(relay_chains=2)
    kinds = [item.kind for item in messages(plan, keys)]
    assert max(i for i, kind in enumerate(kinds) if kind == HubKind.RELAY_STATE) < kinds.index(HubKind.ROUTING_POLICY)


def test_contracts_stand_where_the_nonces_put_them() -> None:
    plan, keys = planned()
    deployer = keys.address(plan.deployer)
    addresses = deploy.Addresses.of(deployer)
    calls = deploy.deployment_calls(plan.parachains[0], plan, keys, {1: bytes(32)})
    creations = [number for number, call in enumerate(calls) if call.to is None]
    assert [contract_address(deployer, number) for number in creations] == [
        addresses.hub,
        addresses.door,
        addresses.token,
        addresses.record_notary,
        addresses.message_board,
    ]


def test_a_deployment_fits_one_block() -> None:
    plan = make_plan(Wishes(parachains=8, relay_chains=2))
    keys = NetworkKeys({key.name: number.to_bytes(32, "big") for number, key in enumerate(plan.keys, start=1)})
    calls = deploy.deployment_calls(plan.parachains[0], plan, keys, {1: bytes(32), 2: bytes(32)})
    assert all(call.gas is not None for call in calls)
    assert sum(call.gas or 0 for call in calls) < 60_000_000


def checkpoints(plan: NetworkPlan) -> dict[int, CometBftCheckpoint]:
    return {
        chain.registration: CometBftCheckpoint(
            genesis.TRUSTING_PERIOD_SECONDS, 10, chain.cometbft_chain_id, 1, bytes(32), 1, bytes(32), bytes(32)
        )
        for chain in plan.parachains
    }


@pytest.mark.parametrize("kind", list(ParachainKind))
def test_the_relay_genesis_is_accepted_by_its_own_reader_and_knows_hubs_gateways_and_validators(
    kind: ParachainKind,
) -> None:
    plan, keys = planned(kind)
    hub = deploy.Addresses.of(keys.address(plan.deployer)).hub
    built = genesis.relay_genesis(plan.relays[0], plan, keys, hub, checkpoints(plan))
    assert RelayGenesis.parse(built.app_state_bytes()) == built
    assert [chain.registration for chain in built.chains] == [1, 2, 3]
    assert {chain.hub for chain in built.chains} == {hub}
    assert {item.address for item in built.gateways.quotas} == {keys.address(item.key) for item in plan.gateways}
    assert built.validator_set.safe
    assert all(chain.notaries is None or chain.notaries.safe for chain in built.chains)


def test_hub_and_relay_chain_are_told_the_same_endorsement_set() -> None:
    plan, keys = planned()
    (announced,) = [item for item in messages(plan, keys) if item.kind == HubKind.REGISTER_RELAY]
    assert announced.body.endswith(genesis.validator_set(plan.relays[0], keys).endorsers.encode())
