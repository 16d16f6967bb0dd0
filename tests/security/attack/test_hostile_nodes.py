"""Nodes of one chain that say anything at all: a gateway that serves other chains too must not end or hang by it.

Every error of a node is an error that is known (`PieBridgeError`); anything else would end the whole gateway.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from piebridge.chains import jsonrpc
from piebridge.chains.cometbft_rpc import CometBftRpc
from piebridge.chains.errors import TransactionRefusedError
from piebridge.chains.evm import EvmEndpoint
from piebridge.cometbft.commit import MAX_VALIDATORS
from piebridge.crypto.errors import PermanentChainError, PieBridgeError, TransientChainError
from piebridge.gateway.batching import GasModel
from piebridge.gateway.cursors import Cursor
from piebridge.gateway.relay_listener import RelayListener
from piebridge.gateway.relay_reader import RelayReader
from piebridge.gateway.service import Gateway
from piebridge.gateway.telemetry import Counters
from piebridge.gateway.turns import Turns
from piebridge.protocol_stack.relay_queries import FORGOTTEN_CODE, UNKNOWN_CODE, OutboxEntriesQuery
from piebridge.protocol_stack.transport.outbox import RELAY_CHAIN, BareEntry, OutboxHead, OutboxRange

ROUNDS = 150
ATOMS: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 1.5, 1e300, 1 << 63, (1 << 64) - 1, "", "0x", "0x1", "-0x1", "0x-1", "1_0", "-1"),
    *("0x" + "f" * 64, "9" * 400, "9" * 5_000, "\u00e9", "\u0661", [], {}, [[]], {"a": []}, "AA==", "////"),
    *("2026-01-01T00:00:00Z", "9999-99-99T00:00:00Z", "00" * 32, "0x" + "00" * 32, "0x" + "11" * 20),
)
BLOCK_ID = {"hash": "AB" * 32, "parts": {"total": 1, "hash": "AB" * 32}}
TIME = "2026-01-01T00:00:00Z"
HASHES = ("last_commit", "data", "validators", "next_validators", "consensus", "app", "last_results", "evidence")
HEADER = {
    "version": {"block": "11", "app": "1"},
    "chain_id": "x",
    "height": "5",
    "time": TIME,
    "last_block_id": BLOCK_ID,
    **{f"{name}_hash": "AB" * 32 for name in HASHES},
    "proposer_address": "AB" * 20,
}
VOTE = {"block_id_flag": 2, "validator_address": "AB" * 20, "timestamp": TIME, "signature": "AA=="}
COMMIT = {"height": "5", "round": 0, "block_id": BLOCK_ID, "signatures": [VOTE]}
MEMBER = {
    "address": "630DCD2966C4336691125448BBB25B4FF412A49C",
    "pub_key": {"type": "tendermint/PubKeyEd25519", "value": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="},
    "voting_power": "1",
    "proposer_priority": "0",
}
OPERATOR = {"type": "simple:v", "key": "AA==", "data": "AA=="}
RESULTS: Mapping[str, Any] = {
    "status": {"node_info": {"network": "x"}, "sync_info": {"latest_block_height": "5", "latest_block_time": TIME}},
    "commit": {"signed_header": {"header": HEADER, "commit": COMMIT}},
    "validators": {"validators": [MEMBER], "total": "1"},
    "abci_query": {"response": {"code": 0, "value": "AAAA", "height": "5", "proofOps": {"ops": [OPERATOR, OPERATOR]}}},
    "broadcast_tx_sync": {"code": 0, "log": "", "hash": "AB" * 32},
    "tx": {"height": "5", "tx_result": {"code": 0, "log": "", "data": "AA=="}},
    "eth_getTransactionReceipt": {
        "transactionHash": "0x" + "ab" * 32,
        "blockNumber": "0x5",
        "blockHash": "0x" + "ab" * 32,
        "status": "0x1",
        "gasUsed": "0x1",
    },
    "eth_getLogs": [
        {"address": "0x" + "11" * 20, "topics": ["0x" + "00" * 32] * 2, "blockNumber": "0x1", "logIndex": "0x0"}
    ],
    "eth_getBlockByNumber": {"number": "0x5", "hash": "0x" + "ab" * 32, "parentHash": "0x" + "ab" * 32},
    "eth_getProof": {"accountProof": ["0x80"], "storageProof": [{"key": "0x0", "value": "0x0", "proof": ["0x80"]}]},
}


class Liar:
    """Answers with valid results in which one thing is exchanged, or with anything."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def answer(self, body: Any) -> object:  # noqa: ANN401 - JSON
        if not isinstance(body, list):
            return self._one(body)
        return [self._one(request) for request in body] if self._random.random() < 0.95 else self._anything()

    def _one(self, request: Mapping[str, Any]) -> object:
        chance = self._random.random()
        if chance < 0.03:
            return {"id": request["id"], "error": self._anything()}
        if chance < 0.06:
            return {"id": self._anything(), "result": None}
        known = request["method"] in RESULTS and chance < 0.85
        return {"id": request["id"], "result": self._lie(RESULTS[request["method"]]) if known else self._anything()}

    def _anything(self, depth: int = 0) -> object:
        if depth > 2 or self._random.random() < 0.6:
            return self._random.choice(ATOMS)
        return [self._anything(depth + 1) for _ in range(self._random.randint(0, 3))]

    def _lie(self, truth: Any) -> Any:  # noqa: ANN401
        """Exchange or leave out something, at any depth."""
        if not truth or not isinstance(truth, dict | list) or self._random.random() < 0.15:
            return self._anything()
        if isinstance(truth, list):
            place = self._random.randrange(len(truth))
            return [self._lie(item) if i == place else item for i, item in enumerate(truth)]
        name = self._random.choice(sorted(truth))
        if self._random.random() < 0.1:
            return {key: value for key, value in truth.items() if key != name}
        return {**truth, name: self._lie(truth[name])}


def operations() -> dict[str, Callable[[], Awaitable[object]]]:
    """Everything that a gateway asks of a node."""
    node = CometBftRpc("http://node")
    chain = EvmEndpoint(name="chain", rpc_url="http://node", hub_address=b"\x11" * 20, evm_chain_id=5)
    slot = bytes(32)
    return {
        "status": node.status,
        "signed_header": lambda: node.signed_header(5),
        "validators": lambda: node.validators(5),
        "light_block": lambda: node.light_block(4, 5),
        "query": lambda: node.abci_query("/a", b""),
        "queries": lambda: node.abci_queries([("/a", b""), ("/b", b"")]),
        "proven": lambda: node.proven("/a", b"key"),
        "broadcast": lambda: node.broadcast(b"transaction"),
        "transaction": lambda: node.transaction(slot),
        "check": chain.check,
        "latest_block": chain.latest_block,
        "block": lambda: chain.block(5),
        "entries": lambda: chain.outbox_entries(1, 1, 5),
        "queued": lambda: chain.queued_entry(1, 1, 1),
        "storage": lambda: chain.storage([slot, slot], 5),
        "prove": lambda: chain.prove([slot], 5),
        "nonce": lambda: chain.nonce(bytes(20)),
        "fees": chain.fees,
        "call": lambda: chain.call(b"", sender=bytes(20), gas=1),
        "send": lambda: chain.send(b"\x01"),
        "receipt": lambda: chain.receipt(slot),
    }


@pytest.mark.parametrize("name", sorted(operations()))
async def test_no_answer_of_a_node_is_an_unknown_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    liar = Liar(seed=len(name))

    async def post(client: object, body: object) -> object:
        answer: object = json.loads(json.dumps(liar.answer(body)))
        return answer

    monkeypatch.setattr(jsonrpc.JsonRpcClient, "_post", post)
    outcomes = set()
    for _ in range(ROUNDS):
        try:
            async with asyncio.timeout(5):
                await operations()[name]()
        except PieBridgeError as error:
            outcomes.add(type(error))
    assert outcomes, "the control: nothing was refused"


async def test_ids_that_are_no_numbers_answer_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def post(client: object, body: object) -> object:
        return [{"id": [], "result": 1}, {"id": {}, "result": 2}, {"id": True, "result": 3}, {"id": 2, "result": 4}]

    monkeypatch.setattr(jsonrpc.JsonRpcClient, "_post", post)
    first, second = await jsonrpc.JsonRpcClient("http://node").batch_results([("a", []), ("b", [])])
    assert isinstance(first, TransientChainError)
    assert second == 4


async def test_validators_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = 0

    async def call(client: object, method: str, params: Mapping[str, str]) -> object:
        nonlocal pages
        pages += 1
        assert pages < 10 * MAX_VALIDATORS, "asks for ever"
        return {"validators": [MEMBER], "total": "1000000000"}

    monkeypatch.setattr(jsonrpc.JsonRpcClient, "call", call)
    with pytest.raises(TransientChainError):
        await CometBftRpc("http://node").validators(5)


class Cursors:
    """Cursors in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, Cursor] = {}

    def load(self, name: str) -> Cursor | None:
        return self.kept.get(name)

    def save(self, name: str, cursor: Cursor) -> None:
        assert cursor.number < 1 << 63, "more than the database holds"
        self.kept[name] = cursor

    def drop(self, name: str) -> None:
        self.kept.pop(name, None)


class Boaster:
    """A relay node that tells of more entries than there are, or hides old ones."""

    name = "relay"

    def __init__(self, head: int, shown: range) -> None:
        self.head, self.shown = head, shown

    async def query(self, path: str, data: bytes) -> bytes:
        if path != OutboxEntriesQuery.PATH:
            return OutboxHead(self.head, b"\x01" * 32).encode()
        query = OutboxEntriesQuery.decode(data)
        if query.first not in self.shown:
            forgotten = not self.shown or query.first < self.shown[0]
            raise TransactionRefusedError("not kept", FORGOTTEN_CODE if forgotten else UNKNOWN_CODE, "not kept")
        last = min(query.first + query.count - 1, self.shown[-1])
        entries = tuple(BareEntry(1, number.to_bytes(32, "big")) for number in range(query.first, last + 1))
        return OutboxRange(RELAY_CHAIN, query.first, b"\x01" * 32, entries).encode()


def listener(node: Boaster, cursors: Cursors) -> RelayListener:
    return RelayListener(
        RelayReader(node),  # type: ignore[arg-type]
        relay=1,
        destinations=[20],
        cursors=cursors,  # type: ignore[arg-type]
        counters=Counters(),
        gas_model=GasModel(),
        notify=lambda destination, items: None,
    )


@pytest.mark.parametrize("head", [1 << 50, (1 << 63) - 1, (1 << 64) - 1])
async def test_a_head_that_cannot_be_neither_hangs_nor_moves_anything(head: int) -> None:
    """Two to the fifty numbers were written into a set one by one, in the event loop of all chains."""
    cursors = Cursors()
    with pytest.raises(TransientChainError):
        await listener(Boaster(head, range(1, 4)), cursors).sync()
    moved = cursors.load("relay/1/20")
    assert moved is None or moved.number <= 3


async def test_a_head_far_above_a_gap_costs_a_search_and_no_more() -> None:
    cursors, head = Cursors(), 1 << 50
    await listener(Boaster(head, range(head - 5, head + 1)), cursors).sync()
    assert cursors.kept["relay/1/20"].number == head, "all of them are bare"


async def test_a_node_that_has_forgotten_more_than_can_be_is_not_believed() -> None:
    cursors = Cursors()
    with pytest.raises(TransientChainError, match="cannot be"):
        await listener(Boaster((1 << 64) - 1, range(0)), cursors).sync()
    assert not cursors.kept


async def test_an_invented_past_is_given_up_when_the_truth_is_told() -> None:
    cursors, node = Cursors(), Boaster(1 << 50, range(0))
    lied_to = listener(node, cursors)
    await lied_to.sync()
    node.head, node.shown = 9, range(1, 10)
    await lied_to.sync()
    assert cursors.kept["relay/1/20"].number == 9


async def test_entries_that_were_dropped_are_passed_over() -> None:
    cursors = Cursors()
    await listener(Boaster(9, range(6, 10)), cursors).sync()
    assert cursors.kept["relay/1/20"].number == 9


@pytest.mark.parametrize(
    "error", [TransactionRefusedError("unknown path", 1, "unknown path"), PermanentChainError("no such method")]
)
async def test_a_node_that_refuses_to_tell_the_gateways_does_not_end_the_program(error: PieBridgeError) -> None:
    """Turns are thrift. The task that asks for them stands in one group with everything else."""

    async def refuse() -> object:
        raise error

    async def height() -> int:
        return 5

    asked: list[int] = []

    def now() -> float:
        asked.append(1)
        return 1.0

    gateway = SimpleNamespace(
        connections=SimpleNamespace(
            relays={
                1: SimpleNamespace(reader=SimpleNamespace(gateways=refuse)),
                2: SimpleNamespace(
                    reader=SimpleNamespace(gateways=_nobody), endpoint=SimpleNamespace(latest_height=height)
                ),
            },
            hubs={},
        ),
        _turns=Turns(bytes(20), takeover_blocks=3, relays=[1, 2]),
        _now=now,
    )
    await Gateway._refresh_turns(gateway)  # type: ignore[arg-type]
    assert asked == [1], "the control: the other relay chain is asked"


async def _nobody() -> tuple[bytes, ...]:
    return ()
