"""The shell: governors with stores on disk around one board, as tasks of one process."""

import asyncio
import logging
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from piebridge.crypto.errors import ConfigurationError, TransientChainError
from piebridge.crypto.threshold.ciphersuite import encode_scalar
from piebridge.crypto.threshold.signing import SigningNonces
from piebridge.management_chain.governor.board import BoardReading
from piebridge.management_chain.governor.ceremony import CeremonyKind, Epochs, GovernorSet
from piebridge.management_chain.governor.decisions import WantedSharing
from piebridge.management_chain.governor.effects import BoardEffect
from piebridge.management_chain.governor.governor import GovernorSettings
from piebridge.management_chain.governor.service import GovernorService
from piebridge.management_chain.governor.store import GovernorStore
from testkit.governors import PLACE, BoardModel, Decisions, account, message

if TYPE_CHECKING:
    from piebridge.management_chain.governor.decisions import DecidedMessage

FOUNDERS = GovernorSet(3, tuple(map(account, range(1, 5))))
PASSPHRASE = "the passphrase of a test"
SETTINGS = GovernorSettings(round_blocks=200, turn_blocks=2, retry_blocks=10)


class MemoryBoard:
    """One governor's access to the model of the contract; every third answer fails, where asked for."""

    def __init__(self, model: BoardModel, number: int, *, fails: bool = False) -> None:
        self._model, self._account, self._fails, self._calls = model, account(number), fails, 0

    async def read(self, after: int) -> BoardReading:
        self._fail()
        events = tuple(event for height, event in self._model.events if after < height <= self._model.height)
        return BoardReading(events, self._model.height)

    async def submit(self, effect: BoardEffect) -> None:
        self._fail()
        self._model.submit(self._account, effect)
        self._fail()

    def _fail(self) -> None:
        self._calls += 1
        if self._fails and self._calls % 3 == 0:
            raise TransientChainError("connection refused")


class Network:
    def __init__(self, folder: Path, *, fails: bool = False) -> None:
        self.folder, self.model, self.decisions = folder, BoardModel(), Decisions()
        self.fails = fails
        self.delivered: list[DecidedMessage] = []
        self.services: dict[int, GovernorService] = {}
        self._stores: dict[int, GovernorStore] = {}
        for number in range(1, 5):
            self.start(number)

    def start(self, number: int) -> None:
        """Start a governor, for the first time or again."""
        if number in self._stores:
            self._stores[number].close()
        store = self._stores[number] = GovernorStore(self.folder / f"governor-{number}", PASSPHRASE, dev=True)
        self.services[number] = GovernorService(
            account(number),
            PLACE,
            MemoryBoard(self.model, number, fails=self.fails),
            store,
            self.decisions,
            secrets.token_bytes,
            self.delivered.append,
            settings=SETTINGS,
            poll_seconds=0.001,
        )

    async def make_blocks(self) -> None:
        while True:
            self.model.height += 1
            await asyncio.sleep(0.005)

    def close(self) -> None:
        for store in self._stores.values():
            store.close()


@asynccontextmanager
async def running(network: Network) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(service.run()) for service in network.services.values()]
    tasks.append(asyncio.create_task(network.make_blocks()))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        network.close()
        for each in ended:
            if not isinstance(each, asyncio.CancelledError):
                raise AssertionError("a governor has stopped") from each


async def until(network: Network, key_epoch: int = 0, signed: int = 0) -> None:
    async with asyncio.timeout(60):
        while True:
            view = network.services[1].governor.view
            if view.key_epoch >= key_epoch and len(network.delivered) >= 4 * signed:
                return
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("fails", [False, True])
async def test_governors_make_a_key_and_sign(tmp_path: Path, *, fails: bool) -> None:
    network = Network(tmp_path, fails=fails)
    network.decisions.wanted = [WantedSharing(CeremonyKind.KEY_GENERATION, FOUNDERS, Epochs(1, 1))]
    async with running(network):
        await until(network, key_epoch=1)
        network.decisions.due = [message(1)]
        await until(network, signed=1)
        shares = network.services[2].governor.view.shares
        assert shares is not None
        assert len(network.delivered) == 4
        for delivered in network.delivered:
            delivered.verify(shares.key.public_key)


async def test_restart_from_disk_keeps_share_and_signs(tmp_path: Path) -> None:
    network = Network(tmp_path)
    network.decisions.wanted = [WantedSharing(CeremonyKind.KEY_GENERATION, FOUNDERS, Epochs(1, 1))]
    async with running(network):
        await until(network, key_epoch=1)
    for number in range(1, 5):
        network.services.pop(number)
    again = Network.__new__(Network)
    again.__dict__ |= network.__dict__ | {"_stores": {}}
    for number in range(1, 5):
        again.start(number)
    network.decisions.due = [message(1)]
    async with running(again):
        await until(again, signed=1)


async def test_scan_of_folders_logs_and_environment_finds_no_key_bytes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    network = Network(tmp_path, fails=True)
    network.decisions.wanted = [WantedSharing(CeremonyKind.KEY_GENERATION, FOUNDERS, Epochs(1, 1))]
    found: set[bytes] = set()
    async with running(network):
        for _ in range(400):
            found |= key_bytes(network)
            await asyncio.sleep(0.002)
            if network.services[1].governor.view.key_epoch:
                break
        network.decisions.due = [message(1)]
        await until(network, signed=1)
        found |= key_bytes(network)
    assert len(found) >= 4 + 4, "shares of all, and seeds"
    texts = files_below(tmp_path)
    assert len(texts) >= 4 * 3
    texts[Path("log")] = caplog.text.encode()
    texts[Path("environment")] = repr(dict(os.environ)).encode()
    texts[Path("board")] = b"".join(getattr(event, "payload", b"") for _, event in network.model.events)
    for path, text in texts.items():
        lowered = text.lower()
        for secret in found:
            number = str(int.from_bytes(secret, "big")).encode()
            assert secret not in text, path
            assert secret.hex().encode() not in lowered, path
            assert number not in text, path
    assert PASSPHRASE.encode() not in b"".join(texts.values())


async def make_steps(network: Network, blocks: int) -> None:
    for _ in range(blocks):
        network.model.height += 1
        for service in network.services.values():
            await service.step()


def files_below(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def key_bytes(network: Network) -> set[bytes]:
    """Every secret that the governors hold in memory now."""
    found = set()
    for service in network.services.values():
        held = service.governor.secrets
        found |= {encode_scalar(share.secret) for share in held.shares.values()} | set(held.seeds.values())
        for nonces in held.nonces.values():
            if isinstance(nonces, SigningNonces):
                found |= {encode_scalar(nonces.hiding), encode_scalar(nonces.binding)}
    return found


async def test_governor_that_cannot_write_stops_before_it_publishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Network(tmp_path)
    network.decisions.wanted = [WantedSharing(CeremonyKind.KEY_GENERATION, FOUNDERS, Epochs(1, 1))]

    def full(self: GovernorStore, effect: object) -> None:
        raise ConfigurationError("the disk is full")

    monkeypatch.setattr(GovernorStore, "write", full)
    with pytest.raises(ConfigurationError, match="full"):
        await make_steps(network, 20)
    assert not [event for _, event in network.model.events if hasattr(event, "payload")]
    network.close()
