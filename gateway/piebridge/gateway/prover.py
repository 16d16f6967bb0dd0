"""Authenticates slots of a hub for a relay chain, by the method of its registration (formats.md, section 11.2)."""

import asyncio
import logging
from collections.abc import Sequence

from piebridge.chains.endpoint import Block, ParachainEndpoint, StorageProof
from piebridge.chains.errors import TransactionRefusedError
from piebridge.crypto.errors import ConfigurationError, TransientChainError
from piebridge.gateway.notary_client import NotaryClient
from piebridge.gateway.relay_reader import Registration, RelayReader
from piebridge.gateway.relay_submitter import RelaySubmitter
from piebridge.protocol_stack.authentication import (
    Authentication,
    BothAuthentication,
    NotaryAuthentication,
    SlotProof,
    SpvAuthentication,
)
from piebridge.protocol_stack.relay_messages import UpdateClient
from piebridge.protocol_stack.verification.base import Method

_LOG = logging.getLogger(__name__)

_TRIES = 3


class Prover:
    """Proofs about one hub for one relay chain; moves the relay chain's light client on where that is needed."""

    def __init__(
        self,
        *,
        registration: int,
        endpoint: ParachainEndpoint,
        reader: RelayReader,
        submitter: RelaySubmitter,
        notaries: NotaryClient,
    ) -> None:
        """Prove from a chain to a relay chain."""
        self._registration = registration
        self._endpoint = endpoint
        self._reader = reader
        self._submitter = submitter
        self._notaries = notaries
        self._updating = asyncio.Lock()

    async def final_block(self, known: Registration) -> Block:
        """Return the newest block from which the relay chain can be shown anything."""
        if known.method is Method.NOTARY:
            return await self._endpoint.final_block(known.depth)
        return (await self._endpoint.light_client_target())[1]

    async def authenticate(self, known: Registration, slots: Sequence[bytes]) -> tuple[StorageProof, Authentication]:
        """Return values of slots at a final block, and what shows them to the relay chain.

        Args:
            known: the hub's registration on the relay chain.
            slots: 1 to 16 slots of 32 bytes, in any order; they come back ascending.

        Raises:
            ChainError: a node, a notary or the relay chain fails or refuses.
            VerificationError: a node's answers contradict each other.
        """
        ordered = sorted(slots)
        if known.method is Method.NOTARY:
            block = await self._endpoint.final_block(known.depth)
            proof = await self._endpoint.prove(ordered, block.number)
            return proof, await self._notary(known, proof)
        client_height, block = await self._move_client()
        proof = await self._endpoint.prove(ordered, block.number)
        spv = SpvAuthentication(
            client_height,
            proof.block.header,
            proof.account_proof,
            tuple(SlotProof(slot, nodes) for slot, nodes in zip(proof.slots, proof.proofs, strict=True)),
        )
        if known.method is Method.SPV:
            return proof, spv
        return proof, BothAuthentication(spv, await self._notary(known, proof))

    async def refresh_client(self) -> None:
        """Move the light client on even if nothing is to be proven, before it expires."""
        await self._move_client()

    async def _notary(self, known: Registration, proof: StorageProof) -> NotaryAuthentication:
        if known.notary_set is None:
            raise TransientChainError(f"registration {self._registration} has no notary set on the relay chain")
        return await self._notaries.collect(known.notary_set, self._endpoint.hub_address, proof)

    async def _move_client(self) -> tuple[int, Block]:
        """Bring the light client to the newest EVM block; return a trusted height and the EVM block of its app hash."""
        if not self._endpoint.has_light_blocks:
            raise ConfigurationError(
                f"{self._endpoint.name} is verified by light client, but has no cometbft_rpc_urls in the configuration"
            )
        async with self._updating:
            for _ in range(_TRIES):
                client = await self._reader.client(self._registration)
                height, block = await self._endpoint.light_client_target()
                if client.app_hash == block.hash:
                    return client.height, block
                if height <= client.height:
                    return client.height, await self._endpoint.app_block(client.height)
                light_block = await self._endpoint.light_block(client.height, height)
                try:
                    update = UpdateClient(self._registration, (light_block,))
                    await self._submitter.submit(update.KIND, update.encode())
                except TransactionRefusedError as error:
                    if (await self._reader.client(self._registration)).height == client.height:
                        raise
                    _LOG.info("another gateway moved the light client on: %s", error)
                    continue
                return height, block
        raise TransientChainError(f"{self._endpoint.name}: the light client could not be moved on; others move it too")
