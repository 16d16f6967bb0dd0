"""Execution: gas, refunds, calldata floor, blockhash, faults, recursion; roots against independent implementations."""

import os
import subprocess
import sys
import threading
import warnings

import pytest
import rlp  # type: ignore[import-untyped]
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.prague.blocks import PragueBlockHeader
from eth.vm.forks.prague.headers import create_prague_header_from_parent
from eth.vm.forks.prague.state import PragueTransactionExecutor

from piebridge.crypto.errors import DecodingError
from piebridge.crypto.hash import keccak256
from piebridge.evm_chain.errors import RejectionCode
from piebridge.evm_chain.execution.messages import CallRequest
from piebridge.evm_chain.execution.world_state import LOCAL_FAILURES
from piebridge.evm_chain.genesis import HISTORY_STORAGE_ADDRESS, GenesisAccount
from piebridge.evm_chain.header import EvmHeader, decode_header, next_base_fee
from piebridge.evm_chain.state_reader import StateReader
from piebridge.evm_chain.store import MemoryStore
from testkit.evm_chain_driver import ALICE, BOB, ETHER, GWEI, PROPOSER, Driver, genesis_state

CONTRACT = b"\xc0" * 20


def deployed(code: str, **options: object) -> Driver:
    account = GenesisAccount(code=bytes.fromhex(code), **options)  # type: ignore[arg-type]
    return Driver(app_state=genesis_state(alloc={CONTRACT: account}))


def head(driver: Driver) -> EvmHeader:
    assert driver.app.database.head is not None
    return driver.app.database.head.header


def state(driver: Driver) -> StateReader:
    return StateReader(driver.app.database.node, head(driver).state_root)


def test_header_is_the_one_of_py_evm() -> None:
    driver = Driver()
    driver.run(ALICE.sign(value=1))
    ours = head(driver)
    theirs = rlp.decode(ours.encode(), sedes=PragueBlockHeader)
    assert theirs.hash == ours.hash
    assert len(rlp.decode(ours.encode())) == 21
    assert decode_header(ours.encode()) == ours
    parent = rlp.decode(driver.app.database.header(0).encode(), sedes=PragueBlockHeader)  # type: ignore[union-attr]
    child = create_prague_header_from_parent(parent, gas_limit=60_000_000, timestamp=parent.timestamp + 1)
    assert child.base_fee_per_gas == ours.base_fee_per_gas
    assert PragueVM.fork == "prague"


@pytest.mark.parametrize("gas_used", [0, 1, 30_000_000 - 1, 30_000_000, 30_000_001, 60_000_000])
@pytest.mark.parametrize("base_fee", [0, 7, 8, 10**9])
def test_base_fee_follows_the_rule_of_py_evm(gas_used: int, base_fee: int) -> None:
    from dataclasses import replace

    from eth.vm.forks.london.headers import calculate_expected_base_fee_per_gas

    ours = replace(head(Driver()), gas_used=gas_used, base_fee_per_gas=base_fee)
    theirs = rlp.decode(ours.encode(), sedes=PragueBlockHeader)
    assert next_base_fee(ours) == calculate_expected_base_fee_per_gas(theirs)


def test_header_decoder_takes_one_encoding_only() -> None:
    encoded = head(Driver()).encode()
    for wrong in (
        b"",
        encoded[:-1],
        encoded + b"\x00",
        b"\xc0",
        encoded.replace(b"\x84\x03\x93\x87\x00", b"\x85\x00\x03\x93\x87\x00"),
    ):
        with pytest.raises(DecodingError):
            decode_header(wrong)


def test_gas_is_paid_by_sender_to_proposer_and_base_fee_is_burnt() -> None:
    driver = Driver()
    driver.run(ALICE.sign(value=3))
    outcome = driver.app.database.outcomes(1)[0]
    price = GWEI * 7 // 8 + GWEI
    assert (outcome.gas_used, outcome.effective_gas_price) == (21_000, price)
    assert state(driver).account(ALICE.address).balance == 1_000 * ETHER - 3 - 21_000 * price
    assert state(driver).account(PROPOSER).balance == 21_000 * GWEI


def test_refund_is_at_most_a_fifth_and_receipt_equals_what_was_paid() -> None:
    clear_four = "".join(f"600060{slot:02x}55" for slot in range(4))
    driver = deployed(clear_four + "00", storage=tuple((slot, 1) for slot in range(4)))
    driver.run(ALICE.sign(to=CONTRACT))
    outcome = driver.app.database.outcomes(1)[0]
    consumed = 21_000 + 4 * (5_000 + 6)
    assert outcome.gas_used == consumed - consumed // 5
    paid = 1_000 * ETHER - state(driver).account(ALICE.address).balance
    assert paid == outcome.gas_used * outcome.effective_gas_price


@pytest.mark.parametrize("slots", [0, 4])
def test_calldata_floor_holds_with_and_without_refund(slots: int) -> None:
    clear = "".join(f"600060{slot:02x}55" for slot in range(slots))
    driver = deployed(clear + "00", storage=tuple((slot, 1) for slot in range(slots)))
    data = b"\x01" * 3_000
    driver.run(ALICE.sign(to=CONTRACT, data=data, gas=200_000))
    outcome = driver.app.database.outcomes(1)[0]
    assert outcome.gas_used == 21_000 + 40 * len(data)
    paid = 1_000 * ETHER - state(driver).account(ALICE.address).balance
    assert paid == outcome.gas_used * outcome.effective_gas_price


def test_failed_transaction_pays_and_uses_its_nonce_but_changes_nothing_else() -> None:
    driver = deployed("600160005560006000fd")  # stores, then reverts
    driver.run(ALICE.sign(to=CONTRACT, value=5))
    outcome = driver.app.database.outcomes(1)[0]
    assert not outcome.succeeded
    assert state(driver).storage(CONTRACT, 0) == 0
    assert state(driver).account(CONTRACT).balance == 0
    assert state(driver).account(ALICE.address).nonce == 1
    assert (
        state(driver).account(ALICE.address).balance == 1_000 * ETHER - outcome.gas_used * outcome.effective_gas_price
    )


def test_created_contract_has_the_address_of_sender_and_nonce() -> None:
    driver = Driver()
    driver.run(ALICE.sign(), ALICE.sign(nonce=1, to=b"", data=bytes.fromhex("60ff60005360016000f3"), gas=200_000))
    outcome = driver.app.database.outcomes(1)[1]
    assert outcome.contract_address == keccak256(rlp.encode([ALICE.address, 1]))[12:]
    assert state(driver).code(outcome.contract_address) == b"\xff"


def test_transient_storage_ends_with_its_transaction() -> None:
    # slot 0 := transient 0; transient 0 := 1
    driver = deployed("60005c600055600160005d00", storage=((0, 9),))
    driver.run(ALICE.sign(to=CONTRACT), ALICE.sign(nonce=1, to=CONTRACT))
    assert state(driver).storage(CONTRACT, 0) == 0


def test_blockhash_and_history_contract_know_the_parents() -> None:
    # slot n := blockhash(n) for n = calldata word
    driver = deployed("6000358040905500")
    for nonce in range(3):
        driver.run(ALICE.sign(nonce=nonce, to=CONTRACT, data=nonce.to_bytes(32, "big")))
    for number in range(3):
        header = driver.app.database.header(number)
        assert header is not None
        expected = int.from_bytes(header.hash, "big")
        assert state(driver).storage(CONTRACT, number) == expected
        assert state(driver).storage(HISTORY_STORAGE_ADDRESS, number) == expected


def test_what_the_evm_reads_from_a_block_is_in_its_header() -> None:
    # slots 0..5 := number, timestamp, coinbase, prevrandao, gaslimit, basefee
    reads = "".join(f"{opcode}60{slot:02x}55" for slot, opcode in enumerate(("43", "42", "41", "44", "45", "48")))
    driver = deployed(reads + "00")
    driver.run(ALICE.sign(to=CONTRACT, gas=300_000))
    header = head(driver)
    found = [state(driver).storage(CONTRACT, slot) for slot in range(6)]
    assert found == [
        header.number,
        header.timestamp,
        int.from_bytes(header.fee_recipient, "big"),
        int.from_bytes(header.prev_randao, "big"),
        header.gas_limit,
        header.base_fee_per_gas,
    ]


def test_fault_of_the_evm_refuses_the_transaction_and_spares_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = Driver().run(BOB.sign(value=1)).app_hash
    original = PragueTransactionExecutor.finalize_computation

    def faulty(self: object, transaction: object, computation: object) -> object:
        if transaction.sender == ALICE.address:  # type: ignore[attr-defined]
            raise ZeroDivisionError("a bug")
        return original(self, transaction, computation)  # type: ignore[arg-type]

    monkeypatch.setattr(PragueTransactionExecutor, "finalize_computation", faulty)
    driver = Driver()
    response = driver.run(ALICE.sign(value=9), BOB.sign(value=1))
    assert [result.code for result in response.tx_results] == [RejectionCode.EXECUTION_FAULT, 0]
    assert response.app_hash == expected


def test_fault_leaves_no_transient_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    original = PragueTransactionExecutor.finalize_computation

    def faulty(self: object, transaction: object, computation: object) -> object:
        if transaction.sender == ALICE.address:  # type: ignore[attr-defined]
            raise ZeroDivisionError("a bug")
        return original(self, transaction, computation)  # type: ignore[arg-type]

    monkeypatch.setattr(PragueTransactionExecutor, "finalize_computation", faulty)
    driver = deployed("5f5c5f5560015f5d00")  # slot 0 := transient 0; transient 0 := 1
    driver.run(ALICE.sign(to=CONTRACT), BOB.sign(to=CONTRACT))
    assert state(driver).storage(CONTRACT, 0) == 0


def test_selfdestruct_runs_where_warnings_are_errors() -> None:
    warnings.simplefilter("error")
    driver = deployed("61beefff", balance=7)
    assert driver.run(ALICE.sign(to=CONTRACT)).tx_results[0].code == 0
    assert state(driver).account(bytes(18) + b"\xbe\xef").balance == 7
    assert state(driver).code(CONTRACT) != b"", "EIP-6780: code stays where it was not created in this transaction"


@pytest.mark.parametrize("failure", [MemoryError, RecursionError, OSError])
def test_failure_of_the_machine_stops_the_node_instead_of_forking(
    monkeypatch: pytest.MonkeyPatch, failure: type[Exception]
) -> None:
    def fail(self: object, transaction: object, computation: object) -> None:
        raise failure("this machine only")

    monkeypatch.setattr(PragueTransactionExecutor, "finalize_computation", fail)
    driver = Driver()
    with pytest.raises(failure):
        driver.run(ALICE.sign())
    assert driver.app.info().last_block_height == 0


def test_lost_trie_node_stops_the_node_instead_of_forking() -> None:
    store = MemoryStore()
    driver = Driver(store=store)
    root = head(driver).state_root
    driver.send(ALICE.sign())
    driver.seconds += 1
    txs = driver.prepare()
    del store._entries[b"N" + root]
    with pytest.raises(LOCAL_FAILURES):
        driver.finalize(txs)


DEEPEST = "5f5f5f5f5f305af100"
"""Calls itself with all gas."""


def test_deepest_recursion_that_gas_allows_works_on_main_and_worker_threads() -> None:
    driver = deployed(DEEPEST)
    response = driver.run(ALICE.sign(to=CONTRACT, gas=50_000_000))
    assert response.tx_results[0].code == 0
    used = driver.app.database.outcomes(1)[0].gas_used
    results: list[int] = []

    def simulate() -> None:
        header = head(driver)
        environment = driver.app.executor.next_environment(header, header.timestamp + 1, bytes(32), PROPOSER)
        simulation = driver.app.executor.simulation(header.state_root, environment, [])
        results.append(simulation.run(CallRequest(ALICE.address, CONTRACT, 50_000_000)).gas_used)

    worker = threading.Thread(target=simulate)
    worker.start()
    worker.join()
    assert results == [used]


def test_importing_the_evm_leaves_a_recursion_limit_that_stacks_can_hold() -> None:
    program = "import sys, json, piebridge.evm_chain.execution.executor\n"
    program += "from piebridge.evm_chain.execution.world_state import RECURSION_LIMIT\n"
    program += "assert sys.getrecursionlimit() == RECURSION_LIMIT\n"
    program += "try:\n    json.loads('[' * 200_000)\nexcept RecursionError:\n    print('refused')"
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "refused"), done.stderr


def test_simulation_leaves_no_trace_and_starts_afresh_each_time() -> None:
    # returns slot 0 and adds one to it
    driver = deployed("60005480600101600055600052602060 00f3".replace(" ", ""))
    header = head(driver)
    environment = driver.app.executor.next_environment(header, header.timestamp + 1, bytes(32), PROPOSER)
    simulation = driver.app.executor.simulation(header.state_root, environment, [])
    runs = [simulation.run(CallRequest(ALICE.address, CONTRACT, 100_000, value=1)) for _ in range(3)]
    assert {int.from_bytes(run.output, "big") for run in runs} == {0}
    assert len({run.gas_used for run in runs}) == 1, "warm slots of one run must be cold in the next"
    assert state(driver).storage(CONTRACT, 0) == 0


def test_zero_priority_fee_leaves_no_empty_proposer_account() -> None:
    driver = Driver()
    driver.run(ALICE.sign(maxPriorityFeePerGas=0))
    trie_account = StateReader(driver.app.database.node, head(driver).state_root).proof(PROPOSER, [])
    assert trie_account.account.balance == 0
    assert not any(keccak256(PROPOSER)[2:] in node for node in trie_account.nodes)
