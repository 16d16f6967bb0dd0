"""The ABCI application: empty blocks, seconds, invalid transactions, ordering, restart, queries."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from piebridge.abci.messages import CheckTxKind, QueryRequest
from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.hash import keccak256, sha256
from piebridge.evm_chain.app import EvmApplication
from piebridge.evm_chain.errors import RejectionCode
from piebridge.evm_chain.genesis import GenesisAccount
from piebridge.evm_chain.header import decode_header
from piebridge.evm_chain.state_reader import StateReader
from piebridge.evm_chain.store import MemoryStore, RocksStore
from testkit.evm_chain_driver import ALICE, BOB, ETHER, GENESIS_SECONDS, GWEI, PROPOSER, Driver, User, genesis_state

RECIPIENT = b"\x22" * 20


def balance(driver: Driver, address: bytes) -> int:
    head = driver.app.database.head
    assert head is not None
    return StateReader(driver.app.database.node, head.header.state_root).account(address).balance


def number(driver: Driver) -> int:
    head = driver.app.database.head
    assert head is not None
    return head.header.number


def test_app_hash_is_the_hash_of_the_newest_evm_block() -> None:
    driver = Driver()
    driver.send(ALICE.sign(value=5))
    response = driver.make_block()
    header = driver.app.database.header(1)
    assert header is not None
    assert response.app_hash == header.hash == keccak256(header.encode())
    assert driver.app.info().last_block_app_hash == header.hash
    assert driver.app.info().last_block_height == 1
    assert header.parent_hash == driver.app.database.header(0).hash  # type: ignore[union-attr]
    assert (header.timestamp, header.fee_recipient) == (GENESIS_SECONDS + 1, PROPOSER)
    assert header.prev_randao == sha256((1).to_bytes(8, "big"))
    assert header.extra_data == (1).to_bytes(8, "big")
    assert balance(driver, RECIPIENT) == 5
    assert balance(driver, PROPOSER) == 21_000 * GWEI


def test_empty_block_makes_no_evm_block_and_keeps_the_app_hash() -> None:
    driver = Driver()
    genesis_hash = driver.init_chain()
    for _ in range(3):
        assert driver.make_block().app_hash == genesis_hash
    assert number(driver) == 0
    driver.send(ALICE.sign())
    with_transaction = driver.make_block().app_hash
    assert with_transaction != genesis_hash
    assert driver.make_block().app_hash == with_transaction
    assert number(driver) == 1
    assert driver.app.info().last_block_height == 5
    assert driver.app.info().last_block_app_hash == with_transaction


def test_block_in_the_second_of_the_last_evm_block_carries_no_transactions() -> None:
    driver = Driver()
    driver.send(ALICE.sign(nonce=0))
    driver.send(ALICE.sign(nonce=1))
    first = driver.prepare(time_ns=(GENESIS_SECONDS + 1) * 10**9)
    assert len(first) == 2
    for time_ns in (GENESIS_SECONDS * 10**9, GENESIS_SECONDS * 10**9 + 999_999_999):
        assert driver.prepare(time_ns=time_ns) == ()
        assert not driver.process(first, time_ns=time_ns)
        assert driver.process((), time_ns=time_ns)
    assert driver.process(first, time_ns=(GENESIS_SECONDS + 1) * 10**9)


def test_decided_block_in_a_taken_second_refuses_its_transactions_and_changes_nothing() -> None:
    driver = Driver()
    before = driver.init_chain()
    response = driver.finalize((ALICE.sign(),), time_ns=GENESIS_SECONDS * 10**9 + 5)
    driver.commit()
    assert [result.code for result in response.tx_results] == [RejectionCode.SECOND_OCCUPIED]
    assert response.app_hash == before
    assert number(driver) == 0


def test_invalid_transactions_get_a_code_and_have_no_effect_beside_valid_ones() -> None:
    driver = Driver()
    poor = User(b"\x55" * 32)
    contract_key = User(b"\x56" * 32)
    valid = ALICE.sign(nonce=0, value=7)
    cases = {
        b"": RejectionCode.MALFORMED,
        b"\xc0": RejectionCode.MALFORMED,
        b"\x01" + b"\xc1" * 5_000: RejectionCode.MALFORMED,
        b"\x03\xc0": RejectionCode.UNSUPPORTED_TYPE,
        bytes(200_000): RejectionCode.TOO_LARGE,
        ALICE.sign(chainId=1): RejectionCode.WRONG_CHAIN,
        ALICE.sign(nonce=0, value=8): RejectionCode.NONCE_TOO_LOW,
        ALICE.sign(nonce=9): RejectionCode.NONCE_TOO_HIGH,
        poor.sign(): RejectionCode.INSUFFICIENT_FUNDS,
        contract_key.sign(nonce=1): RejectionCode.SENDER_NOT_EOA,
        BOB.sign(gas=20_999): RejectionCode.INTRINSIC_GAS,
        BOB.sign(gas=60_000_001): RejectionCode.GAS_LIMIT_EXCEEDED,
        BOB.sign(gas=60_000_000): RejectionCode.GAS_LIMIT_EXCEEDED,  # does not fit behind the valid one
        BOB.sign(maxFeePerGas=GWEI // 2, maxPriorityFeePerGas=0): RejectionCode.FEE_CAP_TOO_LOW,
        BOB.sign(maxFeePerGas=GWEI, maxPriorityFeePerGas=GWEI + 1): RejectionCode.FEE_CAP_TOO_LOW,
        BOB.sign(to=b"", data=bytes(49_153), gas=3_000_000): RejectionCode.TOO_LARGE,
    }
    coded = GenesisAccount(balance=ETHER, code=b"\x00")
    mixed = Driver(app_state=genesis_state(alloc={contract_key.address: coded}))
    response = mixed.run(valid, *cases)
    assert [result.code for result in response.tx_results] == [0, *cases.values()]
    block = mixed.app.database.raw_transactions(1)
    assert block == (valid,)
    alone = Driver(app_state=genesis_state(alloc={contract_key.address: coded}))
    assert alone.run(valid).app_hash == response.app_hash, "invalid transactions must leave no trace"
    assert driver.run(*cases).app_hash != b""


def test_block_of_invalid_transactions_only_makes_no_evm_block() -> None:
    driver = Driver()
    before = driver.init_chain()
    assert driver.run(ALICE.sign(nonce=3)).app_hash == before
    assert number(driver) == 0


def test_check_tx_admits_in_order_of_nonces() -> None:
    driver = Driver()
    assert driver.send(ALICE.sign(nonce=1)).code == RejectionCode.NONCE_TOO_HIGH
    for nonce in range(5):
        assert driver.send(ALICE.sign(nonce=nonce)).code == 0
    assert driver.app.pending.next_nonce(ALICE.address) == 5
    assert driver.send(ALICE.sign(nonce=2)).code == RejectionCode.ALREADY_KNOWN
    driver.make_block()
    assert number(driver) == 1
    assert driver.mempool == []
    assert driver.app.pending.next_nonce(ALICE.address) == 5
    assert driver.send(ALICE.sign(nonce=4)).code == RejectionCode.NONCE_TOO_LOW


def test_check_tx_counts_what_waiting_transactions_may_cost() -> None:
    rich = User(b"\x57" * 32)
    one = 21_000 * 2 * GWEI + ETHER
    driver = Driver(app_state=genesis_state(alloc={rich.address: GenesisAccount(balance=2 * one)}))
    for nonce in range(2):
        assert driver.send(rich.sign(nonce=nonce, gas=21_000, value=ETHER)).code == 0
    assert driver.send(rich.sign(nonce=2, gas=21_000)).code == RejectionCode.INSUFFICIENT_FUNDS
    driver.make_block()
    assert driver.app.database.raw_transactions(1) != ()


def test_replacement_needs_ten_percent_and_drops_the_old_one_for_good() -> None:
    driver = Driver()
    old = ALICE.sign(nonce=0, value=1, maxFeePerGas=2 * GWEI, maxPriorityFeePerGas=100)
    later = ALICE.sign(nonce=1, value=1)
    new = ALICE.sign(nonce=0, value=2, maxFeePerGas=2 * GWEI * 11 // 10, maxPriorityFeePerGas=110)
    assert driver.send(old).code == 0
    assert driver.send(later).code == 0
    for fee, tip in ((2 * GWEI * 11 // 10, 109), (2 * GWEI * 11 // 10 - 1, 110)):
        underpriced = ALICE.sign(nonce=0, value=2, maxFeePerGas=fee, maxPriorityFeePerGas=tip)
        assert driver.send(underpriced).code == RejectionCode.REPLACEMENT_UNDERPRICED
    assert driver.send(new).code == 0
    assert driver.app.pending.next_nonce(ALICE.address) == 2
    assert driver.prepare(time_ns=(GENESIS_SECONDS + 1) * 10**9) == (new, later)
    driver.finalize(())  # an empty block: everything is rechecked
    driver.commit()
    assert driver.mempool == [later, new]
    assert driver.app.check_tx(old, CheckTxKind.RECHECK).code == RejectionCode.REPLACED
    driver.make_block()
    assert balance(driver, RECIPIENT) == 3


def test_transaction_that_left_the_mempool_silently_blocks_nobody() -> None:
    driver = Driver()
    for nonce in range(3):
        driver.send(ALICE.sign(nonce=nonce))
    lost = driver.mempool.pop(1)
    driver.finalize(())
    driver.commit()  # the lost one is not rechecked, the one behind it is
    driver.make_block()
    assert len(driver.app.database.raw_transactions(1)) == 1
    assert driver.app.pending.next_nonce(ALICE.address) == 1
    assert driver.send(lost).code == 0


def test_base_fee_rise_evicts_what_cannot_pay_it_and_what_follows() -> None:
    driver = Driver(app_state=genesis_state(gas_limit=1_000_000))
    base_fee = GWEI * 7 // 8
    for nonce in range(2):
        assert driver.send(BOB.sign(nonce=nonce, maxFeePerGas=base_fee, maxPriorityFeePerGas=0)).code == 0
    waste = bytes.fromhex("5b600056")  # loops until its gas is used up
    driver.run(ALICE.sign(to=b"", data=waste, gas=510_000))
    assert driver.app.pending.next_nonce(BOB.address) == 0
    assert driver.mempool == []


def test_proposal_keeps_arrival_order_but_moves_a_transaction_behind_its_predecessor() -> None:
    driver = Driver()
    alice = [ALICE.sign(nonce=nonce) for nonce in range(3)]
    bob = BOB.sign(nonce=0)
    driver.mempool = [alice[1], bob, alice[2], alice[0]]
    driver.seconds += 1
    assert driver.prepare() == (bob, alice[0], alice[1], alice[2])


def test_proposal_stays_below_bytes_and_gas() -> None:
    driver = Driver()
    txs = [ALICE.sign(nonce=nonce, data=b"\x01" * 1_000, gas=100_000) for nonce in range(5)]
    driver.mempool = list(txs)
    driver.seconds += 1
    room = 2 * (len(txs[0]) + 11)
    assert driver.prepare(max_tx_bytes=room) == tuple(txs[:2])
    assert driver.prepare(max_tx_bytes=room - 1) == tuple(txs[:1])
    large = [ALICE.sign(nonce=0, gas=40_000_000), BOB.sign(nonce=0, gas=30_000_000), BOB.sign(nonce=0, gas=20_000_000)]
    driver.mempool = list(large)
    assert driver.prepare() == (large[0], large[2])
    assert not driver.process((large[0], large[1]))


def test_process_proposal_refuses_what_prepare_would_not_propose() -> None:
    driver = Driver()
    driver.seconds += 1
    good = ALICE.sign(nonce=0)
    assert driver.process((good,))
    for bad in ((good, good), (ALICE.sign(nonce=1),), (b"junk",), (good, ALICE.sign(nonce=2))):
        assert not driver.process(bad)


def test_process_proposal_counts_what_the_transactions_of_a_sender_cost_together() -> None:
    rich = User(b"\x57" * 32)
    one = 21_000 * 2 * GWEI + ETHER
    driver = Driver(app_state=genesis_state(alloc={rich.address: GenesisAccount(balance=2 * one - 1)}))
    driver.seconds += 1
    txs = tuple(rich.sign(nonce=nonce, gas=21_000, value=ETHER) for nonce in range(2))
    assert driver.process(txs[:1])
    assert not driver.process(txs)


def test_commit_needs_a_block() -> None:
    driver = Driver()
    driver.make_block()
    with pytest.raises(AssertionError):
        driver.app.commit()


def test_finalize_block_writes_nothing_until_commit() -> None:
    store = MemoryStore()
    driver = Driver(store=store)
    driver.seconds += 1
    before = dict(store._entries)
    response = driver.finalize((ALICE.sign(),))
    assert store._entries == before
    assert driver.app.info().last_block_height == 0
    reopened = Driver(store=store)  # a crash before Commit: the block is replayed
    reopened.seconds = driver.seconds
    assert reopened.finalize((ALICE.sign(),)).app_hash == response.app_hash


def test_reopened_store_goes_on_exactly_at_the_last_commit(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "chain")
    driver = Driver(store=store)
    for nonce in range(3):
        driver.send(ALICE.sign(nonce=nonce, value=1))
        driver.make_block()
    driver.make_block()
    info = driver.app.info()
    driver.finalize((ALICE.sign(nonce=3),))
    store.close()
    store = RocksStore(tmp_path / "chain")
    again = Driver(store=store, seconds=driver.seconds)
    assert again.app.info() == info
    assert (info.last_block_height, number(again), balance(again, RECIPIENT)) == (4, 3, 3)
    again.send(ALICE.sign(nonce=3, value=1))
    again.make_block()
    assert balance(again, RECIPIENT) == 4
    store.close()


def test_two_processes_cannot_open_one_store(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "chain")
    with pytest.raises(ConfigurationError, match="cannot open the chain database"):
        RocksStore(tmp_path / "chain")
    store.close()


def test_init_chain_again_gives_the_same_answer_until_the_chain_has_begun() -> None:
    driver = Driver()
    assert driver.init_chain() == driver.init_chain()
    driver.make_block()
    with pytest.raises(ConfigurationError, match="choose another folder"):
        driver.init_chain()


def test_same_blocks_give_the_same_hashes_everywhere() -> None:
    hashes = []
    for _ in range(2):
        driver = Driver()
        for nonce in range(3):
            driver.send(ALICE.sign(nonce=nonce, value=nonce))
            driver.send(
                BOB.sign(nonce=nonce, to=b"", data=bytes.fromhex("6001600055600160ff60005360016000f3"), gas=200_000)
            )
            driver.make_block()
        hashes.append(driver.app.info().last_block_app_hash)
    assert hashes[0] == hashes[1]


def test_queries_map_numbers_and_heights() -> None:
    driver = Driver()
    driver.make_block()
    driver.send(ALICE.sign(nonce=0))
    driver.make_block()  # height 2, number 1
    driver.make_block()
    driver.make_block()
    driver.send(ALICE.sign(nonce=1))
    driver.make_block()  # height 5, number 2

    def ask(path: str, value: int) -> int | None:
        answer = driver.app.query(QueryRequest(path, value.to_bytes(8, "big")))
        return int.from_bytes(answer.value, "big") if answer.code == 0 else None

    assert [ask("/evm/cometbft_height", value) for value in range(4)] == [0, 2, 5, None]
    assert [ask("/evm/number", value) for value in range(7)] == [0, 0, 1, 1, 1, 2, None]
    header = driver.app.query(QueryRequest("/evm/header", (2).to_bytes(8, "big"))).value
    assert decode_header(header).hash == driver.app.info().last_block_app_hash
    assert driver.app.query(QueryRequest("/evm/nothing")).code == 1
    assert driver.app.query(QueryRequest("/evm/header", b"\x01")).code == 2


def test_reopening_needs_no_init_chain(tmp_path: Path) -> None:
    store = MemoryStore()
    Driver(store=store).make_block()
    app = EvmApplication(store)
    assert app.genesis.chain_id == 4_242
    assert app.check_tx(ALICE.sign(), CheckTxKind.NEW).code == 0


def test_a_reader_between_writing_and_moving_the_head_sees_nothing_of_the_new_block() -> None:
    """RPC methods run on threads of their own, and a store that waits for its disk lets them in."""

    class Watched(MemoryStore):
        def __init__(self) -> None:
            super().__init__()
            self.on_write: Callable[[], None] = lambda: None

        def write(self, entries: Mapping[bytes, bytes]) -> None:
            super().write(entries)
            self.on_write()

    store, seen = Watched(), []
    driver, tx = Driver(store=store), ALICE.sign(value=5)
    database = driver.app.database
    store.on_write = lambda: seen.append(database.transaction_position(keccak256(tx)))
    driver.send(tx)
    driver.make_block()
    assert seen == [None]
    assert database.transaction_position(keccak256(tx)) == (1, 0)
