import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from piebridge.abci.embedded.engine import EmbeddedEngine
from piebridge.abci.embedded.errors import CorruptStoreError, EngineError
from piebridge.abci.embedded.store import DATABASE_NAME
from testkit.key_value_application import KeyValueApplication
from testkit.validators import GENESIS_TIME_NS, genesis_for, validator_keys

KEYS = validator_keys(4)


def _open(home: Path) -> EmbeddedEngine:
    return EmbeddedEngine(KeyValueApplication(home / "application.json"), genesis_for(KEYS), KEYS, home=home)


def _three_blocks(home: Path) -> None:
    engine = _open(home)
    for step in range(3):
        engine.submit_tx(b"k%d=v" % step)
        engine.make_block(GENESIS_TIME_NS + step)
    engine.close()


@pytest.mark.parametrize("column", ["block", "seen_commit", "results", "checksum"])
@pytest.mark.parametrize("height", [2, 3])
def test_flipped_bits_in_a_block_row_are_found(tmp_path: Path, column: str, height: int) -> None:
    _three_blocks(tmp_path)
    with sqlite3.connect(tmp_path / DATABASE_NAME) as database:
        data = bytearray(database.execute(f"SELECT {column} FROM blocks WHERE height = ?", (height,)).fetchone()[0])
        data[len(data) // 2] ^= 1
        database.execute(f"UPDATE blocks SET {column} = ? WHERE height = ?", (bytes(data), height))
    database.close()

    def read() -> None:
        engine = _open(tmp_path)
        try:
            engine.block(height)
        finally:
            engine.close()

    with pytest.raises(CorruptStoreError, match=f"block {height} is damaged"):
        read()


@pytest.mark.parametrize("table", ["state", "validators", "params"])
def test_flipped_bits_elsewhere_are_found(tmp_path: Path, table: str) -> None:
    _three_blocks(tmp_path)
    with sqlite3.connect(tmp_path / DATABASE_NAME) as database:
        database.execute(f"UPDATE {table} SET value = replace(CAST(value AS TEXT), '1', '2')")
    database.close()

    def read() -> None:
        engine = _open(tmp_path)
        try:
            engine.validators(3)
            engine.store.load_params(3)
        finally:
            engine.close()

    with pytest.raises(CorruptStoreError, match="damaged"):
        read()


def test_swapped_rows_are_found(tmp_path: Path) -> None:
    _three_blocks(tmp_path)
    with sqlite3.connect(tmp_path / DATABASE_NAME) as database:
        database.execute("UPDATE blocks SET height = 99 WHERE height = 1")
        database.execute("UPDATE blocks SET height = 1 WHERE height = 2")
        database.execute("UPDATE blocks SET height = 2 WHERE height = 99")
    database.close()
    engine = _open(tmp_path)
    with pytest.raises(CorruptStoreError, match="not the block"):
        engine.block(1)
    engine.close()


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_truncated_database_is_refused(tmp_path: Path, kept: float) -> None:
    _three_blocks(tmp_path)
    path = tmp_path / DATABASE_NAME
    os.truncate(path, int(path.stat().st_size * kept))

    def read() -> None:
        engine = _open(tmp_path)
        try:
            for height in (1, 2, 3):
                engine.block(height)
        finally:
            engine.close()

    with pytest.raises(EngineError):
        read()


_CHILD = """
import sys, time
from pathlib import Path
from testkit.key_value_application import KeyValueApplication
from testkit.validators import genesis_for, validator_keys
from piebridge.abci.embedded.engine import EmbeddedEngine

home = Path(sys.argv[1])
keys = validator_keys(4)
engine = EmbeddedEngine(KeyValueApplication(home / "application.json"), genesis_for(keys), keys, home=home)
print("ready", flush=True)
while True:
    engine.submit_tx(b"k%d=%d" % (engine.height, time.time_ns()))
    made = engine.make_block(time.time_ns())
    print(made.block.header.height, made.block_id.hash.hex(), flush=True)
"""


@pytest.mark.slow
def test_kill_9_at_any_moment_loses_no_published_block(tmp_path: Path) -> None:
    published: dict[int, str] = {}
    kills = 0
    for attempt in range(12):
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.05 + 0.013 * attempt)
        child.send_signal(signal.SIGKILL)
        kills += 1
        for line in child.stdout.read().splitlines():
            if len(parts := line.split()) == 2 and len(parts[1]) == 64:
                height, block_hash = int(parts[0]), parts[1]
                assert published.setdefault(height, block_hash) == block_hash
        child.wait()
        child.stdout.close()
        engine = _open(tmp_path)
        for height, block_hash in published.items():
            assert engine.block(height).block_id.hash.hex() == block_hash
        assert engine.info().last_block_height == engine.height >= max(published, default=0)
        published |= {height: engine.block(height).block_id.hash.hex() for height in range(1, engine.height + 1)}
        engine.close()
    assert kills == 12
    assert len(published) > kills
