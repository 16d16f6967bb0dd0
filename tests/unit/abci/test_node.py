import asyncio
import json
from pathlib import Path

import aiohttp
import pytest

from piebridge.abci.embedded.errors import EngineError
from piebridge.abci.embedded.node import EmbeddedNode
from testkit.key_value_application import KeyValueApplication
from testkit.validators import GENESIS_TIME_NS, SECOND_NS, genesis_for, validator_keys

KEYS = validator_keys(4)


def _node(home: Path | None = None, **settings: object) -> EmbeddedNode:
    application = KeyValueApplication(home / "application.json" if home else None)
    return EmbeddedNode(application, genesis_for(KEYS), KEYS, home, [0] * 4, **settings)  # type: ignore[arg-type]


async def test_idle_chain_makes_the_first_block_and_then_waits() -> None:
    node = _node(block_interval_seconds=0.01, create_empty_blocks_interval_seconds=0.0)
    await node.start()
    await asyncio.sleep(0.1)
    assert node.engine.height == 1
    node.engine.submit_tx(b"x=1")
    node.wake()
    await asyncio.sleep(0.1)
    assert node.engine.height == 3  # the transaction, and the block whose header proves its effect
    await node.stop()


async def test_empty_blocks_at_an_interval() -> None:
    node = _node(block_interval_seconds=0.01, create_empty_blocks_interval_seconds=0.05)
    await node.start()
    await asyncio.sleep(0.28)
    assert 4 <= node.engine.height <= 7
    await node.stop()


async def test_empty_blocks_always_but_not_faster_than_the_interval() -> None:
    node = _node(block_interval_seconds=0.05, create_empty_blocks=True)
    await node.start()
    await asyncio.sleep(0.28)
    assert 4 <= node.engine.height <= 7
    await node.stop()


async def test_clock_is_an_argument() -> None:
    now_ns = GENESIS_TIME_NS
    node = _node(block_interval_seconds=0.01, create_empty_blocks=True, now_ns=lambda: now_ns)
    await node.start()
    await asyncio.sleep(0.05)
    now_ns += 3600 * SECOND_NS
    await asyncio.sleep(0.1)
    assert node.engine.state.last_time_ns >= GENESIS_TIME_NS + 3600 * SECOND_NS
    await node.stop()


async def test_stop_and_start_again_keeps_the_chain(tmp_path: Path) -> None:
    node = _node(tmp_path, block_interval_seconds=0.01, create_empty_blocks=True)
    await node.start()
    await asyncio.sleep(0.1)
    await node.stop()
    height = json.loads((tmp_path / "application.json").read_text())["height"]
    assert height >= 2
    node = _node(tmp_path, block_interval_seconds=0.01, create_empty_blocks=True)
    assert node.engine.height == height
    await node.start()
    await asyncio.sleep(0.05)
    assert node.engine.height > height
    await node.stop()


async def test_port_in_use_starts_nothing(tmp_path: Path) -> None:
    first = _node(create_empty_blocks_interval_seconds=0.0)
    await first.start()
    port = int(first.rpc_addresses[0].rsplit(":", 1)[1])
    second = EmbeddedNode(KeyValueApplication(), genesis_for(KEYS), KEYS, tmp_path, [0, 0, 0, port])
    with pytest.raises(OSError, match="address already in use"):
        await second.start()
    async with aiohttp.ClientSession() as session, session.get(first.rpc_addresses[0] + "/health") as response:
        assert response.status == 200
    await first.stop()


def test_ports_must_be_as_many_as_keys() -> None:
    with pytest.raises(EngineError, match="1 RPC ports for 4"):
        EmbeddedNode(KeyValueApplication(), genesis_for(KEYS), KEYS, None, [0])
