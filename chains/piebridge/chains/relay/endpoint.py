"""Endpoint of a relay chain, over the CometBFT RPC of its validators' nodes.

Any node can answer queries and take transactions; the first that answers is used, and a node that fails is tried last
from then on. How far the chain has come is asked of all of them, so that one that lies holds nobody up: the time for
which a transaction is valid follows from it. Endorsements are asked of each validator's own node: only it has the key.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from piebridge.chains.cometbft_rpc import CometBftRpc, NodeStatus, ProvenValue
from piebridge.chains.endpoint import RelayTransactionResult
from piebridge.chains.jsonrpc import DEFAULT_TIMEOUT_SECONDS
from piebridge.cometbft.validator_set import ValidatorSet
from piebridge.cometbft.verification import SignedHeader
from piebridge.crypto.errors import ConfigurationError, DecodingError, TransientChainError
from piebridge.protocol_stack.endorsement import EndorsementAnswer

_Answer = TypeVar("_Answer")


class CometBftRelayEndpoint:
    """A :class:`~piebridge.chains.endpoint.RelayEndpoint` over CometBFT RPC."""

    def __init__(
        self,
        *,
        name: str,
        chain_id: str,
        validator_rpc_urls: Sequence[str],
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        """Describe the relay chain; nothing is sent yet.

        Args:
            name: for people.
            chain_id: CometBFT chain id that the nodes must tell.
            validator_rpc_urls: one for each validator whose endorsement may be asked for.
            timeout_seconds: deadline of a request.

        Raises:
            ConfigurationError: no address is given.
        """
        if not validator_rpc_urls:
            raise ConfigurationError(f"relay chain {name} has no validator_rpc_urls")
        self._name = name
        self._chain_id = chain_id
        self._validators = [CometBftRpc(url, timeout_seconds=timeout_seconds) for url in validator_rpc_urls]
        self._preferred = list(self._validators)

    @property
    def name(self) -> str:
        """Name for people."""
        return self._name

    @property
    def validator_count(self) -> int:
        """Number of validators' nodes known here."""
        return len(self._validators)

    # Life cycle

    async def check(self) -> None:
        """Check the chain id that the nodes tell."""
        status = await self._any(lambda node: node.status())
        if status.chain_id != self._chain_id:
            raise ConfigurationError(
                f"relay chain {self._name}: the nodes are of chain {status.chain_id!r}, not {self._chain_id!r} as "
                "configured"
            )

    async def close(self) -> None:
        """Close all connections."""
        for node in self._validators:
            await node.close()

    # Blocks

    async def latest_height(self) -> int:
        """Return a committed height that is neither above all honest nodes' newest ones nor below all of them."""
        return _vouched([status.height for status in await self._most_statuses()], self._faulty_max)

    async def latest_time(self) -> int:
        """Return the time of the newest block, seconds since the Unix epoch; as honest as :meth:`latest_height`."""
        return _vouched([status.time_ns for status in await self._most_statuses()], self._faulty_max) // 1_000_000_000

    def wakes(self) -> AsyncIterator[None]:
        """Yield at each new block of one validator's node, of the next one when its connection ends."""
        first, *others = self._validators
        return first.wakes(others)

    # Queries

    async def query(self, path: str, data: bytes) -> bytes:
        """Return the value of an ABCI query."""
        return await self._any(lambda node: node.abci_query(path, data))

    async def queries(self, calls: Sequence[tuple[str, bytes]]) -> list[bytes]:
        """Return the values of several ABCI queries."""
        return await self._any(lambda node: node.abci_queries(calls)) if calls else []

    async def proven(self, path: str, key: bytes) -> ProvenValue:
        """Return the value of a key of a store that is a simple map, with its proof in the app hash."""
        return await self._any(lambda node: node.proven(path, key))

    async def signed_header(self, height: int) -> SignedHeader:
        """Return header and commit of a height."""
        return await self._any(lambda node: node.signed_header(height))

    async def validators(self, height: int) -> ValidatorSet:
        """Return the validators of a height, in canonical order."""
        return await self._any(lambda node: node.validators(height))

    # Transactions

    async def broadcast(self, transaction: bytes) -> bytes:
        """Hand a transaction to the first node that answers."""
        return await self._any(lambda node: node.broadcast(transaction))

    async def transaction_result(self, transaction_hash: bytes) -> RelayTransactionResult | None:
        """Return what became of a transaction."""
        return await self._any(lambda node: node.transaction(transaction_hash))

    # Endorsements

    async def endorse(self, validator: int, destination: int, number: int) -> EndorsementAnswer:
        """Ask one validator's node to endorse an outbox entry."""
        node = self._validators[validator]
        answer = await node.abci_query("/endorse", destination.to_bytes(4, "big") + number.to_bytes(8, "big"))
        try:
            return EndorsementAnswer.decode(answer)
        except DecodingError as error:
            raise TransientChainError(f"{node.url}: malformed endorsement: {error}") from error

    @property
    def _faulty_max(self) -> int:
        """How many nodes may lie or be down: as many as the chain itself stands."""
        return (len(self._validators) - 1) // 3

    async def _most_statuses(self) -> list[NodeStatus]:
        """Return what all nodes but those that may be faulty say; fewer if no more answer, but at least one."""
        wanted = len(self._validators) - self._faulty_max
        asked = [asyncio.create_task(node.status()) for node in self._validators]
        told: list[NodeStatus] = []
        last: TransientChainError | None = None
        try:
            for answer in asyncio.as_completed(asked):
                try:
                    status = await answer
                except TransientChainError as error:
                    last = error
                    continue
                if status.chain_id == self._chain_id:
                    told.append(status)
                    if len(told) == wanted:
                        return told
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        if not told:
            raise TransientChainError(f"relay chain {self._name}: no node answers; the last said: {last}") from last
        return told

    async def _any(self, ask: Callable[[CometBftRpc], Awaitable[_Answer]]) -> _Answer:
        last: TransientChainError | None = None
        for node in list(self._preferred):
            try:
                return await ask(node)
            except TransientChainError as error:
                if type(error) is not TransientChainError:
                    raise  # an answer, not an outage
                last = error
                self._preferred.remove(node)
                self._preferred.append(node)
        raise TransientChainError(f"relay chain {self._name}: no node answers; the last said: {last}") from last


def _vouched(values: Sequence[int], faulty_max: int) -> int:
    """Return the greatest value that at least one honest node reaches, if no more than so many of them lie."""
    return sorted(values, reverse=True)[min(faulty_max, len(values) - 1)]
