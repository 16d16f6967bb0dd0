import asyncio

from piebridge.gateway.pulse import Pulse


async def test_a_beat_wakes_all_who_wait_and_nobody_who_comes_later() -> None:
    pulse = Pulse()
    waiting = [asyncio.create_task(pulse.wait(30)) for _ in range(3)]
    await asyncio.sleep(0)
    pulse.beat()
    assert await asyncio.gather(*waiting) == [True, True, True]
    assert not await pulse.wait(0.01)


async def test_without_a_beat_the_wait_ends_by_itself() -> None:
    assert not await Pulse().wait(0.01)
