"""Batches leave in the order in which they were announced, and none waits for one that will never leave."""

import asyncio
from collections.abc import Callable

import pytest

from piebridge.crypto.errors import TransientChainError
from piebridge.gateway import sending as sending_module
from piebridge.gateway.forwarder import Failed, Flow, PathKey, Submit, Submitted
from piebridge.gateway.prepared import Prepared
from piebridge.gateway.sending import Sending
from piebridge.gateway.telemetry import Counters

PATH = PathKey(Flow.RELAY_TO_HUB.value, 1, 1)


def submit(number: int, path: PathKey = PATH) -> Submit:
    return Submit(number, path, number, number, ((number, 1),), b"")


class Chain:
    """Takes batches; each is in a block once released."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.release = asyncio.Event()
        self.broken: set[int] = set()

    async def send(self, effect: Submit, prepared: Prepared, sent: Callable[[], None]) -> None:
        if effect.id in self.broken:
            raise TransientChainError("no node answers")
        self.sent.append(effect.id)
        sent()
        await self.release.wait()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_batch_that_is_prepared_first_waits_for_the_one_announced_before_it() -> None:
    chain = Chain()
    sending = Sending(chain.send, Counters())
    for number in (1, 2, 3):
        sending.announce(submit(number))
    tasks = [asyncio.create_task(sending.send(submit(number), Prepared())) for number in (3, 2)]
    await settle()
    assert chain.sent == []
    tasks.append(asyncio.create_task(sending.send(submit(1), Prepared())))
    await settle()
    assert chain.sent == [1, 2, 3], "and none waits until the one before it is in a block"
    chain.release.set()
    assert await asyncio.gather(*tasks) == [Submitted(3), Submitted(2), Submitted(1)]


async def test_one_that_fails_or_is_given_up_lets_the_others_pass() -> None:
    chain = Chain()
    chain.release.set()
    chain.broken = {1}
    sending = Sending(chain.send, Counters())
    for number in (1, 2, 3):
        sending.announce(submit(number))
    third = asyncio.create_task(sending.send(submit(3), Prepared()))
    sending.give_up(submit(2))
    failed = await sending.send(submit(1), Prepared())
    assert isinstance(failed, Failed)
    assert not failed.permanent
    assert await third == Submitted(3)


async def test_paths_do_not_wait_for_each_other() -> None:
    chain = Chain()
    chain.release.set()
    sending = Sending(chain.send, Counters())
    other = PathKey(Flow.RELAY_TO_HUB.value, 2, 1)
    sending.announce(submit(1))
    sending.announce(submit(2, other))
    assert await sending.send(submit(2, other), Prepared()) == Submitted(2)


async def test_what_is_stuck_stops_nobody_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending_module, "_PREDECESSOR_SECONDS", 0.01)
    chain = Chain()
    chain.release.set()
    sending = Sending(chain.send, Counters())
    sending.announce(submit(1))
    sending.announce(submit(2))
    assert await sending.send(submit(2), Prepared()) == Submitted(2)
