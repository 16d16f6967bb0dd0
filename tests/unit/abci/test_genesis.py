import json
from dataclasses import replace

import pytest

from piebridge.abci.embedded.genesis import GenesisDocument, GenesisValidator, build_genesis
from piebridge.abci.messages import ConsensusParams
from piebridge.crypto.errors import ConfigurationError
from testkit.validators import GENESIS_TIME_NS, genesis_for, validator_keys

KEYS = validator_keys(4)


def test_document_is_a_pure_function_and_round_trips() -> None:
    document = genesis_for(KEYS)
    assert document.to_json() == genesis_for(KEYS).to_json()
    assert GenesisDocument.from_json(document.to_json()) == document
    shuffled = build_genesis(
        "relay-1", GENESIS_TIME_NS, [key.public_key for key in KEYS], {"z": 1, "a": {"y": 2, "b": [3]}}
    )
    same = build_genesis(
        "relay-1", GENESIS_TIME_NS, [key.public_key for key in KEYS], {"a": {"b": [3], "y": 2}, "z": 1}
    )
    assert shuffled.hash() == same.hash()
    assert shuffled.app_state_bytes() == b'{"a":{"b":[3],"y":2},"z":1}'
    assert shuffled.app_state_bytes() in shuffled.to_json()


def test_initial_request_lists_validators_in_set_order() -> None:
    request = genesis_for(KEYS).init_chain_request()
    addresses = [member.address for member in genesis_for(KEYS).validator_set().validators]
    assert [update.public_key for update in request.validators] == [
        next(key for key in KEYS if key.address == address).public_key.data for address in addresses
    ]
    assert request.app_state == b'{"a":"b"}'


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"chain_id": ""}, "chain_id"),
        ({"chain_id": "x" * 51}, "chain_id"),
        ({"chain_id": "ü"}, "chain_id"),
        ({"initial_height": 0}, "initial_height"),
        ({"validators": ()}, "same voting power"),
        (
            {"validators": (GenesisValidator(KEYS[0].public_key, 1), GenesisValidator(KEYS[1].public_key, 2))},
            "same voting power",
        ),
        ({"validators": (GenesisValidator(KEYS[0].public_key, 0),)}, "same voting power"),
        ({"validators": (GenesisValidator(KEYS[0].public_key),) * 2}, "twice"),
        ({"consensus_params": ConsensusParams(block_max_bytes=0)}, "out of range"),
        ({"consensus_params": ConsensusParams(block_max_gas=-2)}, "out of range"),
    ],
)
def test_impossible_documents_are_refused(change: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        replace(genesis_for(KEYS), **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("app_state", [{"a": float("nan")}, {"a": b"bytes"}, {"a": object()}])
def test_app_state_must_be_json(app_state: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="not JSON"):
        build_genesis("c", 0, [KEYS[0].public_key], app_state).to_json()


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.pop("chain_id"),
        lambda value: value.update(app_hash="00"),
        lambda value: value.update(surprise=1),
        lambda value: value["validators"][0].update(address="00" * 20),
        lambda value: value["validators"][0]["pub_key"].update(type="tendermint/PubKeyX"),
        lambda value: value["validators"][0].update(power="2"),
        lambda value: value["consensus_params"]["abci"].update(vote_extensions_enable_height="5"),
        lambda value: value.update(genesis_time="2026-13-01T00:00:00Z"),
        lambda value: value.update(validators=5),
        lambda value: value.update(initial_height="x"),
    ],
)
def test_files_that_mean_something_else_are_refused(change: object) -> None:
    value = json.loads(genesis_for(KEYS).to_json())
    change(value)  # type: ignore[operator]
    with pytest.raises(ConfigurationError):
        GenesisDocument.from_json(json.dumps(value).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"5", b"null", b"\xff"])
def test_files_that_are_no_documents_are_refused(data: bytes) -> None:
    with pytest.raises(ConfigurationError):
        GenesisDocument.from_json(data)
