"""Chains that reorganise above their finality depth while packets are under way at every stage of their road."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from piebridge.gateway.service import Gateway
from testkit.gateway_network import TOKENS, Parachain, eventually
from testkit.notary_network import notary_network

COMMITTED = 2
STAGES = ("sent", "final", "received", "home")
"""Where the packet is when a chain reorganises: in a block of the source; too deep there to go; executed in the newest
block of the destination; its receipt in the newest block of the source."""
SETTLE_SECONDS = 90.0
_STAGE_SECONDS = 30.0
"""How long a packet may take to its next stage, apart from the blocks that make others final."""
_POLL_SECONDS = 0.05


@dataclass(slots=True)
class Reorganised:
    """What was done, counted."""

    depths: list[int] = field(default_factory=list)
    """Blocks that each reorganisation replaced."""
    stages: Counter[str] = field(default_factory=Counter)
    """Reorganisations by stage."""
    lost: int = 0
    """Transfers whose transaction a reorganisation took out of the chain."""
    kept: int = 0
    """Transfers that were in a reorganised block and in the chain again afterwards."""
    executed: int = 0
    """Transfers that arrived, in the end."""

    def counts(self) -> Mapping[str, int]:
        """Numbers for a ledger."""
        return {
            "reorganisations": len(self.depths),
            "transfers lost": self.lost,
            "transfers kept": self.kept,
            "executed": self.executed,
        }


class Reorganisations:
    """A walk over stages and depths with one transfer after the other."""

    def __init__(
        self,
        source: Parachain,
        destination: Parachain,
        depth: int,
        block_time_seconds: float,
        randomness: random.Random,
    ) -> None:
        """Reorganise two chains of a finality depth."""
        self._stage_seconds = _STAGE_SECONDS + 3 * depth * block_time_seconds
        self._source, self._destination, self._depth = source, destination, depth
        self._random = randomness
        self.done = Reorganised()

    async def run(self, rounds: int) -> Reorganised:
        """Send and reorganise, each stage in turn; then let all come to an end and look at the balances.

        Raises:
            AssertionError: something of an unfinal block took effect, or something was lost or doubled.
        """
        await self._mined(self._source, self._depth + 1)  # so that the deepest block that is read has the contracts
        watch = asyncio.create_task(self._watch())
        try:
            for number in range(rounds):
                await self._round(STAGES[number % len(STAGES)], 1 + number * 7 % (self._depth - 1))
            await eventually(self._is_settled, timeout_seconds=SETTLE_SECONDS + self._stage_seconds)
            await asyncio.sleep(1)
            assert await self._is_settled(), "something arrived twice"
        finally:
            watch.cancel()
            (failed,) = await asyncio.gather(watch, return_exceptions=True)
        if isinstance(failed, Exception):
            raise failed
        self.done.executed = await self._destination.balance("bob")
        return self.done

    async def _round(self, stage: str, depth: int) -> None:
        arrived, left = await self._destination.balance("bob"), await self._left()
        sent = await self._source.transfer(2, 1, relay=1)
        await self._source.receipt(sent)
        chain = self._destination if stage == "received" else self._source
        if stage == "final":
            await self._mined(self._source, self._depth - 1)
        elif stage == "received":
            await eventually(lambda: self._has_arrived(arrived + 1), timeout_seconds=self._stage_seconds)
        elif stage == "home":
            await eventually(lambda: self._is_home(left + 1), timeout_seconds=self._stage_seconds)
        await self._reorganise(chain, depth)
        self.done.stages[stage] += 1
        if stage in ("sent", "final"):
            await self._count(left + 1)

    async def _reorganise(self, chain: Parachain, depth: int) -> None:
        """Replace the newest blocks; their transactions are gone, or in the new blocks, by chance."""
        head = int(str(await chain.client.call("eth_blockNumber", [])), 16)
        again: list[object] = []
        if self._random.random() < 0.5:
            for offset in range(depth):
                block = await chain.client.call("eth_getBlockByNumber", [hex(head - depth + 1 + offset), False])
                assert isinstance(block, dict)
                raws = [
                    await chain.client.call("eth_getRawTransactionByHash", [item]) for item in block["transactions"]
                ]
                again += [[raw, offset] for raw in raws]
        await chain.client.call("anvil_reorg", [depth, again])
        self.done.depths.append(depth)

    async def _count(self, should_have_left: int) -> None:
        """Find out whether the transfer is still in the chain; if not, it never was sent, and its nonce is free."""
        await self._mined(self._source, 1)
        if await self._left() < should_have_left:
            self.done.lost += 1
            self._source._nonces.clear()
        else:
            self.done.kept += 1

    async def _watch(self) -> None:
        """Nothing may arrive whose sending is not in a final block. First the effect is read, then its cause."""
        while True:
            arrived = await self._destination.balance("bob")
            head = int(str(await self._source.client.call("eth_blockNumber", [])), 16)
            final = await self._source.balance("alice", block=head - self._depth)
            assert arrived <= TOKENS - final, f"{arrived} arrived, {TOKENS - final} have left in final blocks"
            await asyncio.sleep(_POLL_SECONDS)

    async def _left(self) -> int:
        return TOKENS - await self._source.balance("alice")

    async def _has_arrived(self, amount: int) -> bool:
        return await self._destination.balance("bob") >= amount

    async def _is_home(self, nonce: int) -> bool:
        return await self._source.status(1, nonce) == COMMITTED

    async def _is_settled(self) -> bool:
        left = await self._left()
        homes = [await self._is_home(nonce) for nonce in range(1, left + 1)]
        return all(homes) and await self._destination.balance("bob") == left

    async def _mined(self, chain: Parachain, blocks: int) -> None:
        head = int(str(await chain.client.call("eth_blockNumber", [])), 16)

        async def reached() -> bool:
            return int(str(await chain.client.call("eth_blockNumber", [])), 16) >= head + blocks

        await eventually(reached, timeout_seconds=self._stage_seconds)


async def reorganisations(
    directory: Path, seed: int, *, rounds: int, depth: int, block_time_seconds: float = 0.25
) -> Reorganised:
    """Start two anvil chains with notaries and a gateway, and reorganise them.

    Args:
        directory: an empty folder.
        seed: what is drawn follows from it.
        rounds: reorganisations.
        depth: finality depth; reorganisations replace fewer blocks.
        block_time_seconds: pause between two blocks.
    """
    async with notary_network(directory, depth=depth, block_time_seconds=block_time_seconds) as setting:
        gateway = Gateway(replace(setting.network.gateway_config(directory / "gateway"), poll_seconds=0.3))
        await gateway.start()
        try:
            chains = setting.network.chains
            randomness = random.Random(f"{seed}/reorganisations")
            walk = Reorganisations(chains[1], chains[2], depth, block_time_seconds, randomness)
            done = await walk.run(rounds)
        finally:
            await gateway.stop()
        assert not any(service.notary.stopped for service in setting.notaries), "a notary has signed an unfinal block"
        assert not gateway.counters.total("finality_violations")
    return done
