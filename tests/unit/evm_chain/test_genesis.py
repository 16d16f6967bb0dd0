"""Genesis: canonical bytes, and every wrong value named."""

import json
from typing import Any

import pytest
from eth.vm.forks.prague.constants import HISTORY_STORAGE_CONTRACT_CODE

from piebridge.crypto.errors import ConfigurationError
from piebridge.evm_chain.genesis import HISTORY_STORAGE_ADDRESS, GenesisAccount, evm_genesis, parse_genesis

ADDRESS = b"\x01" * 20


def test_encoding_does_not_depend_on_the_order_of_accounts() -> None:
    accounts = {bytes([index]) * 20: GenesisAccount(balance=index) for index in (3, 1, 2)}
    backwards = dict(reversed(accounts.items()))
    assert evm_genesis(7, accounts) == evm_genesis(7, backwards)
    assert b" " not in evm_genesis(7, accounts)


def test_round_trip_keeps_everything() -> None:
    account = GenesisAccount(balance=2**200, code=b"\x60\x00", nonce=5, storage=((1, 2), (3, 2**255)))
    genesis = parse_genesis(
        evm_genesis(7, {ADDRESS: account}, gas_limit=10**7, base_fee_per_gas=0, fee_recipient=b"\x09" * 20)
    )
    assert dict(genesis.alloc)[ADDRESS] == account
    assert (genesis.chain_id, genesis.gas_limit, genesis.base_fee_per_gas) == (7, 10**7, 0)
    assert genesis.fee_recipient == b"\x09" * 20
    assert parse_genesis(genesis.encode()) == genesis


def test_history_contract_is_the_one_of_the_specification() -> None:
    accounts = dict(parse_genesis(evm_genesis(7, {})).alloc)
    assert accounts[HISTORY_STORAGE_ADDRESS].code == HISTORY_STORAGE_CONTRACT_CODE


def test_contract_starts_with_nonce_one_and_zero_slots_are_left_out() -> None:
    genesis = parse_genesis(evm_genesis(7, {ADDRESS: GenesisAccount(code=b"\x00", storage=((5, 0), (6, 1)))}))
    assert dict(genesis.alloc)[ADDRESS] == GenesisAccount(code=b"\x00", nonce=1, storage=((6, 1),))


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("chain_id",), 0, "chain_id"),
        (("chain_id",), True, "chain_id"),
        (("chain_id",), "1", "chain_id"),
        (("gas_limit",), 1, "gas_limit"),
        (("base_fee_per_gas",), 5, "base_fee_per_gas"),
        (("base_fee_per_gas",), "0x", "base_fee_per_gas"),
        (("base_fee_per_gas",), "0x1_0", "base_fee_per_gas"),
        (("fee_recipient",), "0x00", "fee_recipient"),
        (("extra",), 1, "extra"),
        (("alloc",), [], "alloc"),
        (("alloc", "0x" + "01" * 20), {}, "balance"),
        (("alloc", "0x" + "01" * 20, "balance"), "0x" + "f" * 64, "balance"),
        (("alloc", "0x" + "01" * 20, "code"), "0x0", "code"),
        (("alloc", "0x" + "01" * 20, "code"), "0x" + "00" * 24_577, "code"),
        (("alloc", "0x" + "01" * 20, "storage"), {"0x1": "0x1", "0x01": "0x2"}, "twice"),
        (("alloc", "0x12"), {"balance": "0x0", "code": "0x", "nonce": "0x0", "storage": {}}, "0x12"),
    ],
)
def test_wrong_values_are_named(path: tuple[str, ...], value: object, named: str) -> None:
    document: Any = json.loads(evm_genesis(7, {ADDRESS: GenesisAccount(balance=1)}))
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(ConfigurationError, match=named):
        parse_genesis(json.dumps(document).encode())


@pytest.mark.parametrize("state", [b"", b"[]", b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_refused(state: bytes) -> None:
    with pytest.raises(ConfigurationError):
        parse_genesis(state)
