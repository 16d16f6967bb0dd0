"""ABCI 2.0 requests and responses as plain values.

Only what crosses between an engine and an application; the protobuf encoding for CometBFT's socket is another module's
business. Times are integers: nanoseconds since the Unix epoch, UTC (``google.protobuf.Timestamp`` without the split).

Source: ``proto/tendermint/abci/types.proto`` of CometBFT v0.40.0.
"""

from dataclasses import dataclass, field
from enum import IntEnum

CODE_OK = 0
"""Response code of a transaction or query that was accepted."""


@dataclass(frozen=True, slots=True)
class ValidatorUpdate:
    """A validator's new voting power; 0 removes it."""

    key_type: str
    """``secp256k1eth`` or ``ed25519``."""
    public_key: bytes
    """33 bytes compressed for secp256k1eth, 32 for ed25519."""
    power: int
    """Voting power, 0 or more."""


@dataclass(frozen=True, slots=True)
class ConsensusParams:
    """Consensus parameters that an application may set. ABCI replaces whole groups, so both block fields travel."""

    block_max_bytes: int = 4_194_304
    """Largest block, bytes."""
    block_max_gas: int = -1
    """Largest sum of gas wanted in a block; -1 is unlimited."""


@dataclass(frozen=True, slots=True)
class Event:
    """What an application tells observers. Not part of any hash."""

    type: str
    """Kind of event."""
    attributes: tuple[tuple[str, str], ...] = ()
    """Key and value pairs; keep them few (they are the dearest part of a result)."""


@dataclass(frozen=True, slots=True)
class InfoResponse:
    """State of the application at its last *committed* height."""

    data: str
    """Name of the application."""
    version: str
    """Software version, for people."""
    app_version: int
    """Protocol version of the application, header field ``version.app``."""
    last_block_height: int
    """Height of the last successful Commit, 0 before the first."""
    last_block_app_hash: bytes
    """App hash of that height."""


@dataclass(frozen=True, slots=True)
class InitChainRequest:
    """Start of a chain at height 0. May come again when a crash preceded the first Commit."""

    time_ns: int
    """Genesis time."""
    chain_id: str
    """At most 50 characters."""
    consensus_params: ConsensusParams
    """Parameters of the genesis document."""
    validators: tuple[ValidatorUpdate, ...]
    """Validators of the genesis document."""
    app_state: bytes
    """Application's part of the genesis document, JSON."""
    initial_height: int
    """Height of the first block, normally 1."""


@dataclass(frozen=True, slots=True)
class InitChainResponse:
    """Answer to InitChain."""

    app_hash: bytes
    """App hash that the header of the first block carries."""
    validators: tuple[ValidatorUpdate, ...] = ()
    """Replaces the genesis validators where not empty."""
    consensus_params: ConsensusParams | None = None
    """Replaces the genesis parameters where given."""


class CheckTxKind(IntEnum):
    """Why CheckTx is called."""

    NEW = 0
    """The transaction is new to the mempool."""
    RECHECK = 1
    """The transaction stayed in the mempool while a block was committed."""


@dataclass(frozen=True, slots=True)
class CheckTxResponse:
    """Whether a transaction may enter (or stay in) the mempool."""

    code: int
    """0 accepts."""
    log: str = ""
    """Reason for people; not part of any hash."""
    gas_wanted: int = 0
    """Gas that the transaction may use."""
    codespace: str = ""
    """Namespace of the code."""


@dataclass(frozen=True, slots=True)
class PrepareProposalRequest:
    """The engine asks the proposer's application for the transactions of a block."""

    max_tx_bytes: int
    """The returned transactions, protobuf-encoded, may not be larger (tag and length of each count)."""
    txs: tuple[bytes, ...]
    """Transactions of the mempool in order."""
    height: int
    """Height of the block to be made."""
    time_ns: int
    """Its time."""
    proposer_address: bytes
    """Address of the proposing validator."""


@dataclass(frozen=True, slots=True)
class ProcessProposalRequest:
    """The engine asks whether a proposed block is acceptable."""

    txs: tuple[bytes, ...]
    """Transactions of the block."""
    hash: bytes
    """Block hash."""
    height: int
    """Height of the block."""
    time_ns: int
    """Its time."""
    proposer_address: bytes
    """Address of the proposing validator."""


@dataclass(frozen=True, slots=True)
class CommitVote:
    """What one validator of the last block's set did (``VoteInfo``)."""

    address: bytes
    """Validator address, 20 bytes."""
    power: int
    """Its voting power."""
    flag: int
    """1 absent, 2 commit, 3 nil."""


@dataclass(frozen=True, slots=True)
class FinalizeBlockRequest:
    """A decided block."""

    txs: tuple[bytes, ...]
    """Transactions of the block."""
    hash: bytes
    """Block hash."""
    height: int
    """Height of the block."""
    time_ns: int
    """Its time."""
    next_validators_hash: bytes
    """Hash of the validator set of the next height."""
    proposer_address: bytes
    """Address of the proposing validator."""
    decided_last_commit: tuple[CommitVote, ...] = ()
    """Votes of the last block's commit."""


@dataclass(frozen=True, slots=True)
class ExecTxResult:
    """Outcome of one transaction. Only code, data, gas_wanted and gas_used enter LastResultsHash."""

    code: int
    """0 for success."""
    data: bytes = b""
    """Result, deterministic."""
    log: str = ""
    """For people, not hashed."""
    gas_wanted: int = 0
    """Deterministic."""
    gas_used: int = 0
    """Deterministic."""
    events: tuple[Event, ...] = ()
    """Not hashed."""
    codespace: str = ""
    """Not hashed."""


@dataclass(frozen=True, slots=True)
class FinalizeBlockResponse:
    """Outcome of a block."""

    tx_results: tuple[ExecTxResult, ...]
    """One result for each transaction, in order."""
    app_hash: bytes
    """State hash after the block; the header of the next height carries it."""
    validator_updates: tuple[ValidatorUpdate, ...] = ()
    """In force two heights later."""
    consensus_param_updates: ConsensusParams | None = None
    """In force at the next height."""
    events: tuple[Event, ...] = ()
    """Events of the block itself."""


@dataclass(frozen=True, slots=True)
class CommitResponse:
    """Answer to Commit; the state is durable when it is given."""

    retain_height: int = 0
    """Blocks below may be deleted; 0 keeps all."""


@dataclass(frozen=True, slots=True)
class ProofOp:
    """One operator of a Merkle proof (``tendermint.crypto.ProofOp``)."""

    type: str
    """Operator, for example ``simple:v``."""
    key: bytes
    """Key that the operator consumes."""
    data: bytes
    """Encoded proof."""


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """A question about committed state."""

    path: str
    """What is asked, for example ``/store/endorsed/key``."""
    data: bytes = b""
    """Argument."""
    height: int = 0
    """0 asks about the newest height that can be proven."""
    prove: bool = False
    """Whether proof operators are wanted."""


@dataclass(frozen=True, slots=True)
class QueryResponse:
    """Answer to a query."""

    code: int
    """0 for success."""
    key: bytes = b""
    """Key found."""
    value: bytes = b""
    """Its value."""
    height: int = 0
    """Height whose state was read; its app hash is in the header of height + 1."""
    log: str = ""
    """Reason for people where code is not 0."""
    codespace: str = ""
    """Namespace of the code."""
    proof_ops: tuple[ProofOp, ...] = field(default=())
    """Proof from value to app hash, innermost first."""
