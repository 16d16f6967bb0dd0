"""EVM chains of a world: the EVM-on-ABCI application, driven directly or by the embedded engine."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson
from eth_account import Account

from piebridge.abci.embedded.engine import EmbeddedEngine
from piebridge.abci.embedded.genesis import build_genesis
from piebridge.abci.embedded.keys import ValidatorKey
from piebridge.abci.messages import ConsensusParams, FinalizeBlockRequest, InitChainRequest
from piebridge.crypto.hash import sha256
from piebridge.evm_chain.app import EvmApplication
from piebridge.evm_chain.block import EvmBlock, Log, Outcome
from piebridge.evm_chain.chain_database import ChainHead
from piebridge.evm_chain.execution.messages import CallRequest, CallResult
from piebridge.evm_chain.execution.simulation import Simulation
from piebridge.evm_chain.genesis import GenesisAccount, evm_genesis
from piebridge.evm_chain.state_reader import StateReader
from piebridge.evm_chain.store import MemoryStore
from testkit.world.keys import NANOSECONDS, START_SECONDS, Clock, address_of, private_key

GWEI = 10**9
"""Wei."""
BLOCK_GAS_LIMIT = 2**40
"""Gas of a block: room for thousands of hostile transactions in one."""
USERS = ("deployer", "carrier", "alice", "bob", "mallory")
"""Accounts with money on every chain."""
VALIDATORS = 4
"""Validator keys of every chain of a world."""


@dataclass(frozen=True)
class Call:
    """A transaction that somebody wants to be executed."""

    to: bytes
    """Contract, 20 bytes; empty to create one."""
    data: bytes = field(repr=False)
    """Call data, or code of the contract to create."""
    sender: str = "carrier"
    """One of USERS."""
    gas: int = 6_000_000
    """Gas limit."""
    value: int = 0
    """Wei."""


class Decider(Protocol):
    """Gets blocks out of an application."""

    def decide(self, transactions: Sequence[bytes]) -> None:
        """Make one block of exactly these transactions, and whatever else proves it."""


class DirectDecider:
    """Calls FinalizeBlock and Commit itself: no headers and no signatures, and every transaction gets in."""

    def __init__(self, app: EvmApplication, clock: Clock) -> None:
        self.app = app
        self.clock = clock
        self.height = app.info().last_block_height

    def decide(self, transactions: Sequence[bytes]) -> None:
        self.height += 1
        response = self.app.finalize_block(
            FinalizeBlockRequest(
                tuple(transactions),
                sha256(self.height.to_bytes(8, "big")),
                self.height,
                self.clock.tick() * NANOSECONDS,
                bytes(32),
                bytes(range(20)),
            )
        )
        assert all(result.code == 0 for result in response.tx_results), response.tx_results
        self.app.commit()


class EngineDecider:
    """The embedded engine: byte-exact headers and commits."""

    def __init__(self, engine: EmbeddedEngine, clock: Clock) -> None:
        self.engine = engine
        self.clock = clock

    def decide(self, transactions: Sequence[bytes]) -> None:
        # A block has the time of the votes of the one before: an idle chain needs one more to learn what time it is.
        self.engine.make_block(self.clock.now_seconds * NANOSECONDS)
        for transaction in transactions:
            response = self.engine.submit_tx(transaction)
            assert response.code == 0, f"the mempool refuses a transaction of the test: {response.log}"
        self.engine.make_block(self.clock.tick() * NANOSECONDS)
        self.engine.make_block(self.clock.tick() * NANOSECONDS)  # its header proves the state


class EvmChain:
    """An EVM chain that the test decides block by block."""

    def __init__(self, name: str, chain_id: int, store: MemoryStore, clock: Clock) -> None:
        self.name = name
        self.chain_id = chain_id
        self.store = store
        self.app = EvmApplication(store)
        self.clock = clock
        self._nonces: dict[str, int] = {}
        self._block: EvmBlock | None = None
        self.app.add_commit_listener(self._remember)
        self.decider: Decider

    @classmethod
    def direct(cls, name: str, chain_id: int, clock: Clock) -> "EvmChain":
        """Make a chain without an engine; it can be forked."""
        chain = cls(name, chain_id, MemoryStore(), clock)
        chain.app.init_chain(
            InitChainRequest(START_SECONDS * NANOSECONDS, name, ConsensusParams(), (), _genesis(chain_id), 1)
        )
        chain.decider = DirectDecider(chain.app, clock)
        return chain

    @classmethod
    def with_engine(cls, name: str, chain_id: int, clock: Clock) -> "EvmChain":
        """Make a chain on the embedded engine, with headers that light clients follow."""
        chain = cls(name, chain_id, MemoryStore(), clock)
        keys = [ValidatorKey(private_key(f"{name} validator {i}")) for i in range(VALIDATORS)]
        genesis = build_genesis(
            name,
            START_SECONDS * NANOSECONDS,
            [key.public_key for key in keys],
            orjson.loads(_genesis(chain_id)),
            consensus_params=ConsensusParams(block_max_bytes=4_000_000),
        )
        chain.decider = EngineDecider(EmbeddedEngine(chain.app, genesis, keys), clock)
        return chain

    @property
    def engine(self) -> EmbeddedEngine:
        """The engine of a chain that has one."""
        assert isinstance(self.decider, EngineDecider), "this chain has no engine"
        return self.decider.engine

    def fork(self) -> "EvmChain":
        """Copy the chain with its whole state and time; only without an engine."""
        assert isinstance(self.decider, DirectDecider), "an engine cannot be copied"
        store = MemoryStore()
        store.write({key: self.store.get(key) or b"" for key in self.store.keys(b"", b"")})
        clock = copy.copy(self.clock)
        chain = EvmChain(self.name, self.chain_id, store, clock)
        chain._nonces = dict(self._nonces)
        chain.decider = DirectDecider(chain.app, clock)
        return chain

    # ------------------------------------------------------------------------------------------------ transactions

    def run(self, *calls: Call) -> list[Outcome]:
        """Execute calls, in order, in one block; what became of each."""
        self._block = None
        self.decider.decide([self._sign(call) for call in calls])
        assert self._block is not None, "no transaction of the test got into the block"
        assert len(self._block.outcomes) == len(calls), "a transaction of the test did not get into the block"
        return list(self._block.outcomes)

    def idle(self) -> None:
        """Make an empty block."""
        self.decider.decide([])

    def create(self, data: bytes, *, gas: int = 30_000_000) -> bytes:
        """Create a contract; its address."""
        (outcome,) = self.run(Call(b"", data, "deployer", gas))
        assert outcome.succeeded, f"deployment failed: 0x{outcome.output.hex()}"
        return outcome.contract_address

    def _remember(self, head: ChainHead, block: EvmBlock | None) -> None:
        self._block = block or self._block

    def _sign(self, call: Call) -> bytes:
        nonce = self._nonces.get(call.sender, 0)
        self._nonces[call.sender] = nonce + 1
        transaction: dict[str, Any] = {
            "chainId": self.chain_id,
            "nonce": nonce,
            "gas": call.gas,
            "value": call.value,
            "data": call.data,
            "maxFeePerGas": 2 * GWEI,
            "maxPriorityFeePerGas": GWEI,
        }
        if call.to:
            transaction["to"] = call.to
        return bytes(Account.sign_transaction(transaction, private_key(call.sender)).raw_transaction)

    # ------------------------------------------------------------------------------------------------ reading

    @property
    def number(self) -> int:
        """Number of the newest EVM block."""
        head = self.app.database.head
        assert head is not None
        return head.header.number

    @property
    def state(self) -> StateReader:
        """The newest state."""
        head = self.app.database.head
        assert head is not None
        return StateReader(self.app.database.node, head.header.state_root)

    def storage_root(self, contract: bytes) -> bytes:
        """Root of a contract's storage: equal exactly when nothing in it is changed."""
        return self.state.account(contract).storage_root

    def simulation(self) -> Simulation:
        """The state in which the next block would begin, for calls that leave no trace."""
        head = self.app.database.head
        assert head is not None
        executor = self.app.executor
        environment = executor.next_environment(head.header, self.clock.now_seconds + 1, bytes(32), bytes(range(20)))
        ancestors = self.app.database.ancestor_hashes(head.header.number)
        return executor.simulation(head.header.state_root, environment, ancestors)

    def call(self, to: bytes, data: bytes, *, sender: bytes = bytes(20), gas: int = 30_000_000) -> CallResult:
        """Call without a transaction."""
        return self.simulation().run(CallRequest(sender, to, gas, data=data))

    def logs(self, first: int, last: int) -> list[tuple[int, Log]]:
        """Logs of some blocks with their block numbers."""
        return [
            (number, log)
            for number in range(first, last + 1)
            for outcome in self.app.database.outcomes(number)
            for log in outcome.logs
        ]


def _genesis(chain_id: int) -> bytes:
    alloc = {address_of(user): GenesisAccount(balance=10**30) for user in USERS}
    return evm_genesis(chain_id, alloc, gas_limit=BLOCK_GAS_LIMIT)
