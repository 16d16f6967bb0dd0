"""Configuration from a network file, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.signature import address_of_private_key
from piebridge.gateway.config import GatewayConfig, gateway_config_from_network, notary_config_from_network

KEY = bytes(31) + b"\x01"
HUB = "0x" + "11" * 20


def network() -> dict[str, Any]:
    chain = {
        "name": "chain-1",
        "registration": 1,
        "evm_chain_id": 31_001,
        "rpc_url": "http://127.0.0.1:20000",
        "second_rpc_url": "http://127.0.0.1:20001",
        "websocket_url": "ws://127.0.0.1:20000",
        "cometbft_rpc_urls": [],
        "finality_depth": 2,
        "hub": HUB,
    }
    gateway = {"data_directory": "gateways/x", "status_url": "http://127.0.0.1:20050"}
    return {
        "version": 1,
        "domain": {"id": 7},
        "chains": [chain, {**chain, "name": "chain-2", "registration": 2, "cometbft_rpc_urls": ["http://127.0.0.1:2"]}],
        "relay_chains": [{"id": 3, "chain_id": "piebridge-7-3", "validators": [{"rpc_url": "http://127.0.0.1:3"}]}],
        "notaries": [{"index": 0, "url": "http://127.0.0.1:20060/", "set_epoch": 4, "k": 1, "chains": [1]}],
        "gateways": [{"name": "a", **gateway}, {"name": "b", **gateway}],
    }


def write(directory: Path, document: object) -> Path:
    path = directory / "network.json"
    path.write_text(json.dumps(document))
    return path


def test_a_gateway_finds_its_chains_relays_and_notaries(tmp_path: Path) -> None:
    config = gateway_config_from_network(write(tmp_path, network()), "b", KEY)
    assert config.domain == 7
    assert [chain.registration for chain in config.chains] == [1, 2]
    assert config.chains[0].hub_address == bytes.fromhex(HUB[2:])
    assert config.chains[1].cometbft_rpc_urls == ("http://127.0.0.1:2",)
    assert config.relays[0].validator_rpc_urls == ("http://127.0.0.1:3",)
    assert config.notaries[0].url == "http://127.0.0.1:20060"
    assert config.data_directory == tmp_path / "gateways/x"
    assert config.status_address == ("127.0.0.1", 20_050)
    assert KEY.hex() not in repr(config)


def test_a_notary_finds_what_it_reads(tmp_path: Path) -> None:
    config = notary_config_from_network(write(tmp_path, network()), 0, KEY, tmp_path / "data")
    assert (config.domain, config.set_epoch, config.host, config.port) == (7, 4, "127.0.0.1", 20_060)
    (chain,) = config.chains
    assert chain.rpc_urls == ("http://127.0.0.1:20000", "http://127.0.0.1:20001")
    assert chain.finality_depth == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version 1"),
        ({"gateways": [{"name": "other", "data_directory": "d"}]}, "no gateway 'b'; known are other"),
        ({"chains": []}, "at least one chain"),
        ({"relay_chains": []}, "at least one chain and one relay chain"),
        ({"chains": [{"name": "x"}]}, "malformed"),
        ({"gateways": None}, "gateways is missing"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        gateway_config_from_network(write(tmp_path, network() | change), "b", KEY)


def test_a_notary_with_one_node_is_refused(tmp_path: Path) -> None:
    document = network()
    document["chains"][0]["second_rpc_url"] = None
    with pytest.raises(ConfigurationError, match="at least two"):
        notary_config_from_network(write(tmp_path, document), 0, KEY, tmp_path)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        gateway_config_from_network(tmp_path / "absent.json", "b", KEY)
    (tmp_path / "text.json").write_text("no json")
    with pytest.raises(ConfigurationError, match="not JSON"):
        gateway_config_from_network(tmp_path / "text.json", "b", KEY)


def test_one_chain_twice_is_refused(tmp_path: Path) -> None:
    config = gateway_config_from_network(write(tmp_path, network()), "a", KEY)
    with pytest.raises(ConfigurationError, match="twice"):
        GatewayConfig("x", 7, KEY, tmp_path, (config.chains[0], config.chains[0]), config.relays)
    with pytest.raises(ConfigurationError, match="32 bytes"):
        GatewayConfig("x", 7, b"short", tmp_path, config.chains, config.relays)


def test_the_key_of_another_gateway_is_refused(tmp_path: Path) -> None:
    document = network()
    own = "0x" + address_of_private_key(KEY).hex()
    document["gateways"][1]["address"] = own
    assert gateway_config_from_network(write(tmp_path, document), "b", KEY).private_key == KEY
    with pytest.raises(ConfigurationError, match=r"b has the address 0x.*, and the key that was given belongs to 0x"):
        gateway_config_from_network(write(tmp_path, document), "b", b"\x09" * 32)
