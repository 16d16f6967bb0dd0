"""The ABCI server on real sockets: pipelining, hostile clients, failing applications."""

import asyncio
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from piebridge.abci.application import Application
from piebridge.abci.messages import CheckTxKind, CheckTxResponse, CommitResponse
from piebridge.abci.server.dispatch import Dispatcher
from piebridge.abci.server.errors import ApplicationFailedError, IncompatibleNodeError
from piebridge.abci.server.frames import encode_frame
from piebridge.abci.server.server import AbciServer
from piebridge.abci.testing import RecordingApplication, check_grammar
from testkit.abci_client import AbciClient, request, timestamp
from testkit.key_value_application import KeyValueApplication, app_hash_of


@asynccontextmanager
async def serving(application: Application, max_connections: int = 8) -> AsyncIterator[tuple[AbciServer, int]]:
    server = AbciServer(Dispatcher(application), max_connections)
    port = await server.listen_tcp(0)
    try:
        yield server, port
    finally:
        await server.stop()


async def test_a_unix_socket_belongs_to_its_owner_and_may_lie_deep(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["deep" * 12] * 4)
    folder.mkdir(parents=True)
    path = folder / "abci.sock"
    path.write_bytes(b"left behind by a process that was killed")
    server = AbciServer(Dispatcher(KeyValueApplication()))
    await server.listen_unix(path)
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    short = tmp_path / "short"
    short.symlink_to(folder)
    client = await AbciClient.unix(short / "abci.sock")
    assert (await client.call("echo", message="hello")).message == "hello"
    await client.close()
    await server.stop()
    assert not path.exists()


async def test_a_chain_is_driven_over_four_connections_as_a_node_does() -> None:
    application = RecordingApplication(KeyValueApplication())
    async with serving(application) as (_, port):
        query, snapshot, mempool, consensus = [await AbciClient.tcp(port) for _ in range(4)]
        assert (await query.call("info", abci_version="2.0.0")).last_block_height == 0
        await consensus.call("init_chain", app_state_bytes=b"{}", chain_id="c", initial_height=1)
        assert list((await snapshot.call("list_snapshots")).snapshots) == []
        assert (await mempool.call("check_tx", tx=b"a=1")).code == 0
        when = timestamp(1_790_000_000_000_000_000)
        await consensus.call("prepare_proposal", max_tx_bytes=1_000, txs=[b"a=1"], height=1, time=when)
        await consensus.call("process_proposal", txs=[b"a=1"], height=1, time=when)
        answer = await consensus.call("finalize_block", txs=[b"a=1"], height=1, time=when)
        assert answer.app_hash == app_hash_of({"a": "1"})
        await consensus.call("commit")
        info = await query.call("info", abci_version="2.0.0")
        assert (info.last_block_height, info.last_block_app_hash) == (1, app_hash_of({"a": "1"}))
        for client in (query, snapshot, mempool, consensus):
            await client.close()
    check_grammar(application.calls, committed_height=0)


async def test_pipelined_requests_are_answered_in_order_without_a_flush() -> None:
    async with serving(KeyValueApplication()) as (_, port):
        client = await AbciClient.tcp(port)
        for number in range(1_000):
            client.send("echo", message=str(number))
        client.send("flush")
        for number in range(1_000):
            kind, message = await client.receive()
            assert (kind, message.message) == ("echo", str(number))
        assert (await client.receive())[0] == "flush"
        await client.close()


async def test_a_client_that_reads_nothing_is_read_no_more() -> None:
    """Answers that nobody takes must not pile up in memory."""
    async with serving(KeyValueApplication()) as (_, port):
        client = await AbciClient.tcp(port)
        frame = encode_frame(request("echo", message="x" * 60_000))
        blocked = False
        for _ in range(2_000):
            client.send_bytes(frame)
            try:
                await asyncio.wait_for(client._writer.drain(), 0.5)
            except TimeoutError:
                blocked = True
                break
        assert blocked, "120 MB were taken from a client that reads nothing"
        for _ in range(10):
            assert (await client.receive())[1].message == "x" * 60_000
        client._writer.transport.abort()


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x00",
        b"\xff" * 16,
        encode_frame(b"\x22\x00"),
        encode_frame(b"\x0a\x05\x0a\x09xy"),
        encode_frame(request("reap_txs")),
    ],
)
async def test_garbage_costs_its_sender_the_connection_and_nobody_else(garbage: bytes) -> None:
    async with serving(KeyValueApplication()) as (_, port):
        good, bad = await AbciClient.tcp(port), await AbciClient.tcp(port)
        assert (await good.call("echo", message="1")).message == "1"
        bad.send("echo", message="before")
        bad.send_bytes(garbage)
        assert (await bad.receive())[1].message == "before", "what was right is answered"
        kind, message = await bad.receive()
        assert kind == "exception"
        assert message.error
        assert await bad.at_end()
        assert (await good.call("echo", message="2")).message == "2"
        await good.close()
        await bad.close()


async def test_half_a_frame_and_a_lost_connection_harm_nobody() -> None:
    async with serving(KeyValueApplication()) as (_, port):
        lost = await AbciClient.tcp(port)
        lost.send_bytes(encode_frame(request("echo", message="x" * 100))[:50])
        await lost.close()
        client = await AbciClient.tcp(port)
        assert (await client.call("echo", message="2")).message == "2"
        await client.close()


async def test_connections_are_bounded() -> None:
    async with serving(KeyValueApplication(), max_connections=4) as (_, port):
        clients = [await AbciClient.tcp(port) for _ in range(4)]
        for client in clients:
            await client.call("flush")
        fifth = await AbciClient.tcp(port)
        assert await fifth.at_end()
        await clients.pop().close()
        for client in clients:
            await client.call("flush")
        await asyncio.sleep(0.05)
        again = await AbciClient.tcp(port)
        await again.call("flush")
        for client in (*clients, fifth, again):
            await client.close()


class Failing(KeyValueApplication):
    def commit(self) -> CommitResponse:
        raise OSError("no space left on device")

    def check_tx(self, tx: bytes, kind: CheckTxKind) -> CheckTxResponse:
        return CheckTxResponse(0)


async def test_a_failed_application_answers_nobody_any_more_and_says_why() -> None:
    async with serving(Failing()) as (server, port):
        mempool, consensus = await AbciClient.tcp(port), await AbciClient.tcp(port)
        failed = asyncio.create_task(server.failed())
        assert (await mempool.call("check_tx", tx=b"a=1")).code == 0
        consensus.send("commit")
        kind, message = await consensus.receive()
        assert kind == "exception"
        assert "no space left on device" in message.error
        assert await consensus.at_end()
        with pytest.raises(ApplicationFailedError, match="no space left on device"):
            await asyncio.wait_for(failed, 5)
        mempool.send("check_tx", tx=b"a=1")
        assert (await mempool.receive())[0] == "exception"
        assert await mempool.at_end()
        await mempool.close()
        await consensus.close()


async def test_a_node_of_another_version_is_told_and_the_process_ends() -> None:
    async with serving(KeyValueApplication()) as (server, port):
        client = await AbciClient.tcp(port)
        client.send("info", abci_version="0.17.0")
        kind, message = await client.receive()
        assert (kind, "make cometbft" in message.error) == ("exception", True)
        with pytest.raises(IncompatibleNodeError):
            await asyncio.wait_for(server.failed(), 5)
        await client.close()
