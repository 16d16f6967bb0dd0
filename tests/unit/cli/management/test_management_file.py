"""management.json says everything that commands, agents and governors need, and nothing else passes for one."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from piebridge.cli.management import management_file
from piebridge.cli.management.management_file import ManagementFile
from piebridge.cli.network_file import AccountEntry, ProcessEntry
from piebridge.crypto.errors import ConfigurationError
from piebridge.management_chain.chain.contracts import ManagementRules
from piebridge.management_chain.chain.founders import Founders
from piebridge.management_chain.chain.genesis import genesis_contracts

ADDRESS = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"


def sample() -> ManagementFile:
    return ManagementFile(
        name="local",
        created_at=1_700_000_000,
        dev=True,
        engine="embedded",
        cometbft_chain_id="piebridge-management-91000",
        rpc_urls=("http://127.0.0.1:19500",),
        websocket_urls=("ws://127.0.0.1:19500",),
        cometbft_rpc_urls=("http://127.0.0.1:19501",),
        trusted_height=1,
        trusted_hash="0x" + "ab" * 32,
        deployed_in_block=0,
        contracts=genesis_contracts(91_000),
        rules=ManagementRules(Founders(1, (b"\x11" * 20,)), dev=True, bond_per_node_wei=10**30),
        governor_key_file="keys/governor.json",
        accounts=(AccountEntry("alice", ADDRESS, "keys/alice.json", "keys/password"),),
        processes=(ProcessEntry("management", "management", 1, 2, ("piebridge",), "logs/management.log"),),
    )


def test_what_is_saved_is_loaded_again(tmp_path: Path) -> None:
    management_file.save(sample(), tmp_path)
    assert management_file.load(tmp_path) == sample()
    assert management_file.load(tmp_path / management_file.FILE_NAME) == sample()


def test_a_chain_of_others_has_no_light_client_data(tmp_path: Path) -> None:
    document = sample().document() | {
        "engine": None,
        "cometbft_chain_id": None,
        "cometbft_rpc_urls": [],
        "trusted_height": None,
        "trusted_hash": None,
        "processes": [],
    }
    file = management_file.from_document(document, "a test")
    assert (file.engine, file.trusted_height, file.processes) == (None, None, ())


def test_large_bonds_survive_readers_of_doubles() -> None:
    assert json.loads(json.dumps(sample().document()))["rules"]["bond_per_node_wei"] == "1" + "0" * 30


def without(document: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != key}


@pytest.mark.parametrize("key", sorted(sample().document()))
def test_every_key_must_be_there(key: str) -> None:
    with pytest.raises(ConfigurationError, match="no management file of version 1"):
        management_file.from_document(without(sample().document(), key), "a test")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("version",), 2),
        (("surplus",), 1),
        (("contracts", "governor_board"), "0x12"),
        (("rules", "bond_per_node_wei"), "0"),
        (("rules", "founders"), []),
        (("rpc_urls",), []),
        (("engine",), "other"),
    ],
)
def test_another_document_is_refused_with_its_place(place: tuple[str, ...], value: object) -> None:
    document = copy.deepcopy(sample().document())
    target = document
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    with pytest.raises(ConfigurationError, match="a test is no management file"):
        management_file.from_document(document, "a test")


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="piebridge management up"):
        management_file.load(tmp_path)
