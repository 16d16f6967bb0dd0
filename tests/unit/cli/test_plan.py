import pytest

from piebridge.cli.local_network.plan import (
    OWN_BROKER,
    PORT_LIMIT,
    Engine,
    ParachainKind,
    Wishes,
    make_plan,
    quorum,
)
from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.keystore import KeyPurpose


def test_the_same_wishes_give_the_same_plan() -> None:
    assert make_plan(Wishes()) == make_plan(Wishes())


def test_the_default_is_what_the_demo_promises() -> None:
    plan = make_plan(Wishes())
    assert [chain.name for chain in plan.parachains] == ["chain-1", "chain-2", "chain-3"]
    assert [chain.registration for chain in plan.parachains] == [1, 2, 3]
    assert len({chain.evm_chain_id for chain in plan.parachains}) == 3
    (relay,) = plan.relays
    assert (len(relay.validators), relay.threshold) == (4, 3)
    assert [gateway.name for gateway in plan.gateways] == ["gateway-1", "gateway-2"]
    assert plan.notaries == ()


@pytest.mark.parametrize("kind", list(ParachainKind))
def test_ports_are_all_different_and_within_bounds(kind: ParachainKind) -> None:
    wishes = Wishes(parachains=5, parachain_kind=kind, relay_chains=3, validators=7, gateways=4, port_base=20_100)
    plan = make_plan(wishes)
    notaries = 0 if kind is ParachainKind.EMBEDDED else 4
    assert len(plan.ports) == 5 * 2 + 3 * 7 + 4 + notaries
    assert min(plan.ports) == 20_100
    assert max(plan.ports) == 20_100 + len(plan.ports) - 1


def test_every_key_has_one_name_and_one_purpose() -> None:
    plan = make_plan(Wishes(relay_chains=2))
    names = [key.name for key in plan.keys]
    assert len(names) == len(set(names))
    purposes = {key.purpose for key in plan.keys}
    assert purposes == {
        KeyPurpose.GOVERNOR,
        KeyPurpose.USER,
        KeyPurpose.CONSENSUS,
        KeyPurpose.ENDORSEMENT,
        KeyPurpose.GATEWAY,
    }
    assert sum(key.purpose is KeyPurpose.ENDORSEMENT for key in plan.keys) == 8


def test_on_cometbft_every_validator_is_a_process_with_ports_and_an_identity_of_its_own() -> None:
    plan = make_plan(Wishes(engine=Engine.COMETBFT, parachain_validators=2, relay_chains=2))
    processes = [validator.process for relay in plan.relays for validator in relay.validators]
    assert processes[:2] == ["relay-1-validator-0", "relay-1-validator-1"]
    assert len(set(processes)) == 8
    assert [node.name for node in plan.parachains[2].nodes] == ["chain-3-validator-0", "chain-3-validator-1"]
    assert len(plan.ports) == 3 * 2 * 3 + 2 * 4 * 2 + 2
    identities = [key.name for key in plan.keys if key.purpose is KeyPurpose.P2P]
    assert len(identities) == len(set(identities)) == 3 * 2 + 2 * 4
    assert sum(key.purpose is KeyPurpose.CONSENSUS for key in plan.keys) == 3 * 2 + 2 * 4
    first = plan.parachains[0]
    assert (first.rpc_port, first.cometbft_port) == (first.nodes[0].eth_port, first.nodes[0].cometbft_port)
    homes = [relay.home_of(validator) for relay in plan.relays for validator in relay.validators]
    assert len(set(homes)) == 8


def test_on_the_embedded_engine_validators_share_a_process_and_have_no_peers() -> None:
    (relay,) = make_plan(Wishes()).relays
    assert {validator.process for validator in relay.validators} == {"relay-1"}
    assert all(validator.p2p_port is None and validator.p2p_key is None for validator in relay.validators)


def test_anvil_chains_stay_anvil_chains_beside_cometbft() -> None:
    plan = make_plan(Wishes(parachain_kind=ParachainKind.ANVIL, engine=Engine.COMETBFT))
    assert all(chain.nodes == () and chain.cometbft_urls == () for chain in plan.parachains)
    assert all(validator.p2p_port for validator in plan.relays[0].validators)


@pytest.mark.parametrize(
    "wishes",
    [
        Wishes(parachain_validators=2),
        Wishes(parachain_validators=2, parachain_kind=ParachainKind.ANVIL, engine=Engine.COMETBFT),
        Wishes(parachain_validators=0, engine=Engine.COMETBFT),
    ],
)
def test_validators_that_a_parachain_cannot_have_are_refused(wishes: Wishes) -> None:
    with pytest.raises(ConfigurationError, match="--parachain-validators"):
        make_plan(wishes)


def test_anvil_chains_are_read_by_four_notaries_of_whom_three_must_sign() -> None:
    plan = make_plan(Wishes(parachain_kind=ParachainKind.ANVIL))
    assert (len(plan.notaries), plan.notary_threshold) == (4, 3)
    assert all(chain.proxy_port is not None and chain.cometbft_port is None for chain in plan.parachains)
    assert all(chain.validator_key is None for chain in plan.parachains)


@pytest.mark.parametrize(("members", "needed"), [(2, 2), (3, 3), (4, 3), (5, 4), (6, 5), (7, 5), (10, 7)])
def test_a_quorum_is_the_least_number_above_two_thirds(members: int, needed: int) -> None:
    assert quorum(members) == needed
    assert 3 * needed > 2 * members
    assert not 3 * (needed - 1) > 2 * members


@pytest.mark.parametrize("base", [PORT_LIMIT, 40_000, 65_535, 100_000])
def test_a_port_base_that_the_system_gives_to_others_is_refused(base: int) -> None:
    with pytest.raises(ConfigurationError, match=f"--port-base {base}.*choose a base below"):
        make_plan(Wishes(port_base=base))


def test_a_base_whose_last_port_would_be_too_high_is_refused_and_the_highest_possible_one_is_named() -> None:
    needed = len(make_plan(Wishes()).ports)
    assert max(make_plan(Wishes(port_base=PORT_LIMIT - needed)).ports) == PORT_LIMIT - 1
    with pytest.raises(ConfigurationError, match=f"choose a base of at most {PORT_LIMIT - needed}"):
        make_plan(Wishes(port_base=PORT_LIMIT - needed + 1))


@pytest.mark.parametrize(
    ("wishes", "option"),
    [
        (Wishes(parachains=1), "--parachains 1"),
        (Wishes(parachains=33), "--parachains 33"),
        (Wishes(relay_chains=0), "--relay-chains 0"),
        (Wishes(validators=1), "--validators 1"),
        (Wishes(validators=33), "--validators 33"),
        (Wishes(gateways=0), "--gateways 0"),
        (Wishes(port_base=80), "--port-base 80"),
        (Wishes(port_base=-1), "--port-base -1"),
    ],
)
def test_wishes_out_of_range_are_refused_by_the_name_of_their_option(wishes: Wishes, option: str) -> None:
    with pytest.raises(ConfigurationError, match=option):
        make_plan(wishes)


def test_a_network_may_have_a_redis_of_its_own_and_its_other_ports_stay() -> None:
    without, own = make_plan(Wishes()), make_plan(Wishes(broker=OWN_BROKER, workers=2))
    assert without.broker_url is None
    assert own.redis_port not in without.ports
    assert own.broker_url == f"redis://127.0.0.1:{own.redis_port}/0"
    assert own.ports.items() > without.ports.items()


def test_a_network_may_use_a_redis_that_runs() -> None:
    plan = make_plan(Wishes(broker="redis://10.0.0.1:6379/0"))
    assert (plan.redis_port, plan.broker_url) == (None, "redis://10.0.0.1:6379/0")


def test_workers_without_a_broker_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="--broker"):
        make_plan(Wishes(workers=2))


@pytest.mark.parametrize("broker", ["foo", "http://127.0.0.1:6379", "127.0.0.1:6379"])
def test_a_broker_that_is_none_is_refused_before_anything_starts(broker: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--broker .* is no address of a Redis"):
        make_plan(Wishes(broker=broker))
