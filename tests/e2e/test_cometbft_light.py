"""CometBFT's own light client in Go believes the embedded engine's chains, and refuses what was altered."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from piebridge.abci.embedded.engine import EmbeddedEngine
from piebridge.abci.embedded.equivocation import double_sign
from piebridge.abci.embedded.genesis import GenesisDocument
from piebridge.abci.embedded.keys import ValidatorKey
from piebridge.abci.embedded.node import EmbeddedNode
from piebridge.abci.messages import CODE_OK
from piebridge.cometbft.block import transaction_hash
from piebridge.cometbft.json_format import header_from_json, hex_bytes, signed_header_to_json
from piebridge.evm_chain.node import EvmNode, evm_genesis_document
from piebridge.protocol_stack.commitment import endorsed_client_key, endorsed_head_key
from piebridge.protocol_stack.transport.outbox import OutboxHead
from piebridge.relay.app.store import View
from piebridge.relay.node import RelayNode
from testkit.evm_chain_driver import ALICE, GENESIS_SECONDS, genesis_state
from testkit.key_value_application import KeyValueApplication
from testkit.light_proxy import Alter, Json, RefusedAnswerError, RpcClient, altering_rpc, light_proxy
from testkit.relay_world import RelayWorld, two_chains
from testkit.source_chain import private_key
from testkit.validators import genesis_for, validator_keys

pytestmark = pytest.mark.real_chain

HEIGHTS = 200
TRUSTED_HEIGHT = 2
BLOCK_INTERVAL_SECONDS = 0.02
KEYS = validator_keys(5)


async def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - conditions of several objects, none of which has an event
            await asyncio.sleep(BLOCK_INTERVAL_SECONDS / 2)


@asynccontextmanager
async def key_value_chain() -> AsyncIterator[EmbeddedNode]:
    """Four validators, whose fifth key waits to be put into the set."""
    node = EmbeddedNode(
        KeyValueApplication(),
        genesis_for(KEYS[:4]),
        KEYS[:4],
        None,
        [0] * 4,
        block_interval_seconds=BLOCK_INTERVAL_SECONDS,
        create_empty_blocks=True,
    )
    await node.start()
    try:
        await until(lambda: node.engine.height >= 3)
        yield node
    finally:
        await node.stop()


@asynccontextmanager
async def light_client_of(
    engine: EmbeddedEngine, home: Path, primary: str, witnesses: Sequence[str]
) -> AsyncIterator[RpcClient]:
    trusted_hash = engine.block(TRUSTED_HEIGHT).block_id.hash
    chain_id = engine.genesis.chain_id
    async with light_proxy(home, chain_id, primary, witnesses, TRUSTED_HEIGHT, trusted_hash) as client:
        yield client


async def assert_follows(client: RpcClient, engine: EmbeddedEngine, last: int) -> None:
    """The client verifies the last height at once and then every height before it, to the engine's hashes."""
    await until(lambda: engine.height > last)
    for height in (last, *range(TRUSTED_HEIGHT + 1, last)):
        commit = (await client.ask("commit", height=str(height)))["signed_header"]
        expected = engine.block(height).block_id.hash
        assert bytes.fromhex(commit["commit"]["block_id"]["hash"]) == expected, height
        assert header_from_json(commit["header"]).hash() == expected, height
    block = await client.ask("block", height=str(last))
    assert bytes.fromhex(block["block_id"]["hash"]) == engine.block(last).block_id.hash


async def test_follows_a_chain_whose_validators_change_and_fail(tmp_path: Path) -> None:
    async with key_value_chain() as node:
        engine, rpc = node.engine, node.rpc_addresses
        async with light_client_of(engine, tmp_path, rpc[0], rpc[1:3]) as client:
            engine.faults.absent.add(KEYS[0].address)
            await until(lambda: engine.height >= 15)
            engine.faults.absent.clear()
            engine.add_validator_key(KEYS[4])
            engine.submit_tx(b"validator:%s=1" % KEYS[4].public_key.data.hex().encode())
            await until(lambda: len(engine.state.validators) == 5)
            engine.submit_tx(b"validator:%s=0" % KEYS[1].public_key.data.hex().encode())
            await until(lambda: len(engine.state.validators) == 4)
            last = max(engine.height, TRUSTED_HEIGHT + HEIGHTS)
            await assert_follows(client, engine, last)
            assert any(engine.block(height).seen_commit.round for height in range(3, last))


async def test_verifies_a_value_of_a_store(tmp_path: Path) -> None:
    async with key_value_chain() as node:
        engine, rpc = node.engine, node.rpc_addresses
        async with light_client_of(engine, tmp_path, rpc[0], rpc[1:3]) as client:
            for tx in (b"x=before", b"name=value", b"z=after"):
                engine.submit_tx(tx)
            await until(lambda: not len(engine.mempool))
            at = engine.height + 2
            await until(lambda: engine.height > at)
            answer = (await client.ask("abci_query", path="/store/main/key", data=b"name".hex()))["response"]
            assert base64.b64decode(answer["value"]) == b"value"
            assert int(answer["height"]) >= at
            assert [item["type"] for item in answer["proofOps"]["ops"]] == ["simple:v", "simple:v"]


async def alter_query_value(method: str, params: Json, result: Json) -> Json:
    if method == "abci_query":
        result["response"]["value"] = base64.b64encode(b"forged").decode()
    return result


async def test_refuses_a_value_that_the_proof_is_not_of(tmp_path: Path) -> None:
    async with key_value_chain() as node, altering_rpc(node.rpc_addresses[0], alter_query_value) as liar:
        engine = node.engine
        async with light_client_of(engine, tmp_path, liar, node.rpc_addresses[1:3]) as client:
            engine.submit_tx(b"name=value")
            at = engine.height + 4
            await until(lambda: engine.height > at)
            with pytest.raises(RefusedAnswerError, match="verify value proof"):
                await client.ask("abci_query", path="/store/main/key", data=b"name".hex())


def alter_app_hash(height: int, *, rename_in_commit: bool) -> Alter:
    async def alter(method: str, params: Json, result: Json) -> Json:
        if method == "commit" and params.get("height") == str(height):
            header, commit = result["signed_header"]["header"], result["signed_header"]["commit"]
            header["app_hash"] = "AB" * 32
            if rename_in_commit:
                commit["block_id"]["hash"] = hex_bytes(header_from_json(header).hash())
        return result

    return alter


@pytest.mark.parametrize(("rename_in_commit", "reason"), [(False, "commit signs block"), (True, "wrong signature")])
async def test_refuses_an_altered_header(tmp_path: Path, rename_in_commit: bool, reason: str) -> None:
    alter = alter_app_hash(10, rename_in_commit=rename_in_commit)
    async with (
        key_value_chain() as node,
        altering_rpc(node.rpc_addresses[0], alter) as first,
        altering_rpc(node.rpc_addresses[1], alter) as second,
    ):
        engine = node.engine
        async with light_client_of(engine, tmp_path, first, [second]) as client:
            await assert_follows(client, engine, 9)
            await until(lambda: engine.height > 10)
            with pytest.raises(RefusedAnswerError, match=reason):
                await client.ask("commit", height="10")


async def test_refuses_a_forged_header_that_all_validators_signed(tmp_path: Path) -> None:
    """Signatures alone cannot tell it from the honest one; the witness can."""
    async with key_value_chain() as node:
        engine = node.engine

        async def forge(method: str, params: Json, result: Json) -> Json:
            if method == "commit" and params.get("height") == "10":
                result["signed_header"] = signed_header_to_json(
                    double_sign(engine, 10, app_hash=b"\xab" * 32).signed_header
                )
            return result

        async with altering_rpc(node.rpc_addresses[0], forge) as liar:
            await until(lambda: engine.height > 10)
            async with light_client_of(engine, tmp_path, liar, node.rpc_addresses[1:2]) as client:
                with pytest.raises(RefusedAnswerError, match="attempted attack detected"):
                    await client.ask("commit", height="10")


async def test_refuses_to_start_from_another_header(tmp_path: Path) -> None:
    async with key_value_chain() as node:
        engine, rpc = node.engine, node.rpc_addresses
        with pytest.raises(RefusedAnswerError, match="expected header's hash"):
            async with light_proxy(tmp_path, engine.genesis.chain_id, rpc[0], rpc[1:2], TRUSTED_HEIGHT, bytes(32)):
                pass


async def test_follows_an_evm_chain_and_verifies_its_transactions(tmp_path: Path) -> None:
    document = evm_genesis_document(
        "evm-light", GENESIS_SECONDS * 10**9, [key.public_key for key in KEYS[:4]], genesis_state()
    )
    started_ns = time.time_ns()
    node = EvmNode(
        None,
        document,
        KEYS[:4],
        [0] * 4,
        0,
        block_interval_seconds=BLOCK_INTERVAL_SECONDS,
        create_empty_blocks=True,
        # A second for each 20 ms, and in the past: there is at most one EVM block in a second of block time.
        now_ns=lambda: started_ns - 10**13 + (time.time_ns() - started_ns) * 50,
    )
    await node.start()
    try:
        engine = node.node.engine
        await until(lambda: engine.height >= 3)
        rpc = node.rpc_addresses
        async with light_client_of(engine, tmp_path, rpc[0], rpc[1:3]) as client:
            txs = [ALICE.sign(nonce=nonce, value=1) for nonce in range(5)]
            for tx in txs:
                engine.submit_tx(tx)
                included = engine.height + 3
                await until(lambda included=included: engine.height > included)  # type: ignore[misc]
            await assert_follows(client, engine, max(engine.height, TRUSTED_HEIGHT + HEIGHTS))
            assert len({engine.block(height).block.header.app_hash for height in range(2, engine.height)}) >= len(txs)
            wanted = base64.b64encode(transaction_hash(txs[0])).decode()
            proven = await client.ask("tx", hash=wanted, prove=True)
            assert base64.b64decode(proven["tx"]) == txs[0]
    finally:
        await node.stop()


@asynccontextmanager
async def relay_chain(home: Path, world: RelayWorld) -> AsyncIterator[RelayNode]:
    """A relay chain on the engine, with the genesis and at the time of a world."""
    names = [f"v{number}" for number in range(4)]
    node = RelayNode(
        home,
        GenesisDocument.from_json(world.genesis.document(world.time_ns)),
        [ValidatorKey(private_key(f"{name} consensus")) for name in names],
        [private_key(f"{name} endorsement") for name in names],
        [0] * 4,
        block_interval_seconds=BLOCK_INTERVAL_SECONDS,
        create_empty_blocks=True,
        now_ns=lambda: world.time_ns,
    )
    await node.start()
    try:
        yield node
    finally:
        await node.stop()


async def test_verifies_what_a_relay_chain_endorses(tmp_path: Path) -> None:
    world = two_chains()
    async with relay_chain(tmp_path / "relay", world) as node:
        engine, rpc = node.node.engine, node.rpc_addresses
        await until(lambda: engine.height >= 3)
        async with light_client_of(engine, tmp_path, rpc[0], rpc[1:3]) as client:

            async def ask(key: bytes) -> bytes:
                answer = (await client.ask("abci_query", path="/store/endorsed/key", data=key.hex()))["response"]
                return base64.b64decode(answer["value"])

            assert OutboxHead.decode(await ask(endorsed_head_key(20))).number == 0

            world.hubs[10].send_free(20)
            world.carry_from(world.hubs[10])
            for tx in [tx for request, _ in world.blocks for tx in request.txs]:
                assert engine.submit_tx(tx).code == CODE_OK
            await until(lambda: not len(engine.mempool))
            head = View(node.application.state).outbox_head(20)
            assert head is not None
            assert head.number == 1
            included = engine.height
            await until(lambda: engine.height > included)
            assert await ask(endorsed_head_key(20)) == head.encode()
            trusted_height = world.hubs[10].chain.height.to_bytes(8, "big")
            assert await ask(endorsed_client_key(10)) == trusted_height

            await assert_follows(client, engine, max(engine.height, TRUSTED_HEIGHT + HEIGHTS))
            with pytest.raises(RefusedAnswerError, match="err response code: 1"):
                await ask(endorsed_head_key(30))
