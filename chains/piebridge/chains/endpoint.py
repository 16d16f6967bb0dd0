"""What a gateway, a notary or a tool may ask of a chain, independent of its kind.

Two kinds of chain take part: a *parachain*, which carries a hub, and a *relay chain*. Each has a protocol class here
whose methods stand in groups by subject. Adapters raise only :mod:`piebridge.chains.errors`, and
:class:`~piebridge.crypto.errors.VerificationError` where an answer contradicts a hash.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from piebridge.protocol_stack.endorsement import EndorsementAnswer


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a parachain; its hash was recomputed from the header that is kept here."""

    number: int
    """Height."""
    hash: bytes
    """Hash of the header, 32 bytes."""
    parent_hash: bytes
    """Hash of the block before, 32 bytes: what shows a reorganisation."""
    timestamp: int
    """Seconds since the Unix epoch."""
    state_root: bytes
    """Root of the accounts' trie after the block, 32 bytes."""
    header: bytes = field(repr=False)
    """The header as hashed (RLP on EVM chains)."""
    base_fee_per_gas: int = 0
    """Wei per gas; 0 where the chain has no base fee."""
    gas_limit: int = 0
    """Most gas of a block."""
    extra_data: bytes = b""
    """What the block's maker wrote; EVM-on-ABCI: the CometBFT height, 8 bytes big endian."""


@dataclass(frozen=True, slots=True)
class HubEntry:
    """An entry of a hub's outbox with its message, as its hub tells it. A claim until it folds to a proven head."""

    domain: int
    """Relay domain of the outbox."""
    relay: int
    """Relay chain that the outbox is bound to; 0 is the free one."""
    number: int
    """Position in the outbox, from 1."""
    height: int
    """Block that made the entry."""
    form: int
    """Form of the content in a range, formats.md section 5.1: 1 packet, 3 receipts, 4 report."""
    content: bytes
    """The message in that form."""


@dataclass(frozen=True, slots=True)
class StorageProof:
    """Values of storage slots of one account with Merkle-Patricia proofs, checked against the block's state root."""

    block: Block
    """Block whose state is proven."""
    account_proof: tuple[bytes, ...]
    """Nodes from the state root to the account."""
    slots: tuple[bytes, ...]
    """Slots, 32 bytes each, in the order asked."""
    values: tuple[bytes, ...]
    """Values, 32 bytes each; zero where the slot is empty."""
    proofs: tuple[tuple[bytes, ...], ...]
    """Nodes from the account's storage root to each slot."""


@dataclass(frozen=True, slots=True)
class Fees:
    """Fee fields of a transaction (EIP-1559), wei per gas."""

    max_fee_per_gas: int
    """Most that is paid in all."""
    max_priority_fee_per_gas: int
    """Most that the block's maker gets of it."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transaction that is in a block."""

    transaction_hash: bytes
    """32 bytes."""
    block_number: int
    """Block that holds it."""
    block_hash: bytes
    """Its hash, 32 bytes."""
    succeeded: bool
    """False: it reverted."""
    gas_used: int
    """Gas that was paid."""


@runtime_checkable
class ParachainEndpoint(Protocol):
    """A chain with a hub."""

    @property
    def name(self) -> str:
        """Name for people, as the configuration gives it."""
        ...

    @property
    def hub_address(self) -> bytes:
        """Address of the hub, 20 bytes."""
        ...

    # Life cycle

    async def check(self) -> None:
        """Check that the node is of the configured chain and that the hub stands there.

        Raises:
            ConfigurationError: another chain, or no contract at the hub's address.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...

    # Blocks and finality

    async def latest_block(self) -> Block:
        """Return the newest block."""
        ...

    async def block(self, number: int) -> Block:
        """Return a block by number.

        Raises:
            MissingStateError: there is no such block (any more).
        """
        ...

    async def final_block(self, depth: int) -> Block:
        """Return the newest block that has ``depth`` blocks above it; block 0 where the chain is shorter."""
        ...

    def wakes(self) -> AsyncIterator[None]:
        """Yield whenever there may be something new."""
        ...

    # The hub's outboxes

    async def outbox_entries(self, domain: int, first_block: int, last_block: int) -> list[HubEntry]:
        """Return the entries that blocks of a range made, in the order in which the chain made them."""
        ...

    async def queued_entry(self, domain: int, relay: int, number: int) -> HubEntry | None:
        """Return an entry from the hub's storage, for chains whose nodes keep no logs; None where it keeps none."""
        ...

    # State and proofs

    async def storage(self, slots: Sequence[bytes], block_number: int | None = None) -> list[bytes]:
        """Return the hub's slots, 32 bytes each, unproven; at the newest block unless told."""
        ...

    async def prove(self, slots: Sequence[bytes], block_number: int) -> StorageProof:
        """Return the hub's slots with proofs that were checked against the block's own header.

        Raises:
            VerificationError: the node's header, proof or values contradict each other.
            MissingStateError: the node keeps that block's state no more.
        """
        ...

    # Accounts and transactions

    async def chain_id(self) -> int:
        """Return the EIP-155 chain id."""
        ...

    async def nonce(self, address: bytes, *, pending: bool = False) -> int:
        """Return the number of the account's next transaction: after the newest block, or after the node's pool."""
        ...

    async def balance(self, address: bytes) -> int:
        """Return an account's balance, wei."""
        ...

    async def fees(self) -> Fees:
        """Return fees with which a transaction is taken soon."""
        ...

    async def call(self, data: bytes, *, sender: bytes, gas: int) -> bytes:
        """Run a call of the hub on the newest state and return its answer.

        Raises:
            CallRevertedError: it reverts.
        """
        ...

    async def send(self, raw_transaction: bytes) -> bytes:
        """Hand a signed transaction to the node and return its hash, 32 bytes.

        Raises:
            NonceError: the nonce is used or leaves a gap.
            AlreadyKnownError: the node has it already.
        """
        ...

    async def receipt(self, transaction_hash: bytes) -> Receipt | None:
        """Return what became of a transaction; None while it is in no block."""
        ...

    # Light client (kind `cometbft` only)

    @property
    def has_light_blocks(self) -> bool:
        """Whether the chain's headers can be followed by a light client through this endpoint."""
        ...

    async def light_client_target(self) -> tuple[int, Block]:
        """Return the newest height that is committed, and the EVM block that its header's app hash names."""
        ...

    async def light_block(self, trusted_height: int, height: int) -> bytes:
        """Return the light block of a height for a client that trusts an earlier one, formats.md section 11.1."""
        ...

    async def app_block(self, height: int) -> Block:
        """Return the EVM block that the app hash in the header of a CometBFT height names."""
        ...


@dataclass(frozen=True, slots=True)
class RelayTransactionResult:
    """What became of a relay transaction that is in a block."""

    height: int
    """Height of the block."""
    code: int
    """0, or the application's reason to refuse."""
    log: str
    """Reason in words."""
    data: bytes = b""
    """Of a success: number of pieces of news that it brought, 4 bytes; 0 where all of it was known before."""


@runtime_checkable
class RelayEndpoint(Protocol):
    """A relay chain, through the nodes of its validators."""

    @property
    def name(self) -> str:
        """Name for people."""
        ...

    @property
    def validator_count(self) -> int:
        """Number of validators whose nodes are known here."""
        ...

    # Life cycle

    async def check(self) -> None:
        """Check that at least one node answers for the configured relay chain.

        Raises:
            ConfigurationError: it is another chain.
            TransientChainError: no node answers.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...

    # Blocks

    async def latest_height(self) -> int:
        """Return the newest committed height."""
        ...

    async def latest_time(self) -> int:
        """Return the time of the newest block, seconds since the Unix epoch."""
        ...

    def wakes(self) -> AsyncIterator[None]:
        """Yield whenever there may be something new."""
        ...

    # Queries, formats.md section 12

    async def query(self, path: str, data: bytes) -> bytes:
        """Return the value of an ABCI query.

        Raises:
            TransactionRefusedError: the application refuses the query.
        """
        ...

    async def queries(self, calls: Sequence[tuple[str, bytes]]) -> list[bytes]:
        """Return the values of several queries, in their order; raises as :meth:`query`."""
        ...

    # Transactions

    async def broadcast(self, transaction: bytes) -> bytes:
        """Hand a transaction to a node and return its hash, 32 bytes.

        Raises:
            TransactionRefusedError: the application refuses it already at the door.
            AlreadyKnownError: the node has it already.
        """
        ...

    async def transaction_result(self, transaction_hash: bytes) -> RelayTransactionResult | None:
        """Return what became of a transaction; None while it is in no block."""
        ...

    # Endorsements

    async def endorse(self, validator: int, destination: int, number: int) -> EndorsementAnswer:
        """Ask the node of one validator, by its position in the configuration, to endorse an outbox entry."""
        ...
