"""The methods of CometBFT's RPC, answered from an engine for one of its validators.

Source: ``rpc/core`` of CometBFT v0.40.0, whose texts of errors are kept because clients match them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from piebridge.abci.embedded import rpc_json
from piebridge.abci.embedded.engine import EmbeddedEngine
from piebridge.abci.embedded.errors import MempoolError
from piebridge.abci.embedded.genesis import consensus_params_to_json
from piebridge.abci.embedded.rpc_json import Json
from piebridge.abci.embedded.rpc_parameters import Argument, Kind, Parameter
from piebridge.abci.embedded.store import StoredBlock
from piebridge.abci.messages import CODE_OK, CheckTxResponse, ExecTxResult, QueryRequest
from piebridge.cometbft.block import transaction_hash
from piebridge.cometbft.header import BLOCK_PROTOCOL_VERSION
from piebridge.cometbft.json_format import (
    base64_bytes,
    block_id_to_json,
    block_to_json,
    commit_to_json,
    format_time,
    header_to_json,
    hex_bytes,
    public_key_to_json,
    validator_to_json,
)
from piebridge.crypto.hash import sha256

_DEFAULT_PER_PAGE = 30
_MAX_PER_PAGE = 100
_MAX_BLOCK_METAS = 20
_P2P_PROTOCOL_VERSION = "8"


class MethodError(Exception):
    """A method failed; the text goes to the client as CometBFT's internal error."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method with its arguments."""

    parameters: tuple[Parameter, ...]
    """Arguments in order."""
    call: Callable[..., Json | Awaitable[Json]]
    """Takes the arguments in order."""


class RpcMethods:
    """All methods that need no connection, for the port of one validator."""

    def __init__(
        self,
        engine: EmbeddedEngine,
        validator_index: int,
        wake: Callable[[], None],
        broadcast_timeout_seconds: float,
    ) -> None:
        """Answer for validator ``validator_index``; ``wake`` is called when a transaction entered the mempool."""
        self._engine = engine
        self._index = validator_index
        self._wake = wake
        self._broadcast_timeout_seconds = broadcast_timeout_seconds
        self._commits: dict[bytes, list[asyncio.Future[tuple[StoredBlock, int]]]] = {}
        self.rpc_address = ""
        """Where this port listens, for ``status``."""
        engine.on_block.append(self._settle)
        height, page, per_page = _integer("height"), _integer("page"), _integer("per_page")
        tx = Parameter("tx", Kind.BYTES)
        self.table: dict[str, Method] = {
            "health": Method((), self._health),
            "status": Method((), self._status),
            "net_info": Method((), self._net_info),
            "genesis": Method((), self._genesis),
            "genesis_chunked": Method((_integer("chunk"),), self._genesis_chunked),
            "blockchain": Method((_integer("minHeight"), _integer("maxHeight")), self._blockchain),
            "block": Method((height,), self._block),
            "block_by_hash": Method((Parameter("hash", Kind.BYTES),), self._block_by_hash),
            "block_results": Method((height,), self._block_results),
            "header": Method((height,), self._header),
            "header_by_hash": Method((Parameter("hash", Kind.HEX_BYTES),), self._header_by_hash),
            "commit": Method((height,), self._commit),
            "validators": Method((height, page, per_page), self._validators),
            "consensus_params": Method((height,), self._consensus_params),
            "tx": Method((Parameter("hash", Kind.BYTES), Parameter("prove", Kind.BOOLEAN)), self._tx),
            "check_tx": Method((tx,), self._check_tx),
            "unconfirmed_txs": Method((_integer("limit"),), self._unconfirmed_txs),
            "num_unconfirmed_txs": Method((), self._num_unconfirmed_txs),
            "broadcast_tx_async": Method((tx,), self._broadcast_tx_async),
            "broadcast_tx_sync": Method((tx,), self._broadcast_tx_sync),
            "broadcast_tx_commit": Method((tx,), self._broadcast_tx_commit),
            "abci_info": Method((), self._abci_info),
            "abci_query": Method(
                (
                    Parameter("path", Kind.TEXT),
                    Parameter("data", Kind.HEX_BYTES),
                    height,
                    Parameter("prove", Kind.BOOLEAN),
                ),
                self._abci_query,
            ),
        }

    def _health(self) -> Json:
        return {}

    def _status(self) -> Json:
        engine = self._engine
        key = engine.validator_keys[self._index].public_key
        current = engine.state.validators.by_address(key.address)
        latest, earliest = self._sync_point(engine.height), self._sync_point(engine.store.base_height())
        return {
            "node_info": {
                "protocol_version": {
                    "p2p": _P2P_PROTOCOL_VERSION,
                    "block": str(BLOCK_PROTOCOL_VERSION),
                    "app": str(engine.state.app_version),
                },
                "id": sha256(key.data)[:20].hex(),
                "listen_addr": "",
                "network": engine.genesis.chain_id,
                "version": "piebridge-embedded",
                "channels": "",
                "moniker": f"{engine.genesis.chain_id}-{self._index}",
                "other": {"tx_index": "on", "rpc_address": self.rpc_address},
            },
            "sync_info": {
                **{f"latest_{name}": value for name, value in latest.items()},
                **{f"earliest_{name}": value for name, value in earliest.items()},
                "catching_up": False,
            },
            "validator_info": {
                "address": hex_bytes(key.address),
                "pub_key": public_key_to_json(key),
                "voting_power": str(current.voting_power if current else 0),
            },
        }

    def _sync_point(self, height: int) -> Json:
        if not height:
            return {"block_hash": "", "app_hash": "", "block_height": "0", "block_time": format_time(0)}
        stored = self._engine.block(height)
        return {
            "block_hash": hex_bytes(stored.block_id.hash),
            "app_hash": hex_bytes(stored.block.header.app_hash),
            "block_height": str(height),
            "block_time": format_time(stored.block.header.time_ns),
        }

    def _net_info(self) -> Json:
        return {"listening": False, "listeners": [], "n_peers": "0", "peers": []}

    def _genesis(self) -> Json:
        return {"genesis": self._engine.genesis.to_json_object()}

    def _genesis_chunked(self, chunk: Argument) -> Json:
        if chunk:
            raise MethodError(f"there are 0 chunks, {int(chunk)} is invalid")
        return {"chunk": "0", "total": "1", "data": base64_bytes(self._engine.genesis.to_json())}

    def _blockchain(self, minimum: Argument, maximum: Argument) -> Json:
        low, high = int(minimum or 0), int(maximum or 0)
        if low < 0 or high < 0:
            raise MethodError("heights must be non-negative")
        last = self._engine.height
        high = min(last, high or last)
        low = max(low or 1, self._engine.store.base_height(), high - _MAX_BLOCK_METAS + 1)
        if low > high:
            raise MethodError(f"min height {low} can't be greater than max height {high}")
        metas = [rpc_json.block_meta(self._engine.block(height)) for height in range(high, low - 1, -1)]
        return {"last_height": str(last), "block_metas": metas}

    def _block(self, height: Argument) -> Json:
        return self._block_json(self._stored(height))

    def _block_by_hash(self, block_hash: Argument) -> Json:
        height = self._engine.store.height_of_block(_bytes(block_hash))
        return self._block_json(None if height is None else self._engine.block(height))

    def _block_json(self, stored: StoredBlock | None) -> Json:
        if stored is None:
            return {"block_id": {"hash": "", "parts": {"total": 0, "hash": ""}}, "block": None}
        return {"block_id": block_id_to_json(stored.block_id), "block": block_to_json(stored.block)}

    def _block_results(self, height: Argument) -> Json:
        stored = self._stored(height)
        if stored is None:
            raise MethodError("could not find results for height #0")
        return rpc_json.block_results(stored)

    def _header(self, height: Argument) -> Json:
        stored = self._stored(height)
        return {"header": None if stored is None else header_to_json(stored.block.header)}

    def _header_by_hash(self, block_hash: Argument) -> Json:
        height = self._engine.store.height_of_block(_bytes(block_hash))
        return {"header": None if height is None else header_to_json(self._engine.block(height).block.header)}

    def _commit(self, height: Argument) -> Json:
        stored = self._stored(height)
        if stored is None:
            return {"signed_header": {"header": None, "commit": None}, "canonical": False}
        header = stored.block.header
        signed = {"header": header_to_json(header), "commit": commit_to_json(stored.seen_commit)}
        return {"signed_header": signed, "canonical": header.height < self._engine.height}

    def _validators(self, height: Argument, page: Argument, per_page: Argument) -> Json:
        number = self._height(height, newest=self._engine.state.next_height)
        members = self._engine.validators(number).validators
        size = _DEFAULT_PER_PAGE if per_page is None or int(per_page) < 1 else min(int(per_page), _MAX_PER_PAGE)
        pages = max((len(members) - 1) // size + 1, 1)
        if page is not None and not 1 <= int(page) <= pages:
            raise MethodError(f"page should be within [1, {pages}] range, given {int(page)}")
        skipped = (int(page or 1) - 1) * size
        shown = members[skipped : skipped + size]
        return {
            "block_height": str(number),
            "validators": [validator_to_json(member) for member in shown],
            "count": str(len(shown)),
            "total": str(len(members)),
        }

    def _consensus_params(self, height: Argument) -> Json:
        number = self._height(height, newest=self._engine.state.next_height)
        params = self._engine.store.load_params(number)
        if params is None:
            raise MethodError(f"could not find consensus params for height #{number}")
        key_type = self._engine.validator_keys[self._index].public_key.type
        return {"block_height": str(number), "consensus_params": consensus_params_to_json(params, key_type)}

    def _tx(self, tx_hash: Argument, prove: Argument) -> Json:
        found = self._engine.store.find_transaction(_bytes(tx_hash))
        if found is None:
            raise MethodError(f"tx ({hex_bytes(_bytes(tx_hash))}) not found")
        return rpc_json.transaction(self._engine.block(found[0]), found[1], prove=bool(prove))

    def _check_tx(self, tx: Argument) -> Json:
        return rpc_json.check_tx_response(self._engine.check_tx(_bytes(tx)))

    def _unconfirmed_txs(self, limit: Argument) -> Json:
        size = _DEFAULT_PER_PAGE if limit is None or int(limit) < 1 else min(int(limit), _MAX_PER_PAGE)
        txs = self._engine.mempool.first(size)
        return {**self._mempool_counts(), "n_txs": str(len(txs)), "txs": [base64_bytes(tx) for tx in txs]}

    def _num_unconfirmed_txs(self) -> Json:
        return {**self._mempool_counts(), "txs": None}

    def _mempool_counts(self) -> Json:
        mempool = self._engine.mempool
        return {"n_txs": str(len(mempool)), "total": str(len(mempool)), "total_bytes": str(mempool.total_bytes)}

    def _broadcast_tx_async(self, tx: Argument) -> Json:
        self._submit(_bytes(tx))
        return {"code": 0, "data": "", "log": "", "codespace": "", "hash": hex_bytes(transaction_hash(_bytes(tx)))}

    def _broadcast_tx_sync(self, tx: Argument) -> Json:
        response = self._submit(_bytes(tx))
        return {
            "code": response.code,
            "data": "",
            "log": response.log,
            "codespace": response.codespace,
            "hash": hex_bytes(transaction_hash(_bytes(tx))),
        }

    async def _broadcast_tx_commit(self, tx: Argument) -> Json:
        tx_hash = transaction_hash(_bytes(tx))
        answer: Json = {
            "check_tx": rpc_json.check_tx_response(CheckTxResponse(CODE_OK)),
            "tx_result": rpc_json.full_result(ExecTxResult(CODE_OK)),
            "hash": hex_bytes(tx_hash),
            "height": "0",
        }
        try:
            response = self._submit(_bytes(tx))
        except MethodError as error:
            raise MethodError(f"error on broadcastTxCommit: {error}") from error
        answer["check_tx"] = rpc_json.check_tx_response(response)
        if response.code != CODE_OK:
            return answer
        future: asyncio.Future[tuple[StoredBlock, int]] = asyncio.get_running_loop().create_future()
        waiting = self._commits.setdefault(tx_hash, [])
        waiting.append(future)
        try:
            stored, position = await asyncio.wait_for(future, self._broadcast_timeout_seconds)
        except TimeoutError as error:
            raise MethodError("timed out waiting for tx to be included in a block") from error
        finally:
            waiting.remove(future)
            if not waiting:
                self._commits.pop(tx_hash, None)
        answer["tx_result"] = rpc_json.full_result(stored.response.tx_results[position])
        answer["height"] = str(stored.block.header.height)
        return answer

    def _abci_info(self) -> Json:
        return {"response": rpc_json.info_response(self._engine.info())}

    def _abci_query(self, path: Argument, data: Argument, height: Argument, prove: Argument) -> Json:
        request = QueryRequest(str(path or ""), _bytes(data), int(height or 0), bool(prove))
        return {"response": rpc_json.query_response(self._engine.query(self._index, request))}

    def _submit(self, tx: bytes) -> CheckTxResponse:
        try:
            response = self._engine.submit_tx(tx)
        except MempoolError as error:
            raise MethodError(str(error)) from error
        if response.code == CODE_OK:
            self._wake()
        return response

    def _settle(self, stored: StoredBlock) -> None:
        """Tell the callers of ``broadcast_tx_commit`` that their transaction is in a block."""
        if not self._commits:
            return
        for position, tx in enumerate(stored.block.txs):
            for future in self._commits.get(transaction_hash(tx), ()):
                if not future.done():
                    future.set_result((stored, position))

    def _stored(self, height: Argument) -> StoredBlock | None:
        number = self._height(height, newest=self._engine.height)
        return self._engine.block(number) if number else None

    def _height(self, height: Argument, *, newest: int) -> int:
        if height is None:
            return newest
        number = int(height)
        if number <= 0:
            raise MethodError(f"height must be greater than 0, but got {number}")
        if number > newest:
            raise MethodError(f"height {number} must be less than or equal to the current blockchain height {newest}")
        base = self._engine.store.base_height()
        if number < base:
            raise MethodError(f"height {number} is not available, lowest height is {base}")
        return number


def _integer(name: str) -> Parameter:
    return Parameter(name, Kind.INTEGER)


def _bytes(argument: Argument) -> bytes:
    return argument if isinstance(argument, bytes) else b""
