"""Drives an EVM application as a consensus engine would, one block at a time, with time as an argument."""

from dataclasses import dataclass, field
from typing import Any

from eth_account import Account

from piebridge.abci.messages import (
    CheckTxKind,
    CheckTxResponse,
    ConsensusParams,
    FinalizeBlockRequest,
    FinalizeBlockResponse,
    InitChainRequest,
    PrepareProposalRequest,
    ProcessProposalRequest,
)
from piebridge.crypto.hash import sha256
from piebridge.evm_chain.app import EvmApplication
from piebridge.evm_chain.genesis import GenesisAccount, evm_genesis
from piebridge.evm_chain.store import KeyValueStore, MemoryStore

CHAIN_ID = 4_242
"""EIP-155 chain id of the chains of tests."""
GENESIS_SECONDS = 1_700_000_000
"""CometBFT genesis time."""
PROPOSER = b"\x77" * 20
"""Validator address of every block."""
GWEI = 10**9
"""Wei."""
ETHER = 10**18
"""Wei."""


@dataclass(frozen=True)
class User:
    """An account with its key."""

    private_key: bytes

    @property
    def address(self) -> bytes:
        """20 bytes."""
        return bytes.fromhex(Account.from_key(self.private_key).address[2:])

    def sign(self, **fields: Any) -> bytes:  # noqa: ANN401
        """Sign a transaction; what is not given is an EIP-1559 transfer of nothing."""
        transaction: dict[str, Any] = {"chainId": CHAIN_ID, "nonce": 0, "gas": 100_000, "to": b"\x22" * 20, "value": 0}
        transaction |= fields
        if "gasPrice" not in transaction:
            transaction = {"maxFeePerGas": 2 * GWEI, "maxPriorityFeePerGas": GWEI} | transaction
        if not transaction["to"]:
            del transaction["to"]
        return bytes(Account.sign_transaction(transaction, self.private_key).raw_transaction)


ALICE, BOB = User(b"\x11" * 32), User(b"\x12" * 32)
"""Accounts with money."""


def genesis_state(**options: Any) -> bytes:  # noqa: ANN401
    """Genesis with money for the users of tests."""
    alloc = {user.address: GenesisAccount(balance=1_000 * ETHER) for user in (ALICE, BOB)}
    return evm_genesis(CHAIN_ID, alloc | options.pop("alloc", {}), **options)


@dataclass
class Driver:
    """One application with a mempool."""

    store: KeyValueStore = field(default_factory=MemoryStore)
    app_state: bytes = field(default_factory=genesis_state)
    app: EvmApplication = field(init=False)
    mempool: list[bytes] = field(default_factory=list)
    seconds: int = GENESIS_SECONDS
    height: int = 0

    def __post_init__(self) -> None:
        """Start the chain, or go on where the store ends."""
        self.app = EvmApplication(self.store)
        info = self.app.info()
        self.height = info.last_block_height
        if not self.height:
            self.init_chain()

    def init_chain(self) -> bytes:
        """Call InitChain."""
        request = InitChainRequest(GENESIS_SECONDS * 10**9, "test", ConsensusParams(), (), self.app_state, 1)
        return self.app.init_chain(request).app_hash

    def send(self, tx: bytes) -> CheckTxResponse:
        """Give a transaction to the mempool."""
        response = self.app.check_tx(tx, CheckTxKind.NEW)
        if response.code == 0:
            self.mempool.append(tx)
        return response

    def prepare(self, *, time_ns: int | None = None, max_tx_bytes: int = 4_000_000) -> tuple[bytes, ...]:
        """Ask for a proposal from the mempool."""
        time_ns = self.seconds * 10**9 if time_ns is None else time_ns
        request = PrepareProposalRequest(max_tx_bytes, tuple(self.mempool), self.height + 1, time_ns, PROPOSER)
        return self.app.prepare_proposal(request)

    def process(self, txs: tuple[bytes, ...], *, time_ns: int | None = None) -> bool:
        """Ask whether a proposal is acceptable."""
        time_ns = self.seconds * 10**9 if time_ns is None else time_ns
        block_hash = sha256((self.height + 1).to_bytes(8, "big"))
        return self.app.process_proposal(ProcessProposalRequest(txs, block_hash, self.height + 1, time_ns, PROPOSER))

    def finalize(self, txs: tuple[bytes, ...], *, time_ns: int | None = None) -> FinalizeBlockResponse:
        """Execute a block without committing it."""
        time_ns = self.seconds * 10**9 if time_ns is None else time_ns
        height = self.height + 1
        block_hash = sha256(height.to_bytes(8, "big"))
        return self.app.finalize_block(FinalizeBlockRequest(txs, block_hash, height, time_ns, bytes(32), PROPOSER))

    def commit(self, txs: tuple[bytes, ...] = ()) -> None:
        """Commit what was executed and recheck the mempool."""
        self.app.commit()
        self.height += 1
        waiting = [tx for tx in self.mempool if tx not in txs]
        self.mempool = [tx for tx in waiting if self.app.check_tx(tx, CheckTxKind.RECHECK).code == 0]

    def make_block(self, *, advance_seconds: int = 1) -> FinalizeBlockResponse:
        """Propose, check, execute and commit a block from the mempool."""
        self.seconds += advance_seconds
        txs = self.prepare()
        assert self.process(txs), "an application must accept its own proposal"
        response = self.finalize(txs)
        self.commit(txs)
        return response

    def run(self, *txs: bytes) -> FinalizeBlockResponse:
        """Make a block of exactly these transactions, however wrong they are."""
        self.seconds += 1
        response = self.finalize(txs)
        self.commit(txs)
        return response
