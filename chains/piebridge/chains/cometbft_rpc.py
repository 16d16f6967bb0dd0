"""CometBFT's RPC: what relay chains and EVM-on-ABCI chains have in common.

Source: ``rpc/openapi/openapi.yaml`` of CometBFT v0.40.0; both the stock node and the embedded engine answer it.
"""

import base64
import binascii
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from piebridge.chains.endpoint import RelayTransactionResult
from piebridge.chains.errors import AlreadyKnownError, MissingStateError, TransactionRefusedError
from piebridge.chains.jsonrpc import DEFAULT_TIMEOUT_SECONDS, JsonRpcClient, Subscription
from piebridge.cometbft.commit import MAX_VALIDATORS
from piebridge.cometbft.json_format import parse_time, signed_header_from_json, validator_from_json
from piebridge.cometbft.validator_set import Validator, ValidatorSet
from piebridge.cometbft.verification import SignedHeader, minimal_commit
from piebridge.crypto.errors import DecodingError, PermanentChainError, TransientChainError, VerificationError
from piebridge.crypto.simple_map import ValueOperator

BATCH_CALLS_MAX = 10
"""Calls of one batch that CometBFT takes by default (``rpc.max_request_batch_size``)."""
VALIDATORS_PER_PAGE = 100
"""Largest page of ``validators`` that CometBFT serves."""
_MAX_INT63 = (1 << 63) - 1
_DIGITS_MAX = 19
"""Decimal digits of ``_MAX_INT63``."""


@dataclass(frozen=True, slots=True)
class ProvenValue:
    """A value of a store of a relay chain; the header of the next height proves it."""

    value: bytes
    """The value."""
    height: int
    """Height of the block whose state holds it."""
    inner: ValueOperator
    """Proof in the store."""
    outer: ValueOperator
    """Proof of the store in the app hash."""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """Head of a node's chain."""

    chain_id: str
    """CometBFT chain id."""
    height: int
    """Newest committed height; 0 before the first block."""
    time_ns: int
    """Time of that block, nanoseconds since the Unix epoch."""
    catching_up: bool
    """Whether the node knows that it is behind."""


class CometBftRpc:
    """Client of one node's RPC. Raises the errors of :mod:`piebridge.chains.errors`."""

    def __init__(
        self, url: str, websocket_url: str | None = None, *, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    ) -> None:
        """Remember the node's addresses; the WebSocket address follows from the other where it is not given."""
        self._client = JsonRpcClient(url, timeout_seconds=timeout_seconds, batch_calls_max=BATCH_CALLS_MAX)
        self._websocket_url = websocket_url or "ws" + url.removeprefix("http").rstrip("/") + "/websocket"

    @property
    def url(self) -> str:
        """Address of the node."""
        return self._client.url

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def status(self) -> NodeStatus:
        """Return the head of the node's chain."""
        answer = _object(await self._client.call("status", {}), "status")
        sync, info = _object(answer.get("sync_info"), "sync_info"), _object(answer.get("node_info"), "node_info")
        try:
            return NodeStatus(
                chain_id=str(info["network"]),
                height=_integer(sync["latest_block_height"], "height"),
                time_ns=parse_time(sync["latest_block_time"]),
                catching_up=bool(sync.get("catching_up", False)),
            )
        except (KeyError, ValueError, TypeError, DecodingError) as error:
            raise TransientChainError(f"{self.url}: malformed status: {error}") from error

    async def signed_header(self, height: int) -> SignedHeader:
        """Return header and commit of a height, checked to belong together (signatures are not checked here).

        Raises:
            MissingStateError: the node does not have that height.
            VerificationError: the node's answer contradicts itself.
        """
        answer = _object(await self._client.call("commit", {"height": str(height)}), "commit")
        try:
            signed = signed_header_from_json(answer.get("signed_header"))
        except DecodingError as error:
            raise TransientChainError(f"{self.url}: malformed commit: {error}") from error
        if signed.header.height != height:
            raise VerificationError(
                f"{self.url}: header of another height", expected=height, actual=signed.header.height
            )
        if signed.commit.block_id.hash != signed.header.hash():
            raise VerificationError(f"{self.url}: commit of height {height} is of another header")
        return signed

    async def validators(self, height: int) -> ValidatorSet:
        """Return the validators of a height, in canonical order."""
        members: list[Validator] = []
        page = 1
        while True:
            answer = _object(
                await self._client.call(
                    "validators", {"height": str(height), "page": str(page), "per_page": str(VALIDATORS_PER_PAGE)}
                ),
                "validators",
            )
            try:
                batch = [validator_from_json(item) for item in answer.get("validators") or ()]
                total = _integer(answer.get("total", 0), "number of validators")
            except (DecodingError, ValueError, TypeError) as error:
                raise TransientChainError(f"{self.url}: malformed validators: {error}") from error
            members += batch
            if max(total, len(members)) > MAX_VALIDATORS:
                raise TransientChainError(f"{self.url}: {total} validators, {MAX_VALIDATORS} at most can be followed")
            if len(members) >= total or not batch:
                return ValidatorSet(members)
            page += 1

    async def light_block(self, trusted_height: int, height: int) -> bytes:
        """Return the light block of ``height`` for a client that trusts ``trusted_height``, formats.md section 11.1.

        The commit is stripped to the first signatures that reach the quorum. Validator sets are checked against the
        header, so that a wrong answer of the node ends here and costs no quota.

        Raises:
            ValueError: ``height`` is not above ``trusted_height``.
            MissingStateError: the node does not have one of the heights.
            VerificationError: the node's answers contradict each other.
        """
        if height <= trusted_height:
            raise ValueError(f"height {height} is not above the trusted height {trusted_height}")
        signed = await self.signed_header(height)
        validators = await self.validators(height)
        if validators.hash() != signed.header.validators_hash:
            raise VerificationError(f"{self.url}: validators of height {height} are not those of its header")
        header = signed.header.encode()
        commit = minimal_commit(validators, signed.commit).encode()
        trusted_set = b""
        if height != trusted_height + 1:
            trusted_set = (await self.validators(trusted_height + 1)).encode()
        return b"".join(
            (
                trusted_height.to_bytes(8, "big"),
                len(header).to_bytes(2, "big") + header,
                len(commit).to_bytes(4, "big") + commit,
                len(encoded := validators.encode()).to_bytes(4, "big") + encoded,
                len(trusted_set).to_bytes(4, "big") + trusted_set,
            )
        )

    async def abci_query(self, path: str, data: bytes) -> bytes:
        """Return the value of an ABCI query.

        Raises:
            TransactionRefusedError: the application answers with a code other than 0.
        """
        return self._query_value(path, await self._client.call(*_query(path, data)))

    async def abci_queries(self, calls: Sequence[tuple[str, bytes]]) -> list[bytes]:
        """Return the values of several ABCI queries, asked in batches."""
        answers = await self._client.batch([_query(path, data) for path, data in calls])
        return [self._query_value(path, answer) for (path, _), answer in zip(calls, answers, strict=True)]

    async def proven(self, path: str, key: bytes) -> ProvenValue:
        """Return the value of a key of a store that is a simple map, with its proof in the app hash.

        Raises:
            TransactionRefusedError: there is no such key.
        """
        request = {"path": path, "data": key.hex(), "height": "0", "prove": True}
        answer = await self._client.call("abci_query", request)
        value = self._query_value(path, answer)
        response = _object(_object(answer, "abci_query").get("response"), "abci_query response")
        try:
            inner, outer = (
                ValueOperator.decode(base64.b64decode(operator["data"], validate=True))
                for operator in response["proofOps"]["ops"]
            )
            height = _integer(response["height"], "height")
        except (KeyError, TypeError, ValueError, DecodingError) as error:
            raise TransientChainError(f"{self.url}: malformed proof of query {path}: {error}") from error
        return ProvenValue(value, height, inner, outer)

    async def broadcast(self, transaction: bytes) -> bytes:
        """Hand a transaction to the node's mempool and return its hash.

        Raises:
            AlreadyKnownError: the node has it already.
            TransactionRefusedError: the application's CheckTx refuses it.
        """
        encoded = base64.b64encode(transaction).decode()
        answer = _object(await self._client.call("broadcast_tx_sync", {"tx": encoded}), "broadcast")
        code, log = _integer(answer.get("code") or 0, "code"), str(answer.get("log") or "")
        if code:
            if "already exists in cache" in log:
                raise AlreadyKnownError(f"{self.url}: {log}")
            raise TransactionRefusedError(f"{self.url}: transaction refused with code {code}: {log}", code, log)
        try:
            return bytes.fromhex(str(answer["hash"]))
        except (KeyError, ValueError) as error:
            raise TransientChainError(f"{self.url}: malformed answer to a broadcast") from error

    async def transaction(self, transaction_hash: bytes) -> RelayTransactionResult | None:
        """Return what became of a transaction; None while it is in no block that the node has indexed."""
        try:
            answer = await self._client.call("tx", {"hash": base64.b64encode(transaction_hash).decode()})
        except MissingStateError:
            return None
        except (PermanentChainError, TransientChainError) as error:
            if "not found" in str(error):
                return None
            raise
        fields = _object(answer, "tx")
        result = _object(fields.get("tx_result"), "tx_result")
        try:
            return RelayTransactionResult(
                _integer(fields["height"], "height"),
                _integer(result.get("code") or 0, "code"),
                str(result.get("log") or ""),
                base64.b64decode(str(result.get("data") or ""), validate=True),
            )
        except (KeyError, ValueError) as error:
            raise TransientChainError(f"{self.url}: malformed transaction result") from error

    def wakes(self, others: "Sequence[CometBftRpc]" = ()) -> AsyncIterator[None]:
        """Yield at each new block and each reconnection, of another node of the chain where this one is not there."""
        request = {"method": "subscribe", "params": {"query": "tm.event='NewBlock'"}}
        urls = [other._websocket_url for other in others]
        return Subscription(self._websocket_url, request, others=urls).wakes()

    def _query_value(self, path: str, answer: object) -> bytes:
        response = _object(_object(answer, "abci_query").get("response"), "abci_query response")
        code = _integer(response.get("code") or 0, "code")
        if code:
            log = str(response.get("log") or "")
            raise TransactionRefusedError(f"{self.url}: query {path} refused with code {code}: {log}", code, log)
        value = response.get("value")
        try:
            return base64.b64decode(value, validate=True) if value else b""
        except (binascii.Error, TypeError, ValueError) as error:
            raise TransientChainError(f"{self.url}: value of query {path} is not base64") from error


def _query(path: str, data: bytes) -> tuple[str, dict[str, Any]]:
    return "abci_query", {"path": path, "data": data.hex(), "height": "0", "prove": False}


def _integer(value: object, what: str) -> int:
    """Read a number as CometBFT writes them: JSON number or decimal digits, not negative, 63 bits."""
    digits = isinstance(value, str) and value.isdecimal() and value.isascii() and len(value) <= _DIGITS_MAX
    if digits or (isinstance(value, int) and not isinstance(value, bool)):
        number = int(value)  # type: ignore[call-overload]
        if 0 <= number <= _MAX_INT63:
            return int(number)
    raise TransientChainError(f"{what} of a node's answer is no number")


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TransientChainError(f"{what} is not a JSON object")
    return value
