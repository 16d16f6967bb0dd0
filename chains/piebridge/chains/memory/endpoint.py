"""Endpoint of a chain in memory, with the faults of real nodes on demand."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from piebridge.chains.endpoint import Block, Fees, HubEntry, Receipt, StorageProof
from piebridge.chains.errors import MissingStateError
from piebridge.chains.memory.chain import MemoryChain
from piebridge.crypto.errors import ConfigurationError, TransientChainError, VerificationError
from piebridge.crypto.patricia import verify_account, verify_storage

_FEES = Fees(3_000_000_000, 1_000_000_000)


class MemoryEndpoint:
    """A :class:`~piebridge.chains.endpoint.ParachainEndpoint` of a :class:`MemoryChain`."""

    def __init__(self, chain: MemoryChain, name: str = "memory", *, timeout_seconds: float = 0.05) -> None:
        """Look at a chain; several endpoints may look at one."""
        self.chain = chain
        self.out_of_order = False
        """Whether every request is refused as by a node that is down."""
        self.hanging = False
        """Whether no request is answered within the time-out."""
        self.lie_about_values = False
        """Whether told slot values are not those that are proven."""
        self._name = name
        self._timeout_seconds = timeout_seconds

    @property
    def name(self) -> str:
        """Name for people."""
        return self._name

    @property
    def hub_address(self) -> bytes:
        """Address of the hub, 20 bytes."""
        return self.chain.hub_address

    # Life cycle

    async def check(self) -> None:
        """Check that the chain has the hub, which it always has."""
        await self._answer()

    async def close(self) -> None:
        """Close nothing."""

    # Blocks and finality

    async def latest_block(self) -> Block:
        """Return the newest block."""
        await self._answer()
        return self.chain.latest

    async def block(self, number: int) -> Block:
        """Return a block by number."""
        await self._answer()
        block = self.chain.block(number)
        if block is None:
            raise MissingStateError(f"{self._name}: no block {number}")
        return block

    async def final_block(self, depth: int) -> Block:
        """Return the newest block with ``depth`` blocks above it."""
        return await self.block(max(0, self.chain.latest.number - depth))

    async def wakes(self) -> AsyncIterator[None]:
        """Never yield: who uses memory chains looks when it has made a block."""
        for _ in ():
            yield None

    # The hub's outboxes

    async def outbox_entries(self, domain: int, first_block: int, last_block: int) -> list[HubEntry]:
        """Return the entries that a range of blocks made."""
        await self._answer()
        return [entry for entry in self.chain.entries(first_block, last_block) if entry.domain == domain]

    async def queued_entry(self, domain: int, relay: int, number: int) -> HubEntry | None:
        """Return None: this hub collects by event."""
        await self._answer()
        return None

    # State and proofs

    async def storage(self, slots: Sequence[bytes], block_number: int | None = None) -> list[bytes]:
        """Return slots of the hub."""
        number = (await self.latest_block()).number if block_number is None else block_number
        await self.block(number)
        return [self.chain.storage(int.from_bytes(slot, "big"), number).to_bytes(32, "big") for slot in slots]

    async def prove(self, slots: Sequence[bytes], block_number: int) -> StorageProof:
        """Return slots of the hub with proofs, verified as those of any other endpoint."""
        block = await self.block(block_number)
        account_proof, proofs = self.chain.prove([int.from_bytes(slot, "big") for slot in slots], block_number)
        account = verify_account(block.state_root, self.hub_address, account_proof)
        if account is None:
            raise MissingStateError(f"{self._name}: the hub is not in block {block_number}")
        values = []
        for slot, nodes in zip(slots, proofs, strict=True):
            value = verify_storage(account.storage_root, int.from_bytes(slot, "big"), nodes)
            if self.lie_about_values:
                raise VerificationError(f"{self._name}: told value of slot 0x{slot.hex()} is not the proven one")
            values.append(value.to_bytes(32, "big"))
        return StorageProof(block, account_proof, tuple(slots), tuple(values), tuple(proofs))

    # Accounts and transactions

    async def chain_id(self) -> int:
        """Return the EIP-155 chain id."""
        await self._answer()
        return self.chain.evm_chain_id

    async def nonce(self, address: bytes, *, pending: bool = False) -> int:
        """Return the account's next nonce."""
        await self._answer()
        return self.chain.nonce(address, pending=pending)

    async def balance(self, address: bytes) -> int:
        """Return as much as anybody needs."""
        await self._answer()
        return 10**24

    async def fees(self) -> Fees:
        """Return the fees that every block takes."""
        await self._answer()
        return _FEES

    async def call(self, data: bytes, *, sender: bytes, gas: int) -> bytes:
        """Run a call of the hub on the newest state."""
        await self._answer()
        return self.chain.call(data, sender)

    async def send(self, raw_transaction: bytes) -> bytes:
        """Hand a signed transaction to the pool."""
        await self._answer()
        return self.chain.submit(raw_transaction)

    async def receipt(self, transaction_hash: bytes) -> Receipt | None:
        """Return what became of a transaction."""
        await self._answer()
        return self.chain.receipt(transaction_hash)

    # Light client

    @property
    def has_light_blocks(self) -> bool:
        """No: its headers carry no consensus."""
        return False

    async def light_client_target(self) -> tuple[int, Block]:
        """Raise: there is none."""
        raise ConfigurationError(f"{self._name} has no light blocks")

    async def light_block(self, trusted_height: int, height: int) -> bytes:
        """Raise: there is none."""
        raise ConfigurationError(f"{self._name} has no light blocks")

    async def app_block(self, height: int) -> Block:
        """Raise: there is none."""
        raise ConfigurationError(f"{self._name} has no light blocks")

    async def _answer(self) -> None:
        """Be what a node is today: well, down, or silent."""
        if self.out_of_order:
            raise TransientChainError(f"{self._name}: connection refused")
        if self.hanging:
            await asyncio.sleep(self._timeout_seconds)
            raise TransientChainError(f"{self._name}: no answer within {self._timeout_seconds} s")
