"""The genesis of a management chain of its own: the contracts are there from block 0 on, made by nobody.

Their constructors are run here, in the same EVM that the chain runs, by an account without a key; what they return is
the code that the genesis holds. So the same rules give the same bytes on every machine.
"""

from collections.abc import Mapping
from typing import Final

from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.hash import keccak256
from piebridge.evm_chain.execution.executor import EvmExecutor
from piebridge.evm_chain.execution.messages import AccountOverride, BlockEnvironment, CallRequest
from piebridge.evm_chain.genesis import GAS_LIMIT_DEFAULT, GenesisAccount, evm_genesis, parse_genesis
from piebridge.management_chain.chain.contracts import (
    ContractName,
    ManagementContracts,
    ManagementRules,
    creation_data,
)

CREATOR: Final = keccak256(b"piebridge management chain, genesis")[12:]
"""Whose first nonces give the addresses: the hash of a sentence, so that nobody can have its key, 20 bytes."""
_FIRST_NONCE = 1
_CREATION_GAS = 50_000_000


def genesis_contracts(chain_id: int) -> ManagementContracts:
    """Return where the contracts of a chain of its own stand."""
    return ManagementContracts.made_by(CREATOR, _FIRST_NONCE, chain_id)


def genesis_accounts(chain_id: int, rules: ManagementRules) -> dict[bytes, GenesisAccount]:
    """Return the contracts as accounts of a genesis, by address.

    Args:
        chain_id: EVM chain id.
        rules: what the contracts are made with.

    Raises:
        ConfigurationError: the rules are refused, or a constructor fails.
    """
    rules.check()
    contracts = genesis_contracts(chain_id)
    codes: dict[bytes, bytes] = {}
    for nonce, (name, data) in enumerate(creation_data(contracts, rules), _FIRST_NONCE):
        codes[contracts.address(name)] = _construct(name, data, nonce, codes, chain_id)
    return {address: GenesisAccount(code=code, nonce=1) for address, code in codes.items()}


def management_genesis(
    chain_id: int, rules: ManagementRules, funds: Mapping[bytes, int], *, gas_limit: int = GAS_LIMIT_DEFAULT
) -> bytes:
    """Make ``app_state`` of the genesis document of a management chain.

    Args:
        chain_id: EVM chain id.
        rules: what the contracts are made with.
        funds: wei by account.
        gas_limit: gas of every block.

    Raises:
        ConfigurationError: the rules are refused, a value is out of range, or an account is that of a contract.
    """
    accounts = genesis_accounts(chain_id, rules)
    if taken := accounts.keys() & funds.keys():
        raise ConfigurationError(f"0x{min(taken).hex()} is the address of a contract and gets no funds")
    balances = {address: GenesisAccount(balance=wei) for address, wei in funds.items()}
    return evm_genesis(chain_id, accounts | balances, gas_limit=gas_limit)


def _construct(name: ContractName, data: bytes, nonce: int, codes: Mapping[bytes, bytes], chain_id: int) -> bytes:
    """Run a constructor where the contracts before it stand already, and return the code that it leaves."""
    empty = parse_genesis(evm_genesis(chain_id, {}))
    nodes: dict[bytes, bytes] = {}
    executor = EvmExecutor(empty, nodes.get)
    first = executor.genesis_block(0)
    nodes |= first.nodes
    assert first.block is not None, "a genesis always makes a block"
    environment = BlockEnvironment(0, 0, bytes(20), bytes(32), empty.gas_limit, empty.base_fee_per_gas)
    overrides = {address: AccountOverride(nonce=1, code=code) for address, code in codes.items()}
    simulation = executor.simulation(
        first.block.header.state_root, environment, (), overrides | {CREATOR: AccountOverride(nonce=nonce)}
    )
    result = simulation.run(CallRequest(sender=CREATOR, to=b"", gas_limit=_CREATION_GAS, data=data))
    if not result.succeeded:
        raise ConfigurationError(f"the constructor of {name} fails: {result.error}")
    return result.output
