"""A relay chain as a node: embedded engine, RPC ports, SQLite, endorsements over HTTP, restart."""

import asyncio
import base64
from pathlib import Path

import aiohttp
import pytest

from piebridge.abci.embedded.genesis import GenesisDocument
from piebridge.abci.embedded.keys import ValidatorKey
from piebridge.chains.relay.endpoint import CometBftRelayEndpoint
from piebridge.cometbft.verification import minimal_commit
from piebridge.crypto.errors import ConfigurationError, PermanentChainError, TransientChainError
from piebridge.crypto.signature import recover_address, sign_recoverable
from piebridge.gateway.commits import collect_commit
from piebridge.protocol_stack.codec import u16, u32, u64
from piebridge.protocol_stack.endorsement import EndorsementAnswer, Envelope
from piebridge.protocol_stack.governor_relay_bodies import NewCheckpoint
from piebridge.protocol_stack.relay_messages import (
    CarriedGovernorMessage,
    LightBlock,
    TransactionBody,
    make_transaction,
)
from piebridge.protocol_stack.relay_queries import EndorseQuery, RecordedQuery
from piebridge.protocol_stack.signing import endorsement_digest
from piebridge.protocol_stack.verification.endorsement import verify_envelope
from piebridge.protocol_stack.verification.light_clients.cometbft import (
    ClientParameters,
    ConsensusState,
    verify_update,
)
from piebridge.relay.node import RelayNode
from testkit.relay_world import GATEWAY, RelayWorld, two_chains
from testkit.source_chain import private_key

pytestmark = pytest.mark.real_chain

NAMES = ("v0", "v1", "v2", "v3")


def build(world: RelayWorld, home: Path) -> RelayNode:
    return RelayNode(
        home,
        GenesisDocument.from_json(world.genesis.document(world.genesis_request.time_ns)),
        [ValidatorKey(private_key(f"{name} consensus")) for name in NAMES],
        [private_key(f"{name} endorsement") for name in NAMES],
        [0, 0, 0, 0],
        block_interval_seconds=0.05,
    )


async def rpc(address: str, method: str, **params: object) -> dict[str, object]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(address, json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) as answer,
    ):
        value = await answer.json()
    assert "error" not in value, value
    result = value["result"]
    assert isinstance(result, dict)
    return result


async def query(address: str, path: str, data: bytes) -> tuple[int, bytes]:
    result = await rpc(address, "abci_query", path=path, data=data.hex())
    response = result["response"]
    assert isinstance(response, dict)
    return response.get("code", 0), base64.b64decode(response.get("value") or "")


async def broadcast(address: str, tx: bytes) -> dict[str, object]:
    return await rpc(address, "broadcast_tx_commit", tx=base64.b64encode(tx).decode())


async def test_packet_is_recorded_and_endorsed_by_each_validator_and_survives_a_restart(tmp_path: Path) -> None:
    world = two_chains()
    hub = world.hubs[10]
    # The node's clock is the real one, so the packet must not expire; the client's header is old and trusted long.
    packet = hub.send_free(20, expiry=1 << 39)
    hub.chain.close_block()
    node = build(world, tmp_path)
    await node.start()
    try:
        first, *_ = node.rpc_addresses
        assert len(set(node.rpc_addresses)) == 4
        # By the node's clock the client has expired long ago: the governor gives it the hub's newest header.
        until = node.application.state.height + 500

        def sign(body: TransactionBody, salt: int) -> bytes:
            return make_transaction(body, 1, 1, until, salt, lambda digest: sign_recoverable(digest, GATEWAY)).encode()

        checkpoint = CarriedGovernorMessage(world.governor_message(NewCheckpoint(10, hub.checkpoint())))
        bodies: list[TransactionBody] = [checkpoint, hub.range_message()]
        for salt, body in enumerate(bodies):
            result = await broadcast(first, sign(body, salt))
            outcome = result["tx_result"]
            assert isinstance(outcome, dict)
            assert outcome.get("code", 0) == 0, outcome
        recorded = RecordedQuery(packet.lane, packet.sequence).encode()
        assert await query(first, "/recorded", recorded) == (0, b"\x01")

        answers = []
        for address in node.rpc_addresses:
            code, value = await query(address, "/endorse", EndorseQuery(20, 1).encode())
            assert code == 0
            answers.append(EndorsementAnswer.decode(value))
        assert [answer.index for answer in answers] == [0, 1, 2, 3]
        for answer in answers:
            digest = endorsement_digest(1, 1, 20, 1, 1, answer.value)
            assert recover_address(digest, answer.signature) == answer.address
        _follow_with_own_light_client(node)
        await _prove_by_commit(world, node, answers[0].value)
    finally:
        await node.stop()

    node = build(world, tmp_path)
    await node.start()
    try:
        address = node.rpc_addresses[3]
        assert await query(address, "/recorded", recorded) == (0, b"\x01")
        code, value = await query(address, "/endorse", EndorseQuery(20, 1).encode())
        assert (code, EndorsementAnswer.decode(value)) == (0, answers[3])
        went_on = asyncio.Event()
        node.node.engine.on_block.append(lambda block: went_on.set())
        async with asyncio.timeout(20):
            await went_on.wait()
    finally:
        await node.stop()


async def _prove_by_commit(world: RelayWorld, node: RelayNode, value: bytes) -> None:
    """The chain's own commit proves the same value, for a hub that has registered the set of the chain's own record."""
    url, relay = node.rpc_addresses[0], world.genesis
    endpoint = CometBftRelayEndpoint(name="relay", chain_id=relay.chain_id, validator_rpc_urls=[url])
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    number, collected = await collect_commit(endpoint, relay.domain, relay.relay, 20, 1)
                    break
                except (TransientChainError, PermanentChainError):
                    await asyncio.sleep(0.05)  # the block that proves the newest state is not there yet
        entries = await endpoint.query("/outbox/entries", u32(20) + u64(1) + u16(1))
    finally:
        await endpoint.close()
    assert (number, collected.value) == (1, value)
    data = u32(relay.domain) + u32(relay.relay) + collected.encoded + entries
    accepted = {relay.validator_set.committers.set_hash(relay.domain, relay.relay)}
    assert verify_envelope(Envelope.decode(data), 20, accepted).value == value


def _follow_with_own_light_client(node: RelayNode) -> None:
    """The light client that follows members follows the relay chain's own headers as well."""
    engine = node.node.engine
    trusted = engine.light_block(1)
    newest = engine.light_block(engine.height)
    header = trusted.header
    state = ConsensusState(1, header.hash(), header.time_ns, header.app_hash, header.next_validators_hash)
    commit = newest.signed_header.commit
    update = LightBlock(
        1,
        newest.header.encode(),
        minimal_commit(newest.validators, commit).encode(),
        newest.validators.encode(),
        trusted.validators.encode(),
    )
    verified = verify_update(ClientParameters(header.chain_id, 1 << 31, 10), state, update, newest.header.time_ns + 1)
    assert verified.height_on_source == engine.height


def test_every_validator_needs_an_endorsement_key(tmp_path: Path) -> None:
    world = two_chains()
    with pytest.raises(ConfigurationError, match="endorsement keys"):
        RelayNode(tmp_path, GenesisDocument.from_json(world.genesis.document(1)), [], [b"\x01" * 32], [])
