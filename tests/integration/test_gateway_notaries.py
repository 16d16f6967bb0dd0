"""Parachains on anvil, verified by notaries: packets cross, and nodes that lie to some of the notaries get nowhere."""

from pathlib import Path

import aiohttp
import pytest

from piebridge.gateway.service import Gateway
from testkit.gateway_network import DOMAIN, TOKENS, eventually
from testkit.notary_network import notary_network

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

COMMITTED = 2


async def test_a_transfer_between_anvil_chains_is_verified_by_notaries(tmp_path: Path) -> None:
    async with notary_network(tmp_path) as setting:
        a, b = setting.network.chains[1], setting.network.chains[2]
        gateway = Gateway(setting.network.gateway_config(tmp_path / "gateway"))
        await gateway.start()
        try:
            await a.receipt(await a.transfer(2, 1_000, relay=1))
            await a.receipt(await a.transfer(2, 30, relay=1, recipient=b.token))

            async def settled() -> bool:
                balances = await b.balance("bob"), await a.balance("alice")
                return balances == (1_000, TOKENS - 1_000) and await a.status(1, 1) == COMMITTED

            await eventually(settled, timeout_seconds=60)
        finally:
            await gateway.stop()
        assert sum(service.counters.total("statements_signed") for service in setting.notaries) >= 6


async def test_a_lie_to_one_notary_stops_that_notary_and_not_the_flow(tmp_path: Path) -> None:
    async with notary_network(tmp_path) as setting:
        proxy = setting.proxies[0, 1]
        proxy.edit("eth_getProof", lambda _method, _params, result: _with_value(result, "0x2a"))
        a, b = setting.network.chains[1], setting.network.chains[2]
        gateway = Gateway(setting.network.gateway_config(tmp_path / "gateway"))
        await gateway.start()
        try:
            await a.receipt(await a.transfer(2, 1_000, relay=1))

            async def arrived() -> bool:
                return await b.balance("bob") == 1_000

            await eventually(arrived, timeout_seconds=60)
        finally:
            await gateway.stop()
        assert proxy.lies > 0, "the proxy was not asked"
        liar = setting.notaries[0]
        assert 1 in liar.notary.stopped
        assert liar.counters.value("statements_signed", registration=1) == 0
        assert all(not service.notary.stopped for service in setting.notaries[1:])


async def test_without_a_quorum_nothing_moves_and_afterwards_everything_does(tmp_path: Path) -> None:
    async with notary_network(tmp_path) as setting:
        for index in (0, 1):  # 2 of 4 remain, 3 are needed
            setting.proxies[index, 1].hang()
        a, b = setting.network.chains[1], setting.network.chains[2]
        gateway = Gateway(setting.network.gateway_config(tmp_path / "gateway"))
        await gateway.start()
        try:
            await a.receipt(await a.transfer(2, 1_000, relay=1))

            async def waits() -> bool:
                return any("of 3 notaries signed" in status.last_failure for status in gateway.forwarder.status(0))

            await eventually(waits, timeout_seconds=30)
            assert await b.balance("bob") == 0
            assert all(setting.notaries[i].counters.total("notary_alarms") for i in (0, 1))
            for index in (0, 1):
                setting.proxies[index, 1].honest()

            async def arrived() -> bool:
                return await b.balance("bob") == 1_000

            await eventually(arrived, timeout_seconds=60)
        finally:
            await gateway.stop()


async def test_the_http_interface_refuses_what_is_malformed(tmp_path: Path) -> None:
    async with notary_network(tmp_path) as setting:
        chain, url = setting.network.chains[1], setting.notaries[0].url
        good = {
            "domain": DOMAIN,
            "registration": 1,
            "hub": chain.hub.hex(),
            "block_number": 3,
            "slots": [bytes(32).hex()],
        }
        async with aiohttp.ClientSession() as session:

            async def ask(body: object) -> tuple[int, dict[str, object]]:
                async with session.post(f"{url}/v1/statement", json=body) as response:
                    return response.status, await response.json()

            requests: list[object] = [
                [],
                {},
                {**good, "extra": 1},
                {**good, "hub": "00"},
                {**good, "block_number": -1},
                {**good, "block_number": True},
                {**good, "slots": ["zz"]},
                {**good, "slots": []},
            ]
            for wrong in requests:
                status, answer = await ask(wrong)
                assert status == 400, wrong
                assert answer["error"]["code"] == "bad_request", wrong  # type: ignore[index]
            status, answer = await ask({**good, "block_number": 10**9})
            assert (status, answer["error"]["code"]) == (503, "not_final")  # type: ignore[index]
            status, answer = await ask({**good, "domain": 99})
            assert (status, answer["error"]["code"]) == (404, "unknown_chain")  # type: ignore[index]
            status, answer = await ask({**good, "block_number": 0})
            assert answer["error"]["code"] == "bad_request", "no hub there, and no alarm"  # type: ignore[index]
            assert not setting.notaries[0].notary.stopped
            assert setting.notaries[0].counters.total("notary_alarms") == 0
            async with session.get(f"{url}/health") as response:
                assert response.status == 200


def _with_value(result: dict[str, object], value: str) -> dict[str, object]:
    storage = result["storageProof"]
    assert isinstance(storage, list)
    for item in storage:
        item["value"] = value
    return result
