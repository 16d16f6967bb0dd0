"""The management chain's contracts on a node that runs and is spoken to over JSON-RPC."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import requests

from piebridge.evm_chain.genesis import GenesisAccount, evm_genesis
from testkit.evm_chain_node import RunningNode
from testkit.management_world import CHAIN_ID, ManagementWorld
from testkit.world.evm import BLOCK_GAS_LIMIT, USERS, EvmChain
from testkit.world.keys import START_SECONDS, Clock, Governor, address_of

WAIT_SECONDS = 60.0


def genesis_state() -> bytes:
    """Genesis of the node: money for the users of worlds."""
    alloc = {address_of(user): GenesisAccount(balance=10**30) for user in USERS}
    return evm_genesis(CHAIN_ID, alloc, gas_limit=BLOCK_GAS_LIMIT)


@dataclass
class _ChainClock(Clock):
    """The time of the newest block."""

    now_seconds: int = field(default=START_SECONDS)
    running: RunningNode | None = None

    def look(self) -> None:
        assert self.running is not None
        head = self.running.node.app.database.head
        assert head is not None
        self.now_seconds = head.header.timestamp


class _RpcDecider:
    """Hands transactions in and waits until a header proves them."""

    def __init__(self, running: RunningNode, clock: _ChainClock) -> None:
        self._running, self._clock = running, clock

    def decide(self, transactions: Sequence[bytes]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        for raw in transactions:
            name = self._ask("eth_sendRawTransaction", ["0x" + raw.hex()])
            while (receipt := self._ask("eth_getTransactionReceipt", [name])) is None:
                assert time.monotonic() < deadline, "a transaction of the test is in no block"
                time.sleep(0.02)
            height = int(str(self._ask("piebridge_cometbftHeight", [receipt["blockNumber"]])), 16)
            while self._height() <= height:
                assert time.monotonic() < deadline, "no header proves a transaction of the test"
                time.sleep(0.02)
        self._clock.look()

    def _ask(self, method: str, params: list[object]) -> dict[str, str] | None:
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        headers = {"Content-Type": "application/json"}
        answer = requests.post(
            self._running.eth_address, data=json.dumps(call), headers=headers, timeout=WAIT_SECONDS
        ).json()
        assert "error" not in answer, answer
        result: dict[str, str] | None = answer["result"]
        return result

    def _height(self) -> int:
        answer = requests.get(f"{self._running.node.rpc_addresses[0]}/status", timeout=WAIT_SECONDS).json()
        return int(answer["result"]["sync_info"]["latest_block_height"])


class _LiveEvmChain(EvmChain):
    def __init__(self, running: RunningNode, clock: _ChainClock) -> None:
        self.name, self.chain_id, self.app, self.clock = "management", CHAIN_ID, running.node.app, clock
        self._nonces, self._block = {}, None
        running.run(lambda: self.app.add_commit_listener(self._remember))
        self.decider = _RpcDecider(running, clock)


class LiveManagementWorld(ManagementWorld):
    """Everybody who deals with the contracts, on a chain that runs."""

    def __init__(self, running: RunningNode) -> None:
        clock = _ChainClock(running=running)
        self.clock = clock
        self.chain = _LiveEvmChain(running, clock)
        self.governor = Governor()
        self.addresses = {}
        self._counters = {}
        self._salt = 0
        self._funded = set()
        self._deploy()
