"""Endpoints of simulated chains: what a gateway or a notary sees of a node, through the network."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from piebridge.chains.endpoint import Block, Fees, HubEntry, Receipt, RelayTransactionResult, StorageProof
from piebridge.chains.errors import MissingStateError
from piebridge.crypto.errors import ConfigurationError, DecodingError, TransientChainError
from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack.endorsement import EndorsementAnswer
from testkit.simulation.network import Network
from testkit.simulation.parachain import Made, SimulatedChain
from testkit.simulation.relay import SimulatedRelay

_T = TypeVar("_T")
_FEES = Fees(3_000_000_000, 1_000_000_000)


@dataclass(slots=True)
class Node:
    """One node of a parachain, with its faults."""

    chain: SimulatedChain
    name: str
    down: bool = False
    behind: int = 0
    """Blocks by which it is behind the others."""
    hides_logs: bool = False
    """It leaves out the newest log of every answer."""
    forges: bool = False
    """It shows another chain: blocks with other hashes and values of its own."""

    def made(self) -> list[Made]:
        """The blocks that it knows."""
        made = self.chain.made
        return made[: max(1, len(made) - self.behind)] if self.behind else made


class Watch:
    """Whoever wants to know of new blocks."""

    def __init__(self) -> None:
        self._woken: list[asyncio.Event] = []

    def join(self) -> asyncio.Event:
        event = asyncio.Event()
        self._woken.append(event)
        return event

    def leave(self, event: asyncio.Event) -> None:
        self._woken.remove(event)

    def wake(self) -> None:
        for event in self._woken:
            event.set()


@dataclass(slots=True)
class SimulatedParachainEndpoint:
    """A :class:`~piebridge.chains.endpoint.ParachainEndpoint` of a node."""

    client: str
    """Process that asks."""
    node: Node
    network: Network
    watch: Watch
    _told: list[bytes] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.node.chain.name

    @property
    def hub_address(self) -> bytes:
        return self.node.chain.hub.address

    # Life cycle

    async def check(self) -> None:
        await self._ask(lambda: None)

    async def close(self) -> None:
        """Close nothing."""

    # Blocks

    async def latest_block(self) -> Block:
        return await self._ask(lambda: self._shown(self.node.made()[-1].block))

    async def block(self, number: int) -> Block:
        return await self._ask(lambda: self._shown(self._made(number).block))

    async def final_block(self, depth: int) -> Block:
        return await self._ask(lambda: self._shown(self._made(max(0, len(self.node.made()) - 1 - depth)).block))

    async def wakes(self) -> AsyncIterator[None]:
        event = self.watch.join()
        try:
            while True:
                await event.wait()
                event.clear()
                if not self.network.drops_wake(self.client, self.node.name):
                    yield None
        finally:
            self.watch.leave(event)

    # Outboxes

    async def outbox_entries(self, domain: int, first_block: int, last_block: int) -> list[HubEntry]:
        def read() -> list[HubEntry]:
            made = self.node.made()
            if last_block >= len(made):
                raise MissingStateError(f"{self.name}: no block {last_block}")
            found = [entry for item in made[first_block : last_block + 1] for entry in item.entries]
            return found[:-1] if self.node.hides_logs else found

        return [entry for entry in await self._ask(read) if entry.domain == domain]

    async def queued_entry(self, domain: int, relay: int, number: int) -> HubEntry | None:
        await self._ask(lambda: None)
        return None

    # State

    async def storage(self, slots: Sequence[bytes], block_number: int | None = None) -> list[bytes]:
        return await self._ask(lambda: self._words(slots, block_number))

    async def prove(self, slots: Sequence[bytes], block_number: int) -> StorageProof:
        def read() -> StorageProof:
            block = self._shown(self._made(block_number).block)
            values = tuple(self._words(slots, block_number))
            return StorageProof(block, (), tuple(slots), values, tuple(() for _ in slots))

        return await self._ask(read)

    # Accounts and transactions

    async def chain_id(self) -> int:
        return await self._ask(lambda: self.node.chain.evm_chain_id)

    async def nonce(self, address: bytes, *, pending: bool = False) -> int:
        def read() -> int:
            if not pending:
                return self.node.made()[-1].nonces.get(address, 0)
            return self.node.chain.nonce(address, pending=True)

        return await self._ask(read)

    async def balance(self, address: bytes) -> int:
        return await self._ask(lambda: 10**24)

    async def fees(self) -> Fees:
        return await self._ask(lambda: _FEES)

    async def call(self, data: bytes, *, sender: bytes, gas: int) -> bytes:
        return await self._ask(lambda: self.node.chain.call(data, sender))

    async def send(self, raw_transaction: bytes) -> bytes:
        def take() -> bytes:
            self._check_up()
            return self.node.chain.submit(raw_transaction)

        return await self.network.tell(self.client, self.node.name, take)

    async def receipt(self, transaction_hash: bytes) -> Receipt | None:
        def read() -> Receipt | None:
            for made in reversed(self.node.made()):
                if transaction_hash in made.receipts:
                    return made.receipts[transaction_hash]
            return None

        return await self._ask(read)

    # Light client

    @property
    def has_light_blocks(self) -> bool:
        return False

    async def light_client_target(self) -> tuple[int, Block]:
        raise ConfigurationError(f"{self.name} has no light blocks")

    async def light_block(self, trusted_height: int, height: int) -> bytes:
        raise ConfigurationError(f"{self.name} has no light blocks")

    async def app_block(self, height: int) -> Block:
        raise ConfigurationError(f"{self.name} has no light blocks")

    # Internal

    async def _ask(self, read: Callable[[], _T]) -> _T:
        def answer() -> _T:
            self._check_up()
            return read()

        return await self.network.ask(self.client, self.node.name, answer)

    def _check_up(self) -> None:
        if self.node.down:
            raise TransientChainError(f"{self.name}: {self.node.name}: connection refused")

    def _made(self, number: int) -> Made:
        made = self.node.made()
        if not 0 <= number < len(made):
            raise MissingStateError(f"{self.name}: no block {number}")
        return made[number]

    def _shown(self, block: Block) -> Block:
        if not self.node.forges:
            return block
        header = block.header + b"forged"
        return Block(
            block.number,
            keccak256(header),
            block.parent_hash,
            block.timestamp,
            block.state_root,
            header,
            block.base_fee_per_gas,
            block.gas_limit,
        )

    def _words(self, slots: Sequence[bytes], block_number: int | None) -> list[bytes]:
        made = self.node.made()[-1] if block_number is None else self._made(block_number)
        values = [made.state.get((self.hub_address, slot), 0) for slot in slots]
        if self.node.forges:
            values = [
                int.from_bytes(keccak256(b"forged" + slot), "big") if value else 0
                for slot, value in zip(slots, values, strict=True)
            ]
        return [value.to_bytes(32, "big") for value in values]


@dataclass(slots=True)
class SimulatedRelayEndpoint:
    """A :class:`~piebridge.chains.endpoint.RelayEndpoint`."""

    client: str
    relay: SimulatedRelay
    network: Network
    watch: Watch

    @property
    def name(self) -> str:
        return self.relay.name

    @property
    def validator_count(self) -> int:
        """A gateway's configuration names every validator that there ever was."""
        return len(self.relay.validators)

    async def check(self) -> None:
        await self._ask(lambda: None)

    async def close(self) -> None:
        """Close nothing."""

    async def latest_height(self) -> int:
        return await self._ask(lambda: self.relay.height)

    async def latest_time(self) -> int:
        return await self._ask(lambda: self.relay.time_ns // 1_000_000_000)

    async def wakes(self) -> AsyncIterator[None]:
        event = self.watch.join()
        try:
            while True:
                await event.wait()
                event.clear()
                if not self.network.drops_wake(self.client, self.relay.name):
                    yield None
        finally:
            self.watch.leave(event)

    async def query(self, path: str, data: bytes) -> bytes:
        return await self._ask(lambda: self.relay.query(path, data))

    async def queries(self, calls: Sequence[tuple[str, bytes]]) -> list[bytes]:
        return await self._ask(lambda: [self.relay.query(path, data) for path, data in calls]) if calls else []

    async def broadcast(self, transaction: bytes) -> bytes:
        return await self.network.tell(self.client, self.relay.name, lambda: self.relay.submit(transaction))

    async def transaction_result(self, transaction_hash: bytes) -> RelayTransactionResult | None:
        return await self._ask(lambda: self.relay.results.get(transaction_hash))

    async def endorse(self, validator: int, destination: int, number: int) -> EndorsementAnswer:
        data = destination.to_bytes(4, "big") + number.to_bytes(8, "big")
        node = self.relay.validators[validator]
        if node.lie:
            answer = self.relay.query("/endorse", data, validator)  # who wants to do harm is the first to answer
        else:
            answer = await self.network.ask(
                self.client, self.relay.name, lambda: self.relay.query("/endorse", data, validator)
            )
        try:
            return node.twisted(EndorsementAnswer.decode(answer), self.relay, destination, number)
        except DecodingError as error:
            raise TransientChainError(f"{node.name}: malformed endorsement: {error}") from error

    async def _ask(self, read: Callable[[], _T]) -> _T:
        def answer() -> _T:
            if self.relay.application is None:
                raise TransientChainError(f"{self.relay.name}: connection refused")
            return read()

        return await self.network.ask(self.client, self.relay.name, answer)
