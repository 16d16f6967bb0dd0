"""The gateway between real chains in one process: every flow, restarts, lost databases, several gateways and relays."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from piebridge.contracts.loader import load
from piebridge.gateway.config import GatewayConfig
from piebridge.gateway.forwarder import Flow
from piebridge.gateway.service import Gateway
from testkit.gateway_network import DOMAIN, TOKENS, GatewayNetwork, Parachain, eventually

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

COMMITTED, ABORTED = 2, 3


@pytest.fixture
async def network() -> AsyncIterator[GatewayNetwork]:
    async with GatewayNetwork() as network:
        yield network


def holds(read: Callable[[], Awaitable[object]], wanted: object) -> Callable[[], Awaitable[bool]]:
    async def condition() -> bool:
        return await read() == wanted

    return condition


def has_status(chain: Parachain, nonce: int, wanted: int) -> Callable[[], Awaitable[bool]]:
    return holds(lambda: chain.status(1, nonce), wanted)


async def run_gateway(config: GatewayConfig) -> Gateway:
    gateway = Gateway(config)
    await gateway.start()
    return gateway


async def total_supply(network: GatewayNetwork, names: tuple[str, ...] = ("alice", "bob")) -> int:
    amounts = [await chain.balance(name) for chain in network.chains.values() for name in names]
    return sum(amounts)


async def test_a_transfer_arrives_and_its_receipt_commits_it(network: GatewayNetwork, tmp_path: Path) -> None:
    a, b = network.chains[1], network.chains[2]
    gateway = await run_gateway(network.gateway_config(tmp_path))
    try:
        await a.receipt(await a.transfer(2, 1_000, relay=1))
        await eventually(holds(lambda: b.balance("bob"), 1_000))
        await eventually(holds(lambda: a.status(1, 1), COMMITTED))
    finally:
        await gateway.stop()
    assert await a.balance("alice") == TOKENS - 1_000
    assert gateway.counters.total("effects_failed") == 0


async def test_a_refused_and_an_expired_transfer_are_refunded(network: GatewayNetwork, tmp_path: Path) -> None:
    a, b = network.chains[1], network.chains[2]
    refused = await a.transfer(2, 50, relay=1, recipient=b.token)
    expired = await a.transfer(2, 70, relay=1, lifetime_seconds=4)
    await a.receipt(refused)
    await a.receipt(expired)
    assert await a.balance("alice") == TOKENS - 120
    await asyncio.sleep(10)  # over the expiry, and the margin for clocks
    gateway = await run_gateway(network.gateway_config(tmp_path))
    try:
        await eventually(holds(lambda: a.balance("alice"), TOKENS))
    finally:
        await gateway.stop()
    assert await a.status(1, 1) == await a.status(1, 2) == ABORTED
    assert await b.balance("bob") == 0


async def test_a_record_travels_over_a_free_lane_and_the_relay_chain_forgets_it(
    network: GatewayNetwork, tmp_path: Path
) -> None:
    a, b = network.chains[1], network.chains[2]
    gateway = await run_gateway(network.gateway_config(tmp_path))
    relay = gateway.connections.relays[1].reader
    try:
        await a.receipt(await a.notarise(2, b"k" * 32, b"v" * 32))

        async def recorded() -> bool:
            return bytes((await b.record(b"k" * 32))[0]) == b"v" * 32

        await eventually(recorded)

        async def acknowledged() -> bool:
            """Both the packet and the receipt home are dropped, so they come bare or not at all."""
            done = gateway.counters.value("items_done", flow=Flow.ACKNOWLEDGE.value)
            return done == 2

        await eventually(acknowledged, timeout_seconds=60)
        entries = await relay.entries_by_number(1, [1])
        assert all(entry.FORM == 0 for entry in entries.values())
    finally:
        await gateway.stop()


async def send_burst(chain: Parachain, count: int) -> None:
    hashes = [await chain.transfer(3 - chain.registration, 1, relay=1) for _ in range(count)]
    for transaction_hash in hashes:
        await chain.receipt(transaction_hash)


@pytest.mark.parametrize("database", ["kept", "deleted", "broken"])
async def test_stopped_at_any_moment_nothing_is_lost_and_nothing_doubled(
    network: GatewayNetwork, tmp_path: Path, database: str
) -> None:
    a, b = network.chains[1], network.chains[2]
    config = network.gateway_config(tmp_path / "data")
    packets, kills = 24, 0
    sending = asyncio.create_task(send_burst(a, packets))
    for pause in (0.4, 1.1, 0.7, 1.6, 0.2):
        gateway = await run_gateway(config)
        await asyncio.sleep(pause)
        await gateway.stop()
        kills += 1
        if database == "deleted":
            shutil.rmtree(tmp_path / "data")
        elif database == "broken":
            (tmp_path / "data" / "gateway.sqlite3").write_bytes(b"no database" * 1_000)
    await sending
    gateway = await run_gateway(config)
    try:
        await eventually(holds(lambda: b.balance("bob"), packets), timeout_seconds=60)
        for nonce in range(1, packets + 1):
            await eventually(has_status(a, nonce, COMMITTED))
    finally:
        await gateway.stop()
    assert kills == 5
    assert await total_supply(network) == 2 * TOKENS
    assert await b.balance("bob") == packets, "doubled"


async def test_two_gateways_share_the_work_without_speaking_to_each_other(tmp_path: Path) -> None:
    async with GatewayNetwork(gateways=2) as network:
        a, b = network.chains[1], network.chains[2]
        gateways = [await run_gateway(network.gateway_config(tmp_path / str(i), i)) for i in range(2)]
        try:
            await send_burst(a, 10)
            await eventually(holds(lambda: b.balance("bob"), 10))
            for nonce in range(1, 11):
                await eventually(has_status(a, nonce, COMMITTED))
            carried = [gateway.counters.total("items_carried") for gateway in gateways]
        finally:
            for gateway in gateways:
                await gateway.stop()
        assert await b.balance("bob") == 10
        # A transfer is a packet on two hops, a receipt on one and a verdict on one; a batch of ten shares the last two.
        assert sum(carried) <= 50, f"work was done twice: {carried}"


async def test_one_gateway_takes_over_from_another_that_is_gone(tmp_path: Path) -> None:
    async with GatewayNetwork(gateways=2) as network:
        a, b = network.chains[1], network.chains[2]
        survivor = await run_gateway(network.gateway_config(tmp_path, 1, takeover_blocks=2))
        try:
            await send_burst(a, 3)
            await eventually(holds(lambda: b.balance("bob"), 3))
            await eventually(holds(lambda: a.status(1, 3), COMMITTED))
        finally:
            await survivor.stop()


async def test_two_relay_chains_carry_free_packets_once_and_bound_ones_over_their_own(tmp_path: Path) -> None:
    async with GatewayNetwork(relays=(1, 2)) as network:
        a, b = network.chains[1], network.chains[2]
        (bound,) = await a.view(load("Hub"), a.hub, "route", DOMAIN, 2, 2)
        other = 3 - bound
        gateway = await run_gateway(network.gateway_config(tmp_path))
        try:
            for number in range(6):
                await a.receipt(await a.notarise(2, bytes([number]) * 32, b"v" * 32))
            await a.receipt(await a.transfer(2, 10, relay=bound))
            for number in range(6):

                async def recorded(number: int = number) -> bool:
                    return bytes((await b.record(bytes([number]) * 32))[0]) == b"v" * 32

                await eventually(recorded)
            await eventually(holds(lambda: a.status(bound, 1), COMMITTED))
            heads = {}
            for relay in (1, 2):
                head = await gateway.connections.relays[relay].reader.outbox_head(2)
                assert head is not None
                heads[relay] = head.number
        finally:
            await gateway.stop()
        assert await b.balance("bob") == 10
        assert sum(heads.values()) == 7, f"each packet travels over one relay chain: {heads}"
        assert heads[bound] >= 1
        assert heads[other] + heads[bound] == 7


async def test_bytes_of_a_key_are_nowhere_in_the_gateways_files(network: GatewayNetwork, tmp_path: Path) -> None:
    a = network.chains[1]
    config = network.gateway_config(tmp_path)
    gateway = await run_gateway(config)
    try:
        await a.receipt(await a.transfer(2, 5, relay=1))
        await eventually(holds(lambda: a.status(1, 1), COMMITTED))
    finally:
        await gateway.stop()
    contents = files_of(tmp_path)
    assert contents
    for content in contents:
        assert config.private_key not in content
        assert config.private_key.hex().encode() not in content
    assert config.private_key.hex() not in repr(config)


def files_of(directory: Path) -> list[bytes]:
    return [path.read_bytes() for path in directory.rglob("*") if path.is_file()]
