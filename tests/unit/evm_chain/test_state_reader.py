"""Reading states and proofs, against the verifier of the crypto package."""

import pytest

from piebridge.crypto.patricia import verify_account, verify_storage
from piebridge.evm_chain.genesis import GenesisAccount
from piebridge.evm_chain.state_reader import StateReader
from testkit.evm_chain_driver import ALICE, Driver, genesis_state

CONTRACT = b"\xc0" * 20
NEIGHBOURS = (40_364, 105_566)
"""Slots whose hashes share their first 32 bits, so that their leaves are below 32 bytes and stand in their parent."""


def reader_of(driver: Driver) -> tuple[StateReader, bytes]:
    head = driver.app.database.head
    assert head is not None
    return StateReader(driver.app.database.node, head.header.state_root), head.header.state_root


@pytest.mark.parametrize("slot", [*NEIGHBOURS, 7, 8])
def test_proofs_hold_also_where_nodes_stand_in_their_parent(slot: int) -> None:
    storage = {NEIGHBOURS[0]: 1, NEIGHBOURS[1]: 2, 7: 2**256 - 1}
    account = GenesisAccount(code=b"\x00", storage=tuple(storage.items()))
    reader, root = reader_of(Driver(app_state=genesis_state(alloc={CONTRACT: account})))
    proof = reader.proof(CONTRACT, [slot])
    verified = verify_account(root, CONTRACT, proof.nodes)
    assert verified is not None
    assert verified.storage_root == proof.account.storage_root
    assert verify_storage(verified.storage_root, slot, proof.storage[0].nodes) == storage.get(slot, 0)
    assert reader.storage(CONTRACT, slot) == proof.storage[0].value == storage.get(slot, 0)


def test_account_without_storage_and_absent_account() -> None:
    reader, root = reader_of(Driver())
    proof = reader.proof(ALICE.address, [5])
    account = verify_account(root, ALICE.address, proof.nodes)
    assert account is not None
    assert verify_storage(account.storage_root, 5, proof.storage[0].nodes) == 0
    assert verify_account(root, CONTRACT, reader.proof(CONTRACT, []).nodes) is None
    assert reader.code(CONTRACT) == b""
