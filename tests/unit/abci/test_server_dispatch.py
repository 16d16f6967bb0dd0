"""Each ABCI method: what the application gets, what the node gets back, and what ends the one or the other."""

from typing import Any

import pytest

from piebridge.abci.application import Application
from piebridge.abci.messages import (
    CheckTxKind,
    CheckTxResponse,
    CommitResponse,
    CommitVote,
    ConsensusParams,
    Event,
    ExecTxResult,
    FinalizeBlockRequest,
    FinalizeBlockResponse,
    InfoResponse,
    InitChainRequest,
    InitChainResponse,
    PrepareProposalRequest,
    ProcessProposalRequest,
    ProofOp,
    QueryRequest,
    QueryResponse,
    ValidatorUpdate,
)
from piebridge.abci.server.dispatch import Dispatcher
from piebridge.abci.server.errors import ApplicationFailedError, IncompatibleNodeError, RequestError
from piebridge.abci.server.schema import METHODS, message_class
from piebridge.failpoints import ABCI
from testkit.abci_client import request, response, timestamp
from testkit.validators import validator_keys

TIME_NS = 1_790_000_000_123_456_789
KEY = validator_keys(1)[0].public_key.data
UPDATE = ValidatorUpdate("secp256k1eth", KEY, 7)


class Scripted(Application):
    """Writes down what it is asked and answers with every field set."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def info(self) -> InfoResponse:
        return InfoResponse("name", "v1", 3, 41, b"\x41" * 32)

    def init_chain(self, request: InitChainRequest) -> InitChainResponse:
        self.asked.append(request)
        return InitChainResponse(b"\x01" * 32, (UPDATE,), ConsensusParams(1_000, 2_000))

    def check_tx(self, tx: bytes, kind: CheckTxKind) -> CheckTxResponse:
        self.asked.append((tx, kind))
        return CheckTxResponse(9, "too late", 21, "space")

    def prepare_proposal(self, request: PrepareProposalRequest) -> tuple[bytes, ...]:
        self.asked.append(request)
        return request.txs[::-1]

    def process_proposal(self, request: ProcessProposalRequest) -> bool:
        self.asked.append(request)
        return not request.txs

    def finalize_block(self, request: FinalizeBlockRequest) -> FinalizeBlockResponse:
        self.asked.append(request)
        event = Event("sent", (("key", "value"),))
        result = ExecTxResult(5, b"data", "log", 11, 12, (event,), "space")
        return FinalizeBlockResponse((result,), b"\x02" * 32, (UPDATE,), ConsensusParams(3_000, -1), (event,))

    def commit(self) -> CommitResponse:
        self.asked.append("commit")
        return CommitResponse(30)

    def query(self, request: QueryRequest) -> QueryResponse:
        self.asked.append(request)
        ops = (ProofOp("simple:v", b"key", b"inner"), ProofOp("simple:v", b"store", b"outer"))
        return QueryResponse(4, b"key", b"value", 40, "why", "space", ops)


def ask(application: Application, method: str, **fields: Any) -> Any:  # noqa: ANN401
    kind, message = response(Dispatcher(application).answer(request(method, **fields)))
    assert kind == method
    return message


def test_info_tells_the_last_commit() -> None:
    message = ask(Scripted(), "info", abci_version="2.0.0", version="0.40.0")
    assert (message.data, message.version, message.app_version) == ("name", "v1", 3)
    assert (message.last_block_height, message.last_block_app_hash) == (41, b"\x41" * 32)


@pytest.mark.parametrize("version", ["", "0.17.0", "1.0.0", "3.0.0"])
def test_a_node_of_another_version_ends_the_process(version: str) -> None:
    with pytest.raises(IncompatibleNodeError, match="make cometbft"):
        ask(Scripted(), "info", abci_version=version)


def test_init_chain_passes_the_genesis_document_on() -> None:
    application = Scripted()
    params = message_class("ConsensusParams")(block=message_class("BlockParams")(max_bytes=5, max_gas=-1))
    validator = message_class("ValidatorUpdate")(pub_key=message_class("PublicKey")(secp256k1eth=KEY), power=7)
    message = ask(
        application,
        "init_chain",
        time=timestamp(TIME_NS),
        chain_id="relay-1",
        consensus_params=params,
        validators=[validator],
        app_state_bytes=b"{}",
        initial_height=1,
    )
    assert application.asked == [InitChainRequest(TIME_NS, "relay-1", ConsensusParams(5, -1), (UPDATE,), b"{}", 1)]
    assert message.app_hash == b"\x01" * 32
    assert (message.validators[0].pub_key.secp256k1eth, message.validators[0].power) == (KEY, 7)
    assert (message.consensus_params.block.max_bytes, message.consensus_params.block.max_gas) == (1_000, 2_000)
    assert not message.consensus_params.HasField("evidence"), "groups that are left out stay as they are"


def test_init_chain_with_a_key_type_that_nobody_knows_is_refused() -> None:
    validator = message_class("ValidatorUpdate")(pub_key=message_class("PublicKey")(bls12381=bytes(48)), power=1)
    with pytest.raises(RequestError, match="bls12381"):
        ask(Scripted(), "init_chain", validators=[validator])


@pytest.mark.parametrize("kind", list(CheckTxKind))
def test_check_tx(kind: CheckTxKind) -> None:
    application = Scripted()
    message = ask(application, "check_tx", tx=b"tx", type=int(kind))
    assert application.asked == [(b"tx", kind)]
    assert (message.code, message.log, message.gas_wanted, message.codespace) == (9, "too late", 21, "space")


def test_check_tx_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(RequestError, match="unknown kind 2"):
        ask(Scripted(), "check_tx", tx=b"tx", type=2)


def test_proposals() -> None:
    application = Scripted()
    prepared = ask(
        application,
        "prepare_proposal",
        max_tx_bytes=100,
        txs=[b"a", b"", b"b"],
        height=9,
        time=timestamp(TIME_NS),
        proposer_address=b"\x05" * 20,
    )
    assert list(prepared.txs) == [b"b", b"", b"a"]
    fields = {"hash": b"\x06" * 32, "height": 9, "time": timestamp(TIME_NS), "proposer_address": b"\x05" * 20}
    assert ask(application, "process_proposal", txs=[], **fields).status == 1
    assert ask(application, "process_proposal", txs=[b"a"], **fields).status == 2
    assert application.asked == [
        PrepareProposalRequest(100, (b"a", b"", b"b"), 9, TIME_NS, b"\x05" * 20),
        ProcessProposalRequest((), b"\x06" * 32, 9, TIME_NS, b"\x05" * 20),
        ProcessProposalRequest((b"a",), b"\x06" * 32, 9, TIME_NS, b"\x05" * 20),
    ]


def test_finalize_block_and_commit() -> None:
    application = Scripted()
    validator = message_class("Validator")(address=b"\x07" * 20, power=1)
    votes = [message_class("VoteInfo")(validator=validator, block_id_flag=flag) for flag in (2, 1)]
    message = ask(
        application,
        "finalize_block",
        txs=[b"a"],
        decided_last_commit=message_class("CommitInfo")(round=1, votes=votes),
        misbehavior=[message_class("Misbehavior")(type=1, height=3)],
        hash=b"\x06" * 32,
        height=9,
        time=timestamp(TIME_NS),
        next_validators_hash=b"\x08" * 32,
        proposer_address=b"\x05" * 20,
    )
    flags = (CommitVote(b"\x07" * 20, 1, 2), CommitVote(b"\x07" * 20, 1, 1))
    assert application.asked == [
        FinalizeBlockRequest((b"a",), b"\x06" * 32, 9, TIME_NS, b"\x08" * 32, b"\x05" * 20, flags)
    ]
    (result,) = message.tx_results
    assert (result.code, result.data, result.log, result.gas_wanted, result.gas_used) == (5, b"data", "log", 11, 12)
    assert result.codespace == "space"
    attribute = result.events[0].attributes[0]
    assert (attribute.key, attribute.value, attribute.index) == ("key", "value", True)
    assert message.events[0].type == "sent"
    assert message.app_hash == b"\x02" * 32
    assert message.validator_updates[0].pub_key.secp256k1eth == KEY
    assert message.consensus_param_updates.block.max_gas == -1
    assert ask(application, "commit").retain_height == 30


def test_a_response_without_parameters_changes_none() -> None:
    class Plain(Scripted):
        def finalize_block(self, request: FinalizeBlockRequest) -> FinalizeBlockResponse:
            return FinalizeBlockResponse((), b"\x02" * 32)

    message = ask(Plain(), "finalize_block", height=1, time=timestamp(TIME_NS))
    assert not message.HasField("consensus_param_updates")


def test_query_keeps_the_order_of_proofs() -> None:
    application = Scripted()
    message = ask(application, "query", path="/store/x/key", data=b"key", height=40, prove=True)
    assert application.asked == [QueryRequest("/store/x/key", b"key", 40, True)]
    assert (message.code, message.key, message.value, message.height) == (4, b"key", b"value", 40)
    assert [op.key for op in message.proof_ops.ops] == [b"key", b"store"]


def test_a_query_handler_answers_in_place_of_the_application() -> None:
    application = Scripted()
    dispatcher = Dispatcher(application, lambda query: QueryResponse(0, value=query.data[::-1]))
    kind, message = response(dispatcher.answer(request("query", path="/endorse", data=b"ab")))
    assert (kind, message.value, application.asked) == ("query", b"ba", [])


def test_no_snapshot_is_offered_or_taken() -> None:
    assert list(ask(Scripted(), "list_snapshots").snapshots) == []
    assert ask(Scripted(), "offer_snapshot").result == 2
    assert ask(Scripted(), "load_snapshot_chunk").chunk == b""
    assert ask(Scripted(), "apply_snapshot_chunk").result == 2


def test_vote_extensions_are_empty() -> None:
    assert ask(Scripted(), "extend_vote").vote_extension == b""
    assert ask(Scripted(), "verify_vote_extension").status == 1
    assert ask(Scripted(), "verify_vote_extension", vote_extension=b"x").status == 2


def test_the_mempool_of_applications_is_not_served() -> None:
    for method in ("insert_tx", "reap_txs"):
        with pytest.raises(RequestError, match=r"mempool\.type"):
            ask(Scripted(), method)


def test_every_method_of_the_schema_is_answered_or_refused_on_purpose() -> None:
    refused = set()
    for method in METHODS:
        try:
            ask(Scripted(), method, **({"abci_version": "2.0.0"} if method == "info" else {}))
        except RequestError:
            refused.add(method)
    assert refused == {"insert_tx", "reap_txs"}


@pytest.mark.parametrize(
    "frame", [b"", b"\xff", b"\x0a\x02\x0a", b"\x22\x00", b"\xba\x01\x00", b"\x0a\x03\x0a\x01\xff"]
)
def test_what_is_no_request_is_refused(frame: bytes) -> None:
    with pytest.raises(RequestError):
        Dispatcher(Scripted()).answer(frame)


def test_a_time_out_of_range_is_refused() -> None:
    for nanos in (-1, 10**9):
        with pytest.raises(RequestError, match="nanoseconds"):
            ask(Scripted(), "finalize_block", height=1, time=message_class("Timestamp")(seconds=1, nanos=nanos))


def test_whatever_the_application_raises_is_its_failure() -> None:
    class Failing(Scripted):
        def commit(self) -> CommitResponse:
            raise AssertionError("commit without finalize_block")

        def check_tx(self, tx: bytes, kind: CheckTxKind) -> CheckTxResponse:
            return CheckTxResponse(-1)

    with pytest.raises(ApplicationFailedError, match="failed in commit: AssertionError: commit without") as caught:
        ask(Failing(), "commit")
    assert caught.value.method == "commit"
    with pytest.raises(ApplicationFailedError, match="check_tx"):
        ask(Failing(), "check_tx", tx=b"x")


def test_failpoints_lie_between_all_steps() -> None:
    passed: list[str] = []
    dispatcher = Dispatcher(Scripted(), fail_point=passed.append)
    dispatcher.answer(request("init_chain", time=timestamp(TIME_NS)))
    dispatcher.answer(request("finalize_block", height=1, time=timestamp(TIME_NS)))
    dispatcher.answer(request("commit"))
    assert tuple(passed) == ABCI
