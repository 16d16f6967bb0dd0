"""ABCI's wire format: values survive it, however their bytes are cut, and no bytes raise anything undeclared."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piebridge.abci.application import Application
from piebridge.abci.messages import (
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
    QueryResponse,
    ValidatorUpdate,
)
from piebridge.abci.server import codec
from piebridge.abci.server.dispatch import Dispatcher
from piebridge.abci.server.errors import FrameError, RequestError
from piebridge.abci.server.frames import FrameBuffer, encode_frame
from piebridge.abci.server.schema import METHODS, message_class
from piebridge.cometbft.encoding import MAX_TIME_NS, ZERO_TIME_NS
from testkit.abci_client import request, response, timestamp

codes = st.integers(0, 2**32 - 1)
amounts = st.integers(-(2**63), 2**63 - 1)
texts = st.text(max_size=20)
octets = st.binary(max_size=40)
events = st.lists(st.builds(Event, texts, st.lists(st.tuples(texts, texts), max_size=3).map(tuple)), max_size=3).map(
    tuple
)
params = st.none() | st.builds(ConsensusParams, amounts, amounts)
updates = st.lists(
    st.builds(ValidatorUpdate, st.sampled_from(["secp256k1eth", "ed25519"]), octets, amounts), max_size=3
).map(tuple)
results = st.builds(ExecTxResult, codes, octets, texts, amounts, amounts, events, texts)
finalized = st.builds(FinalizeBlockResponse, st.lists(results, max_size=4).map(tuple), octets, updates, params, events)
times = st.integers(ZERO_TIME_NS, MAX_TIME_NS)


class Fixed(Application):
    """Answers everything with nothing, so that no error is the application's."""

    def info(self) -> InfoResponse:
        return InfoResponse("", "", 0, 0, b"")

    def init_chain(self, request: InitChainRequest) -> InitChainResponse:
        return InitChainResponse(b"")

    def finalize_block(self, request: FinalizeBlockRequest) -> FinalizeBlockResponse:
        return FinalizeBlockResponse((), b"")

    def commit(self) -> CommitResponse:
        return CommitResponse()


def read(method: str, message: Any) -> Any:  # noqa: ANN401
    kind, found = response(codec.encode_response(method, message))
    assert kind == method
    return found


@given(finalized)
def test_results_of_blocks_survive(value: FinalizeBlockResponse) -> None:
    found = read("finalize_block", codec.finalize_block_response(value))
    assert found.app_hash == value.app_hash
    assert _events(found.events) == value.events
    assert [
        (item.code, item.data, item.log, item.gas_wanted, item.gas_used, _events(item.events), item.codespace)
        for item in found.tx_results
    ] == [
        (item.code, item.data, item.log, item.gas_wanted, item.gas_used, item.events, item.codespace)
        for item in value.tx_results
    ]
    assert (
        tuple(
            ValidatorUpdate(kind, getattr(item.pub_key, kind), item.power)
            for item in found.validator_updates
            if (kind := item.pub_key.WhichOneof("sum"))
        )
        == value.validator_updates
    )
    block = found.consensus_param_updates.block if found.HasField("consensus_param_updates") else None
    assert (block and ConsensusParams(block.max_bytes, block.max_gas)) == value.consensus_param_updates


def _events(messages: Any) -> tuple[Event, ...]:  # noqa: ANN401
    return tuple(
        Event(item.type, tuple((attribute.key, attribute.value) for attribute in item.attributes)) for item in messages
    )


@given(
    st.builds(
        FinalizeBlockRequest,
        st.lists(octets, max_size=5).map(tuple),
        octets,
        st.integers(1, 2**63 - 1),
        times,
        octets,
        octets,
        st.lists(st.builds(CommitVote, octets, amounts, st.integers(0, 3)), max_size=4).map(tuple),
    )
)
def test_blocks_survive(value: FinalizeBlockRequest) -> None:
    votes = [
        message_class("VoteInfo")(
            validator=message_class("Validator")(address=vote.address, power=vote.power), block_id_flag=vote.flag
        )
        for vote in value.decided_last_commit
    ]
    encoded = request(
        "finalize_block",
        txs=value.txs,
        decided_last_commit=message_class("CommitInfo")(votes=votes),
        hash=value.hash,
        height=value.height,
        time=timestamp(value.time_ns),
        next_validators_hash=value.next_validators_hash,
        proposer_address=value.proposer_address,
    )
    method, message = codec.decode_request(encoded)
    assert method == "finalize_block"
    assert codec.finalize_block_request(message) == value


@given(st.builds(QueryResponse, codes, octets, octets, amounts, texts, texts))
def test_answers_to_queries_survive(value: QueryResponse) -> None:
    found = read("query", codec.query_response(value))
    assert QueryResponse(found.code, found.key, found.value, found.height, found.log, found.codespace) == value


@given(st.lists(st.sampled_from(METHODS), max_size=12), st.lists(st.integers(1, 40), max_size=40))
def test_frames_do_not_depend_on_how_their_bytes_are_cut(methods: list[str], cuts: list[int]) -> None:
    frames = [request(method) for method in methods]
    stream = b"".join(map(encode_frame, frames))
    buffer, found, position = FrameBuffer(), [], 0
    for cut in [*cuts, len(stream)]:
        found += list(buffer.feed(stream[position : position + cut]))
        position += cut
    assert found == frames
    assert len(buffer) == 0


@given(st.binary(max_size=200))
def test_random_bytes_are_frames_or_refused(data: bytes) -> None:
    try:
        frames = list(FrameBuffer().feed(data))
    except FrameError:
        return
    assert data.startswith(b"".join(map(encode_frame, frames))), "a frame has one encoding"


@given(st.sampled_from(METHODS), st.data())
def test_mutated_requests_are_answered_or_refused(method: str, data: st.DataObject) -> None:
    """Nothing but the declared errors: an undeclared one would end a validator."""
    fields = {"txs": [b"tx"], "height": 1} if method in ("prepare_proposal", "finalize_block") else {}
    frame = bytearray(request(method, **fields))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    frame += data.draw(st.binary(max_size=8))
    dispatcher = Dispatcher(Fixed())
    try:
        answer = dispatcher.answer(bytes(frame))
    except RequestError:
        return
    except Exception as error:
        if type(error).__name__ == "IncompatibleNodeError":
            return
        pytest.fail(f"{bytes(frame).hex()}: {error!r}")
    assert response(answer)
