"""One ABCI request, one call of the application, one response. No IO.

The four connections of a node share one dispatcher and one thread: calls never overlap, as
:class:`~piebridge.abci.application.Application` is promised.

Source: ``spec/abci/abci++_methods.md`` of CometBFT v0.40.0.
"""

from collections.abc import Callable
from typing import Any

from piebridge.abci.application import Application
from piebridge.abci.messages import QueryRequest, QueryResponse
from piebridge.abci.server import codec
from piebridge.abci.server.errors import ApplicationFailedError, IncompatibleNodeError, RequestError
from piebridge.abci.server.schema import message_class
from piebridge.failpoints import reach

ABCI_VERSION = "2."
"""How the version that a node tells must begin."""

QueryHandler = Callable[[QueryRequest], QueryResponse]
"""Answers Query in place of the application, for example with what only one validator can sign."""

_Handler = Callable[[Any], Any]


class Dispatcher:
    """Answers requests by calling an application."""

    def __init__(
        self,
        application: Application,
        query_handler: QueryHandler | None = None,
        fail_point: Callable[[str], None] = reach,
    ) -> None:
        """Answer for one application.

        Args:
            application: the application.
            query_handler: answers Query; the application does where None.
            fail_point: called with a name of ``failpoints.ABCI`` at every step that a crash could separate.
        """
        self._application = application
        self._query_handler = query_handler or application.query
        self._fail_point = fail_point
        self._handlers: dict[str, _Handler] = {
            "echo": lambda message: message_class("ResponseEcho")(message=message.message),
            "flush": lambda message: message_class("ResponseFlush")(),
            "info": self._info,
            "init_chain": self._init_chain,
            "query": self._query,
            "check_tx": self._check_tx,
            "commit": self._commit,
            "prepare_proposal": self._prepare_proposal,
            "process_proposal": self._process_proposal,
            "finalize_block": self._finalize_block,
            # No snapshots are offered or taken: nodes catch up block by block.
            "list_snapshots": lambda message: message_class("ResponseListSnapshots")(),
            "offer_snapshot": lambda message: message_class("ResponseOfferSnapshot")(result=codec.SNAPSHOT_ABORTED),
            "load_snapshot_chunk": lambda message: message_class("ResponseLoadSnapshotChunk")(),
            "apply_snapshot_chunk": lambda message: message_class("ResponseApplySnapshotChunk")(
                result=codec.SNAPSHOT_ABORTED
            ),
            # Vote extensions are off in every genesis of ours; a node that has them on gets and accepts empty ones.
            "extend_vote": lambda message: message_class("ResponseExtendVote")(),
            "verify_vote_extension": _verify_vote_extension,
        }

    def answer(self, frame: bytes) -> bytes:
        """Answer one request by one response, both without their length.

        Raises:
            RequestError: the frame holds no request that can be answered.
            IncompatibleNodeError: the node speaks another version of ABCI.
            ApplicationFailedError: the application raised an error.
        """
        method, message = codec.decode_request(frame)
        handler = self._handlers.get(method)
        if handler is None:
            raise RequestError(f"method {method} is not served: set mempool.type to flood in the node's config.toml")
        try:
            response = handler(message)
            return codec.encode_response(method, response)
        except (RequestError, IncompatibleNodeError):
            raise
        except Exception as error:
            raise ApplicationFailedError(method, error) from error

    def _info(self, message: Any) -> Any:  # noqa: ANN401 - messages have no static type
        if not message.abci_version.startswith(ABCI_VERSION):
            raise IncompatibleNodeError(
                f"the node (version {message.version!r}) speaks ABCI {message.abci_version!r}, PieBridge ABCI 2.0: use "
                "CometBFT v0.40 (`make cometbft`)"
            )
        return codec.info_response(self._application.info())

    def _init_chain(self, message: Any) -> Any:  # noqa: ANN401
        response = self._application.init_chain(codec.init_chain_request(message))
        self._fail_point("abci.after_init_chain")
        return codec.init_chain_response(response)

    def _query(self, message: Any) -> Any:  # noqa: ANN401
        return codec.query_response(self._query_handler(codec.query_request(message)))

    def _check_tx(self, message: Any) -> Any:  # noqa: ANN401
        return codec.check_tx_response(self._application.check_tx(*codec.check_tx_request(message)))

    def _prepare_proposal(self, message: Any) -> Any:  # noqa: ANN401
        request = codec.prepare_proposal_request(message)
        return codec.prepare_proposal_response(self._application.prepare_proposal(request))

    def _process_proposal(self, message: Any) -> Any:  # noqa: ANN401
        request = codec.process_proposal_request(message)
        return codec.process_proposal_response(self._application.process_proposal(request))

    def _finalize_block(self, message: Any) -> Any:  # noqa: ANN401
        self._fail_point("abci.before_finalize_block")
        response = self._application.finalize_block(codec.finalize_block_request(message))
        self._fail_point("abci.after_finalize_block")
        return codec.finalize_block_response(response)

    def _commit(self, message: Any) -> Any:  # noqa: ANN401
        self._fail_point("abci.before_commit")
        response = self._application.commit()
        self._fail_point("abci.after_commit")
        return codec.commit_response(response.retain_height)


def _verify_vote_extension(message: Any) -> Any:  # noqa: ANN401
    status = codec.EXTENSION_REJECTED if message.vote_extension else codec.EXTENSION_ACCEPTED
    return message_class("ResponseVerifyVoteExtension")(status=status)
