"""A small ABCI application for tests of engines: ``key=value`` transactions in one durable file."""

import json
import os
from pathlib import Path

from piebridge.abci.application import Application
from piebridge.abci.messages import (
    CheckTxKind,
    CheckTxResponse,
    CommitResponse,
    Event,
    ExecTxResult,
    FinalizeBlockRequest,
    FinalizeBlockResponse,
    InfoResponse,
    InitChainRequest,
    InitChainResponse,
    ProofOp,
    QueryRequest,
    QueryResponse,
    ValidatorUpdate,
)
from piebridge.cometbft.encoding import bytes_field, encode_varint, message_field, varint_field
from piebridge.crypto import merkle
from piebridge.crypto.hash import sha256

STORE = "main"


class KeyValueApplication(Application):
    """``key=value`` sets a key; ``validator:HEX=POWER`` changes a validator; ``fail`` is executed with code 7.

    The app hash is CometBFT's simple map of one store, so that ``cometbft light`` can verify its proofs.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.height = 0
        self.values: dict[str, str] = {}
        if path is not None and path.exists():
            saved = json.loads(path.read_text())
            self.height, self.values = saved["height"], saved["values"]
        self.history: dict[int, dict[str, str]] = {self.height: dict(self.values)}
        self._next: tuple[int, dict[str, str]] | None = None

    def info(self) -> InfoResponse:
        app_hash = app_hash_of(self.values) if self.height else b""
        return InfoResponse("key-value", "1", 1, self.height, app_hash)

    def init_chain(self, request: InitChainRequest) -> InitChainResponse:
        self.values = {key: str(value) for key, value in json.loads(request.app_state or b"{}").items()}
        self.history = {0: dict(self.values)}
        return InitChainResponse(app_hash_of(self.values))

    def check_tx(self, tx: bytes, kind: CheckTxKind) -> CheckTxResponse:
        key, _, value = tx.partition(b"=")
        if not key or (not value and tx != b"fail"):
            return CheckTxResponse(code=1, log="not key=value", codespace="key-value")
        return CheckTxResponse(code=0, gas_wanted=1)

    def finalize_block(self, request: FinalizeBlockRequest) -> FinalizeBlockResponse:
        values, results, updates = dict(self.values), [], []
        for tx in request.txs:
            key, _, value = tx.decode().partition("=")
            if key == "fail":
                results.append(ExecTxResult(code=7, log="asked to fail", gas_wanted=1, gas_used=1))
                continue
            if key.startswith("validator:"):
                updates.append(ValidatorUpdate("secp256k1eth", bytes.fromhex(key[10:]), int(value)))
            values[key] = value
            events = (Event("set", (("key", key),)),)
            results.append(ExecTxResult(code=0, data=sha256(tx)[:4], gas_wanted=1, gas_used=1, events=events))
        self._next = (request.height, values)
        return FinalizeBlockResponse(tuple(results), app_hash_of(values), tuple(updates))

    def commit(self) -> CommitResponse:
        assert self._next is not None
        self.height, self.values = self._next
        self.history[self.height] = dict(self.values)
        self._next = None
        if self.path is not None:
            self._write(self.path)
        return CommitResponse()

    def query(self, request: QueryRequest) -> QueryResponse:
        if request.path != f"/store/{STORE}/key":
            return super().query(request)
        height = request.height or max(self.height - 1, 0)
        values = self.history.get(height)
        key = request.data.decode()
        if values is None or key not in values:
            return QueryResponse(code=2, log="no such key or height", height=height, codespace="key-value")
        proof_ops = proof_of(values, key) if request.prove else ()
        return QueryResponse(0, request.data, values[key].encode(), height, proof_ops=proof_ops)

    def _write(self, path: Path) -> None:
        temporary = path.with_suffix(".new")
        with temporary.open("w") as file:
            json.dump({"height": self.height, "values": self.values}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


def app_hash_of(values: dict[str, str]) -> bytes:
    return merkle.root([_leaf(STORE.encode(), _store_root(values))])


def proof_of(values: dict[str, str], key: str) -> tuple[ProofOp, ...]:
    keys = sorted(values)
    inner = merkle.prove([_leaf(name.encode(), values[name].encode()) for name in keys], keys.index(key))
    outer = merkle.prove([_leaf(STORE.encode(), _store_root(values))], 0)
    return _value_op(key.encode(), inner), _value_op(STORE.encode(), outer)


def _store_root(values: dict[str, str]) -> bytes:
    return merkle.root([_leaf(key.encode(), values[key].encode()) for key in sorted(values)])


def _leaf(key: bytes, value: bytes) -> bytes:
    return encode_varint(len(key)) + key + b"\x20" + sha256(value)


def _value_op(key: bytes, proof: merkle.Proof) -> ProofOp:
    encoded = (
        varint_field(1, proof.total)
        + varint_field(2, proof.index)
        + bytes_field(3, proof.leaf_hash)
        + b"".join(message_field(4, aunt) for aunt in proof.aunts)
    )
    return ProofOp("simple:v", key, bytes_field(1, key) + message_field(2, encoded))
