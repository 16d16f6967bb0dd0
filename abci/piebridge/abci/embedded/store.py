"""What the engine keeps on disk: blocks, commits, results, validator sets and its own state.

sqlite3, because it is in the standard library and its write-ahead log with ``synchronous=FULL`` makes one transaction
both atomic and durable: a block, the commit that was signed for it, its results and the engine's state after it become
visible together, so no crash can leave one without the others. The file is locked exclusively, for two processes with
one set of validator keys would sign two blocks of a height.

Every row carries a SHA-256 checksum, and a block must hash to the id that its commit was signed for.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from piebridge.abci.embedded.errors import CorruptStoreError, EngineError
from piebridge.abci.embedded.state import EngineState, validator_set_from_json, validator_set_to_json
from piebridge.abci.messages import ConsensusParams, Event, ExecTxResult, FinalizeBlockResponse, ValidatorUpdate
from piebridge.cometbft.block import Block, transaction_hash
from piebridge.cometbft.commit import BlockId, Commit
from piebridge.cometbft.validator_set import ValidatorSet
from piebridge.crypto.errors import PieBridgeError
from piebridge.crypto.hash import sha256

DATABASE_NAME = "engine.sqlite3"

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blocks (
    height INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, block BLOB NOT NULL, seen_commit BLOB NOT NULL,
    results BLOB NOT NULL, checksum BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS transactions (
    hash BLOB PRIMARY KEY, height INTEGER NOT NULL, position INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS validators (height INTEGER PRIMARY KEY, value BLOB NOT NULL, checksum BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS params (height INTEGER PRIMARY KEY, value BLOB NOT NULL, checksum BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS state (id INTEGER PRIMARY KEY CHECK (id = 1), value BLOB NOT NULL, checksum BLOB NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block with what belongs to it."""

    block: Block
    """The block."""
    block_id: BlockId
    """Its id."""
    seen_commit: Commit
    """The commit that was signed for it; the next block carries it."""
    response: FinalizeBlockResponse
    """What the application answered."""
    block_size: int
    """Length of the encoded block, bytes."""


class EngineStore:
    """Durable store of one chain."""

    def __init__(self, home: Path | None) -> None:
        """Open or create the store.

        Args:
            home: Directory of the chain; None keeps everything in memory.

        Raises:
            EngineError: another process holds it.
            CorruptStoreError: the file is no such database.
        """
        if home is not None:
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._where = "memory" if home is None else str(home / DATABASE_NAME)
        self._connection = sqlite3.connect(
            ":memory:" if home is None else home / DATABASE_NAME, isolation_level=None, timeout=0
        )
        try:
            self._open()
        except BaseException:
            self._connection.close()
            raise

    def _open(self) -> None:
        with self._guarded():
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript("BEGIN IMMEDIATE;" + _SCHEMA + "COMMIT;")
        version = self._meta("schema_version")
        if version is None:
            self._set_meta("schema_version", str(_SCHEMA_VERSION).encode())
        elif version != str(_SCHEMA_VERSION).encode():
            raise EngineError(
                f"{self._where} has schema version {version.decode()}, this program knows {_SCHEMA_VERSION}"
            )

    def close(self) -> None:
        """Close the database and give up its lock."""
        self._connection.close()

    def bind_genesis(self, genesis_hash: bytes) -> None:
        """Bind the store to a genesis document at its first use.

        Raises:
            EngineError: it belongs to another one.
        """
        known = self._meta("genesis_hash")
        if known is None:
            self._set_meta("genesis_hash", genesis_hash)
        elif known != genesis_hash:
            raise EngineError(
                f"{self._where} belongs to the genesis document with hash {known.hex()}, not {genesis_hash.hex()}; "
                "start with that document or with an empty directory"
            )

    def save_genesis_state(self, state: EngineState) -> None:
        """Write the state before the first block."""
        with self._transaction():
            self._put("validators", state.next_height, _validators_bytes(state.validators))
            self._put("validators", state.next_height + 1, _validators_bytes(state.next_validators))
            self._put("params", state.next_height, _params_bytes(state.consensus_params))
            self._put_state(state)

    def save_block(
        self, block: Block, seen_commit: Commit, response: FinalizeBlockResponse, state: EngineState
    ) -> StoredBlock:
        """Write a block, its signed commit, its results and the state after it: durable when this returns.

        Raises:
            EngineError: the height is signed already.
        """
        height = block.header.height
        block_bytes, commit_bytes, results = block.encode(), seen_commit.encode(), response_to_json(response)
        block_hash = seen_commit.block_id.hash
        with self._transaction():
            if self.last_height() >= height:
                raise EngineError(f"height {height} was signed before; a second block of a height is never made")
            self._connection.execute(
                "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?)",
                (height, block_hash, block_bytes, commit_bytes, results, _checksum(block_bytes, commit_bytes, results)),
            )
            # A transaction that is committed again keeps the newest place, as CometBFT's index does.
            self._connection.executemany(
                "INSERT OR REPLACE INTO transactions VALUES (?, ?, ?)",
                [(transaction_hash(tx), height, position) for position, tx in enumerate(block.txs)],
            )
            self._put("validators", height + 2, _validators_bytes(state.next_validators))
            self._put("params", height + 1, _params_bytes(state.consensus_params))
            self._put_state(state)
        return StoredBlock(block, seen_commit.block_id, seen_commit, response, len(block_bytes))

    def load_state(self) -> EngineState | None:
        """Read the engine's state, None before InitChain.

        Raises:
            CorruptStoreError: it is not what was written.
        """
        row = self._row("SELECT value, checksum FROM state")
        return None if row is None else EngineState.from_json(self._verified("the engine's state", row[1], row[0]))

    def last_height(self) -> int:
        """Height of the last block, 0 when there is none."""
        return self._number("SELECT MAX(height) FROM blocks")

    def base_height(self) -> int:
        """Height of the oldest block that is kept, 0 when there is none."""
        return self._number("SELECT MIN(height) FROM blocks")

    def load_block(self, height: int) -> StoredBlock | None:
        """Read a block, None when it is not kept.

        Raises:
            CorruptStoreError: the row is not what was written, or the block is not the one that was signed.
        """
        row = self._row("SELECT block, seen_commit, results, checksum FROM blocks WHERE height = ?", height)
        if row is None:
            return None
        block_bytes, commit_bytes, results, checksum = row
        what = f"block {height}"
        self._verified(what, checksum, block_bytes, commit_bytes, results)
        try:
            block, commit = Block.decode(block_bytes), Commit.decode(commit_bytes)
            block.check_hashes()
        except PieBridgeError as error:
            raise self._corrupt(what, str(error)) from error
        if block.header.height != height or block.id() != commit.block_id:
            raise self._corrupt(what, "it is not the block that was signed")
        return StoredBlock(block, commit.block_id, commit, response_from_json(results), len(block_bytes))

    def height_of_block(self, block_hash: bytes) -> int | None:
        """Find a block by its hash."""
        row = self._row("SELECT height FROM blocks WHERE hash = ?", block_hash)
        return None if row is None else int(row[0])

    def find_transaction(self, tx_hash: bytes) -> tuple[int, int] | None:
        """Find height and position of a committed transaction."""
        row = self._row("SELECT height, position FROM transactions WHERE hash = ?", tx_hash)
        return None if row is None else (int(row[0]), int(row[1]))

    def load_validators(self, height: int) -> ValidatorSet | None:
        """Read the set that decides a height; known up to two above the last block.

        Raises:
            CorruptStoreError: it is not what was written.
        """
        value = self._get("validators", height)
        return None if value is None else validator_set_from_json(json.loads(value))

    def load_params(self, height: int) -> ConsensusParams | None:
        """Read the consensus parameters of a height; known up to one above the last block.

        Raises:
            CorruptStoreError: they are not what was written.
        """
        value = self._get("params", height)
        return None if value is None else ConsensusParams(**json.loads(value))

    def prune(self, retain_height: int) -> None:
        """Delete blocks below a height; the last block always stays."""
        retain_height = min(retain_height, self.last_height())
        if retain_height <= self.base_height():
            return
        with self._transaction():
            self._connection.execute("DELETE FROM blocks WHERE height < ?", (retain_height,))
            self._connection.execute("DELETE FROM transactions WHERE height < ?", (retain_height,))
            # The last commit of the oldest block was signed by the set of the height before.
            self._connection.execute("DELETE FROM validators WHERE height < ?", (retain_height - 1,))
            self._connection.execute("DELETE FROM params WHERE height < ?", (retain_height,))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._guarded():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise EngineError(f"{self._where} is in use by another process; stop that one first") from error
            raise EngineError(f"{self._where}: {error}; if the disk is full, make room, and start again") from error
        except sqlite3.DatabaseError as error:
            raise self._corrupt("the database", str(error)) from error

    def _row(self, statement: str, *parameters: int | bytes | str) -> tuple[Any, ...] | None:
        with self._guarded():
            row: tuple[Any, ...] | None = self._connection.execute(statement, parameters).fetchone()
            return row

    def _number(self, statement: str) -> int:
        row = self._row(statement)
        return 0 if row is None or row[0] is None else int(row[0])

    def _meta(self, name: str) -> bytes | None:
        row = self._row("SELECT value FROM meta WHERE name = ?", name)
        return None if row is None else bytes(row[0])

    def _set_meta(self, name: str, value: bytes) -> None:
        with self._guarded():
            self._connection.execute("INSERT INTO meta VALUES (?, ?)", (name, value))

    def _put_state(self, state: EngineState) -> None:
        value = state.to_json()
        self._connection.execute("INSERT OR REPLACE INTO state VALUES (1, ?, ?)", (value, _checksum(value)))

    def _put(self, table: str, height: int, value: bytes) -> None:
        self._connection.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)", (height, value, _checksum(value)))

    def _get(self, table: str, height: int) -> bytes | None:
        row = self._row(f"SELECT value, checksum FROM {table} WHERE height = ?", height)
        return None if row is None else self._verified(f"{table} of height {height}", row[1], row[0])

    def _verified(self, what: str, checksum: bytes, *values: bytes) -> bytes:
        if any(not isinstance(value, bytes) for value in values) or _checksum(*values) != checksum:
            raise self._corrupt(what, "its checksum does not fit")
        return values[0]

    def _corrupt(self, what: str, reason: str) -> CorruptStoreError:
        return CorruptStoreError(
            f"{self._where}: {what} is damaged ({reason}); restore the directory from a copy or start the chain anew"
        )


def response_to_json(response: FinalizeBlockResponse) -> bytes:
    """Write what an application answered to FinalizeBlock."""
    return json.dumps(asdict(response), default=bytes.hex, separators=(",", ":")).encode()


def response_from_json(data: bytes) -> FinalizeBlockResponse:
    """Read what :func:`response_to_json` wrote."""
    value = json.loads(data)
    params = value["consensus_param_updates"]
    return FinalizeBlockResponse(
        tx_results=tuple(
            ExecTxResult(
                **{
                    **item,
                    "data": bytes.fromhex(item["data"]),
                    "events": tuple(_event(event) for event in item["events"]),
                }
            )
            for item in value["tx_results"]
        ),
        app_hash=bytes.fromhex(value["app_hash"]),
        validator_updates=tuple(
            ValidatorUpdate(item["key_type"], bytes.fromhex(item["public_key"]), item["power"])
            for item in value["validator_updates"]
        ),
        consensus_param_updates=None if params is None else ConsensusParams(**params),
        events=tuple(_event(event) for event in value["events"]),
    )


def _event(value: Mapping[str, Any]) -> Event:
    return Event(value["type"], tuple((key, text) for key, text in value["attributes"]))


def _validators_bytes(validators: ValidatorSet) -> bytes:
    return json.dumps(validator_set_to_json(validators), separators=(",", ":")).encode()


def _params_bytes(params: ConsensusParams) -> bytes:
    return json.dumps(asdict(params), separators=(",", ":")).encode()


def _checksum(*values: bytes) -> bytes:
    return sha256(b"".join(len(value).to_bytes(8, "big") + value for value in values))
