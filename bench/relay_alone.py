"""One relay chain alone: four validators, each a process with its own storage, work through the same blocks.

Every validator does what a node makes it do: CheckTx of each transaction, PrepareProposal when it is its turn,
ProcessProposal, FinalizeBlock, Commit to disk, and at the end of each block its endorsement of every outbox. What
CometBFT itself costs (gossip, votes) is not in these figures.
"""

import gc
import multiprocessing
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier
from typing import ParamSpec, TypeVar

from bench.benchmark import Figure, Measured, Options, Plot, Series
from bench.synthetic import VALIDATORS, Workload, WorkloadMaker, endorsement_key
from piebridge.abci.messages import (
    CODE_OK,
    CheckTxKind,
    ConsensusParams,
    FinalizeBlockRequest,
    InitChainRequest,
    PrepareProposalRequest,
    ProcessProposalRequest,
    QueryRequest,
    ValidatorUpdate,
)
from piebridge.cometbft.keys import SECP256K1_ETH
from piebridge.protocol_stack.relay_queries import EndorseQuery, RegistrationQuery
from piebridge.protocol_stack.transport.outbox import OutboxHead
from piebridge.relay.app.application import RelayApplication
from piebridge.relay.endorsement import EndorsementSigner, ValidatorQueries
from piebridge.relay.storage import SqliteBackend, SqliteSignedValues

BLOCKS = 10
BLOCK_BYTES = 4 << 20
RANGES = (10, 50, 250)
"""Packets of one range; four sources make one range each in every block."""
_PHASES = ("CheckTx", "PrepareProposal", "ProcessProposal", "FinalizeBlock", "Commit", "endorse")
_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(slots=True)
class Validator:
    """One validator's work, with the CPU seconds of each phase."""

    index: int
    workload: Workload
    directory: Path
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    application: RelayApplication = field(init=False)
    queries: ValidatorQueries = field(init=False)

    def __post_init__(self) -> None:
        self.application = RelayApplication(SqliteBackend(self.directory / "state.sqlite"))
        memory = SqliteSignedValues(self.directory / "endorsements.sqlite")
        self.queries = ValidatorQueries(self.application, EndorsementSigner(endorsement_key(self.index), memory))

    def start(self) -> None:
        """Make the first block, which is empty."""
        genesis, time_ns = self.workload.genesis, self.workload.genesis_time_ns
        members = tuple(ValidatorUpdate(SECP256K1_ETH, v.consensus_key, 1) for v in genesis.validator_set.validators)
        self.application.init_chain(
            InitChainRequest(time_ns, genesis.chain_id, ConsensusParams(), members, genesis.app_state_bytes(), 1)
        )
        self.application.finalize_block(FinalizeBlockRequest((), b"", 1, time_ns, b"", b""))
        self.application.commit()

    def run(self) -> bytes:
        """Work through all blocks; return the app hash."""
        for height, block in enumerate(self.workload.blocks, start=2):
            # As from a socket: other objects than the other phases see, so nothing is found by identity.
            arrived = [bytes(bytearray(tx)) for tx in block.txs]
            for tx in block.txs:
                answer = self._timed("CheckTx", self.application.check_tx, tx, CheckTxKind.NEW)
                assert answer.code == CODE_OK, answer.log
            if height % VALIDATORS == self.index:
                request = PrepareProposalRequest(BLOCK_BYTES, tuple(arrived), height, block.time_ns, b"")
                prepared = self._timed("PrepareProposal", self.application.prepare_proposal, request)
                assert len(prepared) == len(block.txs)
            proposal = ProcessProposalRequest(tuple(arrived), b"", height, block.time_ns, b"")
            assert self._timed("ProcessProposal", self.application.process_proposal, proposal)
            decided = FinalizeBlockRequest(tuple(arrived), b"", height, block.time_ns, b"", b"")
            response = self._timed("FinalizeBlock", self.application.finalize_block, decided)
            assert all(result.code == CODE_OK for result in response.tx_results)
            self._timed("Commit", self.application.commit)
            self._timed("endorse", self._endorse)
        return self.application.state.app_hash

    def _endorse(self) -> None:
        for chain in self.workload.genesis.chains:
            asked = RegistrationQuery(chain.registration).encode()
            head = OutboxHead.decode(self.queries(QueryRequest(RegistrationQuery.OUTBOX_HEAD_PATH, asked)).value)
            query = EndorseQuery(chain.registration, head.number).encode()
            assert self.queries(QueryRequest(EndorseQuery.PATH, query)).code == CODE_OK

    def _timed(self, phase: str, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        started = time.process_time()
        result = call(*args, **kwargs)
        self.seconds[phase] += time.process_time() - started
        return result


@dataclass(frozen=True, slots=True)
class Run:
    """What four validators needed for a workload."""

    wall_seconds: float
    cpu_seconds: dict[str, float]
    """By phase, of all validators together."""


def measure(options: Options) -> Measured:
    """Measure ranges of several sizes in turn, then packets with their receipts."""
    workloads = {f"ranges of {size}": WorkloadMaker(packets_per_range=size).make(BLOCKS) for size in RANGES}
    workloads["ranges of 250, with receipts"] = WorkloadMaker(packets_per_range=250, with_receipts=True).make(BLOCKS)
    runs: dict[str, list[Run]] = {name: [] for name in workloads}
    for _ in range(options.runs):
        for name, workload in workloads.items():
            runs[name].append(run_validators(workload))
    figures: dict[str, Figure] = {}
    for name, workload in workloads.items():
        count = workload.packets
        figures[f"{name}: packets by wall clock"] = Figure.of(
            [count / run.wall_seconds for run in runs[name]], "packets/s"
        )
        totals = [sum(run.cpu_seconds.values()) for run in runs[name]]
        figures[f"{name}: CPU of all validators"] = Figure.of([1e6 * total / count for total in totals], "us/packet")
        figures[f"{name}: one validator on one core"] = Figure.of(
            [VALIDATORS * count / total for total in totals], "packets/s"
        )
        for phase in _PHASES:
            figures[f"{name}: {phase}, one validator"] = Figure.of(
                [1e6 * run.cpu_seconds.get(phase, 0.0) / VALIDATORS / count for run in runs[name]], "us/packet"
            )
    points = tuple((size, figures[f"ranges of {size}: packets by wall clock"].value) for size in RANGES)
    return Measured(
        figures,
        Plot(
            "One relay chain alone, four validators on this machine",
            "packets in a range",
            "packets verified and endorsed per second",
            (Series("four validators, wall clock", points),),
        ),
        [
            "synthetic sources: real CometBFT headers and commits, EVM headers, account and storage proofs; 4 sources, "
            f"{BLOCKS} blocks; a body has 96 bytes",
            "CometBFT itself is not in these figures; each validator writes its own SQLite file with synchronous=FULL",
        ],
    )


def run_validators(workload: Workload) -> Run:
    """Let four processes work at the same time.

    Raises:
        AssertionError: they do not end in the same state.
    """
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(VALIDATORS + 1), context.Queue()
    with tempfile.TemporaryDirectory(prefix="piebridge-bench-") as folder:
        workers = [
            context.Process(target=_work, args=(index, workload, Path(folder), barrier, results))
            for index in range(VALIDATORS)
        ]
        for worker in workers:
            worker.start()
        barrier.wait()
        started = time.perf_counter()
        answers = [results.get(timeout=300) for _ in workers]
        wall_seconds = time.perf_counter() - started
        for worker in workers:
            worker.join()
    assert len({app_hash for app_hash, _ in answers}) == 1, "validators disagree"
    cpu: dict[str, float] = defaultdict(float)
    for _, seconds in answers:
        for phase, value in seconds.items():
            cpu[phase] += value
    return Run(wall_seconds, dict(cpu))


def _work(
    index: int,
    workload: Workload,
    folder: Path,
    barrier: Barrier,
    results: "multiprocessing.Queue[tuple[bytes, dict[str, float]]]",
) -> None:
    directory = folder / str(index)
    directory.mkdir()
    validator = Validator(index, workload, directory)
    validator.start()
    gc.freeze()  # what the parent has made is no business of this process's collector
    barrier.wait()
    results.put((validator.run(), dict(validator.seconds)))
