"""The virtual clock."""

import asyncio

import pytest

from testkit.simulation import clock


def test_time_jumps_and_order_follows_from_time() -> None:
    loop = clock.VirtualLoop()
    seen: list[tuple[float, str]] = []

    async def at(seconds: float, name: str) -> None:
        await asyncio.sleep(seconds)
        seen.append((loop.now, name))

    async def main() -> None:
        await asyncio.gather(at(3_600, "late"), at(1, "early"), at(1, "early too"))

    clock.run(main(), loop)
    assert [name for _, name in seen] == ["early", "early too", "late"]
    assert [round(when) for when, _ in seen] == [1, 1, 3_600]


def test_a_simulation_in_which_all_wait_for_each_other_fails() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(clock.StalledError):
        clock.run(main(), clock.VirtualLoop())


def test_a_simulation_in_which_time_stands_still_fails() -> None:
    async def main() -> None:
        while True:  # noqa: ASYNC110 - that is the fault
            await asyncio.sleep(0)

    with pytest.raises(clock.LivelockError):
        clock.run(main(), clock.VirtualLoop())
