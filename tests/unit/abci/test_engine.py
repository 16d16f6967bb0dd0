from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from piebridge.abci.application import Application
from piebridge.abci.embedded.engine import EmbeddedEngine
from piebridge.abci.embedded.equivocation import double_sign
from piebridge.abci.embedded.errors import (
    ApplicationFaultError,
    EngineError,
    HandshakeError,
    MempoolError,
    NoQuorumError,
)
from piebridge.abci.embedded.mempool import MempoolLimits
from piebridge.abci.messages import (
    CheckTxKind,
    CheckTxResponse,
    CommitResponse,
    ConsensusParams,
    FinalizeBlockRequest,
    FinalizeBlockResponse,
    PrepareProposalRequest,
    ProcessProposalRequest,
    QueryRequest,
    QueryResponse,
)
from piebridge.abci.testing import RecordingApplication
from piebridge.cometbft.commit import BlockIdFlag
from piebridge.cometbft.verification import TrustedState, VerificationOptions, verify_light_block
from testkit.key_value_application import KeyValueApplication, app_hash_of
from testkit.validators import GENESIS_TIME_NS, SECOND_NS, genesis_for, validator_keys

KEYS = validator_keys(4)
NOW_NS = GENESIS_TIME_NS + SECOND_NS
OPTIONS = VerificationOptions(trusting_period_ns=10**18, max_clock_drift_ns=0)


def _engine(application: Application | None = None, **settings: object) -> EmbeddedEngine:
    return EmbeddedEngine(application or KeyValueApplication(), genesis_for(KEYS), KEYS, **settings)  # type: ignore[arg-type]


def test_chain_grows_and_a_light_client_follows() -> None:
    application = RecordingApplication(KeyValueApplication())
    engine = _engine(application)
    for number in range(1, 21):
        assert engine.submit_tx(b"k%d=v" % number).code == 0
        made = engine.make_block(NOW_NS + number * SECOND_NS)
        assert made.block.txs == (b"k%d=v" % number,)
        assert made.block.header.height == engine.height == number
        assert engine.block(number) == made
    trusted = engine.light_block(1)
    for height in range(2, 21):
        untrusted = engine.light_block(height)
        verify_light_block(TrustedState.of(trusted.header), None, untrusted, OPTIONS, NOW_NS + 100 * SECOND_NS)
        trusted = untrusted
    application.check()
    assert application.calls[:6] == [
        ("info", 0),
        ("init_chain", 0),
        ("check_tx", 0),
        ("prepare_proposal", 1),
        ("process_proposal", 1),
        ("finalize_block", 1),
    ]


def test_headers_carry_genesis_time_then_the_median_of_the_votes() -> None:
    engine = _engine()
    first = engine.make_block(NOW_NS).block.header
    assert first.time_ns == GENESIS_TIME_NS
    assert first.version.app == 1
    assert first.app_hash == app_hash_of({"a": "b"})
    engine.faults.clock_offsets_ns = {KEYS[0].address: 5, KEYS[1].address: -5, KEYS[2].address: 10**15}
    engine.make_block(NOW_NS + SECOND_NS)
    # Votes at -5, 0, +5 ns and far off: a wild clock moves nothing.
    assert engine.make_block(NOW_NS + 2 * SECOND_NS).block.header.time_ns == NOW_NS + SECOND_NS


def test_time_strictly_increases_when_clocks_stand_or_run_back() -> None:
    engine = _engine()
    times = [engine.make_block(now_ns).block.header.time_ns for now_ns in (NOW_NS, NOW_NS, NOW_NS - 10**15, NOW_NS)]
    assert times == [GENESIS_TIME_NS, NOW_NS, NOW_NS + 1_000_000, NOW_NS + 2_000_000]


def test_app_hash_and_results_appear_in_the_next_header() -> None:
    engine = _engine()
    engine.submit_tx(b"x=y")
    engine.submit_tx(b"fail")
    made = engine.make_block(NOW_NS)
    assert [result.code for result in made.response.tx_results] == [0, 7]
    following = engine.make_block(NOW_NS).block.header
    assert following.app_hash == made.response.app_hash == app_hash_of({"a": "b", "x": "y"})
    assert following.last_results_hash != made.block.header.last_results_hash


def test_validator_updates_are_in_force_two_heights_later() -> None:
    newcomer = validator_keys(1, 9)[0]
    engine = _engine()
    engine.add_validator_key(newcomer)
    engine.submit_tx(b"validator:" + newcomer.public_key.data.hex().encode() + b"=1")
    headers = [engine.make_block(NOW_NS + step).block.header for step in range(4)]
    sizes = [len(engine.block(height).seen_commit.signatures) for height in (1, 2, 3, 4)]
    assert sizes == [4, 4, 5, 5]
    assert headers[0].next_validators_hash == headers[1].validators_hash == headers[0].validators_hash
    assert headers[1].next_validators_hash == headers[2].validators_hash != headers[1].validators_hash
    engine.submit_tx(b"validator:" + newcomer.public_key.data.hex().encode() + b"=0")
    assert [len(engine.make_block(NOW_NS + step).seen_commit.signatures) for step in range(4, 8)] == [5, 5, 4, 4]


def test_every_validator_proposes_in_turn() -> None:
    engine = _engine()
    proposers = [engine.make_block(NOW_NS + step).block.header.proposer_address for step in range(8)]
    assert sorted(proposers[:4]) == sorted(key.address for key in KEYS)
    assert proposers[4:] == proposers[:4]


def test_absent_validator_is_absent_in_the_commit_and_costs_a_round() -> None:
    engine = _engine()
    missing = KEYS[0].address
    engine.faults.absent.add(missing)
    rounds = []
    for step in range(4):
        made = engine.make_block(NOW_NS + step * SECOND_NS)
        flags = [signature.flag for signature in made.seen_commit.signatures]
        assert sorted(flags) == [1, 2, 2, 2]
        assert made.block.header.proposer_address != missing
        rounds.append(made.seen_commit.round)
    assert sorted(rounds) == [0, 0, 0, 1]
    assert (
        engine.make_block(NOW_NS + 9 * SECOND_NS).block.last_commit.hash()
        == engine.light_block(5).header.last_commit_hash
    )


def test_application_is_told_the_votes_of_the_last_block() -> None:
    class Watching(KeyValueApplication):
        requests: list[FinalizeBlockRequest]

        def finalize_block(self, request: FinalizeBlockRequest) -> FinalizeBlockResponse:
            self.requests = [*getattr(self, "requests", []), request]
            return super().finalize_block(request)

    application = Watching()
    engine = _engine(application)
    engine.faults.absent.add(KEYS[0].address)
    engine.make_block(NOW_NS)
    engine.faults.absent.clear()
    made = engine.make_block(NOW_NS)
    first, second = application.requests
    assert first.decided_last_commit == ()
    members = engine.validators(1).validators
    assert [(vote.address, vote.power) for vote in second.decided_last_commit] == [
        (item.address, 1) for item in members
    ]
    assert {vote.address: vote.flag for vote in second.decided_last_commit}[KEYS[0].address] == 1
    assert sorted(vote.flag for vote in second.decided_last_commit) == [1, 2, 2, 2]
    assert second.hash == made.block_id.hash
    assert second.next_validators_hash == engine.validators(3).hash()
    assert second.proposer_address == made.block.header.proposer_address


def test_no_quorum_stops_the_chain_until_validators_come_back() -> None:
    engine = _engine()
    engine.faults.absent.add(KEYS[0].address)
    engine.faults.nil_votes.add(KEYS[1].address)
    with pytest.raises(NoQuorumError):
        engine.make_block(NOW_NS)
    assert engine.height == 0
    engine.faults.absent.clear()
    made = engine.make_block(NOW_NS)
    nil = [signature for signature in made.seen_commit.signatures if signature.flag is BlockIdFlag.NIL]
    assert [signature.validator_address for signature in nil] == [KEYS[1].address]


def test_members_without_a_key_are_absent() -> None:
    engine = EmbeddedEngine(KeyValueApplication(), genesis_for(KEYS), KEYS[:3])
    assert sorted(signature.flag for signature in engine.make_block(NOW_NS).seen_commit.signatures) == [1, 2, 2, 2]
    with pytest.raises(NoQuorumError):
        EmbeddedEngine(KeyValueApplication(), genesis_for(KEYS), KEYS[:2]).make_block(NOW_NS)


def test_double_signed_header_passes_a_light_client_and_leaves_the_chain_alone() -> None:
    engine = _engine()
    for step in range(3):
        engine.make_block(NOW_NS + step * SECOND_NS)
    honest = engine.light_block(3)
    forged = double_sign(engine, 3, app_hash=b"forged")
    trusted = TrustedState.of(engine.light_block(2).header)
    for block in (honest, forged):
        verify_light_block(trusted, None, block, OPTIONS, NOW_NS + 100 * SECOND_NS)
    assert forged.header.hash() != honest.header.hash()
    assert engine.light_block(3) == honest


def test_each_validator_answers_queries_for_itself() -> None:
    handlers = [lambda request, index=index: QueryResponse(0, value=b"%d" % index) for index in range(4)]
    engine = _engine(query_handlers=handlers)
    assert [engine.query(index, QueryRequest("any")).value for index in range(4)] == [b"0", b"1", b"2", b"3"]
    with pytest.raises(EngineError, match="3 query handlers"):
        _engine(query_handlers=handlers[:3])


def test_mempool_rejects_and_rechecks() -> None:
    class RefusesRepeats(KeyValueApplication):
        def check_tx(self, tx: bytes, kind: CheckTxKind) -> CheckTxResponse:
            if tx.partition(b"=")[0].decode() in self.values:
                return CheckTxResponse(code=5)
            return super().check_tx(tx, kind)

        def prepare_proposal(self, request: PrepareProposalRequest) -> tuple[bytes, ...]:
            return request.txs[:1]

    engine = _engine(RefusesRepeats(), mempool_limits=MempoolLimits(max_txs=3, max_tx_bytes=10))
    assert engine.submit_tx(b"nonsense").code == 1
    assert engine.submit_tx(b"nonsense").code == 1  # a refused transaction may come again
    assert engine.submit_tx(b"x=1").code == engine.submit_tx(b"x=2").code == 0
    with pytest.raises(MempoolError, match="already exists"):
        engine.submit_tx(b"x=1")
    with pytest.raises(MempoolError, match="too large"):
        engine.submit_tx(b"long=" + b"x" * 6)
    engine.submit_tx(b"y=1")
    with pytest.raises(MempoolError, match="is full"):
        engine.submit_tx(b"z=1")
    assert engine.make_block(NOW_NS).block.txs == (b"x=1",)
    assert engine.mempool.first(5) == (b"y=1",)  # x=2 became invalid by x=1
    assert engine.mempool.total_bytes == 3
    with pytest.raises(MempoolError, match="already exists"):
        engine.submit_tx(b"x=1")


def test_transaction_that_failed_may_come_again() -> None:
    engine = _engine()
    engine.submit_tx(b"fail")
    engine.submit_tx(b"x=1")
    engine.make_block(NOW_NS)
    assert engine.submit_tx(b"fail").code == 0
    with pytest.raises(MempoolError, match="already exists"):
        engine.submit_tx(b"x=1")


def test_block_is_bounded_by_size_and_gas() -> None:
    application = KeyValueApplication()
    params = ConsensusParams(block_max_bytes=16_000, block_max_gas=3)
    engine = EmbeddedEngine(application, replace(genesis_for(KEYS), consensus_params=params), KEYS)
    for number in range(5):
        engine.submit_tx(b"k%d=v" % number)
    assert len(engine.make_block(NOW_NS).block.txs) == 3
    for number in range(3):
        engine.submit_tx(b"big%d=" % number + b"x" * 700)
    made = engine.make_block(NOW_NS)
    assert [len(tx) for tx in made.block.txs] == [4, 4, 705]
    assert made.block_size < 16_000


def test_what_fits_into_no_block_never_enters_the_mempool() -> None:
    params = ConsensusParams(block_max_bytes=16_000, block_max_gas=0)
    engine = EmbeddedEngine(KeyValueApplication(), replace(genesis_for(KEYS), consensus_params=params), KEYS)
    with pytest.raises(MempoolError, match="too big"):
        engine.submit_tx(b"big=" + b"x" * 3000)
    with pytest.raises(MempoolError, match="gas wanted 1 is greater than max gas 0"):
        engine.submit_tx(b"x=1")
    assert len(engine.mempool) == 0


def test_block_that_cannot_hold_its_votes_is_refused_at_the_start() -> None:
    params = ConsensusParams(block_max_bytes=10_000)
    with pytest.raises(EngineError, match="no room for the votes"):
        EmbeddedEngine(KeyValueApplication(), replace(genesis_for(KEYS), consensus_params=params), KEYS)


def test_smaller_blocks_drop_what_no_longer_fits() -> None:
    class Shrinking(KeyValueApplication):
        def finalize_block(self, request: FinalizeBlockRequest) -> FinalizeBlockResponse:
            return replace(
                super().finalize_block(request), consensus_param_updates=ConsensusParams(block_max_bytes=16_000)
            )

        def prepare_proposal(self, request: PrepareProposalRequest) -> tuple[bytes, ...]:
            return ()

    engine = _engine(Shrinking())
    engine.submit_tx(b"big=" + b"x" * 3000)
    first = engine.make_block(NOW_NS).block.header
    assert len(engine.mempool) == 0
    assert engine.make_block(NOW_NS).block.header.consensus_hash != first.consensus_hash


class _Faulty(KeyValueApplication):
    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    def prepare_proposal(self, request: PrepareProposalRequest) -> tuple[bytes, ...]:
        return (b"x" * request.max_tx_bytes,) if self.fault == "prepare" else request.txs

    def process_proposal(self, request: ProcessProposalRequest) -> bool:
        return self.fault != "process"

    def finalize_block(self, request: FinalizeBlockRequest) -> FinalizeBlockResponse:
        if self.fault == "raise":
            raise RuntimeError("bug")
        response = super().finalize_block(request)
        return FinalizeBlockResponse((), response.app_hash) if self.fault == "results" else response

    def commit(self) -> CommitResponse:
        if self.fault == "commit":
            raise RuntimeError("disk full")
        return super().commit()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("prepare", ApplicationFaultError),
        ("process", ApplicationFaultError),
        ("results", ApplicationFaultError),
        ("raise", RuntimeError),
        ("commit", RuntimeError),
    ],
)
def test_application_fault_halts_the_engine(fault: str, error: type[Exception]) -> None:
    engine = _engine(_Faulty(fault))
    engine.submit_tx(b"x=y")
    with pytest.raises(error):
        engine.make_block(NOW_NS)
    assert engine.height == 0
    for call in (lambda: engine.make_block(NOW_NS), lambda: engine.submit_tx(b"z=1")):
        with pytest.raises(EngineError, match="has halted"):
            call()


@pytest.mark.parametrize("update", [b"=0", b"=-1"])
def test_impossible_validator_update_halts_the_engine(update: bytes) -> None:
    engine = _engine()
    engine.submit_tx(b"validator:" + validator_keys(1, 9)[0].public_key.data.hex().encode() + update)
    with pytest.raises(ApplicationFaultError, match="impossible validator update"):
        engine.make_block(NOW_NS)


# Restarts


def _open(home: Path, fail_point: Callable[[str], None] = lambda name: None) -> EmbeddedEngine:
    application = RecordingApplication(KeyValueApplication(home / "application.json"))
    return EmbeddedEngine(application, genesis_for(KEYS), KEYS, home=home, fail_point=fail_point)


def test_reopened_chain_goes_on_with_the_same_bytes(tmp_path: Path) -> None:
    reference, engine = _engine(), _open(tmp_path)
    for step in range(6):
        if step % 2 == 0:
            engine.close()
            engine = _open(tmp_path)
        for chain in (reference, engine):
            chain.submit_tx(b"k%d=v" % step)
            chain.make_block(NOW_NS + step * SECOND_NS)
        assert engine.light_block(step + 1) == reference.light_block(step + 1)
        engine.application.check()  # type: ignore[attr-defined]
    engine.close()


class _CrashError(Exception):
    pass


def _steps_of_three_blocks(home: Path) -> list[str]:
    passed: list[str] = []
    engine = _open(home, passed.append)
    for step in range(3):
        engine.submit_tx(b"k%d=v" % step)
        engine.make_block(NOW_NS + step * SECOND_NS)
    engine.close()
    return passed


def test_crash_after_every_step_loses_nothing_and_decides_no_height_twice(tmp_path: Path) -> None:
    steps = _steps_of_three_blocks(tmp_path / "count")
    assert len(steps) == 2 + 3 * 4
    for crash_at in range(len(steps)):
        home = tmp_path / str(crash_at)
        count = 0
        published = []

        def crash(name: str, crash_at: int = crash_at) -> None:
            nonlocal count
            count += 1
            if count == crash_at + 1:
                raise _CrashError(name)

        engine = None
        try:
            engine = _open(home, crash)
            for step in range(3):
                engine.submit_tx(b"k%d=v" % step)
                published.append(engine.make_block(NOW_NS + step * SECOND_NS))
        except _CrashError:
            pass
        if engine is not None:
            stored = engine.store.last_height()
            signed = [engine.block(height) for height in range(1, stored + 1)]
            engine.close()
        else:
            signed = []
        assert signed[: len(published)] == published
        engine = _open(home)
        assert engine.height == len(signed) == engine.info().last_block_height
        for step in range(engine.height, 3):
            engine.submit_tx(b"k%d=v" % step)
            engine.make_block(NOW_NS + (step + 50) * SECOND_NS)  # another time: a second block would differ
        assert [engine.block(height) for height in range(1, len(signed) + 1)] == signed
        assert engine.info().last_block_app_hash == app_hash_of({"a": "b", "k0": "v", "k1": "v", "k2": "v"})
        engine.application.check()  # type: ignore[attr-defined]
        engine.close()


def _three_blocks(home: Path) -> None:
    engine = _open(home)
    for step in range(3):
        engine.submit_tx(b"k%d=v" % step)
        engine.make_block(NOW_NS + step * SECOND_NS)
    engine.close()


def test_application_that_lost_its_state_is_replayed(tmp_path: Path) -> None:
    _three_blocks(tmp_path)
    (tmp_path / "application.json").unlink()
    engine = _open(tmp_path)
    assert engine.info().last_block_height == 3
    calls = [call for call in engine.application.calls if call[0] != "info"]  # type: ignore[attr-defined]
    assert calls == [
        ("init_chain", 0),
        ("finalize_block", 1),
        ("commit", 0),
        ("finalize_block", 2),
        ("commit", 0),
        ("finalize_block", 3),
        ("commit", 0),
    ]
    engine.application.check()  # type: ignore[attr-defined]
    engine.close()


def test_application_ahead_of_the_store_is_refused(tmp_path: Path) -> None:
    _three_blocks(tmp_path)
    for path in tmp_path.glob("engine.sqlite3*"):
        path.unlink()
    with pytest.raises(HandshakeError, match="application is at height 3, the block store at 0"):
        _open(tmp_path)


def test_application_with_another_state_is_refused(tmp_path: Path) -> None:
    _three_blocks(tmp_path)
    path = tmp_path / "application.json"
    path.write_text(path.read_text().replace('"k1": "v"', '"k1": "w"'))
    with pytest.raises(HandshakeError, match="app hash of height 3"):
        _open(tmp_path)


def test_replay_with_another_outcome_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _three_blocks(tmp_path)
    (tmp_path / "application.json").unlink()
    monkeypatch.setattr("testkit.key_value_application.STORE", "other")
    with pytest.raises(HandshakeError, match="app hash"):
        _open(tmp_path)


def test_store_belongs_to_one_genesis_document(tmp_path: Path) -> None:
    _three_blocks(tmp_path)
    with pytest.raises(EngineError, match="belongs to the genesis document"):
        EmbeddedEngine(
            KeyValueApplication(tmp_path / "application.json"), genesis_for(KEYS, "relay-2"), KEYS, home=tmp_path
        )


def test_two_engines_never_share_a_home(tmp_path: Path) -> None:
    engine = _open(tmp_path)
    with pytest.raises(EngineError, match="in use by another process"):
        _open(tmp_path)
    engine.close()
    _open(tmp_path).close()


def test_pruning_keeps_what_restarts_need(tmp_path: Path) -> None:
    class Pruning(KeyValueApplication):
        def commit(self) -> CommitResponse:
            super().commit()
            return CommitResponse(retain_height=max(self.height - 1, 0))

    application = Pruning(tmp_path / "application.json")
    engine = EmbeddedEngine(application, genesis_for(KEYS), KEYS, home=tmp_path)
    for step in range(6):
        engine.make_block(NOW_NS + step)
    assert (engine.store.base_height(), engine.height) == (5, 6)
    with pytest.raises(EngineError, match="no block 4"):
        engine.block(4)
    engine.close()
    engine = EmbeddedEngine(Pruning(tmp_path / "application.json"), genesis_for(KEYS), KEYS, home=tmp_path)
    assert engine.make_block(NOW_NS + 10).block.header.height == 7
    engine.close()
    (tmp_path / "application.json").unlink()
    with pytest.raises(HandshakeError, match="pruned"):
        EmbeddedEngine(Pruning(tmp_path / "application.json"), genesis_for(KEYS), KEYS, home=tmp_path)
