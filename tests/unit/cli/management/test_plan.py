"""The plan of a management chain: ports, keys and names follow from the wishes, and wrong wishes are refused."""

import pytest

from piebridge.cli.local_network.plan import PORT_LIMIT, Engine
from piebridge.cli.management.plan import ManagementWishes, make_plan
from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.keystore import KeyPurpose


def test_the_embedded_engine_is_one_process_with_one_validator() -> None:
    plan = make_plan(ManagementWishes())
    assert [node.name for node in plan.nodes] == ["management"]
    assert plan.rpc_urls == ("http://127.0.0.1:19500",)
    assert plan.cometbft_urls == ("http://127.0.0.1:19501",)
    assert plan.nodes[0].p2p is None


def test_cometbft_is_four_validators_that_share_nothing() -> None:
    plan = make_plan(ManagementWishes(engine=Engine.COMETBFT))
    assert len(plan.nodes) == len(plan.rpc_urls) == len(plan.cometbft_urls) == 4
    assert len(plan.ports) == 12
    assert len({node.home for node in plan.nodes}) == 4
    names = [key.name for key in plan.keys]
    assert len(set(names)) == len(names)
    assert {node.p2p[0].purpose for node in plan.nodes if node.p2p} == {KeyPurpose.P2P}


def test_governors_of_others_leave_no_governor_key_here() -> None:
    plan = make_plan(ManagementWishes(founders=(b"\x01" * 20, b"\x02" * 20)))
    assert (plan.founder, plan.governor) == (None, None)
    assert all(key.purpose is not KeyPurpose.GOVERNOR for key in plan.keys)


def test_accounts_are_representatives_and_as_many_operators_as_wished() -> None:
    names = [key.name for key in make_plan(ManagementWishes(operators=2)).accounts]
    assert names == ["alice", "bob", "carol", "operator-1", "operator-2"]


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        (ManagementWishes(validators=0), "--validators 0"),
        (ManagementWishes(validators=33), "--validators 33"),
        (ManagementWishes(operators=-1), "--operators"),
        (ManagementWishes(evm_chain_id=0), "--chain-id"),
        (ManagementWishes(port_base=80), "--port-base"),
        (ManagementWishes(port_base=PORT_LIMIT - 1), "not below"),
        (ManagementWishes(founder_threshold=1), "--governor-threshold"),
    ],
)
def test_wrong_wishes_name_their_option(wishes: ManagementWishes, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        make_plan(wishes)
