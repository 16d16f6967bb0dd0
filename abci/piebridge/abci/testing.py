"""Tools for tests of ABCI applications and of the engines that drive them: a recorder and the ABCI grammar.

The grammar says in which order an engine may call an application; breaking it is how replays go wrong.

Source: ``spec/abci/abci++_comet_expected_behavior.md`` of CometBFT v0.40.0.
"""

from collections.abc import Sequence
from typing import Any

from piebridge.abci.application import Application
from piebridge.abci.messages import (
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

Call = tuple[str, int]
"""Name of a method and the height of its argument, 0 where it has none."""

_NEXT: dict[str, frozenset[str]] = {
    "start": frozenset({"info"}),
    "info": frozenset({"info", "init_chain", "prepare_proposal", "process_proposal", "finalize_block"}),
    "init_chain": frozenset({"prepare_proposal", "process_proposal", "finalize_block"}),
    "prepare_proposal": frozenset({"prepare_proposal", "process_proposal"}),
    "process_proposal": frozenset({"prepare_proposal", "process_proposal", "finalize_block"}),
    "finalize_block": frozenset({"commit"}),
    "commit": frozenset({"prepare_proposal", "process_proposal", "finalize_block"}),
}
"""Which consensus calls may follow which."""

_ANY_TIME = frozenset({"check_tx", "query"})


class GrammarError(AssertionError):
    """An engine called an application out of order."""


def check_grammar(calls: Sequence[Call], *, committed_height: int, initial_height: int = 1) -> None:
    """Check the calls of one run of an application, from its start to its end.

    Args:
        calls: Calls in order.
        committed_height: Height that the application had committed before this run; 0 for a new chain.
        initial_height: Height of the chain's first block.

    Raises:
        GrammarError: a call that may not follow, a height left out or decided twice, InitChain on a running chain.
    """
    previous = "start"
    height = committed_height or initial_height - 1
    initialised = committed_height > 0
    for position, (name, call_height) in enumerate(calls):
        if name in _ANY_TIME or (name == "info" and previous != "start"):
            continue
        if name not in _NEXT[previous]:
            raise GrammarError(f"call {position}: {name} after {previous}")
        if name == "init_chain":
            if initialised:
                raise GrammarError(f"call {position}: init_chain at height {height}")
            initialised = True
        elif name != "info":
            if not initialised:
                raise GrammarError(f"call {position}: {name} before init_chain")
            if name != "commit" and call_height != height + 1:
                raise GrammarError(f"call {position}: {name} of height {call_height}, {height + 1} is due")
            height += name == "commit"
        previous = name


class RecordingApplication(Application):
    """Passes every call on to an application and writes it down."""

    def __init__(self, inner: Application) -> None:
        """Wrap ``inner``."""
        self.inner = inner
        self.calls: list[Call] = []
        self.committed_height = 0
        """Height that ``inner`` had committed when this run began."""

    def check(self) -> None:
        """Check the grammar of the calls so far."""
        check_grammar(self.calls, committed_height=self.committed_height)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the wrapped application has
        """Reach the wrapped application's own attributes."""
        return getattr(self.inner, name)

    def info(self) -> InfoResponse:
        """Record and pass on."""
        response = self.inner.info()
        if not self.calls:
            self.committed_height = response.last_block_height
        self.calls.append(("info", 0))
        return response

    def init_chain(self, request: InitChainRequest) -> InitChainResponse:
        """Record and pass on."""
        self.calls.append(("init_chain", 0))
        return self.inner.init_chain(request)

    def check_tx(self, tx: bytes, kind: CheckTxKind) -> CheckTxResponse:
        """Record and pass on."""
        self.calls.append(("check_tx", 0))
        return self.inner.check_tx(tx, kind)

    def prepare_proposal(self, request: PrepareProposalRequest) -> tuple[bytes, ...]:
        """Record and pass on."""
        self.calls.append(("prepare_proposal", request.height))
        return self.inner.prepare_proposal(request)

    def process_proposal(self, request: ProcessProposalRequest) -> bool:
        """Record and pass on."""
        self.calls.append(("process_proposal", request.height))
        return self.inner.process_proposal(request)

    def finalize_block(self, request: FinalizeBlockRequest) -> FinalizeBlockResponse:
        """Record and pass on."""
        self.calls.append(("finalize_block", request.height))
        return self.inner.finalize_block(request)

    def commit(self) -> CommitResponse:
        """Record and pass on."""
        self.calls.append(("commit", 0))
        return self.inner.commit()

    def query(self, request: QueryRequest) -> QueryResponse:
        """Record and pass on."""
        self.calls.append(("query", 0))
        return self.inner.query(request)
