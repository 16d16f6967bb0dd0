"""The cables between CometBFT validators are cut: a minority decides nothing, and healing loses and changes nothing."""

import asyncio
from pathlib import Path

import pytest

from testkit.cometbft_chains import within
from testkit.cometbft_nodes import Chain, four_nodes
from testkit.key_value_application import app_hash_of
from testkit.toolchain import require_tool

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

HEAL_SECONDS = 60.0
STILL_SECONDS = 6.0
"""Longer than the interval of empty blocks (5 s)."""


async def _heights(chain: Chain, *numbers: int) -> list[int]:
    return [await chain.members[number].height() or 0 for number in numbers]


async def test_cut_into_halves_it_stops_and_cut_off_alone_one_stands_still(tmp_path: Path) -> None:
    async with four_nodes(require_tool("cometbft"), tmp_path / "nodes") as chain:
        await within(60, "the first block", lambda: chain.reached(1))
        values: dict[str, str] = {}

        async def send(number: int) -> None:
            values[f"key-{len(values)}"] = str(number)
            answer = await chain.members[number].rpc.broadcast(f"key-{len(values) - 1}={number}".encode())
            assert answer.code == 0, answer.log

        async def everywhere() -> bool:
            return all(member.application.values == values for member in chain.members)

        # Two against two: neither half has the power to decide.
        await chain.part((0, 1), (2, 3))
        await asyncio.sleep(1)  # what was decided already is committed
        stopped = await _heights(chain, 0, 1, 2, 3)
        await send(0)
        await send(3)
        await asyncio.sleep(STILL_SECONDS)
        assert await _heights(chain, 0, 1, 2, 3) == stopped, "half of the validators have decided a block"
        assert sum(cable.hits for cable in chain.cables.values()) > 0, "nothing was cut"
        await chain.heal()
        await within(HEAL_SECONDS, "both halves have both transactions", everywhere)

        # One alone: the others go on, it stands still, and catches up.
        await chain.part((0, 1, 2), (3,))
        await asyncio.sleep(1)
        (alone,) = await _heights(chain, 3)
        await send(1)
        await within(HEAL_SECONDS, "three go on", lambda: chain.reached(alone + 2, 0, 1, 2))
        assert await _heights(chain, 3) == [alone], "a validator has decided a block alone"
        await chain.heal()
        await within(HEAL_SECONDS, "the one that was alone has caught up", everywhere)
        assert {app_hash_of(member.application.values) for member in chain.members} == {app_hash_of(values)}
