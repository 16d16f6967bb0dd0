"""The genesis of a management chain holds the contracts as their constructors leave them, the same on every machine."""

import pytest

from piebridge.crypto.errors import ConfigurationError
from piebridge.evm_chain.genesis import parse_genesis
from piebridge.management_chain.chain.contracts import ContractName, ManagementContracts, ManagementRules, artifact
from piebridge.management_chain.chain.founders import Founders
from piebridge.management_chain.chain.genesis import (
    CREATOR,
    genesis_accounts,
    genesis_contracts,
    management_genesis,
)

CHAIN_ID = 91_000
FOUNDERS = Founders(3, tuple(bytes([number]) * 20 for number in range(1, 5)))
RULES = ManagementRules(FOUNDERS, dev=False)


@pytest.fixture(scope="module")
def accounts() -> dict[bytes, bytes]:
    return {address: account.code for address, account in genesis_accounts(CHAIN_ID, RULES).items()}


def test_every_contract_stands_where_the_creator_would_have_made_it(accounts: dict[bytes, bytes]) -> None:
    contracts = genesis_contracts(CHAIN_ID)
    assert accounts.keys() == {contracts.address(name) for name in ContractName}
    assert contracts == ManagementContracts.made_by(CREATOR, 1, CHAIN_ID)


def test_the_code_is_the_compiled_one_with_its_immutable_values(accounts: dict[bytes, bytes]) -> None:
    contracts = genesis_contracts(CHAIN_ID)
    for name in ContractName:
        compiled, code = artifact(name), bytearray(accounts[contracts.address(name)])
        values = {bytes(code[start : start + length]) for start, length in compiled.immutable_references}
        for start, length in compiled.immutable_references:
            code[start : start + length] = bytes(length)
        assert bytes(code) == compiled.runtime_bytecode
        if name is ContractName.BOARD:
            assert FOUNDERS.hash in values
        if name is ContractName.MARKET:
            assert (10**18).to_bytes(32, "big") in values
            assert contracts.address(ContractName.REGISTRY).rjust(32, b"\0") in values


def test_the_genesis_is_canonical_and_depends_on_every_rule() -> None:
    funds = {b"\x77" * 20: 5}
    first = management_genesis(CHAIN_ID, RULES, funds)
    assert management_genesis(CHAIN_ID, RULES, dict(funds)) == first
    others = [
        management_genesis(CHAIN_ID, ManagementRules(Founders(4, FOUNDERS.accounts), dev=False), funds),
        management_genesis(CHAIN_ID, ManagementRules(FOUNDERS, dev=True), funds),
        management_genesis(CHAIN_ID, ManagementRules(FOUNDERS, dev=False, bond_per_node_wei=1), funds),
        management_genesis(CHAIN_ID, ManagementRules(FOUNDERS, dev=False, withdrawal_delay_seconds=86_401), funds),
        management_genesis(CHAIN_ID, ManagementRules(FOUNDERS, dev=False, period_seconds=1), funds),
    ]
    assert len({first, *others}) == len(others) + 1
    balances = {address: account.balance for address, account in parse_genesis(first).alloc if not account.code}
    assert balances == funds


def test_no_contract_writes_into_its_storage_when_it_is_made() -> None:
    # The genesis says so by construction; the test on anvil shows that a real creation leaves no storage either.
    assert all(not account.storage for account in genesis_accounts(CHAIN_ID, RULES).values())


def test_a_funded_account_is_never_one_of_the_contracts() -> None:
    with pytest.raises(ConfigurationError, match="address of a contract"):
        management_genesis(CHAIN_ID, RULES, {genesis_contracts(CHAIN_ID).address(ContractName.BOARD): 1})


ACCOUNTS = FOUNDERS.accounts


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (ManagementRules(Founders(1, ACCOUNTS[:1]), dev=False), "more than two thirds"),
        (ManagementRules(Founders(2, ACCOUNTS[:3]), dev=False), "more than two thirds"),
        (ManagementRules(Founders(5, ACCOUNTS), dev=True), "1 <= k <= n"),
        (ManagementRules(Founders(0, ACCOUNTS), dev=True), "1 <= k <= n"),
        (ManagementRules(Founders(1, ()), dev=True), "1 <= k <= n"),
        (ManagementRules(Founders(2, ACCOUNTS[:1] * 2), dev=True), "twice"),
        (ManagementRules(Founders(1, (bytes(20),)), dev=True), "zero"),
        (ManagementRules(FOUNDERS, dev=False, withdrawal_delay_seconds=60), "at least a day"),
        (ManagementRules(FOUNDERS, dev=False, bond_per_node_wei=0), "bond"),
        (ManagementRules(FOUNDERS, dev=False, period_seconds=1 << 32), "period"),
    ],
)
def test_rules_that_the_contracts_would_refuse_are_refused_before_anything_is_made(
    rules: ManagementRules, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        rules.check()


def test_a_single_founder_is_for_dev_only() -> None:
    ManagementRules(Founders(1, ACCOUNTS[:1]), dev=True).check()
