"""The base class of ABCI 2.0 applications.

An engine calls an application in the order that the ABCI grammar fixes: ``info``, ``init_chain`` once, then for each
height ``prepare_proposal`` (proposer only), ``process_proposal``, ``finalize_block``, ``commit``. ``check_tx`` and
``query`` come at any time between, never during another call.

Sources: ``spec/abci/abci++_methods.md`` and ``abci++_app_requirements.md`` of CometBFT v0.40.0.
"""

from piebridge.abci.messages import (
    CODE_OK,
    CheckTxKind,
    CheckTxResponse,
    CommitResponse,
    FinalizeBlockRequest,
    FinalizeBlockResponse,
    InfoResponse,
    InitChainRequest,
    InitChainResponse,
    PrepareProposalRequest,
    ProcessProposalRequest,
    QueryRequest,
    QueryResponse,
)

_PROTOBUF_FIELD_OVERHEAD = 11
"""Tag and length of a transaction in the block's protobuf, at most."""


class Application:
    """An ABCI 2.0 application. Subclasses override what they need; the defaults accept everything and hold no state."""

    def info(self) -> InfoResponse:
        """Tell the height and hash of the last successful Commit, never of anything newer."""
        raise NotImplementedError(f"{type(self).__name__} must answer info()")

    def init_chain(self, request: InitChainRequest) -> InitChainResponse:
        """Build the genesis state. Must give the same answer when called again before the first Commit."""
        raise NotImplementedError(f"{type(self).__name__} must answer init_chain()")

    def check_tx(self, tx: bytes, kind: CheckTxKind) -> CheckTxResponse:
        """Decide whether a transaction may enter or stay in the mempool. Changes no committed state."""
        return CheckTxResponse(code=CODE_OK)

    def prepare_proposal(self, request: PrepareProposalRequest) -> tuple[bytes, ...]:
        """Choose the transactions of a block; the default takes them in order while they fit."""
        chosen: list[bytes] = []
        room = request.max_tx_bytes
        for tx in request.txs:
            room -= len(tx) + _PROTOBUF_FIELD_OVERHEAD
            if room < 0:
                break
            chosen.append(tx)
        return tuple(chosen)

    def process_proposal(self, request: ProcessProposalRequest) -> bool:
        """Accept or reject a proposed block; a pure function of the block and the committed state."""
        return True

    def finalize_block(self, request: FinalizeBlockRequest) -> FinalizeBlockResponse:
        """Execute a decided block in memory. Must not persist anything."""
        raise NotImplementedError(f"{type(self).__name__} must answer finalize_block()")

    def commit(self) -> CommitResponse:
        """Make the state of the last ``finalize_block`` durable before returning."""
        raise NotImplementedError(f"{type(self).__name__} must answer commit()")

    def query(self, request: QueryRequest) -> QueryResponse:
        """Answer from committed state only."""
        return QueryResponse(code=1, log=f"unknown path {request.path!r}", codespace="abci")
