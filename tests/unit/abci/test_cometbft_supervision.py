"""Faults of a node are healed while they are rare; everything else ends the program."""

import asyncio

import pytest

from piebridge.abci.cometbft.errors import NodeExitedError
from piebridge.abci.cometbft.supervision import RestartPolicy, Supervisor
from piebridge.crypto.errors import ConfigurationError


class FakeUnit:
    """A unit whose life is told in advance."""

    def __init__(self, at_start: Exception | None, later: Exception | None) -> None:
        self._at_start, self._later = at_start, later
        self.stopped = 0

    async def start(self) -> None:
        if self._at_start:
            raise self._at_start

    async def wait(self) -> None:
        if self._later:
            raise self._later

    async def stop(self) -> None:
        self.stopped += 1


class World:
    """Units one after the other, and a clock that only pauses move."""

    def __init__(self, *lives: tuple[Exception | None, Exception | None]) -> None:
        self._lives = list(lives)
        self.units: list[FakeUnit] = []
        self.now = 0.0
        self.pauses: list[float] = []

    def make(self) -> FakeUnit:
        self.units.append(FakeUnit(*self._lives[len(self.units)]))
        return self.units[-1]

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def supervisor(self, policy: RestartPolicy) -> Supervisor:
        return Supervisor(self.make, policy, clock=lambda: self.now, sleep=self.sleep)


def fault(code: int = 0) -> NodeExitedError:
    return NodeExitedError("node", code, "last words")


POLICY = RestartPolicy(restarts=2, window_seconds=100, delay_seconds=1)


async def test_rare_faults_are_healed_also_those_with_exit_code_0() -> None:
    world = World((None, fault(0)), (None, fault(1)), (None, None))
    supervisor = world.supervisor(POLICY)
    await supervisor.start()
    await supervisor.wait()
    await supervisor.stop()
    assert [unit.stopped for unit in world.units] == [1, 1, 1]
    assert world.pauses == [1, 1]


async def test_one_fault_too_many_ends_the_program() -> None:
    world = World((None, fault()), (fault(2), None), (None, fault(-9)))
    supervisor = world.supervisor(POLICY)
    await supervisor.start()
    with pytest.raises(NodeExitedError, match="signal 9") as caught:
        await supervisor.wait()
    await supervisor.stop()
    assert caught.value.exit_code == -9
    assert [unit.stopped for unit in world.units] == [1, 1, 1]


async def test_old_faults_are_forgotten() -> None:
    world = World((None, fault()), (None, fault()), (None, fault()), (None, None))
    supervisor = world.supervisor(RestartPolicy(restarts=1, window_seconds=0.5, delay_seconds=1))
    await supervisor.start()
    await supervisor.wait()
    assert len(world.units) == 4


async def test_no_restart_where_none_is_wanted() -> None:
    world = World((None, fault()))
    supervisor = world.supervisor(RestartPolicy(restarts=0))
    await supervisor.start()
    with pytest.raises(NodeExitedError):
        await supervisor.wait()
    assert world.units[0].stopped == 1


async def test_a_first_start_that_fails_is_not_tried_again() -> None:
    world = World((fault(), None))
    with pytest.raises(NodeExitedError):
        await world.supervisor(POLICY).start()
    assert [unit.stopped for unit in world.units] == [1]


async def test_a_failed_application_is_not_started_again() -> None:
    world = World((None, ConfigurationError("broken")))
    supervisor = world.supervisor(POLICY)
    await supervisor.start()
    with pytest.raises(ConfigurationError):
        await supervisor.wait()
    await supervisor.stop()
    assert len(world.units) == 1
    assert world.units[0].stopped == 1


async def test_a_stop_while_it_waits_stops_the_unit() -> None:
    class Waiting(FakeUnit):
        async def wait(self) -> None:
            await asyncio.Event().wait()

    unit = Waiting(None, None)
    supervisor = Supervisor(lambda: unit)
    await supervisor.start()
    task = asyncio.create_task(supervisor.wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await supervisor.stop()
    assert unit.stopped == 1
