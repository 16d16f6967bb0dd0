"""The protobuf messages of ABCI 2.0, as a table: names, numbers and types, which are facts of the wire format.

The table becomes message classes in a descriptor pool of its own at import time: no compiler, no generated code, no
names in the global pool that could clash with another library's, and the speed of protobuf's C backend (upb). Enums are
written as int32, which has the same encoding. Reserved fields are left out.

Source: ``proto/tendermint/{abci,crypto,types}`` of CometBFT v0.40.0; v0.38 and v0.39 lack ``insert_tx`` and
``reap_txs`` only.
"""

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "piebridge.abci.v1"
"""Names of packages do not travel; this one belongs to nobody else."""

_Field = tuple[int, str, str]
"""Number, name, type; ``repeated`` in front of the type where there are several."""

_ONE_OF: Final = {"Request": "value", "Response": "value", "PublicKey": "sum"}
"""Messages all of whose fields exclude each other, with the name of the choice."""

_REQUEST_KINDS: Final = {
    "echo": (1, 2, "Echo"),
    "flush": (2, 3, "Flush"),
    "info": (3, 4, "Info"),
    "init_chain": (5, 6, "InitChain"),
    "query": (6, 7, "Query"),
    "check_tx": (8, 9, "CheckTx"),
    "commit": (11, 12, "Commit"),
    "list_snapshots": (12, 13, "ListSnapshots"),
    "offer_snapshot": (13, 14, "OfferSnapshot"),
    "load_snapshot_chunk": (14, 15, "LoadSnapshotChunk"),
    "apply_snapshot_chunk": (15, 16, "ApplySnapshotChunk"),
    "prepare_proposal": (16, 17, "PrepareProposal"),
    "process_proposal": (17, 18, "ProcessProposal"),
    "extend_vote": (18, 19, "ExtendVote"),
    "verify_vote_extension": (19, 20, "VerifyVoteExtension"),
    "finalize_block": (20, 21, "FinalizeBlock"),
    "insert_tx": (21, 22, "InsertTx"),
    "reap_txs": (22, 23, "ReapTxs"),
}
"""Method -> field of ``Request``, field of ``Response``, name of its messages."""

_PROPOSAL_TAIL: Final[tuple[_Field, ...]] = (
    (3, "misbehavior", "repeated Misbehavior"),
    (4, "hash", "bytes"),
    (5, "height", "int64"),
    (6, "time", "Timestamp"),
    (7, "next_validators_hash", "bytes"),
    (8, "proposer_address", "bytes"),
)

_MESSAGES: Final[dict[str, tuple[_Field, ...]]] = {
    "Timestamp": ((1, "seconds", "int64"), (2, "nanos", "int32")),
    "Duration": ((1, "seconds", "int64"), (2, "nanos", "int32")),
    "PublicKey": (
        (1, "ed25519", "bytes"),
        (2, "secp256k1", "bytes"),
        (3, "bls12381", "bytes"),
        (4, "mldsa65", "bytes"),
        (5, "secp256k1eth", "bytes"),
    ),
    "ProofOp": ((1, "type", "string"), (2, "key", "bytes"), (3, "data", "bytes")),
    "ProofOps": ((1, "ops", "repeated ProofOp"),),
    "BlockParams": ((1, "max_bytes", "int64"), (2, "max_gas", "int64")),
    "EvidenceParams": (
        (1, "max_age_num_blocks", "int64"),
        (2, "max_age_duration", "Duration"),
        (3, "max_bytes", "int64"),
    ),
    "ValidatorParams": ((1, "pub_key_types", "repeated string"),),
    "VersionParams": ((1, "app", "uint64"),),
    "AbciParams": ((1, "vote_extensions_enable_height", "int64"),),
    "AuthorityParams": ((1, "authority", "string"),),
    "ConsensusParams": (
        (1, "block", "BlockParams"),
        (2, "evidence", "EvidenceParams"),
        (3, "validator", "ValidatorParams"),
        (4, "version", "VersionParams"),
        (5, "abci", "AbciParams"),
        (6, "authority", "AuthorityParams"),
    ),
    "Validator": ((1, "address", "bytes"), (3, "power", "int64")),
    "ValidatorUpdate": ((1, "pub_key", "PublicKey"), (2, "power", "int64")),
    "VoteInfo": ((1, "validator", "Validator"), (3, "block_id_flag", "int32")),
    "ExtendedVoteInfo": (
        (1, "validator", "Validator"),
        (3, "vote_extension", "bytes"),
        (4, "extension_signature", "bytes"),
        (5, "block_id_flag", "int32"),
    ),
    "CommitInfo": ((1, "round", "int32"), (2, "votes", "repeated VoteInfo")),
    "ExtendedCommitInfo": ((1, "round", "int32"), (2, "votes", "repeated ExtendedVoteInfo")),
    "Misbehavior": (
        (1, "type", "int32"),
        (2, "validator", "Validator"),
        (3, "height", "int64"),
        (4, "time", "Timestamp"),
        (5, "total_voting_power", "int64"),
    ),
    "EventAttribute": ((1, "key", "string"), (2, "value", "string"), (3, "index", "bool")),
    "Event": ((1, "type", "string"), (2, "attributes", "repeated EventAttribute")),
    "ExecTxResult": (
        (1, "code", "uint32"),
        (2, "data", "bytes"),
        (3, "log", "string"),
        (4, "info", "string"),
        (5, "gas_wanted", "int64"),
        (6, "gas_used", "int64"),
        (7, "events", "repeated Event"),
        (8, "codespace", "string"),
    ),
    "Snapshot": (
        (1, "height", "uint64"),
        (2, "format", "uint32"),
        (3, "chunks", "uint32"),
        (4, "hash", "bytes"),
        (5, "metadata", "bytes"),
    ),
    "RequestEcho": ((1, "message", "string"),),
    "RequestFlush": (),
    "RequestInfo": (
        (1, "version", "string"),
        (2, "block_version", "uint64"),
        (3, "p2p_version", "uint64"),
        (4, "abci_version", "string"),
    ),
    "RequestInitChain": (
        (1, "time", "Timestamp"),
        (2, "chain_id", "string"),
        (3, "consensus_params", "ConsensusParams"),
        (4, "validators", "repeated ValidatorUpdate"),
        (5, "app_state_bytes", "bytes"),
        (6, "initial_height", "int64"),
    ),
    "RequestQuery": ((1, "data", "bytes"), (2, "path", "string"), (3, "height", "int64"), (4, "prove", "bool")),
    "RequestCheckTx": ((1, "tx", "bytes"), (2, "type", "int32")),
    "RequestCommit": (),
    "RequestListSnapshots": (),
    "RequestOfferSnapshot": ((1, "snapshot", "Snapshot"), (2, "app_hash", "bytes")),
    "RequestLoadSnapshotChunk": ((1, "height", "uint64"), (2, "format", "uint32"), (3, "chunk", "uint32")),
    "RequestApplySnapshotChunk": ((1, "index", "uint32"), (2, "chunk", "bytes"), (3, "sender", "string")),
    "RequestPrepareProposal": (
        (1, "max_tx_bytes", "int64"),
        (2, "txs", "repeated bytes"),
        (3, "local_last_commit", "ExtendedCommitInfo"),
        (4, "misbehavior", "repeated Misbehavior"),
        (5, "height", "int64"),
        (6, "time", "Timestamp"),
        (7, "next_validators_hash", "bytes"),
        (8, "proposer_address", "bytes"),
    ),
    "RequestProcessProposal": (
        (1, "txs", "repeated bytes"),
        (2, "proposed_last_commit", "CommitInfo"),
        *_PROPOSAL_TAIL,
    ),
    "RequestExtendVote": (
        (1, "hash", "bytes"),
        (2, "height", "int64"),
        (3, "time", "Timestamp"),
        (4, "txs", "repeated bytes"),
        (5, "proposed_last_commit", "CommitInfo"),
        (6, "misbehavior", "repeated Misbehavior"),
        (7, "next_validators_hash", "bytes"),
        (8, "proposer_address", "bytes"),
    ),
    "RequestVerifyVoteExtension": (
        (1, "hash", "bytes"),
        (2, "validator_address", "bytes"),
        (3, "height", "int64"),
        (4, "vote_extension", "bytes"),
    ),
    "RequestFinalizeBlock": (
        (1, "txs", "repeated bytes"),
        (2, "decided_last_commit", "CommitInfo"),
        *_PROPOSAL_TAIL,
    ),
    "RequestInsertTx": ((1, "tx", "bytes"),),
    "RequestReapTxs": ((1, "max_bytes", "uint64"), (2, "max_gas", "uint64")),
    "ResponseException": ((1, "error", "string"),),
    "ResponseEcho": ((1, "message", "string"),),
    "ResponseFlush": (),
    "ResponseInfo": (
        (1, "data", "string"),
        (2, "version", "string"),
        (3, "app_version", "uint64"),
        (4, "last_block_height", "int64"),
        (5, "last_block_app_hash", "bytes"),
    ),
    "ResponseInitChain": (
        (1, "consensus_params", "ConsensusParams"),
        (2, "validators", "repeated ValidatorUpdate"),
        (3, "app_hash", "bytes"),
    ),
    "ResponseQuery": (
        (1, "code", "uint32"),
        (3, "log", "string"),
        (4, "info", "string"),
        (5, "index", "int64"),
        (6, "key", "bytes"),
        (7, "value", "bytes"),
        (8, "proof_ops", "ProofOps"),
        (9, "height", "int64"),
        (10, "codespace", "string"),
    ),
    "ResponseCheckTx": (
        (1, "code", "uint32"),
        (2, "data", "bytes"),
        (3, "log", "string"),
        (4, "info", "string"),
        (5, "gas_wanted", "int64"),
        (6, "gas_used", "int64"),
        (7, "events", "repeated Event"),
        (8, "codespace", "string"),
    ),
    "ResponseCommit": ((3, "retain_height", "int64"),),
    "ResponseListSnapshots": ((1, "snapshots", "repeated Snapshot"),),
    "ResponseOfferSnapshot": ((1, "result", "int32"),),
    "ResponseLoadSnapshotChunk": ((1, "chunk", "bytes"),),
    "ResponseApplySnapshotChunk": (
        (1, "result", "int32"),
        (2, "refetch_chunks", "repeated uint32"),
        (3, "reject_senders", "repeated string"),
    ),
    "ResponsePrepareProposal": ((1, "txs", "repeated bytes"),),
    "ResponseProcessProposal": ((1, "status", "int32"),),
    "ResponseExtendVote": ((1, "vote_extension", "bytes"),),
    "ResponseVerifyVoteExtension": ((1, "status", "int32"),),
    "ResponseFinalizeBlock": (
        (1, "events", "repeated Event"),
        (2, "tx_results", "repeated ExecTxResult"),
        (3, "validator_updates", "repeated ValidatorUpdate"),
        (4, "consensus_param_updates", "ConsensusParams"),
        (5, "app_hash", "bytes"),
    ),
    "ResponseInsertTx": ((1, "code", "uint32"),),
    "ResponseReapTxs": ((1, "txs", "repeated bytes"),),
    "Request": tuple((number, method, f"Request{name}") for method, (number, _, name) in _REQUEST_KINDS.items()),
    "Response": (
        (1, "exception", "ResponseException"),
        *((number, method, f"Response{name}") for method, (_, number, name) in _REQUEST_KINDS.items()),
    ),
}

METHODS: Final = tuple(_REQUEST_KINDS)
"""ABCI methods by the names of their fields in ``Request`` and ``Response``."""

_FieldProto = descriptor_pb2.FieldDescriptorProto
_SCALARS: Final = {
    "bool": _FieldProto.TYPE_BOOL,
    "bytes": _FieldProto.TYPE_BYTES,
    "int32": _FieldProto.TYPE_INT32,
    "int64": _FieldProto.TYPE_INT64,
    "string": _FieldProto.TYPE_STRING,
    "uint32": _FieldProto.TYPE_UINT32,
    "uint64": _FieldProto.TYPE_UINT64,
}


def message_class(name: str) -> Any:  # noqa: ANN401 - classes made at run time have no static type
    """Return the class of a message, for example ``RequestEcho``."""
    return _CLASSES[name]


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="piebridge/abci.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        if name in _ONE_OF:
            message.oneof_decl.add(name=_ONE_OF[name])
        for number, field_name, type_name in fields:
            field = message.field.add(name=field_name, number=number)
            several, _, single = type_name.rpartition(" ")
            field.label = _FieldProto.LABEL_REPEATED if several else _FieldProto.LABEL_OPTIONAL
            if single in _SCALARS:
                field.type = _SCALARS[single]
            else:
                field.type, field.type_name = _FieldProto.TYPE_MESSAGE, f".{_PACKAGE}.{single}"
            if name in _ONE_OF:
                field.oneof_index = 0
    return file


def _classes() -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES
    }


_CLASSES: Final = _classes()
