"""Chains and gateway whose clocks differ by up to an hour, and jump: nothing expires early, nothing is stuck after.

The destination alone decides whether a packet has expired, by its own clock. A relay chain takes no header that lies
more than a few seconds in its future: a chain that is ahead waits, and goes on once the clocks agree. A gateway's clock
decides nothing.
"""

import time
from pathlib import Path

import pytest

from piebridge.gateway.service import Gateway
from piebridge.gateway.surroundings import Surroundings
from testkit.gateway_network import TOKENS, GatewayNetwork, eventually
from testkit.notary_network import notary_network

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

COMMITTED, ABORTED = 2, 3
HOUR = 3_600
SECONDS = 40.0


class SkewedSurroundings(Surroundings):
    """Those of a gateway whose clock is wrong."""

    ahead_seconds = 0.0

    def unix_time(self) -> float:
        return super().unix_time() + self.ahead_seconds


class Walk:
    """Transfers of one token from chain 1 to chain 2, and what became of each."""

    def __init__(self, network: GatewayNetwork) -> None:
        self.network = network
        self.one, self.two = network.chains[1], network.chains[2]
        self.sent = self.arrived = 0
        self.refunded: list[int] = []

    async def chain_time(self, chain: int) -> int:
        block = await self.network.chains[chain].client.call("eth_getBlockByNumber", ["latest", False])
        assert isinstance(block, dict)
        return int(block["timestamp"], 16)

    async def jump(self, chain: int, ahead_seconds: int) -> None:
        """Set a chain's clock; a block's time is that of the votes for the one before, so it takes two."""
        self.network.clocks[f"chain {chain}"].ahead_seconds = ahead_seconds
        site = self.network.chains[chain]
        for number in range(2):
            await site.receipt(await site.notarise(3 - chain, bytes([chain, number]) * 16, bytes(32)))
        assert abs(await self.chain_time(chain) - time.time() - ahead_seconds) < 10

    async def send(self, lifetime_seconds: int, *, now: int | None = None) -> int:
        """Send a token that expires so long after `now`, or after chain 1's time; return its nonce."""
        now = await self.chain_time(1) if now is None else now
        await self.one.receipt(await self.one.transfer(2, 1, relay=1, lifetime_seconds=lifetime_seconds, now=now))
        self.sent += 1
        return self.sent

    async def arrives(self) -> None:
        self.arrived += 1

        async def arrived() -> bool:
            return await self.two.balance("bob") == self.arrived

        await eventually(arrived, timeout_seconds=SECONDS)

    async def is_home(self, nonce: int) -> None:
        async def home() -> bool:
            return await self.one.status(1, nonce) == COMMITTED

        await eventually(home, timeout_seconds=SECONDS)

    async def is_refunded(self, nonce: int) -> None:
        self.refunded.append(nonce)

        async def back() -> bool:
            return await self.one.balance("alice") == TOKENS - self.sent + len(self.refunded)

        await eventually(back, timeout_seconds=SECONDS)
        assert await self.one.status(1, nonce) != COMMITTED
        assert await self.two.balance("bob") == self.arrived


async def test_skew_and_jumps_from_seconds_to_an_hour(tmp_path: Path) -> None:
    surroundings = SkewedSurroundings()

    async def restarted(gateway: Gateway, ahead_seconds: float) -> Gateway:
        await gateway.stop()
        surroundings.ahead_seconds = ahead_seconds
        again = Gateway(network.gateway_config(tmp_path), surroundings=surroundings)
        await again.start()
        return again

    async with GatewayNetwork() as network:
        walk, clocks = Walk(network), network.clocks
        gateway = Gateway(network.gateway_config(tmp_path), surroundings=surroundings)
        await gateway.start()
        try:
            for skew in (1, 5):  # within what a relay chain allows
                clocks["chain 2"].ahead_seconds = skew
                nonce = await walk.send(60)
                await walk.arrives()
                await walk.is_home(nonce)

            # The destination jumps ahead by an hour. What lives by its clock arrives, what has died there has died.
            clocks["chain 2"].ahead_seconds = HOUR
            await walk.two.receipt(
                await walk.two.notarise(1, bytes(31) + b"\x01", bytes(32))
            )  # a block of the new time
            late = await walk.send(600, now=await walk.chain_time(2) + HOUR)
            await walk.arrives()
            dead = await walk.send(600)
            assert await walk.one.status(1, late) not in (COMMITTED, ABORTED), "believed a header of the future"

            # The relay chain follows: all that waited comes home, each with the outcome that the destination gave it.
            clocks["relay 1"].ahead_seconds = HOUR
            await walk.is_home(late)
            await walk.is_refunded(dead)

            # The source follows, and only the gateway is behind: it does not know that a packet has expired.
            await walk.jump(1, HOUR)
            nonce = await walk.send(60)
            await walk.arrives()
            await walk.is_home(nonce)

            # The gateway jumps ahead of all: it takes for expired what has not, and must bring it all the same.
            gateway = await restarted(gateway, 3 * HOUR)
            nonce = await walk.send(600)
            await walk.arrives()
            await walk.is_home(nonce)

            # It falls behind again, and everything else as well, by seconds: block times never run backwards.
            gateway = await restarted(gateway, -HOUR)
            for clock in clocks.values():
                clock.ahead_seconds -= 3
            nonce = await walk.send(600)
            await walk.arrives()
            await walk.is_home(nonce)
        finally:
            await gateway.stop()
        assert walk.refunded == [dead]
        assert await walk.one.balance("alice") == TOKENS - walk.sent + 1
        assert await walk.two.balance("bob") == walk.sent - 1


async def test_anvil_chains_whose_clocks_jump_apart(tmp_path: Path) -> None:
    """Notaries sign what the nodes say; the clocks of two parachains need not agree."""
    async with notary_network(tmp_path) as setting:
        walk = Walk(setting.network)
        gateway = Gateway(setting.network.gateway_config(tmp_path / "gateway"))
        await gateway.start()
        try:
            for ahead in (1, 60, HOUR):
                await walk.two.client.call("evm_increaseTime", [hex(ahead)])
                nonce = await walk.send(600, now=int(time.time()) + 2 * HOUR)
                await walk.arrives()
                await walk.is_home(nonce)
            assert await walk.chain_time(2) - await walk.chain_time(1) >= HOUR
            dead = await walk.send(600)  # by the source's clock it lives; the destination is an hour further
            await walk.is_refunded(dead)
        finally:
            await gateway.stop()
