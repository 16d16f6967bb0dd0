"""Disks that change bits and lose the ends of files: every store finds out, or reads what was written."""

import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from piebridge.abci.embedded.engine import EmbeddedEngine
from piebridge.crypto.errors import PieBridgeError
from piebridge.crypto.hash import sha256
from piebridge.evm_chain.store import RocksStore
from piebridge.gateway.archive import Archive, ArchivedEntry
from piebridge.gateway.cursors import Cursor, CursorStore
from piebridge.gateway.database import open_database
from piebridge.gateway.evidence import EvidenceLog
from piebridge.protocol_stack.notary_statement import NotaryStatement, SlotValue
from piebridge.relay.app.application import RelayApplication
from piebridge.relay.storage import SqliteBackend, SqliteSignedValues
from testkit.evm_chain_driver import ALICE, Driver
from testkit.key_value_application import KeyValueApplication
from testkit.relay_scenario import run_scenario
from testkit.validators import GENESIS_TIME_NS, SECOND_NS, genesis_for, validator_keys

BLOCKS = 20
"""Blocks of each chain whose store is damaged."""
_PAGE_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class Store:
    """A store under test."""

    name: str
    """For people."""
    build: Callable[[Path], Any]
    """Fills a folder, leaves beside it how a kill would have left it, and returns what is true."""
    examine: Callable[[Path, Any], bool]
    """Opens and reads all; tells whether what it read is true. Raises a declared error where it refuses, and
    AssertionError where it takes something wrong for true."""
    refusals: tuple[type[Exception], ...] = (PieBridgeError,)
    """Declared errors."""


def damage(folder: Path, randomness: random.Random) -> str:
    """Damage one file of a folder; returns what was done."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    path = randomness.choices(files, [path.stat().st_size for path in files])[0]
    data = bytearray(path.read_bytes())
    place = randomness.randrange(len(data))
    kind = randomness.choice(("bit", "bit", "bit", "end", "page"))
    if kind == "bit":
        data[place] ^= 1 << randomness.randrange(8)
    elif kind == "end":
        del data[place:]
    else:
        begin = place // _PAGE_BYTES * _PAGE_BYTES
        data[begin : begin + _PAGE_BYTES] = bytes(len(data[begin : begin + _PAGE_BYTES]))
    path.write_bytes(data)
    return f"{kind} at {place} of {path.relative_to(folder)} ({len(data)} bytes)"


def rounds(store: Store, folder: Path, seed: int, count: int) -> Mapping[str, int]:
    """Damage copies of a store, and open each.

    Returns:
        How many copies were refused, and how many were read to the end and held what was written.

    Raises:
        AssertionError: a damaged store was taken for true, or opened with an undeclared error.
    """
    truth = store.build(folder / "closed")
    states = [folder / "closed", folder / "killed"]
    for state in states:
        assert store.examine(_copy(state, folder / "copy"), truth), "the undamaged copy is not whole"
    counts = {"refused": 0, "true": 0}
    for number in range(count):
        copy = _copy(states[number % 2], folder / "copy")
        what = damage(copy, random.Random(f"{seed}/{store.name}/{number}"))
        try:
            assert store.examine(copy, truth), "what it reads is not what was written"
            counts["true"] += 1
        except store.refusals:
            counts["refused"] += 1
        except Exception as error:
            raise AssertionError(f"{store.name}, damage {number} of seed {seed}, {what}: {error!r}") from error
    return counts


def _copy(source: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    return target


# Embedded engine


def _build_engine(folder: Path) -> Any:  # noqa: ANN401 - what is true differs from store to store
    folder.mkdir()
    engine = _open_engine(folder)
    blocks = []
    for step in range(BLOCKS):
        engine.submit_tx(b"k%d=v" % step)
        blocks.append(engine.make_block(GENESIS_TIME_NS + step * SECOND_NS))
    _abandon(folder, engine.close)
    return blocks, (folder / "application.json").read_bytes()


def _examine_engine(folder: Path, truth: Any) -> bool:  # noqa: ANN401
    """All blocks are there, or it refuses: with fewer it would decide heights again that others have seen decided."""
    blocks, application = truth
    (folder / "application.json").write_bytes(application)
    engine = _open_engine(folder)
    try:
        assert [engine.block(height) for height in range(1, BLOCKS + 1)] == blocks
        assert engine.height == BLOCKS
        for height in range(1, BLOCKS + 1):
            engine.light_block(height)
        engine.submit_tx(b"more=v")
        engine.make_block(GENESIS_TIME_NS + BLOCKS * SECOND_NS)
        return True
    finally:
        engine.close()


def _open_engine(folder: Path) -> EmbeddedEngine:
    keys = validator_keys(4)
    return EmbeddedEngine(KeyValueApplication(folder / "application.json"), genesis_for(keys), keys, home=folder)


# Relay chain


def _build_relay(folder: Path) -> Any:  # noqa: ANN401
    world = run_scenario()
    folder.mkdir()
    backend = SqliteBackend(folder / "state.sqlite")
    application = RelayApplication(backend)
    application.init_chain(world.genesis_request)
    hashes = [b""]
    for request, _ in world.blocks:
        hashes.append(application.finalize_block(request).app_hash)
        application.commit()
    _abandon(folder, backend.close)
    return hashes, world


def _examine_relay(folder: Path, truth: Any) -> bool:  # noqa: ANN401
    """Whatever height it is at: the app hash is that of the height, and what follows leads to the same ones."""
    hashes, world = truth
    backend = SqliteBackend(folder / "state.sqlite")
    try:
        application = RelayApplication(backend)
        info = application.info()
        assert info.last_block_app_hash == hashes[info.last_block_height]
        if not info.last_block_height:
            application.init_chain(world.genesis_request)
        for request, _ in world.blocks[info.last_block_height :]:
            assert application.finalize_block(request).app_hash == hashes[request.height]
            application.commit()
        return True
    finally:
        backend.close()


def _build_endorsements(folder: Path) -> Any:  # noqa: ANN401
    folder.mkdir()
    signed = SqliteSignedValues(folder / "endorsements.sqlite")
    values = {sha256(b"key %d" % number): sha256(b"value %d" % number) for number in range(200)}
    for key, value in values.items():
        signed.put(key, value)
    _abandon(folder, signed.close)
    return values


def _examine_endorsements(folder: Path, truth: Any) -> bool:  # noqa: ANN401
    signed = SqliteSignedValues(folder / "endorsements.sqlite")
    try:
        return all(signed.get(key) in (None, value) for key, value in truth.items())
    finally:
        signed.close()


# EVM chain


def _build_evm(folder: Path) -> Any:  # noqa: ANN401
    store = RocksStore(folder)
    driver = Driver(store)
    hashes = [b""]
    for nonce in range(BLOCKS):
        assert driver.send(ALICE.sign(nonce=nonce, value=1)).code == 0
        hashes.append(driver.make_block().app_hash)
    _abandon(folder, store.close)
    return hashes


def _examine_evm(folder: Path, truth: Any) -> bool:  # noqa: ANN401
    """The chain that the store shows must be one that was, and go on as it did."""
    store = RocksStore(folder)
    try:
        driver = Driver(store)
        info = driver.app.info()
        if not info.last_block_height:
            return True  # nothing left: all blocks would be replayed
        assert info.last_block_app_hash == truth[info.last_block_height]
        driver.seconds += info.last_block_height
        for nonce in range(info.last_block_height, BLOCKS):
            assert driver.send(ALICE.sign(nonce=nonce, value=1)).code == 0
            assert driver.make_block().app_hash == truth[nonce + 1]
        return True
    finally:
        store.close()


# Gateway and notary


def _build_gateway(folder: Path) -> Any:  # noqa: ANN401
    connection = open_database(folder / "gateway.sqlite3")
    archive, cursors = Archive(connection), CursorStore(connection)
    entries = []
    for number in range(1, BLOCKS + 1):
        contents = [sha256(b"%d/%d" % (number, part)) * 20 for part in range(3)]
        new = [
            ArchivedEntry(3 * number + part, number, 1, content, sha256(content), sha256(content[::-1]))
            for part, content in enumerate(contents)
        ]
        archive.add(1, 0, new)
        entries += new
        cursors.save("hub/1", Cursor(number, sha256(b"%d" % number)))
        archive.mark_done(1, 0, [new[0].number])
    _abandon(folder, connection.close)
    return entries


def _examine_gateway(folder: Path, truth: Any) -> bool:  # noqa: ANN401
    """Everything, nothing, or what was there once: entries up to a cursor that was saved."""
    connection = open_database(folder / "gateway.sqlite3")
    try:
        archive, cursor = Archive(connection), CursorStore(connection).load("hub/1")
        kept = archive.between(1, 0, 0, 1 << 40)
        for entry in kept:
            (same,) = [true for true in truth if true.number == entry.number]
            assert (entry.height, entry.form, entry.content) == (same.height, same.form, same.content)
            assert (entry.message_id, entry.chain_value) == (same.message_id, same.chain_value)
            assert not entry.done or entry.number % 3 == 0, "an entry that nobody has brought counts as done"
        if cursor is not None:
            assert cursor.hash == sha256(b"%d" % cursor.number)
            assert {true.number for true in truth if true.height <= cursor.number} <= {e.number for e in kept}
        return True
    finally:
        connection.close()


def _build_evidence(folder: Path) -> Any:  # noqa: ANN401
    log = EvidenceLog(folder / "evidence.sqlite3")
    for number in range(1, 4 * BLOCKS):
        log.write(1, _statement(number))
    _abandon(folder, log.close)
    return None


def _examine_evidence(folder: Path, _truth: Any) -> bool:  # noqa: ANN401
    """What it signed before it must sign again; a record that reads otherwise would accuse an honest chain."""
    log = EvidenceLog(folder / "evidence.sqlite3")
    try:
        for number in range(1, 4 * BLOCKS):
            log.write(1, _statement(number))
        return True
    finally:
        log.close()


def _statement(number: int) -> NotaryStatement:
    slots = tuple(SlotValue(bytes(31) + bytes([slot]), sha256(b"%d/%d" % (number, slot))) for slot in range(3))
    return NotaryStatement(b"\x11" * 20, number, sha256(b"block %d" % number), 1_000 + number, slots)


def _abandon(folder: Path, close: Callable[[], None]) -> None:
    """Copy the files as a kill would leave them, with their write-ahead logs, and close them in good order."""
    shutil.copytree(folder, folder.with_name("killed"))
    close()


STORES = {
    store.name: store
    for store in (
        Store("engine", _build_engine, _examine_engine),
        Store("relay state", _build_relay, _examine_relay),
        Store("relay endorsements", _build_endorsements, _examine_endorsements),
        Store("evm chain", _build_evm, _examine_evm, (PieBridgeError, OSError)),
        Store("gateway", _build_gateway, _examine_gateway),
        Store("notary evidence", _build_evidence, _examine_evidence),
    )
}
"""Every store that a process of ours keeps on disk."""
