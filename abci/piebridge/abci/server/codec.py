"""Between protobuf messages and the plain values of :mod:`piebridge.abci.messages`. Pure.

What the applications of PieBridge do not use is read and left out: evidence of misbehaviour, vote extensions, consensus
parameters beyond the size of a block. Fields that the schema does not know are skipped, as protobuf prescribes; a node
of another version is found out by the version that it tells in Info.
"""

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import DecodeError

from piebridge.abci.messages import (
    CheckTxKind,
    CheckTxResponse,
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
    QueryRequest,
    QueryResponse,
    ValidatorUpdate,
)
from piebridge.abci.server.errors import RequestError
from piebridge.abci.server.schema import message_class
from piebridge.cometbft.encoding import NANOSECONDS_PER_SECOND
from piebridge.cometbft.keys import ED25519, SECP256K1_ETH

PROPOSAL_ACCEPTED, PROPOSAL_REJECTED = 1, 2
"""``ProposalStatus``."""
EXTENSION_ACCEPTED, EXTENSION_REJECTED = 1, 2
"""``VerifyStatus``."""
SNAPSHOT_ABORTED = 2
"""``Result`` of OfferSnapshot and ApplySnapshotChunk: give the restoration up."""

_Message = Any
"""A message of the schema; classes made at run time have no static type."""

_KEY_TYPES = (ED25519, SECP256K1_ETH)
_REQUEST, _RESPONSE = message_class("Request"), message_class("Response")


def decode_request(data: bytes) -> tuple[str, _Message]:
    """Return method and message of a request.

    Raises:
        RequestError: the bytes are no request, or one of an unknown kind.
    """
    try:
        request = _REQUEST.FromString(data)
    except DecodeError as error:
        raise RequestError(f"{len(data)} bytes are no ABCI request: {error}") from error
    method = request.WhichOneof("value")
    if method is None:
        raise RequestError(f"ABCI request of an unknown kind, {len(data)} bytes that begin 0x{data[:4].hex()}")
    return method, getattr(request, method)


def encode_response(method: str, message: _Message) -> bytes:
    """Encode a response; the method decides which."""
    return bytes(_RESPONSE(**{method: message}).SerializeToString())


def encode_exception(text: str) -> bytes:
    """Encode the response that ends a node."""
    return encode_response("exception", message_class("ResponseException")(error=text))


def init_chain_request(message: _Message) -> InitChainRequest:
    """Read InitChain.

    Raises:
        RequestError: a key of a type that PieBridge does not know, or no time.
    """
    block = message.consensus_params.block
    return InitChainRequest(
        time_ns=_time_ns(message.time),
        chain_id=message.chain_id,
        consensus_params=ConsensusParams(block.max_bytes, block.max_gas),
        validators=tuple(_validator_update(item) for item in message.validators),
        app_state=message.app_state_bytes,
        initial_height=message.initial_height,
    )


def check_tx_request(message: _Message) -> tuple[bytes, CheckTxKind]:
    """Read CheckTx.

    Raises:
        RequestError: an unknown kind of check.
    """
    try:
        return message.tx, CheckTxKind(message.type)
    except ValueError as error:
        raise RequestError(f"CheckTx of unknown kind {message.type}") from error


def query_request(message: _Message) -> QueryRequest:
    """Read Query."""
    return QueryRequest(message.path, message.data, message.height, message.prove)


def prepare_proposal_request(message: _Message) -> PrepareProposalRequest:
    """Read PrepareProposal.

    Raises:
        RequestError: no time.
    """
    return PrepareProposalRequest(
        max_tx_bytes=message.max_tx_bytes,
        txs=tuple(message.txs),
        height=message.height,
        time_ns=_time_ns(message.time),
        proposer_address=message.proposer_address,
    )


def process_proposal_request(message: _Message) -> ProcessProposalRequest:
    """Read ProcessProposal.

    Raises:
        RequestError: no time.
    """
    return ProcessProposalRequest(
        txs=tuple(message.txs),
        hash=message.hash,
        height=message.height,
        time_ns=_time_ns(message.time),
        proposer_address=message.proposer_address,
    )


def finalize_block_request(message: _Message) -> FinalizeBlockRequest:
    """Read FinalizeBlock.

    Raises:
        RequestError: no time.
    """
    return FinalizeBlockRequest(
        txs=tuple(message.txs),
        hash=message.hash,
        height=message.height,
        time_ns=_time_ns(message.time),
        next_validators_hash=message.next_validators_hash,
        proposer_address=message.proposer_address,
        decided_last_commit=tuple(
            CommitVote(vote.validator.address, vote.validator.power, vote.block_id_flag)
            for vote in message.decided_last_commit.votes
        ),
    )


def info_response(response: InfoResponse) -> _Message:
    """Write the answer to Info."""
    return message_class("ResponseInfo")(
        data=response.data,
        version=response.version,
        app_version=response.app_version,
        last_block_height=response.last_block_height,
        last_block_app_hash=response.last_block_app_hash,
    )


def init_chain_response(response: InitChainResponse) -> _Message:
    """Write the answer to InitChain."""
    return message_class("ResponseInitChain")(
        app_hash=response.app_hash,
        validators=[_validator_update_message(update) for update in response.validators],
        consensus_params=_consensus_params(response.consensus_params),
    )


def check_tx_response(response: CheckTxResponse) -> _Message:
    """Write the answer to CheckTx."""
    return message_class("ResponseCheckTx")(
        code=response.code, log=response.log, gas_wanted=response.gas_wanted, codespace=response.codespace
    )


def query_response(response: QueryResponse) -> _Message:
    """Write the answer to Query."""
    message = message_class("ResponseQuery")(
        code=response.code,
        log=response.log,
        key=response.key,
        value=response.value,
        height=response.height,
        codespace=response.codespace,
    )
    for op in response.proof_ops:
        message.proof_ops.ops.add(type=op.type, key=op.key, data=op.data)
    return message


def prepare_proposal_response(txs: Iterable[bytes]) -> _Message:
    """Write the answer to PrepareProposal."""
    return message_class("ResponsePrepareProposal")(txs=txs)


def process_proposal_response(accepted: bool) -> _Message:
    """Write the answer to ProcessProposal."""
    return message_class("ResponseProcessProposal")(status=PROPOSAL_ACCEPTED if accepted else PROPOSAL_REJECTED)


def finalize_block_response(response: FinalizeBlockResponse) -> _Message:
    """Write the answer to FinalizeBlock."""
    return message_class("ResponseFinalizeBlock")(
        tx_results=[_tx_result(result) for result in response.tx_results],
        app_hash=response.app_hash,
        validator_updates=[_validator_update_message(update) for update in response.validator_updates],
        consensus_param_updates=_consensus_params(response.consensus_param_updates),
        events=[_event(event) for event in response.events],
    )


def commit_response(retain_height: int) -> _Message:
    """Write the answer to Commit."""
    return message_class("ResponseCommit")(retain_height=retain_height)


def _time_ns(timestamp: _Message) -> int:
    if not 0 <= timestamp.nanos < NANOSECONDS_PER_SECOND:
        raise RequestError(f"time with {timestamp.nanos} nanoseconds")
    return int(timestamp.seconds) * NANOSECONDS_PER_SECOND + int(timestamp.nanos)


def _validator_update(message: _Message) -> ValidatorUpdate:
    key_type = message.pub_key.WhichOneof("sum")
    if key_type not in _KEY_TYPES:
        raise RequestError(f"validator key of type {key_type}; PieBridge knows {', '.join(_KEY_TYPES)}")
    return ValidatorUpdate(key_type, getattr(message.pub_key, key_type), message.power)


def _validator_update_message(update: ValidatorUpdate) -> _Message:
    key = message_class("PublicKey")(**{update.key_type: update.public_key})
    return message_class("ValidatorUpdate")(pub_key=key, power=update.power)


def _consensus_params(params: ConsensusParams | None) -> _Message | None:
    if params is None:
        return None
    block = message_class("BlockParams")(max_bytes=params.block_max_bytes, max_gas=params.block_max_gas)
    return message_class("ConsensusParams")(block=block)


def _tx_result(result: ExecTxResult) -> _Message:
    return message_class("ExecTxResult")(
        code=result.code,
        data=result.data,
        log=result.log,
        gas_wanted=result.gas_wanted,
        gas_used=result.gas_used,
        events=[_event(event) for event in result.events],
        codespace=result.codespace,
    )


def _event(event: Event) -> _Message:
    attribute = message_class("EventAttribute")
    return message_class("Event")(
        type=event.type,
        attributes=[attribute(key=key, value=value, index=True) for key, value in event.attributes],
    )
